/* Tests of the HTTP/1.1 parser: what it takes, what it refuses, in any cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buf.h"
#include "net/http1.h"

/* Parse a text that holds one head. 0, or the status it is refused with; -1: more is needed. */
static int parse(struct arena *a, struct str in, struct http1_head *out)
{
    struct http1_scan scan = { 0 };
    struct http1_refusal refusal = { 0 };
    int found = http1_find_end(&scan, in);
    if (found < 0)
        return 400;
    if (found == 0)
        return -1;
    if (http1_parse_head(a, str_head(in, scan.at), scan.lines, out, &refusal) < 0)
        return refusal.status;
    return 0;
}

static void takes_well_formed_requests(void **state)
{
    static const struct {
        const char *in, *method, *path, *query;
        bool keep_alive, chunked;
        uint64_t length;
    } cases[] = {
        { "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/", "", true, false, 0 },
        { "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/", "", true, false, 0 },
        { "LIST /v1/a%2Fb?list=true&x HTTP/1.1\r\nhOST:a:8200\r\n\r\n", "LIST", "/v1/a%2Fb",
          "list=true&x", true, false, 0 },
        { "BREW /? HTTP/1.1\r\nHost:\r\nConnection: a, Close\r\n\r\n", "BREW", "/", "", false,
          false, 0 },
        { "get /\xc3\xa9 HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "get", "/\xc3\xa9", "", true, false,
          0 },
        { "GET / HTTP/1.0\r\n\r\n", "GET", "/", "", false, false, 0 },
        { "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET", "/", "", true, false, 0 },
        { "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\ncontent-length: 12\r\n\r\n", "PUT",
          "/a", "", true, false, 12 },
        { "PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", "PUT", "/a", "", true,
          true, 0 },
        { "GET http://b:1/x?y HTTP/1.1\r\nHost: b:1\r\n\r\n", "GET", "/x", "y", true, false, 0 },
        { "GET http://b HTTP/1.1\r\nHost: b\r\n\r\n", "GET", "/", "", true, false, 0 },
        { "OPTIONS * HTTP/1.1\r\nHost: b\r\n\r\n", "OPTIONS", "*", "", true, false, 0 },
        { "CONNECT b:443 HTTP/1.1\r\nHost: b\r\n\r\n", "CONNECT", "/", "", true, false, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_drop) struct arena *a = arena_new();
        struct http1_head h;
        assert_int_equal(parse(a, str_of(cases[i].in), &h), 0);
        assert_true(str_is(h.method, cases[i].method));
        assert_true(str_is(h.path, cases[i].path));
        assert_true(str_is(h.query, cases[i].query));
        assert_int_equal(h.keep_alive, cases[i].keep_alive);
        assert_int_equal(h.chunked, cases[i].chunked);
        assert_int_equal(h.content_length, cases[i].length);
    }
}

static void gives_headers_in_order_without_blanks_around(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct http1_head h;
    assert_int_equal(parse(a, STR("GET / HTTP/1.1\r\nHost: a\r\nX: \t b c \t\r\nY:\r\n\r\n"), &h),
                     0);
    assert_int_equal(h.n_headers, 3);
    assert_true(str_is(h.headers[1].name, "X"));
    assert_true(str_is(h.headers[1].value, "b c"));
    assert_int_equal(h.headers[2].value.n, 0);
}

#define HOST "Host: a\r\n"

static void refuses_what_can_be_read_in_two_ways(void **state)
{
    static const struct {
        int status;
        struct str in;
    } cases[] = {
        { 400, STR_INIT("GET / HTTP/1.1\n" HOST "\r\n") },
        { 400, STR_INIT("GET / HTTP/1.1\r\nHost: a\n\r\n") },
        { 400, STR_INIT("\nGET / HTTP/1.1\r\n" HOST "\r\n") },
        { 400, STR_INIT("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n") },
        { 400, STR_INIT("GET / HTTP/1.1\r\r\n" HOST "\r\n") },
        { 400, STR_INIT("GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n") },
        { 400, STR_INIT("GET / HTTP/1.1\r\n" HOST "X\0: b\r\n\r\n") },
        { 400, STR_INIT("GET / HTTP/1.1\r\n" HOST "X : b\r\n\r\n") },
        { 400, STR_INIT("GET / HTTP/1.1\r\n" HOST "X b\r\n\r\n") },
        { 400, STR_INIT("GET / HTTP/1.1\r\n" HOST ": b\r\n\r\n") },
        { 400, STR_INIT("GET / HTTP/1.1\r\n" HOST "X(): b\r\n\r\n") },
        { 400, STR_INIT("GET / HTTP/1.1\r\n" HOST "X\xc3\xa9: b\r\n\r\n") },
        { 400, STR_INIT("GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n") },
        { 400, STR_INIT("GET / HTTP/1.1\r\n" HOST "X: a\r\n\tb\r\n\r\n") },
        { 400, STR_INIT("GET / HTTP/1.1\r\n X: a\r\n" HOST "\r\n") },
        { 400, STR_INIT("GET / HTTP/1.1\r\n" HOST "X: \x7f\r\n\r\n") },
        { 400, STR_INIT("GET / HTTP/1.1\r\n" HOST "X: \x01\r\n\r\n") },
        { 400, STR_INIT("GET / HTTP/1.1\r\n\r\n") },
        { 400, STR_INIT("GET / HTTP/1.1\r\n" HOST HOST "\r\n") },
        { 400, STR_INIT("GET / HTTP/1.0\r\n" HOST HOST "\r\n") },
        { 400, STR_INIT("GET / HTTP/1.1\r\nHost: a b\r\n\r\n") },
        { 400, STR_INIT("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n") },
        { 400, STR_INIT("GET /a b HTTP/1.1\r\n" HOST "\r\n") },
        { 400, STR_INIT("GET /\x01 HTTP/1.1\r\n" HOST "\r\n") },
        { 400, STR_INIT("GET /\x7f HTTP/1.1\r\n" HOST "\r\n") },
        { 400, STR_INIT("GET /\t HTTP/1.1\r\n" HOST "\r\n") },
        { 400, STR_INIT("GET /\0 HTTP/1.1\r\n" HOST "\r\n") },
        { 400, STR_INIT("GET  / HTTP/1.1\r\n" HOST "\r\n") },
        { 400, STR_INIT("GET /  HTTP/1.1\r\n" HOST "\r\n") },
        { 400, STR_INIT(" GET / HTTP/1.1\r\n" HOST "\r\n") },
        { 400, STR_INIT("GET /\r\n" HOST "\r\n") },
        { 400, STR_INIT("GET HTTP/1.1\r\n" HOST "\r\n") },
        { 400, STR_INIT("GET a HTTP/1.1\r\n" HOST "\r\n") },
        { 400, STR_INIT("GET * HTTP/1.1\r\n" HOST "\r\n") },
        { 400, STR_INIT("GET http:///a HTTP/1.1\r\n" HOST "\r\n") },
        { 400, STR_INIT("GET ftp://a/ HTTP/1.1\r\n" HOST "\r\n") },
        { 400, STR_INIT("G@T / HTTP/1.1\r\n" HOST "\r\n") },
        { 400, STR_INIT("GET / http/1.1\r\n" HOST "\r\n") },
        { 400, STR_INIT("GET / HTTP/1.1 \r\n" HOST "\r\n") },
        { 400, STR_INIT("GET / HTTP/11\r\n" HOST "\r\n") },
        { 505, STR_INIT("GET / HTTP/1.2\r\n" HOST "\r\n") },
        { 505, STR_INIT("GET / HTTP/2.0\r\n" HOST "\r\n") },
        { 400,
          STR_INIT("PUT / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 2\r\n\r\n") },
        { 400, STR_INIT("PUT / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\n") },
        { 400, STR_INIT("PUT / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\n") },
        { 400, STR_INIT("PUT / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n") },
        { 400, STR_INIT("PUT / HTTP/1.1\r\n" HOST "Content-Length: 0x1\r\n\r\n") },
        { 400, STR_INIT("PUT / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n") },
        { 400, STR_INIT("PUT / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551616\r\n\r\n") },
        { 400, STR_INIT("PUT / HTTP/1.1\r\n" HOST
                        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n") },
        { 400, STR_INIT("PUT / HTTP/1.1\r\n" HOST
                        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n") },
        { 501, STR_INIT("PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n") },
        { 501, STR_INIT("PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n") },
        { 501, STR_INIT("PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n\r\n") },
        { 400, STR_INIT("PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") },
        { 417, STR_INIT("PUT / HTTP/1.1\r\n" HOST "Expect: a miracle\r\n\r\n") },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_drop) struct arena *a = arena_new();
        struct http1_head h;
        int status = parse(a, cases[i].in, &h);
        if (status != cases[i].status)
            print_message("  case %zu: %d: " STR_FMT "\n", i, status, STR_ARG(cases[i].in));
        assert_int_equal(status, cases[i].status);
    }
}

static void refuses_more_headers_than_anybody_sends(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf b = { 0 };
    struct http1_head h;
    buf_add(&b, STR("GET / HTTP/1.1\r\n" HOST));
    for (int i = 0; i < 5000; i++)
        buf_add(&b, STR("A: b\r\n"));
    buf_add(&b, STR("\r\n"));
    assert_int_equal(parse(a, buf_str(&b), &h), 431);
}

static void finds_the_end_however_the_bytes_come(void **state)
{
    struct str in = STR("\r\nPUT /a HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\nbody\r\n\r\n");
    for (size_t step = 1; step <= in.n; step++) {
        struct http1_scan scan = { 0 };
        int found = 0;
        for (size_t n = step; found == 0; n += step)
            found = http1_find_end(&scan, str_head(in, n));
        assert_int_equal(found, 1);
        assert_int_equal(scan.at, in.n - 8);
        assert_int_equal(scan.lines, 3);
    }
}

static void waits_for_the_rest_of_a_head(void **state)
{
    struct str in = STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    for (size_t n = 0; n < in.n; n++) {
        struct http1_scan scan = { 0 };
        assert_int_equal(http1_find_end(&scan, str_head(in, n)), 0);
    }
}

/* Decode ${in} given in steps of ${step} bytes. Returns how it ended, and what is left of in. */
static enum http1_piece dechunk(struct str in, size_t step, struct buf *out, size_t *left)
{
    struct http1_chunked c = { 0 };
    size_t given = 0;
    for (;;) {
        struct str part = str_head(str_from(in, given), step), data;
        size_t before = part.n;
        enum http1_piece piece;
        while ((piece = http1_chunk_next(&c, &part, &data)) == HTTP1_DATA)
            buf_add(out, data);
        given += before - part.n;
        *left = in.n - given;
        if (piece != HTTP1_MORE || given == in.n)
            return piece;
    }
}

static void decodes_chunks_in_any_cut(void **state)
{
    static const struct {
        const char *in, *want;
        size_t left;
    } cases[] = {
        { "0\r\n\r\n", "", 0 },
        { "5\r\nhello\r\n0\r\n\r\nGET", "hello", 3 },
        { "00a\r\n0123456789\r\n1;x=\"y\"\r\n!\r\n0\r\n\r\n", "0123456789!", 0 },
        { "A\r\n0123456789\r\n0\r\nX: y\r\nZ: \r\n\r\n", "0123456789", 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t step = 1; step < 60; step++) {
            AUTO(buf_free) struct buf out = { 0 };
            size_t left;
            assert_int_equal(dechunk(str_of(cases[i].in), step, &out, &left), HTTP1_END);
            assert_true(str_is(buf_str(&out), cases[i].want));
            assert_int_equal(left, cases[i].left);
        }
    }
}

static void refuses_malformed_chunks(void **state)
{
    static const struct str bad[] = {
        STR_INIT("\r\n"),
        STR_INIT("g\r\n"),
        STR_INIT("-1\r\n"),
        STR_INIT("0x1\r\n"),
        STR_INIT(" 1\r\na\r\n"),
        STR_INIT("1 \r\na\r\n"),
        STR_INIT("1\na\r\n"),
        STR_INIT("1\r\nab\r\n"),
        STR_INIT("1\r\na\n"),
        STR_INIT("1\r\na0\r\n\r\n"),
        STR_INIT("1\rX"),
        STR_INIT(";x\r\n"),
        STR_INIT("1;a\nb\r\n"),
        STR_INIT("1;\0\r\n"),
        STR_INIT("10000000000000000\r\n"),
        STR_INIT("ffffffffffffffff\r\n"),
        STR_INIT("0\r\n X: y\r\n\r\n"),
        STR_INIT("0\r\nX: y\n\r\n"),
        STR_INIT("0\r\n\rX"),
        STR_INIT("0\r\n\n"),
        STR_INIT("0\r\n\0\r\n"),
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(buf_free) struct buf out = { 0 };
        size_t left;
        enum http1_piece end = dechunk(bad[i], 1, &out, &left);
        if (end != HTTP1_BAD)
            print_message("  case %zu\n", i);
        assert_int_equal(end, HTTP1_BAD);
    }
}

static void refuses_endless_size_lines_and_trailers(void **state)
{
    AUTO(buf_free) struct buf line = { 0 }, trailer = { 0 }, out = { 0 };
    size_t left;
    buf_add(&line, STR("1;"));
    buf_add(&trailer, STR("0\r\n"));
    for (int i = 0; i < 20000; i++) {
        buf_byte(&line, 'x');
        buf_byte(&trailer, 'x');
    }
    assert_int_equal(dechunk(buf_str(&line), 100, &out, &left), HTTP1_BAD);
    assert_int_equal(dechunk(buf_str(&trailer), 100, &out, &left), HTTP1_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_well_formed_requests),
        cmocka_unit_test(gives_headers_in_order_without_blanks_around),
        cmocka_unit_test(refuses_what_can_be_read_in_two_ways),
        cmocka_unit_test(refuses_more_headers_than_anybody_sends),
        cmocka_unit_test(finds_the_end_however_the_bytes_come),
        cmocka_unit_test(waits_for_the_rest_of_a_head),
        cmocka_unit_test(decodes_chunks_in_any_cut),
        cmocka_unit_test(refuses_malformed_chunks),
        cmocka_unit_test(refuses_endless_size_lines_and_trailers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
