/*
 * Lmdb_tables: the tables of the embedded store (DESIGN.md tells what is in each), and how one
 * record of them is read in a snapshot.  What is returned is borrowed from the transaction.
 */
#ifndef STORAGE_LMDB_TABLES_H
#define STORAGE_LMDB_TABLES_H

#include "base/buf.h"
#include "storage/hashtree.h"
#include "storage/lmdb_prefix.h"

enum { LMDB_TABLES_FORMAT = 3, LMDB_TABLES_COUNT = 8 };

struct lmdb_tables {
    struct lmdb_prefix_tables keys;
    MDB_dbi values, log, tree, root;
};

/* A record of the log: flags, class, hash, then the key. */
enum { LMDB_LOG_DELETE = 1, LMDB_LOG_LAST = 2, LMDB_LOG_HEAD = 2 + HASHTREE_HASH };

/*
 * In a write transaction: find the tables, or make them in an environment that is empty; ${path}
 * is for messages.  -1: ERR_CORRUPT when they are not ours, or of another format; ERR_IO.
 */
int lmdb_tables_open(struct lmdb_tables *t, MDB_txn *txn, const char *path,
                     struct err *err) MUST_USE;

/*
 * The number of the value of ${key}, of which a table of keys has ${found}.  1; 0 when that is
 * another long key's; -1: ERR_CORRUPT.
 */
int lmdb_tables_number(struct str key, const MDB_val *found, struct str *number,
                       struct err *err) MUST_USE;
/* The value of that number.  An LMDB code. */
int lmdb_tables_value(const struct lmdb_tables *t, MDB_txn *txn, struct str number,
                      struct str *value);
/* The value of ${key}: 1, 0, -1. */
int lmdb_tables_get(const struct lmdb_tables *t, MDB_txn *txn, struct str key, struct str *value,
                    struct err *err) MUST_USE;

/* LMDB codes: the committed sequence (0: none ever), and the leaf sums. */
int lmdb_tables_applied(const struct lmdb_tables *t, MDB_txn *txn, uint64_t *out);
int lmdb_tables_sums(const struct lmdb_tables *t, MDB_txn *txn, struct hashtree *out);

/* The mark that was set last: 1 and appended, 0 none yet, -1. */
int lmdb_tables_mark(const struct lmdb_tables *t, MDB_txn *txn, struct buf *out,
                     struct err *err) MUST_USE;
/* An LMDB code. */
int lmdb_tables_set_mark(const struct lmdb_tables *t, MDB_txn *txn, struct str mark);

#endif
