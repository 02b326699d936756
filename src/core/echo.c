/* One thread, one link, one small request at a time. */
#include "core/echo.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/version.h"
#include "codec/json.h"
#include "net/answer1.h"
#include "net/forwarder.h"
#include "storage/ha.h"

static const struct log lg = { "core" };

enum { WAIT_MS = 2000, AGAIN_MS = 1000, STEP = 4096 };

struct echo {
    const struct core_settings *settings;
    struct buf body; /* immutable */
    pthread_t thread;

    pthread_mutex_t mu;
    pthread_cond_t changed;
    bool ending, news;             /* under mu, as all below */
    char target[HA_NAME_MAX];      /* empty: nobody */
    struct link *link;             /* the thread's; others only shut it */

    /* The thread's own. */
    struct buf in;
    char linked[HA_NAME_MAX];      /* where the link leads */
};

/* ---- one request ---- */

static int read_more(void *ctx, struct buf *in, struct err *err)
{
    struct echo *e = ctx;
    if (buf_reserve(in, STEP) < 0)
        return err_set(err, ERR_NOMEM, "out of memory");
    long n = link_read(e->link, in->p + in->n, STEP, err);
    if (n > 0)
        in->n += (size_t)n;
    return n > 0 ? 1 : (int)n;
}

static int drop_part(void *ctx, struct str part, struct err *err)
{
    return 0;
}

static void set_link(struct echo *e, struct link *link)
{
    pthread_mutex_lock(&e->mu);
    struct link *old = e->link;
    e->link = link;
    bool ending = e->ending;
    pthread_mutex_unlock(&e->mu);
    link_free(old);
    if (link != NULL && ending)
        link_shut(link);
    buf_clear(&e->in);
}

static int reach(struct echo *e, const char *target, struct err *err)
{
    struct link *link;
    if (e->link != NULL && strcmp(e->linked, target) == 0 && link_is_quiet(e->link))
        return 0;
    set_link(e, NULL);
    TRY(link_dial(e->settings->creds, str_of(target), FORWARDER_ALPN, WAIT_MS, &link, err));
    link_set_timeout(link, WAIT_MS);
    snprintf(e->linked, sizeof e->linked, "%s", target);
    set_link(e, link);
    return 0;
}

static int ask(struct echo *e, const char *target, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 }, lines = { 0 };
    struct answer1 answer = { .more = read_more, .ctx = e, .in = &e->in, .err = err };
    buf_printf(&text, "PUT /v1/" ECHO_PATH " HTTP/1.1\r\nHost: %s\r\n"
                      "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n" STR_FMT,
               target, e->body.n, STR_ARG(buf_str(&e->body)));
    TRY(buf_check(&text, err));
    TRY(reach(e, target, err));
    TRY(link_write(e->link, text.p, text.n, err));
    TRY(answer1_head(&answer, &lines));
    TRY(answer1_body(&answer, drop_part, NULL));
    buf_clear(&e->in);
    if (!answer.keep)
        set_link(e, NULL);
    /* One of an earlier version does not know the path: it goes without. */
    return answer.status < 500 ? 0
                               : err_set(err, ERR_UPSTREAM, "answered with %d", answer.status);
}

/* In how many milliseconds the next one is due. */
static int tell_once(struct echo *e, const char *target)
{
    struct err err = { 0 };
    if (ask(e, target, &err) == 0)
        return ECHO_PERIOD_MS;
    LOG(&lg, DEBUG, "failed to tell the active node of this one: address=%s error=%s", target,
        err.msg);
    set_link(e, NULL);
    return AGAIN_MS;
}

/* ---- its thread ---- */

static struct timespec in_ms(int ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_nsec -= 1000000000;
        t.tv_sec++;
    }
    return t;
}

/* Under mu. */
static void wait_until_due(struct echo *e, int ms)
{
    struct timespec due = in_ms(ms);
    int rc = 0;
    while (!e->ending && !e->news && rc == 0)
        rc = e->target[0] == 0 ? pthread_cond_wait(&e->changed, &e->mu)
                               : pthread_cond_timedwait(&e->changed, &e->mu, &due);
}

static void *run(void *ctx)
{
    struct echo *e = ctx;
    char target[HA_NAME_MAX];
    int ms = ECHO_PERIOD_MS;
    pthread_mutex_lock(&e->mu);
    for (;;) {
        wait_until_due(e, ms);
        if (e->ending)
            break;
        e->news = false;
        memcpy(target, e->target, sizeof target);
        pthread_mutex_unlock(&e->mu);
        if (target[0] == 0)
            set_link(e, NULL);
        else
            ms = tell_once(e, target);
        pthread_mutex_lock(&e->mu);
    }
    pthread_mutex_unlock(&e->mu);
    return NULL;
}

/* ---- life ---- */

static int describe(struct echo *e, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    const struct core_settings *s = e->settings;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    struct json *o = json_object(a);
    json_put_str(o, "hostname", s->hostname);
    json_put_str(o, "api_address", s->api_addr);
    json_put_str(o, "cluster_address", s->cluster_addr);
    json_put_text(o, "version", VERSION_API);
    TRY(arena_check(a, err));
    json_print(o, &e->body);
    return buf_check(&e->body, err);
}

static void release(struct echo *e)
{
    link_free(e->link);
    buf_free(&e->in);
    buf_free(&e->body);
    pthread_cond_destroy(&e->changed);
    pthread_mutex_destroy(&e->mu);
    free(e);
}

int echo_new(const struct core_settings *settings, struct echo **out, struct err *err)
{
    pthread_condattr_t clock;
    struct echo *e = calloc(1, sizeof *e);
    if (e == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    e->settings = settings;
    pthread_mutex_init(&e->mu, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&e->changed, &clock);
    pthread_condattr_destroy(&clock);
    if (describe(e, err) < 0) {
        release(e);
        return -1;
    }
    if (pthread_create(&e->thread, NULL, run, e) != 0) {
        release(e);
        return err_set(err, ERR_NOMEM, "no thread to tell the active node of this one");
    }
    *out = e;
    return 0;
}

void echo_free(struct echo *e)
{
    if (e == NULL)
        return;
    pthread_mutex_lock(&e->mu);
    e->ending = true;
    if (e->link != NULL)
        link_shut(e->link);
    pthread_cond_signal(&e->changed);
    pthread_mutex_unlock(&e->mu);
    pthread_join(e->thread, NULL);
    release(e);
}

void echo_tell(struct echo *e, struct str cluster_addr)
{
    char target[HA_NAME_MAX] = "";
    if (cluster_addr.n < sizeof target && cluster_addr.n > 0)
        memcpy(target, cluster_addr.p, cluster_addr.n);
    pthread_mutex_lock(&e->mu);
    if (memcmp(target, e->target, sizeof target) != 0) {
        memcpy(e->target, target, sizeof target);
        e->news = true;
        pthread_cond_signal(&e->changed);
    }
    pthread_mutex_unlock(&e->mu);
}
