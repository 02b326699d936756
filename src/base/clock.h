/* Clock: what time it is, handed in so that tests can turn it. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/attr.h"

/* Any thread. now_ns counts from the Unix epoch, UTC; mono_ns never goes back. */
struct clock {
    int64_t (*now_ns)(const struct clock *c);
    int64_t (*mono_ns)(const struct clock *c);
};

/* The machine's clock. */
extern const struct clock clock_system;

static inline int64_t clock_now_ns(const struct clock *c)
{
    return c->now_ns(c);
}
static inline int64_t clock_now_s(const struct clock *c)
{
    return c->now_ns(c) / 1000000000;
}
static inline int64_t clock_mono_ns(const struct clock *c)
{
    return c->mono_ns(c);
}

#endif
