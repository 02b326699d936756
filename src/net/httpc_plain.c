/*
 * Httpc_plain: HTTP/1.1 from the client's side over a TCP or Unix socket, without TLS. Written
 * because loading libcurl with its thirty libraries takes 7.5 ms, twice what a whole command may
 * take; it is strict: an answer whose framing is ambiguous is an error.
 */
#include "net/httpc_plain.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "net/answer1.h"

enum { READ_STEP = 64 * 1024 };

/* An http URL taken apart. */
struct target {
    char host[256], port[8];
    struct str authority; /* for the Host header */
    struct str rest;      /* path and query */
};

struct exchange {
    struct httpc_plain *p;
    int64_t deadline_ms;
    size_t max_body;
    const struct httpc_call *call;
    struct httpc_answer *answer;
    struct err *err;
    bool got_bytes; /* the server has begun to answer: no second try on another connection */
    bool cut_short; /* the server answers while the body is on its way */
};

static int64_t mono_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* As Go words it, because scripts look for "connection refused". */
static int fail_errno(struct err *err, const char *doing, const char *whom, int number)
{
    char text[128];
    snprintf(text, sizeof text, "%s", strerror(number));
    text[0] = (char)tolower((unsigned char)text[0]);
    return err_set(err, number == ETIMEDOUT ? ERR_TIMEOUT : ERR_UPSTREAM, "%s %s: %s", doing, whom,
                   text);
}

static int take_authority(struct str authority, struct target *t, struct err *err)
{
    ptrdiff_t colon = str_rfind_byte(authority, ':');
    struct str host = authority, port = STR("80");
    if (authority.n > 0 && authority.p[0] == '[') {
        ptrdiff_t end = str_find_byte(authority, ']');
        if (end < 0)
            return err_set(err, ERR_BAD_REQUEST, "missing ']' in address");
        host = str_mem(authority.p + 1, (size_t)end - 1);
        if ((size_t)end + 1 < authority.n && authority.p[end + 1] == ':')
            port = str_from(authority, (size_t)end + 2);
    } else if (colon >= 0) {
        host = str_head(authority, (size_t)colon);
        port = str_from(authority, (size_t)colon + 1);
    }
    uint64_t number;
    if (host.n >= sizeof t->host || !str_to_u64(port, &number) || number > 65535)
        return err_set(err, ERR_BAD_REQUEST, "invalid address \"" STR_FMT "\"",
                       STR_ARG(authority));
    snprintf(t->host, sizeof t->host, STR_FMT, STR_ARG(host));
    snprintf(t->port, sizeof t->port, STR_FMT, STR_ARG(port));
    return 0;
}

static int take_url(struct str url, struct target *t, struct err *err)
{
    struct str left = str_from(url, sizeof "http://" - 1);
    size_t at = 0;
    while (at < left.n && left.p[at] != '/' && left.p[at] != '?')
        at++;
    struct str authority = str_head(left, at);
    ptrdiff_t user = str_rfind_byte(authority, '@');
    if (user >= 0)
        authority = str_from(authority, (size_t)user + 1);
    t->authority = authority;
    t->rest = str_from(left, at);
    for (size_t i = 0; i < url.n; i++)
        if ((unsigned char)url.p[i] <= ' ' || url.p[i] == 0x7f)
            return err_set(err, ERR_BAD_REQUEST, "the URL holds a space or a control character");
    return take_authority(authority, t, err);
}

/* Wait until the socket is ready for ${events}. */
static int wait_for(struct exchange *x, int fd, short events)
{
    for (;;) {
        int left = -1;
        if (x->deadline_ms != 0) {
            int64_t ms = x->deadline_ms - mono_ms();
            if (ms <= 0)
                return err_set(x->err, ERR_TIMEOUT, "context deadline exceeded");
            left = ms > 1000000 ? 1000000 : (int)ms;
        }
        struct pollfd pfd = { .fd = fd, .events = events };
        int n = poll(&pfd, 1, left);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return fail_errno(x->err, "poll", "socket", errno);
    }
}

static int connect_to(struct exchange *x, const struct sockaddr *addr, socklen_t len, int *out,
                      const char *whom)
{
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail_errno(x->err, "dial: socket", whom, errno);
    const char *doing = addr->sa_family == AF_UNIX ? "dial unix" : "dial tcp";
    int failed = connect(fd, addr, len) == 0 ? 0 : errno;
    if (failed == EINPROGRESS || failed == EAGAIN) {
        if (wait_for(x, fd, POLLOUT) < 0) {
            close(fd);
            return -1;
        }
        socklen_t n = sizeof failed;
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &n);
    }
    if (failed != 0) {
        close(fd);
        char with_step[400];
        snprintf(with_step, sizeof with_step, "%.300s: connect", whom);
        return fail_errno(x->err, doing, with_step, failed);
    }
    *out = fd;
    return 0;
}

static int dial_unix(struct exchange *x, const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof addr.sun_path)
        return err_set(x->err, ERR_BAD_REQUEST, "path of the Unix socket is too long");
    memcpy(addr.sun_path, path, strlen(path));
    return connect_to(x, (const struct sockaddr *)&addr, sizeof addr, &x->p->fd, path);
}

static int dial_tcp(struct exchange *x, const struct target *t)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
    struct addrinfo *list = NULL;
    char whom[280];
    snprintf(whom, sizeof whom, strchr(t->host, ':') != NULL ? "[%s]:%s" : "%s:%s", t->host,
             t->port);
    int rc = getaddrinfo(t->host[0] != '\0' ? t->host : "localhost", t->port, &hints, &list);
    if (rc != 0)
        return err_set(x->err, ERR_UPSTREAM, "dial tcp: lookup %s: %s", t->host,
                       rc == EAI_NONAME ? "no such host" : gai_strerror(rc));
    int result = -1;
    for (struct addrinfo *a = list; a != NULL && result < 0; a = a->ai_next)
        result = connect_to(x, a->ai_addr, a->ai_addrlen, &x->p->fd, whom);
    freeaddrinfo(list);
    if (result == 0) {
        int on = 1;
        setsockopt(x->p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (x->deadline_ms == 0) /* so that a server that vanished is noticed */
            setsockopt(x->p->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    }
    return result;
}

static int send_all(struct exchange *x, struct str bytes)
{
    while (bytes.n > 0) {
        ssize_t n = send(x->p->fd, bytes.p, bytes.n, MSG_NOSIGNAL);
        if (n >= 0)
            bytes = str_from(bytes, (size_t)n);
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            TRY(wait_for(x, x->p->fd, POLLOUT));
        else if (errno != EINTR)
            return fail_errno(x->err, "write", x->p->origin, errno);
    }
    return 0;
}

static bool is_readable(int fd)
{
    struct pollfd pfd = { .fd = fd, .events = POLLIN };
    return poll(&pfd, 1, 0) > 0;
}

/* As send_all, but ends early when the server says something: it has refused the rest. */
static int send_until_answered(struct exchange *x, struct str bytes)
{
    while (bytes.n > 0 && !x->cut_short) {
        TRY(wait_for(x, x->p->fd, POLLIN | POLLOUT));
        x->cut_short = is_readable(x->p->fd);
        ssize_t n = x->cut_short ? 0 : send(x->p->fd, bytes.p, bytes.n, MSG_NOSIGNAL);
        if (n >= 0)
            bytes = str_from(bytes, (size_t)n);
        else if (errno == EPIPE || errno == ECONNRESET)
            x->cut_short = true; /* what it said before may still be read */
        else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            return fail_errno(x->err, "write", x->p->origin, errno);
    }
    return 0;
}

static int send_source(struct exchange *x)
{
    const struct httpc_call *call = x->call;
    AUTO(buf_free) struct buf part = { 0 };
    uint64_t at = 0;
    if (buf_reserve(&part, READ_STEP) < 0)
        return err_set(x->err, ERR_NOMEM, "out of memory");
    while (at < call->source_n && !x->cut_short) {
        uint64_t left = call->source_n - at;
        part.n = left < READ_STEP ? (size_t)left : READ_STEP;
        TRY(call->source(call->source_ctx, at, part.p, part.n, x->err));
        at += part.n;
        TRY(send_until_answered(x, buf_str(&part)));
    }
    return 0;
}

static bool wants_length(const char *method)
{
    return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0;
}

static int send_request(struct exchange *x, const struct target *t)
{
    const struct httpc_call *call = x->call;
    AUTO(buf_free) struct buf out = { 0 };
    buf_printf(&out, "%s " STR_FMT STR_FMT " HTTP/1.1\r\nHost: " STR_FMT "\r\n", call->method,
               t->rest.n == 0 || t->rest.p[0] != '/' ? 1 : 0, "/", STR_ARG(t->rest),
               STR_ARG(t->authority));
    for (size_t i = 0; i < call->n_headers; i++) {
        struct str name = call->headers[i].name, value = call->headers[i].value;
        if (str_find_byte(value, '\n') >= 0 || str_find_byte(value, '\r') >= 0)
            return err_set(x->err, ERR_BAD_REQUEST, "a header's value holds a line end");
        buf_printf(&out, STR_FMT ": ", STR_ARG(name));
        buf_add(&out, value);
        buf_add(&out, STR("\r\n"));
    }
    if (call->source != NULL)
        buf_printf(&out, "Content-Length: %llu\r\n", (unsigned long long)call->source_n);
    else if (call->body.p != NULL || wants_length(call->method))
        buf_printf(&out, "Content-Length: %zu\r\n", call->body.n);
    buf_add(&out, STR("\r\n"));
    /* A small body leaves in the same segment as its head. */
    bool joined = call->body.n <= READ_STEP;
    if (joined)
        buf_add(&out, call->body);
    TRY(buf_check(&out, x->err));
    TRY(send_all(x, buf_str(&out)));
    if (call->source != NULL)
        return send_source(x);
    return joined ? 0 : send_all(x, call->body);
}

/* For answer1: 1, 0 at the end of the stream, -1. */
static int read_more(void *ctx, struct buf *in, struct err *err)
{
    struct exchange *x = ctx;
    if (buf_reserve(in, READ_STEP) < 0)
        return err_set(err, ERR_NOMEM, "out of memory");
    for (;;) {
        ssize_t n = recv(x->p->fd, in->p + in->n, READ_STEP, 0);
        if (n > 0) {
            in->n += (size_t)n;
            x->got_bytes = true;
            return 1;
        }
        if (n == 0)
            return 0;
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            /* Servers that send head and body apart wait for our acknowledgement between them. */
            int on = 1;
            setsockopt(x->p->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
            TRY(wait_for(x, x->p->fd, POLLIN));
        }
        else if (errno != EINTR) {
            return fail_errno(err, "read", x->p->origin, errno);
        }
    }
}

/* Where the body goes: to the caller's sink, or into the answer. */
static int deliver(void *ctx, struct str part, struct err *err)
{
    struct exchange *x = ctx;
    if (x->call->sink != NULL && x->answer->status / 100 == 2)
        return x->call->sink(x->call->sink_ctx, part, err);
    if (part.n > x->max_body || x->answer->body.n > x->max_body - part.n)
        return err_set(err, ERR_TOO_LARGE, "the answer is larger than %zu bytes", x->max_body);
    buf_add(&x->answer->body, part);
    return buf_check(&x->answer->body, err);
}

/* ${keep}: the connection can be used again. */
static int read_answer(struct exchange *x, bool *keep)
{
    struct answer1 a = { .more = read_more, .ctx = x, .in = &x->p->in, .err = x->err,
                         .head_only = strcmp(x->call->method, "HEAD") == 0 };
    TRY(answer1_head(&a, &x->answer->head));
    x->answer->status = a.status;
    TRY(answer1_body(&a, deliver, x));
    *keep = a.keep;
    return 0;
}

static int one_try(struct exchange *x, const struct target *t)
{
    bool keep = false;
    x->cut_short = false;
    TRY(send_request(x, t));
    TRY(read_answer(x, &keep));
    if (!keep || x->cut_short)
        httpc_plain_close(x->p);
    return 0;
}

int httpc_plain_run(struct httpc_plain *p, const char *unix_path, int64_t deadline_ms,
                    size_t max_body, const struct httpc_call *call, struct httpc_answer *answer,
                    struct err *err)
{
    struct exchange x = { .p = p, .deadline_ms = deadline_ms, .max_body = max_body,
                          .call = call, .answer = answer, .err = err };
    struct target t;
    TRY(take_url(call->url, &t, err));

    char origin[sizeof p->origin];
    snprintf(origin, sizeof origin, "%s%s%s", unix_path != NULL ? unix_path : t.host,
             unix_path != NULL ? "" : ":", unix_path != NULL ? "" : t.port);
    if (p->fd >= 0 && strcmp(origin, p->origin) == 0) {
        if (one_try(&x, &t) == 0)
            return 0;
        httpc_plain_close(p);
        /* The server may have closed an idle connection; then it has not seen the request. */
        if (x.got_bytes || (err != NULL && err->code == ERR_TIMEOUT))
            return -1;
    }
    httpc_plain_close(p);
    memcpy(p->origin, origin, sizeof origin);
    TRY(unix_path != NULL ? dial_unix(&x, unix_path) : dial_tcp(&x, &t));
    if (one_try(&x, &t) == 0)
        return 0;
    httpc_plain_close(p);
    return -1;
}

void httpc_plain_close(struct httpc_plain *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    buf_free(&p->in);
}
