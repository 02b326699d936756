/* Httpc_answer: what the HTTP client is asked, and what it answers. */
#ifndef NET_HTTPC_ANSWER_H
#define NET_HTTPC_ANSWER_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct httpc_header {
    struct str name, value;
};

/* Borrowed for the call. Content-Length and Host are added. */
struct httpc_call {
    const char *method;
    struct str url; /* "http://host:port/path?query", already encoded */
    const struct httpc_header *headers;
    size_t n_headers;
    struct str body; /* p == NULL: none */
    /*
     * Or a body of ${source_n} bytes that is asked for in pieces: fills ${to} with the ${len} bytes
     * from ${offset} on, which begins at 0 anew with another try. -1 ends the call.
     */
    int (*source)(void *ctx, uint64_t offset, char *to, size_t len, struct err *err);
    void *source_ctx;
    uint64_t source_n;
    /* Gets the body of a 2xx answer in pieces instead of answer->body; -1 ends the call. */
    int (*sink)(void *ctx, struct str part, struct err *err);
    void *sink_ctx;
};

/* Starts as { 0 }; release with httpc_answer_free. */
struct httpc_answer {
    int status;
    struct buf head; /* header lines, each "Name: value\r\n" */
    struct buf body;
};

/* First value of a header, any case; empty when absent. */
struct str httpc_answer_header(const struct httpc_answer *answer, const char *name);
/* Start anew, keeping the memory. */
void httpc_answer_reset(struct httpc_answer *answer);
void httpc_answer_free(struct httpc_answer *answer);

#endif
