/* Login: an auth method said who it is; make the token. */
#ifndef CORE_LOGIN_H
#define CORE_LOGIN_H

#include "core/active.h"

/*
 * Finish a login whose method filled resp->auth: entity, policies, times, token.  1, or -1 with
 * req->err.
 */
int login_finish(const struct active *on, struct request *req, struct response *resp) MUST_USE;

/*
 * The policies of a token: names lowered and trimmed, sorted, no repeats, "default" added unless
 * ${no_default}; "root" makes all others go.
 */
struct strs login_policies(struct arena *a, const struct strs *names, bool no_default);

/* Compute auth->ttl_s from its parts and the mount's limits; adds Vault's warning when capped. */
void login_settle_ttl(const struct active *on, struct request *req, struct response *resp,
                      int64_t increment_s);

#endif
