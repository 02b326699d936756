/* Monitor: the log's lines on their way to those who watch it over HTTP. */
#ifndef API_MONITOR_H
#define API_MONITOR_H

#include "base/buf.h"
#include "base/log.h"

struct monitor; /* any thread */
struct watcher; /* one thread */

/* Puts itself on the log as its tap: there is one at a time. */
int monitor_new(struct monitor **out, struct err *err) MUST_USE;
/* All watchers have left. NULL is fine. */
void monitor_free(struct monitor *m);
/* No watcher waits any more, now or later. */
void monitor_end(struct monitor *m);

/* See lines of ${level} and above from now on.  -1: ERR_LIMITED when too many watch, ERR_NOMEM. */
int monitor_watch(struct monitor *m, enum log_level level, struct watcher **out,
                  struct err *err) MUST_USE;
void monitor_leave(struct monitor *m, struct watcher *w);

/*
 * Wait for at most ${ms} for lines, and append them to ${out}.  1: some came; 0: none in that time;
 * -1: the end.  One who is slow misses lines, and a line in their place says how many.
 */
int monitor_next(struct monitor *m, struct watcher *w, int ms, struct buf *out) MUST_USE;

#endif
