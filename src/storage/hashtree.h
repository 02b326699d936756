/*
 * Hashtree: leaf sums over all entries of a store, so that two stores find where they differ
 * without sending their keys.  An entry belongs to the leaf that the hash of its key names; a leaf
 * is the sum modulo 2^128 of its entries' hashes, so a change costs one subtraction, one addition.
 */
#ifndef STORAGE_HASHTREE_H
#define STORAGE_HASHTREE_H

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

/*
 * 4,096 leaves are 64 KiB to exchange, and at a million entries name 244 keys (some 30 KiB with
 * hashes) for each leaf that differs.  They are stored by pages, the unit of a write.
 */
enum {
    HASHTREE_LEAVES = 4096,
    HASHTREE_PAGE = 32,
    HASHTREE_PAGES = HASHTREE_LEAVES / HASHTREE_PAGE,
    HASHTREE_HASH = 16, /* bytes kept of each SHA-256 */
};

struct hashtree_sum {
    uint8_t bytes[HASHTREE_HASH]; /* little endian */
};

/* What an entry comes to in the tree. */
struct hashtree_entry {
    uint32_t leaf;                /* which leaf; of the key alone */
    uint8_t value[HASHTREE_HASH]; /* SHA-256 of the value, its first half */
    struct hashtree_sum sum;      /* SHA-256(key, 0, SHA-256(value)), its first half */
};

struct hashtree {
    struct hashtree_sum leaf[HASHTREE_LEAVES];
};

/* Any thread. -1: ERR_INTERNAL, ERR_NOMEM. */
int hashtree_hash(struct str key, struct str value, struct hashtree_entry *out,
                  struct err *err) MUST_USE;

void hashtree_add(struct hashtree *t, const struct hashtree_entry *e);
void hashtree_sub(struct hashtree *t, const struct hashtree_entry *e);

#endif
