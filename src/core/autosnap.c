/* One thread that sleeps until the next snapshot is due. */
#include "core/autosnap.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/metric.h"
#include "core/autosnap_config.h"
#include "core/snapfolder.h"
#include "core/snapshot.h"

static const struct log lg = { "storage.raft.autosnapshots" };

static const int64_t SECOND = 1000000000;

enum { TROUBLE_S = 10 }; /* until the next look, when the store could not be asked */

struct autosnap {
    struct autosnap_parts parts;
    atomic_bool end; /* what is under way is to be given up */
    pthread_t thread;
    pthread_mutex_t mu;
    pthread_cond_t woken;
    bool ending, look; /* under mu */
};

/* ---- one snapshot ---- */

static int add_part(void *ctx, struct str bytes, struct err *err)
{
    return snapfolder_add(ctx, bytes, err);
}

/* 0 also when an attempt of before had finished it. */
static int take(struct autosnap *p, struct arena *a, const struct snapfolder *f, int64_t begun_ns,
                struct err *err)
{
    struct snapfolder_file file;
    AUTO(metric_end) struct metric_timer timer = metric_start(METRIC_SNAPSHOTS_DURATION);
    int begun = snapfolder_begin(f, a, begun_ns, &file, err);
    if (begun <= 0)
        return begun;
    struct snapshot_parts parts = {
        .raft = p->parts.raft,
        .spool_dir = p->parts.spool_dir,
        .seal = p->parts.seal,
        .seal_ctx = p->parts.seal_ctx,
        .sink = add_part,
        .sink_ctx = &file,
        .end = &p->end,
    };
    int rc = snapshot_write(&parts, err);
    if (rc == 0)
        rc = snapfolder_finish(f, &file, err);
    snapfolder_drop(&file);
    return rc;
}

static void tidy(const struct autosnap_config *c, const struct snapfolder *f)
{
    struct snapfolder_usage usage;
    struct err err = { 0 };
    AUTO(metric_end) struct metric_timer timer = metric_start(METRIC_SNAPSHOTS_ROTATE);
    if (snapfolder_prune(f, c->retain, &usage, &err) < 0) {
        LOG(&lg, ERROR, "failed to remove old snapshots: error=%s", err.msg);
        return;
    }
    metric_gauge(METRIC_SNAPSHOTS_IN_STORAGE, (double)usage.n);
    metric_gauge(METRIC_SNAPSHOTS_TOTAL_SIZE, (double)usage.bytes);
    metric_gauge(METRIC_SNAPSHOTS_PERCENT_USED,
                 100 * (double)usage.bytes / (double)c->local_max_space);
}

static int64_t now_of(const struct autosnap *p)
{
    return clock_now_ns(p->parts.clock);
}

static void tell(struct str name, const struct autosnap_state *s)
{
    if (s->last_error.n == 0) {
        metric_gauge(METRIC_SNAPSHOTS_LAST_SUCCESS, (double)(s->last_end_ns / SECOND));
        LOG(&lg, INFO, "took a snapshot: name=" STR_FMT " url=" STR_FMT " ms=%lld", STR_ARG(name),
            STR_ARG(s->last_url), (long long)((s->last_end_ns - s->last_start_ns) / 1000000));
        return;
    }
    metric_count(METRIC_SNAPSHOTS_ERRORS, 1);
    LOG(&lg, ERROR, "failed to take a snapshot: name=" STR_FMT " error=" STR_FMT, STR_ARG(name),
        STR_ARG(s->last_error));
}

/* What was deleted meanwhile leaves no state behind. */
static int forget_deleted(struct autosnap *p, struct arena *a, struct str name, struct err *err)
{
    struct autosnap_config c;
    int found = autosnap_config_load(p->parts.plain, a, name, &c, err);
    return found == 0 ? autosnap_config_delete(p->parts.plain, name, err) : found < 0 ? -1 : 0;
}

/*
 * The beginning is written down before anything is done, the end after it: whoever becomes active
 * in between makes the same snapshot, of the same name, and none twice.
 */
static int attempt(struct autosnap *p, struct arena *a, struct str name,
                   const struct autosnap_config *c, struct autosnap_state *s, struct err *err)
{
    struct snapfolder f = { c->path_prefix, c->file_prefix, c->local_max_space };
    struct err why = { 0 };
    if (!autosnap_was_cut(s))
        s->begun_ns = now_of(p);
    const char *file = snapfolder_name(&f, a, s->begun_ns);
    s->url = arena_printf(a, "file://%s", file == NULL ? "" : file);
    TRY(arena_check(a, err));
    TRY(autosnap_state_store(p->parts.plain, name, s, err));
    if (take(p, a, &f, s->begun_ns, &why) < 0 && atomic_load(&p->end))
        return err_set(err, ERR_STANDBY, "given up");
    s->last_start_ns = s->begun_ns;
    s->last_end_ns = now_of(p);
    s->last_url = why.code == ERR_NONE ? s->url : s->last_url;
    s->last_error = arena_dup(a, err_text(&why));
    TRY(arena_check(a, err));
    TRY(autosnap_state_store(p->parts.plain, name, s, err));
    TRY(forget_deleted(p, a, name, err));
    tell(name, s);
    if (why.code == ERR_NONE)
        tidy(c, &f);
    return 0;
}

/* ---- its thread ---- */

/* ${next_ns} becomes earlier when this one is due earlier. */
static int follow(struct autosnap *p, struct arena *a, struct str name, int64_t *next_ns,
                  struct err *err)
{
    struct autosnap_config c;
    struct autosnap_state s;
    int found = autosnap_config_load(p->parts.plain, a, name, &c, err);
    if (found <= 0)
        return found;
    TRY(autosnap_state_load(p->parts.plain, a, name, &s, err));
    if (autosnap_due_ns(&c, &s, now_of(p)) <= now_of(p))
        TRY(attempt(p, a, name, &c, &s, err));
    int64_t due = autosnap_due_ns(&c, &s, now_of(p));
    if (due < *next_ns)
        *next_ns = due;
    return 0;
}

/* All that is due; when the next one is. */
static int64_t look(struct autosnap *p)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct strs names = { 0 };
    struct err err = { 0 };
    int64_t next_ns = INT64_MAX, trouble_ns = now_of(p) + (int64_t)TROUBLE_S * SECOND;
    if (a == NULL || autosnap_config_names(p->parts.plain, a, &names, &err) < 0) {
        LOG(&lg, DEBUG, "cannot tell which snapshots are due: error=%s", err.msg);
        return trouble_ns;
    }
    for (size_t i = 0; i < names.n && !atomic_load(&p->end); i++) {
        err = (struct err){ 0 };
        if (follow(p, a, names.v[i], &next_ns, &err) == 0)
            continue;
        /* Not being active any more is what the next active node goes on from. */
        if (err.code != ERR_STANDBY)
            LOG(&lg, ERROR, "cannot follow a schedule: name=" STR_FMT " error=%s",
                STR_ARG(names.v[i]), err.msg);
        if (trouble_ns < next_ns)
            next_ns = trouble_ns;
    }
    return next_ns;
}

/* Under mu; until the wall clock says so, also when it is set. */
static void sleep_until(struct autosnap *p, int64_t ns)
{
    struct timespec due = { ns / SECOND, ns % SECOND };
    int rc = 0;
    while (!p->ending && !p->look && rc == 0)
        rc = ns == INT64_MAX ? pthread_cond_wait(&p->woken, &p->mu)
                             : pthread_cond_timedwait(&p->woken, &p->mu, &due);
}

static void *run(void *ctx)
{
    struct autosnap *p = ctx;
    pthread_mutex_lock(&p->mu);
    while (!p->ending) {
        p->look = false;
        pthread_mutex_unlock(&p->mu);
        int64_t next_ns = look(p);
        pthread_mutex_lock(&p->mu);
        sleep_until(p, next_ns);
    }
    pthread_mutex_unlock(&p->mu);
    return NULL;
}

int autosnap_new(const struct autosnap_parts *parts, struct autosnap **out, struct err *err)
{
    struct autosnap *p = calloc(1, sizeof *p);
    if (p == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    p->parts = *parts;
    pthread_mutex_init(&p->mu, NULL);
    pthread_cond_init(&p->woken, NULL);
    if (pthread_create(&p->thread, NULL, run, p) != 0) {
        free(p);
        return err_set(err, ERR_NOMEM, "no thread for scheduled snapshots");
    }
    *out = p;
    return 0;
}

void autosnap_wake(struct autosnap *p)
{
    if (p == NULL)
        return;
    pthread_mutex_lock(&p->mu);
    p->look = true;
    pthread_cond_signal(&p->woken);
    pthread_mutex_unlock(&p->mu);
}

void autosnap_free(struct autosnap *p)
{
    if (p == NULL)
        return;
    atomic_store(&p->end, true);
    pthread_mutex_lock(&p->mu);
    p->ending = true;
    pthread_cond_signal(&p->woken);
    pthread_mutex_unlock(&p->mu);
    pthread_join(p->thread, NULL);
    metric_gauge_end(METRIC_SNAPSHOTS_IN_STORAGE);
    metric_gauge_end(METRIC_SNAPSHOTS_TOTAL_SIZE);
    metric_gauge_end(METRIC_SNAPSHOTS_PERCENT_USED);
    metric_gauge_end(METRIC_SNAPSHOTS_LAST_SUCCESS);
    pthread_cond_destroy(&p->woken);
    pthread_mutex_destroy(&p->mu);
    free(p);
}
