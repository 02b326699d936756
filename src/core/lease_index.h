/* Lease index: which leases there are and which expires next, in memory. */
#ifndef CORE_LEASE_INDEX_H
#define CORE_LEASE_INDEX_H

#include "base/arena.h"
#include "base/clock.h"

struct lease_index; /* any thread; look-ups lock one shard of many */

struct lease_index *lease_index_new(const struct clock *clock) MUST_USE;
void lease_index_free(struct lease_index *x);

/* Set or move; INT64_MAX: never expires. ${only_new} leaves one that is there. -1: ERR_NOMEM. */
int lease_index_set(struct lease_index *x, struct str id, int64_t expires_ns, bool only_new,
                    struct err *err) MUST_USE;
void lease_index_remove(struct lease_index *x, struct str id);
/* 1 and when it expires, or 0. */
int lease_index_get(struct lease_index *x, struct str id, int64_t *expires_ns);
size_t lease_index_count(struct lease_index *x);

/*
 * Wait until a lease is due: its id in ${a}; it stays in the index, off the clock, until set again
 * or removed.  ${attempt} counts how often it was handed out.  false: lease_index_end was called.
 */
bool lease_index_wait(struct lease_index *x, struct arena *a, struct str *id, int *attempt);
/* Try again in ${delay_ns}. */
void lease_index_retry(struct lease_index *x, struct str id, int64_t delay_ns);
/* All waiters return false, now and later. */
void lease_index_end(struct lease_index *x);

#endif
