/*
 * Exchange: a request, its memory, and the way of its answer back to the loop.  Made and released
 * by the protocol on the loop's thread; in between owned by whoever answers.
 */
#ifndef NET_EXCHANGE_H
#define NET_EXCHANGE_H

#include "base/buf.h"
#include "net/conn.h"
#include "net/http.h"
#include "net/workers.h"

struct exchange;
struct stream;

/* How a protocol takes answers. */
struct exchange_ops {
    /* The answer's thread: copy what is needed of ${reply} into the arena; x->status is set. */
    void (*prepare)(struct exchange *x, const struct http_reply *reply);
    /* The loop's thread: send what was prepared; x->stream tells of pieces to follow. */
    void (*answer)(struct exchange *x);
    /* The loop's thread: the stream's queue was empty and is not, or it has ended. */
    void (*pieces)(struct exchange *x);
};

struct exchange {
    struct http_exchange pub; /* first: a struct http_exchange * is an exchange * */
    struct note note;         /* carries the answer to the loop */
    struct job job;           /* carries the request to a worker */
    struct loop *loop;
    struct conn *conn; /* held */
    const struct exchange_ops *ops;
    struct arena *arena;
    void *owner; /* the protocol's */

    /* The request's bytes beside the arena; wiped and released with it. */
    struct buf body;
    char *pinned; /* a whole block that the head's texts point into; NULL: none */
    size_t pinned_n, pinned_cap;

    void (*work)(void *ctx, struct http_exchange *x); /* http_offload's */
    void *work_ctx;

    /* The answer, prepared. */
    int status;
    char *head; /* HTTP/1: the head's first part, with room for the rest; NULL: no memory */
    size_t head_n;
    struct http_header *headers; /* HTTP/2 */
    size_t n_headers;
    struct str reply_body;
    bool joined;           /* HTTP/1: the body is to stand behind the head in one piece */
    bool chunked;          /* HTTP/1: the stream is sent in chunks */
    struct stream *stream; /* NULL: the answer is whole */
};

/* Fill in what the request has of its connection: before it is judged by its head. */
void exchange_introduce(struct exchange *x);

/* A blank exchange for a request on ${c}, which it holds; NULL: out of memory. */
struct exchange *exchange_new(struct conn *c, const struct exchange_ops *ops, void *owner) MUST_USE;
/* Wipe and keep for the next request, or release.  Lets go of the connection. */
void exchange_free(struct exchange *x);
/* Fill the parts of the request that are the connection's, then give it to the handler. */
void exchange_dispatch(struct exchange *x);

/* Release the spare ones of a loop. */
void exchange_free_spares(struct loop *l);

/* A piece of a streamed answer. */
struct piece {
    struct piece *next;
    struct buf bytes;
};

/*
 * The next piece, owned by the caller until exchange_piece_done; NULL: none is waiting, and
 * ${ended} tells whether none will come.  The loop's thread.
 */
struct piece *exchange_next_piece(struct exchange *x, bool *ended);
void exchange_piece_done(struct exchange *x, struct piece *p);
/* The client is gone: the writer is told, waiting pieces are dropped. */
void exchange_stream_gone(struct exchange *x);
/* Whether it ended by http_stream_abort. */
bool exchange_stream_broken(struct exchange *x);
/* Whether the writer has ended the stream, so that nobody but the loop knows it any more. */
bool exchange_stream_ended(struct exchange *x);

#endif
