/* Tail: a ring of the newest entries; those that disk and store have go when it is too large. */
#include "storage/raft/tail.h"

#include <pthread.h>
#include <stdlib.h>

enum { KEEP_BYTES = 8 << 20, KEEP_ENTRIES = 4096 };

struct tail {
    pthread_mutex_t mu;
    struct entry **v; /* under mu: index i stands at i % cap, as all below */
    size_t cap, bytes;
    uint64_t first, end; /* held: first <= i < end */
    uint64_t stored, used;
};

struct tail *tail_new(void)
{
    struct tail *t = calloc(1, sizeof *t);
    if (t != NULL)
        pthread_mutex_init(&t->mu, NULL);
    return t;
}

static void drop_at(struct tail *t, uint64_t index)
{
    struct entry *e = t->v[index % t->cap];
    t->bytes -= e->n + sizeof *e;
    entry_drop(e);
}

static void drop_from(struct tail *t, uint64_t index)
{
    while (t->end > t->first && t->end > index)
        drop_at(t, --t->end);
}

static void trim(struct tail *t)
{
    uint64_t done = t->stored < t->used ? t->stored : t->used;
    while (t->first < t->end && t->first <= done &&
           (t->bytes > KEEP_BYTES || t->end - t->first > KEEP_ENTRIES))
        drop_at(t, t->first++);
}

void tail_reset(struct tail *t)
{
    pthread_mutex_lock(&t->mu);
    drop_from(t, 0);
    t->stored = t->used = 0;
    pthread_mutex_unlock(&t->mu);
}

void tail_free(struct tail *t)
{
    if (t == NULL)
        return;
    tail_reset(t);
    pthread_mutex_destroy(&t->mu);
    free(t->v);
    free(t);
}

static int make_room(struct tail *t)
{
    size_t n = (size_t)(t->end - t->first), cap = t->cap == 0 ? 256 : t->cap * 2;
    if (n < t->cap)
        return 0;
    struct entry **v = calloc(cap, sizeof(struct entry *));
    if (v == NULL)
        return -1;
    for (uint64_t i = t->first; i < t->end; i++)
        v[i % cap] = t->v[i % t->cap];
    free(t->v);
    t->v = v;
    t->cap = cap;
    return 0;
}

int tail_put(struct tail *t, struct entry *e)
{
    pthread_mutex_lock(&t->mu);
    drop_from(t, e->index);
    if (t->end != e->index) {
        drop_from(t, 0);
        t->first = t->end = e->index;
    }
    if (t->stored >= e->index)
        t->stored = e->index - 1;
    int rc = make_room(t);
    if (rc == 0) {
        t->v[e->index % t->cap] = e;
        t->bytes += e->n + sizeof *e;
        t->end++;
        trim(t);
    } else {
        entry_drop(e);
    }
    pthread_mutex_unlock(&t->mu);
    return rc;
}

struct entry *tail_get(struct tail *t, uint64_t index)
{
    pthread_mutex_lock(&t->mu);
    bool held = index >= t->first && index < t->end;
    struct entry *e = held ? entry_hold(t->v[index % t->cap]) : NULL;
    pthread_mutex_unlock(&t->mu);
    return e;
}

void tail_stored(struct tail *t, uint64_t index, uint64_t term)
{
    pthread_mutex_lock(&t->mu);
    bool held = index >= t->first && index < t->end;
    if (held && index > t->stored && t->v[index % t->cap]->term == term)
        t->stored = index;
    trim(t);
    pthread_mutex_unlock(&t->mu);
}

void tail_used(struct tail *t, uint64_t index)
{
    pthread_mutex_lock(&t->mu);
    if (index > t->used)
        t->used = index;
    trim(t);
    pthread_mutex_unlock(&t->mu);
}
