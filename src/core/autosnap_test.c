/* Tests of schedules: what is stored, what is refused, when one is due. */
#include "core/autosnap_config.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "storage/driver.h"

static const int64_t SECOND = 1000000000, NOW = 1700000000000000000;

struct fixture {
    struct storage *store;
    struct arena *arena;
};

static int set_up(void **state)
{
    static struct fixture f;
    struct err err = { 0 };
    f.arena = arena_new();
    *state = &f;
    return f.arena == NULL ? -1 : storage_inmem.open(NULL, 0, &f.store, &err);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    storage_close(f->store);
    arena_free(f->arena);
    return 0;
}

static struct autosnap_config good(void)
{
    return (struct autosnap_config){ STR("/var/snaps"), STR("vault-snapshot"), 3600, 7, 1000000 };
}

static int check(struct fixture *f, const char *name, const struct autosnap_config *c)
{
    struct err err = { 0 };
    int rc = autosnap_config_check(f->store, str_of(name), c, &err);
    if (rc < 0)
        assert_int_equal(err.code, ERR_BAD_REQUEST);
    return rc;
}

static void store(struct fixture *f, const char *name, const struct autosnap_config *c)
{
    struct err err = { 0 };
    assert_int_equal(autosnap_config_store(f->store, str_of(name), c, &err), 0);
}

static void what_is_stored_is_loaded(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    struct autosnap_config c = good(), read;
    struct strs names = { 0 };
    store(f, "hourly", &c);
    assert_int_equal(autosnap_config_load(f->store, f->arena, STR("hourly"), &read, &err), 1);
    assert_true(str_eq(read.path_prefix, c.path_prefix));
    assert_true(str_eq(read.file_prefix, c.file_prefix));
    assert_int_equal(read.interval_s, 3600);
    assert_int_equal(read.retain, 7);
    assert_int_equal(read.local_max_space, 1000000);
    assert_int_equal(autosnap_config_names(f->store, f->arena, &names, &err), 0);
    assert_int_equal(names.n, 1);
    assert_true(str_is(names.v[0], "hourly"));
    assert_int_equal(autosnap_config_load(f->store, f->arena, STR("daily"), &read, &err), 0);
}

static void a_state_keeps_nanoseconds(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    struct autosnap_state s = { NOW + 1, STR("file:///b"), NOW + 2, NOW + 3, STR("file:///a"),
                                STR("disk full") }, read;
    assert_int_equal(autosnap_state_store(f->store, STR("x"), &s, &err), 0);
    assert_int_equal(autosnap_state_load(f->store, f->arena, STR("x"), &read, &err), 0);
    assert_true(read.begun_ns == NOW + 1 && read.last_start_ns == NOW + 2
                && read.last_end_ns == NOW + 3);
    assert_true(str_is(read.url, "file:///b"));
    assert_true(str_is(read.last_url, "file:///a"));
    assert_true(str_is(read.last_error, "disk full"));
}

static void a_deleted_schedule_leaves_no_state(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    struct autosnap_config c = good();
    struct autosnap_state s = { .begun_ns = NOW }, read;
    store(f, "x", &c);
    assert_int_equal(autosnap_state_store(f->store, STR("x"), &s, &err), 0);
    assert_int_equal(autosnap_config_delete(f->store, STR("x"), &err), 0);
    assert_int_equal(autosnap_config_load(f->store, f->arena, STR("x"), &c, &err), 0);
    assert_int_equal(autosnap_state_load(f->store, f->arena, STR("x"), &read, &err), 0);
    assert_int_equal(read.begun_ns, 0);
}

static void what_cannot_work_is_refused(void **state)
{
    struct fixture *f = *state;
    struct autosnap_config c = good();
    assert_int_equal(check(f, "x", &c), 0);
    const struct autosnap_config bad[] = {
        { STR("/a"), STR("p"), 0, 1, 1 },     { STR("/a"), STR("p"), INT64_MAX, 1, 1 },
        { STR("/a"), STR("p"), 1, 0, 1 },     { STR("/a"), STR("p"), 1, -1, 1 },
        { STR("/a"), STR("p"), 1, 1, 0 },     { STR("/a"), STR("p"), 1, 1, -1 },
        { STR(""), STR("p"), 1, 1, 1 },       { STR("a"), STR("p"), 1, 1, 1 },
        { STR("/a\n"), STR("p"), 1, 1, 1 },   { STR("/a"), STR(""), 1, 1, 1 },
        { STR("/a"), STR("../p"), 1, 1, 1 },  { STR("/a"), STR("p\x01"), 1, 1, 1 },
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        print_message("  %zu\n", i);
        assert_int_equal(check(f, "x", &bad[i]), -1);
    }
}

static void two_schedules_do_not_share_their_files(void **state)
{
    struct fixture *f = *state;
    struct autosnap_config c = good(), other = good();
    store(f, "one", &c);
    assert_int_equal(check(f, "one", &c), 0);
    assert_int_equal(check(f, "two", &c), -1);
    other.path_prefix = STR("/var/snaps//");
    assert_int_equal(check(f, "two", &other), -1);
    other.file_prefix = STR("other");
    assert_int_equal(check(f, "two", &other), 0);
}

static void when_the_next_one_is_due(void **state)
{
    static const struct {
        const char *what;
        int64_t begun_s, start_s, end_s; /* from now */
        const char *error;
        int64_t due_s;
    } cases[] = {
        { "after the interval", -1000, -1000, -990, "", 2600 },
        { "it was missed", -9000, -9000, -8990, "", -5400 },
        { "one was cut short", -10, -1000, -990, "", 0 },
        { "soon after a failure", -10, -10, -5, "disk full", 55 },
        { "the clock of another node is ahead", 30, 30, 40, "", 3630 },
        { "the clock was set back", 9000, 9000, 9010, "", 0 },
    };
    struct autosnap_config c = good();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct autosnap_state s = {
            .begun_ns = NOW + cases[i].begun_s * SECOND,
            .last_start_ns = NOW + cases[i].start_s * SECOND,
            .last_end_ns = NOW + cases[i].end_s * SECOND,
            .last_error = str_of(cases[i].error),
        };
        print_message("  %s\n", cases[i].what);
        assert_true(autosnap_due_ns(&c, &s, NOW) == NOW + cases[i].due_s * SECOND);
    }
    assert_true(autosnap_due_ns(&c, &(struct autosnap_state){ 0 }, NOW) == NOW);
}

static void a_short_interval_is_kept_after_failures_too(void **state)
{
    struct autosnap_config c = good();
    struct autosnap_state s = { NOW, STR(""), NOW, NOW, STR(""), STR("no") };
    c.interval_s = 5;
    assert_true(autosnap_due_ns(&c, &s, NOW) == NOW + 5 * SECOND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_stored_is_loaded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_state_keeps_nanoseconds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_deleted_schedule_leaves_no_state, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_work_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_schedules_do_not_share_their_files, set_up, tear_down),
        cmocka_unit_test(when_the_next_one_is_due),
        cmocka_unit_test(a_short_interval_is_kept_after_failures_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
