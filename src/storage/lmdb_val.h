/* Lmdb_val: what all that speaks to LMDB shares: its values as text, its codes as errors. */
#ifndef STORAGE_LMDB_VAL_H
#define STORAGE_LMDB_VAL_H

#include <lmdb.h>

#include "base/err.h"
#include "base/str.h"

static inline MDB_val lmdb_val(struct str s)
{
    return (MDB_val){ s.n, (void *)s.p };
}

/* Borrowed from the transaction that ${v} comes from. */
static inline struct str lmdb_val_str(const MDB_val *v)
{
    return str_mem(v->mv_data, v->mv_size);
}

/* Sequences and numbers of values stand as eight bytes, big endian. */
enum { LMDB_VAL_64 = 8 };

static inline void lmdb_val_store64(uint64_t v, char out[LMDB_VAL_64])
{
    for (int i = LMDB_VAL_64; i-- > 0; v >>= 8)
        out[i] = (char)v;
}

static inline uint64_t lmdb_val_load64(const void *p)
{
    uint64_t v = 0;
    for (int i = 0; i < LMDB_VAL_64; i++)
        v = v << 8 | ((const uint8_t *)p)[i];
    return v;
}

/* Say that ${what} failed with ${rc}, a code of LMDB or errno. Returns -1. */
int lmdb_val_failed(struct err *err, const char *what, int rc);

#endif
