/* One thread: rotates the barrier's key when it is due and lets engines tidy up. */
#include "core/housekeeping.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/epoch.h"
#include "base/log.h"
#include "base/random.h"
#include "core/counters.h"

static const struct log lg = { "core" };

enum { PERIOD_S = 60 };

struct housekeeping {
    const struct active *on;
    pthread_t thread;
    pthread_mutex_t mu;
    pthread_cond_t ended;
    bool ending; /* under mu */
};

static void rotate(const struct active *on)
{
    struct err err = { 0 };
    int done = barrier_rotate_if_due(on->barrier, clock_now_ns(on->settings->clock), &err);
    if (done < 0)
        LOG(&lg, ERROR, "automatic key rotation failed: error=%s", err.msg);
    else if (done > 0)
        LOG(&lg, INFO, "automatic barrier rotation: done");
}

static void count(const struct active *on)
{
    struct err err = { 0 };
    if (counters_flush(on->counters, &err) < 0)
        LOG(&lg, WARN, "failed to store how many requests there were: error=%s", err.msg);
}

static void tick_mount(const struct active *on, const struct mount *m)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    char id[37];
    if (a == NULL || m->engine == NULL || m->engine->tick == NULL || m->tainted)
        return;
    random_uuid(id);
    struct request req = {
        .arena = a,
        .id = str_of(id),
        .op = OP_ROLLBACK,
        .path = m->full_path,
        .data = json_object(a),
        .now_ns = clock_now_ns(on->settings->clock),
        .may_block = true,
        .mount_path = m->full_path,
        .mount_type = m->type,
        .mount_accessor = m->accessor,
        .storage = m->view,
        .backend = m->state,
        .sys = m->sys,
        .mount = m,
    };
    if (m->engine->tick(m->state, &req) < 0)
        LOG(&lg, ERROR, "periodic work of a mount failed: path=" STR_FMT " error=%s",
            STR_ARG(m->full_path), req.err.msg);
}

static void tick_all(const struct active *on, bool auth)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    const struct mount **list;
    struct err err = { 0 };
    size_t n;
    epoch_enter();
    if (a != NULL && mounts_list(on->mounts, a, auth, &list, &n, &err) == 0)
        for (size_t i = 0; i < n; i++)
            tick_mount(on, list[i]);
    epoch_leave();
}

static void *run(void *ctx)
{
    struct housekeeping *h = ctx;
    pthread_mutex_lock(&h->mu);
    while (!h->ending) {
        struct timespec next;
        clock_gettime(CLOCK_REALTIME, &next);
        next.tv_sec += PERIOD_S;
        if (pthread_cond_timedwait(&h->ended, &h->mu, &next) == 0)
            continue;
        pthread_mutex_unlock(&h->mu);
        rotate(h->on);
        count(h->on);
        tick_all(h->on, false);
        tick_all(h->on, true);
        pthread_mutex_lock(&h->mu);
    }
    pthread_mutex_unlock(&h->mu);
    return NULL;
}

int housekeeping_new(const struct active *on, struct housekeeping **out, struct err *err)
{
    struct housekeeping *h = calloc(1, sizeof *h);
    if (h == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    h->on = on;
    pthread_mutex_init(&h->mu, NULL);
    pthread_cond_init(&h->ended, NULL);
    if (pthread_create(&h->thread, NULL, run, h) != 0) {
        free(h);
        return err_set(err, ERR_NOMEM, "no thread for housekeeping");
    }
    *out = h;
    return 0;
}

void housekeeping_free(struct housekeeping *h)
{
    if (h == NULL)
        return;
    pthread_mutex_lock(&h->mu);
    h->ending = true;
    pthread_cond_signal(&h->ended);
    pthread_mutex_unlock(&h->mu);
    pthread_join(h->thread, NULL);
    pthread_mutex_destroy(&h->mu);
    pthread_cond_destroy(&h->ended);
    free(h);
}
