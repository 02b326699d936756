/* Log: lines for the operator, in the layout of Vault's (standard or JSON), to one sink. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

enum log_level { LOG_TRACE, LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_OFF };

/* Who speaks: "core", "storage.lmdb", ... A static one per module is fine. */
struct log {
    const char *name;
};

/*
 * LOG(lg, WARN, "revocation failed: lease=" STR_FMT, ...): a sentence without a full stop, then
 * key=value. Never a secret, a token, a share or a body. Any thread.
 */
#define LOG(lg, level, ...)                                                                        \
    do {                                                                                           \
        if (log_enabled(LOG_##level))                                                              \
            log_write((lg), LOG_##level, __VA_ARGS__);                                             \
    } while (0)

void log_write(const struct log *lg, enum log_level level, const char *format, ...)
    PRINTF_LIKE(3, 4);

bool log_enabled(enum log_level level);

/* The process's one sink: level, JSON or not, and the file (-1 keeps the present one). */
void log_set_level(enum log_level level);
void log_set_json(bool json);
/* ${fd} stays the caller's; the sink starts on standard error. */
void log_set_fd(int fd);

/* "trace", "debug", "info" (also ""), "warn"/"warning", "err"/"error", "off"; false otherwise. */
bool log_level_of(struct str name, enum log_level *out) MUST_USE;
const char *log_level_name(enum log_level level);

/*
 * A tap that sees every line at its own level or above, which may be more than the sink's file gets
 * (sys/monitor). ${fn} must not log; it is called by one thread at a time. NULL takes it away.
 * It starts at LOG_OFF.
 */
void log_set_tap_level(enum log_level level);
void log_set_tap(void (*fn)(void *ctx, enum log_level level, struct str line), void *ctx);

#endif
