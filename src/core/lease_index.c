/* Shards of a hash table for look-ups, one binary heap for the clock. */
#include "core/lease_index.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/map.h"

enum { SHARDS = 64, OFF_CLOCK = -1 };

struct item {
    _Atomic int64_t expires_ns;
    ptrdiff_t place;  /* in the heap, or OFF_CLOCK; under clock_mu */
    int64_t due_ns;   /* the heap's key: expires_ns, or a retry; under clock_mu */
    int attempts;     /* under clock_mu */
    size_t n;
    char id[];
};

struct lease_index {
    const struct clock *clock;
    struct shard {
        pthread_mutex_t mu;
        struct map items; /* under mu: id -> item */
    } shard[SHARDS];
    atomic_size_t count;

    pthread_mutex_t clock_mu; /* taken after a shard's */
    pthread_cond_t moved;
    struct item **heap; /* under clock_mu */
    size_t n, cap;
    bool ended;
};

struct lease_index *lease_index_new(const struct clock *clock)
{
    struct lease_index *x = calloc(1, sizeof *x);
    if (x == NULL)
        return NULL;
    x->clock = clock;
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_init(&x->shard[i].mu, NULL);
    pthread_mutex_init(&x->clock_mu, NULL);
    pthread_cond_init(&x->moved, NULL);
    return x;
}

void lease_index_free(struct lease_index *x)
{
    if (x == NULL)
        return;
    for (size_t i = 0; i < SHARDS; i++) {
        map_free(&x->shard[i].items, free);
        pthread_mutex_destroy(&x->shard[i].mu);
    }
    pthread_mutex_destroy(&x->clock_mu);
    pthread_cond_destroy(&x->moved);
    free(x->heap);
    free(x);
}

static struct shard *shard_of(struct lease_index *x, struct str id)
{
    return &x->shard[str_hash(id) % SHARDS];
}

/* ---- heap; all under clock_mu ---- */

static void place(struct lease_index *x, size_t at, struct item *i)
{
    x->heap[at] = i;
    i->place = (ptrdiff_t)at;
}

static void sift_up(struct lease_index *x, size_t at)
{
    struct item *i = x->heap[at];
    while (at > 0 && x->heap[(at - 1) / 2]->due_ns > i->due_ns) {
        place(x, at, x->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    place(x, at, i);
}

static void sift_down(struct lease_index *x, size_t at)
{
    struct item *i = x->heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= x->n)
            break;
        if (child + 1 < x->n && x->heap[child + 1]->due_ns < x->heap[child]->due_ns)
            child++;
        if (x->heap[child]->due_ns >= i->due_ns)
            break;
        place(x, at, x->heap[child]);
        at = child;
    }
    place(x, at, i);
}

static void heap_remove(struct lease_index *x, struct item *i)
{
    if (i->place == OFF_CLOCK)
        return;
    size_t at = (size_t)i->place;
    i->place = OFF_CLOCK;
    struct item *last = x->heap[--x->n];
    if (last == i)
        return;
    place(x, at, last);
    sift_up(x, at);
    sift_down(x, (size_t)last->place);
}

static int heap_room(struct lease_index *x, struct err *err)
{
    if (x->n < x->cap)
        return 0;
    size_t cap = x->cap == 0 ? 64 : x->cap * 2;
    struct item **heap = realloc(x->heap, cap * sizeof *heap);
    if (heap == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    x->heap = heap;
    x->cap = cap;
    return 0;
}

/* Put on the clock, or move there. */
static int schedule(struct lease_index *x, struct item *i, int64_t due_ns, struct err *err)
{
    int result = 0;
    pthread_mutex_lock(&x->clock_mu);
    heap_remove(x, i);
    i->due_ns = due_ns;
    if (due_ns != INT64_MAX) {
        result = heap_room(x, err);
        if (result == 0) {
            place(x, x->n++, i);
            sift_up(x, x->n - 1);
            if (i->place == 0)
                pthread_cond_signal(&x->moved);
        }
    }
    pthread_mutex_unlock(&x->clock_mu);
    return result;
}

/* ---- entries ---- */

static struct item *item_new(struct shard *s, struct str id, struct err *err)
{
    struct item *i = calloc(1, sizeof *i + id.n);
    if (i == NULL) {
        err_set(err, ERR_NOMEM, "out of memory");
        return NULL;
    }
    i->place = OFF_CLOCK;
    i->n = id.n;
    memcpy(i->id, id.p, id.n);
    if (map_put(&s->items, id, i, NULL, err) < 0) {
        free(i);
        return NULL;
    }
    return i;
}

int lease_index_set(struct lease_index *x, struct str id, int64_t expires_ns, bool only_new,
                    struct err *err)
{
    struct shard *s = shard_of(x, id);
    int result = 0;
    pthread_mutex_lock(&s->mu);
    struct item *i = map_get(&s->items, id);
    if (i == NULL || !only_new) {
        if (i == NULL && (i = item_new(s, id, err)) != NULL)
            atomic_fetch_add(&x->count, 1);
        if (i == NULL) {
            result = -1;
        } else {
            atomic_store(&i->expires_ns, expires_ns);
            result = schedule(x, i, expires_ns, err);
        }
    }
    pthread_mutex_unlock(&s->mu);
    return result;
}

void lease_index_remove(struct lease_index *x, struct str id)
{
    struct shard *s = shard_of(x, id);
    pthread_mutex_lock(&s->mu);
    struct item *i = map_remove(&s->items, id);
    if (i != NULL) {
        pthread_mutex_lock(&x->clock_mu);
        heap_remove(x, i);
        pthread_mutex_unlock(&x->clock_mu);
        atomic_fetch_sub(&x->count, 1);
        free(i);
    }
    pthread_mutex_unlock(&s->mu);
}

int lease_index_get(struct lease_index *x, struct str id, int64_t *expires_ns)
{
    struct shard *s = shard_of(x, id);
    pthread_mutex_lock(&s->mu);
    struct item *i = map_get(&s->items, id);
    if (i != NULL)
        *expires_ns = atomic_load(&i->expires_ns);
    pthread_mutex_unlock(&s->mu);
    return i != NULL;
}

size_t lease_index_count(struct lease_index *x)
{
    return atomic_load(&x->count);
}

/* ---- waiting ---- */

static void sleep_until(struct lease_index *x, int64_t due_ns)
{
    int64_t left = due_ns - clock_now_ns(x->clock);
    /* At most a day at a time: the machine's clock may be set meanwhile. */
    const int64_t day = 86400LL * 1000000000;
    if (left > day)
        left = day;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    int64_t until = t.tv_sec * 1000000000LL + t.tv_nsec + (left > 0 ? left : 0);
    t.tv_sec = until / 1000000000;
    t.tv_nsec = until % 1000000000;
    pthread_cond_timedwait(&x->moved, &x->clock_mu, &t);
}

bool lease_index_wait(struct lease_index *x, struct arena *a, struct str *id, int *attempt)
{
    bool got = false;
    pthread_mutex_lock(&x->clock_mu);
    while (!x->ended && !got) {
        if (x->n == 0) {
            pthread_cond_wait(&x->moved, &x->clock_mu);
        } else if (x->heap[0]->due_ns > clock_now_ns(x->clock)) {
            sleep_until(x, x->heap[0]->due_ns);
        } else {
            struct item *i = x->heap[0];
            *id = arena_dup(a, str_mem(i->id, i->n));
            *attempt = ++i->attempts;
            heap_remove(x, i);
            got = true;
        }
    }
    /* Another waiter may be needed for the next one. */
    if (got && x->n > 0)
        pthread_cond_signal(&x->moved);
    pthread_mutex_unlock(&x->clock_mu);
    return got;
}

void lease_index_retry(struct lease_index *x, struct str id, int64_t delay_ns)
{
    struct shard *s = shard_of(x, id);
    struct err ignored = { 0 };
    pthread_mutex_lock(&s->mu);
    struct item *i = map_get(&s->items, id);
    if (i != NULL && schedule(x, i, clock_now_ns(x->clock) + delay_ns, &ignored) < 0)
        i->due_ns = INT64_MAX; /* no memory for the clock: the next unseal finds the lease again */
    pthread_mutex_unlock(&s->mu);
}

void lease_index_end(struct lease_index *x)
{
    pthread_mutex_lock(&x->clock_mu);
    x->ended = true;
    pthread_cond_broadcast(&x->moved);
    pthread_mutex_unlock(&x->clock_mu);
}
