/* A gate of many lanes, so that readers do not meet in one cache line. */
#include "storage/gate.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 128 };

struct gate_slot {
    _Alignas(64) atomic_int inside;
    _Atomic(void *) idle;
    atomic_uint passed;
};

struct gate {
    struct gate_slot slots[SLOTS];
    _Alignas(64) atomic_bool shut;
    void (*drop)(void *handle);
    pthread_mutex_t mu;
    pthread_cond_t changed; /* under mu: the gate opened, or somebody left while it was shut */
};

struct gate *gate_new(void (*drop)(void *handle))
{
    struct gate *g = aligned_alloc(_Alignof(struct gate), sizeof *g);
    if (g == NULL)
        return NULL;
    memset(g, 0, sizeof *g);
    g->drop = drop;
    pthread_mutex_init(&g->mu, NULL);
    pthread_cond_init(&g->changed, NULL);
    return g;
}

static void drop_all(struct gate *g)
{
    for (size_t i = 0; i < SLOTS; i++) {
        void *handle = atomic_exchange(&g->slots[i].idle, NULL);
        if (handle != NULL)
            g->drop(handle);
    }
}

void gate_free(struct gate *g)
{
    if (g == NULL)
        return;
    drop_all(g);
    pthread_cond_destroy(&g->changed);
    pthread_mutex_destroy(&g->mu);
    free(g);
}

/* A thread comes back to the same slot: what it needs is in its cache. */
static struct gate_slot *own_slot(struct gate *g)
{
    uint64_t h = (uint64_t)(uintptr_t)pthread_self() * 0x9E3779B97F4A7C15u;
    return &g->slots[h >> 57];
}

static void step_out(struct gate *g, struct gate_slot *slot)
{
    atomic_fetch_sub(&slot->inside, 1);
    if (!atomic_load(&g->shut))
        return;
    pthread_mutex_lock(&g->mu);
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->mu);
}

void gate_enter(struct gate *g, struct gate_pass *pass)
{
    pass->slot = own_slot(g);
    for (;;) {
        /* Either the owner sees us inside, or we see the gate shut. */
        atomic_fetch_add(&pass->slot->inside, 1);
        if (!atomic_load(&g->shut))
            break;
        step_out(g, pass->slot);
        pthread_mutex_lock(&g->mu);
        while (atomic_load(&g->shut))
            pthread_cond_wait(&g->changed, &g->mu);
        pthread_mutex_unlock(&g->mu);
    }
    pass->handle = atomic_exchange(&pass->slot->idle, NULL);
    pass->number = atomic_fetch_add_explicit(&pass->slot->passed, 1, memory_order_relaxed) + 1;
}

void gate_leave(struct gate *g, struct gate_pass *pass)
{
    void *none = NULL;
    if (pass->handle != NULL &&
        !atomic_compare_exchange_strong(&pass->slot->idle, &none, pass->handle))
        g->drop(pass->handle);
    step_out(g, pass->slot);
}

static bool anybody(const struct gate *g)
{
    for (size_t i = 0; i < SLOTS; i++)
        if (atomic_load(&g->slots[i].inside) != 0)
            return true;
    return false;
}

void gate_shut(struct gate *g)
{
    pthread_mutex_lock(&g->mu);
    atomic_store(&g->shut, true);
    while (anybody(g))
        pthread_cond_wait(&g->changed, &g->mu);
    pthread_mutex_unlock(&g->mu);
    drop_all(g);
}

void gate_open(struct gate *g)
{
    pthread_mutex_lock(&g->mu);
    atomic_store(&g->shut, false);
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->mu);
}
