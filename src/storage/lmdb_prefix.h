/*
 * Lmdb_prefix: the beginning that all keys of one mount share is kept once.  It has the form
 * (logical|auth)/<uuid>/[<uuid>/], the longer one where it fits, uuids in lower case.  A key that
 * begins so, and is not a long key, stands in the table `inner` as number of its prefix + rest;
 * all others stand as they are in `data`.  The table `prefix` leads from text to number, and has a
 * row for just those prefixes that have a key in `inner`.
 */
#ifndef STORAGE_LMDB_PREFIX_H
#define STORAGE_LMDB_PREFIX_H

#include "storage/lmdb_val.h"
#include "storage/longkey.h"

enum { LMDB_PREFIX_N = 5 }; /* bytes of a number, big endian */

/* Where the keys are. */
struct lmdb_prefix_tables {
    MDB_dbi data, inner, prefix;
};

/* Room for the stored form of any key. */
struct lmdb_prefix_room {
    char bytes[LONGKEY_STORED + LMDB_PREFIX_N];
};

/* How many bytes of ${key} are a prefix that is kept apart; 0: none. */
size_t lmdb_prefix_length(struct str key);

/* Has this prefix two uuids? It may lie within one that has the first of them alone. */
bool lmdb_prefix_is_inner(struct str prefix);

/*
 * Find the number of ${prefix}, or (make) give it one, in a write transaction that goes on to put
 * a key there. An LMDB code: MDB_NOTFOUND too.
 */
int lmdb_prefix_find(const struct lmdb_prefix_tables *t, MDB_txn *txn, struct str prefix,
                     char number[LMDB_PREFIX_N]);
int lmdb_prefix_make(const struct lmdb_prefix_tables *t, MDB_txn *txn, struct str prefix,
                     char number[LMDB_PREFIX_N]);

/* After a delete: forget ${prefix} if that was its last key; ${inner} is moved. An LMDB code. */
int lmdb_prefix_drop_empty(const struct lmdb_prefix_tables *t, MDB_cursor *inner,
                           struct str prefix, const char number[LMDB_PREFIX_N], bool *dropped);

/*
 * Number + rest, in ${room}.  A rest longer than any key has is cut, to a length that still is:
 * as the beginning of a walk that is as good.
 */
struct str lmdb_prefix_join(const char number[LMDB_PREFIX_N], struct str rest,
                            struct lmdb_prefix_room *room);

/* Does a key of `inner` have this number? */
static inline bool lmdb_prefix_has(struct str stored, const char number[LMDB_PREFIX_N])
{
    return str_starts(stored, str_mem(number, LMDB_PREFIX_N));
}

#endif
