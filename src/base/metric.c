/*
 * A shard per thread, which alone writes it: an update is a few plain stores.  Readers add the
 * shards up.
 */
#include "base/metric.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"

enum {
    NAMES_MAX = 8192,
    ROW = 64,
    BINS = 3,        /* the present interval, the last, and one that readers may be slow with */
    FINEST_LOG2 = 9, /* half a microsecond */
    BUCKETS = 52,    /* two for each power of two, up to half a minute */
};

static const int64_t INTERVAL_NS = METRIC_INTERVAL_S * INT64_C(1000000000);

static const struct fixed_name {
    const char *name;
    enum metric_kind kind;
    bool per_cluster;
} fixed_names[METRIC_FIXED] = {
    [METRIC_CORE_UNSEALED] = { "core.unsealed", METRIC_GAUGE, true },
    [METRIC_CORE_ACTIVE] = { "core.active", METRIC_GAUGE, true },
    [METRIC_CORE_PERFORMANCE_STANDBY] = { "core.performance_standby", METRIC_GAUGE, true },
    [METRIC_CORE_STEP_DOWN] = { "core.step_down", METRIC_SAMPLE, false },
    [METRIC_CORE_LEADERSHIP_LOST] = { "core.leadership_lost", METRIC_SAMPLE, false },
    [METRIC_CORE_HANDLE_REQUEST] = { "core.handle_request", METRIC_SAMPLE, false },
    [METRIC_CORE_HANDLE_LOGIN] = { "core.handle_login_request", METRIC_SAMPLE, false },
    [METRIC_CORE_CHECK_TOKEN] = { "core.check_token", METRIC_SAMPLE, false },
    [METRIC_CORE_UNSEAL] = { "core.unseal", METRIC_SAMPLE, false },
    [METRIC_CORE_POST_UNSEAL] = { "core.post_unseal", METRIC_SAMPLE, false },
    [METRIC_CORE_SEAL] = { "core.seal", METRIC_SAMPLE, false },
    [METRIC_BARRIER_GET] = { "barrier.get", METRIC_SAMPLE, false },
    [METRIC_BARRIER_PUT] = { "barrier.put", METRIC_SAMPLE, false },
    [METRIC_BARRIER_DELETE] = { "barrier.delete", METRIC_SAMPLE, false },
    [METRIC_BARRIER_LIST] = { "barrier.list", METRIC_SAMPLE, false },
    [METRIC_TOKEN_LOOKUP] = { "token.lookup", METRIC_SAMPLE, false },
    [METRIC_TOKEN_CREATE] = { "token.create", METRIC_SAMPLE, false },
    [METRIC_TOKEN_REVOKE_TREE] = { "token.revoke-tree", METRIC_SAMPLE, false },
    [METRIC_EXPIRE_NUM_LEASES] = { "expire.num_leases", METRIC_GAUGE, false },
    [METRIC_EXPIRE_REGISTER] = { "expire.register", METRIC_SAMPLE, false },
    [METRIC_EXPIRE_RENEW] = { "expire.renew", METRIC_SAMPLE, false },
    [METRIC_EXPIRE_RENEW_TOKEN] = { "expire.renew-token", METRIC_SAMPLE, false },
    [METRIC_EXPIRE_REVOKE] = { "expire.revoke", METRIC_SAMPLE, false },
    [METRIC_EXPIRE_REVOKE_PREFIX] = { "expire.revoke-prefix", METRIC_SAMPLE, false },
    [METRIC_EXPIRE_REVOKE_BY_TOKEN] = { "expire.revoke-by-token", METRIC_SAMPLE, false },
    [METRIC_AUDIT_LOG_REQUEST] = { "audit.log_request", METRIC_SAMPLE, false },
    [METRIC_AUDIT_LOG_RESPONSE] = { "audit.log_response", METRIC_SAMPLE, false },
    [METRIC_AUDIT_LOG_REQUEST_FAILURE] = { "audit.log_request_failure", METRIC_COUNTER, false },
    [METRIC_AUDIT_LOG_RESPONSE_FAILURE] = { "audit.log_response_failure", METRIC_COUNTER, false },
    [METRIC_POLICY_GET] = { "policy.get_policy", METRIC_SAMPLE, false },
    [METRIC_POLICY_SET] = { "policy.set_policy", METRIC_SAMPLE, false },
    [METRIC_POLICY_DELETE] = { "policy.delete_policy", METRIC_SAMPLE, false },
    [METRIC_POLICY_LIST] = { "policy.list_policies", METRIC_SAMPLE, false },
    [METRIC_RAFT_APPLY] = { "raft.apply", METRIC_COUNTER, false },
    [METRIC_RAFT_COMMIT_TIME] = { "raft.commitTime", METRIC_SAMPLE, false },
    [METRIC_RAFT_PEERS] = { "raft.peers", METRIC_GAUGE, false },
    [METRIC_RAFT_LAST_CONTACT] = { "raft.leader.lastContact", METRIC_SAMPLE, false },
    [METRIC_RAFT_STATE_LEADER] = { "raft.state.leader", METRIC_COUNTER, false },
    [METRIC_RAFT_STATE_FOLLOWER] = { "raft.state.follower", METRIC_COUNTER, false },
    [METRIC_RAFT_STORAGE_PUT] = { "raft-storage.put", METRIC_SAMPLE, false },
    [METRIC_RAFT_STORAGE_DELETE] = { "raft-storage.delete", METRIC_SAMPLE, false },
    [METRIC_RAFT_STORAGE_TRANSACTION] = { "raft-storage.transaction", METRIC_SAMPLE, false },
    [METRIC_AUTOPILOT_HEALTHY] = { "autopilot.healthy", METRIC_GAUGE, false },
    [METRIC_AUTOPILOT_FAILURE_TOLERANCE] = { "autopilot.failure_tolerance", METRIC_GAUGE, false },
    [METRIC_SNAPSHOTS_DURATION] = { "autosnapshots.save.duration", METRIC_SAMPLE, false },
    [METRIC_SNAPSHOTS_ERRORS] = { "autosnapshots.save.errors", METRIC_COUNTER, false },
    [METRIC_SNAPSHOTS_LAST_SUCCESS] = { "autosnapshots.last.success.time", METRIC_GAUGE, false },
    [METRIC_SNAPSHOTS_TOTAL_SIZE] = { "autosnapshots.total.snapshot.size", METRIC_GAUGE, false },
    [METRIC_SNAPSHOTS_PERCENT_USED] = { "autosnapshots.percent.maxspace.used", METRIC_GAUGE,
                                        false },
    [METRIC_SNAPSHOTS_ROTATE] = { "autosnapshots.rotate.duration", METRIC_SAMPLE, false },
    [METRIC_SNAPSHOTS_IN_STORAGE] = { "autosnapshots.snapshots.in.storage", METRIC_GAUGE, false },
    [METRIC_RUNTIME_ALLOC] = { "runtime.alloc_bytes", METRIC_GAUGE, false },
    [METRIC_RUNTIME_SYS] = { "runtime.sys_bytes", METRIC_GAUGE, false },
    [METRIC_RUNTIME_THREADS] = { "runtime.num_goroutines", METRIC_GAUGE, false },
};

/* One interval of one metric in one thread. Durations in nanoseconds. */
struct bin {
    _Atomic int64_t interval;
    _Atomic uint64_t n, sum, min, max;
    _Atomic double sum_squares;
    _Atomic uint32_t buckets[BUCKETS];
};

struct cell {
    struct bin bins[BINS];
    _Atomic uint64_t n, sum; /* since the start */
};

struct row {
    _Atomic(struct cell *) cells[ROW];
};

/* Never released, but reused after its thread ends; its counts go on. */
struct shard {
    _Alignas(64) atomic_bool taken;
    struct shard *next;
    _Atomic(struct row *) rows[NAMES_MAX / ROW];
};

struct made_name {
    enum metric_kind kind;
    size_t n;
    char text[];
};

static struct {
    _Atomic(struct shard *) shards;
    _Atomic uint32_t count;              /* ids in use, fixed ones included */
    _Atomic int64_t first_interval;      /* 0: nothing was measured */
    _Atomic(struct made_name *) made[NAMES_MAX]; /* by id; those of fixed ids stay NULL */
    _Atomic uint64_t gauges[NAMES_MAX];  /* bits of a double */
    atomic_bool gauge_set[NAMES_MAX];
    pthread_mutex_t mu;
    struct map ids;                      /* under mu: name -> id */
} registry = { .count = METRIC_FIXED, .mu = PTHREAD_MUTEX_INITIALIZER };

static pthread_key_t thread_end;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local struct shard *mine;

/* ---- measuring ---- */

static void give_back(void *p)
{
    atomic_store(&((struct shard *)p)->taken, false);
}

static void make_key(void)
{
    (void)pthread_key_create(&thread_end, give_back);
}

static struct shard *shard_claim(void)
{
    for (struct shard *s = atomic_load(&registry.shards); s != NULL; s = s->next) {
        bool no = false;
        if (atomic_compare_exchange_strong(&s->taken, &no, true))
            return s;
    }
    struct shard *s = aligned_alloc(_Alignof(struct shard), sizeof *s);
    if (s == NULL)
        return NULL;
    memset(s, 0, sizeof *s);
    atomic_init(&s->taken, true);
    s->next = atomic_load(&registry.shards);
    while (!atomic_compare_exchange_weak(&registry.shards, &s->next, s))
        ;
    return s;
}

static struct shard *my_shard(void)
{
    if (mine != NULL)
        return mine;
    pthread_once(&once, make_key);
    mine = shard_claim();
    if (mine != NULL)
        pthread_setspecific(thread_end, mine);
    return mine;
}

static struct cell *cell_make(struct shard *s, uint32_t id)
{
    struct row *r = atomic_load_explicit(&s->rows[id / ROW], memory_order_relaxed);
    if (r == NULL && (r = calloc(1, sizeof *r)) != NULL)
        atomic_store_explicit(&s->rows[id / ROW], r, memory_order_release);
    struct cell *c = r == NULL ? NULL : calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    atomic_store_explicit(&r->cells[id % ROW], c, memory_order_release);
    return c;
}

static struct cell *my_cell(uint32_t id)
{
    struct shard *s = my_shard();
    if (s == NULL || id == METRIC_NONE || id >= NAMES_MAX)
        return NULL;
    struct row *r = atomic_load_explicit(&s->rows[id / ROW], memory_order_relaxed);
    struct cell *c =
        r == NULL ? NULL : atomic_load_explicit(&r->cells[id % ROW], memory_order_relaxed);
    return c != NULL ? c : cell_make(s, id);
}

#define GET(field) atomic_load_explicit(&(field), memory_order_relaxed)
#define SET(field, value) atomic_store_explicit(&(field), (value), memory_order_relaxed)

static struct bin *open_bin(struct cell *c, int64_t interval)
{
    struct bin *b = &c->bins[interval % BINS];
    if (GET(b->interval) == interval)
        return b;
    int64_t none = 0;
    if (GET(registry.first_interval) == 0)
        atomic_compare_exchange_strong(&registry.first_interval, &none, interval);
    SET(b->interval, -1); /* its old counts are of no interval any more */
    SET(b->n, 0);
    SET(b->sum, 0);
    SET(b->min, UINT64_MAX);
    SET(b->max, 0);
    SET(b->sum_squares, 0);
    for (size_t i = 0; i < BUCKETS; i++)
        SET(b->buckets[i], 0);
    atomic_store_explicit(&b->interval, interval, memory_order_release);
    return b;
}

static struct bin *put(struct cell *c, int64_t interval, uint64_t v)
{
    struct bin *b = open_bin(c, interval);
    SET(c->n, GET(c->n) + 1);
    SET(c->sum, GET(c->sum) + v);
    SET(b->n, GET(b->n) + 1);
    SET(b->sum, GET(b->sum) + v);
    SET(b->sum_squares, GET(b->sum_squares) + (double)v * (double)v);
    if (v < GET(b->min))
        SET(b->min, v);
    if (v > GET(b->max))
        SET(b->max, v);
    return b;
}

/* Two buckets for each power of two: the bit below the highest tells which. */
static size_t bucket_of(uint64_t ns)
{
    if (ns < (UINT64_C(1) << FINEST_LOG2))
        return 0;
    size_t top = 63 - (size_t)__builtin_clzll(ns);
    size_t i = (top - FINEST_LOG2) * 2 + ((ns >> (top - 1)) & 1);
    return i < BUCKETS ? i : BUCKETS - 1;
}

/* The middle of a bucket. */
static double bucket_ns(size_t i)
{
    double low = ldexp(1, (int)(FINEST_LOG2 + i / 2));
    return low * (i % 2 == 0 ? 1.25 : 1.75);
}

void metric_span(uint32_t id, int64_t start_ns, int64_t end_ns)
{
    struct cell *c = my_cell(id);
    uint64_t ns = end_ns > start_ns ? (uint64_t)(end_ns - start_ns) : 0;
    if (c == NULL)
        return;
    struct bin *b = put(c, metric_interval(end_ns), ns);
    size_t i = bucket_of(ns);
    SET(b->buckets[i], GET(b->buckets[i]) + 1);
}

void metric_count(uint32_t id, uint64_t n)
{
    struct cell *c = my_cell(id);
    if (c != NULL)
        put(c, metric_interval(metric_now_ns()), n);
}

void metric_gauge(uint32_t id, double value)
{
    uint64_t bits;
    if (id == METRIC_NONE || id >= NAMES_MAX)
        return;
    memcpy(&bits, &value, sizeof bits);
    SET(registry.gauges[id], bits);
    atomic_store_explicit(&registry.gauge_set[id], true, memory_order_release);
}

void metric_gauge_end(uint32_t id)
{
    if (id < NAMES_MAX)
        atomic_store_explicit(&registry.gauge_set[id], false, memory_order_release);
}

/* ---- names ---- */

static uint32_t name_add(enum metric_kind kind, struct str name)
{
    struct err ignored = { 0 };
    uint32_t id = atomic_load(&registry.count);
    struct made_name *m = id < NAMES_MAX ? malloc(sizeof *m + name.n) : NULL;
    if (m == NULL)
        return METRIC_NONE;
    m->kind = kind;
    m->n = name.n;
    if (name.n > 0)
        memcpy(m->text, name.p, name.n);
    if (map_put(&registry.ids, name, (void *)(uintptr_t)id, NULL, &ignored) < 0) {
        free(m);
        return METRIC_NONE;
    }
    atomic_store(&registry.made[id], m);
    atomic_store(&registry.count, id + 1);
    return id;
}

uint32_t metric_named(enum metric_kind kind, struct str name)
{
    pthread_mutex_lock(&registry.mu);
    uint32_t id = (uint32_t)(uintptr_t)map_get(&registry.ids, name);
    if (id == METRIC_NONE)
        id = name_add(kind, name);
    pthread_mutex_unlock(&registry.mu);
    return id;
}

/* ---- showing ---- */

int64_t metric_interval(int64_t now_ns)
{
    return now_ns / INTERVAL_NS;
}

int64_t metric_shown_interval(int64_t now_ns)
{
    int64_t present = metric_interval(now_ns), first = GET(registry.first_interval);
    return first == 0 || first >= present ? present : present - 1;
}

struct sum {
    struct metric_view *view;
    uint64_t min, max;
    uint64_t buckets[BUCKETS];
};

static void add_cell(struct sum *s, struct cell *c, int64_t interval, double unit)
{
    struct bin *b = &c->bins[interval % BINS];
    struct metric_view *v = s->view;
    uint64_t total = GET(c->n);
    v->known = v->known || total > 0;
    v->total_n += total;
    v->total_sum += (double)GET(c->sum) / unit;
    if (atomic_load_explicit(&b->interval, memory_order_acquire) != interval)
        return;
    uint64_t min = GET(b->min), max = GET(b->max);
    v->n += GET(b->n);
    v->sum += (double)GET(b->sum) / unit;
    v->sum_squares += GET(b->sum_squares) / (unit * unit);
    s->min = min < s->min ? min : s->min;
    s->max = max > s->max ? max : s->max;
    for (size_t i = 0; i < BUCKETS; i++)
        s->buckets[i] += GET(b->buckets[i]);
}

static void put_quantiles(const struct sum *s, double unit, double out[METRIC_QUANTILES])
{
    static const double at[METRIC_QUANTILES] = { 0.5, 0.9, 0.99 };
    uint64_t n = 0;
    for (size_t i = 0; i < BUCKETS; i++)
        n += s->buckets[i];
    for (size_t q = 0; q < METRIC_QUANTILES; q++) {
        uint64_t seen = 0;
        out[q] = NAN;
        for (size_t i = 0; i < BUCKETS && isnan(out[q]); i++) {
            seen += s->buckets[i];
            if (n > 0 && (double)seen >= at[q] * (double)n)
                out[q] = bucket_ns(i) / unit;
        }
    }
}

static void add_shards(struct sum *s, uint32_t id, int64_t interval, double unit)
{
    for (struct shard *h = atomic_load(&registry.shards); h != NULL; h = h->next) {
        struct row *r = atomic_load_explicit(&h->rows[id / ROW], memory_order_acquire);
        struct cell *c =
            r == NULL ? NULL : atomic_load_explicit(&r->cells[id % ROW], memory_order_acquire);
        if (c != NULL)
            add_cell(s, c, interval, unit);
    }
}

bool metric_view(uint32_t id, int64_t interval, struct metric_view *out)
{
    if (id == METRIC_NONE || id >= atomic_load(&registry.count))
        return false;
    *out = (struct metric_view){ 0 };
    if (id < METRIC_FIXED) {
        out->name = str_of(fixed_names[id].name);
        out->kind = fixed_names[id].kind;
        out->per_cluster = fixed_names[id].per_cluster;
    } else {
        const struct made_name *m = atomic_load(&registry.made[id]);
        out->name = str_mem(m->text, m->n);
        out->kind = m->kind;
    }
    if (out->kind == METRIC_GAUGE) {
        uint64_t bits = 0;
        out->known = atomic_load_explicit(&registry.gauge_set[id], memory_order_acquire);
        bits = GET(registry.gauges[id]);
        memcpy(&out->value, &bits, sizeof bits);
        return true;
    }
    double unit = out->kind == METRIC_SAMPLE ? 1e6 : 1;
    struct sum s = { .view = out, .min = UINT64_MAX };
    add_shards(&s, id, interval, unit);
    out->min = out->n == 0 ? 0 : (double)s.min / unit;
    out->max = (double)s.max / unit;
    put_quantiles(&s, unit, out->quantiles);
    return true;
}
