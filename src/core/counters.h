/*
 * Counters: how many requests the active node has served, month by month, kept at
 * sys/counters/requests/YYYY/MM.
 */
#ifndef CORE_COUNTERS_H
#define CORE_COUNTERS_H

#include "base/arena.h"
#include "base/clock.h"
#include "storage/storage.h"

struct counters; /* any thread */

/* ${sys}: the barrier's storage below "sys/".  Both are borrowed. */
int counters_new(struct storage *sys, const struct clock *clock, struct counters **out,
                 struct err *err) MUST_USE;
void counters_free(struct counters *c);

/* One more; no lock, no wait. */
void counters_request(struct counters *c);
/* Store what was counted since the last time; a worker's thread, once a minute and at the end. */
int counters_flush(struct counters *c, struct err *err) MUST_USE;

/* A month's total, with what is not stored yet. */
struct counters_month {
    int year, month;
    uint64_t total;
};
/* All months, oldest first, in ${a}. */
int counters_list(struct counters *c, struct arena *a, struct counters_month **out, size_t *n,
                  struct err *err) MUST_USE;

#endif
