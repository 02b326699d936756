/* Kv2/cache: a table of atomic pointers in rows of four; dropped items retire by epochs. */
#include "engines/kv2/cache.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/epoch.h"

/* Longer pairs are not worth their memory: they bound the table's size. */
enum { PAIR_MOST = 512 };

/* Slots that an item may be in, side by side. */
enum { WAYS = 4 };

/* The hash lets a reader pass by without touching the item; it may lag behind: then it is a miss. */
struct slot {
    _Atomic uint64_t hash;
    _Atomic(struct kv2_cache_item *) item;
};

struct kv2_cache {
    size_t mask;
    struct slot *slots; /* a row is a cache line */
};

struct pair {
    struct kv2_cache_item item;
    struct str value;
    char bytes[];
};

struct kv2_cache *kv2_cache_new(size_t slots)
{
    struct kv2_cache *c = calloc(1, sizeof *c);
    size_t bytes = slots * sizeof c->slots[0];

    if (c == NULL)
        return NULL;
    c->mask = slots - 1;
    c->slots = aligned_alloc(WAYS * sizeof c->slots[0], bytes);
    if (c->slots == NULL) {
        free(c);
        return NULL;
    }
    memset(c->slots, 0, bytes);
    return c;
}

void kv2_cache_free(struct kv2_cache *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i <= c->mask; i++) {
        struct kv2_cache_item *item = atomic_load(&c->slots[i].item);
        if (item != NULL)
            item->release(item);
    }
    free(c->slots);
    free(c);
}

/* The row's first slot. The low bits of FNV-1a alone are weak for keys that differ at their end. */
static size_t row_of(const struct kv2_cache *c, uint64_t h)
{
    return (size_t)(h ^ h >> 32) & c->mask & ~(size_t)(WAYS - 1);
}

/* The item of the slot if it has the key. */
static struct kv2_cache_item *at(const struct slot *slot, uint64_t hash, struct str key)
{
    if (atomic_load_explicit(&slot->hash, memory_order_relaxed) != hash)
        return NULL;
    struct kv2_cache_item *item = atomic_load_explicit(&slot->item, memory_order_acquire);
    return item != NULL && str_eq(item->key, key) ? item : NULL;
}

const struct kv2_cache_item *kv2_cache_get(const struct kv2_cache *c, struct str key)
{
    uint64_t hash = str_hash(key);
    const struct slot *row = &c->slots[row_of(c, hash)];

    for (size_t i = 0; i < WAYS; i++) {
        const struct kv2_cache_item *item = at(&row[i], hash, key);
        if (item != NULL)
            return item;
    }
    return NULL;
}

/* The slot that the key has, else a free one, else one by chance. */
static struct slot *slot_for(const struct kv2_cache *c, uint64_t hash, struct str key)
{
    struct slot *row = &c->slots[row_of(c, hash)], *best = &row[(hash >> 60) % WAYS];
    bool free_found = false;

    for (size_t i = 0; i < WAYS; i++) {
        if (at(&row[i], hash, key) != NULL)
            return &row[i];
        if (!free_found && atomic_load_explicit(&row[i].item, memory_order_relaxed) == NULL) {
            free_found = true;
            best = &row[i];
        }
    }
    return best;
}

/* Reading the neighbours' keys needs an epoch; two writers may choose one slot: one is dropped. */
void kv2_cache_put(struct kv2_cache *c, struct kv2_cache_item *item)
{
    uint64_t hash = str_hash(item->key);

    epoch_enter();
    struct slot *slot = slot_for(c, hash, item->key);
    struct kv2_cache_item *old = atomic_exchange(&slot->item, item);
    atomic_store_explicit(&slot->hash, hash, memory_order_relaxed);
    epoch_leave();
    if (old != NULL)
        epoch_retire(old, old->release);
}

static void pair_release(void *p)
{
    struct pair *pair = p;

    explicit_bzero(pair->bytes, pair->item.key.n + pair->value.n);
    free(pair);
}

void kv2_cache_put_text(struct kv2_cache *c, struct str key, struct str value)
{
    if (key.n > PAIR_MOST || value.n > PAIR_MOST - key.n || key.n + value.n == 0)
        return;
    struct pair *pair = malloc(sizeof *pair + key.n + value.n);
    if (pair == NULL)
        return;
    if (key.n > 0)
        memcpy(pair->bytes, key.p, key.n);
    if (value.n > 0)
        memcpy(pair->bytes + key.n, value.p, value.n);
    pair->item = (struct kv2_cache_item){ { pair->bytes, key.n }, pair_release };
    pair->value = (struct str){ pair->bytes + key.n, value.n };
    kv2_cache_put(c, &pair->item);
}

int kv2_cache_get_text(const struct kv2_cache *c, struct str key, struct arena *a,
                       struct str *value)
{
    epoch_enter();
    const struct pair *pair = (const struct pair *)kv2_cache_get(c, key);
    if (pair != NULL)
        *value = arena_dup(a, pair->value);
    epoch_leave();
    return pair != NULL && (value->p != NULL || value->n == 0);
}
