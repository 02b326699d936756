/*
 * Wheel: deadlines of many connections for the price of one timer.  A deadline that moves later is
 * only noted; its item moves when the wheel gets to it.  Knows no clock.
 */
#ifndef NET_WHEEL_H
#define NET_WHEEL_H

#include "base/attr.h"

enum { WHEEL_SLOTS = 1024, WHEEL_TICK_MS = 64 };

/* Part of what has a deadline; starts as { 0 }. */
struct wheel_item {
    struct wheel_item *next, **link; /* link: what points here; NULL when not filed */
    int64_t tick;                    /* where it is filed */
    int64_t deadline_ms;             /* INT64_MAX: none */
};

/* Starts as { 0 }; one thread. */
struct wheel {
    struct wheel_item *slots[WHEEL_SLOTS];
    int64_t tick; /* the last one that was run */
    size_t n;
};

/* Set or move a deadline; returns when the wheel must be run for it (which may be earlier). */
int64_t wheel_set(struct wheel *w, struct wheel_item *item, int64_t now_ms, int64_t deadline_ms);
/* No deadline any more; the item stays filed. */
static inline void wheel_forget(struct wheel_item *item)
{
    item->deadline_ms = INT64_MAX;
}
/* Take out for good. */
void wheel_remove(struct wheel *w, struct wheel_item *item);

/* Call ${fire} for each item whose deadline is at or before ${now_ms}; it is not filed any more. */
void wheel_run(struct wheel *w, int64_t now_ms, void (*fire)(struct wheel_item *item));
/* When to run next; -1: nothing is filed. */
int64_t wheel_next_ms(const struct wheel *w);

#endif
