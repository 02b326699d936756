/* Chained hash table; it grows by a second one that takes its place (base/epoch.h). */
#include "core/identity_table.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/epoch.h"

enum { SLOTS_FIRST = 256 };

struct node {
    struct node *_Atomic next;
    _Atomic(struct identity_record *) record;
    uint64_t hash;
    size_t n;
    char key[];
};

struct slots {
    size_t n; /* a power of two */
    struct node *_Atomic heads[];
};

struct identity_table {
    _Atomic(struct slots *) slots;
    size_t count; /* the writer's */
};

static struct slots *slots_new(size_t n)
{
    struct slots *s = calloc(1, sizeof *s + n * sizeof s->heads[0]);
    if (s != NULL)
        s->n = n;
    return s;
}

static void slots_release(void *p)
{
    struct slots *s = p;
    for (size_t i = 0; i < s->n; i++)
        for (struct node *x = atomic_load(&s->heads[i]), *next; x != NULL; x = next) {
            next = atomic_load(&x->next);
            free(x);
        }
    free(s);
}

struct identity_table *identity_table_new(void)
{
    struct identity_table *t = calloc(1, sizeof *t);
    struct slots *s = slots_new(SLOTS_FIRST);
    if (t == NULL || s == NULL) {
        free(t);
        free(s);
        return NULL;
    }
    atomic_store(&t->slots, s);
    return t;
}

void identity_table_free(struct identity_table *t, void (*release)(void *record))
{
    if (t == NULL)
        return;
    struct slots *s = atomic_load(&t->slots);
    for (size_t i = 0; release != NULL && i < s->n; i++)
        for (struct node *x = atomic_load(&s->heads[i]); x != NULL; x = atomic_load(&x->next))
            release(atomic_load(&x->record));
    slots_release(s);
    free(t);
}

static struct node *find(struct slots *s, uint64_t hash, struct str key)
{
    struct node *x = atomic_load_explicit(&s->heads[hash & (s->n - 1)], memory_order_acquire);
    while (x != NULL && !(x->hash == hash && str_eq(str_mem(x->key, x->n), key)))
        x = atomic_load_explicit(&x->next, memory_order_acquire);
    return x;
}

const struct identity_record *identity_table_get(struct identity_table *t, uint64_t hash,
                                                 struct str key)
{
    struct slots *s = atomic_load_explicit(&t->slots, memory_order_acquire);
    struct node *x = find(s, hash, key);
    return x == NULL ? NULL : atomic_load_explicit(&x->record, memory_order_acquire);
}

/* The node is complete before it can be seen. */
static int add(struct slots *s, uint64_t hash, struct str key, struct identity_record *record)
{
    struct node *_Atomic *head = &s->heads[hash & (s->n - 1)];
    struct node *x = calloc(1, sizeof *x + key.n);
    if (x == NULL)
        return -1;
    x->hash = hash;
    x->n = key.n;
    if (key.n > 0)
        memcpy(x->key, key.p, key.n);
    atomic_store(&x->record, record);
    atomic_store(&x->next, atomic_load(head));
    atomic_store_explicit(head, x, memory_order_release);
    return 0;
}

static int grow(struct identity_table *t)
{
    struct slots *old = atomic_load(&t->slots), *s = slots_new(old->n * 2);
    if (s == NULL)
        return -1;
    for (size_t i = 0; i < old->n; i++)
        for (struct node *x = atomic_load(&old->heads[i]); x != NULL; x = atomic_load(&x->next))
            if (add(s, x->hash, str_mem(x->key, x->n), atomic_load(&x->record)) < 0) {
                slots_release(s);
                return -1;
            }
    atomic_store_explicit(&t->slots, s, memory_order_release);
    epoch_retire(old, slots_release);
    return 0;
}

int identity_table_put(struct identity_table *t, uint64_t hash, struct str key,
                       struct identity_record *record, struct identity_record **old,
                       struct err *err)
{
    struct slots *s = atomic_load(&t->slots);
    struct node *x = find(s, hash, key);
    if (old != NULL)
        *old = x == NULL ? NULL : atomic_load(&x->record);
    if (x != NULL) {
        atomic_store_explicit(&x->record, record, memory_order_release);
        return 0;
    }
    /* A table that cannot grow is slower, not wrong. */
    if (t->count >= s->n && grow(t) == 0)
        s = atomic_load(&t->slots);
    if (add(s, hash, key, record) < 0)
        return err_set(err, ERR_NOMEM, "out of memory");
    t->count++;
    return 0;
}
