/* Health of members; voters made, dead servers removed. */
#include "core/autopilot.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/map.h"
#include "base/metric.h"
#include "codec/json.h"
#include "codec/timefmt.h"

static const struct log lg = { "storage.raft.autopilot" };

#define CONFIG STR("core/raft/autopilot/configuration")
#define NON_VOTER "core/raft/non-voter/"

enum { LOOK_MS = 1000, SOON_MS = 10000, PROMOTING_MS = 50 };

static const int64_t SECOND = 1000000000;

/* What is remembered of a server between two looks. */
struct seen {
    bool healthy;
    int64_t since_ns;
};

struct autopilot {
    struct storage *plain;
    struct raftstore *raft;
    const struct clock *clock;
    pthread_t thread;
    pthread_mutex_t mu;
    pthread_cond_t woken;
    bool ending, look;  /* under mu, as is seen */
    struct map seen;    /* node id -> struct seen */
};

/* ---- configuration ---- */

static int64_t duration_of(const struct json *o, const char *name, int64_t otherwise)
{
    int64_t ns = 0;
    struct err err = { 0 };
    if (duration_parse_go(json_get_str(o, name), &ns, &err) < 0 || ns == 0)
        return otherwise;
    return ns;
}

int autopilot_config_load(struct storage *plain, struct autopilot_config *out, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf text = { 0 };
    struct json *o = NULL;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    int found = storage_get(plain, CONFIG, &text, err);
    if (found < 0)
        return -1;
    if (found > 0)
        TRY(json_parse(a, buf_str(&text), &o, NULL, err));
    int64_t trailing = json_get_int(o, "max_trailing_logs", 0);
    *out = (struct autopilot_config){
        .cleanup_dead_servers = json_get_int(o, "cleanup_dead_servers_value", 0) == 1,
        .last_contact_threshold_ns = duration_of(o, "last_contact_threshold", 10 * SECOND),
        .dead_server_last_contact_threshold_ns =
            duration_of(o, "dead_server_last_contact_threshold", 86400 * SECOND),
        .server_stabilization_time_ns = duration_of(o, "server_stabilization_time", 10 * SECOND),
        .max_trailing_logs = trailing > 0 ? trailing : 1000,
        .min_quorum = json_get_int(o, "min_quorum", 0),
    };
    return 0;
}

int autopilot_config_store(struct storage *plain, const struct autopilot_config *c,
                           struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf text = { 0 };
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    struct json *o = json_object(a);
    json_put_bool(o, "cleanup_dead_servers", c->cleanup_dead_servers);
    json_put_int(o, "cleanup_dead_servers_value", c->cleanup_dead_servers ? 1 : 2);
    json_put_str(o, "last_contact_threshold", duration_format(a, c->last_contact_threshold_ns));
    json_put_str(o, "dead_server_last_contact_threshold",
                 duration_format(a, c->dead_server_last_contact_threshold_ns));
    json_put_str(o, "server_stabilization_time",
                 duration_format(a, c->server_stabilization_time_ns));
    json_put_int(o, "max_trailing_logs", c->max_trailing_logs);
    json_put_int(o, "min_quorum", c->min_quorum);
    TRY(arena_check(a, err));
    json_print(o, &text);
    TRY(buf_check(&text, err));
    return storage_put(plain, CONFIG, buf_str(&text), err);
}

int autopilot_set_non_voter(struct storage *plain, struct str id, bool non_voter, struct err *err)
{
    AUTO(buf_free) struct buf key = { 0 };
    buf_add(&key, STR(NON_VOTER));
    buf_add(&key, id);
    TRY(buf_check(&key, err));
    return non_voter ? storage_put(plain, buf_str(&key), STR("{}"), err)
                     : storage_delete(plain, buf_str(&key), err);
}

static int stays_non_voter(struct autopilot *p, struct str id, struct err *err)
{
    AUTO(buf_free) struct buf key = { 0 }, value = { 0 };
    buf_add(&key, STR(NON_VOTER));
    buf_add(&key, id);
    TRY(buf_check(&key, err));
    return storage_get(p->plain, buf_str(&key), &value, err);
}

/* ---- health ---- */

bool autopilot_is_healthy(const struct autopilot_config *c, const struct raft_members *all,
                          const struct raft_member *m)
{
    const struct raft_member *leader = NULL;
    for (size_t i = 0; i < all->n; i++)
        if (all->v[i].leader)
            leader = &all->v[i];
    if (m->leader)
        return true;
    if (leader == NULL || !m->alive || m->last_contact_ms < 0)
        return false;
    return m->last_contact_ms <= c->last_contact_threshold_ns / 1000000
           && m->last_term == leader->last_term
           && m->last_index + (uint64_t)c->max_trailing_logs >= leader->last_index;
}

/* Note how healthy the member is; since when. */
static int64_t note(struct autopilot *p, struct str id, bool healthy)
{
    int64_t now = clock_now_ns(p->clock);
    pthread_mutex_lock(&p->mu);
    struct seen *s = map_get(&p->seen, id);
    if (s == NULL && (s = calloc(1, sizeof *s)) != NULL) {
        *s = (struct seen){ healthy, now };
        struct err err = { 0 };
        if (map_put(&p->seen, id, s, NULL, &err) < 0) {
            free(s);
            s = NULL;
        }
    }
    if (s != NULL && s->healthy != healthy)
        *s = (struct seen){ healthy, now };
    int64_t since = s == NULL ? now : s->since_ns;
    pthread_mutex_unlock(&p->mu);
    return since;
}

int autopilot_state(struct autopilot *p, struct arena *a, struct autopilot_state *out,
                    struct err *err)
{
    struct autopilot_config config;
    int64_t voters = 0, good = 0;
    TRY(autopilot_config_load(p->plain, &config, err));
    *out = (struct autopilot_state){ .healthy = true };
    TRY(raftstore_members(p->raft, a, &out->members, err));
    out->n = out->members.n;
    out->servers = arena_array(a, out->n + 1, sizeof *out->servers);
    TRY(arena_check(a, err));
    for (size_t i = 0; i < out->n; i++) {
        const struct raft_member *m = &out->members.v[i];
        bool healthy = autopilot_is_healthy(&config, &out->members, m);
        out->servers[i] = (struct autopilot_server){ m, healthy,
                                                     note(p, str_of(m->id), healthy) };
        out->healthy = out->healthy && healthy;
        voters += m->voter;
        good += m->voter && healthy;
    }
    int64_t spare = good - (voters / 2 + 1);
    out->failure_tolerance = spare > 0 ? spare : 0;
    return 0;
}

/* ---- what it does ---- */

/* Whoever has caught up may vote. True when somebody has not yet who will soon: it is new, or was
 * heard of a moment ago. */
static bool promote(struct autopilot *p, const struct autopilot_state *state)
{
    bool waits = false;
    for (size_t i = 0; i < state->n; i++) {
        const struct raft_member *m = state->servers[i].member;
        struct err err = { 0 };
        if (m->voter || m->leader)
            continue;
        int stays = stays_non_voter(p, str_of(m->id), &err);
        if (stays != 0)
            continue;
        if (!m->alive || raftstore_promote(p->raft, str_of(m->id), &err) < 0)
            waits = waits || m->alive || m->last_contact_ms < SOON_MS;
        else
            LOG(&lg, INFO, "promoted to voter: id=%s address=%s", m->id, m->addr);
    }
    return waits;
}

/* Without it the others must still be enough, now and by the operator's own measure. */
static bool may_go(const struct autopilot_config *c, const struct autopilot_state *state,
                   const struct raft_member *dead)
{
    int64_t voters = 0, good = 0;
    for (size_t i = 0; i < state->n; i++) {
        voters += state->servers[i].member->voter;
        good += state->servers[i].member->voter && state->servers[i].healthy;
    }
    if (!dead->voter)
        return true;
    return voters - 1 >= (c->min_quorum > 3 ? c->min_quorum : 3) && good > voters / 2;
}

/* A leader that is younger than the death counts from when it first missed the member. */
static bool is_dead(const struct autopilot_config *c, const struct autopilot_server *s,
                    int64_t now_ns)
{
    const struct raft_member *m = s->member;
    int64_t silent_ns = m->last_contact_ms < 0 ? now_ns - s->stable_since_ns
                                               : m->last_contact_ms * 1000000;
    return !m->leader && !s->healthy && silent_ns > c->dead_server_last_contact_threshold_ns;
}

const struct raft_member *autopilot_removable(const struct autopilot_config *c,
                                              const struct autopilot_state *state, int64_t now_ns)
{
    for (size_t i = 0; i < state->n && c->cleanup_dead_servers; i++)
        if (is_dead(c, &state->servers[i], now_ns) && may_go(c, state, state->servers[i].member))
            return state->servers[i].member;
    return NULL;
}

/* One at a time: then all is looked at anew. */
static void clean_up(struct autopilot *p, const struct autopilot_config *c,
                     const struct autopilot_state *state)
{
    struct err err = { 0 };
    const struct raft_member *m = autopilot_removable(c, state, clock_now_ns(p->clock));
    if (m == NULL)
        return;
    LOG(&lg, INFO, "removing dead server: id=%s address=%s", m->id, m->addr);
    if (raftstore_remove(p->raft, str_of(m->id), &err) < 0)
        LOG(&lg, ERROR, "failed to remove dead server: id=%s error=%s", m->id, err.msg);
}

static void measure(const struct autopilot_state *state)
{
    int64_t now = metric_now_ns();
    metric_gauge(METRIC_RAFT_PEERS, (double)state->n);
    metric_gauge(METRIC_AUTOPILOT_HEALTHY, state->healthy);
    metric_gauge(METRIC_AUTOPILOT_FAILURE_TOLERANCE, (double)state->failure_tolerance);
    for (size_t i = 0; i < state->n; i++) {
        const struct raft_member *m = state->servers[i].member;
        if (!m->leader && m->last_contact_ms >= 0)
            metric_span(METRIC_RAFT_LAST_CONTACT, now - m->last_contact_ms * 1000000, now);
    }
}

/* One look; in how many milliseconds the next one is due. */
static int look(struct autopilot *p)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct autopilot_config config;
    struct autopilot_state state;
    struct err err = { 0 };
    if (a == NULL || autopilot_config_load(p->plain, &config, &err) < 0
        || autopilot_state(p, a, &state, &err) < 0) {
        LOG(&lg, DEBUG, "cannot tell the members' health: error=%s", err.msg);
        return LOOK_MS;
    }
    measure(&state);
    bool waits = promote(p, &state);
    clean_up(p, &config, &state);
    return waits ? PROMOTING_MS : LOOK_MS;
}

static void *run(void *ctx)
{
    struct autopilot *p = ctx;
    pthread_mutex_lock(&p->mu);
    while (!p->ending) {
        struct timespec next;
        p->look = false;
        pthread_mutex_unlock(&p->mu);
        int ms = look(p);
        clock_gettime(CLOCK_MONOTONIC, &next);
        next.tv_sec += ms / 1000;
        next.tv_nsec += (long)(ms % 1000) * 1000000;
        if (next.tv_nsec >= SECOND) {
            next.tv_nsec -= SECOND;
            next.tv_sec++;
        }
        pthread_mutex_lock(&p->mu);
        while (!p->ending && !p->look && pthread_cond_timedwait(&p->woken, &p->mu, &next) == 0)
            ;
    }
    pthread_mutex_unlock(&p->mu);
    return NULL;
}

int autopilot_new(struct storage *plain, struct raftstore *raft, const struct clock *clock,
                  struct autopilot **out, struct err *err)
{
    pthread_condattr_t monotonic;
    struct autopilot *p = calloc(1, sizeof *p);
    if (p == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    p->plain = plain;
    p->raft = raft;
    p->clock = clock;
    pthread_mutex_init(&p->mu, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&p->woken, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&p->thread, NULL, run, p) != 0) {
        free(p);
        return err_set(err, ERR_NOMEM, "no thread for autopilot");
    }
    *out = p;
    return 0;
}

void autopilot_wake(struct autopilot *p)
{
    pthread_mutex_lock(&p->mu);
    p->look = true;
    pthread_cond_signal(&p->woken);
    pthread_mutex_unlock(&p->mu);
}

void autopilot_free(struct autopilot *p)
{
    if (p == NULL)
        return;
    pthread_mutex_lock(&p->mu);
    p->ending = true;
    pthread_cond_signal(&p->woken);
    pthread_mutex_unlock(&p->mu);
    pthread_join(p->thread, NULL);
    metric_gauge_end(METRIC_AUTOPILOT_HEALTHY);
    metric_gauge_end(METRIC_AUTOPILOT_FAILURE_TOLERANCE);
    metric_gauge_end(METRIC_RAFT_PEERS);
    map_free(&p->seen, free);
    pthread_cond_destroy(&p->woken);
    pthread_mutex_destroy(&p->mu);
    free(p);
}
