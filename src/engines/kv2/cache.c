/* Kv2/cache: a direct-mapped table of atomic pointers; dropped items retire by epochs. */
#include "engines/kv2/cache.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/epoch.h"

/* Longer pairs are not worth their memory: they bound the table's size. */
enum { PAIR_MOST = 512 };

struct kv2_cache {
    size_t mask;
    _Atomic(struct kv2_cache_item *) slots[];
};

struct pair {
    struct kv2_cache_item item;
    struct str value;
    char bytes[];
};

struct kv2_cache *kv2_cache_new(size_t slots)
{
    struct kv2_cache *c = calloc(1, sizeof *c + slots * sizeof c->slots[0]);

    if (c != NULL)
        c->mask = slots - 1;
    return c;
}

void kv2_cache_free(struct kv2_cache *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i <= c->mask; i++) {
        struct kv2_cache_item *item = atomic_load_explicit(&c->slots[i], memory_order_relaxed);
        if (item != NULL)
            item->release(item);
    }
    free(c);
}

/* The low bits of FNV-1a alone are weak for short keys that differ in their last byte. */
static size_t slot_of(const struct kv2_cache *c, struct str key)
{
    uint64_t h = str_hash(key);

    return (size_t)(h ^ h >> 32) & c->mask;
}

const struct kv2_cache_item *kv2_cache_get(const struct kv2_cache *c, struct str key)
{
    const struct kv2_cache_item *item =
        atomic_load_explicit(&c->slots[slot_of(c, key)], memory_order_acquire);

    return item != NULL && str_eq(item->key, key) ? item : NULL;
}

void kv2_cache_put(struct kv2_cache *c, struct kv2_cache_item *item)
{
    struct kv2_cache_item *old = atomic_exchange(&c->slots[slot_of(c, item->key)], item);

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
