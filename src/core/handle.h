/* Handle: the one pipeline that every request passes. */
#ifndef CORE_HANDLE_H
#define CORE_HANDLE_H

#include "core/active.h"
#include "core/lifecycle.h"

/*
 * Answer ${req} (stages 4 to 10 of architecture.md).  1: resp is the answer; 0: absent; -1: req->err,
 * text finished as Vault prints it.  ERR_MUST_WAIT only when !req->may_block: nothing has happened
 * yet, call again on a worker.  The answer may borrow from the caller's epoch section, which must
 * last from before the call until the answer is printed.
 */
int handle(struct lifecycle *l, struct request *req, struct response *resp);

/*
 * Only the first half: may the caller do ${req->op} on ${req->path}?  For handlers outside the
 * pipeline (sys/seal, sys/step-down): token, policy, sudo, audit.  0 or -1 with req->err.
 */
int handle_authorize(const struct active *on, struct request *req);

/*
 * Does the caller of ${req}, which the pipeline has let through, hold root or the sudo capability
 * on the request's path?  1, 0, -1 with req->err.  Within the pipeline's epoch section.
 */
int handle_is_sudo(const struct active *on, struct request *req) MUST_USE;

/* An internal request to a mount's engine (revocation, renewal), without token and policy. */
int handle_internal(const struct active *on, struct request *req, struct response *resp);

#endif
