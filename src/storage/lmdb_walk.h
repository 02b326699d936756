/* Lmdb_walk: over the keys of one table of a snapshot, in order; long keys as they were given. */
#ifndef STORAGE_LMDB_WALK_H
#define STORAGE_LMDB_WALK_H

#include "storage/lmdb_val.h"
#include "storage/names.h"

/* A place. A group of long keys is read whole, and sorted. Starts as { 0 }. */
struct lmdb_walk {
    MDB_cursor *at;
    bool started, end;
    MDB_val k, v;
    struct str *group;
    size_t group_n, group_cap;
};

/* -1: ERR_IO, ERR_NOMEM, ERR_CORRUPT, here and below; then lmdb_walk_close too. */
int lmdb_walk_open(struct lmdb_walk *w, MDB_txn *txn, MDB_dbi table, struct err *err) MUST_USE;
void lmdb_walk_close(struct lmdb_walk *w);

/* names_seek_fn and names_run_fn, on a struct lmdb_walk; keys are borrowed from the snapshot. */
int lmdb_walk_seek(void *ctx, struct str from, struct str *key, struct err *err) MUST_USE;
int lmdb_walk_run(void *ctx, struct str *keys, int max, struct err *err) MUST_USE;

extern const struct names_walk lmdb_walk_of_keys;

#endif
