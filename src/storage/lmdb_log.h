/*
 * Lmdb_log: what the embedded store keeps beside its data, in the same transactions: the applied
 * index, the replication log, and the hash tree's leaf sums.  All calls: any thread; ${s} is a
 * storage that storage_lmdb opened, else ERR_UNSUPPORTED.
 */
#ifndef STORAGE_LMDB_LOG_H
#define STORAGE_LMDB_LOG_H

#include "storage/hashtree.h"
#include "storage/keyclass.h"
#include "storage/storage.h"

/* One operation, as it was committed. */
struct lmdb_log_entry {
    uint64_t sequence; /* from 1, without gaps */
    enum storage_op_kind kind;
    bool last; /* of its batch */
    enum keyclass keyclass;
    struct str key;             /* borrowed during the call */
    uint8_t hash[HASHTREE_HASH]; /* SHA-256 of the value, its first half; zeros for a delete */
};

/* Returns 0 to go on. */
typedef int lmdb_log_fn(void *ctx, const struct lmdb_log_entry *entry);

/* The sequence of the last operation that is durable; 0: none ever. */
int lmdb_log_applied(struct storage *s, uint64_t *out, struct err *err) MUST_USE;

/*
 * Every operation from ${from} on, in order, until ${each} stops it or the end is reached.  Nothing
 * is held while ${each} runs.  -1: ERR_NOT_FOUND when ${from} is no longer (or not yet) there.
 * ${from} = applied + 1 is fine and gives nothing.
 */
int lmdb_log_each(struct storage *s, uint64_t from, lmdb_log_fn *each, void *ctx,
                  struct err *err) MUST_USE;

/* The leaf sums, and the sequence to which they belong. */
int lmdb_log_leaves(struct storage *s, struct hashtree *out, uint64_t *applied,
                    struct err *err) MUST_USE;

/* Read every entry and compare with the leaf sums. -1: ERR_CORRUPT names the first that differs. */
int lmdb_log_verify(struct storage *s, struct err *err) MUST_USE;

#endif
