/* Telemetry: the process's metrics as Vault shows them: JSON, Prometheus' text, statsd's lines. */
#ifndef CORE_TELEMETRY_H
#define CORE_TELEMETRY_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/metric.h"
#include "base/strs.h"

struct lifecycle;

/* What the configuration says; borrowed texts; immutable. */
struct telemetry {
    struct str prefix;      /* "vault" */
    struct str hostname;    /* of this machine */
    bool host_in_gauges;    /* "vault.HOST.runtime.alloc_bytes" */
    bool host_label;        /* a label instead */
    bool prometheus;        /* its format may be asked for */
    bool filter_default;    /* what no prefix names is shown */
    struct strs filter;     /* "+vault.token", "-vault.expire": the longest that fits decides */
};

/* An answer to sys/metrics; text in the arena. */
struct telemetry_answer {
    int status;
    const char *content_type;
    struct str text;
};

/*
 * For ?format=${format} (empty: JSON, unless ${accept} asks for Prometheus' format).  Any thread;
 * works sealed too.  -1: ERR_NOMEM.
 */
int telemetry_answer(const struct telemetry *t, struct lifecycle *l, struct arena *a,
                     struct str format, struct str accept, struct telemetry_answer *out,
                     struct err *err) MUST_USE;

/*
 * Lines of statsd for what was measured in ${interval}, each ended by a line feed.  A sample stands
 * as its mean with a sampling rate, so that count and sum are right.  ${tags} (NULL: plain statsd)
 * are dogstatsd's, of every line.
 */
void telemetry_statsd(const struct telemetry *t, struct lifecycle *l, int64_t interval,
                      const struct strs *tags, struct buf *out);

/* The JSON form of one interval; ${now_ns} of the wall clock, ${mono_ns} of metric_now_ns. */
void telemetry_json(const struct telemetry *t, struct lifecycle *l, int64_t now_ns,
                    int64_t mono_ns, struct buf *out);
void telemetry_prometheus(const struct telemetry *t, struct lifecycle *l, int64_t mono_ns,
                          struct buf *out);

#endif
