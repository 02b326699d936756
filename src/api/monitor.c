/* A bounded queue of lines a watcher, which the log's tap fills. */
#include "api/monitor.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum {
    WATCHERS_MAX = 64,      /* each holds a worker's thread */
    QUEUE_MAX = 256 * 1024, /* bytes that wait for one watcher */
};

struct watcher {
    struct watcher *next;
    enum log_level level;
    struct buf lines;
    uint64_t missed;
};

struct monitor {
    pthread_mutex_t mu;
    pthread_cond_t news;
    struct watcher *first; /* all below under mu */
    size_t n;
    bool ended;
};

static void tap(void *ctx, enum log_level level, struct str line)
{
    struct monitor *m = ctx;
    pthread_mutex_lock(&m->mu);
    for (struct watcher *w = m->first; w != NULL; w = w->next) {
        if (level < w->level)
            continue;
        if (w->missed > 0 || w->lines.n + line.n > QUEUE_MAX || buf_reserve(&w->lines, line.n) < 0)
            w->missed++;
        else
            buf_add(&w->lines, line);
    }
    pthread_cond_broadcast(&m->news);
    pthread_mutex_unlock(&m->mu);
}

/* Lines that nobody sees are not made. Under mu. */
static void settle_level(const struct monitor *m)
{
    enum log_level lowest = LOG_OFF;
    for (const struct watcher *w = m->first; w != NULL; w = w->next)
        if (w->level < lowest)
            lowest = w->level;
    log_set_tap_level(lowest);
}

int monitor_new(struct monitor **out, struct err *err)
{
    struct monitor *m = calloc(1, sizeof *m);
    pthread_condattr_t attr;
    if (m == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&m->mu, NULL);
    pthread_cond_init(&m->news, &attr);
    pthread_condattr_destroy(&attr);
    log_set_tap(tap, m);
    *out = m;
    return 0;
}

void monitor_free(struct monitor *m)
{
    if (m == NULL)
        return;
    log_set_tap(NULL, NULL);
    pthread_mutex_destroy(&m->mu);
    pthread_cond_destroy(&m->news);
    free(m);
}

void monitor_end(struct monitor *m)
{
    pthread_mutex_lock(&m->mu);
    m->ended = true;
    pthread_cond_broadcast(&m->news);
    pthread_mutex_unlock(&m->mu);
}

int monitor_watch(struct monitor *m, enum log_level level, struct watcher **out, struct err *err)
{
    struct watcher *w = calloc(1, sizeof *w);
    if (w == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    w->level = level;
    pthread_mutex_lock(&m->mu);
    bool room = m->n < WATCHERS_MAX;
    if (room) {
        w->next = m->first;
        m->first = w;
        m->n++;
        settle_level(m);
    }
    pthread_mutex_unlock(&m->mu);
    if (!room) {
        free(w);
        return err_set(err, ERR_LIMITED, "the log is watched by %d clients already", WATCHERS_MAX);
    }
    *out = w;
    return 0;
}

void monitor_leave(struct monitor *m, struct watcher *w)
{
    pthread_mutex_lock(&m->mu);
    struct watcher **at = &m->first;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    m->n--;
    settle_level(m);
    pthread_mutex_unlock(&m->mu);
    buf_free(&w->lines);
    free(w);
}

/* Under mu. */
static int take_lines(struct watcher *w, struct buf *out)
{
    if (w->lines.n == 0 && w->missed == 0)
        return 0;
    buf_add(out, buf_str(&w->lines));
    if (w->missed > 0)
        buf_printf(out, "Monitor dropped %llu logs during monitor request\n",
                   (unsigned long long)w->missed);
    buf_free(&w->lines); /* the memory too: watchers are mostly idle */
    w->missed = 0;
    return 1;
}

int monitor_next(struct monitor *m, struct watcher *w, int ms, struct buf *out)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&m->mu);
    int rc = 0, result = take_lines(w, out);
    while (result == 0 && !m->ended && rc != ETIMEDOUT) {
        rc = pthread_cond_timedwait(&m->news, &m->mu, &until);
        result = take_lines(w, out);
    }
    if (result == 0 && m->ended)
        result = -1;
    pthread_mutex_unlock(&m->mu);
    return result;
}
