/* HTTP/2 on a connection: streams become exchanges, answers become frames (nghttp2 frames them). */
#include "net/http2.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <nghttp2/nghttp2.h>

#include "net/exchange.h"
#include "net/spool.h"

enum {
    MAX_STREAMS = 250,          /* at once, as Go's server */
    MAX_LENT = 2 * MAX_STREAMS, /* with handlers, counting those whose stream was reset */
    WINDOW = 1 << 20,
    OUT_STEP = 32768, /* frames gathered for one write */
    OUT_FIRST = 4096,
    MAX_HEADERS = 4096,
    BODIES_AT_ONCE = 4, /* bodies of the largest size that may be stored unanswered */
};

/* What the connection's deadline waits for. */
enum waits { FOR_START, FOR_IDLE, FOR_BODY, FOR_WINDOW, FOR_HANDLER };

struct http2 {
    struct conn *c;
    nghttp2_session *session; /* NULL: the socket is gone */
    struct buf out;           /* what the socket has not taken yet */
    bool running;             /* input is being read, or output written */
    struct h2stream *streams;
    size_t n_streams; /* all of them */
    size_t lent;      /* with a handler */
    size_t partial;   /* not yet received whole */
    size_t pieces;    /* of streams, taken and not yet framed to their end */
    uint64_t stored;  /* bytes of bodies */
    enum waits waits;
    bool progress; /* a request came whole since the deadline was set */
};

/* One request; lives in its exchange's arena. */
struct h2stream {
    struct http2 *h;
    struct exchange *x;
    struct h2stream *next, **link;
    int32_t id;
    int64_t write_by_ms; /* when its answer must be out; 0: no limit */
    struct http_header *headers;
    size_t n_headers, cap_headers, header_bytes;
    struct str authority;
    bool partial; /* the request is still coming */
    bool lent;    /* a handler has it */
    bool gone;    /* the stream is closed */
    bool heads_too_big, has_host, expect_continue;
    bool spools;     /* the body goes to a file */
    int spool_error; /* errno of the file; 0: none */
    size_t reply_at; /* bytes of the answer's body that are framed */
    struct piece *piece;
    size_t piece_at;
    bool waits_for_piece;
};

static const struct exchange_ops ops;

/* The earliest of the streams' is the connection's. */
static void set_write_clock(struct http2 *h)
{
    int64_t first = 0;
    if (h->c->site->write_timeout_ms <= 0)
        return;
    for (const struct h2stream *st = h->streams; st != NULL; st = st->next)
        if (!st->gone && st->write_by_ms != 0 && (first == 0 || st->write_by_ms < first))
            first = st->write_by_ms;
    h->c->write_by_ms = first;
}

/* A deadline that does not pass over the streams' write clocks. */
static void deadline_within(struct conn *c, int ms)
{
    if (c->write_by_ms != 0 && c->write_by_ms - loop_now_ms(c->loop) < ms)
        conn_write_deadline(c);
    else
        conn_deadline(c, ms);
}

static void set_deadline(struct http2 *h)
{
    const struct site *site = h->c->site;
    set_write_clock(h);
    /* Answers that are not out, whole ones or pieces: the client's window is shut. */
    bool unsent = h->n_streams > h->lent + h->partial || h->pieces > 0;
    enum waits waits = h->partial > 0 ? FOR_BODY
                       : unsent       ? FOR_WINDOW
                       : h->lent > 0  ? FOR_HANDLER
                                      : FOR_IDLE;
    if (h->c->out != NULL || h->session == NULL)
        return; /* the write has its own deadline */
    if (waits == FOR_BODY && h->waits == FOR_BODY && !h->progress)
        return; /* a trickle does not prolong it */
    h->waits = waits;
    h->progress = false;
    switch (waits) {
    case FOR_BODY:
        deadline_within(h->c, site->read_timeout_ms);
        break;
    case FOR_WINDOW:
    case FOR_HANDLER:
        conn_write_deadline(h->c);
        break;
    case FOR_START:
    case FOR_IDLE:
        deadline_within(h->c, site->idle_timeout_ms);
        break;
    }
}

static void release_if_over(struct http2 *h)
{
    if (h->session == NULL && h->streams == NULL && !h->running) {
        buf_free(&h->out);
        free(h);
    }
}

static void no_longer_partial(struct h2stream *st)
{
    if (!st->partial)
        return;
    st->partial = false;
    st->h->partial--;
    st->h->progress = true;
}

/* Nobody needs the stream any more. */
static void stream_free(struct h2stream *st)
{
    struct http2 *h = st->h;
    no_longer_partial(st);
    h->stored -= st->x->body.n;
    h->n_streams--;
    *st->link = st->next;
    if (st->next != NULL)
        st->next->link = st->link;
    exchange_free(st->x);
}

static void drop_piece(struct h2stream *st)
{
    if (st->piece == NULL)
        return;
    exchange_piece_done(st->x, st->piece);
    st->piece = NULL;
    st->h->pieces--;
}

/* The stream is closed: its handler, if any, will be the one to let go. */
static void stream_gone(struct h2stream *st)
{
    st->gone = true;
    no_longer_partial(st);
    drop_piece(st);
    if (st->x->stream != NULL) {
        exchange_stream_gone(st->x);
        if (st->lent && exchange_stream_ended(st->x)) {
            st->lent = false;
            st->h->lent--;
        }
    }
    if (!st->lent)
        stream_free(st);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    struct http2 *h = ctx;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    if (h->lent >= MAX_LENT) {
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                        NGHTTP2_REFUSED_STREAM);
        return 0;
    }
    struct exchange *x = exchange_new(h->c, &ops, NULL);
    struct h2stream *st = x == NULL ? NULL : arena_alloc(x->arena, sizeof *st);
    if (st == NULL) {
        exchange_free(x);
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    x->owner = st;
    *st = (struct h2stream){ .h = h, .x = x, .id = frame->hd.stream_id, .partial = true };
    conn_write_clock(h->c);
    st->write_by_ms = h->c->write_by_ms;
    st->next = h->streams;
    st->link = &h->streams;
    if (st->next != NULL)
        st->next->link = &st->next;
    h->streams = st;
    h->n_streams++;
    h->partial++;
    x->pub.req.http2 = true;
    (void)nghttp2_session_set_stream_user_data(session, st->id, st);
    return 0;
}

/* Room for one header more. */
static struct http_header *add_header(struct h2stream *st)
{
    if (st->n_headers == st->cap_headers) {
        size_t cap = st->cap_headers == 0 ? 16 : st->cap_headers * 2;
        struct http_header *more = arena_array(st->x->arena, cap, sizeof *more);
        if (more == NULL)
            return NULL;
        if (st->n_headers > 0)
            memcpy(more, st->headers, st->n_headers * sizeof *more);
        st->headers = more;
        st->cap_headers = cap;
    }
    return &st->headers[st->n_headers++];
}

static void take_pseudo(struct h2stream *st, struct str name, struct str value)
{
    struct http_request *req = &st->x->pub.req;
    if (str_is(name, ":method"))
        req->method = value;
    else if (str_is(name, ":path"))
        req->target = value;
    else if (str_is(name, ":authority"))
        st->authority = value;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name_p,
                     size_t name_n, const uint8_t *value_p, size_t value_n, uint8_t flags,
                     void *ctx)
{
    struct h2stream *st = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (st == NULL || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0; /* trailers: nobody needs them */
    st->header_bytes += name_n + value_n + 32;
    if (st->header_bytes > st->h->c->site->max_header_bytes || st->n_headers >= MAX_HEADERS) {
        st->heads_too_big = true;
        return 0;
    }
    struct arena *a = st->x->arena;
    struct str name = arena_dup(a, str_mem(name_p, name_n));
    struct str value = arena_dup(a, str_mem(value_p, value_n));
    if (arena_failed(a))
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (name.n > 0 && name.p[0] == ':') {
        take_pseudo(st, name, value);
        return 0;
    }
    struct http_header *header = add_header(st);
    if (header == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    *header = (struct http_header){ name, value };
    st->has_host |= str_is(name, "host");
    st->expect_continue |= str_is(name, "expect") && str_eq_nocase(value, STR("100-continue"));
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p, size_t n,
                   void *ctx)
{
    struct http2 *h = ctx;
    struct h2stream *st = nghttp2_session_get_stream_user_data(session, id);
    if (st == NULL || st->lent || !st->partial || st->x->pub.req.body_too_large)
        return 0;
    if (st->spools) {
        h->progress = true; /* the read timeout is for standing still */
        if (st->spool_error == 0 && spool_write(st->x->pub.req.body_fd, str_mem(p, n)) < 0)
            st->spool_error = errno;
        return 0;
    }
    uint64_t limit = h->c->site->max_body_bytes;
    if (st->x->body.n + n > limit) {
        /* The answer need not wait for the rest (RFC 9113 §8.1). */
        h->stored -= st->x->body.n;
        buf_free(&st->x->body);
        st->x->pub.req.body_too_large = true;
        return 0;
    }
    if (h->stored + n > BODIES_AT_ONCE * limit) {
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_ENHANCE_YOUR_CALM);
        return 0;
    }
    buf_add(&st->x->body, str_mem(p, n));
    if (st->x->body.failed)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    h->stored += n;
    return 0;
}

/* Path and query; false: a target that HTTP/1 would refuse, too. */
static bool split_target(struct http_request *req)
{
    if (str_is(req->method, "CONNECT") && req->target.n == 0)
        req->target = STR("/");
    bool star = str_is(req->target, "*") && str_is(req->method, "OPTIONS");
    if (req->target.n == 0 || (req->target.p[0] != '/' && !star))
        return false;
    ptrdiff_t q = str_find_byte(req->target, '?');
    req->path = q < 0 ? req->target : str_head(req->target, (size_t)q);
    req->query = q < 0 ? STR("") : str_from(req->target, (size_t)q + 1);
    return true;
}

/* An answer of our own, without the handler. */
static void refuse(struct h2stream *st, int status)
{
    struct http_reply reply = { .status = status };
    http_answer(&st->x->pub, &reply);
}

/* A body is to come: to a file, where the listener's owner says so. */
static void begin_spool(struct h2stream *st)
{
    const struct site *site = st->h->c->site;
    struct http_request *req = &st->x->pub.req;
    if (site->spools == NULL || st->heads_too_big || !split_target(req))
        return;
    exchange_introduce(st->x);
    req->headers = st->headers;
    req->n_headers = st->n_headers;
    if (!site->spools(req))
        return;
    st->spools = true;
    st->write_by_ms = 0; /* counts from the body's end */
    req->body_fd = spool_open(site->spool_dir);
    st->spool_error = req->body_fd < 0 ? errno : 0;
}

/* The body is whole: the handler reads from its start. */
static void end_spool(struct h2stream *st)
{
    struct conn *c = st->h->c;
    conn_write_clock(c);
    st->write_by_ms = c->write_by_ms;
    (void)lseek(st->x->pub.req.body_fd, 0, SEEK_SET);
}

static void refuse_body(struct h2stream *st)
{
    static const struct http_header plain[] = { { STR_INIT("content-type"),
                                                  STR_INIT("text/plain; charset=utf-8") } };
    struct http_reply reply = { .status = spool_status(st->spool_error), .headers = plain,
                                .n_headers = 1, .body = str_of(spool_why(st->spool_error)) };
    http_answer(&st->x->pub, &reply);
}

static void dispatch(struct h2stream *st)
{
    struct http_request *req = &st->x->pub.req;
    if (st->spools)
        end_spool(st);
    if (st->authority.n > 0 && !st->has_host) {
        struct http_header *host = add_header(st);
        if (host != NULL)
            *host = (struct http_header){ STR("host"), st->authority };
    }
    st->lent = true;
    st->h->lent++;
    req->headers = st->headers;
    req->n_headers = st->n_headers;
    req->body = req->body_too_large ? STR("") : buf_str(&st->x->body);
    if (st->heads_too_big)
        refuse(st, 431);
    else if (st->spool_error != 0)
        refuse_body(st);
    else if (!split_target(req))
        refuse(st, 400);
    else
        exchange_dispatch(st->x);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    struct h2stream *st = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (st == NULL || st->lent)
        return 0;
    bool whole = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (!whole && frame->hd.type == NGHTTP2_HEADERS && st->partial)
        begin_spool(st);
    if (whole || st->heads_too_big || st->x->pub.req.body_too_large || st->spool_error != 0) {
        if (!st->partial)
            return 0; /* answered before its body had come */
        no_longer_partial(st);
        dispatch(st);
    } else if (frame->hd.type == NGHTTP2_HEADERS && st->expect_continue) {
        static const nghttp2_nv go_on = { (uint8_t *)":status", (uint8_t *)"100", 7, 3, 0 };
        (void)nghttp2_submit_headers(session, NGHTTP2_FLAG_NONE, st->id, NULL, &go_on, 1, NULL);
    }
    return 0;
}

static int on_sent_frame(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
        return 0;
    /* All is said; a body that is still coming is not wanted. */
    if (nghttp2_session_get_stream_remote_close(session, frame->hd.stream_id) == 0)
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                        NGHTTP2_NO_ERROR);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *ctx)
{
    struct h2stream *st = nghttp2_session_get_stream_user_data(session, id);
    if (st != NULL)
        stream_gone(st);
    return 0;
}

/* Fill a frame from a stream's pieces. */
static ssize_t read_pieces(struct h2stream *st, uint8_t *to, size_t n, uint32_t *flags)
{
    bool ended = false;
    if (st->piece == NULL) {
        st->piece = exchange_next_piece(st->x, &ended);
        st->piece_at = 0;
        st->h->pieces += st->piece != NULL;
    }
    if (st->piece == NULL && ended) {
        st->lent = false; /* its writer is done */
        st->h->lent--;
        if (exchange_stream_broken(st->x))
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        return 0;
    }
    if (st->piece == NULL) {
        st->waits_for_piece = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    size_t left = st->piece->bytes.n - st->piece_at;
    n = left < n ? left : n;
    memcpy(to, st->piece->bytes.p + st->piece_at, n);
    st->piece_at += n;
    if (n == left)
        drop_piece(st);
    return (ssize_t)n;
}

static ssize_t read_reply(nghttp2_session *session, int32_t id, uint8_t *to, size_t n,
                          uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
    struct h2stream *st = source->ptr;
    if (st->x->stream != NULL)
        return read_pieces(st, to, n, flags);
    size_t left = st->x->reply_body.n - st->reply_at;
    n = left < n ? left : n;
    memcpy(to, st->x->reply_body.p + st->reply_at, n);
    st->reply_at += n;
    if (n == left)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

/* Send what there is to send. False: the connection is closed, ${h} may be released. */
static bool flush(struct http2 *h)
{
    struct conn *c = h->c;
    while (c->out == NULL) {
        const uint8_t *p;
        ssize_t n = 0;
        buf_clear(&h->out);
        while (h->out.n < OUT_STEP && (n = nghttp2_session_mem_send(h->session, &p)) > 0)
            if (h->out.cap > 0 || buf_reserve(&h->out, OUT_FIRST) == 0)
                buf_add(&h->out, str_mem(p, (size_t)n));
        if (n < 0 || h->out.failed) {
            conn_close(c);
            return false;
        }
        if (h->out.n == 0) {
            buf_free(&h->out);
            break;
        }
        struct iovec v = { h->out.p, h->out.n };
        int rc = conn_send(c, &v, 1);
        if (rc < 0) {
            conn_close(c);
            return false;
        }
    }
    /* A client that does not read shall not make us read more. */
    conn_want_read(c, c->out == NULL);
    if (c->out == NULL && !nghttp2_session_want_read(h->session) &&
        !nghttp2_session_want_write(h->session)) {
        conn_finish(c);
        return false;
    }
    set_deadline(h);
    return true;
}

/* Give bytes to nghttp2, which calls back. False: the connection is closed. */
static bool take_input(struct http2 *h, struct str in)
{
    h->running = true;
    ssize_t used = nghttp2_session_mem_recv(h->session, (const uint8_t *)in.p, in.n);
    h->running = false;
    if (used < 0) {
        /* The reason is told, as far as the socket takes it. */
        (void)nghttp2_session_terminate_session(h->session, NGHTTP2_PROTOCOL_ERROR);
        if (flush(h))
            conn_finish(h->c);
        return false;
    }
    return flush(h);
}

static void readable(struct conn *c)
{
    struct http2 *h = c->state;
    char *scratch = c->loop->scratch;
    conn_hold(c);
    do {
        ssize_t n = conn_read(c, scratch, LOOP_SCRATCH);
        if (n == CONN_AGAIN)
            break;
        if (n <= 0) {
            conn_close(c);
            break;
        }
        bool open = take_input(h, str_mem(scratch, (size_t)n));
        explicit_bzero(scratch, (size_t)n);
        if (!open)
            break;
    } while (c->out == NULL && conn_has_pending(c));
    conn_release(c);
}

static void sent(struct conn *c)
{
    struct http2 *h = c->state;
    conn_hold(c);
    if (flush(h) && c->out == NULL && conn_has_pending(c))
        readable(c);
    conn_release(c);
}

/* End the streams whose answers took too long, as Go does.  False: there are none. */
static bool reset_late(struct http2 *h)
{
    int64_t now = loop_now_ms(h->c->loop);
    bool any = false;
    for (struct h2stream *st = h->streams; st != NULL; st = st->next) {
        if (st->gone || st->write_by_ms == 0 || st->write_by_ms > now)
            continue;
        st->write_by_ms = 0;
        any = h->progress = true; /* the deadline is set anew */
        (void)nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, st->id,
                                        NGHTTP2_INTERNAL_ERROR);
    }
    return any;
}

static void expired(struct conn *c)
{
    struct http2 *h = c->state;
    if (reset_late(h)) {
        (void)flush(h);
        return;
    }
    (void)nghttp2_session_terminate_session(h->session, NGHTTP2_NO_ERROR);
    if (flush(h))
        conn_close(c);
}

static void drain(struct conn *c)
{
    struct http2 *h = c->state;
    (void)nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
                                nghttp2_session_get_last_proc_stream_id(h->session),
                                NGHTTP2_NO_ERROR, NULL, 0);
    (void)flush(h);
}

static void closed(struct conn *c)
{
    struct http2 *h = c->state;
    nghttp2_session_del(h->session);
    h->session = NULL;
    struct h2stream *next;
    for (struct h2stream *st = h->streams; st != NULL; st = next) {
        next = st->next;
        stream_gone(st);
    }
    release_if_over(h);
}

static struct str lowered(struct arena *a, struct str s)
{
    char *p = arena_bytes(a, s.n + 1);
    if (p == NULL)
        return (struct str){ NULL, 0 };
    for (size_t i = 0; i < s.n; i++)
        p[i] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] + 32 : s.p[i]);
    return str_mem(p, s.n);
}

/* A line end in a value becomes a space, as HTTP/1 does it. */
static struct str one_line(struct arena *a, struct str s)
{
    char *p = arena_bytes(a, s.n + 1);
    if (p == NULL)
        return (struct str){ NULL, 0 };
    for (size_t i = 0; i < s.n; i++)
        p[i] = s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == 0 ? ' ' : s.p[i];
    return str_mem(p, s.n);
}

static bool is_connections_own(struct str name)
{
    return str_is(name, "connection") || str_is(name, "transfer-encoding") ||
           str_is(name, "keep-alive") || str_is(name, "upgrade");
}

static bool has_no_body(const struct exchange *x)
{
    return x->status == 204 || x->status == 304 || str_is(x->pub.req.method, "HEAD");
}

/* The answer's thread: copy the headers, with room for status, length and date. */
static void prepare(struct exchange *x, const struct http_reply *reply)
{
    struct arena *a = x->arena;
    bool own_length = false;
    x->headers = arena_array(a, reply->n_headers + 3, sizeof *x->headers);
    if (x->headers == NULL)
        return;
    x->n_headers = 1; /* the first is the status */
    int status = x->status >= 200 && x->status <= 999 ? x->status : 500;
    x->headers[0] = (struct http_header){ STR(":status"), arena_printf(a, "%d", status) };
    for (size_t i = 0; i < reply->n_headers; i++) {
        struct http_header *to = &x->headers[x->n_headers];
        to->name = lowered(a, reply->headers[i].name);
        if (is_connections_own(to->name))
            continue;
        to->value = one_line(a, reply->headers[i].value);
        own_length |= str_is(to->name, "content-length");
        x->n_headers++;
    }
    if (!own_length && x->stream == NULL && status != 204 && status != 304)
        x->headers[x->n_headers++] =
            (struct http_header){ STR("content-length"), arena_printf(a, "%zu", x->reply_body.n) };
    if (has_no_body(x))
        x->reply_body = STR("");
    if (arena_failed(a))
        x->headers = NULL;
}

/* Frame the head, and tell nghttp2 where the body comes from. -1: the stream cannot be answered. */
static int submit(struct h2stream *st)
{
    enum { ON_STACK = 32 };
    struct exchange *x = st->x;
    nghttp2_nv few[ON_STACK], *nv = few;
    if (x->headers == NULL)
        return -1;
    x->headers[x->n_headers++] =
        (struct http_header){ STR("date"), { loop_date(x->loop), LOOP_DATE_LEN } };
    if (x->n_headers > ON_STACK)
        nv = arena_array(x->arena, x->n_headers, sizeof *nv);
    if (nv == NULL)
        return -1;
    for (size_t i = 0; i < x->n_headers; i++) {
        const struct http_header *from = &x->headers[i];
        nv[i] = (nghttp2_nv){ (uint8_t *)from->name.p, (uint8_t *)from->value.p, from->name.n,
                              from->value.n, NGHTTP2_NV_FLAG_NONE };
    }
    nghttp2_data_provider body = { .source.ptr = st, .read_callback = read_reply };
    bool empty = has_no_body(x) || (x->stream == NULL && x->reply_body.n == 0);
    return nghttp2_submit_response(st->h->session, st->id, nv, x->n_headers, empty ? NULL : &body);
}

/* Its writer has ended, or the answer has come, after the stream was closed. */
static void let_go(struct h2stream *st)
{
    struct http2 *h = st->h;
    if (st->lent) {
        st->lent = false;
        h->lent--;
    }
    stream_free(st);
    release_if_over(h);
}

static void answer(struct exchange *x)
{
    struct h2stream *st = x->owner;
    struct http2 *h = st->h;
    if (st->gone) {
        if (x->stream != NULL)
            exchange_stream_gone(x);
        if (x->stream == NULL || exchange_stream_ended(x))
            let_go(st);
        return;
    }
    if (x->stream == NULL && st->lent) {
        st->lent = false;
        h->lent--;
    }
    if (submit(st) != 0)
        (void)nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, st->id,
                                        NGHTTP2_INTERNAL_ERROR);
    if (!h->running)
        (void)flush(h);
}

static void pieces(struct exchange *x)
{
    struct h2stream *st = x->owner;
    struct http2 *h = st->h;
    if (st->gone) {
        if (exchange_stream_ended(x))
            let_go(st);
        return;
    }
    if (has_no_body(x)) {
        /* Nothing of it is sent; let the writer go on to its end. */
        bool ended;
        for (struct piece *p; (p = exchange_next_piece(x, &ended)) != NULL;)
            exchange_piece_done(x, p);
        return;
    }
    if (!st->waits_for_piece)
        return;
    st->waits_for_piece = false;
    (void)nghttp2_session_resume_data(h->session, st->id);
    if (!h->running)
        (void)flush(h);
}

static const struct exchange_ops ops = { .prepare = prepare, .answer = answer, .pieces = pieces };

static const struct conn_proto proto = {
    .readable = readable,
    .sent = sent,
    .expired = expired,
    .drain = drain,
    .closed = closed,
};

/* A session with our callbacks and bounds; NULL: out of memory. */
static nghttp2_session *new_session(struct http2 *h)
{
    nghttp2_session_callbacks *cb = NULL;
    nghttp2_option *option = NULL;
    nghttp2_session *session = NULL;
    if (nghttp2_session_callbacks_new(&cb) == 0 && nghttp2_option_new(&option) == 0) {
        nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
        nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
        nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
        nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_sent_frame);
        nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
        nghttp2_option_set_no_closed_streams(option, 1);
        nghttp2_option_set_max_outbound_ack(option, 250);
        nghttp2_option_set_max_settings(option, 16);
        /* Rapid reset (CVE-2023-44487): more resets than these end the connection. */
        nghttp2_option_set_stream_reset_rate_limit(option, MAX_STREAMS, 33);
        (void)nghttp2_session_server_new2(&session, cb, h, option);
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(cb);
    return session;
}

static int greet(struct http2 *h)
{
    uint32_t list = h->c->site->max_header_bytes < UINT32_MAX
                        ? (uint32_t)h->c->site->max_header_bytes
                        : UINT32_MAX;
    nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, MAX_STREAMS },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, list },
    };
    if (nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings)) != 0)
        return -1;
    return nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0, WINDOW);
}

void http2_open(struct conn *c, struct str begun)
{
    struct http2 *h = calloc(1, sizeof *h);
    if (h != NULL) {
        h->c = c;
        h->session = new_session(h);
    }
    if (h == NULL || h->session == NULL || greet(h) != 0) {
        if (h != NULL)
            nghttp2_session_del(h->session);
        free(h);
        conn_close(c);
        return;
    }
    conn_speak(c, &proto, h);
    conn_deadline(c, c->site->read_header_timeout_ms);
    if (take_input(h, begun) && h->n_streams == 0)
        conn_deadline(c, c->site->read_header_timeout_ms);
}
