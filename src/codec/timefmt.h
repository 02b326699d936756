/* Timefmt: instants as RFC 3339 and durations as Go and Vault write and read them. */
#ifndef CODEC_TIMEFMT_H
#define CODEC_TIMEFMT_H

#include "base/arena.h"
#include "base/err.h"

/* Go's zero time, 0001-01-01T00:00:00Z, does not fit in int64 nanoseconds: it is this value. */
#define TIME_ZERO INT64_MIN

/* RFC 3339, UTC, up to nanoseconds with trailing zeros cut: "2026-01-02T03:04:05.06Z". */
struct str time_format(struct arena *a, int64_t unix_ns);
/*
 * Any offset, any fraction (cut to nanoseconds). -1: ERR_BAD_REQUEST, texts as Go's; also for an
 * instant that 64 bits of nanoseconds do not reach (before 1677, after 2262), but for TIME_ZERO's.
 */
int time_parse(struct str s, int64_t *unix_ns, struct err *err) MUST_USE;

/* As Go's Duration.String: "1h30m0s", "1.5s", "300ms", "0s". */
struct str duration_format(struct arena *a, int64_t ns);
/* Go's ParseDuration: "-1.5h", "300ms", "1h15m30.918s"; a unit is needed but for "0". */
int duration_parse_go(struct str s, int64_t *ns, struct err *err) MUST_USE;
/*
 * As Vault's parameters: "" is 0, digits are seconds, "5d" is days where ${days}, else as Go.
 * -1: ERR_BAD_REQUEST.
 */
int duration_parse(struct str s, bool days, int64_t *ns, struct err *err) MUST_USE;

#endif
