/* Tests of kv2/float: numbers as Go's encoder prints a 64-bit float. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "engines/kv2/float.h"

static void numbers_become_the_shortest_text_of_their_float(void **state)
{
    static const struct { const char *in, *out; } cases[] = {
        { "0", "0" },
        { "-0", "-0" },
        { "42", "42" },
        { "-7", "-7" },
        { "1.0", "1" },
        { "1.50", "1.5" },
        { "100", "100" },
        { "1e2", "100" },
        { "123456789012345", "123456789012345" },
        { "9007199254740993", "9007199254740992" },
        { "12345678901234567890", "12345678901234567000" },
        { "1e20", "100000000000000000000" },
        { "1e21", "1e+21" },
        { "1.5e300", "1.5e+300" },
        { "0.1", "0.1" },
        { "0.30000000000000004", "0.30000000000000004" },
        { "0.000001", "0.000001" },
        { "0.0000001", "1e-7" },
        { "-1.25e-10", "-1.25e-10" },
        { "5e-324", "5e-324" },
        { "1.7976931348623157e308", "1.7976931348623157e+308" },
        { "1e-400", "0" },
        { "123.456", "123.456" },
    };
    AUTO(arena_drop) struct arena *a = arena_new();

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = { 0 };
        struct json *v = json_number(a, str_of(cases[i].in));
        assert_int_equal(kv2_float_numbers(a, v, &err), 0);
        if (!str_is(v->text, cases[i].out))
            fail_msg("%s became " STR_FMT, cases[i].in, STR_ARG(v->text));
    }
}

static void numbers_deep_inside_are_found(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf text = { 0 };
    struct err err = { 0 };
    struct json *v;

    assert_int_equal(json_parse_all(a, STR("{\"a\":[{\"b\":1.0}],\"c\":\"1.0\"}"), &v, &err), 0);
    assert_int_equal(kv2_float_numbers(a, v, &err), 0);
    json_print(v, &text);
    assert_true(str_is(buf_str(&text), "{\"a\":[{\"b\":1}],\"c\":\"1.0\"}"));
}

static void a_number_beyond_floats_is_refused_in_gos_words(void **state)
{
    static const char *const cases[] = { "1e400", "-1e309" };
    AUTO(arena_drop) struct arena *a = arena_new();

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = { 0 };
        char want[128];
        snprintf(want, sizeof want,
                 "json: cannot unmarshal number %s into Go value of type float64", cases[i]);
        assert_int_equal(kv2_float_numbers(a, json_number(a, str_of(cases[i])), &err), -1);
        assert_string_equal(err.msg, want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_become_the_shortest_text_of_their_float),
        cmocka_unit_test(numbers_deep_inside_are_found),
        cmocka_unit_test(a_number_beyond_floats_is_refused_in_gos_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
