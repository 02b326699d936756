/* Tests of JSON: reading, writing, making and changing trees. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <pthread.h>

#include "codec/json.h"

static struct arena *arena_of(void **state)
{
    return *state;
}

static int new_arena(void **state)
{
    *state = arena_new();
    return *state == NULL;
}

static int drop_arena(void **state)
{
    arena_free(*state);
    return 0;
}

static struct json *parsed(void **state, struct str text)
{
    struct json *v = NULL;
    struct err err = { 0 };
    int result = json_parse_all(arena_of(state), text, &v, &err);
    if (result != 0)
        fail_msg("%s: " STR_FMT, err.msg, STR_ARG(text));
    return v;
}

static void assert_text(struct str got, const char *want)
{
    if (!str_is(got, want))
        fail_msg("got " STR_FMT ", want %s", STR_ARG(got), want);
}

static void assert_prints(const struct json *v, const char *want)
{
    AUTO(buf_free) struct buf b = { 0 };
    json_print(v, &b);
    assert_false(b.failed);
    assert_text(buf_str(&b), want);
}

/* ----------------------------------------------------------------- reading */

static void what_it_reads_it_writes_sorted(void **state)
{
    static const char *const cases[][2] = {
        { "null", "null" },
        { " true ", "true" },
        { "false", "false" },
        { "\"\"", "\"\"" },
        { "[]", "[]" },
        { "{}", "{}" },
        { "[ 1 , [ ] , { } , null ]", "[1,[],{},null]" },
        { "{\"b\":1,\"a\":{\"d\":[],\"c\":2},\"\":0}",
          "{\"\":0,\"a\":{\"c\":2,\"d\":[]},\"b\":1}" },
        { "{\"abcdefghi\":1,\"abcdefgh\":2,\"abcdefgha\":3}",
          "{\"abcdefgh\":2,\"abcdefgha\":3,\"abcdefghi\":1}" },
        { "{\"\xC3\xA9\":1,\"z\":2}", "{\"z\":2,\"\xC3\xA9\":1}" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_prints(parsed(state, str_of(cases[i][0])), cases[i][1]);
}

static void numbers_keep_their_text(void **state)
{
    static const char *const cases[] = { "0", "-0", "1e400", "-1.50E+0003", "0.10", "1E-7",
                                         "123456789012345678901234567890.000" };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_prints(parsed(state, str_of(cases[i])), cases[i]);
}

static void strings_lose_their_escapes(void **state)
{
    static const struct {
        const char *text;
        struct str bytes;
    } cases[] = {
        { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", STR_INIT("\"\\/\b\f\n\r\t") },
        { "\"a\\u0000b\"", STR_INIT("a\0b") },
        { "\"\\u00e9\\u20AC\"", STR_INIT("\xC3\xA9\xE2\x82\xAC") },
        { "\"\\ud83d\\ude00\"", STR_INIT("\xF0\x9F\x98\x80") },
        { "\"twenty plain characters\\u0021 and then more of them\"",
          STR_INIT("twenty plain characters! and then more of them") },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_true(str_eq(parsed(state, str_of(cases[i].text))->text, cases[i].bytes));
}

static void what_is_not_unicode_becomes_the_replacement_character(void **state)
{
#define FFFD "\xEF\xBF\xBD"
    static const struct {
        const char *text;
        const char *bytes;
    } cases[] = {
        { "\"\\ud800\"", FFFD },
        { "\"\\udc00x\"", FFFD "x" },
        { "\"\\ud800\\ud83d\\ude00\"", FFFD "\xF0\x9F\x98\x80" },
        { "\"\\ud800\\n\"", FFFD "\n" },
        { "\"\\ud800\\u0041\"", FFFD "A" },
        { "\"\xFF\"", FFFD },
        { "\"a\xC3\"", "a" FFFD },
        { "\"\xC0\xAF\"", FFFD FFFD },
        { "\"\xED\xA0\x80\"", FFFD FFFD FFFD },
        { "\"\xF4\x90\x80\x80\"", FFFD FFFD FFFD FFFD },
        { "\"\xE2\x82\"", FFFD FFFD },
        { "\"\xF0\x9F\x98\x80\xE2\x82\xAC\"", "\xF0\x9F\x98\x80\xE2\x82\xAC" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_text(parsed(state, str_of(cases[i].text))->text, cases[i].bytes);
}

static void plain_strings_are_borrowed(void **state)
{
    static const char text[] = "[\"no copy is made of these\"]";
    const struct json *v = json_first(parsed(state, str_of(text)));
    assert_ptr_equal(v->text.p, text + 2);
}

static void a_special_byte_is_found_at_every_place(void **state)
{
    for (size_t n = 0; n < 70; n++) {
        char text[80];
        memset(text, 'x', sizeof text);
        text[0] = '"';
        text[n + 1] = '\\';
        text[n + 2] = 'n';
        text[n + 3] = '"';
        struct json *v = parsed(state, str_mem(text, n + 4));
        assert_int_equal(v->text.n, n + 1);
        assert_int_equal(v->text.p[n], '\n');
        text[n + 1] = '\x1F';
        assert_int_equal(json_parse_all(arena_of(state), str_mem(text, n + 4), &v, NULL), -1);
    }
}

static void the_last_of_equal_members_wins(void **state)
{
    assert_prints(parsed(state, STR("{\"a\":1,\"b\":2,\"a\":{\"x\":3},\"\\u0061\":4}")),
                  "{\"a\":4,\"b\":2}");
    const struct json *v = parsed(state, STR("{\"k\":[1],\"k\":null}"));
    assert_int_equal(v->count, 1);
    assert_ptr_equal(v->first, v->last);
    assert_int_equal(v->first->type, JSON_NULL);
}

static void equal_members_of_large_objects_are_united_too(void **state)
{
    AUTO(buf_free) struct buf b = { 0 };
    enum { NAMES = 5000, ROUNDS = 3 };
    for (int i = 0; i < NAMES * ROUNDS; i++)
        buf_printf(&b, "%c\"member%d\":%d", i == 0 ? '{' : ',', i * 7 % NAMES, i);
    buf_byte(&b, '}');
    const struct json *v = parsed(state, buf_str(&b));
    assert_int_equal(v->count, NAMES);
    size_t n = 0;
    for (const struct json *m = json_first(v); m != NULL; m = m->next, n++) {
        int64_t value;
        assert_true(json_to_i64(m, &value));
        assert_true(value >= NAMES * (ROUNDS - 1));
        if (m->next == NULL)
            assert_ptr_equal(m, v->last);
    }
    assert_int_equal(n, NAMES);
}

static void large_objects_are_written_sorted_and_stay_as_they_were(void **state)
{
    struct arena *a = arena_of(state);
    struct json *v = json_object(a);
    AUTO(buf_free) struct buf want = { 0 };
    for (int i = 0; i < 1000; i++)
        json_append(v, arena_printf(a, "k%04d", i * 333 % 1000), json_int(a, i * 333 % 1000));
    for (int i = 0; i < 1000; i++)
        buf_printf(&want, "%c\"k%04d\":%d", i == 0 ? '{' : ',', i, i);
    buf_byte(&want, '}');
    buf_byte(&want, 0);
    assert_prints(v, want.p);
    assert_text(v->first->next->key, "k0333");
}

static void only_the_first_value_is_taken(void **state)
{
    struct json *v;
    size_t used;
    assert_int_equal(json_parse(arena_of(state), STR(" {\"a\":1} trailing"), &v, &used, NULL), 0);
    assert_int_equal(used, 8);
    assert_int_equal(json_parse(arena_of(state), STR("12 13"), &v, &used, NULL), 0);
    assert_int_equal(used, 2);
    assert_int_equal(json_parse(arena_of(state), STR("[1]"), &v, NULL, NULL), 0);
}

static void a_refusal_reads_as_that_of_gos_unmarshal(void **state)
{
    static const char *const cases[][2] = {
        { "", "unexpected end of JSON input" },
        { " ", "unexpected end of JSON input" },
        { "[1", "unexpected end of JSON input" },
        { "{\"a\"", "unexpected end of JSON input" },
        { "\"abc", "unexpected end of JSON input" },
        { "\"\\", "invalid character ' ' in string escape code" },
        { "\"\\u12", "invalid character ' ' in \\u hexadecimal character escape" },
        { "-", "invalid character ' ' in numeric literal" },
        { "1.", "invalid character ' ' after decimal point in numeric literal" },
        { "1e+", "invalid character ' ' in exponent of numeric literal" },
        { "tru", "invalid character ' ' in literal true (expecting 'e')" },
        { "{n", "invalid character 'n' looking for beginning of object key string" },
        { "{\"a\":1,}", "invalid character '}' looking for beginning of object key string" },
        { "[1,]", "invalid character ']' looking for beginning of value" },
        { "'a'", "invalid character '\\'' looking for beginning of value" },
        { "\xEF\xBB\xBF{}", "invalid character '\xC3\xAF' looking for beginning of value" },
        { "{\"a\" 1}", "invalid character '1' after object key" },
        { "{\"a\":1 \"b\"", "invalid character '\"' after object key:value pair" },
        { "[1 2]", "invalid character '2' after array element" },
        { "[01]", "invalid character '1' after array element" },
        { "01", "invalid character '1' after top-level value" },
        { "{} x", "invalid character 'x' after top-level value" },
        { "[1}", "invalid character '}' after array element" },
        { "-x", "invalid character 'x' in numeric literal" },
        { "+1", "invalid character '+' looking for beginning of value" },
        { "[1.]", "invalid character ']' after decimal point in numeric literal" },
        { "[1e]", "invalid character ']' in exponent of numeric literal" },
        { "nul ", "invalid character ' ' in literal null (expecting 'l')" },
        { "falsy", "invalid character 'y' in literal false (expecting 'e')" },
        { "\"\n\"", "invalid character '\\n' in string literal" },
        { "\"\x01\"", "invalid character '\\x01' in string literal" },
        { "\"\\x\"", "invalid character 'x' in string escape code" },
        { "\"\\u12g4\"", "invalid character 'g' in \\u hexadecimal character escape" },
        { "\x7F", "invalid character '\\x7f' looking for beginning of value" },
        { "\\", "invalid character '\\\\' looking for beginning of value" },
        { "\x80", "invalid character '\\u0080' looking for beginning of value" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct json *v = NULL;
        struct err err = { 0 };
        assert_int_equal(json_parse_all(arena_of(state), str_of(cases[i][0]), &v, &err), -1);
        assert_string_equal(err.msg, cases[i][1]);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
        assert_null(v);
    }
}

static void a_cut_value_reads_as_that_of_gos_decoder(void **state)
{
    static const struct {
        const char *text, *message;
        size_t used;
    } cases[] = {
        { "", "EOF", 0 },
        { " \n", "EOF", 2 },
        { "{", "unexpected EOF", 1 },
        { "\"", "unexpected EOF", 1 },
        { "[1,", "unexpected EOF", 3 },
        { "nul", "unexpected EOF", 3 },
        { "\"\\u12", "unexpected EOF", 5 },
        { "[1,x", "invalid character 'x' looking for beginning of value", 3 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct json *v = NULL;
        struct err err = { 0 };
        size_t used = 99;
        assert_int_equal(json_parse(arena_of(state), str_of(cases[i].text), &v, &used, &err), -1);
        assert_string_equal(err.msg, cases[i].message);
        assert_int_equal(used, cases[i].used);
    }
}

static void a_nul_ends_nothing(void **state)
{
    struct json *v;
    struct err err = { 0 };
    assert_int_equal(json_parse_all(arena_of(state), str_mem("\"\\\0\"", 4), &v, &err), -1);
    assert_string_equal(err.msg, "invalid character '\\x00' in string escape code");
}

static void nested(struct buf *b, size_t depth)
{
    for (size_t i = 0; i < depth; i++)
        buf_add(b, i % 2 == 0 ? STR("[") : STR("{\"a\":"));
    buf_byte(b, '1');
    while (depth-- > 0)
        buf_byte(b, depth % 2 == 0 ? ']' : '}');
}

static void ten_thousand_levels_are_the_most(void **state)
{
    AUTO(buf_free) struct buf fits = { 0 }, deep = { 0 }, out = { 0 };
    struct json *v;
    struct err err = { 0 };
    nested(&fits, 10000);
    nested(&deep, 10001);
    assert_int_equal(json_parse_all(arena_of(state), buf_str(&fits), &v, NULL), 0);
    json_print(v, &out);
    assert_true(str_eq(buf_str(&out), buf_str(&fits)));
    assert_true(json_equal(v, json_copy(arena_of(state), v)));
    assert_int_equal(json_parse_all(arena_of(state), buf_str(&deep), &v, &err), -1);
    assert_string_equal(err.msg, "invalid character '[' exceeded max depth");
}

static void *copy_and_print(void *ctx)
{
    struct json *v = ctx;
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf out = { 0 };
    json_print(json_copy(a, v), &out);
    return out.n > 0 && !out.failed ? v : NULL;
}

static void the_deepest_tree_is_copied_on_a_small_stack(void **state)
{
    AUTO(buf_free) struct buf deep = { 0 };
    struct json *v;
    pthread_attr_t attr;
    pthread_t thread;
    void *done = NULL;
    nested(&deep, 10000);
    assert_int_equal(json_parse_all(arena_of(state), buf_str(&deep), &v, NULL), 0);
    assert_int_equal(pthread_attr_init(&attr), 0);
    assert_int_equal(pthread_attr_setstacksize(&attr, 128 * 1024), 0);
    assert_int_equal(pthread_create(&thread, &attr, copy_and_print, v), 0);
    assert_int_equal(pthread_join(thread, &done), 0);
    pthread_attr_destroy(&attr);
    assert_ptr_equal(done, v);
}

/* ----------------------------------------------------------------- writing */

static void strings_are_escaped_as_go_escapes_them(void **state)
{
    static const struct {
        struct str bytes;
        const char *text;
    } cases[] = {
        { { NULL, 0 }, "\"\"" },
        { STR_INIT("<a href=\"x\">&'\\/"), "\"\\u003ca href=\\\"x\\\"\\u003e\\u0026'\\\\/\"" },
        { STR_INIT("\b\f\n\r\t\0\x1F\x7F"), "\"\\u0008\\u000c\\n\\r\\t\\u0000\\u001f\x7F\"" },
        { STR_INIT("\xE2\x80\xA8\xE2\x80\xA9\xE2\x80\xAA"), "\"\\u2028\\u2029\xE2\x80\xAA\"" },
        { STR_INIT("a\xFF\xC3(\xEF\xBF\xBD"), "\"a\\ufffd\\ufffd(\xEF\xBF\xBD\"" },
        { STR_INIT("a long run of plain bytes, then <"),
          "\"a long run of plain bytes, then \\u003c\"" },
        { STR_INIT(":=?@';%#!][}{|~^_`"), "\":=?@';%#!][}{|~^_`\"" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(buf_free) struct buf b = { 0 };
        json_print_string(cases[i].bytes, &b);
        assert_text(buf_str(&b), cases[i].text);
        assert_prints(json_str(arena_of(state), cases[i].bytes), cases[i].text);
    }
}

static void every_ascii_byte_is_written_alike_at_every_place(void **state)
{
    for (int c = 1; c < 128; c++) {
        char text[40];
        memset(text, 'x', sizeof text);
        text[3] = text[20] = text[39] = (char)c;
        AUTO(buf_free) struct buf one = { 0 }, whole = { 0 }, want = { 0 };
        json_print_string(str_mem(text + 3, 1), &one);
        struct str inner = { one.p + 1, one.n - 2 };
        buf_printf(&want,
                   "\"xxx" STR_FMT "xxxxxxxxxxxxxxxx" STR_FMT "xxxxxxxxxxxxxxxxxx" STR_FMT "\"",
                   STR_ARG(inner), STR_ARG(inner), STR_ARG(inner));
        json_print_string(str_mem(text, sizeof text), &whole);
        assert_true(str_eq(buf_str(&whole), buf_str(&want)));
    }
}

static void pretty_text_is_indented_and_not_html_escaped(void **state)
{
    AUTO(buf_free) struct buf b = { 0 };
    const struct json *v =
        parsed(state, STR("{\"b\":[1,{\"x\":\"<&>\\u2028\"}],\"a\":{},\"c\":[]}"));
    json_print_pretty(v, 2, &b);
    assert_text(buf_str(&b),
                "{\n  \"a\": {},\n  \"b\": [\n    1,\n    {\n      \"x\": \"<&>\\u2028\"\n"
                "    }\n  ],\n  \"c\": []\n}");
}

static void members_keep_their_order_on_demand(void **state)
{
    struct arena *a = arena_of(state);
    struct json *v = json_object(a);
    v->keep_order = true;
    json_put_int(v, "z", 1);
    json_put_int(v, "a", 2);
    assert_prints(v, "{\"z\":1,\"a\":2}");
    AUTO(buf_free) struct buf b = { 0 };
    json_print_pretty(v, 1, &b);
    assert_text(buf_str(&b), "{\n \"z\": 1,\n \"a\": 2\n}");
}

static void text_is_appended_to_what_is_there(void **state)
{
    AUTO(buf_free) struct buf b = { 0 };
    buf_add(&b, STR("x="));
    json_print(parsed(state, STR("[1]")), &b);
    json_print(NULL, &b);
    assert_text(buf_str(&b), "x=[1]null");
}

/* ------------------------------------------------------- making and changing */

static void a_tree_can_be_built(void **state)
{
    struct arena *a = arena_of(state);
    struct json *v = json_object(a), *list = json_put_array(v, "list");
    json_put_null(v, "nothing");
    json_put_bool(v, "yes", true);
    json_put_int(v, "least", INT64_MIN);
    json_put(v, "most", json_uint(a, UINT64_MAX));
    json_put_text(v, "text", "t");
    json_put(v, "raw", json_raw(a, STR("{ }")));
    json_put(v, "number", json_number(a, STR("1e3")));
    json_put_text(json_put_object(v, "inner"), "k", "v");
    json_add_str(list, STR("s"));
    json_put_int(json_add_object(list), "n", 0);
    assert_prints(v, "{\"inner\":{\"k\":\"v\"},\"least\":-9223372036854775808,"
                     "\"list\":[\"s\",{\"n\":0}],\"most\":18446744073709551615,\"nothing\":null,"
                     "\"number\":1e3,\"raw\":{ },\"text\":\"t\",\"yes\":true}");
}

static void a_member_is_replaced_in_its_place(void **state)
{
    struct json *v = json_object(arena_of(state));
    v->keep_order = true;
    json_put_int(v, "a", 1);
    json_put_int(v, "b", 2);
    json_put_int(v, "a", 3);
    json_put_int(v, "b", 4);
    json_put_int(v, "c", 5);
    json_put(v, "c", json_member(v, "c"));
    assert_prints(v, "{\"a\":3,\"b\":4,\"c\":5}");
    assert_int_equal(v->count, 3);
}

static void members_can_be_taken_out(void **state)
{
    struct json *v = parsed(state, STR("{\"a\":1,\"b\":2,\"c\":3}"));
    assert_null(json_remove(v, STR("x")));
    assert_prints(json_remove(v, STR("c")), "3");
    json_put_int(v, "d", 4);
    assert_prints(json_remove(v, STR("a")), "1");
    assert_prints(v, "{\"b\":2,\"d\":4}");
    assert_non_null(json_remove(v, STR("b")));
    assert_non_null(json_remove(v, STR("d")));
    assert_null(v->last);
    json_put_int(v, "e", 5);
    assert_prints(v, "{\"e\":5}");
}

static void absent_things_are_ignored(void **state)
{
    struct arena *a = arena_of(state);
    struct json *list = json_array(a), *object = json_object(a);
    json_put_int(NULL, "a", 1);
    json_put_text(NULL, "a", "b");
    json_put(object, "a", NULL);
    json_append(NULL, STR("a"), NULL);
    json_add(list, NULL);
    json_add(NULL, json_null(a));
    json_put_int(list, "a", 1);
    json_add(object, json_null(a));
    assert_null(json_put_object(NULL, "a"));
    assert_null(json_add_object(NULL));
    assert_null(json_remove(NULL, STR("a")));
    assert_null(json_copy(a, NULL));
    assert_prints(list, "[]");
    assert_prints(object, "{}");
}

static void a_copy_shares_nothing(void **state)
{
    static const char text[] = "{\"k\":[\"borrowed\",1e9,{\"x\":true}],\"l\":\"s\"}";
    char source[sizeof text];
    memcpy(source, text, sizeof text);
    struct json *copy = json_copy(arena_of(state), parsed(state, str_mem(source, sizeof text - 1)));
    memset(source, 'x', sizeof source);
    assert_prints(copy, text);
}

static void members_are_read_by_type(void **state)
{
    const struct json *v = parsed(
        state, STR("{\"s\":\"x\",\"n\":-5,\"b\":true,\"f\":1.0,\"big\":9223372036854775808}"));
    assert_text(json_get_str(v, "s"), "x");
    assert_text(json_get_str(v, "n"), "");
    assert_int_equal(json_get_int(v, "n", 9), -5);
    assert_int_equal(json_get_int(v, "s", 9), 9);
    assert_int_equal(json_get_int(v, "f", 9), 9);
    assert_int_equal(json_get_int(v, "big", 9), 9);
    assert_true(json_get_bool(v, "b", false));
    assert_true(json_get_bool(v, "absent", true));
    assert_null(json_get(json_member(v, "s"), STR("x")));
    assert_null(json_member(NULL, "x"));
}

static void doubles_are_read_when_they_fit(void **state)
{
    double d = 0;
    assert_true(json_to_double(parsed(state, STR("-1.5e2")), &d));
    assert_true(d == -150);
    assert_false(json_to_double(parsed(state, STR("1e400")), &d));
    assert_false(json_to_double(parsed(state, STR("\"1\"")), &d));
    assert_false(json_to_double(NULL, &d));
    assert_false(json_to_double(json_number(arena_of(state), STR("1x")), &d));
}

static void equality_ignores_the_order_of_members_alone(void **state)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } cases[] = {
        { "{\"a\":1,\"b\":[2]}", "{\"b\":[2],\"a\":1}", true },
        { "{\"a\":1,\"b\":2}", "{\"b\":1,\"a\":2}", false },
        { "{\"a\":1}", "{\"b\":1}", false },
        { "{\"a\":1}", "{\"a\":1,\"b\":1}", false },
        { "[1,2]", "[2,1]", false },
        { "[]", "{}", false },
        { "1", "1.0", false },
        { "\"1\"", "1", false },
        { "true", "false", false },
        { "null", "null", true },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(
            json_equal(parsed(state, str_of(cases[i].a)), parsed(state, str_of(cases[i].b))),
            cases[i].equal);
    assert_false(json_equal(NULL, json_null(arena_of(state))));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, new_arena, drop_arena)

/* Short strings are looked at in one piece, with the ends overlapping: every place counts. */
static void a_short_string_is_escaped_wherever_its_odd_byte_stands(void **state)
{
    static const char fill[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    static const struct { char odd; const char *text; } cases[] = {
        { '"', "\\\"" },      { '\\', "\\\\" },    { '<', "\\u003c" },
        { '>', "\\u003e" },   { '&', "\\u0026" },   { '\n', "\\n" },
        { 1, "\\u0001" },     { (char)0xff, "\\ufffd" }, { 'b', "b" },
    };
    for (size_t n = 1; n < sizeof fill; n++) {
        for (size_t i = 0; i < n * ARRAY_LEN(cases); i++) {
            AUTO(buf_free) struct buf out = { 0 };
            char text[sizeof fill], want[2 * sizeof fill + 16];
            size_t at = i % n;
            memcpy(text, fill, n);
            text[at] = cases[i / n].odd;
            snprintf(want, sizeof want, "\"%.*s%s%.*s\"", (int)at, fill, cases[i / n].text,
                     (int)(n - 1 - at), fill);
            json_print_string((struct str){ text, n }, &out);
            assert_int_equal(out.n, strlen(want));
            assert_memory_equal(out.p, want, out.n);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_short_string_is_escaped_wherever_its_odd_byte_stands),
        TEST(what_it_reads_it_writes_sorted),
        TEST(numbers_keep_their_text),
        TEST(strings_lose_their_escapes),
        TEST(what_is_not_unicode_becomes_the_replacement_character),
        TEST(plain_strings_are_borrowed),
        TEST(a_special_byte_is_found_at_every_place),
        TEST(the_last_of_equal_members_wins),
        TEST(equal_members_of_large_objects_are_united_too),
        TEST(large_objects_are_written_sorted_and_stay_as_they_were),
        TEST(only_the_first_value_is_taken),
        TEST(a_refusal_reads_as_that_of_gos_unmarshal),
        TEST(a_cut_value_reads_as_that_of_gos_decoder),
        TEST(a_nul_ends_nothing),
        TEST(ten_thousand_levels_are_the_most),
        TEST(the_deepest_tree_is_copied_on_a_small_stack),
        TEST(the_deepest_tree_is_copied_on_a_small_stack),
        TEST(strings_are_escaped_as_go_escapes_them),
        TEST(every_ascii_byte_is_written_alike_at_every_place),
        TEST(pretty_text_is_indented_and_not_html_escaped),
        TEST(members_keep_their_order_on_demand),
        TEST(text_is_appended_to_what_is_there),
        TEST(a_tree_can_be_built),
        TEST(a_member_is_replaced_in_its_place),
        TEST(members_can_be_taken_out),
        TEST(absent_things_are_ignored),
        TEST(a_copy_shares_nothing),
        TEST(members_are_read_by_type),
        TEST(doubles_are_read_when_they_fit),
        TEST(equality_ignores_the_order_of_members_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
