/*
 * A chained hash table whose readers follow atomic pointers inside an epoch; writers take a mutex,
 * unlink, and retire what they took out.  When it is bounded, the hand of a clock goes round the
 * buckets and takes out what was not used since it last came by (Corbató 1968).
 */
#include "engines/transit/cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/epoch.h"
#include "base/map.h"

struct node {
    _Atomic(struct node *) next;
    uint64_t hash;
    struct transit_key *key;
    atomic_bool used; /* since the hand last came by */
};

struct table {
    size_t n_buckets; /* a power of two */
    _Atomic(struct node *) bucket[];
};

struct transit_cache {
    _Atomic(struct table *) table;
    _Atomic uint64_t era;
    size_t limit;
    pthread_mutex_t mu;
    size_t n, hand; /* under mu, like every change of the table */
};

/* What a change took out: retired when the mutex is free again. */
struct leaving {
    struct node *replaced, *evicted;
    struct table *outgrown;
};

enum { FIRST_BUCKETS = 16 };

static struct table *table_new(size_t n)
{
    struct table *t = calloc(1, sizeof *t + n * sizeof t->bucket[0]);
    if (t != NULL)
        t->n_buckets = n;
    return t;
}

static void node_free(void *p)
{
    struct node *n = p;
    transit_key_free(n->key);
    free(n);
}

/* The nodes too, but not their keys: those live on in the larger table. */
static void table_free(void *p)
{
    struct table *t = p;
    for (size_t i = 0; i < t->n_buckets; i++) {
        for (struct node *n = atomic_load(&t->bucket[i]), *next; n != NULL; n = next) {
            next = atomic_load(&n->next);
            free(n);
        }
    }
    free(t);
}

static void leave(struct leaving *l)
{
    epoch_retire(l->replaced, node_free);
    epoch_retire(l->evicted, node_free);
    epoch_retire(l->outgrown, table_free);
}

struct transit_cache *transit_cache_new(size_t limit)
{
    struct transit_cache *c = calloc(1, sizeof *c);
    struct table *t = table_new(FIRST_BUCKETS);
    if (c == NULL || t == NULL) {
        free(c);
        free(t);
        return NULL;
    }
    c->limit = limit;
    atomic_init(&c->table, t);
    pthread_mutex_init(&c->mu, NULL);
    return c;
}

void transit_cache_free(struct transit_cache *c)
{
    if (c == NULL)
        return;
    struct table *t = atomic_load(&c->table);
    for (size_t i = 0; i < t->n_buckets; i++)
        for (struct node *n = atomic_load(&t->bucket[i]); n != NULL; n = atomic_load(&n->next))
            transit_key_free(n->key);
    table_free(t);
    pthread_mutex_destroy(&c->mu);
    free(c);
}

size_t transit_cache_limit(const struct transit_cache *c)
{
    return c->limit;
}

uint64_t transit_cache_era(struct transit_cache *c)
{
    return atomic_load(&c->era);
}

static _Atomic(struct node *) *bucket_of(struct table *t, uint64_t hash)
{
    return &t->bucket[hash & (t->n_buckets - 1)];
}

const struct transit_key *transit_cache_get(struct transit_cache *c, struct str name)
{
    uint64_t hash = map_hash(name);
    struct table *t = atomic_load_explicit(&c->table, memory_order_acquire);
    struct node *n = atomic_load_explicit(bucket_of(t, hash), memory_order_acquire);

    for (; n != NULL; n = atomic_load_explicit(&n->next, memory_order_acquire)) {
        if (n->hash != hash || !str_eq(n->key->name, name))
            continue;
        /* Written only when it changes: readers of one key share the line. */
        if (c->limit > 0 && !atomic_load_explicit(&n->used, memory_order_relaxed))
            atomic_store_explicit(&n->used, true, memory_order_relaxed);
        return n->key;
    }
    return NULL;
}

/* ---- changes, under the mutex ---- */

static struct node *unlink_name(struct transit_cache *c, uint64_t hash, struct str name)
{
    _Atomic(struct node *) *at = bucket_of(atomic_load(&c->table), hash);
    struct node *n;
    while ((n = atomic_load(at)) != NULL && (n->hash != hash || !str_eq(n->key->name, name)))
        at = &n->next;
    if (n != NULL) {
        atomic_store_explicit(at, atomic_load(&n->next), memory_order_release);
        c->n--;
    }
    return n;
}

/* The first node in a bucket that was not used lately; those that were get another round. */
static struct node *unlink_idle(struct transit_cache *c, _Atomic(struct node *) *at)
{
    for (struct node *n; (n = atomic_load(at)) != NULL; at = &n->next) {
        if (atomic_exchange(&n->used, false))
            continue;
        atomic_store_explicit(at, atomic_load(&n->next), memory_order_release);
        c->n--;
        return n;
    }
    return NULL;
}

static struct node *evict(struct transit_cache *c)
{
    struct table *t = atomic_load(&c->table);
    struct node *n = NULL;
    for (size_t round = 0; n == NULL && round < 2 * t->n_buckets + 1; round++) {
        c->hand = (c->hand + 1) & (t->n_buckets - 1);
        n = unlink_idle(c, &t->bucket[c->hand]);
    }
    return n;
}

static void link_node(struct table *t, struct node *n)
{
    _Atomic(struct node *) *at = bucket_of(t, n->hash);
    atomic_store(&n->next, atomic_load(at));
    atomic_store_explicit(at, n, memory_order_release);
}

/* Twice the buckets, with nodes of its own: readers may still be walking the old ones. */
static struct table *grown(const struct table *old)
{
    struct table *t = table_new(old->n_buckets * 2);
    for (size_t i = 0; t != NULL && i < old->n_buckets; i++) {
        for (struct node *n = atomic_load(&old->bucket[i]); n != NULL; n = atomic_load(&n->next)) {
            struct node *copy = calloc(1, sizeof *copy);
            if (copy == NULL) {
                table_free(t);
                return NULL;
            }
            copy->hash = n->hash;
            copy->key = n->key;
            atomic_init(&copy->used, atomic_load(&n->used));
            link_node(t, copy);
        }
    }
    return t;
}

/* Longer chains do as well when memory is short. */
static void make_room(struct transit_cache *c, struct leaving *out)
{
    if (c->limit > 0 && c->n >= c->limit)
        out->evicted = evict(c);
    struct table *t = atomic_load(&c->table);
    struct table *larger = c->n >= t->n_buckets ? grown(t) : NULL;
    if (larger == NULL)
        return;
    atomic_store_explicit(&c->table, larger, memory_order_release);
    out->outgrown = t;
}

bool transit_cache_put(struct transit_cache *c, struct transit_key *key, uint64_t era)
{
    struct leaving out = { 0 };
    struct node *n = calloc(1, sizeof *n);

    pthread_mutex_lock(&c->mu);
    uint64_t hash = map_hash(key->name);
    bool keep = n != NULL && atomic_load(&c->era) == era;
    out.replaced = unlink_name(c, hash, key->name);
    if (keep) {
        make_room(c, &out);
        n->hash = hash;
        n->key = key;
        link_node(atomic_load(&c->table), n);
        c->n++;
    }
    pthread_mutex_unlock(&c->mu);
    if (!keep)
        free(n);
    leave(&out);
    return keep;
}

void transit_cache_forget(struct transit_cache *c, struct str name)
{
    struct leaving out = { 0 };

    pthread_mutex_lock(&c->mu);
    atomic_fetch_add(&c->era, 1);
    out.replaced = unlink_name(c, map_hash(name), name);
    pthread_mutex_unlock(&c->mu);
    leave(&out);
}
