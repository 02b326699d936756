/* Ttl: how long a token or secret may live, from what was asked and what caps it. */
#ifndef CORE_TTL_H
#define CORE_TTL_H

#include "base/arena.h"

/* All in seconds; 0: not set. */
struct ttl_terms {
    int64_t increment;       /* what the client asked for (renewal) */
    int64_t backend;         /* what the engine or role says */
    int64_t period;
    int64_t backend_max, explicit_max;
    int64_t mount_default, mount_max;
    int64_t started;         /* Unix time of issue; 0: now */
    int64_t now;
};

enum ttl_cap { TTL_FITS, TTL_CAPPED, TTL_PERIOD_CAPPED };

/*
 * Seconds from now.  ${capped} (may be NULL) tells whether something was cut, ${max} (may be NULL)
 * the maximum that did.  A negative result means that the maximum has passed.
 */
int64_t ttl_calculate(const struct ttl_terms *t, enum ttl_cap *capped, int64_t *max);

/* Seconds as Vault's warnings name them: as Go, without trailing zero parts ("1h30m", "5h"). */
struct str ttl_text(struct arena *a, int64_t seconds);

#endif
