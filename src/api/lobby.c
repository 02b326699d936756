/* One thread, woken by what is new in the cluster and by who comes in. */
#include "api/lobby.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { GRACE_MS = 1500 }; /* an earlier leader answers what it had begun within that, or never */

static const int64_t NEVER = INT64_MAX;

struct guest {
    struct guest *next;
    struct http_exchange *x;
    uint64_t after;
    int64_t until_ms; /* monotonic */
};

struct lobby {
    struct service *service;
    struct forwarder *forwarder;
    lobby_resume_fn *resume;
    void *ctx;
    pthread_t thread;
    /* The thread's own. */
    char leader[HA_NAME_MAX]; /* where calls go now */
    int64_t leave_ms;         /* when those to others are given up; NEVER: done */

    pthread_mutex_t mu;
    struct guest *first; /* under mu */
    bool ending;         /* under mu */
};

static int64_t mono_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Take those off the list whose wait is over; ${next_ms} gets when the next one's will be. */
static struct guest *take_ready(struct lobby *l, bool known, bool self, uint64_t term,
                                int64_t *next_ms, bool *ending)
{
    struct guest *ready = NULL, **end = &ready;
    int64_t now = mono_ms();
    *next_ms = NEVER;
    pthread_mutex_lock(&l->mu);
    *ending = l->ending;
    for (struct guest **at = &l->first; *at != NULL;) {
        struct guest *g = *at;
        if (l->ending || g->until_ms <= now || (known && (self || term > g->after))) {
            *at = g->next;
            g->next = NULL;
            *end = g;
            end = &g->next;
            continue;
        }
        if (g->until_ms < *next_ms)
            *next_ms = g->until_ms;
        at = &g->next;
    }
    pthread_mutex_unlock(&l->mu);
    return ready;
}

static void resume_all(struct lobby *l, struct guest *g)
{
    while (g != NULL) {
        struct guest *next = g->next;
        http_offload(g->x, l->resume, l->ctx);
        free(g);
        g = next;
    }
}

/* A leader that stands still keeps its callers waiting, though another one has its place. */
static void leave_others(struct lobby *l, bool known, const struct service_leader *leader)
{
    int64_t now = mono_ms();
    if (l->forwarder == NULL)
        return;
    if (known && strcmp(l->leader, leader->cluster_addr) != 0) {
        memcpy(l->leader, leader->cluster_addr, sizeof l->leader);
        l->leave_ms = now + GRACE_MS;
    }
    if (now < l->leave_ms)
        return;
    forwarder_leave(l->forwarder, str_of(l->leader));
    l->leave_ms = NEVER;
}

static void *watch(void *ctx)
{
    struct lobby *l = ctx;
    uint64_t news = 0;
    for (bool ending = false; !ending;) {
        struct service_leader leader = { 0 };
        struct err err = { 0 };
        uint64_t term = 0;
        int64_t next;
        service_news(l->service, &news);
        bool known = service_wait_leader(l->service, 0, 0, &leader, &term, &err) == 0
                     || err.code == ERR_SEALED;
        resume_all(l, take_ready(l, known, leader.self || err.code == ERR_SEALED, term, &next,
                                 &ending));
        leave_others(l, known && err.code != ERR_SEALED, &leader);
        if (l->leave_ms < next)
            next = l->leave_ms;
        if (!ending)
            service_wait_news(l->service, news, next == NEVER ? -1 : next - mono_ms());
    }
    return NULL;
}

int lobby_new(struct service *service, struct forwarder *forwarder, lobby_resume_fn *resume,
              void *ctx, struct lobby **out, struct err *err)
{
    struct lobby *l = calloc(1, sizeof *l);
    if (l == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    *l = (struct lobby){ .service = service, .forwarder = forwarder, .resume = resume, .ctx = ctx,
                         .leave_ms = NEVER };
    pthread_mutex_init(&l->mu, NULL);
    if (pthread_create(&l->thread, NULL, watch, l) != 0) {
        pthread_mutex_destroy(&l->mu);
        free(l);
        return err_set(err, ERR_NOMEM, "no thread for requests that wait for a leader");
    }
    *out = l;
    return 0;
}

void lobby_free(struct lobby *l)
{
    if (l == NULL)
        return;
    lobby_end(l);
    pthread_join(l->thread, NULL);
    pthread_mutex_destroy(&l->mu);
    free(l);
}

bool lobby_wait(struct lobby *l, struct http_exchange *x, uint64_t after, int64_t ms)
{
    struct guest *g = malloc(sizeof *g);
    if (g == NULL)
        return false;
    *g = (struct guest){ NULL, x, after, mono_ms() + ms };
    pthread_mutex_lock(&l->mu);
    bool open = !l->ending;
    if (open) {
        g->next = l->first;
        l->first = g;
    }
    pthread_mutex_unlock(&l->mu);
    if (!open)
        free(g);
    else
        service_nudge(l->service); /* what was new before it came in is looked at once more */
    return open;
}

void lobby_end(struct lobby *l)
{
    if (l == NULL)
        return;
    pthread_mutex_lock(&l->mu);
    l->ending = true;
    pthread_mutex_unlock(&l->mu);
    service_nudge(l->service);
}
