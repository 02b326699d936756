/* Tests of the flags of "server". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "server/options.h"

static int parse(struct arena *a, const char *const *words, size_t n, struct options *o,
                 struct err *err)
{
    char *argv[8] = { (char *)"server" };
    for (size_t i = 0; i < n; i++)
        argv[i + 1] = (char *)words[i];
    return options_parse(a, (int)n + 1, argv, o, err);
}

static void reads_every_kind_of_flag(void **state)
{
    static const char *const words[] = { "-config=a.hcl", "--config", "b", "-recovery",
                                         "-log-level=debug", "-dev-kv-v1=false" };
    AUTO(arena_drop) struct arena *a = arena_new();
    struct options o;
    struct err err = { 0 };
    assert_int_equal(parse(a, words, ARRAY_LEN(words), &o, &err), 0);
    assert_int_equal(o.config_paths.n, 2);
    assert_true(str_is(o.config_paths.v[1], "b"));
    assert_true(o.recovery && !o.dev && !o.dev_kv_v1);
    assert_true(str_is(o.log_level, "debug"));
}

static void recovery_is_off_unless_asked_for(void **state)
{
    static const struct {
        const char *word;
        bool on;
    } cases[] = { { "-recovery", true }, { "-recovery=true", true }, { "--recovery=1", true },
                  { "-recovery=false", false }, { "-config=x", false } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_drop) struct arena *a = arena_new();
        struct options o;
        struct err err = { 0 };
        assert_int_equal(parse(a, &cases[i].word, 1, &o, &err), 0);
        assert_int_equal(o.recovery, cases[i].on);
    }
}

static void refuses_what_is_no_flag_of_the_server(void **state)
{
    static const struct {
        const char *word, *reason;
    } cases[] = { { "-recovery=perhaps", "invalid boolean value" },
                  { "-recover", "flag provided but not defined" },
                  { "-config", "flag needs an argument" },
                  { "file.hcl", "too many arguments" } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_drop) struct arena *a = arena_new();
        struct options o;
        struct err err = { 0 };
        print_message("  %s\n", cases[i].word);
        assert_int_equal(parse(a, &cases[i].word, 1, &o, &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
        assert_non_null(strstr(err.msg, cases[i].reason));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_kind_of_flag),
        cmocka_unit_test(recovery_is_off_unless_asked_for),
        cmocka_unit_test(refuses_what_is_no_flag_of_the_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
