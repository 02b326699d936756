/* Handing requests on to another member, over a pool of links. */
#include "net/forwarder.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "net/answer1.h"

static const struct log lg = { "forwarder" };

enum {
    STEP = 16384,       /* a TLS record */
    SMALL = 64 * 1024,  /* an answer up to this is passed on whole */
    IDLE_MS = 60 * 1000, /* the other side's cluster port keeps them longer */
};

/* A link, in use or waiting for its next request. */
struct carrier {
    struct carrier *next;
    struct link *link;
    struct buf in; /* received, not used up */
    int64_t since_ms;
    uint64_t era;
    struct str addr; /* owned */
};

struct forwarder {
    struct link_creds *creds;
    pthread_mutex_t mu; /* all below */
    pthread_cond_t quiet;
    struct carrier *idle; /* last used first */
    uint64_t era;         /* of links; counted by forwarder_forget */
    size_t calls;
    struct run *waiting; /* for the first byte of an answer */
};

/* One request being handed on. */
struct run {
    struct forwarder *f;
    struct http_exchange *x;
    const struct forwarder_call *call;
    struct arena *arena; /* the exchange's */
    bool head_only;
    struct buf head; /* of the request, with a small body */
    uint64_t body_n;
    struct carrier *c;
    struct answer1 answer;
    struct buf answer_head;
    struct buf whole; /* of a small answer */
    bool began;       /* bytes of an answer came */
    bool ended;       /* the other side said goodbye */
    bool client_gone;
    /* Under f->mu. */
    struct run *next_waiting, **at; /* at: where it hangs in f->waiting; NULL: not there */
    bool left;                      /* given up by forwarder_leave */
    struct err *err;
};

/* How far a request came. */
enum outcome {
    ANSWERED,  /* also when the answer was cut off on its way to the client */
    UNTOUCHED, /* surely nothing was done there */
    UNKNOWN,   /* something may have been done, or the request is not to be sent */
};

static int64_t mono_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- the pool ---- */

static void carrier_free(struct carrier *c)
{
    if (c == NULL)
        return;
    link_free(c->link);
    buf_free(&c->in);
    free((char *)c->addr.p);
    free(c);
}

static void free_list(struct carrier *c)
{
    while (c != NULL) {
        struct carrier *next = c->next;
        carrier_free(c);
        c = next;
    }
}

int forwarder_new(struct link_creds *creds, struct forwarder **out, struct err *err)
{
    struct forwarder *f = calloc(1, sizeof *f);
    if (f == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    f->creds = creds;
    pthread_mutex_init(&f->mu, NULL);
    pthread_cond_init(&f->quiet, NULL);
    *out = f;
    return 0;
}

void forwarder_forget(struct forwarder *f)
{
    pthread_mutex_lock(&f->mu);
    struct carrier *old = f->idle;
    f->idle = NULL;
    f->era++;
    pthread_mutex_unlock(&f->mu);
    free_list(old);
}

void forwarder_leave(struct forwarder *f, struct str addr)
{
    forwarder_forget(f);
    pthread_mutex_lock(&f->mu);
    for (struct run *r = f->waiting; r != NULL; r = r->next_waiting)
        if (!str_eq(r->c->addr, addr)) {
            r->left = true;
            link_shut(r->c->link);
        }
    pthread_mutex_unlock(&f->mu);
}

/* From here to stop_waiting the link may be shut by forwarder_leave. */
static void start_waiting(struct run *r)
{
    struct forwarder *f = r->f;
    pthread_mutex_lock(&f->mu);
    r->next_waiting = f->waiting;
    r->at = &f->waiting;
    if (r->next_waiting != NULL)
        r->next_waiting->at = &r->next_waiting;
    f->waiting = r;
    r->left = false;
    pthread_mutex_unlock(&f->mu);
}

static void stop_waiting(struct run *r)
{
    pthread_mutex_lock(&r->f->mu);
    if (r->at != NULL) {
        *r->at = r->next_waiting;
        if (r->next_waiting != NULL)
            r->next_waiting->at = r->at;
        r->at = NULL;
    }
    pthread_mutex_unlock(&r->f->mu);
}

void forwarder_free(struct forwarder *f)
{
    if (f == NULL)
        return;
    pthread_mutex_lock(&f->mu);
    while (f->calls > 0)
        pthread_cond_wait(&f->quiet, &f->mu);
    pthread_mutex_unlock(&f->mu);
    free_list(f->idle);
    pthread_cond_destroy(&f->quiet);
    pthread_mutex_destroy(&f->mu);
    free(f);
}

/* Take the list's part that was idle for too long off; the newest stand first.  Under mu. */
static struct carrier *cut_stale(struct forwarder *f, int64_t now)
{
    struct carrier **at = &f->idle;
    while (*at != NULL && now - (*at)->since_ms < IDLE_MS)
        at = &(*at)->next;
    struct carrier *stale = *at;
    *at = NULL;
    return stale;
}

/* The idle link to ${addr} that was used last; NULL: none. */
static struct carrier *pop_idle(struct forwarder *f, struct str addr)
{
    struct carrier *found = NULL;
    pthread_mutex_lock(&f->mu);
    struct carrier *stale = cut_stale(f, mono_ms());
    for (struct carrier **at = &f->idle; *at != NULL && found == NULL;) {
        if (str_eq((*at)->addr, addr)) {
            found = *at;
            *at = found->next;
        } else {
            at = &(*at)->next;
        }
    }
    pthread_mutex_unlock(&f->mu);
    free_list(stale);
    return found;
}

/* One that is open as far as can be told without asking. */
static struct carrier *take_idle(struct forwarder *f, struct str addr)
{
    struct carrier *c;
    while ((c = pop_idle(f, addr)) != NULL && !link_is_quiet(c->link))
        carrier_free(c);
    return c;
}

/* Keep for the next request, unless the leader has changed meanwhile. */
static void put_idle(struct forwarder *f, struct carrier *c)
{
    buf_free(&c->in);
    c->since_ms = mono_ms();
    pthread_mutex_lock(&f->mu);
    if (c->era == f->era) {
        c->next = f->idle;
        f->idle = c;
        c = NULL;
    }
    pthread_mutex_unlock(&f->mu);
    carrier_free(c);
}

static int dial(struct run *r)
{
    struct str addr = r->call->addr;
    struct carrier *c = calloc(1, sizeof *c);
    char *copy = strndup(addr.n > 0 ? addr.p : "", addr.n);
    if (c == NULL || copy == NULL) {
        free(c);
        free(copy);
        return err_set(r->err, ERR_NOMEM, "out of memory");
    }
    c->addr = str_mem(copy, addr.n);
    pthread_mutex_lock(&r->f->mu);
    c->era = r->f->era;
    pthread_mutex_unlock(&r->f->mu);
    if (link_dial(r->f->creds, addr, FORWARDER_ALPN, r->call->timeout_ms, &c->link, r->err) < 0) {
        carrier_free(c);
        return -1;
    }
    r->c = c;
    return 0;
}

/* ---- what is sent ---- */

/* Of one connection only (RFC 9110 §7.6.1), or written anew. */
static bool is_hop_by_hop(struct str name)
{
    static const char *const names[] = { "Connection",        "Keep-Alive", "TE",     "Trailer",
                                         "Transfer-Encoding", "Upgrade",    "Expect", "Trailers",
                                         "HTTP2-Settings" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq_nocase(name, str_of(names[i])))
            return true;
    return str_eq_nocase(str_head(name, 6), STR("Proxy-"));
}

/* Whether a Connection header's value names that header. */
static bool names_header(struct str connection, struct str name)
{
    struct str part;
    while (connection.n > 0 && str_next(&connection, ',', &part))
        if (str_eq_nocase(str_trim(part), name))
            return true;
    return false;
}

static bool is_named_by_connection(const struct http_header *headers, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_nocase(headers[i].name, STR("Connection")) &&
            names_header(headers[i].value, name))
            return true;
    return false;
}

static bool passes(const struct http_request *req, struct str name)
{
    return !is_hop_by_hop(name) && !str_eq_nocase(name, STR("Content-Length")) &&
           !str_eq_nocase(str_head(name, 9), STR("X-Coffer-")) &&
           !is_named_by_connection(req->headers, req->n_headers, name);
}

/* What would break out of its line is not sent at all. */
static bool is_clean(struct str s, bool blanks)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '\r' || c == '\n' || c == 0 || (!blanks && (c <= ' ' || c == 0x7f)))
            return false;
    }
    return blanks || s.n > 0;
}

static int add_header(struct run *r, const struct http_header *h)
{
    if (!is_clean(h->name, false) || !is_clean(h->value, true))
        return err_set(r->err, ERR_BAD_REQUEST, "a header cannot be forwarded");
    buf_add(&r->head, h->name);
    buf_add(&r->head, STR(": "));
    buf_add(&r->head, h->value);
    buf_add(&r->head, STR("\r\n"));
    return 0;
}

static int add_headers(struct run *r)
{
    const struct http_request *req = &r->x->req;
    bool has_host;
    (void)http_header(req, "Host", &has_host);
    if (!has_host) {
        struct http_header host = { STR("Host"), r->call->addr };
        TRY(add_header(r, &host));
    }
    for (size_t i = 0; i < req->n_headers; i++)
        if (passes(req, req->headers[i].name))
            TRY(add_header(r, &req->headers[i]));
    for (size_t i = 0; i < r->call->n_extra; i++)
        TRY(add_header(r, &r->call->extra[i]));
    return 0;
}

static int measure_body(struct run *r)
{
    struct stat st;
    r->body_n = r->x->req.body.n;
    if (r->x->req.body_fd < 0)
        return 0;
    if (fstat(r->x->req.body_fd, &st) < 0)
        return err_set(r->err, ERR_IO, "spooled body: %s", strerror(errno));
    r->body_n = (uint64_t)st.st_size;
    return 0;
}

static bool is_joined(const struct run *r)
{
    return r->x->req.body_fd < 0 && r->x->req.body.n <= SMALL;
}

/* The head, and a small body behind it so that both leave at once. */
static int write_head(struct run *r)
{
    const struct http_request *req = &r->x->req;
    if (req->body_too_large)
        return err_set(r->err, ERR_TOO_LARGE, "the request's body is too large");
    if (!is_clean(req->method, false) || !is_clean(req->target, false))
        return err_set(r->err, ERR_BAD_REQUEST, "the request cannot be forwarded");
    TRY(measure_body(r));
    buf_add(&r->head, req->method);
    buf_byte(&r->head, ' ');
    buf_add(&r->head, req->target);
    buf_add(&r->head, STR(" HTTP/1.1\r\n"));
    TRY(add_headers(r));
    if (r->body_n > 0 || str_is(req->method, "POST") || str_is(req->method, "PUT") ||
        str_is(req->method, "PATCH"))
        buf_printf(&r->head, "Content-Length: %llu\r\n", (unsigned long long)r->body_n);
    buf_add(&r->head, STR("\r\n"));
    if (is_joined(r))
        buf_add(&r->head, req->body);
    return buf_check(&r->head, r->err);
}

/* From the file's start on: it may be sent a second time. */
static int send_spooled(struct run *r, char *part)
{
    off_t at = 0;
    while ((uint64_t)at < r->body_n) {
        uint64_t left = r->body_n - (uint64_t)at;
        ssize_t n = pread(r->x->req.body_fd, part, left < STEP ? (size_t)left : STEP, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_set(r->err, ERR_IO, "spooled body: %s",
                           n < 0 ? strerror(errno) : "it became shorter");
        TRY(link_write(r->c->link, part, (size_t)n, r->err));
        at += n;
    }
    return 0;
}

static int send_request(struct run *r)
{
    struct str body = r->x->req.body;
    TRY(link_write(r->c->link, r->head.p, r->head.n, r->err));
    if (is_joined(r))
        return 0;
    if (r->x->req.body_fd < 0)
        return link_write(r->c->link, body.p, body.n, r->err);
    AUTO(buf_free) struct buf part = { 0 };
    if (buf_reserve(&part, STEP) < 0)
        return err_set(r->err, ERR_NOMEM, "out of memory");
    part.n = part.cap; /* all of it is wiped */
    return send_spooled(r, part.p);
}

/* ---- what comes back ---- */

/* For answer1. */
static int read_more(void *ctx, struct buf *in, struct err *err)
{
    struct run *r = ctx;
    if (buf_reserve(in, STEP) < 0)
        return err_set(err, ERR_NOMEM, "out of memory");
    long n = link_read(r->c->link, in->p + in->n, STEP, err);
    r->ended |= n == 0;
    if (n <= 0)
        return (int)n;
    in->n += (size_t)n;
    if (!r->began) {
        link_set_timeout(r->c->link, 0); /* it may take as long as it takes from here */
        stop_waiting(r);
    }
    r->began = true;
    return 1;
}

/* The answer's headers as they are passed on, in the exchange's arena. */
static int take_headers(struct run *r, bool with_length, struct http_reply *reply)
{
    struct str lines = arena_take(r->arena, &r->answer_head), rest = lines, name, value;
    struct str connection = STR("");
    size_t n = 0;
    while (answer1_next_header(&rest, &name, &value)) {
        if (str_eq_nocase(name, STR("Connection")))
            connection = value;
        n++;
    }
    struct http_header *to = arena_array(r->arena, n > 0 ? n : 1, sizeof *to);
    TRY(arena_check(r->arena, r->err));
    for (rest = lines, n = 0; answer1_next_header(&rest, &name, &value);)
        if (!is_hop_by_hop(name) && !str_eq_nocase(name, STR("Date")) &&
            (with_length || !str_eq_nocase(name, STR("Content-Length"))) &&
            !names_header(connection, name))
            to[n++] = (struct http_header){ name, value };
    *reply = (struct http_reply){ .status = r->answer.status, .headers = to, .n_headers = n };
    return 0;
}

static int keep_part(void *ctx, struct str part, struct err *err)
{
    struct run *r = ctx;
    buf_add(&r->whole, part);
    return buf_check(&r->whole, err);
}

static int stream_part(void *ctx, struct str part, struct err *err)
{
    struct run *r = ctx;
    r->client_gone = http_stream_write(r->x, part) < 0;
    return r->client_gone ? err_set(err, ERR_IO, "the client is gone") : 0;
}

static int answer_whole(struct run *r)
{
    struct http_reply reply;
    TRY(answer1_body(&r->answer, keep_part, r));
    TRY(take_headers(r, r->answer.framing == ANSWER1_NONE && r->answer.status != 204, &reply));
    reply.body = arena_take(r->arena, &r->whole);
    TRY(arena_check(r->arena, r->err));
    http_answer(r->x, &reply);
    return 0;
}

/* Once it has begun it ends here, well or cut off. */
static int answer_in_pieces(struct run *r)
{
    struct http_reply head;
    TRY(take_headers(r, true, &head));
    http_stream_begin(r->x, &head);
    if (answer1_body(&r->answer, stream_part, r) == 0 || r->client_gone) {
        http_stream_end(r->x);
        return 0;
    }
    LOG(&lg, WARN, "an answer was cut off: error=\"%s\"", r->err->msg);
    http_stream_abort(r->x);
    return 0;
}

static bool has_length(const struct buf *head)
{
    struct str rest = buf_str(head), name, value;
    while (answer1_next_header(&rest, &name, &value))
        if (str_eq_nocase(name, STR("Content-Length")))
            return true;
    return false;
}

static int pass_on(struct run *r)
{
    const struct answer1 *a = &r->answer;
    bool bare = a->framing == ANSWER1_NONE;
    /* A HEAD's answer without a length is that of a streamed GET. */
    bool whole = bare ? !r->head_only || has_length(&r->answer_head)
                      : a->framing == ANSWER1_LENGTH && a->length <= SMALL;
    return whole ? answer_whole(r) : answer_in_pieces(r);
}

/* ---- the run ---- */

/* Why there is no answer, and what that means for a second try. */
static enum outcome no_answer(struct run *r, bool sent)
{
    enum err_code code = r->err->code;
    /*
     * A request that was not sent whole was not begun; and our servers say goodbye on a connection
     * of a member only while no request is under way on it (conn_close).
     */
    if (!r->began && (!sent || (r->ended && !r->left))) {
        r->err->code = ERR_UPSTREAM;
        return UNTOUCHED;
    }
    r->err->code = code == ERR_TIMEOUT || code == ERR_NOMEM ? code : ERR_IO;
    return UNKNOWN;
}

static enum outcome one_try(struct run *r)
{
    enum { REFUSAL_MS = 1000 };
    struct link *l = r->c->link;
    struct err late = { 0 };
    r->began = r->ended = false;
    link_set_timeout(l, r->call->answer_ms);
    start_waiting(r);
    bool sent = send_request(r) == 0;
    if (!sent && (r->err->code == ERR_NOMEM || r->err->code == ERR_IO)) {
        stop_waiting(r);
        return UNKNOWN; /* our own trouble with the body */
    }
    if (!sent) /* a refusal may have come before the body's end was sent */
        link_set_timeout(l, REFUSAL_MS);
    r->answer = (struct answer1){ .more = read_more, .ctx = r, .in = &r->c->in, .err = &late,
                                  .head_only = r->head_only };
    int headed = answer1_head(&r->answer, &r->answer_head);
    stop_waiting(r);
    if (headed < 0) {
        if (sent)
            *r->err = late;
        if (r->left)
            err_set(r->err, ERR_IO, "it did not answer, and does not lead any more");
        return no_answer(r, sent);
    }
    r->answer.err = r->err;
    if (r->answer.status == FORWARDER_MISDIRECTED) {
        err_set(r->err, ERR_UPSTREAM, STR_FMT ": does not lead", STR_ARG(r->call->addr));
        return UNTOUCHED;
    }
    if (pass_on(r) < 0)
        return no_answer(r, true);
    if (sent && r->answer.keep)
        put_idle(r->f, r->c);
    else
        carrier_free(r->c);
    r->c = NULL;
    return ANSWERED;
}

static int run(struct run *r)
{
    enum outcome how = UNTOUCHED;
    TRY(write_head(r));
    r->c = take_idle(r->f, r->call->addr);
    if (r->c != NULL)
        how = one_try(r);
    if (how == UNTOUCHED && r->answer.status != FORWARDER_MISDIRECTED) {
        carrier_free(r->c);
        r->c = NULL;
        *r->err = (struct err){ 0 };
        TRY(dial(r));
        how = one_try(r);
    }
    return how == ANSWERED ? 0 : err_prefix(r->err, "forwarding");
}

int forwarder_run(struct forwarder *f, struct http_exchange *x, const struct forwarder_call *call,
                  struct err *err)
{
    struct err own = { 0 };
    struct run r = { .f = f, .x = x, .call = call, .arena = x->req.arena,
                     .head_only = str_is(x->req.method, "HEAD"),
                     .err = err != NULL ? err : &own };
    pthread_mutex_lock(&f->mu);
    f->calls++;
    pthread_mutex_unlock(&f->mu);
    int rc = run(&r);
    carrier_free(r.c);
    buf_free(&r.head);
    buf_free(&r.answer_head);
    buf_free(&r.whole);
    pthread_mutex_lock(&f->mu);
    if (--f->calls == 0)
        pthread_cond_broadcast(&f->quiet);
    pthread_mutex_unlock(&f->mu);
    return rc;
}
