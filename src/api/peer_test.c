/* Tests of who a request comes from: what members tell, and what clients claim. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "api/peer.h"

struct fixture {
    struct arena *arena;
    struct http_header headers[4];
    struct http_request req;
    struct peer peer;
    struct err err;
};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof *f);
    f->arena = arena_new();
    f->req = (struct http_request){ .arena = f->arena, .headers = f->headers, .body_fd = -1,
                                    .peer_addr = STR("192.0.2.9"), .peer_port = 9 };
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    arena_free(f->arena);
    test_free(f);
    return 0;
}

static void add(struct fixture *f, const char *name, const char *value)
{
    f->headers[f->req.n_headers++] = (struct http_header){ str_of(name), str_of(value) };
}

static int of_member(struct fixture *f, const char *told)
{
    f->req.member = STR("n1");
    f->req.n_headers = 0;
    f->err = (struct err){ 0 };
    add(f, PEER_HEADER_ADDR, told);
    return peer_of(f->arena, &f->req, &f->peer, &f->err);
}

static void a_member_tells_of_its_client(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(of_member(f, "2001:db8::1 4711 tls"), 0);
    assert_true(str_is(f->peer.addr, "2001:db8::1") && f->peer.port == 4711 && f->peer.tls);
    assert_int_equal(of_member(f, "192.0.2.1 0 plain"), 0);
    assert_false(f->peer.tls);
    assert_int_equal(of_member(f, " 0 plain"), 0); /* of a Unix socket */
    assert_int_equal(f->peer.addr.n, 0);
}

static void what_is_printed_is_understood(void **state)
{
    struct fixture *f = *state;
    struct peer p = { .addr = STR("192.0.2.1"), .port = 65535, .tls = true };
    struct str text = peer_print(f->arena, &p);
    assert_int_equal(of_member(f, arena_printf(f->arena, STR_FMT, STR_ARG(text)).p), 0);
    assert_true(str_is(f->peer.addr, "192.0.2.1") && f->peer.port == 65535 && f->peer.tls);
}

static void a_member_tells_of_certificates(void **state)
{
    struct fixture *f = *state;
    f->req.member = STR("n1");
    add(f, PEER_HEADER_ADDR, "192.0.2.1 1 tls");
    add(f, PEER_HEADER_CERT, "bGVhZg==");
    add(f, PEER_HEADER_CERT, "cm9vdA==");
    assert_int_equal(peer_of(f->arena, &f->req, &f->peer, &f->err), 0);
    assert_int_equal(f->peer.certs_der.n, 2);
    assert_true(str_is(f->peer.certs_der.v[0], "leaf") && str_is(f->peer.certs_der.v[1], "root"));
}

static void what_a_member_garbles_is_refused(void **state)
{
    static const char *const told[] = {
        "", "192.0.2.1", "192.0.2.1 1", "192.0.2.1 1 ", "192.0.2.1 x tls", "192.0.2.1 -1 tls",
        "192.0.2.1 65536 tls", "192.0.2.1 4294967297 tls", "192.0.2.1 1 tls more",
        "192.0.2.1 1 tls ", "192.0.2.1 1 TLS", "192.0.2.1  1 tls", "192.0.2.1\t1\ttls",
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(told); i++) {
        if (of_member(f, told[i]) == 0)
            fail_msg("\"%s\" was taken", told[i]);
        assert_int_equal(f->err.code, ERR_BAD_REQUEST);
    }
}

static void a_member_that_tells_nothing_is_refused(void **state)
{
    struct fixture *f = *state;
    f->req.member = STR("n1");
    assert_int_equal(peer_of(f->arena, &f->req, &f->peer, &f->err), -1);
}

static void a_garbled_certificate_is_refused(void **state)
{
    struct fixture *f = *state;
    f->req.member = STR("n1");
    add(f, PEER_HEADER_ADDR, "192.0.2.1 1 tls");
    add(f, PEER_HEADER_CERT, "!");
    assert_int_equal(peer_of(f->arena, &f->req, &f->peer, &f->err), -1);
    assert_int_equal(f->err.code, ERR_BAD_REQUEST);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_member_tells_of_its_client),
        TEST(what_is_printed_is_understood),
        TEST(a_member_tells_of_certificates),
        TEST(what_a_member_garbles_is_refused),
        TEST(a_member_that_tells_nothing_is_refused),
        TEST(a_garbled_certificate_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
