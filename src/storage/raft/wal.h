/*
 * Wal: the raft log on disk: preallocated segment files, each record with a checksum that goes on
 * from the record before it, so that nothing torn or stale is ever taken for an entry.  A record
 * with an index that is there already replaces it and all behind it.  Beside it term and vote.
 */
#ifndef STORAGE_RAFT_WAL_H
#define STORAGE_RAFT_WAL_H

#include "base/buf.h"
#include "base/err.h"
#include "storage/raft/wal_entry.h"

/*
 * One thread at a time appends, forgets and resets; one at a time syncs, at the same time as the
 * other if it likes, and neither waits for the other's disk; all else: any thread.
 */
struct wal;

/*
 * Directory ${path} (made when absent; the one above must be there), which no other process may
 * have open.  Other files in it than raft.db and *.log are left alone.
 * -1: ERR_IO, ERR_CORRUPT (a gap, a damaged or foreign file; the text says which and what to do).
 */
int wal_open(const char *path, struct wal **out, struct err *err) MUST_USE;
/* What was not synced may be lost. */
void wal_close(struct wal *w);

/*
 * First and last index held.  Empty: first is the index of the next entry, last the one before, so
 * 1 and 0 for a new log, and N and N - 1 after wal_reset(N), also after a restart.
 */
uint64_t wal_first(struct wal *w);
uint64_t wal_last(struct wal *w);
/* 0 when the entry is not held. */
uint64_t wal_term_of(struct wal *w, uint64_t index);

/*
 * Entries with consecutive indexes, the first at most last + 1; it replaces what is held there and
 * all behind it.  Durable when a wal_sync that was called afterwards has returned.
 * -1: ERR_IO (a full disk too), ERR_NOMEM, ERR_TOO_LARGE (4 GiB), ERR_INTERNAL (an index that
 * cannot follow): what was there before is as it was, and a later append may succeed.
 */
int wal_append(struct wal *w, const struct wal_entry *entries, size_t n, struct err *err) MUST_USE;
/*
 * All that was appended before is on disk for good.  If the disk refuses, the log takes nothing any
 * more (ERR_IO to all calls that write): what it holds then only a new start can tell.
 */
int wal_sync(struct wal *w, struct err *err) MUST_USE;
/*
 * Copy one out, appending its data, to which out->data points until ${data} changes: 1, 0 not held,
 * -1 ERR_CORRUPT, ERR_IO, ERR_NOMEM.  Recent ones come from memory, those not yet synced included.
 */
int wal_read(struct wal *w, uint64_t index, struct wal_entry *out, struct buf *data,
             struct err *err) MUST_USE;
/* Drop whole segments whose entries are all at or below ${upto}; the last entry always stays. */
int wal_forget(struct wal *w, uint64_t upto, struct err *err) MUST_USE;
/*
 * Drop everything, durably; the next entry will be ${next} (> 0).  -1: nothing was dropped, or the
 * log has stopped as after a failed sync.
 */
int wal_reset(struct wal *w, uint64_t next, struct err *err) MUST_USE;

/* Durable on return; atomic.  Never set: zeros. */
int wal_set_vote(struct wal *w, uint64_t term, uint64_t voted_for, struct err *err) MUST_USE;
void wal_vote(struct wal *w, uint64_t *term, uint64_t *voted_for);

#endif
