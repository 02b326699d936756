/*
 * Lmdb_state: the embedded store as a state machine: its commits come as numbered groups, and a
 * mark is kept in the same transaction that says how far they came.  storage_get and storage_list
 * work as on storage "lmdb"; storage_commit is for the owner's own ends and leaves the mark alone.
 */
#ifndef STORAGE_LMDB_STATE_H
#define STORAGE_LMDB_STATE_H

#include "storage/storage.h"

struct lmdb_state_options {
    struct str file;        /* the data file itself ("…/vault.db"), made when absent, with its
                               directory; beside it come "…-lock" and "…-owner" */
    uint64_t log_retention; /* of the replication log */
    size_t map_size;        /* to begin with; 0: as much address space as is to be had */
    bool lazy;              /* a crash may take back the last groups, never part of one: somebody
                               else has them durable (MDB_NOMETASYNC) */
};

/* -1: ERR_IO, ERR_CONFLICT (in use), ERR_CORRUPT (not our format: says what it looks like). */
int lmdb_state_open(const struct lmdb_state_options *options, struct storage **out,
                    struct err *err) MUST_USE;

struct lmdb_batch {
    const struct storage_op *ops;
    size_t n;
};
/*
 * All batches in one transaction, in order, and ${mark} (any bytes) with them; visible on return.
 * One thread at a time.  ${n} may be 0: the mark alone.
 */
int lmdb_state_apply(struct storage *s, const struct lmdb_batch *batches, size_t n,
                     struct str mark, struct err *err) MUST_USE;
/* 1 and the mark appended, 0 none yet. */
int lmdb_state_mark(struct storage *s, struct buf *out, struct err *err) MUST_USE;
/* Make all that was applied durable. */
int lmdb_state_sync(struct storage *s, struct err *err) MUST_USE;

/*
 * Take the store in ${file} (closed, on the same file system) in place of this one, in one step
 * that a crash does not halve; readers see the one or the other.  ${file} is gone afterwards.
 * Views stay, of the store that was.  -1 and nothing changed: ERR_NOT_FOUND, ERR_CONFLICT (it is
 * open), ERR_CORRUPT, ERR_NOMEM, ERR_IO.  But ERR_IO is also said when it was taken and the
 * directory could not be synced: a crash may take it back, and the mark tells what is there now.
 */
int lmdb_state_replace(struct storage *s, const char *file, struct err *err) MUST_USE;

/*
 * One moment of the store, in byte order of keys, while writes go on.  One thread at a time.  It
 * holds up nobody; pages of that moment are not reused, so the file grows by what is written.
 */
struct lmdb_view;
/* ${mark} gets the mark of that moment, appended. */
int lmdb_view_open(struct storage *s, struct buf *mark, struct lmdb_view **out,
                   struct err *err) MUST_USE;
/*
 * 1 and an entry that is borrowed until the next call, 0 at the end, -1.  ERR_CONFLICT: the store
 * had to be opened anew (a larger map, after a failed write) or was closed; begin again.
 */
int lmdb_view_next(struct lmdb_view *v, struct str *key, struct str *value,
                   struct err *err) MUST_USE;
void lmdb_view_close(struct lmdb_view *v);

#endif
