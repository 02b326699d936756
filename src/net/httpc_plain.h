/* Httpc_plain: HTTP/1.1 from the client's side over a TCP or Unix socket, without TLS. */
#ifndef NET_HTTPC_PLAIN_H
#define NET_HTTPC_PLAIN_H

#include "net/httpc_answer.h"

/* A connection that may be reused; starts as { .fd = -1 }. */
struct httpc_plain {
    int fd;
    char origin[300]; /* whom fd is connected to: "host:port" or the socket's path */
    struct buf in;    /* read, not yet used */
};

/* As httpc_run, for http:// only. ${deadline_ms}: of CLOCK_MONOTONIC, 0 for none. */
int httpc_plain_run(struct httpc_plain *p, const char *unix_path, int64_t deadline_ms,
                    size_t max_body, const struct httpc_call *call, struct httpc_answer *answer,
                    struct err *err) MUST_USE;
void httpc_plain_close(struct httpc_plain *p);

#endif
