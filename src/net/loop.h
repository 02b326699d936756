/*
 * Loop: one event-loop thread: its libuv loop, an inbox that other threads post to, the deadlines
 * and the spare buffers of its connections.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <uv.h>

#include "base/err.h"
#include "net/wheel.h"

enum { LOOP_BLOCK = 8192, LOOP_SCRATCH = 65536, LOOP_DATE_LEN = 29 };

/* What is posted to a loop; part of something larger that its poster owns. */
struct note {
    struct note *next;
    void (*run)(struct note *n); /* on the loop's thread */
};

struct conn;
struct loop;

/* What the loop asks of the module that owns its connections. */
struct loop_hooks {
    void (*on_deadline)(struct wheel_item *item);
    void (*close_all)(struct loop *l); /* before the thread ends */
};

/* Owned by its thread, but for the inbox. */
struct loop {
    const struct loop_hooks *hooks;
    uv_loop_t uv;
    uv_async_t wake;
    uv_timer_t timer;
    uv_thread_t thread;
    bool running;
    _Atomic(struct note *) inbox; /* newest first; any thread pushes */

    struct wheel wheel;
    int64_t armed_ms;   /* when the timer goes off; INT64_MAX: it does not */
    struct conn *conns; /* all of them, linked by the conn module */
    size_t n_conns;
    bool draining;
    void (*on_empty)(void *ctx); /* called when draining and the last connection has gone */
    void *on_empty_ctx;

    struct loop_spare *blocks;
    size_t n_blocks;
    void *spares; /* of the exchange module */
    size_t n_spares;
    char *scratch; /* LOOP_SCRATCH bytes, for reads that are used up at once */
    int64_t date_s;
    char date[LOOP_DATE_LEN + 1];
};

/* Start the thread.  -1: ERR_NOMEM, ERR_IO. */
int loop_start(struct loop *l, const struct loop_hooks *hooks, struct err *err) MUST_USE;
/* End the thread and wait for it; what was posted before is still run.  Any other thread. */
void loop_stop(struct loop *l);
/* Release what is left; after loop_stop. */
void loop_fini(struct loop *l);

/* Run ${n} on the loop's thread soon.  Any thread. */
void loop_post(struct loop *l, struct note *n);
/* Whether the caller is the loop's thread. */
bool loop_is_here(const struct loop *l);

/* The rest: the loop's own thread only. */
static inline int64_t loop_now_ms(const struct loop *l)
{
    return (int64_t)uv_now(&l->uv);
}
void loop_set_deadline(struct loop *l, struct wheel_item *item, int64_t in_ms);

/* LOOP_BLOCK bytes, perhaps of a spare one; NULL: out of memory. */
char *loop_block(struct loop *l) MUST_USE;
/* Take a block back; the caller has wiped what it held. */
void loop_block_done(struct loop *l, char *block);

/* "Sun, 06 Nov 1994 08:49:37 GMT", made once a second. */
const char *loop_date(struct loop *l);

#endif
