/* Tests of the tally of a store's keys. */
#include "cmd/testing.h"

#include "cmd/tally.h"

static void count_all(struct tally *t)
{
    static const char *const keys[] = { "core/a", "core/b/x", "core/b/y", "core/b-c", "core/b",
                                        "logical/1/2/3", "sys/z" };
    struct err err = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        assert_int_equal(tally_add(t, str_of(keys[i]), 1000, &err), 0);
}

static void counts_keys_by_the_first_parts_of_their_paths(void **state)
{
    static const struct {
        size_t depth;
        const char *first;
        size_t count, rows;
    } cases[] = { { 1, "core", 5, 3 }, { 2, "core/b", 3, 5 }, { 0, "core/a", 1, 7 } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(tally_fini) struct tally t = { .arena = *state, .depth = cases[i].depth };
        struct tally_row *rows;
        struct err err = { 0 };
        size_t n;
        count_all(&t);
        assert_int_equal(tally_sorted(&t, &rows, &n, &err), 0);
        assert_int_equal(n, cases[i].rows);
        assert_true(str_is(rows[0].name, cases[i].first));
        assert_int_equal(rows[0].count, cases[i].count);
        assert_int_equal(t.count, 7);
    }
}

static void leaves_out_what_the_filter_does_not_name(void **state)
{
    AUTO(tally_fini) struct tally t = { .arena = *state, .depth = 2, .filter = STR("core/b/") };
    struct tally_row *rows;
    struct err err = { 0 };
    size_t n;
    count_all(&t);
    assert_int_equal(tally_sorted(&t, &rows, &n, &err), 0);
    assert_int_equal(n, 1);
    assert_int_equal(t.count, 2);
    assert_int_equal(t.bytes, 2000);
}

static void writes_sizes_for_people(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = { { 0, "0 B" }, { 1023, "1023 B" }, { 9216, "9 KB" }, { 26726, "26.1 KB" },
                  { 5u << 20, "5 MB" }, { (uint64_t)3 << 39, "1.5 TB" },
                  { UINT64_MAX, "16777216 TB" } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str got = tally_size(*state, cases[i].bytes);
        print_message("  " STR_FMT "\n", STR_ARG(got));
        assert_true(str_is(got, cases[i].text));
    }
}

static void prints_a_table_with_the_sum_below(void **state)
{
    AUTO(tally_fini) struct tally t = { .arena = *state, .depth = 1 };
    AUTO(buf_free) struct buf out = { 0 };
    struct tally_row *rows;
    struct err err = { 0 };
    size_t n;
    count_all(&t);
    assert_int_equal(tally_sorted(&t, &rows, &n, &err), 0);
    tally_print(*state, &t, rows, n, &out);
    testing_is(&out, "Key Name      Count      Size\n"
                     "--------      -----      ----\n"
                     "core          5          4.9 KB\n"
                     "logical       1          1000 B\n"
                     "sys           1          1000 B\n"
                     "--------      -----      ----\n"
                     "Total         7          6.8 KB\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counts_keys_by_the_first_parts_of_their_paths,
                                        testing_arena, testing_arena_free),
        cmocka_unit_test_setup_teardown(leaves_out_what_the_filter_does_not_name, testing_arena,
                                        testing_arena_free),
        cmocka_unit_test_setup_teardown(writes_sizes_for_people, testing_arena,
                                        testing_arena_free),
        cmocka_unit_test_setup_teardown(prints_a_table_with_the_sum_below, testing_arena,
                                        testing_arena_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
