/*
 * Wal_recent: the newest bytes of the log, as they were written, for those who send or apply them
 * at once.  One thread at a time; a chunk's bytes never change.
 */
#ifndef STORAGE_RAFT_WAL_RECENT_H
#define STORAGE_RAFT_WAL_RECENT_H

#include <stdatomic.h>

#include "base/attr.h"
#include "base/err.h"

/* A point of the log on disk, ordered. */
struct wal_point {
    uint32_t segment;
    uint64_t at;
};

static inline bool wal_point_before(struct wal_point a, struct wal_point b)
{
    return a.segment < b.segment || (a.segment == b.segment && a.at < b.at);
}

struct wal_chunk {
    atomic_uint refs;
    struct wal_point from;
    size_t n;
    char bytes[];
};

/* NULL: out of memory. One reference is the caller's. */
struct wal_chunk *wal_chunk_new(size_t n);
struct wal_chunk *wal_chunk_ref(struct wal_chunk *c);
void wal_chunk_unref(struct wal_chunk *c);

/* Starts as { 0 }. */
struct wal_recent {
    struct wal_chunk **v; /* in order, from v[gone] on */
    size_t gone, n, cap;
    size_t bytes;
};

void wal_recent_clear(struct wal_recent *r);
int wal_recent_reserve(struct wal_recent *r, size_t n, struct err *err) MUST_USE;
/* Behind all others; takes the reference over. Room is reserved. */
void wal_recent_add(struct wal_recent *r, struct wal_chunk *c);
/* Drop the oldest until ${keep} bytes are left, but none that ends behind ${durable}. */
void wal_recent_trim(struct wal_recent *r, size_t keep, struct wal_point durable);
/* The chunk that holds that point, borrowed, or NULL. */
struct wal_chunk *wal_recent_find(const struct wal_recent *r, struct wal_point at);

#endif
