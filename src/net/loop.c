/* An event-loop thread and what its connections share. */
#include "net/loop.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_SPARE_BLOCKS = 64 };

struct loop_spare {
    struct loop_spare *next;
};

static _Thread_local const struct loop *here;

/* Oldest first. */
static struct note *reversed(struct note *n)
{
    struct note *out = NULL;
    while (n != NULL) {
        struct note *next = n->next;
        n->next = out;
        out = n;
        n = next;
    }
    return out;
}

static void on_wake(uv_async_t *wake)
{
    struct loop *l = wake->data;
    struct note *n = reversed(atomic_exchange(&l->inbox, NULL));
    while (n != NULL) {
        struct note *next = n->next; /* run may release the note */
        n->run(n);
        n = next;
    }
}

void loop_post(struct loop *l, struct note *n)
{
    struct note *top = atomic_load_explicit(&l->inbox, memory_order_relaxed);
    do {
        n->next = top;
    } while (!atomic_compare_exchange_weak(&l->inbox, &top, n));
    /* Whoever found it empty wakes the loop, which takes all at once. */
    if (top == NULL)
        (void)uv_async_send(&l->wake);
}

bool loop_is_here(const struct loop *l)
{
    return here == l;
}

static void on_timer(uv_timer_t *timer);

static void arm(struct loop *l, int64_t at_ms)
{
    if (at_ms >= l->armed_ms)
        return;
    int64_t now = loop_now_ms(l);
    l->armed_ms = at_ms;
    (void)uv_timer_start(&l->timer, on_timer, at_ms > now ? (uint64_t)(at_ms - now) : 0, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct loop *l = timer->data;
    l->armed_ms = INT64_MAX;
    wheel_run(&l->wheel, loop_now_ms(l), l->hooks->on_deadline);
    int64_t next = wheel_next_ms(&l->wheel);
    if (next >= 0)
        arm(l, next);
}

void loop_set_deadline(struct loop *l, struct wheel_item *item, int64_t in_ms)
{
    int64_t now = loop_now_ms(l);
    arm(l, wheel_set(&l->wheel, item, now, now + in_ms));
}

static void thread_main(void *arg)
{
    struct loop *l = arg;
    here = l;
    (void)uv_run(&l->uv, UV_RUN_DEFAULT);
    here = NULL;
}

/* Signals are the main thread's: none of ours is interrupted, SIGPIPE ends nothing. */
static int start_thread(struct loop *l, struct err *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = uv_thread_create(&l->thread, thread_main, l);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        return err_set(err, ERR_IO, "http: thread: %s", uv_strerror(rc));
    l->running = true;
    return 0;
}

int loop_start(struct loop *l, const struct loop_hooks *hooks, struct err *err)
{
    *l = (struct loop){ .hooks = hooks, .armed_ms = INT64_MAX, .date_s = -1 };
    int rc = uv_loop_init(&l->uv);
    if (rc != 0)
        return err_set(err, ERR_IO, "http: event loop: %s", uv_strerror(rc));
    l->scratch = malloc(LOOP_SCRATCH);
    l->wake.data = l->timer.data = l;
    (void)uv_timer_init(&l->uv, &l->timer);
    rc = uv_async_init(&l->uv, &l->wake, on_wake);
    if (rc != 0 || l->scratch == NULL)
        rc = err_set(err, ERR_IO, "http: event loop: %s", uv_strerror(rc != 0 ? rc : UV_ENOMEM));
    else
        rc = start_thread(l, err);
    if (rc < 0)
        loop_fini(l);
    return rc;
}

/* The note that ends the loop. */
struct stop_note {
    struct note note;
    struct loop *loop;
};

static void close_handle(uv_handle_t *h, void *unused)
{
    if (!uv_is_closing(h))
        uv_close(h, NULL);
}

static void on_stop(struct note *n)
{
    struct loop *l = ((struct stop_note *)n)->loop;
    l->hooks->close_all(l);
    uv_close((uv_handle_t *)&l->wake, NULL);
    uv_close((uv_handle_t *)&l->timer, NULL);
}

void loop_stop(struct loop *l)
{
    if (!l->running)
        return;
    struct stop_note stop = { { .run = on_stop }, l };
    loop_post(l, &stop.note);
    (void)uv_thread_join(&l->thread);
    l->running = false;
}

void loop_fini(struct loop *l)
{
    uv_walk(&l->uv, close_handle, NULL);
    (void)uv_run(&l->uv, UV_RUN_DEFAULT);
    (void)uv_loop_close(&l->uv);
    while (l->blocks != NULL) {
        struct loop_spare *next = l->blocks->next;
        free(l->blocks);
        l->blocks = next;
    }
    free(l->scratch);
    l->scratch = NULL;
}

char *loop_block(struct loop *l)
{
    struct loop_spare *b = l->blocks;
    if (b == NULL)
        return malloc(LOOP_BLOCK);
    l->blocks = b->next;
    l->n_blocks--;
    return (char *)b;
}

void loop_block_done(struct loop *l, char *block)
{
    if (l->n_blocks >= MAX_SPARE_BLOCKS) {
        free(block);
        return;
    }
    struct loop_spare *b = (struct loop_spare *)block;
    b->next = l->blocks;
    l->blocks = b;
    l->n_blocks++;
}

const char *loop_date(struct loop *l)
{
    static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
    static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec != l->date_s) {
        struct tm t;
        char text[64];
        gmtime_r(&now.tv_sec, &t);
        l->date_s = now.tv_sec;
        snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[t.tm_wday],
                 t.tm_mday, months[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
        memcpy(l->date, text, LOOP_DATE_LEN);
    }
    return l->date;
}
