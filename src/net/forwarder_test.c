/* Tests of forwarding: a standby's port for clients, a leader's port for members, all between. */
#include "net/wire_test.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>

#include "net/forwarder.h"

enum { HUGE = 100 << 20, SPOOLED = 5000000, DIALS = 8 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

struct fixture {
    struct arena *a;
    struct cluster_authority ca;
    struct link_creds *ours, *theirs;
    struct forwarder *forwarder;
    struct http_server *standby, *leader;
    struct str client_addr;  /* of the standby */
    struct str leader_addr;  /* its cluster port */
    struct str script_addr;  /* a port whose links the test itself answers */
    struct str to;           /* where the standby sends what it gets */
    int answer_ms;
    sem_t go;                /* of /slow */
    sem_t writer_ended;
    atomic_int stream_result;
    sem_t dialled;           /* of the script's port */
    pthread_mutex_t mu;      /* all below */
    struct link *links[DIALS];
    size_t n_links, taken;
    int ports[64]; /* that requests came from to the leader */
    size_t n_ports;
};

/* ---- the leader ---- */

static void work_huge(void *ctx, struct http_exchange *x)
{
    struct fixture *f = ctx;
    static char piece[65536];
    bool measured = http_header(&x->req, "X-Measured", NULL).n > 0;
    char length[32];
    snprintf(length, sizeof length, "%d", HUGE);
    struct http_header own = { STR("Content-Length"), str_of(length) };
    http_stream_begin(x, &(struct http_reply){ 200, &own, measured, STR("") });
    int rc = 0;
    for (int at = 0; at < HUGE && rc == 0; at += (int)sizeof piece)
        rc = http_stream_write(x, str_mem(piece, sizeof piece));
    atomic_store(&f->stream_result, rc);
    http_stream_end(x);
    sem_post(&f->writer_ended);
}

static void work_cut(void *ctx, struct http_exchange *x)
{
    http_stream_begin(x, &(struct http_reply){ .status = 200 });
    (void)!http_stream_write(x, STR("the beginning"));
    http_stream_abort(x);
}

static void work_slow(void *ctx, struct http_exchange *x)
{
    struct fixture *f = ctx;
    sem_wait(&f->go);
    http_answer(x, &(struct http_reply){ .status = 200, .body = STR("late") });
}

static void work_count(void *ctx, struct http_exchange *x)
{
    struct http_request *req = &x->req;
    char part[10000];
    size_t n = req->body.n, bad = 0;
    for (size_t i = 0; i < req->body.n; i++)
        bad += req->body.p[i] != (char)('a' + i % 23);
    ssize_t got;
    while (req->body_fd >= 0 && (got = read(req->body_fd, part, sizeof part)) > 0)
        for (ssize_t i = 0; i < got; i++, n++)
            bad += part[i] != (char)('a' + n % 23);
    struct str text = arena_printf(req->arena, "size=%zu bad=%zu spooled=%d", n, bad,
                                   req->body_fd >= 0);
    http_answer(x, &(struct http_reply){ .status = 200, .body = text });
}

static void describe(struct http_exchange *x)
{
    static const struct http_header headers[] = { { STR_INIT("X-One"), STR_INIT("1") },
                                                  { STR_INIT("X-Two"), STR_INIT("2") } };
    struct http_request *req = &x->req;
    struct buf text = { 0 };
    buf_printf(&text, "method=" STR_FMT " target=" STR_FMT " member=" STR_FMT " body=" STR_FMT "\n",
               STR_ARG(req->method), STR_ARG(req->target), STR_ARG(req->member),
               STR_ARG(req->body));
    for (size_t i = 0; i < req->n_headers; i++)
        buf_printf(&text, "<" STR_FMT "=" STR_FMT ">\n", STR_ARG(req->headers[i].name),
                   STR_ARG(req->headers[i].value));
    http_answer(x, &(struct http_reply){ 202, headers, 2, arena_take(req->arena, &text) });
}

static void leader(void *ctx, struct http_exchange *x)
{
    struct fixture *f = ctx;
    struct str path = x->req.path;
    pthread_mutex_lock(&f->mu);
    if (f->n_ports < ARRAY_LEN(f->ports))
        f->ports[f->n_ports++] = x->req.peer_port;
    pthread_mutex_unlock(&f->mu);
    if (x->req.body_too_large)
        http_answer(x, &(struct http_reply){ .status = 413, .body = STR("too much") });
    else if (str_is(path, "/huge"))
        http_offload(x, work_huge, f);
    else if (str_is(path, "/cut"))
        http_offload(x, work_cut, f);
    else if (str_is(path, "/slow"))
        http_offload(x, work_slow, f);
    else if (str_is(path, "/count") || str_is(path, "/spool"))
        http_offload(x, work_count, f);
    else if (str_is(path, "/none"))
        http_answer(x, &(struct http_reply){ .status = 204 });
    else if (str_is(path, "/unmodified"))
        http_answer(x, &(struct http_reply){ .status = 304 });
    else
        describe(x);
}

/* ---- the standby ---- */

static void work_forward(void *ctx, struct http_exchange *x)
{
    static const struct http_header extra[] = { { STR_INIT("X-Coffer-Peer"),
                                                  STR_INIT("10.1.2.3") } };
    struct fixture *f = ctx;
    struct err err = { 0 };
    struct forwarder_call call = { .addr = f->to, .extra = extra, .n_extra = 1,
                                   .timeout_ms = 10000, .answer_ms = f->answer_ms };
    if (forwarder_run(f->forwarder, x, &call, &err) == 0)
        return;
    const char *code = err.code == ERR_UPSTREAM    ? "UPSTREAM"
                       : err.code == ERR_TIMEOUT   ? "TIMEOUT"
                       : err.code == ERR_IO        ? "IO"
                       : err.code == ERR_TOO_LARGE ? "TOO_LARGE"
                                                   : "other";
    struct str text = arena_printf(x->req.arena, "failed: %s: %s", code, err.msg);
    http_answer(x, &(struct http_reply){ .status = 500, .body = text });
}

static void standby(void *ctx, struct http_exchange *x)
{
    http_offload(x, work_forward, ctx);
}

static bool spools(const struct http_request *head)
{
    return str_is(head->path, "/spool");
}

/* ---- the script ---- */

static void takeover(void *ctx, struct str alpn, struct link *link)
{
    struct fixture *f = ctx;
    link_set_timeout(link, 20000);
    pthread_mutex_lock(&f->mu);
    f->links[f->n_links++] = link;
    pthread_mutex_unlock(&f->mu);
    sem_post(&f->dialled);
}

static struct link *next_link(struct fixture *f)
{
    sem_wait(&f->dialled);
    pthread_mutex_lock(&f->mu);
    struct link *l = f->links[f->taken++];
    pthread_mutex_unlock(&f->mu);
    return l;
}

static void read_request(struct link *l)
{
    AUTO(buf_free) struct buf got = { 0 };
    struct err err = { 0 };
    char part[4096];
    while (str_find(buf_str(&got), STR("\r\n\r\n")) < 0) {
        long n = link_read(l, part, sizeof part, &err);
        if (n <= 0)
            fail_msg("the script's request: %s", err.msg);
        buf_add(&got, str_mem(part, (size_t)n));
    }
}

static void give(struct link *l, const char *text)
{
    struct err err = { 0 };
    assert_int_equal(link_write(l, text, strlen(text), &err), 0);
}

/* ---- all of them ---- */

static struct str open_port(struct fixture *f, struct http_server *s,
                            struct http_listener_config config)
{
    struct err err = { 0 };
    const struct http_listener *l;
    config.address = STR("127.0.0.1:0");
    config.spools = spools;
    config.spool_dir = "/tmp";
    if (http_listen(s, &config, &l, &err) < 0)
        fail_msg("%s", err.msg);
    return arena_dup(f->a, http_listener_address(l));
}

static int setup(void **state)
{
    static const char *const alpns[] = { FORWARDER_ALPN, NULL };
    struct fixture *f = calloc(1, sizeof *f);
    struct err err = { 0 };
    signal(SIGPIPE, SIG_IGN);
    f->a = arena_new();
    f->ca = authority(f->a);
    sem_init(&f->go, 0, 0);
    sem_init(&f->writer_ended, 0, 0);
    sem_init(&f->dialled, 0, 0);
    pthread_mutex_init(&f->mu, NULL);
    assert_int_equal(link_creds_new(&f->ours, &err), 0);
    assert_int_equal(link_creds_new(&f->theirs, &err), 0);
    struct link_identity us = identity(f->a, &f->ca, STR("standby-1"));
    struct link_identity them = identity(f->a, &f->ca, STR("leader-1"));
    set_creds(f->ours, &us);
    set_creds(f->theirs, &them);
    struct http_server_config a = { .loops = 1, .max_workers = 16, .handler = standby, .ctx = f };
    struct http_server_config b = { .loops = 1, .max_workers = 16, .handler = leader, .ctx = f };
    assert_int_equal(http_server_new(&a, &f->standby, &err), 0);
    assert_int_equal(http_server_new(&b, &f->leader, &err), 0);
    assert_int_equal(forwarder_new(f->ours, &f->forwarder, &err), 0);
    f->client_addr = open_port(f, f->standby, (struct http_listener_config){ 0 });
    f->leader_addr = open_port(f, f->leader,
                               (struct http_listener_config){ .creds = f->theirs,
                                                              .max_body_bytes = 2000000,
                                                              .forward_alpn = FORWARDER_ALPN });
    f->script_addr = open_port(f, f->leader,
                               (struct http_listener_config){ .creds = f->theirs,
                                                              .other_alpn = alpns,
                                                              .takeover = takeover,
                                                              .takeover_ctx = f });
    f->to = f->leader_addr;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    http_server_free(f->standby);
    forwarder_free(f->forwarder);
    http_server_free(f->leader);
    for (size_t i = 0; i < f->n_links; i++)
        link_free(f->links[i]);
    link_creds_free(f->ours);
    link_creds_free(f->theirs);
    arena_free(f->a);
    sem_destroy(&f->go);
    sem_destroy(&f->writer_ended);
    sem_destroy(&f->dialled);
    pthread_mutex_destroy(&f->mu);
    free(f);
    return 0;
}

#define LAST "Host: a\r\nConnection: close\r\n"
#define GET(path) STR("GET " path " HTTP/1.1\r\n" LAST "\r\n")

static void ask(struct fixture *f, struct str request, struct buf *out)
{
    assert_true(wire_talk(f->client_addr, request, out));
}

/* Ask, and see that the forwarder said that. */
static void expect_failure(struct fixture *f, struct str request, const char *words)
{
    AUTO(buf_free) struct buf got = { 0 };
    ask(f, request, &got);
    assert_true(has_text(buf_str(&got), words));
}

static void a_request_is_handed_on_and_its_answer_back(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf got = { 0 };
    ask(f, STR("BREW /v1/a%2Fb?list=true HTTP/1.1\r\nX-Vault-Token: t\r\n" LAST
               "Content-Length: 3\r\n\r\nabc"), &got);
    assert_true(has_text(buf_str(&got), "HTTP/1.1 202 Accepted\r\n"));
    assert_true(has_text(buf_str(&got), "\r\nX-One: 1\r\nX-Two: 2\r\nContent-Length: "));
    assert_true(has_text(buf_str(&got), "method=BREW target=/v1/a%2Fb?list=true member=standby-1 "
                                        "body=abc\n"));
    assert_true(has_text(buf_str(&got), "<X-Vault-Token=t>"));
    assert_true(has_text(buf_str(&got), "<Host=a>"));
    assert_true(has_text(buf_str(&got), "<X-Coffer-Peer=10.1.2.3>"));
}

static void headers_of_one_connection_do_not_pass(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf got = { 0 };
    static const char *const gone[] = { "<Keep-Alive", "<TE=", "<Trailer", "<Upgrade", "<Proxy-",
                                        "<X-Mine", "<Connection", "<x-coffer-peer=evil",
                                        "<X-Coffer-Else", "<Expect", "<Transfer-Encoding" };
    ask(f, STR("POST / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\n"
               "Keep-Alive: 5\r\nTE: trailers\r\nTrailer: X\r\nUpgrade: h2c\r\n"
               "Proxy-Authorization: x\r\nproxy-connection: x\r\nx-coffer-peer: evil\r\n"
               "X-Coffer-Else: evil\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n"
               "X-Stays: yes\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), &got);
    assert_true(has_text(buf_str(&got), "<X-Stays=yes>"));
    assert_true(has_text(buf_str(&got), "body=abc"));
    assert_true(has_text(buf_str(&got), "<Content-Length=3>"));
    for (size_t i = 0; i < ARRAY_LEN(gone); i++)
        assert_true(str_find(buf_str(&got), str_of(gone[i])) < 0);
}

static void an_http10_request_gets_a_host(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf got = { 0 };
    ask(f, STR("GET /x HTTP/1.0\r\n\r\n"), &got);
    assert_true(has_text(buf_str(&got), "<Host=127.0.0.1:"));
}

static void answers_without_a_body_have_none(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf head = { 0 }, none = { 0 }, same = { 0 }, huge = { 0 };
    ask(f, STR("HEAD /x HTTP/1.1\r\n" LAST "\r\n"), &head);
    assert_true(has_text(buf_str(&head), "HTTP/1.1 202"));
    assert_true(str_ends(buf_str(&head), STR("\r\n\r\n")));
    assert_true(str_find(buf_str(&head), STR("Content-Length: 0")) < 0);
    assert_true(has_text(buf_str(&head), "Content-Length: "));
    ask(f, GET("/none"), &none);
    assert_true(has_text(buf_str(&none), "HTTP/1.1 204"));
    assert_true(str_ends(buf_str(&none), STR("\r\n\r\n")));
    ask(f, GET("/unmodified"), &same);
    assert_true(has_text(buf_str(&same), "HTTP/1.1 304"));
    assert_true(str_ends(buf_str(&same), STR("\r\n\r\n")));
    ask(f, STR("HEAD /huge HTTP/1.1\r\n" LAST "\r\n"), &huge);
    assert_true(has_text(buf_str(&huge), "Transfer-Encoding: chunked"));
    assert_true(str_ends(buf_str(&huge), STR("\r\n\r\n")));
}

static void http2_clients_are_served_too(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf in = { 0 }, got = { 0 };
    wire_post2(&in, "/two", true);
    wire_frame(&in, 0, 1, 1, STR("body"));
    int fd = dial_plain(f->client_addr);
    wire_say(fd, buf_str(&in));
    assert_true(wire_hear2(fd, &got));
    assert_true(has_text(buf_str(&got), "method=POST target=/two member=standby-1 body=body"));
    assert_true(has_text(buf_str(&got), "<host=b>"));
    close(fd);
}

static void add_post(struct buf *in, const char *path, size_t n)
{
    buf_printf(in, "POST %s HTTP/1.1\r\n" LAST "Content-Length: %zu\r\n\r\n", path, n);
    for (size_t i = 0; i < n; i++)
        buf_byte(in, (char)('a' + i % 23));
}

static void large_bodies_arrive_whole(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf in = { 0 }, spooled = { 0 }, got = { 0 };
    add_post(&in, "/count", 1500000);
    ask(f, buf_str(&in), &got);
    assert_true(has_text(buf_str(&got), "size=1500000 bad=0 spooled=0"));
    add_post(&spooled, "/spool", SPOOLED); /* to a file here, and there again */
    ask(f, buf_str(&spooled), &got);
    assert_true(has_text(buf_str(&got), "size=5000000 bad=0 spooled=1"));
}

static void a_body_too_large_here_is_not_sent(void **state)
{
    struct fixture *f = *state;
    expect_failure(f, STR("POST /x HTTP/1.1\r\n" LAST "Content-Length: 99999999\r\n"
                          "Expect: 100-continue\r\n\r\n"), "failed: TOO_LARGE");
}

static void a_body_refused_there_is_told(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf in = { 0 }, got = { 0 };
    add_post(&in, "/count", 30000000);
    ask(f, buf_str(&in), &got);
    assert_true(has_text(buf_str(&got), "HTTP/1.1 413"));
    assert_true(has_text(buf_str(&got), "too much"));
}

/* ---- large answers ---- */

static long peak_kib(void)
{
    char line[256];
    long kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof line, status) != NULL)
        if (sscanf(line, "VmHWM: %ld", &kib) == 1)
            break;
    fclose(status);
    return kib;
}

static void forget_peak(void)
{
    FILE *refs = fopen("/proc/self/clear_refs", "w");
    if (refs != NULL) {
        (void)fputs("5", refs);
        fclose(refs);
    }
}

/* Bytes until the other side closes. */
static uint64_t drink(int fd)
{
    static char part[1 << 16];
    uint64_t all = 0;
    ssize_t n;
    while ((n = recv(fd, part, sizeof part, 0)) > 0)
        all += (uint64_t)n;
    return n == 0 ? all : 0;
}

static void a_huge_answer_passes_in_little_memory(void **state)
{
    struct fixture *f = *state;
    static const char *const extra[] = { "", "X-Measured: yes\r\n" };
    for (size_t i = 0; i < ARRAY_LEN(extra); i++) {
        forget_peak();
        long before = peak_kib();
        int fd = dial_plain(f->client_addr);
        wire_say(fd, arena_printf(f->a, "GET /huge HTTP/1.1\r\n%s" LAST "\r\n", extra[i]));
        uint64_t all = drink(fd);
        close(fd);
        sem_wait(&f->writer_ended);
        assert_int_equal(atomic_load(&f->stream_result), 0);
        assert_true(all > HUGE);
        print_message("  peak grew by %ld KiB\n", peak_kib() - before);
        if (!SANITIZED)
            assert_true(peak_kib() - before < 16 * 1024);
    }
}

static void a_client_that_goes_away_ends_the_stream(void **state)
{
    struct fixture *f = *state;
    char first[1000];
    int fd = dial_plain(f->client_addr);
    wire_say(fd, GET("/huge"));
    assert_true(recv(fd, first, sizeof first, 0) > 0);
    close(fd);
    sem_wait(&f->writer_ended);
    assert_int_equal(atomic_load(&f->stream_result), -1);
}

static void an_answer_cut_off_is_cut_off_for_the_client(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf one = { 0 }, ten = { 0 }, in = { 0 }, two = { 0 };
    (void)wire_talk(f->client_addr, GET("/cut"), &one);
    assert_true(has_text(buf_str(&one), "the beginning"));
    assert_true(str_find(buf_str(&one), STR("0\r\n\r\n")) < 0);
    /* HTTP/1.0 ends a body by closing: this must not look so. */
    assert_false(wire_talk(f->client_addr, STR("GET /cut HTTP/1.0\r\n\r\n"), &ten));
    wire_post2(&in, "/cut", false);
    int fd = dial_plain(f->client_addr);
    wire_say(fd, buf_str(&in));
    assert_false(wire_hear2(fd, &two));
    close(fd);
}

/* ---- links ---- */

static void an_idle_link_is_used_again(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 5; i++) {
        AUTO(buf_free) struct buf got = { 0 };
        ask(f, GET("/x"), &got);
        assert_true(has_text(buf_str(&got), "202"));
    }
    assert_int_equal(f->n_ports, 5);
    for (size_t i = 1; i < f->n_ports; i++)
        assert_int_equal(f->ports[i], f->ports[0]);
}

static void a_forgotten_link_is_not(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf got = { 0 };
    ask(f, GET("/x"), &got);
    forwarder_forget(f->forwarder);
    ask(f, GET("/x"), &got);
    assert_int_equal(f->n_ports, 2);
    assert_int_not_equal(f->ports[0], f->ports[1]);
}

/* A client of its own, so that the test can be the leader. */
struct client {
    pthread_t thread;
    struct fixture *f;
    struct str request;
    struct buf got;
};

static void *run_client(void *arg)
{
    struct client *c = arg;
    (void)wire_talk(c->f->client_addr, c->request, &c->got);
    return NULL;
}

static void begin(struct fixture *f, struct client *c, struct str request)
{
    *c = (struct client){ .f = f, .request = request };
    f->to = f->script_addr;
    pthread_create(&c->thread, NULL, run_client, c);
}

/* What the client got at last. */
static void end(struct client *c, const char *words)
{
    pthread_join(c->thread, NULL);
    assert_true(has_text(buf_str(&c->got), words));
    buf_free(&c->got);
}

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/* A first request, after which the link is idle. */
static struct link *warm_up(struct fixture *f)
{
    struct client c;
    begin(f, &c, GET("/warm"));
    struct link *l = next_link(f);
    read_request(l);
    give(l, OK);
    end(&c, "\r\n\r\nok");
    return l;
}

static void drop_script_link(struct fixture *f, struct link *l)
{
    pthread_mutex_lock(&f->mu);
    for (size_t i = 0; i < f->n_links; i++)
        if (f->links[i] == l)
            f->links[i] = NULL;
    pthread_mutex_unlock(&f->mu);
    link_free(l);
}

static void a_link_closed_while_idle_is_replaced(void **state)
{
    struct fixture *f = *state;
    struct client c;
    drop_script_link(f, warm_up(f));
    begin(f, &c, STR("POST /x HTTP/1.1\r\n" LAST "Content-Length: 0\r\n\r\n"));
    struct link *l = next_link(f);
    read_request(l);
    give(l, OK);
    end(&c, "\r\n\r\nok");
}

static void a_goodbye_instead_of_an_answer_is_tried_once_more(void **state)
{
    struct fixture *f = *state;
    struct client c;
    struct link *l = warm_up(f);
    begin(f, &c, STR("POST /x HTTP/1.1\r\n" LAST "Content-Length: 0\r\n\r\n"));
    read_request(l);
    drop_script_link(f, l);
    l = next_link(f);
    read_request(l);
    drop_script_link(f, l); /* once, not for ever */
    end(&c, "failed: UPSTREAM: forwarding: unexpected EOF");
}

static void a_cut_instead_of_an_answer_is_not_tried_again(void **state)
{
    struct fixture *f = *state;
    struct client c;
    struct link *l = warm_up(f);
    begin(f, &c, STR("POST /x HTTP/1.1\r\n" LAST "Content-Length: 0\r\n\r\n"));
    read_request(l);
    link_shut(l); /* no goodbye: it may have been done */
    end(&c, "failed: IO: forwarding: ");
    assert_int_equal(sem_trywait(&f->dialled), -1);
}

static void an_answer_that_does_not_come_is_given_up(void **state)
{
    struct fixture *f = *state;
    f->answer_ms = 50;
    expect_failure(f, GET("/slow"), "failed: TIMEOUT: forwarding: ");
    sem_post(&f->go);
}

static void an_answer_that_has_begun_may_take_long(void **state)
{
    struct fixture *f = *state;
    struct client c;
    f->answer_ms = 200;
    begin(f, &c, GET("/x"));
    struct link *l = next_link(f);
    read_request(l);
    give(l, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
    struct timespec longer = { 0, 400000000 };
    nanosleep(&longer, NULL);
    give(l, "ok");
    end(&c, "\r\n\r\nok");
}

static void a_call_to_an_earlier_leader_is_given_up(void **state)
{
    struct fixture *f = *state;
    struct client c;
    begin(f, &c, GET("/stopped"));
    struct link *l = next_link(f);
    read_request(l);
    forwarder_leave(f->forwarder, STR("127.0.0.1:1"));
    end(&c, "failed: IO: forwarding: it did not answer, and does not lead any more");
    assert_int_equal(f->n_links, 1); /* it may have been done: not sent again */
}

static void a_call_to_the_present_leader_is_not(void **state)
{
    struct fixture *f = *state;
    struct client c;
    begin(f, &c, GET("/slow"));
    struct link *l = next_link(f);
    read_request(l);
    forwarder_leave(f->forwarder, f->to);
    give(l, OK);
    end(&c, "\r\n\r\nok");
}

static void an_answer_that_has_begun_is_not_given_up(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf got = { 0 };
    char byte;
    f->to = f->script_addr;
    int fd = dial_plain(f->client_addr);
    wire_say(fd, GET("/begun"));
    struct link *l = next_link(f);
    read_request(l);
    give(l, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    while (!has_text(buf_str(&got), "hello")) {
        assert_int_equal(read(fd, &byte, 1), 1);
        buf_byte(&got, byte);
    }
    forwarder_leave(f->forwarder, STR("127.0.0.1:1"));
    give(l, "5\r\nworld\r\n0\r\n\r\n");
    (void)wire_hear(fd, NULL, &got);
    close(fd);
    assert_true(has_text(buf_str(&got), "world"));
}

static void what_is_not_its_to_do_is_not_done_there(void **state)
{
    struct fixture *f = *state;
    struct client c;
    begin(f, &c, GET("/misdirected"));
    struct link *l = next_link(f);
    read_request(l);
    give(l, "HTTP/1.1 421 Misdirected Request\r\nContent-Length: 0\r\n\r\n");
    end(&c, "failed: UPSTREAM: forwarding: ");
    assert_int_equal(f->n_links, 1);
}

static void where_nobody_is_nothing_is_done(void **state)
{
    struct fixture *f = *state;
    f->to = STR("127.0.0.1:21201");
    expect_failure(f, GET("/x"), "failed: UPSTREAM: 127.0.0.1:21201: connection refused");
    f->to = f->leader_addr;
    set_creds(f->theirs, NULL);
    expect_failure(f, GET("/x"), "failed: UPSTREAM: ");
}

static void answers_that_make_no_sense_are_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const answers[] = {
        "SSH-2.0-x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct client c;
        begin(f, &c, GET("/x"));
        struct link *l = next_link(f);
        read_request(l);
        give(l, answers[i]);
        end(&c, "failed: IO: forwarding: malformed HTTP response");
    }
}

static void an_answer_that_ends_too_early_is_none(void **state)
{
    struct fixture *f = *state;
    struct client c;
    begin(f, &c, GET("/x"));
    struct link *l = next_link(f);
    read_request(l);
    give(l, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    drop_script_link(f, l);
    end(&c, "failed: IO: forwarding: unexpected EOF");
}

static void the_answers_own_headers_of_one_connection_do_not_pass(void **state)
{
    struct fixture *f = *state;
    struct client c;
    begin(f, &c, GET("/x"));
    struct link *l = next_link(f);
    read_request(l);
    give(l, "HTTP/1.1 103 Early\r\nX-Early: 1\r\n\r\n"
            "HTTP/1.1 203 Hm\r\nX-Stays: yes\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\n"
            "Keep-Alive: 5\r\nDate: never\r\nContent-Length: 2\r\n\r\nok");
    pthread_join(c.thread, NULL);
    assert_true(has_text(buf_str(&c.got), "HTTP/1.1 203"));
    assert_true(has_text(buf_str(&c.got), "X-Stays: yes\r\n"));
    assert_true(str_ends(buf_str(&c.got), STR("\r\n\r\nok")));
    static const char *const gone[] = { "X-Mine", "Keep-Alive", "never", "X-Early" };
    for (size_t i = 0; i < ARRAY_LEN(gone); i++)
        assert_true(str_find(buf_str(&c.got), str_of(gone[i])) < 0);
    buf_free(&c.got);
}

static void an_answer_that_ends_by_closing_is_passed_on(void **state)
{
    struct fixture *f = *state;
    struct client c;
    begin(f, &c, GET("/x"));
    struct link *l = next_link(f);
    read_request(l);
    give(l, "HTTP/1.0 200 OK\r\n\r\nto the end");
    drop_script_link(f, l);
    end(&c, "\r\n\r\na\r\nto the end\r\n0\r\n\r\n");
}

static void *ask_often(void *arg)
{
    struct fixture *f = arg;
    for (int i = 0; i < 15; i++) {
        AUTO(buf_free) struct buf got = { 0 };
        ask(f, GET("/x"), &got);
        assert_true(has_text(buf_str(&got), "HTTP/1.1 202"));
    }
    return NULL;
}

static void many_ask_at_once_while_links_are_forgotten(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[6];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_create(&threads[i], NULL, ask_often, f);
    for (int i = 0; i < 20; i++)
        forwarder_forget(f->forwarder);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_handed_on_and_its_answer_back),
        TEST(headers_of_one_connection_do_not_pass),
        TEST(an_http10_request_gets_a_host),
        TEST(answers_without_a_body_have_none),
        TEST(http2_clients_are_served_too),
        TEST(large_bodies_arrive_whole),
        TEST(a_body_too_large_here_is_not_sent),
        TEST(a_body_refused_there_is_told),
        TEST(a_huge_answer_passes_in_little_memory),
        TEST(a_client_that_goes_away_ends_the_stream),
        TEST(an_answer_cut_off_is_cut_off_for_the_client),
        TEST(an_idle_link_is_used_again),
        TEST(a_forgotten_link_is_not),
        TEST(a_link_closed_while_idle_is_replaced),
        TEST(a_goodbye_instead_of_an_answer_is_tried_once_more),
        TEST(a_cut_instead_of_an_answer_is_not_tried_again),
        TEST(an_answer_that_does_not_come_is_given_up),
        TEST(an_answer_that_has_begun_may_take_long),
        TEST(a_call_to_an_earlier_leader_is_given_up),
        TEST(a_call_to_the_present_leader_is_not),
        TEST(an_answer_that_has_begun_is_not_given_up),
        TEST(what_is_not_its_to_do_is_not_done_there),
        TEST(where_nobody_is_nothing_is_done),
        TEST(answers_that_make_no_sense_are_refused),
        TEST(an_answer_that_ends_too_early_is_none),
        TEST(the_answers_own_headers_of_one_connection_do_not_pass),
        TEST(an_answer_that_ends_by_closing_is_passed_on),
        TEST(many_ask_at_once_while_links_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
