/* Site: what all connections of one listener share.  Immutable once the listener accepts. */
#ifndef NET_SITE_H
#define NET_SITE_H

#include "net/clusterport.h"
#include "net/http.h"
#include "net/tls.h"
#include "net/workers.h"

struct conn;

struct site {
    const struct http_listener *listener;
    http_handler *handler;
    void *ctx;
    struct workers *workers;
    void *user;           /* of the listener */
    struct tls_site *tls; /* NULL: plain, or a cluster port */
    struct clusterport *cluster; /* NULL: a port for clients */
    enum http_proxy proxy;
    bool (*trusts_proxy)(const void *trust_ctx, struct str peer_addr);
    const void *trust_ctx;
    size_t max_body_bytes, max_header_bytes;
    int read_header_timeout_ms, read_timeout_ms, idle_timeout_ms, write_timeout_ms;
    bool (*spools)(const struct http_request *head);    /* NULL: nobody's body is */
    char *spool_dir;                                    /* owned by the listener */
    /* Called once a connection can carry HTTP: give it its protocol (conn_speak). */
    void (*established)(struct conn *c);
};

#endif
