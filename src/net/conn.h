/*
 * Conn: one accepted connection: its socket, TLS and deadline.  What is said on it is a protocol's
 * business (http1, http2), which hangs on a table of functions.  Owned by its loop's thread.
 */
#ifndef NET_CONN_H
#define NET_CONN_H

#include <netinet/in.h>
#include <sys/uio.h>

#include "net/loop.h"
#include "net/site.h"

enum { CONN_PIECES = 6, CONN_PEER_TEXT = INET6_ADDRSTRLEN };

/* How a protocol hears of its connection. */
struct conn_proto {
    void (*readable)(struct conn *c); /* bytes came, or the end */
    void (*sent)(struct conn *c);     /* all that conn_send had queued is out */
    void (*expired)(struct conn *c);  /* the deadline passed */
    void (*drain)(struct conn *c);    /* the server ends: finish what runs, take nothing new */
    /* The socket is gone; release ${c}->state.  Requests still with a handler hold the conn. */
    void (*closed)(struct conn *c);
};

enum conn_stage {
    CONN_PROXY,     /* waits for the proxy's line */
    CONN_HELLO,     /* TLS: waits for the first byte */
    CONN_HANDSHAKE, /* TLS */
    CONN_OPEN,      /* the protocol's */
    CONN_LINGER,    /* we have said all; reads on until the client closes */
    CONN_CLOSED,
};

struct conn {
    uv_poll_t poll;
    struct wheel_item due;
    struct loop *loop;
    const struct site *site;
    struct conn *next, **link; /* in loop->conns */
    int fd;
    enum conn_stage stage;
    int events;      /* what poll watches for */
    unsigned holds;  /* requests that still point here, plus one until the handle is closed */
    bool trusted;    /* a PROXY header from here counts */
    struct tls *tls; /* NULL: plain */
    const struct conn_proto *proto;
    void *state;       /* the protocol's */
    struct iovec *out; /* what the socket did not take yet; NULL: nothing */
    int n_out;
    int64_t write_by_ms; /* when the answer must be out, on the loop's clock; 0: no limit */
    unsigned seen; /* bytes: of the proxy's header so far; dropped while lingering */
    int peer_port;
    char peer[CONN_PEER_TEXT];
    char *member;              /* on a cluster port: whose connection, owned; else NULL */
    struct arena *certs_arena; /* of peer_certs; NULL: none */
    struct strs peer_certs;
};

/*
 * Take over an accepted socket.  It is closed when no connection can be made of it.
 * ${addr} is the client's address.
 */
void conn_open(struct loop *l, const struct site *site, int fd, const struct sockaddr *addr);

/* From inside site->established: the protocol from now on. */
void conn_speak(struct conn *c, const struct conn_proto *proto, void *state);

/* Results of conn_read besides a count of bytes. */
enum { CONN_EOF = 0, CONN_AGAIN = -1, CONN_BROKEN = -2 };
ssize_t conn_read(struct conn *c, void *p, size_t n);
/* Bytes were received already that conn_read would give without an event. */
bool conn_has_pending(const struct conn *c);
/* Whether the client has closed or gone, without taking any byte off. */
bool conn_is_gone(struct conn *c);

/*
 * Send pieces that stay where they are until proto->sent is called.
 * 1: all is out at once (proto->sent is not called); 0: some waits; -1: the connection is broken,
 * the caller closes it.
 */
int conn_send(struct conn *c, const struct iovec *pieces, int n) MUST_USE;

/* Whether readable shall be called.  Costs a system call when it changes. */
void conn_want_read(struct conn *c, bool want);

/* Call proto->expired in ${ms} unless set anew. */
void conn_deadline(struct conn *c, int ms);
void conn_no_deadline(struct conn *c);

/*
 * The listener's write timeout: it runs from conn_write_clock, called when a request's head has
 * been read; conn_write_deadline makes what is left of it the deadline, or sets none.
 */
void conn_write_clock(struct conn *c);
void conn_write_deadline(struct conn *c);

/* Close now.  ${c} stays valid until the event is over, or longer while held. */
void conn_close(struct conn *c);
/* Closing shall be seen as a failure. */
void conn_will_reset(struct conn *c);
/* All is said: end our side, and read the client's to its end, so that our words arrive. */
void conn_finish(struct conn *c);

/* Keep the struct (not the socket) while a request points to it. */
void conn_hold(struct conn *c);
void conn_release(struct conn *c);

/* For loop_start. */
extern const struct loop_hooks conn_hooks;
/* The server ends: tell all connections of the loop. */
void conn_drain_all(struct loop *l);

#endif
