/* Stored table: the form of core/mounts, core/auth and core/audit: gzip JSON, type and entries. */
#ifndef CORE_STORED_TABLE_H
#define CORE_STORED_TABLE_H

#include "codec/json.h"
#include "storage/storage.h"

/* The rows below ${key}, in ${a}: 1; 0 there is no such table; -1. */
int stored_table_read(struct storage *storage, struct arena *a, const char *key,
                      struct json **rows, struct err *err) MUST_USE;

/* The stored bytes of a table, appended to ${packed}.  ${rows}: array of objects, taken over. */
int stored_table_pack(struct arena *a, const char *type, struct json *rows, struct buf *packed,
                      struct err *err) MUST_USE;

#endif
