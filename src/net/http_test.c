/* Tests of the whole server over real sockets: TCP, Unix, TLS, HTTP/1.1 and HTTP/2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <grp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "net/http.h"

/* A server with its handler's controls, and a folder for files. */
struct fixture {
    struct http_server *server;
    const struct http_listener *listener;
    char dir[64];
    char address[64];
    int port;
    sem_t entered, go; /* of /wait */
    int stream_result; /* of /endless: what http_stream_write said at last */
};

static void answer_text(struct http_exchange *x, int status, struct str body)
{
    static const struct http_header headers[] = { { STR_INIT("Content-Type"),
                                                    STR_INIT("text/plain") } };
    struct http_reply reply = { status, headers, 1, body };
    http_answer(x, &reply);
}

static void work_wait(void *ctx, struct http_exchange *x)
{
    struct fixture *f = ctx;
    sem_post(&f->entered);
    sem_wait(&f->go);
    answer_text(x, 200, STR("waited"));
}

static void work_stream(void *ctx, struct http_exchange *x)
{
    struct http_reply head = { .status = 200 };
    http_stream_begin(x, &head);
    for (int i = 0; i < 300; i++) {
        char piece[10001];
        memset(piece, 'a' + i % 26, sizeof piece);
        if (http_stream_write(x, str_mem(piece, sizeof piece - 1)) < 0)
            break;
    }
    http_stream_end(x);
}

/* Writes until the client has gone. */
static void work_endless(void *ctx, struct http_exchange *x)
{
    struct fixture *f = ctx;
    static const char piece[65536];
    struct http_reply head = { .status = 200 };
    http_stream_begin(x, &head);
    do
        f->stream_result = http_stream_write(x, str_mem(piece, sizeof piece));
    while (f->stream_result == 0);
    http_stream_end(x);
    sem_post(&f->entered);
}

static struct str describe(const struct http_request *req)
{
    return arena_printf(req->arena,
                        "method=" STR_FMT " path=" STR_FMT " query=" STR_FMT " body=%zu large=%d "
                        "h2=%d tls=%d certs=%zu peer=" STR_FMT " host=" STR_FMT,
                        STR_ARG(req->method), STR_ARG(req->path), STR_ARG(req->query), req->body.n,
                        req->body_too_large, req->http2, req->tls, req->peer_certs_der.n,
                        STR_ARG(req->peer_addr), STR_ARG(http_header(req, "HOST", NULL)));
}

static void handler(void *ctx, struct http_exchange *x)
{
    struct fixture *f = ctx;
    struct http_request *req = &x->req;
    if (str_is(req->path, "/wait"))
        http_offload(x, work_wait, f);
    else if (str_is(req->path, "/stream"))
        http_offload(x, work_stream, f);
    else if (str_is(req->path, "/endless"))
        http_offload(x, work_endless, f);
    else if (str_is(req->path, "/echo"))
        answer_text(x, req->body_too_large ? 413 : 200, req->body);
    else if (str_is(req->path, "/none"))
        answer_text(x, 204, STR("not to be seen"));
    else if (str_is(req->path, "/472"))
        answer_text(x, 472, STR("x"));
    else if (str_is(req->path, "/big"))
        answer_text(x, 200, str_mem(arena_alloc(req->arena, 5000000), 5000000));
    else if (str_is(req->path, "/split"))
        http_answer(
            x, &(struct http_reply){
                   200, &(struct http_header){ STR("X"), STR("a\r\nSet-Cookie: b") }, 1, STR("") });
    else
        answer_text(x, 200, describe(req));
}

static void run_command(const char *format, ...) PRINTF_LIKE(1, 2);
static void run_command(const char *format, ...)
{
    char command[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    assert_int_equal(system(command), 0);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct http_server_config config = {
        .loops = 2, .max_workers = 8, .handler = handler, .ctx = f
    };
    struct err err = { 0 };
    snprintf(f->dir, sizeof f->dir, "/tmp/http_test.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    sem_init(&f->entered, 0, 0);
    sem_init(&f->go, 0, 0);
    assert_int_equal(http_server_new(&config, &f->server, &err), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    http_server_free(f->server);
    sem_destroy(&f->entered);
    sem_destroy(&f->go);
    run_command("rm -rf %s", f->dir);
    free(f);
    return 0;
}

static void listen_with(struct fixture *f, struct http_listener_config config)
{
    struct err err = { 0 };
    if (config.address.n == 0)
        config.address = STR("127.0.0.1:0");
    if (http_listen(f->server, &config, &f->listener, &err) < 0)
        fail_msg("%s", err.msg);
    struct str address = http_listener_address(f->listener);
    snprintf(f->address, sizeof f->address, STR_FMT, STR_ARG(address));
    uint64_t port;
    if (str_to_u64(str_from(address, (size_t)str_rfind_byte(address, ':') + 1), &port))
        f->port = (int)port;
}

static void never_wait_forever(int fd)
{
    struct timeval most = { 20, 0 };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most);
}

static int dial(const struct fixture *f)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)f->port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    never_wait_forever(fd);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static int dial_unix(const char *path)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    never_wait_forever(fd);
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void say(int fd, struct str s)
{
    while (s.n > 0) {
        ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* the server may close early: what it said is still to be read */
        s = str_from(s, (size_t)n);
    }
}

/* Read until the server closes, or ${until} stands in it. */
static void hear(int fd, const char *until, struct buf *out)
{
    for (;;) {
        char part[65536];
        ssize_t n = recv(fd, part, sizeof part, 0);
        if (n <= 0)
            return;
        buf_add(out, str_mem(part, (size_t)n));
        if (until != NULL && str_find(buf_str(out), str_of(until)) >= 0)
            return;
    }
}

static void close_fd(int *fd)
{
    close(*fd);
}

/* Send on a new connection, read to the end. */
static void talk(const struct fixture *f, struct str request, struct buf *out)
{
    AUTO(close_fd) int fd = dial(f);
    say(fd, request);
    hear(fd, NULL, out);
}

static bool has(const struct buf *b, const char *text)
{
    bool found = str_find(buf_str(b), str_of(text)) >= 0;
    if (!found)
        print_message("no \"%s\" in: " STR_FMT "\n", text, (int)(b->n < 2000 ? b->n : 2000),
                      b->p != NULL ? b->p : "");
    return found;
}

#define LAST "Host: a\r\nConnection: close\r\n"

static void answers_a_request(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf got = { 0 };
    listen_with(f, (struct http_listener_config){ 0 });
    talk(f, STR("BREW /a%2Fb?c=d HTTP/1.1\r\n" LAST "\r\n"), &got);
    assert_true(has(&got, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: "));
    assert_true(has(&got, "\r\nDate: "));
    assert_true(has(&got, " GMT\r\nConnection: close\r\n\r\nmethod=BREW path=/a%2Fb query=c=d "
                          "body=0 large=0 h2=0 tls=0 certs=0 peer=127.0.0.1 host=a"));
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf got = { 0 };
    listen_with(f, (struct http_listener_config){ 0 });
    sem_post(&f->go);
    talk(f,
         STR("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"
             "PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nfirst"
             "PUT /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
             "3\r\nsec\r\n3\r\nond\r\n0\r\n\r\n"
             "GET /third HTTP/1.1\r\n" LAST "\r\n"
             "GET /never HTTP/1.1\r\nHost: a\r\n\r\n"),
         &got);
    ptrdiff_t a = str_find(buf_str(&got), STR("waited")), b = str_find(buf_str(&got), STR("first")),
              c = str_find(buf_str(&got), STR("second")),
              d = str_find(buf_str(&got), STR("/third"));
    assert_true(a > 0 && a < b && b < c && c < d);
    assert_true(str_find(buf_str(&got), STR("/never")) < 0);
}

static void a_request_in_single_bytes_is_one(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf got = { 0 };
    listen_with(f, (struct http_listener_config){ 0 });
    AUTO(close_fd) int fd = dial(f);
    struct str in = STR("PUT /echo HTTP/1.1\r\n" LAST "Transfer-Encoding: chunked\r\n\r\n"
                        "6\r\nsingle\r\n0\r\n\r\n");
    for (size_t i = 0; i < in.n; i++)
        say(fd, str_mem(in.p + i, 1));
    hear(fd, NULL, &got);
    assert_true(has(&got, "\r\n\r\nsingle"));
}

static void what_may_have_no_body_has_none(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf none = { 0 }, head = { 0 };
    listen_with(f, (struct http_listener_config){ 0 });
    talk(f, STR("GET /none HTTP/1.1\r\n" LAST "\r\n"), &none);
    assert_true(has(&none, "HTTP/1.1 204 No Content\r\n"));
    assert_true(str_find(buf_str(&none), STR("Content-Length")) < 0);
    assert_true(str_ends(buf_str(&none), STR("\r\n\r\n")));
    talk(f, STR("HEAD /472 HTTP/1.1\r\n" LAST "\r\n"), &head);
    assert_true(has(&head, "HTTP/1.1 472 status code 472\r\n"));
    assert_true(has(&head, "Content-Length: 1\r\n"));
    assert_true(str_ends(buf_str(&head), STR("\r\n\r\n")));
}

static void a_header_cannot_break_its_line(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf got = { 0 };
    listen_with(f, (struct http_listener_config){ 0 });
    talk(f, STR("GET /split HTTP/1.1\r\n" LAST "\r\n"), &got);
    assert_true(has(&got, "X: a  Set-Cookie: b\r\n"));
}

static void http10_closes_unless_asked(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf once = { 0 }, kept = { 0 };
    listen_with(f, (struct http_listener_config){ 0 });
    talk(f, STR("GET /a HTTP/1.0\r\n\r\n"), &once);
    assert_true(has(&once, "Connection: close\r\n"));
    talk(f, STR("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n"), &kept);
    assert_true(has(&kept, "Connection: keep-alive\r\n"));
    assert_true(has(&kept, "path=/b"));
}

static void ambiguous_requests_get_400_and_the_end(void **state)
{
    static const struct {
        struct str in;
        const char *want;
    } cases[] = {
        { STR_INIT("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), "HTTP/1.1 400 " },
        { STR_INIT("GET / HTTP/1.1\n"), "HTTP/1.1 400 " },
        { STR_INIT("\x16\x03\x01\x02"), "HTTP/1.1 400 " },
        { STR_INIT("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n"),
          "HTTP/1.1 400 " },
        { STR_INIT("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
          "HTTP/1.1 400 " },
        { STR_INIT("GET / HTTP/3.0\r\nHost: a\r\n\r\n"), "HTTP/1.1 505 " },
        { STR_INIT("PUT / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n"), "HTTP/1.1 417 " },
    };
    struct fixture *f = *state;
    listen_with(f, (struct http_listener_config){ 0 });
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(buf_free) struct buf got = { 0 };
        talk(f, cases[i].in, &got);
        assert_true(has(&got, cases[i].want));
        assert_true(has(&got, "Connection: close\r\n"));
        assert_true(str_find(buf_str(&got), STR("200 OK")) < 0);
    }
}

static void too_long_a_head_gets_431(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf got = { 0 }, in = { 0 };
    listen_with(f, (struct http_listener_config){ .max_header_bytes = 20000 });
    buf_add(&in, STR("GET /"));
    for (int i = 0; i < 300000; i++)
        buf_byte(&in, 'a');
    talk(f, buf_str(&in), &got);
    assert_true(has(&got, "HTTP/1.1 431 Request Header Fields Too Large\r\n"));
}

static void a_long_head_within_the_limit_is_read(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf got = { 0 }, in = { 0 };
    listen_with(f, (struct http_listener_config){ 0 });
    buf_add(&in, STR("PUT /echo HTTP/1.1\r\nContent-Length: 4\r\nX: "));
    for (int i = 0; i < 500000; i++)
        buf_byte(&in, 'a');
    buf_add(&in, STR("\r\n" LAST "\r\nbody"));
    talk(f, buf_str(&in), &got);
    assert_true(has(&got, "\r\n\r\nbody"));
}

static void large_bodies_come_whole(void **state)
{
    struct fixture *f = *state;
    enum { N = 3000000 };
    listen_with(f, (struct http_listener_config){ 0 });
    for (int chunked = 0; chunked < 2; chunked++) {
        AUTO(buf_free) struct buf in = { 0 }, got = { 0 };
        buf_add(&in, STR("PUT /a HTTP/1.1\r\n" LAST));
        if (chunked)
            buf_printf(&in, "Transfer-Encoding: chunked\r\n\r\n%x\r\n", N);
        else
            buf_printf(&in, "Content-Length: %d\r\n\r\n", N);
        for (int i = 0; i < N; i++)
            buf_byte(&in, 'b');
        if (chunked)
            buf_add(&in, STR("\r\n0\r\n\r\n"));
        talk(f, buf_str(&in), &got);
        assert_true(has(&got, "body=3000000 large=0"));
    }
}

static void a_body_over_the_limit_is_dropped_and_told(void **state)
{
    struct fixture *f = *state;
    listen_with(f, (struct http_listener_config){ .max_body_bytes = 100000 });
    for (int chunked = 0; chunked < 2; chunked++) {
        AUTO(buf_free) struct buf in = { 0 }, got = { 0 };
        buf_add(&in, STR("PUT /echo HTTP/1.1\r\nHost: a\r\n"));
        if (chunked)
            buf_printf(&in, "Transfer-Encoding: chunked\r\n\r\n%x\r\n", 100001);
        else
            buf_printf(&in, "Content-Length: %d\r\n\r\n", 100001);
        for (int i = 0; i < 100001; i++)
            buf_byte(&in, 'b');
        if (chunked)
            buf_add(&in, STR("\r\n0\r\n\r\n"));
        talk(f, buf_str(&in), &got);
        assert_true(has(&got, "HTTP/1.1 413 "));
        assert_true(has(&got, "Connection: close\r\n"));
    }
}

static void an_endless_body_is_answered_before_its_end(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf in = { 0 }, got = { 0 };
    listen_with(f, (struct http_listener_config){ .max_body_bytes = 100000 });
    AUTO(close_fd) int fd = dial(f);
    say(fd, STR("PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000000\r\n\r\n"));
    for (int i = 0; i < 300000; i++)
        buf_byte(&in, 'b');
    say(fd, buf_str(&in));
    hear(fd, NULL, &got);
    assert_true(has(&got, "HTTP/1.1 413 "));
}

static void expectations_are_met(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf got = { 0 };
    listen_with(f, (struct http_listener_config){ 0 });
    AUTO(close_fd) int fd = dial(f);
    say(fd, STR("PUT /echo HTTP/1.1\r\n" LAST "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"));
    hear(fd, "100 Continue\r\n\r\n", &got);
    say(fd, STR("yes"));
    hear(fd, NULL, &got);
    assert_true(has(&got, "\r\n\r\nyes"));
}

static void slow_clients_are_let_go(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf head = { 0 }, body = { 0 }, idle = { 0 }, silent = { 0 };
    listen_with(f, (struct http_listener_config){ .read_header_timeout_ms = 100,
                                                  .read_timeout_ms = 100,
                                                  .idle_timeout_ms = 100 });
    talk(f, STR("GET / HTTP/1.1\r\nHost"), &head);
    assert_true(has(&head, "HTTP/1.1 408 "));
    talk(f, STR("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab"), &body);
    assert_true(has(&body, "HTTP/1.1 408 "));
    talk(f, STR("GET /idle HTTP/1.1\r\nHost: a\r\n\r\n"), &idle);
    assert_true(has(&idle, "path=/idle"));
    talk(f, STR(""), &silent);
    assert_int_equal(silent.n, 0);
}

static void a_request_has_one_time_for_head_and_body(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf got = { 0 };
    listen_with(f, (struct http_listener_config){ .read_header_timeout_ms = 20000,
                                                  .read_timeout_ms = 1 });
    AUTO(close_fd) int fd = dial(f);
    say(fd, STR("PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                "Expect: 100-continue\r\n\r\n"));
    hear(fd, NULL, &got);
    assert_true(has(&got, "HTTP/1.1 408 "));
}

static void an_answer_too_late_is_not_waited_for(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf late = { 0 }, good = { 0 };
    listen_with(f, (struct http_listener_config){ .write_timeout_ms = 100 });
    talk(f, STR("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"), &late); /* nobody lets it go on */
    assert_int_equal(late.n, 0);
    sem_post(&f->go);
    talk(f, STR("GET /good HTTP/1.1\r\n" LAST "\r\n"), &good);
    assert_true(has(&good, "path=/good"));
}

static void a_client_that_does_not_read_is_let_go(void **state)
{
    struct fixture *f = *state;
    listen_with(f, (struct http_listener_config){ .write_timeout_ms = 100 });
    AUTO(close_fd) int fd = dial(f);
    say(fd, STR("GET /endless HTTP/1.1\r\nHost: a\r\n\r\n"));
    sem_wait(&f->entered);
    assert_int_equal(f->stream_result, -1);
}

static void without_a_write_timeout_idle_times_cut_no_answer(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf got = { 0 };
    listen_with(f, (struct http_listener_config){ .read_timeout_ms = 1, .idle_timeout_ms = 1 });
    AUTO(close_fd) int fd = dial(f);
    say(fd, STR("GET /big HTTP/1.1\r\n" LAST "\r\n"));
    AUTO(close_fd) int other = dial(f); /* by its end the first one's times are over too */
    say(other, STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    hear(other, NULL, &got);
    buf_clear(&got);
    hear(fd, NULL, &got);
    assert_true(got.n > 5000000);
}

static void large_answers_arrive_whole(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf got = { 0 };
    listen_with(f, (struct http_listener_config){ 0 });
    talk(f, STR("GET /big HTTP/1.1\r\n" LAST "\r\n"), &got);
    assert_true(got.n > 5000000 && got.n < 5001000);
}

static void streams_come_in_chunks(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf new = { 0 }, old = { 0 };
    listen_with(f, (struct http_listener_config){ 0 });
    talk(f, STR("GET /stream HTTP/1.1\r\nHost: a\r\n\r\nGET /after HTTP/1.1\r\n" LAST "\r\n"),
         &new);
    assert_true(has(&new, "Transfer-Encoding: chunked\r\n"));
    assert_true(has(&new, "\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n"));
    assert_true(has(&new, "path=/after"));
    talk(f, STR("GET /stream HTTP/1.0\r\n\r\n"), &old);
    assert_true(old.n > 3000000 && old.n < 3001000);
}

static void a_writer_hears_that_its_client_has_gone(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf got = { 0 };
    listen_with(f, (struct http_listener_config){ 0 });
    int fd = dial(f);
    say(fd, STR("GET /endless HTTP/1.1\r\nHost: a\r\n\r\n"));
    hear(fd, "200 OK", &got);
    close(fd);
    sem_wait(&f->entered);
    assert_int_equal(f->stream_result, -1);
}

static void a_client_may_leave_before_its_answer(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf got = { 0 };
    listen_with(f, (struct http_listener_config){ 0 });
    for (int i = 0; i < 5; i++) {
        int fd = dial(f);
        say(fd, STR("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"));
        sem_wait(&f->entered);
        struct linger hard = { 1, 0 };
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        close(fd);
        sem_post(&f->go);
    }
    talk(f, STR("GET /still HTTP/1.1\r\n" LAST "\r\n"), &got);
    assert_true(has(&got, "path=/still"));
}

static void unix_sockets_have_their_mode_and_replace_stale_files(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf got = { 0 };
    char path[100];
    struct stat st;
    struct sockaddr_un stale = { .sun_family = AF_UNIX };
    snprintf(path, sizeof path, "%s/s.sock", f->dir);
    snprintf(stale.sun_path, sizeof stale.sun_path, "%s", path);
    int old = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(old, (struct sockaddr *)&stale, sizeof stale), 0);
    close(old);
    char group[32];
    snprintf(group, sizeof group, "%u", (unsigned)getgid());
    listen_with(f, (struct http_listener_config){ .address = str_of(path),
                                                  .unix_socket = true,
                                                  .socket_mode = 0640,
                                                  .socket_group = str_of(group) });
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    AUTO(close_fd) int fd = dial_unix(path);
    say(fd, STR("GET /u HTTP/1.1\r\n" LAST "\r\n"));
    hear(fd, NULL, &got);
    assert_true(has(&got, "path=/u"));
    assert_true(has(&got, "peer= "));
    http_server_drain(f->server, 1000);
    assert_int_equal(stat(path, &st), -1);
}

static void refuses_to_listen_where_it_cannot(void **state)
{
    struct fixture *f = *state;
    char file[100], taken[100];
    snprintf(file, sizeof file, "%s/file", f->dir);
    run_command("echo precious > %s", file);
    listen_with(f, (struct http_listener_config){ 0 });
    snprintf(taken, sizeof taken, "%s", f->address);
    const struct {
        struct http_listener_config config;
        enum err_code code;
    } cases[] = {
        { { .address = STR("127.0.0.1") }, ERR_BAD_REQUEST },
        { { .address = STR("127.0.0.1:x") }, ERR_BAD_REQUEST },
        { { .address = STR("127.0.0.1:65536") }, ERR_BAD_REQUEST },
        { { .address = STR("::1:80") }, ERR_BAD_REQUEST },
        { { .address = str_of(taken) }, ERR_IO },
        { { .address = str_of(file), .unix_socket = true }, ERR_IO },
        { { .address = STR("127.0.0.1:0"),
            .tls_cert_file = STR("/nowhere"),
            .tls_key_file = STR("/nowhere") },
          ERR_BAD_REQUEST },
        { { .address = STR("127.0.0.1:0"), .tls_cert_file = STR("/nowhere") }, ERR_BAD_REQUEST },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = { 0 };
        assert_int_equal(http_listen(f->server, &cases[i].config, NULL, &err), -1);
        assert_int_equal(err.code, cases[i].code);
        assert_true(err.msg[0] != 0);
    }
    run_command("grep -q precious %s", file);
}

static void the_proxys_word_names_the_client(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf got = { 0 }, bad = { 0 };
    listen_with(f, (struct http_listener_config){ .proxy = HTTP_PROXY_ALWAYS });
    AUTO(close_fd) int fd = dial(f);
    struct str in =
        STR("PROXY TCP4 192.0.2.7 192.0.2.2 1234 443\r\nGET / HTTP/1.1\r\n" LAST "\r\n");
    for (size_t i = 0; i < in.n; i++)
        say(fd, str_mem(in.p + i, 1));
    hear(fd, NULL, &got);
    assert_true(has(&got, "peer=192.0.2.7 "));
    talk(f, STR("PROXY TCP9\r\nGET / HTTP/1.1\r\n" LAST "\r\n"), &bad);
    assert_int_equal(bad.n, 0);
}

static bool trusts(const void *ctx, struct str peer_addr)
{
    return str_is(peer_addr, ctx);
}

static void only_trusted_proxies_name_the_client(void **state)
{
    static const struct {
        enum http_proxy rule;
        const char *trusted, *peer; /* peer: NULL: not let in */
    } cases[] = {
        { HTTP_PROXY_ALLOW, "127.0.0.1", "peer=192.0.2.7 " },
        { HTTP_PROXY_ALLOW, "192.0.2.7", "peer=127.0.0.1 " },
        { HTTP_PROXY_DENY, "127.0.0.1", "peer=192.0.2.7 " },
        { HTTP_PROXY_DENY, "192.0.2.7", NULL },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(buf_free) struct buf named = { 0 }, plain = { 0 };
        listen_with(f, (struct http_listener_config){ .proxy = cases[i].rule,
                                                      .trusts_proxy = trusts,
                                                      .trust_ctx = cases[i].trusted });
        talk(f, STR("PROXY TCP4 192.0.2.7 192.0.2.2 1234 443\r\nGET / HTTP/1.1\r\n" LAST "\r\n"),
             &named);
        talk(f, STR("GET / HTTP/1.1\r\n" LAST "\r\n"), &plain);
        if (cases[i].peer == NULL) {
            assert_int_equal(named.n + plain.n, 0);
            continue;
        }
        assert_true(has(&named, cases[i].peer));
        assert_true(has(&plain, "peer=127.0.0.1 "));
    }
}

static void *drain_later(void *ctx)
{
    struct fixture *f = ctx;
    http_server_drain(f->server, 20000);
    return NULL;
}

static void draining_finishes_what_runs_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf got = { 0 }, idle_got = { 0 };
    pthread_t drainer;
    listen_with(f, (struct http_listener_config){ 0 });
    AUTO(close_fd) int idle = dial(f);
    say(idle, STR("GET /idle HTTP/1.1\r\nHost: a\r\n\r\n"));
    hear(idle, "host=a", &idle_got);
    AUTO(close_fd) int busy = dial(f);
    say(busy, STR("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"));
    sem_wait(&f->entered);
    pthread_create(&drainer, NULL, drain_later, f);
    hear(idle, NULL, &idle_got); /* closed by the server: it drains now */
    sem_post(&f->go);
    hear(busy, NULL, &got);
    pthread_join(drainer, NULL);
    assert_true(has(&got, "Connection: close\r\n"));
    assert_true(has(&got, "waited"));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)f->port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), -1);
    close(fd);
}

static void draining_gives_up_after_its_time(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf got = { 0 };
    listen_with(f, (struct http_listener_config){ 0 });
    AUTO(close_fd) int fd = dial(f);
    say(fd, STR("GET /endless HTTP/1.1\r\nHost: a\r\n\r\n"));
    hear(fd, "200 OK", &got);
    http_server_drain(f->server, 50);
    assert_int_equal(f->stream_result, -1);
}

/* A new key and certificate, signed by itself: ${name}.pem and ${name}.key. */
static void make_cert(const struct fixture *f, const char *name)
{
    run_command("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
                "-keyout %s/%s.key -out %s/%s.pem -subj /CN=%s 2>/dev/null",
                f->dir, name, f->dir, name, name);
}

/* A listener with server.pem; the paths live as long as the call. */
static void listen_tls(struct fixture *f, struct http_listener_config config)
{
    char cert[100], key[100];
    snprintf(cert, sizeof cert, "%s/server.pem", f->dir);
    snprintf(key, sizeof key, "%s/server.key", f->dir);
    config.tls_cert_file = str_of(cert);
    config.tls_key_file = str_of(key);
    listen_with(f, config);
}

/* Send a request by "openssl s_client", with its report of the handshake. */
static void talk_tls(const struct fixture *f, const char *request, const char *options,
                     struct buf *out)
{
    char command[2048], part[4096];
    snprintf(command, sizeof command,
             "printf '%s' | openssl s_client -connect 127.0.0.1:%d -ign_eof %s 2>&1", request,
             f->port, options);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    for (size_t n; (n = fread(part, 1, sizeof part, pipe)) > 0;)
        buf_add(out, str_mem(part, n));
    (void)pclose(pipe);
}

#define TLS_GET "GET /t HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n"

static void tls_answers_and_tells_plain_clients(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf got = { 0 }, plain = { 0 };
    make_cert(f, "server");
    listen_tls(f, (struct http_listener_config){ 0 });
    talk_tls(f, TLS_GET, "", &got);
    assert_true(has(&got, "TLSv1.3"));
    assert_true(has(&got, "tls=1 certs=0"));
    talk(f, STR("GET / HTTP/1.1\r\n" LAST "\r\n"), &plain);
    assert_true(str_is(buf_str(&plain), "HTTP/1.0 400 Bad Request\r\n\r\n"
                                        "Client sent an HTTP request to an HTTPS server.\n"));
}

static void tls_versions_and_alpn_are_as_configured(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf old = { 0 }, refused = { 0 }, h2 = { 0 }, h1 = { 0 };
    make_cert(f, "server");
    listen_tls(f, (struct http_listener_config){ .tls_max_version = 0x0303 });
    talk_tls(f, TLS_GET, "", &old);
    assert_true(has(&old, "TLSv1.2"));
    talk_tls(f, TLS_GET, "-tls1_3", &refused);
    assert_true(str_find(buf_str(&refused), STR("path=/t")) < 0);
    talk_tls(f, "", "-no_ign_eof -alpn h2,http/1.1", &h2);
    assert_true(has(&h2, "ALPN protocol: h2"));
    talk_tls(f, TLS_GET, "-alpn http/1.1", &h1);
    assert_true(has(&h1, "ALPN protocol: http/1.1"));
    assert_true(has(&h1, "path=/t"));
}

static void client_certificates_are_asked_for_required_or_not(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free)
    struct buf any = { 0 },
               off = { 0 }, without = { 0 }, wrong = { 0 }, right = { 0 };
    char with[400], ca[100];
    make_cert(f, "server");
    make_cert(f, "client");
    make_cert(f, "stranger");
    snprintf(with, sizeof with, "-cert %s/client.pem -key %s/client.key", f->dir, f->dir);
    snprintf(ca, sizeof ca, "%s/client.pem", f->dir);
    listen_tls(f, (struct http_listener_config){ 0 });
    talk_tls(f, TLS_GET, with, &any);
    assert_true(has(&any, "certs=1"));
    listen_tls(f, (struct http_listener_config){ .tls_disable_client_certs = true });
    talk_tls(f, TLS_GET, with, &off);
    assert_true(has(&off, "certs=0"));
    listen_tls(f, (struct http_listener_config){ .tls_require_and_verify_client_cert = true,
                                                 .tls_client_ca_file = str_of(ca) });
    talk_tls(f, TLS_GET, "", &without);
    assert_true(str_find(buf_str(&without), STR("path=/t")) < 0);
    talk_tls(f, TLS_GET, with, &right);
    assert_true(has(&right, "certs=1"));
    snprintf(with, sizeof with, "-cert %s/stranger.pem -key %s/stranger.key", f->dir, f->dir);
    talk_tls(f, TLS_GET, with, &wrong);
    assert_true(str_find(buf_str(&wrong), STR("path=/t")) < 0);
}

static void a_resumed_connection_shows_the_same_certificates(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf first = { 0 }, again = { 0 };
    char options[500];
    make_cert(f, "server");
    make_cert(f, "client");
    make_cert(f, "middle");
    snprintf(options, sizeof options,
             "-cert %s/client.pem -key %s/client.key -cert_chain %s/middle.pem -sess_out %s/sess",
             f->dir, f->dir, f->dir, f->dir);
    listen_tls(f, (struct http_listener_config){ 0 });
    talk_tls(f, TLS_GET, options, &first);
    assert_true(has(&first, "certs=2"));
    snprintf(options, sizeof options, "-sess_in %s/sess", f->dir);
    talk_tls(f, TLS_GET, options, &again);
    assert_true(has(&again, "Reused, TLSv1.3"));
    assert_true(has(&again, "certs=2"));
}

static void reloading_serves_the_new_certificate_and_keeps_the_old_if_bad(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf before = { 0 }, after = { 0 }, still = { 0 };
    struct err err = { 0 };
    make_cert(f, "server");
    make_cert(f, "renewed");
    listen_tls(f, (struct http_listener_config){ 0 });
    talk_tls(f, TLS_GET, "", &before);
    assert_true(has(&before, "CN = server"));
    run_command("cd %s && mv renewed.pem server.pem && mv renewed.key server.key", f->dir);
    assert_int_equal(http_server_reload_tls(f->server, &err), 0);
    talk_tls(f, TLS_GET, "", &after);
    assert_true(has(&after, "CN = renewed"));
    run_command("echo broken > %s/server.key", f->dir);
    assert_int_equal(http_server_reload_tls(f->server, &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    talk_tls(f, TLS_GET, "", &still);
    assert_true(has(&still, "CN = renewed"));
    assert_true(has(&still, "path=/t"));
}

#define PREFACE  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define SETTINGS "\0\0\0\4\0\0\0\0\0"
/* :method GET, :scheme http, :path /two?q, :authority b */
#define GET_BLOCK                                                                                  \
    "\x82\x86\x04\x06/two?q\x41\x01"                                                               \
    "b"

/* A frame's type, flags and stream, the payload follows. */
static void add_frame(struct buf *b, char type, char flags, uint32_t id, struct str payload)
{
    char head[9] = {
        (char)(payload.n >> 16), (char)(payload.n >> 8), (char)payload.n, type,    flags,
        (char)(id >> 24),        (char)(id >> 16),       (char)(id >> 8), (char)id
    };
    buf_add(b, str_mem(head, 9));
    buf_add(b, payload);
}

/* Read frames until the server closes or ends ${id}; bodies of that stream go to ${body}. */
static bool hear_stream(int fd, uint32_t id, struct buf *body, int *last_type)
{
    AUTO(buf_free) struct buf in = { 0 };
    size_t at = 0;
    *last_type = -1;
    for (;;) {
        const unsigned char *p = (const unsigned char *)in.p + at;
        size_t length = in.n - at < 9 ? 0 : (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
        if (in.n - at < 9 || in.n - at < 9 + length) {
            char part[65536];
            ssize_t n = recv(fd, part, sizeof part, 0);
            if (n <= 0)
                return false;
            buf_add(&in, str_mem(part, (size_t)n));
            continue;
        }
        uint32_t stream = (uint32_t)p[5] << 24 | (uint32_t)p[6] << 16 | (uint32_t)p[7] << 8 | p[8];
        *last_type = p[3];
        at += 9 + length;
        if (stream == id && p[3] == 0)
            buf_add(body, str_mem(p + 9, length));
        if (stream == id && p[3] == 3)
            return false;
        if (stream == id && (p[3] == 0 || p[3] == 1) && (p[4] & 1) != 0)
            return true;
    }
}

static void http2_is_spoken_by_prior_knowledge(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf in = { 0 }, body = { 0 };
    int last;
    listen_with(f, (struct http_listener_config){ 0 });
    buf_add(&in, STR(PREFACE SETTINGS));
    add_frame(&in, 1, 5, 1, STR(GET_BLOCK));
    AUTO(close_fd) int fd = dial(f);
    for (size_t i = 0; i < in.n; i++) /* in any cut */
        say(fd, str_mem(in.p + i, 1));
    assert_true(hear_stream(fd, 1, &body, &last));
    assert_true(has(&body, "method=GET path=/two query=q body=0 large=0 h2=1 tls=0"));
    assert_true(has(&body, "host=b"));
}

/* A request on stream 1 with a path of one's own and a body. */
static void say_http2(int fd, const char *path, struct str body)
{
    AUTO(buf_free) struct buf in = { 0 }, block = { 0 };
    buf_add(&in, STR(PREFACE SETTINGS));
    buf_printf(&block,
               "\x83\x86\x04%c%s\x41\x01"
               "b",
               (int)strlen(path), path);
    add_frame(&in, 1, body.n > 0 ? 4 : 5, 1, buf_str(&block));
    while (body.n > 0) {
        struct str part = str_head(body, 16384);
        body = str_from(body, part.n);
        add_frame(&in, 0, body.n == 0, 1, part);
    }
    say(fd, buf_str(&in));
}

static void http2_bodies_and_streams_arrive(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf body = { 0 }, streamed = { 0 }, waited = { 0 };
    static char large[200000];
    int last;
    listen_with(f, (struct http_listener_config){ 0 });
    AUTO(close_fd) int a = dial(f);
    say_http2(a, "/info", str_mem(large, sizeof large));
    assert_true(hear_stream(a, 1, &body, &last));
    assert_true(has(&body, "method=POST path=/info query= body=200000"));
    sem_post(&f->go);
    AUTO(close_fd) int b = dial(f);
    say_http2(b, "/wait", STR(""));
    assert_true(hear_stream(b, 1, &waited, &last));
    assert_true(has(&waited, "waited"));
    /* The client's window of 64 KiB ends before the stream; it opens while the server waits. */
    AUTO(close_fd) int c = dial(f);
    AUTO(buf_free) struct buf windows = { 0 };
    add_frame(&windows, 8, 0, 0, STR("\0\xff\xff\xff"));
    add_frame(&windows, 8, 0, 1, STR("\0\xff\xff\xff"));
    say_http2(c, "/stream", STR(""));
    say(c, buf_str(&windows));
    assert_true(hear_stream(c, 1, &streamed, &last));
    assert_int_equal(streamed.n, 3000000);
}

static void http2_streams_too_late_are_reset_alone(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf body = { 0 }, next = { 0 };
    int last;
    listen_with(f, (struct http_listener_config){ .write_timeout_ms = 100 });
    AUTO(close_fd) int fd = dial(f);
    say_http2(fd, "/wait", STR(""));
    assert_false(hear_stream(fd, 1, &body, &last));
    assert_int_equal(last, 3);
    add_frame(&next, 1, 5, 3, STR(GET_BLOCK));
    say(fd, buf_str(&next));
    assert_true(hear_stream(fd, 3, &body, &last));
    assert_true(has(&body, "path=/two"));
    sem_post(&f->go);
}

static void http2_bodies_over_the_limit_are_told(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf body = { 0 };
    static char large[200000];
    int last;
    listen_with(f, (struct http_listener_config){ .max_body_bytes = 1000 });
    AUTO(close_fd) int fd = dial(f);
    say_http2(fd, "/info", str_mem(large, sizeof large));
    assert_true(hear_stream(fd, 1, &body, &last));
    assert_true(has(&body, "body=0 large=1"));
}

static void rapid_resets_end_the_connection(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf in = { 0 }, body = { 0 };
    int last;
    listen_with(f, (struct http_listener_config){ 0 });
    buf_add(&in, STR(PREFACE SETTINGS));
    for (uint32_t id = 1; id < 6000; id += 2) {
        add_frame(&in, 1, 5, id, STR(GET_BLOCK));
        add_frame(&in, 3, 0, id, STR("\0\0\0\x08"));
    }
    AUTO(close_fd) int fd = dial(f);
    say(fd, buf_str(&in));
    assert_false(hear_stream(fd, 6001, &body, &last));
}

static void http2_nonsense_ends_with_goaway(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf body = { 0 };
    int last;
    listen_with(f, (struct http_listener_config){ 0 });
    AUTO(close_fd) int fd = dial(f);
    say(fd, STR(PREFACE "\0\0\1\4\0\0\0\0\0x"));
    assert_false(hear_stream(fd, 1, &body, &last));
    assert_int_equal(last, 7);
}

static void draining_says_goaway(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf body = { 0 };
    pthread_t drainer;
    int last;
    listen_with(f, (struct http_listener_config){ 0 });
    AUTO(close_fd) int fd = dial(f);
    say_http2(fd, "/wait", STR(""));
    sem_wait(&f->entered);
    pthread_create(&drainer, NULL, drain_later, f);
    sem_post(&f->go);
    assert_true(hear_stream(fd, 1, &body, &last));
    (void)hear_stream(fd, 3, &body, &last);
    shutdown(fd, SHUT_WR);
    pthread_join(drainer, NULL);
    assert_true(has(&body, "waited"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answers_a_request),
        TEST(pipelined_requests_are_answered_in_order),
        TEST(a_request_in_single_bytes_is_one),
        TEST(what_may_have_no_body_has_none),
        TEST(a_header_cannot_break_its_line),
        TEST(http10_closes_unless_asked),
        TEST(ambiguous_requests_get_400_and_the_end),
        TEST(too_long_a_head_gets_431),
        TEST(a_long_head_within_the_limit_is_read),
        TEST(large_bodies_come_whole),
        TEST(a_body_over_the_limit_is_dropped_and_told),
        TEST(an_endless_body_is_answered_before_its_end),
        TEST(expectations_are_met),
        TEST(slow_clients_are_let_go),
        TEST(a_request_has_one_time_for_head_and_body),
        TEST(an_answer_too_late_is_not_waited_for),
        TEST(a_client_that_does_not_read_is_let_go),
        TEST(without_a_write_timeout_idle_times_cut_no_answer),
        TEST(large_answers_arrive_whole),
        TEST(streams_come_in_chunks),
        TEST(a_writer_hears_that_its_client_has_gone),
        TEST(a_client_may_leave_before_its_answer),
        TEST(unix_sockets_have_their_mode_and_replace_stale_files),
        TEST(refuses_to_listen_where_it_cannot),
        TEST(the_proxys_word_names_the_client),
        TEST(only_trusted_proxies_name_the_client),
        TEST(draining_finishes_what_runs_and_nothing_else),
        TEST(draining_gives_up_after_its_time),
        TEST(tls_answers_and_tells_plain_clients),
        TEST(tls_versions_and_alpn_are_as_configured),
        TEST(client_certificates_are_asked_for_required_or_not),
        TEST(a_resumed_connection_shows_the_same_certificates),
        TEST(reloading_serves_the_new_certificate_and_keeps_the_old_if_bad),
        TEST(http2_is_spoken_by_prior_knowledge),
        TEST(http2_bodies_and_streams_arrive),
        TEST(http2_streams_too_late_are_reset_alone),
        TEST(http2_bodies_over_the_limit_are_told),
        TEST(rapid_resets_end_the_connection),
        TEST(http2_nonsense_ends_with_goaway),
        TEST(draining_says_goaway),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
