/*
 * A hash table whose chains only grow, at their heads; whoever wants to take something out makes a
 * new table and lets readers leave the old one.
 */
#include "core/policy_cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/epoch.h"
#include "base/random.h"

#define BUCKETS 4096 /* a power of two */

struct policy_held {
    atomic_size_t refs;
    struct policy *policy;
};

struct node {
    struct node *next; /* does not change once the node can be seen */
    uint64_t hash;
    struct policy_set *set;
};

struct table {
    size_t n;
    _Atomic(struct node *) heads[BUCKETS];
};

struct policy_cache {
    uint64_t seed;
    size_t limit;
    _Atomic(struct table *) table; /* NULL: nothing is cached */
    pthread_mutex_t mu;
    uint64_t generation; /* under mu */
};

struct policy_held *policy_held_new(struct policy *p)
{
    struct policy_held *h = malloc(sizeof *h);
    if (h == NULL) {
        policy_free(p);
        return NULL;
    }
    atomic_init(&h->refs, 1);
    h->policy = p;
    return h;
}

struct policy_held *policy_held_ref(struct policy_held *h)
{
    atomic_fetch_add_explicit(&h->refs, 1, memory_order_relaxed);
    return h;
}

void policy_held_unref(struct policy_held *h)
{
    if (h == NULL || atomic_fetch_sub(&h->refs, 1) != 1)
        return;
    policy_free(h->policy);
    free(h);
}

const struct policy *policy_held_policy(const struct policy_held *h)
{
    return h->policy;
}

struct policy_set *policy_set_new(void)
{
    struct arena *a = arena_new();
    struct policy_set *set = a == NULL ? NULL : arena_alloc(a, sizeof *set);
    if (set == NULL) {
        arena_free(a);
        return NULL;
    }
    set->arena = a;
    return set;
}

void policy_set_free(struct policy_set *set)
{
    if (set == NULL)
        return;
    for (size_t i = 0; i < set->n_policies; i++)
        policy_held_unref(set->policies[i]);
    policy_acl_free(set->acl);
    arena_free(set->arena);
}

static void release_set(void *set)
{
    policy_set_free(set);
}

/* Release the table and its nodes, not the sets. */
static void release_table(void *object)
{
    struct table *t = object;
    if (t == NULL)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        struct node *n = atomic_load(&t->heads[i]);
        while (n != NULL) {
            struct node *next = n->next;
            free(n);
            n = next;
        }
    }
    free(t);
}

struct policy_cache *policy_cache_new(size_t limit)
{
    struct policy_cache *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    if (pthread_mutex_init(&c->mu, NULL) != 0) {
        free(c);
        return NULL;
    }
    c->limit = limit;
    random_fill(&c->seed, sizeof c->seed);
    return c;
}

void policy_cache_free(struct policy_cache *c)
{
    if (c == NULL)
        return;
    struct table *t = atomic_load(&c->table);
    for (size_t i = 0; t != NULL && i < BUCKETS; i++)
        for (struct node *n = atomic_load(&t->heads[i]); n != NULL; n = n->next)
            policy_set_free(n->set);
    release_table(t);
    pthread_mutex_destroy(&c->mu);
    free(c);
}

static uint64_t hash_of(const struct policy_cache *c, struct str key)
{
    uint64_t h = c->seed;
    for (size_t i = 0; i < key.n; i++)
        h = (h ^ (unsigned char)key.p[i]) * 1099511628211ULL;
    return h ^ h >> 32;
}

static struct policy_set *find_in(struct table *t, uint64_t hash, struct str key)
{
    if (t == NULL)
        return NULL;
    struct node *n = atomic_load_explicit(&t->heads[hash % BUCKETS], memory_order_acquire);
    for (; n != NULL; n = n->next)
        if (n->hash == hash && str_eq(n->set->key, key))
            return n->set;
    return NULL;
}

const struct policy_set *policy_cache_find(struct policy_cache *c, struct str key)
{
    struct table *t = atomic_load_explicit(&c->table, memory_order_acquire);
    struct policy_set *set = find_in(t, hash_of(c, key), key);
    /* Written only once a sweep, so that readers share the cache line. */
    if (set != NULL && !__atomic_load_n(&set->used, __ATOMIC_RELAXED))
        __atomic_store_n(&set->used, true, __ATOMIC_RELAXED);
    return set;
}

uint64_t policy_cache_generation(struct policy_cache *c)
{
    pthread_mutex_lock(&c->mu);
    uint64_t generation = c->generation;
    pthread_mutex_unlock(&c->mu);
    return generation;
}

/* Under mu.  False when out of memory. */
static bool table_add(struct table *t, uint64_t hash, struct policy_set *set)
{
    struct node *n = malloc(sizeof *n);
    if (n == NULL)
        return false;
    _Atomic(struct node *) *head = &t->heads[hash % BUCKETS];
    *n = (struct node){ atomic_load(head), hash, set };
    atomic_store_explicit(head, n, memory_order_release);
    t->n++;
    return true;
}

typedef bool keep_fn(struct policy_set *set, const void *ctx);

/* Put a table in place that has only what ${keep} wants.  Under mu. */
static void rebuild(struct policy_cache *c, keep_fn *keep, const void *ctx)
{
    struct table *old = atomic_load(&c->table);
    struct table *fresh = old == NULL ? NULL : calloc(1, sizeof *fresh);
    if (old == NULL)
        return;
    struct policy_set **gone = malloc(old->n * sizeof *gone + 1);
    size_t n_gone = 0;
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct node *n = atomic_load(&old->heads[i]); n != NULL; n = n->next) {
            bool kept = fresh != NULL && gone != NULL && keep(n->set, ctx) &&
                        table_add(fresh, n->hash, n->set);
            if (!kept && gone != NULL)
                gone[n_gone++] = n->set;
        }
    /* Without memory for the list, what is dropped leaks rather than being read after release. */
    atomic_store_explicit(&c->table, fresh, memory_order_release);
    for (size_t i = 0; i < n_gone; i++)
        epoch_retire(gone[i], release_set);
    epoch_retire(old, release_table);
    free(gone);
}

static bool keep_used(struct policy_set *set, const void *ctx)
{
    (void)ctx;
    return __atomic_exchange_n(&set->used, false, __ATOMIC_RELAXED);
}

static bool keep_none(struct policy_set *set, const void *ctx)
{
    (void)set;
    (void)ctx;
    return false;
}

static bool keep_half(struct policy_set *set, const void *ctx)
{
    (void)set;
    (void)ctx;
    return random_below(2) == 0;
}

static bool keep_others(struct policy_set *set, const void *ctx)
{
    return !strs_has(&set->names, *(const struct str *)ctx);
}

/* Under mu.  The table to add to, or NULL when out of memory. */
static struct table *table_with_room(struct policy_cache *c)
{
    struct table *t = atomic_load(&c->table);
    if (t != NULL && t->n >= c->limit) {
        rebuild(c, keep_used, NULL);
        t = atomic_load(&c->table);
        if (t != NULL && t->n > c->limit / 2)
            rebuild(c, keep_half, NULL);
        t = atomic_load(&c->table);
        if (t != NULL && t->n >= c->limit)
            rebuild(c, keep_none, NULL);
        t = atomic_load(&c->table);
    }
    if (t == NULL) {
        t = calloc(1, sizeof *t);
        atomic_store_explicit(&c->table, t, memory_order_release);
    }
    return t;
}

void policy_cache_put(struct policy_cache *c, struct policy_set *set, uint64_t generation)
{
    uint64_t hash = hash_of(c, set->key);
    bool kept = false;
    pthread_mutex_lock(&c->mu);
    struct table *t = generation == c->generation ? table_with_room(c) : NULL;
    /* Another thread may have been faster; its set stays. */
    if (t != NULL && find_in(t, hash, set->key) == NULL)
        kept = table_add(t, hash, set);
    pthread_mutex_unlock(&c->mu);
    if (!kept)
        epoch_retire(set, release_set);
}

void policy_cache_drop(struct policy_cache *c, struct str name)
{
    pthread_mutex_lock(&c->mu);
    c->generation++;
    rebuild(c, name.n == 0 ? keep_none : keep_others, &name);
    pthread_mutex_unlock(&c->mu);
}
