/* Tests of cluster ports: requests of members, and how their connections end. */
#include "net/clusters_test.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>

#define FORWARD "forward/1"

struct fixture {
    struct arena *a;
    struct cluster_authority ca;
    struct link_creds *ours, *theirs;
    struct http_server *server;
    struct str addr, client_addr;
    sem_t entered, go, taken;
    struct link *got;
};

static void work_wait(void *ctx, struct http_exchange *x)
{
    struct fixture *f = ctx;
    sem_post(&f->entered);
    sem_wait(&f->go);
    http_answer(x, &(struct http_reply){ .status = 200 });
}

static void handler(void *ctx, struct http_exchange *x)
{
    struct fixture *f = ctx;
    struct http_request *req = &x->req;
    if (str_is(req->path, "/wait")) {
        http_offload(x, work_wait, f);
        return;
    }
    struct str text =
        arena_printf(req->arena, "member=<" STR_FMT "> tls=%d fd=%d certs=%zu",
                     STR_ARG(req->member), req->tls, req->body_fd, req->peer_certs_der.n);
    http_answer(x, &(struct http_reply){ .status = 200, .body = text });
}

static void takeover(void *ctx, struct str alpn, struct link *link)
{
    struct fixture *f = ctx;
    f->got = link;
    sem_post(&f->taken);
}

static int setup(void **state)
{
    static const char *const alpns[] = { "raw/1", NULL };
    struct fixture *f = calloc(1, sizeof *f);
    struct http_server_config config = { .loops = 2, .max_workers = 4, .handler = handler,
                                         .ctx = f };
    struct http_listener_config cluster = { .address = STR("127.0.0.1:0"), .forward_alpn = FORWARD,
                                            .other_alpn = alpns, .takeover = takeover,
                                            .takeover_ctx = f };
    struct http_listener_config clients = { .address = STR("127.0.0.1:0") };
    const struct http_listener *l;
    struct err err = { 0 };
    signal(SIGPIPE, SIG_IGN);
    f->a = arena_new();
    f->ca = authority(f->a);
    sem_init(&f->entered, 0, 0);
    sem_init(&f->go, 0, 0);
    sem_init(&f->taken, 0, 0);
    assert_int_equal(link_creds_new(&f->ours, &err), 0);
    assert_int_equal(link_creds_new(&f->theirs, &err), 0);
    struct link_identity us = identity(f->a, &f->ca, STR("node-a"));
    struct link_identity them = identity(f->a, &f->ca, STR("node-b"));
    set_creds(f->ours, &us);
    set_creds(f->theirs, &them);
    assert_int_equal(http_server_new(&config, &f->server, &err), 0);
    cluster.creds = f->theirs;
    assert_int_equal(http_listen(f->server, &cluster, &l, &err), 0);
    f->addr = arena_dup(f->a, http_listener_address(l));
    assert_int_equal(http_listen(f->server, &clients, &l, &err), 0);
    f->client_addr = arena_dup(f->a, http_listener_address(l));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    http_server_free(f->server);
    link_free(f->got);
    link_creds_free(f->ours);
    link_creds_free(f->theirs);
    arena_free(f->a);
    sem_destroy(&f->entered);
    sem_destroy(&f->go);
    sem_destroy(&f->taken);
    free(f);
    return 0;
}

static struct link *dialled(struct fixture *f, const char *alpn)
{
    struct link *l = NULL;
    struct err err = { 0 };
    if (link_dial(f->ours, f->addr, alpn, 10000, &l, &err) < 0)
        fail_msg("%s", err.msg);
    link_set_timeout(l, 20000);
    return l;
}

static void say(struct link *l, const char *text)
{
    struct err err = { 0 };
    assert_int_equal(link_write(l, text, strlen(text), &err), 0);
}

/* Until ${until} stands in what came. */
static void hear(struct link *l, const char *until, struct buf *out)
{
    struct err err = { 0 };
    char part[4096];
    while (str_find(buf_str(out), str_of(until)) < 0) {
        long n = link_read(l, part, sizeof part, &err);
        if (n <= 0)
            fail_msg("%s", err.msg);
        buf_add(out, str_mem(part, (size_t)n));
    }
}

static void drop_link(struct link **l)
{
    link_free(*l);
}

static void a_members_request_tells_whose_it_is(void **state)
{
    struct fixture *f = *state;
    AUTO(drop_link) struct link *l = dialled(f, FORWARD);
    for (int i = 0; i < 3; i++) { /* on one connection */
        AUTO(buf_free) struct buf got = { 0 };
        say(l, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
        hear(l, "certs=", &got);
        assert_true(has_text(buf_str(&got), "member=<node-a> tls=1 fd=-1 certs="));
    }
}

static void a_clients_request_is_no_members(void **state)
{
    struct fixture *f = *state;
    char got[1024] = "";
    int fd = dial_plain(f->client_addr);
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_int_equal(send(fd, request, sizeof request - 1, 0), sizeof request - 1);
    assert_true(recv(fd, got, sizeof got - 1, 0) > 0);
    assert_true(has_text(str_of(got), "member=<> tls=0 fd=-1"));
    close(fd);
}

static void plain_http_on_a_cluster_port_is_told_so(void **state)
{
    struct fixture *f = *state;
    char got[1024] = "";
    int fd = dial_plain(f->addr);
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_int_equal(send(fd, request, sizeof request - 1, 0), sizeof request - 1);
    assert_true(recv(fd, got, sizeof got - 1, 0) > 0);
    assert_true(has_text(str_of(got), "400 Bad Request"));
    close(fd);
}

static void an_idle_connection_ends_with_a_goodbye(void **state)
{
    struct fixture *f = *state;
    AUTO(drop_link) struct link *l = dialled(f, FORWARD);
    AUTO(buf_free) struct buf got = { 0 };
    struct err err = { 0 };
    char byte;
    say(l, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    hear(l, "certs=0", &got);
    http_server_drain(f->server, 0);
    assert_int_equal(link_read(l, &byte, 1, &err), 0);
}

static void *let_go(void *arg)
{
    struct fixture *f = arg;
    char byte;
    struct link *l = f->got;
    struct err err = { 0 };
    assert_int_equal(link_read(l, &byte, 1, &err), -1); /* no goodbye: it was begun */
    assert_int_equal(err.code, ERR_UPSTREAM);
    sem_post(&f->go); /* only now may the handler end, and with it the server */
    return NULL;
}

static void a_connection_with_a_request_under_way_has_no_goodbye(void **state)
{
    struct fixture *f = *state;
    pthread_t thread;
    f->got = dialled(f, FORWARD);
    say(f->got, "POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    sem_wait(&f->entered);
    pthread_create(&thread, NULL, let_go, f);
    http_server_drain(f->server, 0);
    pthread_join(thread, NULL);
}

static void what_was_handed_over_outlives_the_server(void **state)
{
    struct fixture *f = *state;
    AUTO(drop_link) struct link *we = dialled(f, "raw/1");
    struct err err = { 0 };
    char two[2];
    sem_wait(&f->taken);
    http_server_free(f->server);
    f->server = NULL;
    say(we, "hi");
    assert_int_equal(link_read_full(f->got, two, 2, &err), 1);
    assert_memory_equal(two, "hi", 2);
}

static void a_protocol_without_a_name_is_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const alpns[] = { "", NULL };
    struct http_listener_config config = { .address = STR("127.0.0.1:0"), .creds = f->theirs,
                                           .other_alpn = alpns, .takeover = takeover };
    struct err err = { 0 };
    assert_int_equal(http_listen(f->server, &config, NULL, &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_members_request_tells_whose_it_is),
        TEST(a_clients_request_is_no_members),
        TEST(plain_http_on_a_cluster_port_is_told_so),
        TEST(an_idle_connection_ends_with_a_goodbye),
        TEST(a_connection_with_a_request_under_way_has_no_goodbye),
        TEST(what_was_handed_over_outlives_the_server),
        TEST(a_protocol_without_a_name_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
