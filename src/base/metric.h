/*
 * Metric: how often and how long, counted by every thread for itself.  Beside the log's sink the
 * one registry of the whole process: what is measured lies in all layers, and a measurement that
 * had to be handed down would stand in every signature.
 */
#ifndef BASE_METRIC_H
#define BASE_METRIC_H

#include <time.h>

#include "base/attr.h"
#include "base/str.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_SAMPLE };

/* What is measured; metric.c has the names, which are Vault's.  Ids from METRIC_FIXED up are made
 * at run time.  Measuring METRIC_NONE does nothing. */
enum metric {
    METRIC_NONE,
    METRIC_CORE_UNSEALED, METRIC_CORE_ACTIVE, METRIC_CORE_PERFORMANCE_STANDBY,
    METRIC_CORE_STEP_DOWN, METRIC_CORE_LEADERSHIP_LOST,
    METRIC_CORE_HANDLE_REQUEST, METRIC_CORE_HANDLE_LOGIN, METRIC_CORE_CHECK_TOKEN,
    METRIC_CORE_UNSEAL, METRIC_CORE_POST_UNSEAL, METRIC_CORE_SEAL,
    METRIC_BARRIER_GET, METRIC_BARRIER_PUT, METRIC_BARRIER_DELETE, METRIC_BARRIER_LIST,
    METRIC_TOKEN_LOOKUP, METRIC_TOKEN_CREATE, METRIC_TOKEN_REVOKE_TREE,
    METRIC_EXPIRE_NUM_LEASES, METRIC_EXPIRE_REGISTER, METRIC_EXPIRE_RENEW,
    METRIC_EXPIRE_RENEW_TOKEN, METRIC_EXPIRE_REVOKE, METRIC_EXPIRE_REVOKE_PREFIX,
    METRIC_EXPIRE_REVOKE_BY_TOKEN,
    METRIC_AUDIT_LOG_REQUEST, METRIC_AUDIT_LOG_RESPONSE, METRIC_AUDIT_LOG_REQUEST_FAILURE,
    METRIC_AUDIT_LOG_RESPONSE_FAILURE,
    METRIC_POLICY_GET, METRIC_POLICY_SET, METRIC_POLICY_DELETE, METRIC_POLICY_LIST,
    METRIC_RAFT_APPLY, METRIC_RAFT_COMMIT_TIME, METRIC_RAFT_PEERS, METRIC_RAFT_LAST_CONTACT,
    METRIC_RAFT_STATE_LEADER, METRIC_RAFT_STATE_FOLLOWER,
    METRIC_RAFT_STORAGE_PUT, METRIC_RAFT_STORAGE_DELETE, METRIC_RAFT_STORAGE_TRANSACTION,
    METRIC_AUTOPILOT_HEALTHY, METRIC_AUTOPILOT_FAILURE_TOLERANCE,
    METRIC_SNAPSHOTS_DURATION, METRIC_SNAPSHOTS_ERRORS, METRIC_SNAPSHOTS_LAST_SUCCESS,
    METRIC_SNAPSHOTS_TOTAL_SIZE, METRIC_SNAPSHOTS_PERCENT_USED, METRIC_SNAPSHOTS_ROTATE,
    METRIC_SNAPSHOTS_IN_STORAGE,
    METRIC_RUNTIME_ALLOC, METRIC_RUNTIME_SYS, METRIC_RUNTIME_THREADS,
    METRIC_FIXED
};

enum { METRIC_INTERVAL_S = 10 };

static inline int64_t metric_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/*
 * Any thread, no lock; a measurement is lost when memory is short.  A sample is a duration between
 * two times of metric_now_ns.
 */
void metric_span(uint32_t id, int64_t start_ns, int64_t end_ns);
void metric_count(uint32_t id, uint64_t n);
void metric_gauge(uint32_t id, double value);
/* The gauge says nothing any more: it is not shown until it is set again. */
void metric_gauge_end(uint32_t id);

/* A sample from ${start_ns} to now, which is returned. */
static inline int64_t metric_since(uint32_t id, int64_t start_ns)
{
    int64_t now = metric_now_ns();
    metric_span(id, start_ns, now);
    return now;
}

/* A sample of the scope that it stands in: AUTO(metric_end) struct metric_timer t = ... */
struct metric_timer {
    uint32_t id;
    int64_t start_ns;
};
static inline struct metric_timer metric_start(uint32_t id)
{
    return (struct metric_timer){ id, metric_now_ns() };
}
static inline void metric_end(struct metric_timer *t)
{
    metric_since(t->id, t->start_ns);
}

/*
 * The id of a name that is made at run time ("route.read.secret-"): the same for the same name.
 * Names stay for ever, so their number is bounded: METRIC_NONE past the bound, or without memory.
 * Takes a lock: keep the id.
 */
uint32_t metric_named(enum metric_kind kind, struct str name);

/* ---- for whoever shows them ---- */

enum { METRIC_QUANTILES = 3 }; /* 0.5, 0.9, 0.99 */

/* Counts as they are, durations in milliseconds. */
struct metric_view {
    struct str name;
    enum metric_kind kind;
    bool per_cluster;             /* Vault labels it with the cluster's name */
    bool known;                   /* it was measured at least once */
    uint64_t n;                   /* within the interval */
    double sum, sum_squares, min, max;
    double quantiles[METRIC_QUANTILES]; /* within a fifth; NaN without samples */
    uint64_t total_n;             /* since the process started */
    double total_sum;
    double value;                 /* of a gauge */
};

/* Intervals are numbered: metric_now_ns() / (10 s).  Kept are the present one and the last. */
int64_t metric_interval(int64_t now_ns);
/* The last whole interval, or the present one while the first is not over. */
int64_t metric_shown_interval(int64_t now_ns);
/* Fill ${out}; false past the last id.  Ids begin at METRIC_NONE + 1. */
bool metric_view(uint32_t id, int64_t interval, struct metric_view *out) MUST_USE;

#endif
