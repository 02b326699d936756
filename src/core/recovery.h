/*
 * Recovery: a server that does not come up is mended: nothing runs, the holders of the keys make one
 * token that lives as long as the process, and with it raw entries can be read and changed.
 */
#ifndef CORE_RECOVERY_H
#define CORE_RECOVERY_H

#include "core/lifecycle.h"
#include "logical/response.h"

struct recovery; /* any thread */

/* ${l} is borrowed; nothing is open yet. */
int recovery_new(struct lifecycle *l, struct recovery **out, struct err *err) MUST_USE;
void recovery_free(struct recovery *r);

/*
 * What the holders' shares made opens the barrier, and the one token is made anew, in ${a}: "r." and
 * 24 letters and digits.  From now on changes to the store are this node's alone to decide.
 * -1: ERR_DENIED and the like: the key is wrong.
 */
int recovery_open(struct recovery *r, struct arena *a, struct str combined, struct str *token,
                  struct err *err) MUST_USE;

/*
 * Read, list, write or delete what lies at ${req}->path, "sys/raw/...", as the route of sys/raw
 * does.  1, 0, -1; ERR_DENIED: not the token.
 */
int recovery_handle(struct recovery *r, struct request *req, struct response *resp) MUST_USE;

#endif
