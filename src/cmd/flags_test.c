/* Tests of the flags: Go's rules for the command line. */
#include "cmd/testing.h"

#include <stdlib.h>

#include "cmd/flags.h"

static const struct flag table[] = {
    { .name = "force", .kind = FLAG_BOOL, .alias = "f", .help = "Force it." },
    { .name = "path", .kind = FLAG_STRING, .env = "FLAGS_TEST_PATH", .help = "Where." },
    { .name = "cas", .kind = FLAG_INT, .fallback = "-1", .help = "Version." },
    { .name = "ttl", .kind = FLAG_DURATION, .help = "How long." },
    { .name = "policy", .kind = FLAG_LIST, .help = "Policies." },
    { .name = "metadata", .kind = FLAG_MAP, .help = "Pairs." },
    { .name = "secret", .kind = FLAG_STRING, .hidden = true, .help = "Hidden." },
};
static const struct flag_group groups[] = { { "Options", table, ARRAY_LEN(table) } };

/* Split at blanks and parse. */
static int parse(struct arena *a, const char *line, struct flags **out, struct err *err)
{
    struct strs words = strs_split(a, str_of(line), ' ');
    char **argv = arena_array(a, words.n + 1, sizeof *argv);
    for (size_t i = 0; i < words.n; i++)
        argv[i] = arena_cstr(a, words.v[i]);
    return flags_parse(a, groups, 1, argv, words.n, out, err);
}

static void takes_every_way_to_write_a_flag(void **state)
{
    static const char *const lines[] = { "-path=x a b", "--path=x a b", "-path x a b",
                                         "--path x a b" };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct flags *f;
        print_message("  %s\n", lines[i]);
        assert_int_equal(parse(*state, lines[i], &f, NULL), 0);
        assert_true(str_is(flags_str(f, "path"), "x"));
        assert_true(flags_given(f, "path"));
        assert_int_equal(f->n_args, 2);
        assert_string_equal(f->args[0], "a");
    }
}

static void reads_each_kind_of_value(void **state)
{
    struct flags *f;
    assert_int_equal(parse(*state, "-f -cas=7 -ttl=1h30m -policy=a -policy=b -metadata=k=v=w", &f,
                           NULL), 0);
    assert_true(flags_bool(f, "force"));
    assert_int_equal(flags_int(f, "cas"), 7);
    assert_true(flags_ns(f, "ttl") == 5400LL * 1000000000);
    assert_int_equal(flags_list(f, "policy").n, 2);
    assert_true(str_is(json_get_str(flags_map(f, "metadata"), "k"), "v=w"));
}

static void counts_a_duration_without_unit_in_seconds(void **state)
{
    struct flags *f;
    assert_int_equal(parse(*state, "-ttl=90", &f, NULL), 0);
    assert_true(flags_ns(f, "ttl") == 90LL * 1000000000);
}

static void stops_at_the_first_argument(void **state)
{
    struct flags *f;
    assert_int_equal(parse(*state, "a -force", &f, NULL), 0);
    assert_false(flags_bool(f, "force"));
    assert_int_equal(f->n_args, 2);
}

static void stops_at_two_dashes(void **state)
{
    struct flags *f;
    assert_int_equal(parse(*state, "-force -- -path", &f, NULL), 0);
    assert_int_equal(f->n_args, 1);
    assert_string_equal(f->args[0], "-path");
}

static void takes_a_single_dash_as_an_argument(void **state)
{
    struct flags *f;
    assert_int_equal(parse(*state, "-force -", &f, NULL), 0);
    assert_int_equal(f->n_args, 1);
}

static void falls_back_on_default_and_environment(void **state)
{
    struct flags *f;
    setenv("FLAGS_TEST_PATH", "from-env", 1);
    assert_int_equal(parse(*state, "a", &f, NULL), 0);
    assert_int_equal(flags_int(f, "cas"), -1);
    assert_true(str_is(flags_str(f, "path"), "from-env"));
    assert_false(flags_given(f, "path"));
    assert_int_equal(parse(*state, "-path=flag a", &f, NULL), 0);
    assert_true(str_is(flags_str(f, "path"), "flag"));
    unsetenv("FLAGS_TEST_PATH");
}

static void refuses_with_the_words_of_go(void **state)
{
    static const struct {
        const char *line, *text;
    } cases[] = {
        { "-nosuch a", "flag provided but not defined: -nosuch" },
        { "-path", "flag needs an argument: -path" },
        { "-force=maybe", "invalid boolean value \"maybe\" for -force: parse error" },
        { "-cas=x", "invalid value \"x\" for flag -cas: parse error" },
        { "-metadata=x", "invalid value \"x\" for flag -metadata: missing = in KV pair: \"x\"" },
        { "---x", "bad flag syntax: ---x" },
        { "-=x", "bad flag syntax: -=x" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct flags *f;
        struct err err = { 0 };
        assert_int_equal(parse(*state, cases[i].line, &f, &err), -1);
        assert_string_equal(err.msg, cases[i].text);
    }
}

static void refuses_a_bad_duration(void **state)
{
    struct flags *f;
    struct err err = { 0 };
    assert_int_equal(parse(*state, "-ttl=soon", &f, &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
}

static void helps_sorted_and_without_hidden_flags(void **state)
{
    AUTO(buf_free) struct buf out = { 0 };
    flags_help(groups, 1, &out);
    struct str text = buf_str(&out);
    assert_true(str_find(text, STR("  -cas=<int>\n      Version. The default is -1.\n")) >= 0);
    assert_true(str_find(text, STR("-cas")) < str_find(text, STR("-force")));
    assert_true(str_find(text, STR("-secret")) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTING_TEST(takes_every_way_to_write_a_flag),
        TESTING_TEST(reads_each_kind_of_value),
        TESTING_TEST(counts_a_duration_without_unit_in_seconds),
        TESTING_TEST(stops_at_the_first_argument),
        TESTING_TEST(stops_at_two_dashes),
        TESTING_TEST(takes_a_single_dash_as_an_argument),
        TESTING_TEST(falls_back_on_default_and_environment),
        TESTING_TEST(refuses_with_the_words_of_go),
        TESTING_TEST(refuses_a_bad_duration),
        TESTING_TEST(helps_sorted_and_without_hidden_flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
