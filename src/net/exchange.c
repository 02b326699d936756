/* Requests under way: their memory, hand-over to handlers and workers, answers, streams. */
#include "net/exchange.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_SPARES = 64, STREAM_BACKLOG = 1 << 20 };

/* A streamed answer: its writer's end and the loop's. */
struct stream {
    struct exchange *x;
    pthread_mutex_t mu; /* all below */
    pthread_cond_t room;
    struct piece *first, **last;
    size_t waiting; /* bytes queued or being sent */
    bool told;      /* the loop knows that there is something */
    bool gone, ended, broken;
    struct note note;
};

struct exchange *exchange_new(struct conn *c, const struct exchange_ops *ops, void *owner)
{
    struct loop *l = c->loop;
    struct exchange *x = l->spares;
    if (x != NULL) {
        l->spares = x->owner;
        l->n_spares--;
    } else {
        x = calloc(1, sizeof *x);
        struct arena *a = arena_new();
        if (x == NULL || a == NULL) {
            free(x);
            arena_free(a);
            return NULL;
        }
        x->arena = a;
    }
    x->loop = l;
    x->conn = c;
    x->ops = ops;
    x->owner = owner;
    x->pub.req.arena = x->arena;
    x->pub.req.body_fd = -1;
    conn_hold(c);
    return x;
}

static void stream_free(struct stream *s)
{
    if (s == NULL)
        return;
    pthread_mutex_destroy(&s->mu);
    pthread_cond_destroy(&s->room);
    free(s);
}

void exchange_free(struct exchange *x)
{
    if (x == NULL)
        return;
    struct loop *l = x->loop;
    struct arena *a = x->arena;
    arena_reset(a);
    buf_free(&x->body);
    if (x->pub.req.body_fd >= 0)
        close(x->pub.req.body_fd);
    if (x->pinned != NULL) {
        explicit_bzero(x->pinned, x->pinned_n);
        if (x->pinned_cap == LOOP_BLOCK)
            loop_block_done(l, x->pinned);
        else
            free(x->pinned);
    }
    if (x->stream != NULL)
        exchange_stream_gone(x);
    stream_free(x->stream);
    conn_release(x->conn);
    if (l->n_spares >= MAX_SPARES) {
        arena_free(a);
        free(x);
        return;
    }
    *x = (struct exchange){ .arena = a, .owner = l->spares };
    l->spares = x;
    l->n_spares++;
}

void exchange_free_spares(struct loop *l)
{
    struct exchange *x = l->spares;
    while (x != NULL) {
        struct exchange *next = x->owner;
        arena_free(x->arena);
        free(x);
        x = next;
    }
    l->spares = NULL;
    l->n_spares = 0;
}

void exchange_introduce(struct exchange *x)
{
    const struct conn *c = x->conn;
    struct http_request *req = &x->pub.req;
    req->peer_addr = str_of(c->peer);
    req->peer_port = c->peer_port;
    req->tls = c->tls != NULL;
    req->peer_certs_der = c->peer_certs;
    req->member = str_of(c->member);
    req->listener = c->site->listener;
}

void exchange_dispatch(struct exchange *x)
{
    const struct site *site = x->conn->site;
    exchange_introduce(x);
    site->handler(site->ctx, &x->pub);
}

struct str http_header(const struct http_request *req, const char *name, bool *found)
{
    struct str wanted = str_of(name);
    for (size_t i = 0; i < req->n_headers; i++) {
        if (str_eq_nocase(req->headers[i].name, wanted)) {
            if (found != NULL)
                *found = true;
            return req->headers[i].value;
        }
    }
    if (found != NULL)
        *found = false;
    return STR("");
}

static void on_answer_note(struct note *n)
{
    struct exchange *x = (struct exchange *)((char *)n - offsetof(struct exchange, note));
    x->ops->answer(x);
}

/* On the loop's own thread at once, else by its inbox. */
static void give_answer(struct exchange *x)
{
    if (loop_is_here(x->loop)) {
        x->ops->answer(x);
        return;
    }
    x->note.run = on_answer_note;
    loop_post(x->loop, &x->note);
}

void http_answer(struct http_exchange *pub, const struct http_reply *reply)
{
    struct exchange *x = (struct exchange *)pub;
    x->status = reply->status;
    x->reply_body = reply->body;
    x->ops->prepare(x, reply);
    give_answer(x);
}

static void run_job(struct job *j)
{
    struct exchange *x = (struct exchange *)((char *)j - offsetof(struct exchange, job));
    x->work(x->work_ctx, &x->pub);
}

void http_offload(struct http_exchange *pub, void (*work)(void *ctx, struct http_exchange *x),
                  void *ctx)
{
    struct exchange *x = (struct exchange *)pub;
    x->work = work;
    x->work_ctx = ctx;
    x->job.run = run_job;
    workers_submit(x->conn->site->workers, &x->job);
}

static void on_stream_note(struct note *n)
{
    struct stream *s = (struct stream *)((char *)n - offsetof(struct stream, note));
    pthread_mutex_lock(&s->mu);
    s->told = false;
    pthread_mutex_unlock(&s->mu);
    s->x->ops->pieces(s->x);
}

/* Without memory for a stream the answer is a plain 500, and writing to it fails. */
void http_stream_begin(struct http_exchange *pub, const struct http_reply *head)
{
    struct exchange *x = (struct exchange *)pub;
    struct stream *s = calloc(1, sizeof *s);
    if (s == NULL)
        abort(); /* the contract leaves no way to tell the writer, who will go on to write */
    s->x = x;
    s->last = &s->first;
    s->note.run = on_stream_note;
    pthread_mutex_init(&s->mu, NULL);
    pthread_cond_init(&s->room, NULL);
    x->stream = s;
    x->status = head->status;
    x->ops->prepare(x, head);
    x->reply_body = STR("");
    give_answer(x);
}

/* Tell the loop once until it has looked. Under mu. */
static void tell(struct stream *s)
{
    if (s->told)
        return;
    s->told = true;
    loop_post(s->x->loop, &s->note);
}

/* The chunk's size line stands before the bytes, so that it goes out in one piece. */
static struct piece *piece_of(const struct exchange *x, struct str bytes)
{
    struct piece *p = calloc(1, sizeof *p);
    if (p == NULL || buf_reserve(&p->bytes, bytes.n + 32) < 0) {
        free(p);
        return NULL;
    }
    if (x->chunked)
        buf_printf(&p->bytes, "%zx\r\n", bytes.n);
    buf_add(&p->bytes, bytes);
    if (x->chunked)
        buf_add(&p->bytes, STR("\r\n"));
    return p;
}

int http_stream_write(struct http_exchange *pub, struct str bytes)
{
    struct exchange *x = (struct exchange *)pub;
    struct stream *s = x->stream;
    struct piece *p = bytes.n == 0 ? NULL : piece_of(x, bytes);
    if (bytes.n > 0 && p == NULL)
        return -1;
    pthread_mutex_lock(&s->mu);
    while (!s->gone && s->waiting > STREAM_BACKLOG && !loop_is_here(x->loop))
        pthread_cond_wait(&s->room, &s->mu);
    bool gone = s->gone;
    if (!gone && p != NULL) {
        s->waiting += p->bytes.n;
        *s->last = p;
        s->last = &p->next;
        tell(s);
    }
    pthread_mutex_unlock(&s->mu);
    if (gone && p != NULL) {
        buf_free(&p->bytes);
        free(p);
    }
    return gone ? -1 : 0;
}

static void end_stream(struct stream *s, bool broken)
{
    pthread_mutex_lock(&s->mu);
    s->ended = true;
    s->broken = broken;
    tell(s);
    pthread_mutex_unlock(&s->mu);
}

void http_stream_end(struct http_exchange *pub)
{
    end_stream(((struct exchange *)pub)->stream, false);
}

void http_stream_abort(struct http_exchange *pub)
{
    end_stream(((struct exchange *)pub)->stream, true);
}

bool exchange_stream_broken(struct exchange *x)
{
    struct stream *s = x->stream;
    pthread_mutex_lock(&s->mu);
    bool broken = s->broken;
    pthread_mutex_unlock(&s->mu);
    return broken;
}

struct piece *exchange_next_piece(struct exchange *x, bool *ended)
{
    struct stream *s = x->stream;
    pthread_mutex_lock(&s->mu);
    struct piece *p = s->first;
    if (p != NULL) {
        s->first = p->next;
        if (s->first == NULL)
            s->last = &s->first;
    }
    /* While the writer's last note is on its way the stream must not be released. */
    *ended = p == NULL && s->ended && !s->told;
    pthread_mutex_unlock(&s->mu);
    return p;
}

void exchange_piece_done(struct exchange *x, struct piece *p)
{
    struct stream *s = x->stream;
    pthread_mutex_lock(&s->mu);
    s->waiting -= p->bytes.n;
    pthread_cond_signal(&s->room);
    pthread_mutex_unlock(&s->mu);
    buf_free(&p->bytes);
    free(p);
}

void exchange_stream_gone(struct exchange *x)
{
    struct stream *s = x->stream;
    pthread_mutex_lock(&s->mu);
    struct piece *p = s->first;
    s->first = NULL;
    s->last = &s->first;
    s->waiting = 0;
    s->gone = true;
    pthread_cond_broadcast(&s->room);
    pthread_mutex_unlock(&s->mu);
    while (p != NULL) {
        struct piece *next = p->next;
        buf_free(&p->bytes);
        free(p);
        p = next;
    }
}

bool exchange_stream_ended(struct exchange *x)
{
    struct stream *s = x->stream;
    pthread_mutex_lock(&s->mu);
    bool ended = s->ended && !s->told;
    pthread_mutex_unlock(&s->mu);
    return ended;
}
