/*
 * Http: a server of HTTP/1.1 and HTTP/2 on TCP and Unix sockets.  It knows methods, targets,
 * headers and bodies, nothing of Vault.  One event loop per thread owns its connections.
 */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include "base/arena.h"
#include "base/err.h"
#include "base/strs.h"

struct http_header {
    struct str name, value;
};

/* A request read whole.  Strings live in its arena. */
struct http_request {
    struct arena *arena;         /* for whoever answers, too; wiped when the answer is sent */
    struct str method;           /* as sent, any token */
    struct str target;           /* as sent: "/v1/a%2Fb?list=true" */
    struct str path, query;      /* target cut at the first '?', still encoded */
    const struct http_header *headers;
    size_t n_headers;
    struct str body;
    /* The body, spooled to a nameless file, at its start; closed with the exchange.  -1: it is in
     * ${body} (also when a request that spools came without one). */
    int body_fd;
    bool body_too_large;         /* the body passed the listener's limit and was dropped */
    bool http2;
    /* Of the connection. */
    struct str peer_addr;        /* IP as text, or "" on a Unix socket */
    int peer_port;
    bool tls;
    struct strs peer_certs_der;  /* client's chain, leaf first; empty on a cluster port */
    struct str member;           /* on a cluster port: which member sent it; empty: a client */
    const struct http_listener *listener;
};

/* A request that waits for its answer.  Owned by its loop, lent to whoever answers. */
struct http_exchange {
    struct http_request req;
    int64_t seen_ns; /* the handler's own: when it first saw the request */
};

/* First value of a header, any case; empty when absent (${found} may be NULL). */
struct str http_header(const struct http_request *req, const char *name, bool *found);

struct http_reply {
    int status;
    const struct http_header *headers; /* Content-Length, Date, Connection are added */
    size_t n_headers;
    struct str body;                   /* in the exchange's arena, or static */
};

/*
 * Called on the event loop with each whole request.  It must answer (http_answer, now or later
 * from any thread) exactly once, and must not block.
 */
typedef void http_handler(void *ctx, struct http_exchange *x);

/* Any thread.  Copies what it needs or keeps the arena until sent; the exchange is gone after. */
void http_answer(struct http_exchange *x, const struct http_reply *reply);

/*
 * Run ${work} on a worker thread (which may block), e.g. to call http_answer from there.  The pool
 * grows to its limit, then work queues.
 */
void http_offload(struct http_exchange *x, void (*work)(void *ctx, struct http_exchange *x),
                  void *ctx);

/*
 * An answer in pieces (monitor, snapshots): after http_stream_begin, http_stream_write queues
 * bytes (copied), returns -1 once the client is gone; blocks while more than 1 MiB waits unsent:
 * workers only.  http_stream_end closes it.
 */
void http_stream_begin(struct http_exchange *x, const struct http_reply *head);
int http_stream_write(struct http_exchange *x, struct str bytes) MUST_USE;
void http_stream_end(struct http_exchange *x);
/* Instead of http_stream_end: the rest cannot be had; the client sees that it was cut off. */
void http_stream_abort(struct http_exchange *x);

/* Whose PROXY header counts, and what becomes of others that connect. */
enum http_proxy {
    HTTP_PROXY_NONE,   /* the protocol is not spoken */
    HTTP_PROXY_ALWAYS, /* everybody's */
    HTTP_PROXY_ALLOW,  /* trusted ones'; others may send it, and are who they are */
    HTTP_PROXY_DENY,   /* trusted ones'; others are not let in */
};

struct link;
struct link_creds;

/* How a listener behaves.  Strings borrowed until http_listen returns. */
struct http_listener_config {
    struct str address;      /* "127.0.0.1:8200", "[::1]:8200", or with unix: a path */
    bool unix_socket;
    int socket_mode;         /* octal, 0: leave; */
    struct str socket_user, socket_group;
    /* TLS; no cert file: plain. */
    struct str tls_cert_file, tls_key_file, tls_client_ca_file;
    struct str tls_cipher_suites; /* OpenSSL's names, or empty */
    int tls_min_version, tls_max_version; /* 0x0301 .. 0x0304; 0: 1.2 and up */
    bool tls_prefer_server_cipher_suites;
    bool tls_require_and_verify_client_cert, tls_disable_client_certs;
    /* Limits; 0: the default in brackets. */
    size_t max_body_bytes;           /* [32 MiB] */
    size_t max_header_bytes;         /* [1 MiB, as Go] */
    int read_header_timeout_ms;      /* [10,000] */
    int read_timeout_ms;             /* for all of a request, its body too [30,000] */
    int idle_timeout_ms;             /* [300,000] */
    int write_timeout_ms;            /* from a request's head to its answer's last byte [none] */
    enum http_proxy proxy;           /* HAProxy's protocol, versions 1 and 2 */
    /* For ALLOW and DENY: whether the peer (IP as text) is trusted.  The loops' threads. */
    bool (*trusts_proxy)(const void *trust_ctx, struct str peer_addr);
    const void *trust_ctx;           /* outlives the server */
    void *user;                      /* for the handler: http_listener_user */
    /*
     * A cluster port: TLS with these credentials (of both sides) and no others; connections that
     * agreed on ${forward_alpn} carry requests, all others go to ${takeover}, which owns the link,
     * is called on a loop's thread and must not block.  ${alpn} lives as long as the link.
     */
    struct link_creds *creds;        /* NULL: a port for clients; outlives the server */
    const char *forward_alpn;
    const char *const *other_alpn;   /* NULL at the end */
    void (*takeover)(void *takeover_ctx, struct str alpn, struct link *link);
    void *takeover_ctx;
    /*
     * Whose body, judged by the request's head, may be of any size and is spooled to a file in ${spool_dir} (unlinked at once,
     * mode 0600); the read timeout is then for standing still.  NULL: nobody's.  The loops' threads.
     */
    bool (*spools)(const struct http_request *head);
    const char *spool_dir;
};

struct http_server; /* any thread, unless a function says otherwise */

struct http_server_config {
    int loops;        /* event loop threads; 0: one per core, at most 4 */
    int max_workers;  /* 0: 512 */
    http_handler *handler;
    void *ctx;
};

/* -1: ERR_NOMEM, ERR_IO. */
int http_server_new(const struct http_server_config *config, struct http_server **out,
                    struct err *err) MUST_USE;

/*
 * Bind and start to accept.  ${out} (may be NULL) is owned by the server.
 * -1: ERR_BAD_REQUEST (certificate, address), ERR_IO (in use).
 */
int http_listen(struct http_server *s, const struct http_listener_config *config,
                const struct http_listener **out, struct err *err) MUST_USE;
void *http_listener_user(const struct http_listener *l);
/* The address it really listens on ("127.0.0.1:43211" when port 0 was asked for). */
struct str http_listener_address(const struct http_listener *l);

/* Read certificates and keys again; connections stay. -1: the old ones stay in use. */
int http_server_reload_tls(struct http_server *s, struct err *err) MUST_USE;

/*
 * Stop accepting, let what is in flight finish for at most ${ms}, close idle connections, end all
 * threads.  Called by the main thread.
 */
void http_server_drain(struct http_server *s, int ms);
void http_server_free(struct http_server *s);

#endif
