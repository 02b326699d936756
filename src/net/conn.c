/* A connection: events of its socket, TLS handshake, reading, writing, closing. */
#include "net/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/proxyproto.h"

enum { LINGER_MS = 2000, LINGER_BYTES = 1 << 20 };
enum { KEEPALIVE_S = 180 }; /* as Vault's: clients that vanish are noticed */

static void on_event(uv_poll_t *poll, int status, int events);

static bool has_tls(const struct site *s)
{
    return s->tls != NULL || s->cluster != NULL;
}

/* Watch for these events; a system call only when they change. */
static void watch(struct conn *c, int events)
{
    if (c->stage == CONN_CLOSED || events == c->events)
        return;
    c->events = events;
    if (events == 0)
        (void)uv_poll_stop(&c->poll);
    else
        (void)uv_poll_start(&c->poll, events, on_event);
}

void conn_want_read(struct conn *c, bool want)
{
    watch(c, want ? c->events | UV_READABLE : c->events & ~UV_READABLE);
}

static void want_write(struct conn *c, bool want)
{
    watch(c, want ? c->events | UV_WRITABLE : c->events & ~UV_WRITABLE);
}

void conn_deadline(struct conn *c, int ms)
{
    if (c->stage != CONN_CLOSED)
        loop_set_deadline(c->loop, &c->due, ms);
}

void conn_no_deadline(struct conn *c)
{
    wheel_forget(&c->due);
}

void conn_write_clock(struct conn *c)
{
    int most = c->site->write_timeout_ms;
    c->write_by_ms = most > 0 ? loop_now_ms(c->loop) + most : 0;
}

void conn_write_deadline(struct conn *c)
{
    int64_t left = c->write_by_ms - loop_now_ms(c->loop);
    if (c->write_by_ms == 0)
        conn_no_deadline(c);
    else if (c->stage != CONN_CLOSED)
        loop_set_deadline(c->loop, &c->due, left > 0 ? left : 0);
}

void conn_hold(struct conn *c)
{
    c->holds++;
}

void conn_release(struct conn *c)
{
    if (--c->holds > 0)
        return;
    arena_free(c->certs_arena);
    free(c->member);
    free(c);
}

static void on_closed(uv_handle_t *handle)
{
    conn_release(handle->data);
}

static void unlink_conn(struct conn *c)
{
    struct loop *l = c->loop;
    *c->link = c->next;
    if (c->next != NULL)
        c->next->link = c->link;
    if (--l->n_conns == 0 && l->draining && l->on_empty != NULL)
        l->on_empty(l->on_empty_ctx);
}

void conn_close(struct conn *c)
{
    if (c->stage == CONN_CLOSED)
        return;
    enum conn_stage stage = c->stage;
    c->stage = CONN_CLOSED;
    wheel_remove(&c->loop->wheel, &c->due);
    /* To a member goodbye means: no request of yours was begun (forwarder.c sends it anew). */
    bool under_way = c->site->cluster != NULL && c->holds > 1;
    if (c->tls != NULL && stage == CONN_OPEN && c->out == NULL && !under_way)
        tls_bye(c->tls);
    tls_free(c->tls);
    c->tls = NULL;
    free(c->out);
    c->out = NULL;
    uv_close((uv_handle_t *)&c->poll, on_closed);
    close(c->fd);
    c->fd = -1;
    if (c->proto != NULL && (stage == CONN_OPEN || stage == CONN_LINGER))
        c->proto->closed(c);
    unlink_conn(c);
}

void conn_will_reset(struct conn *c)
{
    struct linger at_once = { .l_onoff = 1 };
    (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void conn_finish(struct conn *c)
{
    if (c->stage == CONN_CLOSED || c->stage == CONN_LINGER)
        return;
    if (c->tls != NULL && c->stage == CONN_OPEN)
        tls_bye(c->tls);
    if (shutdown(c->fd, SHUT_WR) < 0) {
        conn_close(c);
        return;
    }
    c->stage = CONN_LINGER;
    watch(c, UV_READABLE);
    conn_deadline(c, LINGER_MS);
}

/* Drop what still comes; the end, or too much of it, closes. */
static void linger(struct conn *c)
{
    ssize_t n = read(c->fd, c->loop->scratch, LOOP_SCRATCH);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0) {
        explicit_bzero(c->loop->scratch, (size_t)n);
        c->seen += (unsigned)n;
    }
    if (n <= 0 || c->seen > LINGER_BYTES)
        conn_close(c);
}

ssize_t conn_read(struct conn *c, void *p, size_t n)
{
    if (c->tls != NULL) {
        ssize_t got = tls_read(c->tls, p, n);
        if (got >= 0)
            return got;
        if (got == TLS_WANT_WRITE)
            want_write(c, true);
        return got == TLS_BROKEN ? CONN_BROKEN : CONN_AGAIN;
    }
    ssize_t got = read(c->fd, p, n);
    if (got >= 0)
        return got;
    return errno == EAGAIN || errno == EINTR ? CONN_AGAIN : CONN_BROKEN;
}

bool conn_has_pending(const struct conn *c)
{
    return c->tls != NULL && tls_has_pending(c->tls);
}

bool conn_is_gone(struct conn *c)
{
    char byte;
    if (c->stage != CONN_OPEN)
        return true;
    ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

/* Step over ${n} bytes that are out. Returns the pieces that are left. */
static int advance(struct iovec *v, int count, size_t n)
{
    int done = 0;
    while (done < count && n >= v[done].iov_len)
        n -= v[done++].iov_len;
    if (done < count) {
        v[done].iov_base = (char *)v[done].iov_base + n;
        v[done].iov_len -= n;
    }
    memmove(v, v + done, (size_t)(count - done) * sizeof *v);
    return count - done;
}

/* One attempt: bytes taken, 0: none now, -1: broken. */
static ssize_t put(struct conn *c, struct iovec *v, int n)
{
    if (c->tls != NULL) {
        ssize_t got = tls_write(c->tls, v[0].iov_base, v[0].iov_len);
        return got > 0 ? got : got == TLS_WANT_READ || got == TLS_WANT_WRITE ? 0 : -1;
    }
    struct msghdr msg = { .msg_iov = v, .msg_iovlen = (size_t)n };
    ssize_t got = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
    if (got >= 0)
        return got;
    return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

/* Send until the socket is full. Returns the pieces left, -1: broken. */
static int put_all(struct conn *c, struct iovec *v, int n)
{
    while (n > 0) {
        ssize_t got = put(c, v, n);
        if (got < 0)
            return -1;
        if (got == 0)
            return n;
        n = advance(v, n, (size_t)got);
    }
    return 0;
}

/* Keep what could not be sent, and wait for room. */
static int queue(struct conn *c, const struct iovec *v, int n)
{
    if (c->out == NULL) {
        c->out = malloc(CONN_PIECES * sizeof *c->out);
        c->n_out = 0;
    }
    if (c->out == NULL || c->n_out + n > CONN_PIECES)
        return -1;
    memcpy(c->out + c->n_out, v, (size_t)n * sizeof *v);
    c->n_out += n;
    want_write(c, true);
    conn_write_deadline(c);
    return 0;
}

int conn_send(struct conn *c, const struct iovec *pieces, int n)
{
    struct iovec v[CONN_PIECES];
    if (c->stage != CONN_OPEN || n > CONN_PIECES)
        return -1;
    int left = 0;
    for (int i = 0; i < n; i++)
        if (pieces[i].iov_len > 0)
            v[left++] = pieces[i];
    if (c->out != NULL)
        return queue(c, v, left);
    left = put_all(c, v, left);
    if (left <= 0)
        return left < 0 ? -1 : 1;
    return queue(c, v, left);
}

/* The socket has room again. */
static void flush(struct conn *c)
{
    if (c->out == NULL) {
        want_write(c, false); /* TLS wanted to write in order to read */
        c->proto->readable(c);
        return;
    }
    c->n_out = put_all(c, c->out, c->n_out);
    if (c->n_out < 0) {
        conn_close(c);
        return;
    }
    if (c->n_out > 0)
        return;
    free(c->out);
    c->out = NULL;
    want_write(c, false);
    c->proto->sent(c);
}

void conn_speak(struct conn *c, const struct conn_proto *proto, void *state)
{
    c->proto = proto;
    c->state = state;
}

static void establish(struct conn *c)
{
    c->stage = CONN_OPEN;
    watch(c, UV_READABLE);
    c->site->established(c);
    if (c->proto == NULL) {
        conn_close(c);
        return;
    }
    if (c->stage == CONN_OPEN && c->loop->draining)
        c->proto->drain(c);
    if (c->stage == CONN_OPEN && conn_has_pending(c))
        c->proto->readable(c);
}

/* The client's certificates, kept for all its requests. */
static void keep_peer_chain(struct conn *c)
{
    struct arena *a = arena_new();
    if (a == NULL)
        return;
    c->peer_certs = tls_peer_chain(c->tls, a);
    if (c->peer_certs.n > 0 && !arena_failed(a)) {
        c->certs_arena = a;
        return;
    }
    c->peer_certs = (struct strs){ 0 };
    arena_free(a);
}

/* The connection leaves the loop: with its socket, its TLS and all that this has read. */
static void give_away(struct conn *c)
{
    struct tls *t = c->tls;
    char *member = c->member;
    int fd = c->fd;
    c->tls = NULL;
    c->member = NULL;
    c->fd = -1;
    c->stage = CONN_CLOSED;
    wheel_remove(&c->loop->wheel, &c->due);
    uv_close((uv_handle_t *)&c->poll, on_closed); /* epoll forgets the descriptor at once */
    clusterport_give(c->site->cluster, t, fd, member, str_of(c->peer), c->peer_port);
    unlink_conn(c);
}

static void admit_member(struct conn *c)
{
    switch (clusterport_done(c->site->cluster, c->tls, &c->member)) {
    case CLUSTERPORT_REFUSED:
        conn_close(c);
        break;
    case CLUSTERPORT_HTTP:
        establish(c);
        break;
    case CLUSTERPORT_LINK:
        give_away(c);
        break;
    }
}

static void handshake(struct conn *c)
{
    int rc = tls_handshake(c->tls);
    if (rc == TLS_WANT_READ || rc == TLS_WANT_WRITE) {
        watch(c, rc == TLS_WANT_WRITE ? UV_WRITABLE : UV_READABLE);
        return;
    }
    if (rc != 1 && c->site->cluster != NULL)
        clusterport_failed(c->site->cluster, c->tls, str_of(c->peer));
    if (rc != 1) {
        conn_close(c);
        return;
    }
    if (c->site->cluster != NULL) {
        admit_member(c);
        return;
    }
    keep_peer_chain(c);
    establish(c);
}

/* HTTP on a TLS port is told so, in the words of Go's server. */
static void refuse_plain(struct conn *c)
{
    static const char text[] =
        "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
    (void)!send(c->fd, text, sizeof text - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    conn_finish(c);
}

static void hello(struct conn *c)
{
    char first;
    ssize_t n = recv(c->fd, &first, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        conn_close(c);
        return;
    }
    if ((first >= 'A' && first <= 'Z') || (first >= 'a' && first <= 'z')) {
        refuse_plain(c);
        return;
    }
    if (c->site->cluster == NULL)
        c->tls = tls_new(c->site->tls, c->fd);
    else
        c->tls = clusterport_greet(c->site->cluster, c->fd, str_of(c->peer));
    if (c->tls == NULL) {
        conn_finish(c);
        return;
    }
    c->stage = CONN_HANDSHAKE;
    handshake(c);
}

/* A proxy stands before us: it tells who the client is. */
static void read_proxy(struct conn *c)
{
    char *head = c->loop->scratch;
    ssize_t n = recv(c->fd, head, PROXYPROTO_MAX, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    struct proxyproto from;
    int used = n <= 0 ? -1 : proxyproto_parse(str_mem(head, (size_t)n), &from);
    if (used == PROXYPROTO_MORE && n < PROXYPROTO_MAX && (unsigned)n > c->seen) {
        /* What came stays unread; the event would come back at once: wait for more than this. */
        c->seen = (unsigned)n;
        int low = (int)n + 1;
        (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low);
        return;
    }
    int one = 1;
    (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof one);
    if (used < 0 || (used > 0 && recv(c->fd, head, (size_t)used, 0) != used)) {
        conn_close(c);
        return;
    }
    if (used > 0 && from.known && c->trusted) {
        memcpy(c->peer, from.addr, sizeof c->peer);
        c->peer_port = from.port;
    }
    c->stage = has_tls(c->site) ? CONN_HELLO : CONN_OPEN;
    if (c->stage == CONN_OPEN)
        establish(c);
}

static void on_event(uv_poll_t *poll, int status, int events)
{
    struct conn *c = poll->data;
    if (status < 0) {
        conn_close(c);
        return;
    }
    switch (c->stage) {
    case CONN_PROXY:
        read_proxy(c);
        break;
    case CONN_HELLO:
        hello(c);
        break;
    case CONN_HANDSHAKE:
        handshake(c);
        break;
    case CONN_OPEN:
        if ((events & UV_WRITABLE) != 0)
            flush(c);
        if ((events & UV_READABLE) != 0 && c->stage == CONN_OPEN)
            c->proto->readable(c);
        break;
    case CONN_LINGER:
        linger(c);
        break;
    case CONN_CLOSED:
        break;
    }
}

static void on_deadline(struct wheel_item *item)
{
    struct conn *c = (struct conn *)((char *)item - offsetof(struct conn, due));
    if (c->stage == CONN_OPEN && c->out == NULL)
        c->proto->expired(c);
    else
        conn_close(c);
}

/* The client's address as text. */
static void take_peer(struct conn *c, const struct sockaddr *addr)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)addr;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)addr;
    if (addr->sa_family == AF_INET) {
        inet_ntop(AF_INET, &v4->sin_addr, c->peer, sizeof c->peer);
        c->peer_port = ntohs(v4->sin_port);
    } else if (addr->sa_family == AF_INET6) {
        if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
            inet_ntop(AF_INET, v6->sin6_addr.s6_addr + 12, c->peer, sizeof c->peer);
        else
            inet_ntop(AF_INET6, &v6->sin6_addr, c->peer, sizeof c->peer);
        c->peer_port = ntohs(v6->sin6_port);
    }
}

/* What the listener's rule says of whoever connects.  False: it is not let in. */
static bool admit(struct conn *c)
{
    const struct site *s = c->site;
    switch (s->proxy) {
    case HTTP_PROXY_NONE:
        return true;
    case HTTP_PROXY_ALWAYS:
        c->trusted = true;
        return true;
    case HTTP_PROXY_ALLOW:
    case HTTP_PROXY_DENY:
        c->trusted = s->trusts_proxy != NULL && s->trusts_proxy(s->trust_ctx, str_of(c->peer));
        return c->trusted || s->proxy == HTTP_PROXY_ALLOW;
    }
    return false;
}

static void link_conn(struct conn *c)
{
    struct loop *l = c->loop;
    c->next = l->conns;
    c->link = &l->conns;
    if (c->next != NULL)
        c->next->link = &c->next;
    l->conns = c;
    l->n_conns++;
}

void conn_open(struct loop *l, const struct site *site, int fd, const struct sockaddr *addr)
{
    struct conn *c = l->draining ? NULL : calloc(1, sizeof *c);
    if (c == NULL || uv_poll_init(&l->uv, &c->poll, fd) != 0) {
        free(c);
        close(fd);
        return;
    }
    c->poll.data = c;
    c->loop = l;
    c->site = site;
    c->fd = fd;
    c->holds = 1;
    if (addr->sa_family == AF_INET || addr->sa_family == AF_INET6) {
        int on = 1, after = KEEPALIVE_S;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &after, sizeof after);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &after, sizeof after);
    }
    take_peer(c, addr);
    link_conn(c);
    if (!admit(c)) {
        conn_close(c);
        return;
    }
    conn_deadline(c, site->read_header_timeout_ms);
    c->stage = site->proxy != HTTP_PROXY_NONE ? CONN_PROXY
               : has_tls(site)                ? CONN_HELLO
                                              : CONN_OPEN;
    watch(c, UV_READABLE);
    if (c->stage == CONN_OPEN)
        establish(c);
}

static void close_all(struct loop *l)
{
    while (l->conns != NULL)
        conn_close(l->conns);
}

const struct loop_hooks conn_hooks = { .on_deadline = on_deadline, .close_all = close_all };

void conn_drain_all(struct loop *l)
{
    l->draining = true;
    if (l->n_conns == 0 && l->on_empty != NULL)
        l->on_empty(l->on_empty_ctx);
    struct conn *next;
    for (struct conn *c = l->conns; c != NULL; c = next) {
        next = c->next;
        if (c->stage == CONN_OPEN)
            c->proto->drain(c);
        else if (c->stage != CONN_LINGER)
            conn_close(c);
    }
}
