/*
 * Kv2/cache: a bounded table from a text to an immutable item, read without a lock.  A new item
 * takes the place of another in its row; what it drops is released when no reader holds it.
 */
#ifndef ENGINES_KV2_CACHE_H
#define ENGINES_KV2_CACHE_H

#include "base/attr.h"
#include "base/str.h"

struct kv2_cache; /* any thread */

/* First member of what is kept. Immutable after kv2_cache_put. */
struct kv2_cache_item {
    struct str key;               /* in the item's own memory */
    void (*release)(void *item);  /* wipes and frees */
};

/* ${slots} is a power of two, at least 4. NULL: out of memory. */
struct kv2_cache *kv2_cache_new(size_t slots) MUST_USE;
/* No reader may be left. NULL is fine. */
void kv2_cache_free(struct kv2_cache *c);

/* The item, or NULL. Only between epoch_enter and epoch_leave, and valid until then. */
const struct kv2_cache_item *kv2_cache_get(const struct kv2_cache *c, struct str key);

/* Takes the item over. */
void kv2_cache_put(struct kv2_cache *c, struct kv2_cache_item *item);

/* A pair of texts as an item; kept only when short enough. Lack of memory keeps nothing. */
void kv2_cache_put_text(struct kv2_cache *c, struct str key, struct str value);
/* Copied out under an epoch of its own: 1, or 0 when absent (also on lack of memory). */
struct arena;
int kv2_cache_get_text(const struct kv2_cache *c, struct str key, struct arena *a,
                       struct str *value);

#endif
