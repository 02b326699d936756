/* From the process's registry to the three formats (Vault docs: internals/telemetry). */
#include "core/telemetry.h"

#include <dirent.h>
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/epoch.h"
#include "codec/json.h"
#include "core/lifecycle.h"
#include "core/service.h"

/* One metric on its way out. */
struct series {
    struct metric_view view;
    struct str name;    /* "vault.core.handle_request", in a buffer of the walk */
    struct str cluster; /* value of the label, or empty */
    struct str host;    /* the same */
};

typedef void series_fn(void *ctx, const struct series *s);

/* ---- gauges that are looked at when somebody asks ---- */

static double resident_bytes(void)
{
    long long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f == NULL)
        return 0;
    if (fscanf(f, "%lld %lld", &pages, &resident) != 2)
        resident = 0;
    fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static double entries_of(const char *folder)
{
    double n = 0;
    DIR *d = opendir(folder);
    if (d == NULL)
        return 0;
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d))
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void refresh(struct lifecycle *l, struct arena *a, struct str *cluster)
{
    struct mallinfo2 heap = mallinfo2();
    epoch_enter();
    const struct active *on = lifecycle_active(l);
    metric_gauge(METRIC_CORE_UNSEALED,
                 service_mode(lifecycle_service(l)) != SERVICE_OFF);
    metric_gauge(METRIC_CORE_ACTIVE, on != NULL && !on->standby);
    metric_gauge(METRIC_CORE_PERFORMANCE_STANDBY,
                 on != NULL && on->standby && !on->settings->forward_reads);
    *cluster = on == NULL ? STR("") : arena_dup(a, on->cluster_name);
    if (on != NULL)
        metric_gauge(METRIC_EXPIRE_NUM_LEASES, (double)lease_count(on->leases));
    epoch_leave();
    metric_gauge(METRIC_RUNTIME_ALLOC, (double)(heap.uordblks + heap.hblkhd));
    metric_gauge(METRIC_RUNTIME_SYS, resident_bytes());
    metric_gauge(METRIC_RUNTIME_THREADS, entries_of("/proc/self/task"));
}

/* ---- the walk ---- */

static bool shown(const struct telemetry *t, struct str name)
{
    bool allow = t->filter_default;
    size_t longest = 0;
    for (size_t i = 0; i < t->filter.n; i++) {
        struct str rule = t->filter.v[i];
        if (rule.n > longest && str_starts(name, str_from(rule, 1))) {
            longest = rule.n;
            allow = rule.p[0] == '+';
        }
    }
    return allow;
}

static void walk(const struct telemetry *t, struct lifecycle *l, int64_t interval, series_fn *each,
                 void *ctx)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf name = { 0 };
    struct series s = { 0 };
    struct str cluster;
    if (a == NULL)
        return;
    refresh(l, a, &cluster);
    for (uint32_t id = METRIC_NONE + 1; metric_view(id, interval, &s.view); id++) {
        if (!s.view.known)
            continue;
        buf_clear(&name);
        buf_add(&name, t->prefix);
        buf_byte(&name, '.');
        if (t->host_in_gauges && s.view.kind == METRIC_GAUGE) {
            buf_add(&name, t->hostname);
            buf_byte(&name, '.');
        }
        buf_add(&name, s.view.name);
        s.name = buf_str(&name);
        s.cluster = s.view.per_cluster ? cluster : STR("");
        s.host = t->host_label ? t->hostname : STR("");
        if (!name.failed && shown(t, s.name))
            each(ctx, &s);
    }
}

/* ---- JSON ---- */

struct json_part {
    struct buf *out;
    enum metric_kind kind;
    bool any;
};

static void put_labels(struct buf *out, const struct series *s)
{
    buf_add(out, STR(",\"Labels\":{"));
    if (s->cluster.n > 0) {
        buf_add(out, STR("\"cluster\":"));
        json_print_string(s->cluster, out);
    }
    if (s->host.n > 0) {
        buf_add(out, s->cluster.n > 0 ? STR(",\"host\":") : STR("\"host\":"));
        json_print_string(s->host, out);
    }
    buf_byte(out, '}');
}

static void json_series(void *ctx, const struct series *s)
{
    struct json_part *p = ctx;
    const struct metric_view *v = &s->view;
    if (v->kind != p->kind || (v->kind != METRIC_GAUGE && v->n == 0))
        return;
    buf_add(p->out, p->any ? STR(",{\"Name\":") : STR("{\"Name\":"));
    p->any = true;
    json_print_string(s->name, p->out);
    if (v->kind == METRIC_GAUGE) {
        buf_printf(p->out, ",\"Value\":%.15g", v->value);
    } else {
        double n = (double)v->n, rest = v->sum_squares - v->sum * v->sum / n;
        double deviation = v->n < 2 || rest < 0 ? 0 : sqrt(rest / (n - 1));
        buf_printf(p->out,
                   ",\"Count\":%llu,\"Rate\":%.15g,\"Sum\":%.15g,\"Min\":%.15g,\"Max\":%.15g,"
                   "\"Mean\":%.15g,\"Stddev\":%.15g",
                   (unsigned long long)v->n, v->sum / METRIC_INTERVAL_S, v->sum, v->min, v->max,
                   v->sum / n, deviation);
    }
    put_labels(p->out, s);
    buf_byte(p->out, '}');
}

void telemetry_json(const struct telemetry *t, struct lifecycle *l, int64_t now_ns,
                    int64_t mono_ns, struct buf *out)
{
    static const struct { const char *before; enum metric_kind kind; } parts[] = {
        { ",\"Gauges\":[", METRIC_GAUGE },
        { "],\"Points\":[],\"Counters\":[", METRIC_COUNTER },
        { "],\"Samples\":[", METRIC_SAMPLE },
    };
    int64_t interval = metric_shown_interval(mono_ns);
    int64_t began_ns = interval * METRIC_INTERVAL_S * INT64_C(1000000000);
    time_t began = (time_t)((now_ns - mono_ns + began_ns + 500000000) / 1000000000);
    struct tm tm;
    char when[40];
    gmtime_r(&began, &tm);
    strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S +0000 UTC", &tm);
    buf_printf(out, "{\"Timestamp\":\"%s\"", when);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        struct json_part p = { out, parts[i].kind, false };
        buf_add(out, str_of(parts[i].before));
        walk(t, l, interval, json_series, &p);
    }
    buf_add(out, STR("]}"));
}

/* ---- Prometheus' text format, version 0.0.4 ---- */

static void put_name(struct buf *out, struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
                    || c == '_' || c == ':';
        buf_byte(out, fits ? c : '_');
    }
}

static void put_value_of_label(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\\' || text.p[i] == '"')
            buf_byte(out, '\\');
        buf_byte(out, text.p[i] == '\n' ? ' ' : text.p[i]);
    }
}

static void put_number(struct buf *out, double v)
{
    if (isnan(v))
        buf_add(out, STR(" NaN\n"));
    else
        buf_printf(out, " %.15g\n", v);
}

/* name{labels} value; ${quantile} may be NULL. */
static void put_line(struct buf *out, const struct series *s, const char *tail,
                     const char *quantile, double v)
{
    const struct { const char *name; struct str value; } labels[] = {
        { "cluster", s->cluster },
        { "host", s->host },
        { "quantile", quantile == NULL ? STR("") : str_of(quantile) },
    };
    bool any = false;
    put_name(out, s->name);
    buf_add(out, str_of(tail));
    for (size_t i = 0; i < ARRAY_LEN(labels); i++) {
        if (labels[i].value.n == 0)
            continue;
        buf_printf(out, "%c%s=\"", any ? ',' : '{', labels[i].name);
        put_value_of_label(out, labels[i].value);
        buf_byte(out, '"');
        any = true;
    }
    if (any)
        buf_byte(out, '}');
    put_number(out, v);
}

static void prometheus_series(void *ctx, const struct series *s)
{
    static const char *const quantiles[METRIC_QUANTILES] = { "0.5", "0.9", "0.99" };
    static const char *const types[] = { "counter", "gauge", "summary" };
    struct buf *out = ctx;
    const struct metric_view *v = &s->view;
    buf_add(out, STR("# HELP "));
    put_name(out, s->name);
    buf_byte(out, ' ');
    put_name(out, s->name);
    buf_add(out, STR("\n# TYPE "));
    put_name(out, s->name);
    buf_printf(out, " %s\n", types[v->kind]);
    if (v->kind != METRIC_SAMPLE) {
        put_line(out, s, "", NULL, v->kind == METRIC_GAUGE ? v->value : v->total_sum);
        return;
    }
    for (size_t i = 0; i < METRIC_QUANTILES; i++)
        put_line(out, s, "", quantiles[i], v->quantiles[i]);
    put_line(out, s, "_sum", NULL, v->total_sum);
    put_line(out, s, "_count", NULL, (double)v->total_n);
}

/* What every client library of Prometheus tells of its process. */
static void put_process(struct buf *out)
{
    struct timespec cpu = { 0 };
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    buf_printf(out,
               "# HELP process_cpu_seconds_total Total user and system CPU time spent in seconds.\n"
               "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total %.2f\n"
               "# HELP process_open_fds Number of open file descriptors.\n"
               "# TYPE process_open_fds gauge\nprocess_open_fds %.0f\n"
               "# HELP process_resident_memory_bytes Resident memory size in bytes.\n"
               "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes %.0f\n",
               (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9, entries_of("/proc/self/fd"),
               resident_bytes());
}

void telemetry_prometheus(const struct telemetry *t, struct lifecycle *l, int64_t mono_ns,
                          struct buf *out)
{
    put_process(out);
    walk(t, l, metric_shown_interval(mono_ns), prometheus_series, out);
}

/* ---- statsd ---- */

struct statsd_part {
    struct buf *out;
    const struct strs *tags;
};

static void put_tags(const struct statsd_part *p, const struct series *s)
{
    bool any = false;
    if (p->tags == NULL)
        return;
    for (size_t i = 0; i < p->tags->n; i++) {
        buf_printf(p->out, "%s" STR_FMT, any ? "," : "|#", STR_ARG(p->tags->v[i]));
        any = true;
    }
    if (s->cluster.n > 0) {
        buf_printf(p->out, "%scluster:" STR_FMT, any ? "," : "|#", STR_ARG(s->cluster));
        any = true;
    }
    if (s->host.n > 0)
        buf_printf(p->out, "%shost:" STR_FMT, any ? "," : "|#", STR_ARG(s->host));
}

static void statsd_series(void *ctx, const struct series *s)
{
    const struct statsd_part *p = ctx;
    const struct metric_view *v = &s->view;
    if (v->kind != METRIC_GAUGE && v->n == 0)
        return;
    for (size_t i = 0; i < s->name.n; i++) {
        char c = s->name.p[i];
        buf_byte(p->out, c == ':' || c == '|' || c == '@' || c == ' ' ? '_' : c);
    }
    if (v->kind == METRIC_GAUGE)
        buf_printf(p->out, ":%.15g|g", v->value);
    else if (v->kind == METRIC_COUNTER)
        buf_printf(p->out, ":%.15g|c", v->sum);
    else
        buf_printf(p->out, ":%.6f|ms", v->sum / (double)v->n);
    if (v->kind == METRIC_SAMPLE && v->n > 1)
        buf_printf(p->out, "|@%.12f", 1 / (double)v->n); /* receivers know no exponents */
    put_tags(p, s);
    buf_byte(p->out, '\n');
}

void telemetry_statsd(const struct telemetry *t, struct lifecycle *l, int64_t interval,
                      const struct strs *tags, struct buf *out)
{
    struct statsd_part p = { out, tags };
    walk(t, l, interval, statsd_series, &p);
}

/* ---- sys/metrics ---- */

int telemetry_answer(const struct telemetry *t, struct lifecycle *l, struct arena *a,
                     struct str format, struct str accept, struct telemetry_answer *out,
                     struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    int64_t mono_ns = metric_now_ns();
    *out = (struct telemetry_answer){ .status = 200, .content_type = "text/plain" };
    if (format.n == 0
        && (str_find(accept, STR("application/openmetrics-text")) >= 0
            || str_find(accept, STR("prometheus/telemetry")) >= 0))
        format = STR("prometheus");
    if (format.n == 0) {
        telemetry_json(t, l, clock_now_ns(&clock_system), mono_ns, &text);
    } else if (!str_is(format, "prometheus")) {
        out->status = 400;
        buf_add(&text, STR("metric response format "));
        json_print_string(format, &text);
        buf_add(&text, STR(" unknown"));
    } else if (!t->prometheus) {
        out->status = 400;
        buf_add(&text, STR("prometheus is not enabled"));
    } else {
        out->content_type = "text/plain; version=0.0.4; charset=utf-8";
        telemetry_prometheus(t, l, mono_ns, &text);
    }
    out->text = arena_dup(a, buf_str(&text));
    TRY(buf_check(&text, err));
    return arena_check(a, err);
}
