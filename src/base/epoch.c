/* Reclamation by epochs: a slot a thread, a list of what waits. */
#include "base/epoch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

/* One cache line a thread. A slot is never released, but reused after its thread ends. */
struct slot {
    _Alignas(64) _Atomic uint64_t seen; /* epoch in which the thread reads; 0: it does not */
    atomic_bool taken;
    struct slot *next;
    unsigned depth; /* the thread's own */
};

struct waiting {
    struct waiting *next;
    uint64_t since;
    void *object;
    void (*release)(void *);
};

static _Atomic uint64_t now = 1;
static _Atomic(struct slot *) slots;
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static struct waiting *queue, **queue_end = &queue; /* under mu; oldest first */

static pthread_key_t thread_end;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local struct slot *mine;

static void give_back(void *p)
{
    struct slot *s = p;
    atomic_store(&s->seen, 0);
    atomic_store(&s->taken, false);
}

static void make_key(void)
{
    (void)pthread_key_create(&thread_end, give_back);
}

static struct slot *slot_claim(void)
{
    for (struct slot *s = atomic_load(&slots); s != NULL; s = s->next) {
        bool no = false;
        if (atomic_compare_exchange_strong(&s->taken, &no, true))
            return s;
    }
    struct slot *s = aligned_alloc(_Alignof(struct slot), sizeof *s);
    if (s == NULL)
        abort(); /* a reader that cannot be seen would read freed memory */
    *s = (struct slot){ .taken = true };
    s->next = atomic_load(&slots);
    while (!atomic_compare_exchange_weak(&slots, &s->next, s))
        ;
    return s;
}

void epoch_enter(void)
{
    if (mine == NULL) {
        pthread_once(&once, make_key);
        mine = slot_claim();
        mine->depth = 0;
        pthread_setspecific(thread_end, mine);
    }
    if (mine->depth++ == 0) {
        atomic_store_explicit(&mine->seen, atomic_load(&now), memory_order_relaxed);
        /* The announcement must be seen before any pointer is read. */
        atomic_thread_fence(memory_order_seq_cst);
    }
}

void epoch_leave(void)
{
    if (--mine->depth == 0)
        atomic_store_explicit(&mine->seen, 0, memory_order_release);
}

/* The oldest epoch in which somebody reads; UINT64_MAX when nobody does. */
static uint64_t oldest_reader(void)
{
    uint64_t oldest = UINT64_MAX;
    atomic_thread_fence(memory_order_seq_cst);
    for (struct slot *s = atomic_load(&slots); s != NULL; s = s->next) {
        uint64_t seen = atomic_load(&s->seen);
        if (seen != 0 && seen < oldest)
            oldest = seen;
    }
    return oldest;
}

/* Cut what nobody can hold off the queue. Under mu. */
static struct waiting *due(void)
{
    uint64_t oldest = oldest_reader();
    struct waiting *first = queue, **end = &first;
    while (*end != NULL && (*end)->since < oldest)
        end = &(*end)->next;
    queue = *end;
    *end = NULL;
    if (queue == NULL)
        queue_end = &queue;
    return first;
}

static void release_all(struct waiting *w)
{
    while (w != NULL) {
        struct waiting *next = w->next;
        w->release(w->object);
        free(w);
        w = next;
    }
}

void epoch_retire(void *object, void (*release)(void *))
{
    if (object == NULL)
        return;
    struct waiting *w = malloc(sizeof *w);
    if (w == NULL)
        return; /* leaked rather than released too early */
    *w = (struct waiting){ .object = object, .release = release };
    pthread_mutex_lock(&mu);
    w->since = atomic_fetch_add(&now, 1);
    *queue_end = w;
    queue_end = &w->next;
    struct waiting *ready = due();
    pthread_mutex_unlock(&mu);
    release_all(ready);
}

void epoch_wait(void)
{
    uint64_t since = atomic_fetch_add(&now, 1);
    while (oldest_reader() <= since) {
        struct timespec pause = { 0, 50000 };
        nanosleep(&pause, NULL);
    }
    pthread_mutex_lock(&mu);
    struct waiting *ready = due();
    pthread_mutex_unlock(&mu);
    release_all(ready);
}
