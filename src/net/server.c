/* The server: its loops, workers and listeners, and how it starts and ends. */
#include "net/http.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "net/conn.h"
#include "net/exchange.h"
#include "net/http2.h"
#include "net/listener.h"
#include "net/serve1.h"
#include "net/workers.h"

enum { MOST_LOOPS = 4, DEFAULT_WORKERS = 512 };

struct http_server {
    http_handler *handler;
    void *ctx;
    struct workers *workers;
    struct loop *loops;
    int n_loops;
    bool drained;
    pthread_mutex_t mu; /* all below */
    pthread_cond_t emptied;
    int busy_loops; /* that still have connections while draining */
    struct http_listener *listeners;
};

/* The protocol that the client asked for in its TLS hello; plain ones begin with HTTP/1. */
static void established(struct conn *c)
{
    if (c->tls != NULL && tls_is_http2(c->tls))
        http2_open(c, STR(""));
    else
        serve1_open(c);
}

static int count_loops(int asked)
{
    if (asked > 0)
        return asked;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : cores > MOST_LOOPS ? MOST_LOOPS : (int)cores;
}

static void server_drop(struct http_server **s)
{
    http_server_free(*s);
}

int http_server_new(const struct http_server_config *config, struct http_server **out,
                    struct err *err)
{
    AUTO(server_drop) struct http_server *s = calloc(1, sizeof *s);
    if (s == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->mu, NULL);
    pthread_cond_init(&s->emptied, &mono);
    pthread_condattr_destroy(&mono);
    s->handler = config->handler;
    s->ctx = config->ctx;
    s->workers = workers_new(config->max_workers > 0 ? config->max_workers : DEFAULT_WORKERS);
    int n = count_loops(config->loops);
    s->loops = calloc((size_t)n, sizeof *s->loops);
    if (s->workers == NULL || s->loops == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    for (; s->n_loops < n; s->n_loops++)
        TRY(loop_start(&s->loops[s->n_loops], &conn_hooks, err));
    *out = s;
    s = NULL;
    return 0;
}

int http_listen(struct http_server *s, const struct http_listener_config *config,
                const struct http_listener **out, struct err *err)
{
    struct http_listener *l;
    TRY(listener_open(config, &l, err));
    l->site.handler = s->handler;
    l->site.ctx = s->ctx;
    l->site.workers = s->workers;
    l->site.established = established;
    if (out != NULL)
        *out = l;
    pthread_mutex_lock(&s->mu);
    l->next = s->listeners;
    s->listeners = l;
    pthread_mutex_unlock(&s->mu);
    listener_start(l, s->loops, s->n_loops);
    return 0;
}

void *http_listener_user(const struct http_listener *l)
{
    return l->site.user;
}

struct str http_listener_address(const struct http_listener *l)
{
    return l->address;
}

/* All are read before one is swapped, so that a bad file changes nothing. */
int http_server_reload_tls(struct http_server *s, struct err *err)
{
    pthread_mutex_lock(&s->mu);
    int rc = 0;
    for (struct http_listener *l = s->listeners; l != NULL && rc == 0; l = l->next)
        if (l->site.tls != NULL)
            rc = tls_site_read(l->site.tls, err);
    for (struct http_listener *l = s->listeners; l != NULL; l = l->next)
        if (l->site.tls != NULL)
            tls_site_swap(l->site.tls, rc == 0);
    pthread_mutex_unlock(&s->mu);
    return rc;
}

/* Told to every loop when the server ends. */
struct drain_note {
    struct note note;
    struct http_server *server;
    struct loop *loop;
};

static void on_loop_empty(void *ctx)
{
    struct drain_note *d = ctx;
    d->loop->on_empty = NULL;
    pthread_mutex_lock(&d->server->mu);
    d->server->busy_loops--;
    pthread_cond_signal(&d->server->emptied);
    pthread_mutex_unlock(&d->server->mu);
}

static void on_drain(struct note *n)
{
    struct drain_note *d = (struct drain_note *)n;
    if (d->loop == d->server->loops) {
        /* Only the main thread, which waits for us, changes the list now. */
        for (struct http_listener *l = d->server->listeners; l != NULL; l = l->next)
            listener_stop(l);
    }
    d->loop->on_empty = on_loop_empty;
    d->loop->on_empty_ctx = d;
    conn_drain_all(d->loop);
}

/* Wait until no loop has a connection, for at most ${ms}. */
static void wait_until_empty(struct http_server *s, int ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&s->mu);
    while (s->busy_loops > 0 && pthread_cond_timedwait(&s->emptied, &s->mu, &until) == 0)
        ;
    pthread_mutex_unlock(&s->mu);
}

static void on_close_all(struct note *n)
{
    conn_hooks.close_all(((struct drain_note *)n)->loop);
}

void http_server_drain(struct http_server *s, int ms)
{
    if (s->drained)
        return;
    s->drained = true;
    struct drain_note *drain = calloc((size_t)s->n_loops * 2 + 1, sizeof *drain);
    struct drain_note *closing = drain + s->n_loops;
    if (drain != NULL) {
        s->busy_loops = s->n_loops;
        for (int i = 0; i < s->n_loops; i++) {
            drain[i] = (struct drain_note){ { .run = on_drain }, s, &s->loops[i] };
            closing[i] = (struct drain_note){ { .run = on_close_all }, s, &s->loops[i] };
            loop_post(&s->loops[i], &drain[i].note);
        }
        wait_until_empty(s, ms);
        /* Writers of streams that wait for room, and for clients, are let go. */
        for (int i = 0; i < s->n_loops; i++)
            loop_post(&s->loops[i], &closing[i].note);
    }
    /* The loops outlive the workers, whose answers still come in. */
    workers_free(s->workers);
    s->workers = NULL;
    for (int i = 0; i < s->n_loops; i++)
        loop_stop(&s->loops[i]);
    free(drain);
}

void http_server_free(struct http_server *s)
{
    if (s == NULL)
        return;
    http_server_drain(s, 0);
    workers_free(s->workers);
    for (int i = 0; i < s->n_loops; i++) {
        exchange_free_spares(&s->loops[i]);
        loop_fini(&s->loops[i]);
    }
    while (s->listeners != NULL) {
        struct http_listener *next = s->listeners->next;
        listener_free(s->listeners);
        s->listeners = next;
    }
    free(s->loops);
    pthread_cond_destroy(&s->emptied);
    pthread_mutex_destroy(&s->mu);
    free(s);
}
