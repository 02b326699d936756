/*
 * Answer1: reads an HTTP/1.1 answer off any source of bytes, from the client's side.  It is strict:
 * an answer whose framing is ambiguous is an error.  Knows no sockets.
 */
#ifndef NET_ANSWER1_H
#define NET_ANSWER1_H

#include "base/buf.h"
#include "base/err.h"

/* How the body's end is told. */
enum answer1_framing { ANSWER1_NONE, ANSWER1_LENGTH, ANSWER1_CHUNKED, ANSWER1_UNTIL_CLOSE };

/* Starts as { 0 } but for the first group. */
struct answer1 {
    /* Append some bytes to ${in}: 1, 0 at the end of the source, -1. */
    int (*more)(void *ctx, struct buf *in, struct err *err);
    void *ctx;
    struct buf *in; /* received, not used up; may hold bytes already */
    bool head_only; /* the answer to a HEAD */
    struct err *err;
    /* Of the head. */
    int status;
    bool keep; /* the connection can carry another request afterwards */
    enum answer1_framing framing;
    uint64_t length; /* for ANSWER1_LENGTH */
    /* Its own. */
    size_t at; /* bytes of ${in} that are used up */
};

/*
 * Read status and headers; those of 1xx answers before are dropped.  ${head} gets the lines, each
 * "Name: value\r\n".  -1: what ${more} said, or ERR_UPSTREAM.
 */
int answer1_head(struct answer1 *a, struct buf *head) MUST_USE;
/* Read the body to its end in pieces; -1 also when ${sink} says so.  ${keep} may become false. */
int answer1_body(struct answer1 *a, int (*sink)(void *ctx, struct str part, struct err *err),
                 void *sink_ctx) MUST_USE;
/* The next header of ${head}'s lines, which is stepped over; false at their end. */
bool answer1_next_header(struct str *head, struct str *name, struct str *value);

#endif
