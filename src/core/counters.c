/* Requests a month. */
#include "core/counters.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/strs.h"
#include "codec/json.h"

#define PREFIX "counters/requests/"

/* Each on a cache line of its own: threads that count do not meet. */
enum { LANES = 16, LINE = 64 };

struct lane {
    _Alignas(LINE) atomic_uint_fast64_t n;
};

struct counters {
    struct lane lane[LANES];
    struct storage *sys;
    const struct clock *clock;
    pthread_mutex_t flush; /* one at a time */
};

int counters_new(struct storage *sys, const struct clock *clock, struct counters **out,
                 struct err *err)
{
    struct counters *c = aligned_alloc(LINE, (sizeof *c + LINE - 1) / LINE * LINE);
    if (c == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    memset(c, 0, sizeof *c);
    c->sys = sys;
    c->clock = clock;
    pthread_mutex_init(&c->flush, NULL);
    *out = c;
    return 0;
}

void counters_free(struct counters *c)
{
    if (c == NULL)
        return;
    pthread_mutex_destroy(&c->flush);
    free(c);
}

void counters_request(struct counters *c)
{
    static _Atomic unsigned next;
    static _Thread_local unsigned mine; /* 0: none yet */
    if (mine == 0)
        mine = atomic_fetch_add(&next, 1) % LANES + 1;
    atomic_fetch_add_explicit(&c->lane[mine - 1].n, 1, memory_order_relaxed);
}

static struct str month_key(struct arena *a, int year, int month)
{
    return arena_printf(a, PREFIX "%04d/%02d", year, month);
}

static int stored_total(struct counters *c, struct arena *a, struct str key, uint64_t *out,
                        struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    struct json *o;
    *out = 0;
    int found = storage_get(c->sys, key, &text, err);
    if (found <= 0)
        return found;
    TRY(json_parse(a, arena_dup(a, buf_str(&text)), &o, NULL, err));
    *out = (uint64_t)json_get_int(o, "total", 0);
    return 1;
}

static void this_month(const struct counters *c, int *year, int *month)
{
    time_t now = (time_t)clock_now_s(c->clock);
    struct tm t;
    gmtime_r(&now, &t);
    *year = t.tm_year + 1900;
    *month = t.tm_mon + 1;
}

static uint64_t take_all(struct counters *c)
{
    uint64_t n = 0;
    for (size_t i = 0; i < LANES; i++)
        n += atomic_exchange(&c->lane[i].n, 0);
    return n;
}

static int flush_locked(struct counters *c, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf text = { 0 };
    int year, month;
    uint64_t total, more = take_all(c);
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (more == 0)
        return 0;
    this_month(c, &year, &month);
    struct str key = month_key(a, year, month);
    int result = stored_total(c, a, key, &total, err);
    struct json *o = json_object(a);
    json_put(o, "total", json_uint(a, total + more));
    if (result >= 0)
        result = arena_check(a, err);
    json_print(o, &text);
    if (result >= 0)
        result = storage_put(c->sys, key, buf_str(&text), err);
    if (result < 0)
        atomic_fetch_add(&c->lane[0].n, more); /* for the next time */
    return result < 0 ? -1 : 0;
}

int counters_flush(struct counters *c, struct err *err)
{
    pthread_mutex_lock(&c->flush);
    int result = flush_locked(c, err);
    pthread_mutex_unlock(&c->flush);
    return result;
}

/* "2026/11" */
static bool read_name(struct str name, int *year, int *month)
{
    int64_t y, m;
    ptrdiff_t slash = str_find_byte(name, '/');
    if (slash < 0 || !str_to_i64(str_head(name, (size_t)slash), &y)
        || !str_to_i64(str_from(name, (size_t)slash + 1), &m) || m < 1 || m > 12)
        return false;
    *year = (int)y;
    *month = (int)m;
    return true;
}

int counters_list(struct counters *c, struct arena *a, struct counters_month **out, size_t *n,
                  struct err *err)
{
    struct strs names = { 0 };
    struct strs_collect collect = { a, &names };
    TRY(counters_flush(c, err));
    TRY(storage_walk(c->sys, STR(PREFIX), strs_collect_name, &collect, err));
    *out = arena_array(a, names.n + 1, sizeof **out);
    *n = 0;
    TRY(arena_check(a, err));
    for (size_t i = 0; i < names.n; i++) {
        struct counters_month *m = &(*out)[*n];
        if (!read_name(names.v[i], &m->year, &m->month))
            continue;
        TRY(stored_total(c, a, month_key(a, m->year, m->month), &m->total, err));
        (*n)++;
    }
    return arena_check(a, err);
}
