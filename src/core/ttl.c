/* The rule of Vault's docs ("Token time-to-live, periodic tokens, and explicit max TTLs"). */
#include "core/ttl.h"

#include "codec/timefmt.h"

static int64_t least_set(int64_t max, int64_t other)
{
    return other > 0 && other < max ? other : max;
}

int64_t ttl_calculate(const struct ttl_terms *t, enum ttl_cap *capped, int64_t *max_out)
{
    int64_t started = t->started != 0 ? t->started : t->now;
    int64_t max = least_set(least_set(t->mount_max, t->backend_max), t->explicit_max);
    enum ttl_cap what = TTL_FITS;
    int64_t ttl;

    if (t->period > 0) {
        /* A periodic token lives for ever, a period at a time, unless a max is explicit. */
        ttl = t->period;
        int64_t cap = least_set(t->mount_max, t->backend_max);
        if (ttl > cap) {
            ttl = cap;
            what = TTL_PERIOD_CAPPED;
        }
        if (t->explicit_max > 0 && ttl > started + t->explicit_max - t->now)
            ttl = started + t->explicit_max - t->now;
    } else {
        ttl = t->increment > 0 ? t->increment : t->backend > 0 ? t->backend : t->mount_default;
        int64_t left = started + max - t->now;
        if (ttl > left) {
            ttl = left;
            what = TTL_CAPPED;
        }
    }
    if (capped != NULL)
        *capped = what;
    if (max_out != NULL)
        *max_out = max;
    return ttl;
}

struct str ttl_text(struct arena *a, int64_t seconds)
{
    struct str s = duration_format(a, seconds * 1000000000);
    if (str_ends(s, STR("m0s")))
        s.n -= 2;
    if (str_ends(s, STR("h0m")))
        s.n -= 2;
    return s;
}
