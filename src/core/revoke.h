/* Revoke: what the lease book asks of the rest: end or renew a secret, a login, a token. */
#ifndef CORE_REVOKE_H
#define CORE_REVOKE_H

#include "core/active.h"

/* The calls, bound to ${on}, which must outlive the lease book. */
struct lease_calls revoke_calls(const struct active *on);

#endif
