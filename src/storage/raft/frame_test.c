/* Tests of the encoding of what members send each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/random.h"
#include "storage/raft/frame.h"

static void body_of(const struct frame *f, struct entry *const *entries, size_t n, struct buf *out)
{
    AUTO(buf_free) struct buf whole = { 0 };
    struct err err = { 0 };
    size_t len;
    assert_int_equal(frame_write(f, entries, n, &whole, &err), 0);
    assert_int_equal(frame_length(whole.p, &len, &err), 0);
    assert_int_equal(len, whole.n - FRAME_HEAD);
    buf_add(out, str_from(buf_str(&whole), FRAME_HEAD));
}

static struct frame append_frame(void)
{
    struct frame f = { .type = FRAME_MESSAGE, .flags = FRAME_FIRM, .sent = 1, .echo = 2,
                       .grant = 3, .last = 4, .last_term = 5, .applied = 6,
                       .m.m.type = RAFT_APPEND_ENTRIES };
    f.m.m.append_entries = (struct raft_append_entries){
        .term = 7, .prev_log_index = 8, .prev_log_term = 6, .leader_commit = 9, .n_entries = 2
    };
    return f;
}

static void entries_arrive_as_they_were_sent(void **state)
{
    AUTO(buf_free) struct buf b = { 0 };
    AUTO(frame_clear) struct frame got = { 0 };
    struct err err = { 0 };
    struct entry *e[] = { entry_new(9, 7, RAFT_COMMAND, STR("one")),
                          entry_new(10, 7, RAFT_BARRIER, STR("")) };
    struct frame f = append_frame();
    body_of(&f, e, 2, &b);
    assert_int_equal(frame_read(buf_str(&b), &got, &err), 0);
    const struct raft_append_entries *a = &got.m.m.append_entries;
    assert_int_equal(a->n_entries, 2);
    assert_int_equal(a->term, 7);
    assert_int_equal(a->prev_log_index, 8);
    assert_int_equal(a->prev_log_term, 6);
    assert_int_equal(a->leader_commit, 9);
    assert_int_equal(got.m.entries[1]->index, 10);
    assert_true(str_is(entry_data(got.m.entries[0]), "one"));
    assert_int_equal(got.sent, 1);
    assert_int_equal(got.echo, 2);
    assert_int_equal(got.grant, 3);
    assert_int_equal(got.applied, 6);
    assert_int_equal(got.flags, FRAME_FIRM);
    entry_drop(e[0]);
    entry_drop(e[1]);
}

static void a_hello_says_who_it_is(void **state)
{
    AUTO(buf_free) struct buf b = { 0 };
    AUTO(frame_clear) struct frame got = { 0 };
    struct err err = { 0 };
    struct frame f = { .type = FRAME_HELLO, .conf_index = 12, .m.peer = "one\th:1" };
    body_of(&f, NULL, 0, &b);
    assert_int_equal(frame_read(buf_str(&b), &got, &err), 0);
    assert_string_equal(got.m.peer, "one\th:1");
    assert_int_equal(got.conf_index, 12);
}

static void another_version_is_told(void **state)
{
    AUTO(buf_free) struct buf b = { 0 };
    struct frame got, f = { .type = FRAME_HELLO, .m.peer = "one\th:1" };
    struct err err = { 0 };
    body_of(&f, NULL, 0, &b);
    b.p[5] = 9;
    assert_int_equal(frame_read(buf_str(&b), &got, &err), -1);
    assert_non_null(strstr(err.msg, "version 9"));
}

static void a_length_out_of_bounds_is_refused(void **state)
{
    static const char *const cases[] = { "\0\0\0\0", "\0\0\0\1", "\4\0\0\1", "\377\377\377\377" };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t n;
        struct err err = { 0 };
        assert_int_equal(frame_length(cases[i], &n, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
    }
}

static void a_frame_cut_anywhere_is_refused(void **state)
{
    AUTO(buf_free) struct buf b = { 0 };
    struct entry *e = entry_new(9, 7, RAFT_COMMAND, STR("one"));
    struct frame f = append_frame();
    body_of(&f, &e, 1, &b);
    for (size_t n = 0; n < b.n; n++) {
        struct frame got;
        struct err err = { 0 };
        char *copy = malloc(n + 1);
        memcpy(copy, b.p, n);
        assert_int_equal(frame_read(str_mem(copy, n), &got, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
        free(copy);
    }
    entry_drop(e);
}

static void random_bytes_do_no_harm(void **state)
{
    for (int i = 0; i < 50000; i++) {
        struct frame got;
        struct err err = { 0 };
        size_t n = 2 + random_below(120);
        char *p = malloc(n);
        random_fill(p, n);
        p[0] = (char)(1 + random_below(9));
        if (n > 50 && random_below(2))
            p[50] = (char)(1 + random_below(6));
        for (size_t k = 51; k < n && random_below(3) > 0; k++)
            p[k] = 0;
        if (frame_read(str_mem(p, n), &got, &err) == 0)
            frame_clear(&got);
        free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_arrive_as_they_were_sent),
        cmocka_unit_test(a_hello_says_who_it_is),
        cmocka_unit_test(another_version_is_told),
        cmocka_unit_test(a_length_out_of_bounds_is_refused),
        cmocka_unit_test(a_frame_cut_anywhere_is_refused),
        cmocka_unit_test(random_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
