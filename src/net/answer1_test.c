/* Tests of reading HTTP/1.1 answers, in any cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "net/answer1.h"

/* Gives a text in steps. */
struct source {
    struct str left;
    size_t step;
};

static int more(void *ctx, struct buf *in, struct err *err)
{
    struct source *s = ctx;
    struct str part = str_head(s->left, s->step);
    s->left = str_from(s->left, part.n);
    buf_add(in, part);
    return part.n > 0;
}

static int collect(void *ctx, struct str part, struct err *err)
{
    buf_add(ctx, part);
    return 0;
}

static int refuse(void *ctx, struct str part, struct err *err)
{
    return err_set(err, ERR_TOO_LARGE, "enough");
}

/* One answer and what becomes of it. */
struct run {
    struct source source;
    struct buf in, head, body;
    struct err err;
    struct answer1 a;
};

static int read_all(struct run *r, const char *text, size_t step, bool head_only)
{
    *r = (struct run){ .source = { str_of(text), step } };
    r->a = (struct answer1){ .more = more, .ctx = &r->source, .in = &r->in, .err = &r->err,
                             .head_only = head_only };
    if (answer1_head(&r->a, &r->head) < 0)
        return -1;
    return answer1_body(&r->a, collect, &r->body);
}

static void run_free(struct run *r)
{
    buf_free(&r->in);
    buf_free(&r->head);
    buf_free(&r->body);
}

static void bodies_are_read_in_any_cut(void **state)
{
    static const struct {
        const char *text;
        bool head_only;
        int status;
        const char *body;
        bool keep;
    } cases[] = {
        { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, 200, "hello", true },
        { "HTTP/1.1 200 OK\r\ncontent-length:5\r\nContent-Length: 5\r\n\r\nhello", false, 200,
          "hello", true },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n"
          "T: 1\r\n\r\n", false, 200, "hello", true },
        { "HTTP/1.1 200 OK\r\n\r\nhello", false, 200, "hello", false },
        { "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, 200, "hello", false },
        { "HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 5\r\n\r\nhello", false, 200,
          "hello", false },
        { "HTTP/1.1 204 No Content\r\n\r\n", false, 204, "", true },
        { "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false, 304, "", true },
        { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, 200, "", true },
        { "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 E\r\nA: b\r\n\r\nHTTP/1.1 500 X\r\n"
          "Content-Length: 0\r\n\r\n", false, 500, "", true },
        { "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200", false, 200, "ok", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t step = 1; step <= 64; step = step * 2 + 1) {
            struct run r;
            assert_int_equal(read_all(&r, cases[i].text, step, cases[i].head_only), 0);
            assert_int_equal(r.a.status, cases[i].status);
            assert_true(str_is(buf_str(&r.body), cases[i].body));
            if (cases[i].keep || step == 63) /* what follows may not have been read yet */
                assert_int_equal(r.a.keep, cases[i].keep);
            run_free(&r);
        }
    }
}

static void what_can_be_read_in_two_ways_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "HTTP/1.1 200",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 0 OK\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000000000000000\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct run r;
        print_message("  case %zu\n", i);
        assert_int_equal(read_all(&r, texts[i], 7, false), -1);
        assert_int_equal(r.err.code, ERR_UPSTREAM);
        run_free(&r);
    }
}

/* Header lines without end. */
static int endless(void *ctx, struct buf *in, struct err *err)
{
    buf_add(in, in->n == 0 && *(int *)ctx == 0 ? STR("HTTP/1.1 200 OK\r\n") : STR(""));
    *(int *)ctx = 1;
    for (int i = 0; i < 100; i++)
        buf_add(in, STR("Name: some value that goes on\r\n"));
    return 1;
}

static void a_head_without_end_is_given_up(void **state)
{
    int begun = 0;
    AUTO(buf_free) struct buf in = { 0 }, head = { 0 };
    struct err err = { 0 };
    struct answer1 a = { .more = endless, .ctx = &begun, .in = &in, .err = &err };
    assert_int_equal(answer1_head(&a, &head), -1);
    assert_int_equal(err.code, ERR_UPSTREAM);
    assert_true(head.n < 2 << 20);
}

static void a_sink_that_has_enough_ends_the_reading(void **state)
{
    struct run r = { .source = { STR("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), 100 } };
    r.a = (struct answer1){ .more = more, .ctx = &r.source, .in = &r.in, .err = &r.err };
    assert_int_equal(answer1_head(&r.a, &r.head), 0);
    assert_int_equal(answer1_body(&r.a, refuse, NULL), -1);
    assert_int_equal(r.err.code, ERR_TOO_LARGE);
    assert_false(r.a.keep);
    run_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_are_read_in_any_cut),
        cmocka_unit_test(what_can_be_read_in_two_ways_is_refused),
        cmocka_unit_test(a_head_without_end_is_given_up),
        cmocka_unit_test(a_sink_that_has_enough_ends_the_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
