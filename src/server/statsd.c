/* Metrics, pushed. */
#include "server/statsd.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

static const struct log lg = { "telemetry" };

enum { TARGETS = 3, PACKET_MAX = 1432, SEND_TIMEOUT_S = 5 };

struct target {
    const char *kind;
    char host[256], port[16];
    int type; /* SOCK_DGRAM or SOCK_STREAM */
    const struct strs *tags;
    int fd;   /* -1: not connected */
    bool failing; /* told so; until sends went well twice: UDP learns of a refusal a send late */
    int good;     /* sends in a row that went well since */
};

struct statsd {
    const struct telemetry *telemetry;
    struct lifecycle *lifecycle;
    struct target targets[TARGETS]; /* the thread's */
    size_t n;
    pthread_t thread;
    pthread_mutex_t mu;
    pthread_cond_t ended;
    bool ending; /* under mu */
};

static const struct strs no_tags;

/* "host:port", "[::1]:8125". */
static int split(struct str address, struct target *t, struct err *err)
{
    ptrdiff_t colon = str_rfind_byte(address, ':');
    struct str host = colon < 0 ? STR("") : str_head(address, (size_t)colon);
    struct str port = colon < 0 ? STR("") : str_from(address, (size_t)colon + 1);
    if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = str_mem(host.p + 1, host.n - 2);
    if (host.n >= sizeof t->host || port.n == 0 || port.n >= sizeof t->port)
        return err_set(err, ERR_BAD_REQUEST, "telemetry: %s address \"" STR_FMT
                       "\" is not host:port", t->kind, STR_ARG(address));
    memcpy(t->host, host.n > 0 ? host.p : "localhost", host.n > 0 ? host.n : 9);
    memcpy(t->port, port.p, port.n);
    return 0;
}

static int target_connect(struct target *t, struct err *err)
{
    struct addrinfo hints = { .ai_socktype = t->type }, *found = NULL;
    struct timeval limit = { .tv_sec = SEND_TIMEOUT_S };
    int rc = getaddrinfo(t->host, t->port, &hints, &found);
    if (rc != 0)
        return err_set(err, ERR_IO, "%s", gai_strerror(rc));
    int why = ENOENT;
    for (const struct addrinfo *i = found; i != NULL && t->fd < 0; i = i->ai_next) {
        int fd = socket(i->ai_family, i->ai_socktype | SOCK_CLOEXEC, i->ai_protocol);
        if (fd >= 0)
            setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        if (fd >= 0 && connect(fd, i->ai_addr, i->ai_addrlen) == 0) {
            t->fd = fd;
            break;
        }
        why = errno;
        if (fd >= 0)
            close(fd);
    }
    freeaddrinfo(found);
    return t->fd >= 0 ? 0 : err_set(err, ERR_IO, "%s", strerror(why));
}

static void target_close(struct target *t)
{
    if (t->fd >= 0)
        close(t->fd);
    t->fd = -1;
}

static int send_whole(struct target *t, struct str part, struct err *err)
{
    while (part.n > 0) {
        ssize_t n = send(t->fd, part.p, part.n, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(err, ERR_IO, "%s", strerror(errno));
        part = str_from(part, (size_t)n);
    }
    return 0;
}

/* As many whole lines as fit into one packet. */
static struct str next_packet(struct str lines)
{
    size_t end = 0;
    while (end < lines.n) {
        ptrdiff_t line = str_find_byte(str_from(lines, end), '\n');
        size_t next = line < 0 ? lines.n : end + (size_t)line + 1;
        if (next > PACKET_MAX && end > 0)
            break;
        end = next;
    }
    return str_head(lines, end);
}

static int target_send(struct target *t, struct str lines, struct err *err)
{
    if (t->fd < 0)
        TRY(target_connect(t, err));
    while (lines.n > 0) {
        struct str part = t->type == SOCK_DGRAM ? next_packet(lines) : lines;
        TRY(send_whole(t, part, err));
        lines = str_from(lines, part.n);
    }
    return 0;
}

static void push(struct statsd *s, struct target *t, int64_t interval)
{
    AUTO(buf_free) struct buf lines = { 0 };
    struct err err = { 0 };
    telemetry_statsd(s->telemetry, s->lifecycle, interval, t->tags, &lines);
    int result = buf_check(&lines, &err);
    if (result == 0)
        result = target_send(t, buf_str(&lines), &err);
    if (result < 0) {
        target_close(t);
        if (!t->failing)
            LOG(&lg, WARN, "metrics cannot be sent: to=%s address=%s:%s error=%s", t->kind,
                t->host, t->port, err.msg);
        t->failing = true;
        t->good = 0;
    } else if (t->failing && ++t->good >= 2) {
        LOG(&lg, INFO, "metrics are sent again: to=%s", t->kind);
        t->failing = false;
    }
}

/* Until the interval is over; false when the thread is to end. */
static bool wait_for_end_of(struct statsd *s, int64_t interval)
{
    struct timespec until = { .tv_sec = (time_t)((interval + 1) * METRIC_INTERVAL_S) };
    pthread_mutex_lock(&s->mu);
    int rc = 0;
    while (!s->ending && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&s->ended, &s->mu, &until);
    bool go_on = !s->ending;
    pthread_mutex_unlock(&s->mu);
    return go_on;
}

static void *run(void *ctx)
{
    struct statsd *s = ctx;
    int64_t interval = metric_interval(metric_now_ns());
    while (wait_for_end_of(s, interval)) {
        for (size_t i = 0; i < s->n; i++)
            push(s, &s->targets[i], interval);
        /* One that a slow target made us miss is gone: only the last is kept. */
        interval = metric_interval(metric_now_ns());
    }
    return NULL;
}

static int add_target(struct statsd *s, const char *kind, struct str address, int type,
                      const struct strs *tags, struct err *err)
{
    if (address.n == 0)
        return 0;
    struct target *t = &s->targets[s->n++];
    *t = (struct target){ .kind = kind, .type = type, .tags = tags, .fd = -1 };
    return split(address, t, err);
}

static int add_targets(struct statsd *s, const struct statsd_targets *from, struct err *err)
{
    const struct strs *tags = from->dogstatsd_tags != NULL ? from->dogstatsd_tags : &no_tags;
    TRY(add_target(s, "statsite", from->statsite, SOCK_STREAM, NULL, err));
    TRY(add_target(s, "statsd", from->statsd, SOCK_DGRAM, NULL, err));
    return add_target(s, "dogstatsd", from->dogstatsd, SOCK_DGRAM, tags, err);
}

int statsd_new(const struct statsd_targets *targets, const struct telemetry *t,
               struct lifecycle *l, struct statsd **out, struct err *err)
{
    struct statsd *s = calloc(1, sizeof *s);
    pthread_condattr_t attr;
    *out = NULL;
    if (s == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    s->telemetry = t;
    s->lifecycle = l;
    if (add_targets(s, targets, err) < 0 || s->n == 0) {
        int result = s->n == 0 ? 0 : -1;
        free(s);
        return result;
    }
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->mu, NULL);
    pthread_cond_init(&s->ended, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&s->thread, NULL, run, s) != 0) {
        pthread_mutex_destroy(&s->mu);
        pthread_cond_destroy(&s->ended);
        free(s);
        return err_set(err, ERR_NOMEM, "no thread to send metrics");
    }
    *out = s;
    return 0;
}

void statsd_free(struct statsd *s)
{
    if (s == NULL)
        return;
    pthread_mutex_lock(&s->mu);
    s->ending = true;
    pthread_cond_signal(&s->ended);
    pthread_mutex_unlock(&s->mu);
    pthread_join(s->thread, NULL);
    for (size_t i = 0; i < s->n; i++)
        target_close(&s->targets[i]);
    pthread_mutex_destroy(&s->mu);
    pthread_cond_destroy(&s->ended);
    free(s);
}
