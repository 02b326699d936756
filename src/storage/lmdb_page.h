/* Lmdb_page: a page of a listing, from keys that stand as they are and keys under a prefix. */
#ifndef STORAGE_LMDB_PAGE_H
#define STORAGE_LMDB_PAGE_H

#include "storage/lmdb_prefix.h"
#include "storage/names.h"

/* What names_page_fn does, in a snapshot. -1: ERR_IO, ERR_NOMEM, ERR_CORRUPT. */
int lmdb_page_collect(const struct lmdb_prefix_tables *t, MDB_txn *txn, struct str prefix,
                      struct names_page *page, struct err *err) MUST_USE;

#endif
