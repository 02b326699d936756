/* Lmdb_peek: a look into a store that is closed, which leaves its files as they are. */
#ifndef STORAGE_LMDB_PEEK_H
#define STORAGE_LMDB_PEEK_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"

/*
 * The mark of lmdb_state and the value of ${key}, each appended when there is one, of the store in
 * ${file}.  1; 0 there is no store; -1: ERR_CONFLICT (in use), ERR_CORRUPT (not our format: says
 * what it looks like), ERR_IO, ERR_NOMEM.
 */
int lmdb_peek(const char *file, struct str key, struct buf *mark, struct buf *value,
              struct err *err) MUST_USE;

#endif
