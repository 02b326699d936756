/* Tests of what nodes have told. */
#include "core/roll.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct roll *roll;
    struct arena *arena;
};

static int set_up(void **state)
{
    static struct fixture f;
    struct err err = { 0 };
    f.arena = arena_new();
    *state = &f;
    return f.arena == NULL ? -1 : roll_new(&f.roll, &err);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    roll_free(f->roll);
    arena_free(f->arena);
    return 0;
}

static int note(struct fixture *f, const char *id, struct str api_addr, int64_t seen_ns)
{
    struct err err = { 0 };
    struct roll_entry e = { STR("host"), api_addr, STR("c:1"), STR("1.8"), seen_ns };
    return roll_note(f->roll, str_of(id), &e, &err);
}

static int find(struct fixture *f, const char *id, struct roll_entry *out)
{
    struct err err = { 0 };
    return roll_find(f->roll, f->arena, str_of(id), out, &err);
}

static void what_a_node_told_last_is_found(void **state)
{
    struct fixture *f = *state;
    struct roll_entry e;
    char api[] = "http://b:1";
    assert_int_equal(note(f, "n1", STR("http://a:1"), 1), 0);
    assert_int_equal(note(f, "n2", STR(""), 2), 0);
    assert_int_equal(note(f, "n1", str_of(api), 3), 0);
    memset(api, 'x', sizeof api - 1); /* it was copied */
    assert_int_equal(find(f, "n1", &e), 1);
    assert_true(str_is(e.hostname, "host"));
    assert_true(str_is(e.api_addr, "http://b:1"));
    assert_true(str_is(e.cluster_addr, "c:1"));
    assert_true(str_is(e.version, "1.8"));
    assert_int_equal(e.seen_ns, 3);
    assert_int_equal(find(f, "n2", &e), 1);
    assert_int_equal(e.api_addr.n, 0);
}

static void who_told_nothing_is_not_found(void **state)
{
    struct fixture *f = *state;
    struct roll_entry e = { .seen_ns = 5 };
    assert_int_equal(find(f, "n1", &e), 0);
    assert_int_equal(e.seen_ns, 5);
}

static void nothing_is_left_when_it_is_cleared(void **state)
{
    struct fixture *f = *state;
    struct roll_entry e;
    assert_int_equal(note(f, "n1", STR("a"), 1), 0);
    roll_clear(f->roll);
    assert_int_equal(find(f, "n1", &e), 0);
    assert_int_equal(note(f, "n1", STR("b"), 2), 0);
    assert_int_equal(find(f, "n1", &e), 1);
}

static void texts_beyond_reason_are_refused_and_change_nothing(void **state)
{
    static const char large[2000] = { 'a' };
    struct fixture *f = *state;
    struct roll_entry e;
    assert_int_equal(note(f, "n1", STR("a"), 1), 0);
    assert_int_equal(note(f, "n1", str_mem(large, sizeof large), 2), -1);
    assert_int_equal(note(f, "", STR("a"), 2), -1);
    assert_int_equal(find(f, "n1", &e), 1);
    assert_int_equal(e.seen_ns, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_a_node_told_last_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_told_nothing_is_not_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_left_when_it_is_cleared, set_up, tear_down),
        cmocka_unit_test_setup_teardown(texts_beyond_reason_are_refused_and_change_nothing, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
