/* Tests of the PROXY protocol: good headers of both versions, cut ones, malformed ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "net/proxyproto.h"

#define SIG "\r\n\r\n\0\r\nQUIT\n"

static const struct {
    struct str in;
    int used, port;
    const char *addr;
} good[] = {
    { STR_INIT("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\nGET"), 42, 56324, "192.0.2.1" },
    { STR_INIT("PROXY TCP6 2001:db8::1 ::1 1 2\r\n"), 32, 1, "2001:db8::1" },
    { STR_INIT("PROXY UNKNOWN\r\n"), 15, 0, "" },
    { STR_INIT("PROXY UNKNOWN a b c\r\n"), 21, 0, "" },
    { STR_INIT(SIG "\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\x12\x34\0\x50GET"), 28, 0x1234,
      "192.0.2.1" },
    { STR_INIT(SIG "\x20\0\0\0"), 16, 0, "" },
    { STR_INIT(SIG "\x21\x31\0\3abc"), 19, 0, "" },
};

static void reads_both_versions(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct proxyproto p;
        assert_int_equal(proxyproto_parse(good[i].in, &p), good[i].used);
        assert_int_equal(p.known, good[i].addr[0] != 0);
        assert_string_equal(p.addr, good[i].addr);
        assert_int_equal(p.port, good[i].port);
    }
}

static void asks_for_more_until_it_is_whole(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        for (int n = 1; n < good[i].used; n++) {
            struct proxyproto p;
            assert_int_equal(proxyproto_parse(str_head(good[i].in, (size_t)n), &p),
                             PROXYPROTO_MORE);
        }
    }
}

static void a_client_without_a_proxy_has_no_header(void **state)
{
    static const char *const in[] = { "GET / HTTP/1.1\r\n", "PUT / HTTP/1.1\r\n", "\x16\x03\x01",
                                      "PRI * HTTP/2.0\r\n" };
    for (size_t i = 0; i < ARRAY_LEN(in); i++) {
        struct proxyproto p;
        assert_int_equal(proxyproto_parse(str_of(in[i]), &p), 0);
        assert_false(p.known);
    }
}

static void refuses_malformed_headers(void **state)
{
    static const struct str bad[] = {
        STR_INIT("PROXY \r\n"),
        STR_INIT("PROXY TCP4 192.0.2.1 192.0.2.2 56324\r\n"),
        STR_INIT("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443 5\r\n"),
        STR_INIT("PROXY TCP4 192.0.2.1 192.0.2.2 66324 443\r\n"),
        STR_INIT("PROXY TCP4 ::1 ::1 1 2\r\n"),
        STR_INIT("PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n"),
        STR_INIT("PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n"),
        STR_INIT("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n"),
        STR_INIT("PROXY aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        STR_INIT(SIG "\x11\x11\0\x0c............"),
        STR_INIT(SIG "\x22\x11\0\x0c............"),
        STR_INIT(SIG "\x21\x11\0\x04...."),
        STR_INIT(SIG "\x21\x21\0\x0c............"),
        STR_INIT(SIG "\x21\x11\xff\xff"),
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct proxyproto p;
        assert_int_equal(proxyproto_parse(bad[i], &p), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_both_versions),
        cmocka_unit_test(asks_for_more_until_it_is_whole),
        cmocka_unit_test(a_client_without_a_proxy_has_no_header),
        cmocka_unit_test(refuses_malformed_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
