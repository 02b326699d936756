/* Active, standby, or turning from one into the other, as the contest for leadership has it. */
#include "core/service.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/epoch.h"
#include "base/log.h"
#include "base/metric.h"
#include "core/advert.h"
#include "core/cluster_keys.h"
#include "core/echo.h"
#include "core/forget.h"
#include "core/roll.h"
#include "core/start.h"

static const struct log lg = { "core" };

enum {
    RETRY_MS = 500,          /* after a failure to become active */
    READ_AGAIN_MS = 5000,    /* after a failure to make what a standby reads with */
    CERT_AGAIN_S = 60,       /* after a failure to make a certificate */
    FIRST_MS = 300,
    TRIES = 4,               /* to become active, then another node shall try */
    LATE_BYTES = 8 << 20,    /* of keys that changed while turning */
};

struct service {
    const struct core_settings *settings;
    struct service_calls calls;
    struct barrier *barrier;
    struct ha *ha; /* NULL: no others */
    _Atomic(struct active *) on;
    _Atomic int mode;
    _Atomic uint64_t lives;
    _Atomic int64_t since_ns;
    struct roll *roll;
    struct echo *echo; /* from start to stop, in a cluster with a port */

    pthread_mutex_t turn; /* one change of mode at a time; never held by an event of the storage */
    uint64_t term;        /* under turn: of the leadership that ${on} was made for */
    int failures;         /* under turn: to become active, one after another */

    pthread_mutex_t reading_advert; /* held while it is read and kept; before mu */

    pthread_mutex_t mu;
    pthread_cond_t changed; /* broadcast by tell: anything below, and the mode */
    uint64_t news;          /* counts the broadcasts */
    bool running, ending;    /* under mu */
    bool asked;              /* the contest has news */
    bool missed;             /* what changed while turning makes void what was built */
    bool collecting;         /* what a standby reads with is being built */
    struct buf late;         /* keys that changed meanwhile, each before a NUL */
    unsigned late_more;      /* FORGET_LEADER, FORGET_LINKS: what else those keys tell */
    bool replaced;           /* the active node's whole store is another one */
    bool broken;             /* the barrier's keys do not open the store any more */
    bool sealing;            /* on that account; not again before the next start */
    size_t sealers;          /* threads that do so */
    int64_t renew_ns;        /* when this node's certificate is to be made anew; monotonic */
    struct advert advert;    /* of the active node */
    pthread_t thread;
};

int service_new(const struct core_settings *settings, const struct service_calls *calls,
                struct barrier *barrier, struct service **out, struct err *err)
{
    pthread_condattr_t clock;
    struct service *s = calloc(1, sizeof *s);
    if (s == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    s->settings = settings;
    s->calls = *calls;
    s->barrier = barrier;
    s->ha = settings->ha;
    if (roll_new(&s->roll, err) < 0) {
        free(s);
        return -1;
    }
    pthread_mutex_init(&s->turn, NULL);
    pthread_mutex_init(&s->reading_advert, NULL);
    pthread_mutex_init(&s->mu, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &clock);
    pthread_condattr_destroy(&clock);
    *out = s;
    return 0;
}

void service_free(struct service *s)
{
    if (s == NULL)
        return;
    service_stop(s);
    service_quiet(s);
    buf_free(&s->late);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->mu);
    pthread_mutex_destroy(&s->reading_advert);
    pthread_mutex_destroy(&s->turn);
    roll_free(s->roll);
    free(s);
}

const struct active *service_active(struct service *s)
{
    return atomic_load(&s->on);
}

enum service_mode service_mode(struct service *s)
{
    return (enum service_mode)atomic_load(&s->mode);
}

struct roll *service_roll(struct service *s)
{
    return s->roll;
}

uint64_t service_lives(struct service *s)
{
    return atomic_load(&s->lives);
}

int64_t service_active_since_ns(struct service *s)
{
    return service_mode(s) == SERVICE_ACTIVE ? atomic_load(&s->since_ns) : 0;
}

static int64_t monotonic_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct timespec at(int64_t mono_ns)
{
    return (struct timespec){ mono_ns / 1000000000, mono_ns % 1000000000 };
}

/* Wake all who wait for anything. Under mu. */
static void tell(struct service *s)
{
    s->news++;
    pthread_cond_broadcast(&s->changed);
}

/* ---- what serves ---- */

static int build(struct service *s, bool standby, struct active **out, struct err *err)
{
    struct start_parts parts = { s->settings, s->calls.lifecycle, s->barrier, s->calls.seal_text,
                                 standby };
    return start_all(&parts, out, err);
}

/* Let requests see ${on} (may be NULL) and ${mode} from now on; what was there is returned. */
static struct active *show(struct service *s, struct active *on, enum service_mode mode)
{
    pthread_mutex_lock(&s->mu);
    struct active *old = atomic_exchange(&s->on, on);
    atomic_store(&s->mode, mode);
    if (mode == SERVICE_ACTIVE) {
        atomic_fetch_add(&s->lives, 1);
        atomic_store(&s->since_ns, clock_now_ns(s->settings->clock));
    }
    tell(s);
    pthread_mutex_unlock(&s->mu);
    return old;
}

/* Nobody finds ${old} any more: let the requests that still use it end, then undo it. */
static void retire(struct active *old)
{
    if (old == NULL)
        return;
    epoch_wait();
    stop_all(old);
}

/* What a standby reads with.  That it cannot is no reason to stop: the active node serves all. */
static struct active *build_standby(struct service *s)
{
    struct err err = { 0 };
    struct active *on = NULL;
    if (build(s, true, &on, &err) < 0) {
        LOG(&lg, WARN, "standby cannot read yet, requests go to the active node: error=%s",
            err.msg);
        return NULL;
    }
    return on;
}

/* ---- certificates of this node ---- */

static void use_cluster_keys(struct service *s)
{
    AUTO(buf_free) struct buf text = { 0 };
    struct err err = { 0 };
    if (s->settings->creds == NULL) {
        s->renew_ns = INT64_MAX;
        return;
    }
    int found = cluster_keys_read(barrier_storage(s->barrier), &text, &err);
    if (found > 0)
        found = cluster_keys_use(buf_str(&text), s->settings->node_id,
                                 clock_now_s(s->settings->clock), s->settings->creds, &err);
    if (found < 0)
        LOG(&lg, ERROR, "failed to make this node's cluster certificate: error=%s", err.msg);
    pthread_mutex_lock(&s->mu);
    s->renew_ns = monotonic_ns()
                  + (int64_t)(found < 0 ? CERT_AGAIN_S : CLUSTER_KEYS_RENEW_S) * 1000000000;
    pthread_mutex_unlock(&s->mu);
}

/* The active node sees to it that there is an authority, and that it does not grow old. */
static void keep_cluster_keys(struct service *s)
{
    struct err err = { 0 };
    if (s->settings->creds == NULL)
        return;
    int written = cluster_keys_keep(barrier_storage(s->barrier), clock_now_s(s->settings->clock),
                                    &err);
    if (written < 0)
        LOG(&lg, ERROR, "failed to keep the cluster's certificates: error=%s", err.msg);
    if (written > 0)
        use_cluster_keys(s);
}

/* ---- who is active, for clients ---- */

static void read_advert(struct service *s)
{
    struct advert found = { 0 };
    struct err err = { 0 };
    pthread_mutex_lock(&s->reading_advert); /* else an older one might be kept last */
    if (advert_read(barrier_storage(s->barrier), s->settings->physical, &found, &err) < 0)
        LOG(&lg, DEBUG, "the active node's addresses are not known: error=%s", err.msg);
    pthread_mutex_lock(&s->mu);
    s->advert = found;
    tell(s);
    pthread_mutex_unlock(&s->mu);
    pthread_mutex_unlock(&s->reading_advert);
}

static void write_advert(struct service *s)
{
    const struct core_settings *c = s->settings;
    struct advert mine = { 0 };
    struct err err = { 0 };
    advert_fill(&mine, c->node_id, c->api_addr, c->cluster_addr);
    pthread_mutex_lock(&s->mu);
    s->advert = mine;
    pthread_mutex_unlock(&s->mu);
    if (advert_write(barrier_storage(s->barrier), s->settings->physical, &mine, &err) < 0)
        LOG(&lg, WARN, "failed to write this node's addresses for the others: error=%s", err.msg);
}

/* ---- turning ---- */

/* The keyring may be another one now. -1: also when the barrier's keys do not open it any more:
 * then this node will be sealed. */
static int follow_keyring(struct service *s, struct err *err)
{
    if (barrier_follow(s->barrier, err) >= 0)
        return 0;
    LOG(&lg, ERROR, "failed to follow the keyring: error=%s", err->msg);
    pthread_mutex_lock(&s->mu);
    s->broken = s->broken || err->code == ERR_DENIED || err->code == ERR_CORRUPT;
    tell(s);
    pthread_mutex_unlock(&s->mu);
    return -1;
}

/*
 * What served before, as a standby or in an earlier leadership, has ended before this one takes
 * writes (settle): so none of them rests on what was read then.
 */
static int become_active(struct service *s, uint64_t term, struct err *err)
{
    struct active *on = NULL;
    int64_t began = monotonic_ns();
    retire(show(s, NULL, SERVICE_TURNING));
    TRY(s->ha->ops->settle(s->ha, err));
    TRY(follow_keyring(s, err));
    TRY(s->calls.before_active(s->calls.lifecycle, err));
    write_advert(s);
    keep_cluster_keys(s);
    TRY(build(s, false, &on, err));
    s->term = term;
    retire(show(s, on, SERVICE_ACTIVE));
    LOG(&lg, INFO, "post-unseal setup complete, this node is active: ms=%lld",
        (long long)((monotonic_ns() - began) / 1000000));
    s->calls.became_active(s->calls.lifecycle);
    return 0;
}

static void begin_collecting(struct service *s)
{
    pthread_mutex_lock(&s->mu);
    s->missed = false;
    s->collecting = true;
    buf_clear(&s->late);
    pthread_mutex_unlock(&s->mu);
}

/* Have ${on} forget what has changed since it began to be built. False: in vain. Under mu. */
static bool forget_late(struct service *s, const struct active *on)
{
    unsigned more = 0;
    struct str rest = buf_str(&s->late), key;
    while (rest.n > 0 && str_next(&rest, 0, &key))
        more |= forget_keys(on, &key, 1);
    return !s->missed && (more & (FORGET_ALL | FORGET_KEYRING)) == 0;
}

/* Let requests see ${on}; what it read while others wrote is not kept. False: it is to be built
 * anew. */
static bool show_standby(struct service *s, struct active *on, unsigned *more)
{
    epoch_enter();
    pthread_mutex_lock(&s->mu);
    bool good = forget_late(s, on);
    s->collecting = false;
    buf_clear(&s->late);
    if (good) {
        *more = s->late_more;
        s->late_more = 0;
        atomic_store(&s->on, on);
        atomic_store(&s->mode, SERVICE_STANDBY);
        tell(s);
    }
    pthread_mutex_unlock(&s->mu);
    epoch_leave();
    return good;
}

/* Built from the store as it was; what changed meanwhile is taken in before anybody reads. */
static void become_standby(struct service *s)
{
    struct active *on = NULL;
    unsigned more = 0;
    bool done = false;
    retire(show(s, NULL, SERVICE_TURNING));
    while (!done) {
        struct err err = { 0 };
        begin_collecting(s);
        on = follow_keyring(s, &err) < 0 ? NULL : build_standby(s);
        read_advert(s);
        done = show_standby(s, on, &more);
        if (!done)
            stop_all(on);
    }
    if (more & FORGET_LEADER)
        read_advert(s);
    if (more & FORGET_LINKS)
        use_cluster_keys(s);
    roll_clear(s->roll); /* it will be told anew when it is active again */
    LOG(&lg, INFO, "this node is a standby");
}

/* The active node's store was replaced by a restore. */
static void take_in_restore(struct service *s)
{
    struct err err = { 0 };
    struct active *on = NULL;
    retire(show(s, NULL, SERVICE_TURNING));
    int result = barrier_follow(s->barrier, &err);
    if (result >= 0)
        result = build(s, false, &on, &err);
    if (result < 0)
        LOG(&lg, ERROR, "failed to take in the restored store: error=%s", err.msg);
    else
        show(s, on, SERVICE_ACTIVE);
    pthread_mutex_lock(&s->mu);
    s->replaced = false;
    s->broken = result < 0;
    tell(s);
    pthread_mutex_unlock(&s->mu);
    if (result < 0)
        return;
    write_advert(s);
    keep_cluster_keys(s);
    use_cluster_keys(s);
}

static void *seal_apart(void *ctx)
{
    struct service *s = ctx;
    struct err err = { 0 };
    LOG(&lg, ERROR, "the store is sealed with other keys now: unseal with those that it was "
                    "sealed with");
    if (s->calls.seal(s->calls.lifecycle, &err) < 0)
        LOG(&lg, ERROR, "failed to seal: error=%s", err.msg);
    pthread_mutex_lock(&s->mu);
    s->sealers--;
    tell(s);
    pthread_mutex_unlock(&s->mu);
    return NULL;
}

/* Sealing waits for this thread: it is done by another one. Under mu. */
static void seal_soon(struct service *s)
{
    pthread_t thread;
    if (s->sealing || pthread_create(&thread, NULL, seal_apart, s) != 0)
        return;
    s->sealing = true;
    s->sealers++;
    pthread_detach(thread);
}

/* How long this node was active, which it will not be any more. */
static void measure_life(struct service *s, uint32_t metric)
{
    int64_t since = service_active_since_ns(s), now = metric_now_ns();
    if (since > 0)
        metric_span(metric, now - (clock_now_ns(s->settings->clock) - since), now);
}

static void tell_leader(struct service *s, const struct ha_leader *leader)
{
    bool other = leader->known && !leader->self;
    if (s->echo != NULL)
        echo_tell(s->echo, other ? str_of(leader->cluster_addr) : STR(""));
}

void service_quiet(struct service *s)
{
    pthread_mutex_lock(&s->mu);
    while (s->sealers > 0)
        pthread_cond_wait(&s->changed, &s->mu);
    pthread_mutex_unlock(&s->mu);
}

/* It leads, but cannot serve: let another node try. */
static void give_up_leading(struct service *s)
{
    struct err err = { 0 };
    LOG(&lg, ERROR, "this node cannot become active, another one shall");
    s->failures = 0;
    if (s->ha->ops->step_down(s->ha, &err) < 0)
        LOG(&lg, WARN, "failed to hand over: error=%s", err.msg);
}

/* As the contest stands now. Milliseconds after which to look again unasked; 0: not. */
static int follow_contest(struct service *s)
{
    struct ha_leader leader;
    struct err err = { 0 };
    int again_ms = 0;
    pthread_mutex_lock(&s->turn);
    s->ha->ops->leader(s->ha, &leader);
    bool leads = leader.known && leader.self;
    tell_leader(s, &leader);
    enum service_mode mode = service_mode(s);
    /* An earlier leadership's caches do not know what others have written in between. */
    if (leads && (mode != SERVICE_ACTIVE || s->term != leader.term)) {
        if (become_active(s, leader.term, &err) < 0)
            again_ms = RETRY_MS;
    } else if (!leads && (mode != SERVICE_STANDBY || service_active(s) == NULL)) {
        measure_life(s, METRIC_CORE_LEADERSHIP_LOST);
        become_standby(s);
        again_ms = service_active(s) == NULL ? READ_AGAIN_MS : 0;
    }
    s->failures = again_ms == RETRY_MS && err.code != ERR_STANDBY ? s->failures + 1 : 0;
    if (again_ms == RETRY_MS)
        LOG(&lg, WARN, "failed to become active: error=%s", err.msg);
    if (s->failures >= TRIES)
        give_up_leading(s);
    pthread_mutex_unlock(&s->turn);
    return again_ms;
}

static void *follow(void *ctx)
{
    struct service *s = ctx;
    int64_t retry_ns = INT64_MAX;
    pthread_mutex_lock(&s->mu);
    while (!s->ending) {
        int64_t now = monotonic_ns();
        bool renew = now >= s->renew_ns, retry = now >= retry_ns;
        if (s->broken) {
            s->broken = false;
            seal_soon(s);
        } else if (s->replaced && service_mode(s) == SERVICE_ACTIVE) {
            pthread_mutex_unlock(&s->mu);
            pthread_mutex_lock(&s->turn);
            take_in_restore(s);
            pthread_mutex_unlock(&s->turn);
            pthread_mutex_lock(&s->mu);
        } else if (s->asked || retry) {
            s->asked = false;
            pthread_mutex_unlock(&s->mu);
            int again_ms = follow_contest(s);
            retry_ns = again_ms > 0 ? monotonic_ns() + (int64_t)again_ms * 1000000 : INT64_MAX;
            pthread_mutex_lock(&s->mu);
        } else if (renew) {
            pthread_mutex_unlock(&s->mu);
            if (service_mode(s) == SERVICE_ACTIVE)
                keep_cluster_keys(s);
            use_cluster_keys(s);
            pthread_mutex_lock(&s->mu);
        } else {
            struct timespec until = at(retry_ns < s->renew_ns ? retry_ns : s->renew_ns);
            pthread_cond_timedwait(&s->changed, &s->mu, &until);
        }
    }
    pthread_mutex_unlock(&s->mu);
    return NULL;
}

/* ---- events of the storage ---- */

static void on_role_changed(void *ctx)
{
    struct service *s = ctx;
    pthread_mutex_lock(&s->mu);
    s->asked = true;
    tell(s);
    pthread_mutex_unlock(&s->mu);
}

/* Make anew what a standby reads with, unless it is none any more. */
static void rebuild_standby(struct service *s)
{
    struct active *on = build_standby(s), *old = NULL;
    pthread_mutex_lock(&s->mu);
    if (service_mode(s) == SERVICE_STANDBY) {
        old = atomic_exchange(&s->on, on);
        s->asked = s->asked || on == NULL; /* to be tried again */
        tell(s);
    } else {
        s->missed = true;
        old = on; /* nobody saw it */
    }
    pthread_mutex_unlock(&s->mu);
    retire(old);
}

static void take_in(struct service *s, unsigned more)
{
    struct err err = { 0 };
    if ((more & FORGET_KEYRING) && follow_keyring(s, &err) < 0)
        return;
    if (more & FORGET_ALL)
        rebuild_standby(s);
    if (more & FORGET_LEADER)
        read_advert(s);
    if (more & FORGET_LINKS)
        use_cluster_keys(s);
}

/* What is being built, or served another leadership, does not see the change. Under mu. */
static void note_missed(struct service *s, const struct str *keys, size_t n)
{
    unsigned more = forget_keys(NULL, keys, n);
    s->late_more |= more & (FORGET_LEADER | FORGET_LINKS);
    s->missed = s->missed || (more & (FORGET_ALL | FORGET_KEYRING)) != 0;
    for (size_t i = 0; i < n && s->collecting && !s->missed; i++) {
        buf_add(&s->late, keys[i]);
        buf_byte(&s->late, 0);
        struct err err;
        s->missed = buf_check(&s->late, &err) < 0 || s->late.n > LATE_BYTES
                    || str_find_byte(keys[i], 0) >= 0;
    }
}

static void on_keys_changed(void *ctx, const struct str *keys, size_t n)
{
    struct service *s = ctx;
    unsigned more = 0;
    epoch_enter();
    pthread_mutex_lock(&s->mu);
    enum service_mode mode = service_mode(s);
    if (mode == SERVICE_STANDBY)
        more = forget_keys(atomic_load(&s->on), keys, n);
    else
        note_missed(s, keys, n);
    pthread_mutex_unlock(&s->mu);
    epoch_leave();
    take_in(s, more);
}

static void on_store_replaced(void *ctx)
{
    struct service *s = ctx;
    pthread_mutex_lock(&s->mu);
    enum service_mode mode = service_mode(s);
    s->missed = true;
    if (mode == SERVICE_ACTIVE) {
        s->replaced = true;
        tell(s);
    }
    pthread_mutex_unlock(&s->mu);
    if (mode == SERVICE_STANDBY)
        take_in(s, FORGET_KEYRING | FORGET_ALL | FORGET_LEADER | FORGET_LINKS);
}

/* ---- start and stop ---- */

static int start_alone(struct service *s, struct err *err)
{
    struct active *on = NULL;
    TRY(s->calls.before_active(s->calls.lifecycle, err));
    TRY(build(s, false, &on, err));
    show(s, on, SERVICE_ACTIVE);
    s->calls.became_active(s->calls.lifecycle);
    return 0;
}

/* A cluster of one decides at once: who unseals it finds it active. */
static void wait_first_mode(struct service *s)
{
    struct service_leader leader;
    struct err ignored = { 0 };
    uint64_t term;
    (void)!service_wait_leader(s, FIRST_MS, 0, &leader, &term, &ignored);
}

static void end_echo(struct service *s)
{
    echo_free(s->echo);
    s->echo = NULL;
}

static int start_contest(struct service *s, struct err *err)
{
    struct ha_events events = { s, on_role_changed, on_keys_changed, on_store_replaced };
    use_cluster_keys(s);
    read_advert(s);
    show(s, build_standby(s), SERVICE_STANDBY);
    if (s->settings->creds != NULL && echo_new(s->settings, &s->echo, err) < 0) {
        retire(show(s, NULL, SERVICE_OFF));
        return -1;
    }
    pthread_mutex_lock(&s->mu);
    s->ending = s->missed = s->replaced = s->broken = s->sealing = s->collecting = false;
    s->late_more = 0;
    s->asked = true;
    pthread_mutex_unlock(&s->mu);
    if (s->ha->ops->start(s->ha, &events, err) < 0) {
        end_echo(s);
        retire(show(s, NULL, SERVICE_OFF));
        return -1;
    }
    int rc = pthread_create(&s->thread, NULL, follow, s);
    s->running = rc == 0;
    if (rc == 0) {
        wait_first_mode(s);
        return 0;
    }
    s->ha->ops->stop(s->ha);
    end_echo(s);
    retire(show(s, NULL, SERVICE_OFF));
    return err_set(err, ERR_NOMEM, "no thread to follow the cluster");
}

int service_start(struct service *s, struct err *err)
{
    return s->ha == NULL ? start_alone(s, err) : start_contest(s, err);
}

void service_stop(struct service *s)
{
    pthread_mutex_lock(&s->mu);
    bool running = s->running;
    s->ending = true;
    s->running = false;
    tell(s);
    pthread_mutex_unlock(&s->mu);
    if (running)
        pthread_join(s->thread, NULL);
    end_echo(s);
    pthread_mutex_lock(&s->turn); /* who steps down just now has done so */
    struct active *old = show(s, NULL, SERVICE_OFF);
    epoch_wait(); /* what is in flight may still write, and what ends has its last thing to */
    stop_all(old);
    if (running)
        s->ha->ops->stop(s->ha);
    roll_clear(s->roll);
    pthread_mutex_unlock(&s->turn);
    if (s->settings->creds != NULL)
        (void)!link_creds_set(s->settings->creds, NULL, NULL);
}

/* ---- for requests ---- */

static int leader_now(struct service *s, struct service_leader *out, uint64_t *term)
{
    struct ha_leader leader = { 0 };
    *out = (struct service_leader){ 0 };
    if (s->ha != NULL)
        s->ha->ops->leader(s->ha, &leader);
    *term = leader.term;
    bool known = s->ha == NULL ? service_mode(s) == SERVICE_ACTIVE : leader.known;
    if (!known)
        return 0;
    pthread_mutex_lock(&s->mu);
    out->self = s->ha == NULL || leader.self;
    memcpy(out->cluster_addr, leader.cluster_addr, sizeof out->cluster_addr);
    /* What was written may be an earlier leader's. */
    if (strcmp(s->advert.id, leader.id) == 0)
        memcpy(out->api_addr, s->advert.api_addr, sizeof out->api_addr);
    pthread_mutex_unlock(&s->mu);
    return 1;
}

int service_leader(struct service *s, struct service_leader *out)
{
    uint64_t term;
    return leader_now(s, out, &term);
}

int service_wait_leader(struct service *s, int ms, uint64_t after, struct service_leader *out,
                        uint64_t *term, struct err *err)
{
    int64_t until_ns = monotonic_ns() + (int64_t)ms * 1000000;
    struct timespec until = at(until_ns);
    for (;;) {
        pthread_mutex_lock(&s->mu);
        uint64_t news = s->news;
        pthread_mutex_unlock(&s->mu);
        int known = leader_now(s, out, term);
        enum service_mode mode = service_mode(s);
        if (mode == SERVICE_OFF)
            return err_set(err, ERR_SEALED, "Vault is sealed");
        if (known > 0 && (out->self ? mode == SERVICE_ACTIVE : *term > after))
            return 0;
        if (monotonic_ns() >= until_ns)
            return err_set(err, ERR_STANDBY,
                           "local node not active but active cluster node not found");
        pthread_mutex_lock(&s->mu);
        if (s->news == news)
            pthread_cond_timedwait(&s->changed, &s->mu, &until);
        pthread_mutex_unlock(&s->mu);
    }
}

void service_news(struct service *s, uint64_t *news)
{
    pthread_mutex_lock(&s->mu);
    *news = s->news;
    pthread_mutex_unlock(&s->mu);
}

void service_wait_news(struct service *s, uint64_t news, int64_t ms)
{
    struct timespec until = at(monotonic_ns() + ms * 1000000);
    int rc = 0;
    pthread_mutex_lock(&s->mu);
    while (s->news == news && rc == 0)
        rc = ms < 0 ? pthread_cond_wait(&s->changed, &s->mu)
                    : pthread_cond_timedwait(&s->changed, &s->mu, &until);
    pthread_mutex_unlock(&s->mu);
}

void service_nudge(struct service *s)
{
    pthread_mutex_lock(&s->mu);
    tell(s);
    pthread_mutex_unlock(&s->mu);
}

int service_step_down(struct service *s, struct err *err)
{
    struct err why = { 0 };
    if (s->ha == NULL)
        return 0;
    pthread_mutex_lock(&s->turn);
    if (service_mode(s) != SERVICE_ACTIVE) {
        pthread_mutex_unlock(&s->turn);
        return err_set(err, ERR_STANDBY, "node is not active");
    }
    measure_life(s, METRIC_CORE_STEP_DOWN);
    struct active *on = show(s, NULL, SERVICE_TURNING);
    epoch_wait(); /* what is in flight is finished by this node */
    int result = s->ha->ops->step_down(s->ha, &why);
    if (result < 0) { /* should another have led meanwhile, follow_contest finds it out */
        show(s, on, SERVICE_ACTIVE);
    } else {
        stop_all(on);
        become_standby(s);
    }
    pthread_mutex_unlock(&s->turn);
    on_role_changed(s);
    if (result < 0 && why.code != ERR_UNSUPPORTED)
        return err_set(err, why.code, "failed to step down: %s", why.msg);
    return 0;
}

int service_settle_restore(struct service *s, struct err *err)
{
    pthread_mutex_lock(&s->mu);
    while (s->replaced && !s->ending)
        pthread_cond_wait(&s->changed, &s->mu);
    bool sealed = s->ending || service_mode(s) == SERVICE_OFF || s->broken;
    pthread_mutex_unlock(&s->mu);
    return sealed ? err_set(err, ERR_SEALED, "Vault is sealed") : 0;
}
