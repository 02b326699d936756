/* Map: hash table from bytes to a pointer; keyed hash, so that clients cannot choose collisions. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

/* Starts as { 0 }. Keys are copied and owned; values are the caller's. One thread at a time. */
struct map {
    struct map_slot *slots;
    size_t n, cap, tombs;
};

/* The value, or NULL when absent. */
void *map_get(const struct map *m, struct str key);

/* Set or replace; ${old} (may be NULL) gets the value that was there. -1: ERR_NOMEM. */
int map_put(struct map *m, struct str key, void *value, void **old, struct err *err) MUST_USE;

/* Take out; returns the value, or NULL when absent. */
void *map_remove(struct map *m, struct str key);

/*
 * Walk in no order: start with *at = 0; false at the end. The entry handed out may be removed
 * during the walk, nothing may be added.
 */
bool map_next(const struct map *m, size_t *at, struct str *key, void **value);

/* The hash that the table uses, for tables of another shape; differs from process to process. */
uint64_t map_hash(struct str key);

/* Release the keys and the table; ${free_value} (may be NULL) is called for every value. */
void map_free(struct map *m, void (*free_value)(void *value));

#endif
