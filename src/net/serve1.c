/* HTTP/1.1 on a connection: reading requests, sending answers, one at a time. */
#include "net/serve1.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/exchange.h"
#include "net/http1.h"
#include "net/http2.h"
#include "net/reply1.h"
#include "net/spool.h"

enum { BODY_STEP = 65536 }; /* a body's buffer grows at least by this */

enum stage {
    HEAD,    /* reading a request's head, or idle */
    BODY,    /* reading its body */
    HANDLER, /* it is being answered */
    SENDING, /* the answer does not fit the socket yet */
    STREAM,  /* the answer comes in pieces */
    DONE,    /* the answer is out */
};

struct serve1 {
    struct conn *c;
    enum stage stage;
    bool running;     /* run() is up the stack */
    bool close_after; /* this answer is the last */
    bool discards;    /* input that nobody wants may follow: close gently */
    bool too_large;   /* the body passed the limit */
    bool spools;      /* the body goes to a file */
    int spool_error;  /* errno of the file; 0: none */
    bool closed;      /* the socket is gone */
    bool idle;        /* no byte of a request has come yet */
    bool http10;
    char *in; /* received, not used up: in[start .. n) */
    size_t start, n, cap;
    struct http1_scan scan;
    struct http1_chunked chunks;
    bool chunked;
    uint64_t body_left, body_seen;
    int64_t begun_ms;    /* when the first byte of the request came */
    struct exchange *x;  /* the request under way */
    struct piece *piece; /* being sent */
};

enum step { GO, WAIT };

/* Give the input's memory back; what is in it is wiped. */
static void release_input(struct serve1 *h)
{
    if (h->in == NULL)
        return;
    explicit_bzero(h->in, h->n);
    if (h->cap == LOOP_BLOCK)
        loop_block_done(h->c->loop, h->in);
    else
        free(h->in);
    h->in = NULL;
    h->start = h->n = h->cap = 0;
}

static void release(struct serve1 *h)
{
    struct exchange *x = h->x;
    release_input(h);
    free(h);
    exchange_free(x); /* last: it may be the connection's last hold */
}

static void finish_connection(struct serve1 *h)
{
    if (h->discards || h->start < h->n)
        conn_finish(h->c);
    else
        conn_close(h->c);
}

/* Room for more input: the first block, or twice as much as there was. -1: no memory. */
static int make_room(struct serve1 *h)
{
    if (h->in == NULL) {
        h->in = loop_block(h->c->loop);
        h->cap = h->in != NULL ? LOOP_BLOCK : 0;
        return h->in != NULL ? 0 : -1;
    }
    if (h->n < h->cap)
        return 0;
    size_t held = h->n - h->start;
    char *p = h->start > 0 ? h->in : malloc(h->cap * 2);
    if (p == NULL)
        return -1;
    memmove(p, h->in + h->start, held);
    if (p == h->in) {
        explicit_bzero(p + held, h->n - held);
    } else {
        size_t cap = h->cap * 2;
        release_input(h);
        h->in = p;
        h->cap = cap;
    }
    h->start = 0;
    h->n = held;
    return 0;
}

/* Refuse what was sent, in the layout of Go's server, and close. */
static enum step refuse(struct serve1 *h, int status, const char *why)
{
    struct conn *c = h->c;
    char *text = c->loop->scratch;
    const char *reason = http1_reason(status);
    char body[160];
    int n = snprintf(body, sizeof body, "%d %s%s%s", status, reason, why != NULL ? ": " : "",
                     why != NULL ? why : "");
    n = snprintf(text, LOOP_SCRATCH,
                 "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\n"
                 "Connection: close\r\nContent-Length: %d\r\n\r\n%s",
                 status, reason, n, body);
    struct iovec v = { text, (size_t)n };
    /* So small an answer fits the socket, or the client is none worth waiting for. */
    if (conn_send(c, &v, 1) == 1)
        conn_finish(c);
    else
        conn_close(c);
    return WAIT;
}

static void begin_idle(struct serve1 *h)
{
    h->stage = HEAD;
    h->idle = true;
    h->scan = (struct http1_scan){ 0 };
    h->chunks = (struct http1_chunked){ 0 };
    h->body_seen = 0;
    h->too_large = h->chunked = h->spools = false;
    h->spool_error = 0;
    conn_deadline(h->c, h->c->site->idle_timeout_ms);
}

static enum step dispatch(struct serve1 *h)
{
    struct http_request *req = &h->x->pub.req;
    h->stage = HANDLER;
    if (h->spools) {
        conn_write_clock(h->c); /* a body of any size takes any time */
        (void)lseek(req->body_fd, 0, SEEK_SET);
    }
    conn_write_deadline(h->c);
    if (h->too_large) {
        h->close_after = h->discards = true;
        req->body_too_large = true;
        req->body = STR("");
    } else if (h->x->body.n > 0) {
        req->body = buf_str(&h->x->body);
    }
    exchange_dispatch(h->x);
    return GO;
}

/*
 * The head's texts must not move while a body is read: its block goes to the exchange, and what
 * follows it to a block of its own. -1: no memory.
 */
static int pin_head(struct serve1 *h)
{
    struct exchange *x = h->x;
    size_t held = h->n - h->start;
    char *fresh = NULL;
    size_t cap = held <= LOOP_BLOCK ? LOOP_BLOCK : held;
    if (held > 0) {
        fresh = cap == LOOP_BLOCK ? loop_block(h->c->loop) : malloc(cap);
        if (fresh == NULL)
            return -1;
        memcpy(fresh, h->in + h->start, held);
    }
    x->pinned = h->in;
    x->pinned_n = h->n;
    x->pinned_cap = h->cap;
    h->in = fresh;
    h->start = 0;
    h->n = held;
    h->cap = fresh != NULL ? cap : 0;
    return 0;
}

static void drop_body(struct serve1 *h)
{
    h->too_large = true;
    buf_free(&h->x->body);
}

/* Store a part of the body, or drop it past the limit. */
static void take_body(struct serve1 *h, struct str data)
{
    h->body_seen += data.n;
    if (h->too_large)
        return;
    if (h->spools) {
        if (h->spool_error == 0 && spool_write(h->x->pub.req.body_fd, data) < 0)
            h->spool_error = errno;
        return;
    }
    if (h->body_seen > h->c->site->max_body_bytes)
        drop_body(h);
    else
        buf_add(&h->x->body, data);
}

/* Too much was sent already to read on; the answer goes out now. */
static bool past_patience(const struct serve1 *h)
{
    return h->too_large && h->body_seen > 2 * (uint64_t)h->c->site->max_body_bytes;
}

/* The body could not be stored. */
static enum step refuse_body(struct serve1 *h)
{
    if (h->spool_error != 0)
        return refuse(h, spool_status(h->spool_error), spool_why(h->spool_error));
    return refuse(h, 503, "out of memory");
}

static bool is_body_lost(const struct serve1 *h)
{
    return h->spool_error != 0 || h->x->body.failed;
}

/* Whether the body goes to a file, which is opened. */
static void begin_spool(struct serve1 *h)
{
    const struct site *site = h->c->site;
    struct http_request *req = &h->x->pub.req;
    if (site->spools == NULL)
        return;
    exchange_introduce(h->x);
    h->spools = site->spools(req);
    if (!h->spools)
        return;
    req->body_fd = spool_open(site->spool_dir);
    h->spool_error = req->body_fd < 0 ? errno : 0;
}

/* The read timeout is for all of a request; with a body of any size, for standing still. */
static void set_body_deadline(struct serve1 *h)
{
    int most = h->c->site->read_timeout_ms;
    int64_t spent = h->spools ? 0 : loop_now_ms(h->c->loop) - h->begun_ms;
    conn_deadline(h->c, spent < most ? most - (int)spent : 0);
}

static enum step begin_body(struct serve1 *h, const struct http1_head *head)
{
    struct conn *c = h->c;
    size_t held = h->n - h->start;
    h->chunked = head->chunked;
    h->body_left = head->content_length;
    begin_spool(h);
    if (h->spool_error != 0)
        return refuse_body(h);
    if (!head->chunked && !h->spools && head->content_length > c->site->max_body_bytes)
        drop_body(h);
    /* The whole of a plain body has come: it stays where it is. */
    if (!head->chunked && !h->spools && !h->too_large && head->content_length <= held) {
        h->x->pub.req.body = str_mem(h->in + h->start, (size_t)head->content_length);
        h->start += (size_t)head->content_length;
        return dispatch(h);
    }
    if (head->expect_continue && held == 0) {
        static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
        struct iovec v = { (char *)go_on, sizeof go_on - 1 };
        if (h->too_large)
            return dispatch(h);
        if (conn_send(c, &v, 1) < 0) {
            conn_close(c);
            return WAIT;
        }
    }
    if (pin_head(h) < 0)
        return refuse(h, 503, "out of memory");
    h->stage = BODY;
    set_body_deadline(h);
    return GO;
}

static enum step on_head(struct serve1 *h, size_t length)
{
    struct http1_head head;
    struct http1_refusal refusal;
    struct exchange *x = h->x;
    struct str text = { h->in + h->start, length };
    if (http1_parse_head(x->arena, text, h->scan.lines, &head, &refusal) < 0)
        return refuse(h, refusal.status, refusal.why);
    h->start += length;
    conn_write_clock(h->c);
    h->close_after = !head.keep_alive || h->c->loop->draining;
    h->http10 = head.minor == 0;
    h->discards = false;
    struct http_request *req = &x->pub.req;
    req->method = head.method;
    req->target = head.target;
    req->path = head.path;
    req->query = head.query;
    req->headers = head.headers;
    req->n_headers = head.n_headers;
    if (!head.chunked && head.content_length == 0)
        return dispatch(h);
    return begin_body(h, &head);
}

static bool is_token_byte(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c != 0 && strchr("!#$%&'*+-.^_`|~\r", c) != NULL);
}

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
enum { PREFACE_LEN = sizeof preface - 1 };

/* More than "PR" and less than all of HTTP/2's preface. */
static bool is_preface_begun(struct str held)
{
    return held.n > 2 && held.n < PREFACE_LEN && memcmp(held.p, preface, held.n) == 0;
}

static const struct exchange_ops ops;

static enum step read_head(struct serve1 *h)
{
    struct conn *c = h->c;
    struct str held = { h->in + h->start, h->n - h->start };
    if (held.n == 0) {
        release_input(h);
        return WAIT;
    }
    if (h->idle && !is_token_byte(held.p[0]))
        return refuse(h, 400, NULL);
    if (is_preface_begun(held) && c->tls == NULL)
        return WAIT;
    int found = http1_find_end(&h->scan, held);
    if (found < 0)
        return refuse(h, 400, NULL);
    size_t length = found > 0 ? h->scan.at : held.n;
    if (h->idle)
        h->begun_ms = loop_now_ms(c->loop);
    if (length > c->site->max_header_bytes)
        return refuse(h, 431, NULL);
    if (found == 0) {
        if (h->idle)
            conn_deadline(c, c->site->read_header_timeout_ms);
        h->idle = false;
        return WAIT;
    }
    h->idle = false;
    h->x = exchange_new(c, &ops, h);
    if (h->x == NULL)
        return refuse(h, 503, "out of memory");
    return on_head(h, length);
}

/* Move on in a chunked body with what has come. */
static enum step read_chunks(struct serve1 *h)
{
    struct str in = { h->in + h->start, h->n - h->start }, data;
    for (;;) {
        enum http1_piece piece = http1_chunk_next(&h->chunks, &in, &data);
        h->start = h->n - in.n;
        if (piece == HTTP1_DATA)
            take_body(h, data);
        if (is_body_lost(h))
            return refuse_body(h);
        if (piece == HTTP1_BAD)
            return refuse(h, 400, "malformed chunked body");
        if (piece == HTTP1_END || past_patience(h))
            return dispatch(h);
        if (piece == HTTP1_MORE) {
            release_input(h);
            return WAIT;
        }
    }
}

static enum step read_body(struct serve1 *h)
{
    if (h->chunked)
        return read_chunks(h);
    size_t held = h->n - h->start;
    size_t n = held < h->body_left ? held : (size_t)h->body_left;
    if (n > 0) {
        take_body(h, str_mem(h->in + h->start, n));
        h->start += n;
        h->body_left -= n;
    }
    if (h->start == h->n)
        release_input(h);
    if (is_body_lost(h))
        return refuse_body(h);
    return h->body_left == 0 || past_patience(h) ? dispatch(h) : WAIT;
}

/* The answer is out: forget the request, go on with the next one or close. */
static enum step after_answer(struct serve1 *h)
{
    exchange_free(h->x);
    h->x = NULL;
    if (h->close_after || h->c->loop->draining) {
        finish_connection(h);
        return WAIT;
    }
    if (h->start == h->n)
        release_input(h);
    else
        explicit_bzero(h->in, h->start);
    begin_idle(h);
    conn_want_read(h->c, true);
    return GO;
}

/* Whether somebody who will still answer holds the request. */
static bool is_lent(const struct serve1 *h)
{
    return h->stage == HANDLER || (h->stage == STREAM && !exchange_stream_ended(h->x));
}

/* Go on until something must come from outside. */
static void run(struct serve1 *h)
{
    enum step step = GO;
    if (h->running)
        return;
    h->running = true;
    while (step == GO && !h->closed) {
        switch (h->stage) {
        case HEAD:
            step = read_head(h);
            break;
        case BODY:
            step = read_body(h);
            break;
        case DONE:
            step = after_answer(h);
            break;
        case HANDLER:
        case SENDING:
        case STREAM:
            step = WAIT;
            break;
        }
    }
    h->running = false;
    if (h->closed && !is_lent(h))
        release(h);
}

/* Read a plain body straight to its place. Returns as conn_read. */
static ssize_t read_to_body(struct serve1 *h)
{
    struct buf *body = &h->x->body;
    size_t want = h->body_left < BODY_STEP ? (size_t)h->body_left : BODY_STEP;
    ssize_t got;
    if (h->too_large || h->spools) {
        char *scratch = h->c->loop->scratch;
        got = conn_read(h->c, scratch, want);
        if (got <= 0)
            return got;
        take_body(h, str_mem(scratch, (size_t)got));
        explicit_bzero(scratch, (size_t)got);
    } else {
        if (buf_reserve(body, want) < 0)
            return CONN_BROKEN;
        size_t room = body->cap - body->n;
        got = conn_read(h->c, body->p + body->n,
                        room < h->body_left ? room : (size_t)h->body_left);
        if (got <= 0)
            return got;
        body->n += (size_t)got;
        h->body_seen += (size_t)got;
    }
    h->body_left -= (size_t)got;
    return got;
}

/* Read once. False: nothing came, or the connection is closed. */
static bool fill(struct serve1 *h)
{
    bool to_body = h->stage == BODY && !h->chunked && h->start == h->n;
    ssize_t got;
    if (to_body) {
        got = read_to_body(h);
    } else {
        if (make_room(h) < 0) {
            conn_close(h->c);
            return false;
        }
        got = conn_read(h->c, h->in + h->n, h->cap - h->n);
    }
    if (got == CONN_AGAIN) {
        if (h->start == h->n)
            release_input(h);
        return false;
    }
    if (got == CONN_EOF || got == CONN_BROKEN) {
        conn_close(h->c);
        return false;
    }
    if (!to_body)
        h->n += (size_t)got;
    if (h->stage == BODY && h->spools)
        set_body_deadline(h);
    return true;
}

/* HTTP/2 without TLS announces itself by its preface. True: the connection is serve2's now. */
static bool try_http2(struct serve1 *h)
{
    struct conn *c = h->c;
    size_t held = h->n - h->start;
    if (c->tls != NULL || h->stage != HEAD || held < PREFACE_LEN ||
        memcmp(h->in + h->start, preface, PREFACE_LEN) != 0)
        return false;
    conn_speak(c, NULL, NULL);
    http2_open(c, str_mem(h->in + h->start, held));
    release(h);
    return true;
}

static void readable(struct conn *c)
{
    struct serve1 *h = c->state;
    bool more = true;
    while (more && c->stage == CONN_OPEN) {
        if (h->stage == STREAM) {
            if (conn_is_gone(c))
                conn_close(c);
            else
                conn_want_read(c, false);
            return;
        }
        if (h->stage != HEAD && h->stage != BODY) {
            /* The next request waits in the socket until this one is answered. */
            conn_want_read(c, false);
            return;
        }
        conn_hold(c);
        if (fill(h) && !(h->in != NULL && h->in[h->start] == 'P' && try_http2(h)))
            run(h);
        more = c->stage == CONN_OPEN && c->state == h && conn_has_pending(c);
        conn_release(c);
    }
}

static void prepare(struct exchange *x, const struct http_reply *reply)
{
    reply1_prepare(x, reply, ((struct serve1 *)x->owner)->http10);
}

/* The socket is gone and the answer has come: nothing refers to the request any more. */
static void drop_answered(struct serve1 *h)
{
    if (h->x->stream != NULL && !exchange_stream_ended(h->x))
        return;
    h->stage = DONE;
    if (!h->running)
        release(h);
}

static void pump(struct serve1 *h);
static void readable(struct conn *c);

/* The answer is out, or its state changed: go on, also with what TLS holds already. */
static void resume(struct serve1 *h)
{
    struct conn *c = h->c;
    if (h->running)
        return;
    conn_hold(c);
    run(h);
    if (c->stage == CONN_OPEN && c->state == h && h->stage == HEAD && conn_has_pending(c))
        readable(c);
    conn_release(c);
}

static void answer(struct exchange *x)
{
    struct serve1 *h = x->owner;
    static const char failed[] = "HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\n"
                                 "Content-Length: 0\r\n\r\n";
    if (x->stream != NULL)
        h->stage = STREAM;
    if (h->closed) {
        if (x->stream != NULL)
            exchange_stream_gone(x);
        drop_answered(h);
        return;
    }
    /* A stream that HTTP/1.0 reads to the connection's end. */
    h->close_after |= h->c->loop->draining || (x->stream != NULL && h->http10);
    struct iovec v[2] = { { (char *)failed, sizeof failed - 1 }, { NULL, 0 } };
    if (x->head != NULL) {
        reply1_complete(x, loop_date(h->c->loop), h->close_after, h->http10);
        v[0] = (struct iovec){ x->head, x->head_n };
        v[1] = (struct iovec){ (char *)x->reply_body.p, x->reply_body.n };
    } else {
        h->close_after = true;
    }
    int rc = conn_send(h->c, v, 2);
    if (rc < 0) {
        h->stage = x->stream != NULL ? STREAM : DONE;
        conn_close(h->c);
        return;
    }
    if (x->stream != NULL) {
        h->stage = STREAM;
        if (rc == 1)
            pump(h);
        return;
    }
    h->stage = rc == 1 ? DONE : SENDING;
    resume(h);
}

/* Send the stream's pieces, one after the other. */
static void pump(struct serve1 *h)
{
    struct conn *c = h->c;
    struct exchange *x = h->x;
    bool ended = false;
    bool silent = str_is(x->pub.req.method, "HEAD") || reply1_has_no_body(x->status);
    while (h->piece == NULL && (h->piece = exchange_next_piece(x, &ended)) != NULL) {
        struct iovec v = { h->piece->bytes.p, silent ? 0 : h->piece->bytes.n };
        int rc = conn_send(c, &v, 1);
        if (rc < 0) {
            conn_close(c);
            return;
        }
        if (rc == 0)
            return;
        exchange_piece_done(x, h->piece);
        h->piece = NULL;
    }
    if (!ended)
        return;
    if (exchange_stream_broken(x)) {
        /* Where the close is the end of the body it must not look like one. */
        if (h->http10)
            conn_will_reset(c);
        conn_close(c);
        return;
    }
    static const char last[] = "0\r\n\r\n";
    struct iovec v = { (char *)last, x->chunked && !silent ? sizeof last - 1 : 0 };
    int rc = conn_send(c, &v, 1);
    h->stage = rc == 0 ? SENDING : DONE;
    if (rc < 0)
        conn_close(c);
    else
        resume(h);
}

static void pieces(struct exchange *x)
{
    struct serve1 *h = x->owner;
    if (h->closed)
        drop_answered(h);
    else if (h->stage == STREAM && h->c->out == NULL)
        pump(h);
}

static void sent(struct conn *c)
{
    struct serve1 *h = c->state;
    if (h->stage == STREAM) {
        conn_write_deadline(c);
        if (h->piece != NULL)
            exchange_piece_done(h->x, h->piece);
        h->piece = NULL;
        pump(h);
    } else if (h->stage == SENDING) {
        h->stage = DONE;
        resume(h);
    }
}

static void expired(struct conn *c)
{
    struct serve1 *h = c->state;
    if (h->stage == BODY || (h->stage == HEAD && !h->idle))
        (void)refuse(h, 408, NULL);
    else
        conn_close(c);
}

static void drain(struct conn *c)
{
    struct serve1 *h = c->state;
    h->close_after = true;
    if (h->stage == HEAD && h->idle)
        conn_close(c);
}

static void closed(struct conn *c)
{
    struct serve1 *h = c->state;
    h->closed = true;
    if (h->piece != NULL)
        exchange_piece_done(h->x, h->piece);
    h->piece = NULL;
    if (h->x != NULL && h->x->stream != NULL)
        exchange_stream_gone(h->x);
    if (h->running)
        return; /* run() will see it */
    if (!is_lent(h))
        release(h); /* else the answer will come, and release */
}

static const struct exchange_ops ops = { .prepare = prepare, .answer = answer, .pieces = pieces };

static const struct conn_proto proto = {
    .readable = readable,
    .sent = sent,
    .expired = expired,
    .drain = drain,
    .closed = closed,
};

void serve1_open(struct conn *c)
{
    struct serve1 *h = calloc(1, sizeof *h);
    if (h == NULL)
        return;
    h->c = c;
    h->stage = HEAD;
    h->idle = true;
    conn_speak(c, &proto, h);
}
