/*
 * Wal: the raft log on disk: preallocated segment files, each record with a checksum that goes on
 * from the record before it, so that nothing torn or stale is ever taken for an entry.  A record
 * with an index that is there already replaces it and all behind it.  Beside it term and vote.
 */
#ifndef STORAGE_RAFT_WAL_H
#define STORAGE_RAFT_WAL_H

#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct wal; /* wal_append, wal_sync, wal_forget, wal_reset: one thread at a time; the rest: any */

struct wal_entry {
    uint64_t index, term;
    uint8_t type;
    struct str data;
};

/* Directory ${path} (made when absent).  -1: ERR_IO, ERR_CORRUPT (a gap, a foreign file). */
int wal_open(const char *path, struct wal **out, struct err *err) MUST_USE;
void wal_close(struct wal *w);

/* Last and first index held; 0 and 1 + last when empty. */
uint64_t wal_first(struct wal *w);
uint64_t wal_last(struct wal *w);
/* 0 when the entry is not held. */
uint64_t wal_term_of(struct wal *w, uint64_t index);

/* Entries with consecutive indexes, the first at most last + 1; durable after wal_sync. Full disk:
 * ERR_IO, and what was there before is as it was. */
int wal_append(struct wal *w, const struct wal_entry *entries, size_t n, struct err *err) MUST_USE;
int wal_sync(struct wal *w, struct err *err) MUST_USE;
/* Copy one out, appending its data: 1, 0 not held, -1 ERR_CORRUPT, ERR_IO.  Recent ones come from
 * memory, those that are not yet synced included. */
int wal_read(struct wal *w, uint64_t index, struct wal_entry *out, struct buf *data,
             struct err *err) MUST_USE;
/* Drop whole segments whose entries are all at or below ${upto}. */
int wal_forget(struct wal *w, uint64_t upto, struct err *err) MUST_USE;
/* Drop everything; the next entry will be ${next}. */
int wal_reset(struct wal *w, uint64_t next, struct err *err) MUST_USE;

/* Durable on return; atomic.  Absent: zeros. */
int wal_set_vote(struct wal *w, uint64_t term, uint64_t voted_for, struct err *err) MUST_USE;
void wal_vote(struct wal *w, uint64_t *term, uint64_t *voted_for);

#endif
