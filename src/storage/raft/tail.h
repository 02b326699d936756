/* Tail: the newest entries of the log, in memory: what the disk may not have yet, and what
 * followers and the store are about to ask for. */
#ifndef STORAGE_RAFT_TAIL_H
#define STORAGE_RAFT_TAIL_H

#include "storage/raft/entry.h"

struct tail; /* any thread */

struct tail *tail_new(void) MUST_USE;
void tail_free(struct tail *t);

/* Take over ${e}; entries at and behind its index are dropped, a gap drops all. -1: no memory. */
int tail_put(struct tail *t, struct entry *e) MUST_USE;
/* The entry with one more user, or NULL when it is not held. */
struct entry *tail_get(struct tail *t, uint64_t index);
/* The disk has all up to the entry of that index and term: they may go when there are too many. */
void tail_stored(struct tail *t, uint64_t index, uint64_t term);
/* The store has all up to ${index}. */
void tail_used(struct tail *t, uint64_t index);
/* Drop everything. */
void tail_reset(struct tail *t);

#endif
