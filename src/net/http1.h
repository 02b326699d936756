/*
 * Http1: a strict, incremental parser of HTTP/1.1 requests (RFC 9112).  Knows no sockets.  What can
 * be read in two ways is refused.
 */
#ifndef NET_HTTP1_H
#define NET_HTTP1_H

#include "net/http.h"

/* How far the search for the end of the head came; starts as { 0 }. */
struct http1_scan {
    size_t at;         /* bytes looked at */
    size_t line_start; /* of the line that ${at} is in */
    size_t lines;      /* whole lines so far */
};

/*
 * Look for the empty line that ends the head, going on where the last call stopped; ${in} starts
 * with the request's first byte and only grows between calls.
 * 1: ${scan}->at is the head's length; 0: more bytes are needed; -1: a bare LF.
 */
int http1_find_end(struct http1_scan *scan, struct str in) MUST_USE;

/* A head, understood.  Texts point into the bytes that were parsed. */
struct http1_head {
    struct str method, target, path, query;
    const struct http_header *headers;
    size_t n_headers;
    int minor; /* of HTTP/1.${minor} */
    bool keep_alive, chunked, has_length, expect_continue;
    uint64_t content_length;
};

/* Why a request was refused: what to answer before closing. */
struct http1_refusal {
    int status;      /* 400, 417, 431, 501, 505 */
    const char *why; /* static text */
};

/*
 * Understand a whole head of ${lines} lines as http1_find_end found it.  The array of headers lives
 * in ${a}.  -1: ${refusal} says why.
 */
int http1_parse_head(struct arena *a, struct str head, size_t lines, struct http1_head *out,
                     struct http1_refusal *refusal) MUST_USE;

/* Decoder of a chunked body; starts as { 0 }. */
struct http1_chunked {
    int state;
    uint64_t left;       /* bytes of the present chunk still to come */
    unsigned line_bytes; /* of the present size line, or of all trailers */
};

enum http1_piece {
    HTTP1_BAD = -1, /* malformed */
    HTTP1_MORE,     /* all of ${in} used */
    HTTP1_DATA,     /* ${data} holds bytes of the body */
    HTTP1_END,      /* the body and its trailers are over; the rest of ${in} is the next request */
};

/* Take the next piece off the front of ${in}; ${data} points into it. */
enum http1_piece http1_chunk_next(struct http1_chunked *c, struct str *in,
                                  struct str *data) MUST_USE;

/* "OK" for 200; NULL for a status without a name. */
const char *http1_reason(int status);

#endif
