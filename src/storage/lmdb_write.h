/*
 * Lmdb_write: batches become one transaction of an environment: data, values, replication log, hash
 * tree, and on demand a mark.
 */
#ifndef STORAGE_LMDB_WRITE_H
#define STORAGE_LMDB_WRITE_H

#include "storage/lmdb_env.h"
#include "storage/storage.h"

/* One operation, made ready by the thread that wants it, so that the writer only writes. */
struct lmdb_change {
    const struct storage_op *op;
    struct str stored; /* the key as the table `data` has it */
    struct hashtree_entry hashed;
    size_t order;
    bool last;
};

/* A batch; where it lies it must stay. */
struct lmdb_ready {
    struct lmdb_ready *next; /* for the caller of lmdb_write_batches */
    struct lmdb_change *changes, few[4];
    size_t n;
};

/*
 * Check, hash and encode; ${ops} are borrowed until lmdb_ready_free, which is due after 0 only.
 * -1: ERR_BAD_REQUEST, ERR_TOO_LARGE, ERR_NOMEM.
 */
int lmdb_ready_make(struct lmdb_ready *r, const struct storage_op *ops, size_t n,
                    struct err *err) MUST_USE;
void lmdb_ready_free(struct lmdb_ready *r);

/* Owner of its environment: one thread at a time. */
struct lmdb_write;

/* ${env} is borrowed. */
int lmdb_write_new(struct lmdb_env *env, uint64_t log_retention, struct lmdb_write **out,
                   struct err *err) MUST_USE;
/* NULL is fine. */
void lmdb_write_free(struct lmdb_write *w);
/* The content of its environment is now that of ${env}. */
void lmdb_write_move(struct lmdb_write *w, struct lmdb_env *env);

/*
 * All batches from ${first} on, in order, and ${mark} unless NULL, in one transaction, or nothing;
 * ${first} may be NULL.  The map grows as needed.  -1: ERR_IO, ERR_NOMEM, ERR_CORRUPT.
 */
int lmdb_write_batches(struct lmdb_write *w, struct lmdb_ready *first, const struct str *mark,
                       struct err *err) MUST_USE;

#endif
