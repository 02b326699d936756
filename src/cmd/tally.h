/* Tally: how many keys a store has, and how much they take, by the first parts of their paths. */
#ifndef CMD_TALLY_H
#define CMD_TALLY_H

#include "base/arena.h"
#include "base/map.h"

struct tally_row {
    struct str name; /* "core/cluster", or the whole key */
    uint64_t count, bytes;
};

/* Starts as { .arena = a, .depth = .., .filter = .. }; release with tally_fini. */
struct tally {
    struct arena *arena;
    size_t depth;      /* number of parts that make a row; 0: all of them */
    struct str filter; /* only keys that begin with it */
    struct map rows;
    uint64_t count, bytes; /* of all rows */
};

/* ${bytes} is what the key and its value take. -1: ERR_NOMEM. */
int tally_add(struct tally *t, struct str key, uint64_t bytes, struct err *err) MUST_USE;
/* The rows, in the arena: most keys first, then by name. -1: ERR_NOMEM. */
int tally_sorted(struct tally *t, struct tally_row **rows, size_t *n, struct err *err) MUST_USE;
void tally_fini(struct tally *t);

/* "236 B", "26.1 KB", "9 KB". */
struct str tally_size(struct arena *a, uint64_t bytes);

/* A table of the rows with their sum below; empty when the arena failed. */
void tally_print(struct arena *a, const struct tally *t, const struct tally_row *rows, size_t n,
                 struct buf *out);

#endif
