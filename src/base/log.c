/* One line a message, written whole by one write(2). */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 2048 };

/* The one global that the house allows: the log sink. */
static struct {
    atomic_int level, tap_level;
    atomic_bool json;
    atomic_int fd;
    pthread_mutex_t mu;
    void (*tap)(void *ctx, enum log_level level, struct str line); /* under mu */
    void *tap_ctx;                                                 /* under mu */
} sink = { .level = LOG_INFO, .tap_level = LOG_OFF, .fd = STDERR_FILENO, .mu = PTHREAD_MUTEX_INITIALIZER };

static const char *const level_name[] = { "trace", "debug", "info", "warn", "error", "off" };
static const char *const level_tag[] = { "[TRACE]", "[DEBUG]", "[INFO] ", "[WARN] ", "[ERROR]", "" };

bool log_enabled(enum log_level level)
{
    return level >= (enum log_level)atomic_load_explicit(&sink.level, memory_order_relaxed)
           || level >= (enum log_level)atomic_load_explicit(&sink.tap_level, memory_order_relaxed);
}

void log_set_level(enum log_level level)
{
    atomic_store(&sink.level, level);
}

void log_set_tap_level(enum log_level level)
{
    atomic_store(&sink.tap_level, level);
}

void log_set_json(bool json)
{
    atomic_store(&sink.json, json);
}

void log_set_fd(int fd)
{
    if (fd >= 0)
        atomic_store(&sink.fd, fd);
}

void log_set_tap(void (*fn)(void *, enum log_level, struct str), void *ctx)
{
    pthread_mutex_lock(&sink.mu);
    sink.tap = fn;
    sink.tap_ctx = ctx;
    pthread_mutex_unlock(&sink.mu);
}

const char *log_level_name(enum log_level level)
{
    return level_name[level];
}

bool log_level_of(struct str name, enum log_level *out)
{
    static const struct { const char *name; enum log_level level; } known[] = {
        { "", LOG_INFO },      { "trace", LOG_TRACE },  { "debug", LOG_DEBUG },
        { "info", LOG_INFO },  { "notice", LOG_INFO },  { "warn", LOG_WARN },
        { "err", LOG_ERROR },  { "warning", LOG_WARN }, { "error", LOG_ERROR },
        { "off", LOG_OFF },
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq_nocase(name, str_of(known[i].name))) {
            *out = known[i].level;
            return true;
        }
    return false;
}

static size_t put_time(char *out, size_t size, bool micros)
{
    struct timespec t;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &t);
    gmtime_r(&t.tv_sec, &tm);
    size_t n = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &tm);
    int more = micros ? snprintf(out + n, size - n, ".%06ldZ", t.tv_nsec / 1000)
                      : snprintf(out + n, size - n, ".%03ldZ", t.tv_nsec / 1000000);
    return n + (size_t)more;
}

/* Control characters would let a message pass for two: they are written as escapes. */
static size_t put_escaped(char *out, size_t size, const char *text, bool json)
{
    size_t n = 0;
    for (; *text != 0 && n + 7 < size; text++) {
        unsigned char c = (unsigned char)*text;
        if (json && (c == '"' || c == '\\')) {
            out[n++] = '\\';
            out[n++] = (char)c;
        } else if (c < 0x20 || c == 0x7f) {
            n += (size_t)snprintf(out + n, size - n, json ? "\\u%04x" : "\\x%02x", c);
        } else {
            out[n++] = (char)c;
        }
    }
    out[n] = 0;
    return n;
}

static size_t put_json(char *line, size_t size, const struct log *lg, enum log_level level,
                       const char *text)
{
    char when[40];
    put_time(when, sizeof when, true);
    size_t n = (size_t)snprintf(line, size, "{\"@level\":\"%s\",\"@message\":\"", level_name[level]);
    n += put_escaped(line + n, size - n - 120, text, true);
    n += (size_t)snprintf(line + n, size - n, "\",\"@module\":\"%s\",\"@timestamp\":\"%s\"}\n",
                          lg->name, when);
    return n;
}

static size_t put_plain(char *line, size_t size, const struct log *lg, enum log_level level,
                        const char *text)
{
    size_t n = put_time(line, size, false);
    n += (size_t)snprintf(line + n, size - n, " %s %s: ", level_tag[level], lg->name);
    n += put_escaped(line + n, size - n - 1, text, false);
    line[n++] = '\n';
    return n;
}

void log_write(const struct log *lg, enum log_level level, const char *format, ...)
{
    char text[LINE_MAX_BYTES - 256], line[LINE_MAX_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);

    size_t n = atomic_load(&sink.json) ? put_json(line, sizeof line, lg, level, text)
                                       : put_plain(line, sizeof line, lg, level, text);
    if (level >= (enum log_level)atomic_load(&sink.level)) {
        /* A log that cannot be written must not stop the server: the result is of no use. */
        ssize_t ignored = write(atomic_load(&sink.fd), line, n);
        (void)ignored;
    }
    if (level < (enum log_level)atomic_load(&sink.tap_level))
        return;
    pthread_mutex_lock(&sink.mu);
    if (sink.tap != NULL)
        sink.tap(sink.tap_ctx, level, str_mem(line, n));
    pthread_mutex_unlock(&sink.mu);
}
