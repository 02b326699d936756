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

/* Say that ${what} failed with ${rc}, a code of LMDB or errno. Returns -1. */
int lmdb_val_failed(struct err *err, const char *what, int rc);

#endif
