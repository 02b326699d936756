/* Waiters: a queue, and groups in flight in the order of their entries. */
#include "storage/raft/waiters.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct group {
    struct group *next;
    uint64_t index, term;
    struct waiter *list;
};

struct waiters {
    pthread_mutex_t mu;
    struct waiter *first, **end;   /* under mu, as all below */
    struct group *flying, **last;
    size_t n_flying;
};

struct waiters *waiters_new(void)
{
    struct waiters *w = calloc(1, sizeof *w);
    if (w == NULL)
        return NULL;
    pthread_mutex_init(&w->mu, NULL);
    w->end = &w->first;
    w->last = &w->flying;
    return w;
}

void waiters_free(struct waiters *w)
{
    if (w == NULL)
        return;
    pthread_mutex_destroy(&w->mu);
    free(w);
}

void waiters_init(struct waiter *x, struct str payload, struct err *err)
{
    *x = (struct waiter){ .payload = payload, .err = err };
    sem_init(&x->done, 0, 0);
}

bool waiters_queue(struct waiters *w, struct waiter *x)
{
    pthread_mutex_lock(&w->mu);
    bool was_empty = w->first == NULL;
    x->next = NULL;
    *w->end = x;
    w->end = &x->next;
    pthread_mutex_unlock(&w->mu);
    return was_empty;
}

int waiters_wait(struct waiter *x)
{
    while (sem_wait(&x->done) < 0 && errno == EINTR)
        ;
    sem_destroy(&x->done);
    return x->rc;
}

struct waiter *waiters_take(struct waiters *w, size_t max)
{
    size_t bytes = 0;
    pthread_mutex_lock(&w->mu);
    struct waiter *list = w->first, **end = &w->first;
    while (*end != NULL && (bytes == 0 || bytes + (*end)->payload.n <= max || max == SIZE_MAX)) {
        bytes += (*end)->payload.n;
        end = &(*end)->next;
    }
    w->first = *end;
    *end = NULL;
    if (w->first == NULL)
        w->end = &w->first;
    pthread_mutex_unlock(&w->mu);
    return list;
}

bool waiters_queued(struct waiters *w)
{
    pthread_mutex_lock(&w->mu);
    bool some = w->first != NULL;
    pthread_mutex_unlock(&w->mu);
    return some;
}

static void tell(struct waiter *list, int rc, enum err_code code, const char *text)
{
    for (struct waiter *next; list != NULL; list = next) {
        next = list->next;
        list->rc = rc;
        if (rc < 0)
            err_set(list->err, code, "%s", text);
        sem_post(&list->done);
    }
}

void waiters_fail(struct waiter *list, enum err_code code, const char *text)
{
    tell(list, -1, code, text);
}

void waiters_fly(struct waiters *w, struct waiter *list, uint64_t index, uint64_t term)
{
    struct group *g = calloc(1, sizeof *g);
    if (g == NULL) {
        waiters_fail(list, ERR_TIMEOUT, "out of memory: the outcome of the write is not known");
        return;
    }
    *g = (struct group){ NULL, index, term, list };
    for (struct waiter *x = list; x != NULL; x = x->next)
        x->index = index;
    pthread_mutex_lock(&w->mu);
    *w->last = g;
    w->last = &g->next;
    w->n_flying++;
    pthread_mutex_unlock(&w->mu);
}

size_t waiters_flying(struct waiters *w)
{
    pthread_mutex_lock(&w->mu);
    size_t n = w->n_flying;
    pthread_mutex_unlock(&w->mu);
    return n;
}

bool waiters_waits(struct waiters *w, uint64_t index, uint64_t term)
{
    bool waits = false;
    pthread_mutex_lock(&w->mu);
    for (struct group *g = w->flying; g != NULL && !waits; g = g->next)
        waits = g->index == index && g->term == term;
    pthread_mutex_unlock(&w->mu);
    return waits;
}

/* Groups up to ${index}, in order: after a change of leaders two may wait for one index. */
static struct group *take_flying(struct waiters *w, uint64_t index)
{
    struct group *taken = NULL, **end = &taken;
    pthread_mutex_lock(&w->mu);
    for (struct group **at = &w->flying; *at != NULL;) {
        struct group *g = *at;
        if (g->index > index) {
            at = &g->next;
            continue;
        }
        *at = g->next;
        g->next = NULL;
        *end = g;
        end = &g->next;
        w->n_flying--;
    }
    w->last = &w->flying;
    while (*w->last != NULL)
        w->last = &(*w->last)->next;
    pthread_mutex_unlock(&w->mu);
    return taken;
}

static void tell_unknown(struct group *g)
{
    for (struct group *next; g != NULL; g = next) {
        next = g->next;
        tell(g->list, -1, ERR_TIMEOUT, "the outcome of the write is not known");
        free(g);
    }
}

void waiters_skipped(struct waiters *w, uint64_t index)
{
    tell_unknown(take_flying(w, index));
}

void waiters_decided(struct waiters *w, uint64_t index, uint64_t term)
{
    for (struct group *next, *g = take_flying(w, index); g != NULL; g = next) {
        next = g->next;
        if (g->index < index)
            tell(g->list, -1, ERR_TIMEOUT, "the outcome of the write is not known");
        else if (g->term == term)
            tell(g->list, 0, ERR_NONE, "");
        else
            tell(g->list, -1, ERR_STANDBY, "this node lost its leadership; nothing was written");
        free(g);
    }
}

void waiters_fail_queued(struct waiters *w, enum err_code code, const char *text)
{
    waiters_fail(waiters_take(w, SIZE_MAX), code, text);
}

void waiters_fail_flying(struct waiters *w, enum err_code code, const char *text)
{
    for (struct group *next, *g = take_flying(w, UINT64_MAX); g != NULL; g = next) {
        next = g->next;
        tell(g->list, -1, code, text);
        free(g);
    }
}
