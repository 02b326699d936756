/*
 * Lmdb_store: what storage "lmdb" and the state store have in common: an environment, and how it is
 * read.
 */
#ifndef STORAGE_LMDB_STORE_H
#define STORAGE_LMDB_STORE_H

#include "storage/lmdb_env.h"
#include "storage/storage.h"

/* First member of both. */
struct lmdb_store {
    struct storage base;
    struct lmdb_env *env;
};

/* ${s} as one of the two, else NULL. */
struct lmdb_store *lmdb_store_of(struct storage *s);

/* Of storage_ops. */
int lmdb_store_get(struct storage *s, struct str key, struct buf *out, struct err *err) MUST_USE;
int lmdb_store_list(struct storage *s, struct str prefix, struct str after, storage_name_fn *each,
                    void *ctx, struct err *err) MUST_USE;

#endif
