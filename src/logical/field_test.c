/* Tests of field: conversions and their texts, as Vault's field schemas have them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "logical/testing.h"

static int serve(struct request *req, struct response *resp)
{
    return 1;
}

static const struct field fields[] = {
    { "text", FIELD_STRING, "none", NULL },
    { "lower", FIELD_LOWER, NULL, NULL },
    { "number", FIELD_INT, "7", NULL },
    { "flag", FIELD_BOOL, "true", NULL },
    { "time", FIELD_SECONDS, "1h", NULL },
    { "signed", FIELD_SIGNED_SECONDS, NULL, NULL },
    { "map", FIELD_MAP, NULL, NULL },
    { "pairs", FIELD_KV_PAIRS, NULL, NULL },
    { "list", FIELD_STRINGS, NULL, NULL },
    { "commas", FIELD_COMMA_STRINGS, "a,b", NULL },
    { "numbers", FIELD_COMMA_INTS, NULL, NULL },
    { "any", FIELD_ANY, NULL, NULL },
};

static const struct route routes[] = {
    { .pattern = "x", FIELDS(fields), .read = serve, .write = serve },
};

static const struct engine engine = { .type = "test", ROUTES(routes) };

static int set_up(void **state)
{
    static struct testing t;
    testing_open(&t, &engine);
    *state = &t;
    return 0;
}

static int tear_down(void **state)
{
    testing_close(*state);
    return 0;
}

static void give(struct testing *t, const char *json)
{
    testing_expect(t, OP_UPDATE, "x", json, NULL);
}

static void assert_text(struct str got, const char *want)
{
    assert_int_equal(got.n, strlen(want));
    assert_memory_equal(got.p, want, got.n);
}

static void texts_take_numbers_and_booleans(void **state)
{
    static const struct { const char *json, *text; } cases[] = {
        { "{\"text\":\"a b\"}", "a b" },
        { "{\"text\":1.50}", "1.50" },
        { "{\"text\":true}", "1" },
        { "{\"text\":false}", "0" },
        { "{\"text\":\"\"}", "" },
        { "{\"text\":null}", "none" },
        { "{}", "none" },
    };
    struct testing *t = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        give(t, cases[i].json);
        assert_text(field_str(&t->req, "text"), cases[i].text);
    }
    give(t, "{\"lower\":\"BoB\"}");
    assert_text(field_str(&t->req, "lower"), "bob");
}

static void numbers_are_read_as_go_reads_them(void **state)
{
    static const struct { const char *json; int64_t number; } cases[] = {
        { "{\"number\":12}", 12 },       { "{\"number\":-3}", -3 },
        { "{\"number\":\"12\"}", 12 },   { "{\"number\":\"0x10\"}", 16 },
        { "{\"number\":\"010\"}", 8 },   { "{\"number\":\"1_000\"}", 1000 },
        { "{\"number\":\"\"}", 0 },      { "{\"number\":true}", 1 },
        { "{\"number\":\"+5\"}", 5 },    { "{}", 7 },
        { "{\"number\":9223372036854775807}", INT64_MAX },
        { "{\"number\":-9223372036854775808}", INT64_MIN },
    };
    struct testing *t = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        give(t, cases[i].json);
        assert_int_equal(field_int(&t->req, "number"), cases[i].number);
    }
}

static void times_are_seconds(void **state)
{
    static const struct { const char *json; int64_t seconds; } cases[] = {
        { "{\"time\":90}", 90 },         { "{\"time\":\"90\"}", 90 },
        { "{\"time\":\"1h30m\"}", 5400 }, { "{\"time\":\"1500ms\"}", 1 },
        { "{\"time\":\"\"}", 0 },        { "{\"time\":null}", 3600 },
        { "{}", 3600 },
    };
    struct testing *t = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        give(t, cases[i].json);
        assert_int_equal(field_seconds(&t->req, "time"), cases[i].seconds);
    }
    give(t, "{\"signed\":\"-1m\"}");
    assert_int_equal(field_seconds(&t->req, "signed"), -60);
}

static void booleans_take_gos_words(void **state)
{
    static const struct { const char *json; bool flag; } cases[] = {
        { "{\"flag\":true}", true },    { "{\"flag\":\"t\"}", true },  { "{\"flag\":1}", true },
        { "{\"flag\":\"False\"}", false }, { "{\"flag\":\"\"}", false }, { "{}", true },
    };
    struct testing *t = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        give(t, cases[i].json);
        assert_int_equal(field_bool(&t->req, "flag"), cases[i].flag);
    }
}

static void lists_are_split_and_trimmed(void **state)
{
    static const struct { const char *name, *json, *joined; } cases[] = {
        { "commas", "{\"commas\":\"a, b ,,c\"}", "a|b||c" },
        { "commas", "{\"commas\":[\"a,b\",2,true,null]}", "a,b|2|1|" },
        { "commas", "{\"commas\":\"\"}", "" },
        { "commas", "{\"commas\":5}", "5" },
        { "commas", "{\"commas\":{}}", "" },
        { "commas", "{}", "a|b" },
        { "list", "{\"list\":\"a, b\"}", "a, b" },
        { "list", "{\"list\":[\" a \",\"b\"]}", "a|b" },
        { "list", "{}", "" },
    };
    struct testing *t = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        give(t, cases[i].json);
        struct strs list = field_strs(&t->req, cases[i].name);
        assert_text(strs_join(t->arena, &list, STR("|")), cases[i].joined);
    }
}

static void lists_of_numbers_may_be_texts(void **state)
{
    struct testing *t = *state;
    size_t n;

    give(t, "{\"numbers\":[\"1\",2]}");
    int64_t *v = field_ints(&t->req, "numbers", &n);
    assert_int_equal(n, 2);
    assert_int_equal(v[0] * 10 + v[1], 12);
    give(t, "{\"numbers\":\"3,4,5\"}");
    v = field_ints(&t->req, "numbers", &n);
    assert_int_equal(n, 3);
    assert_int_equal(v[2], 5);
    give(t, "{\"numbers\":6}");
    v = field_ints(&t->req, "numbers", &n);
    assert_int_equal(n, 1);
    assert_int_equal(v[0], 6);
    give(t, "{}");
    (void)field_ints(&t->req, "numbers", &n);
    assert_int_equal(n, 0);
}

static void assert_map(struct testing *t, const char *name, const char *want)
{
    AUTO(buf_free) struct buf b = { 0 };

    json_print(field_map(&t->req, name), &b);
    assert_text(buf_str(&b), want);
}

static void pairs_come_from_maps_and_lists(void **state)
{
    struct testing *t = *state;

    give(t, "{\"pairs\":{\"a\":1,\"b\":\"x\",\"c\":true}}");
    assert_map(t, "pairs", "{\"a\":\"1\",\"b\":\"x\",\"c\":\"1\"}");
    give(t, "{\"pairs\":[\"a=1\",\"b=x=y\"]}");
    assert_map(t, "pairs", "{\"a\":\"1\",\"b\":\"x=y\"}");
    give(t, "{\"pairs\":\"a=1\"}");
    assert_map(t, "pairs", "{\"a\":\"1\"}");
    give(t, "{\"map\":[{\"a\":1},{\"b\":2}]}");
    assert_map(t, "map", "{\"a\":1,\"b\":2}");
    give(t, "{\"map\":null}");
    assert_null(field_map(&t->req, "map"));
}

static void what_does_not_convert_is_told_in_vaults_words(void **state)
{
    static const struct { const char *json, *text; } cases[] = {
        { "{\"number\":1.5}",
          "error converting input 1.5 for field \"number\": cannot parse '' as int: "
          "strconv.ParseInt: parsing \"1.5\": invalid syntax" },
        { "{\"number\":\"99999999999999999999\"}",
          "error converting input 99999999999999999999 for field \"number\": cannot parse '' as "
          "int: strconv.ParseInt: parsing \"99999999999999999999\": value out of range" },
        { "{\"number\":\"0x\"}",
          "error converting input 0x for field \"number\": cannot parse '' as int: "
          "strconv.ParseInt: parsing \"0x\": invalid syntax" },
        { "{\"number\":[1,\"b\"]}",
          "error converting input [1 b] for field \"number\": '' expected type 'int', got "
          "unconvertible type '[]interface {}'" },
        { "{\"text\":{\"b\":1,\"a\":null}}",
          "error converting input map[a:<nil> b:1] for field \"text\": '' expected type 'string', "
          "got unconvertible type 'map[string]interface {}'" },
        { "{\"flag\":\"yes\"}",
          "error converting input yes for field \"flag\": cannot parse '' as bool: "
          "strconv.ParseBool: parsing \"yes\": invalid syntax" },
        { "{\"time\":\"-1s\"}",
          "error converting input -1s for field \"time\": cannot provide negative value '-1'" },
        { "{\"time\":\"soon\"}",
          "error converting input soon for field \"time\": strconv.ParseInt: parsing \"soon\": "
          "invalid syntax" },
        { "{\"time\":[]}",
          "error converting input [] for field \"time\": could not parse duration from input" },
        { "{\"map\":\"text\"}",
          "error converting input text for field \"map\": '' expected a map, got 'string'" },
        { "{\"map\":true}",
          "error converting input true for field \"map\": '' expected a map, got 'bool'" },
        { "{\"pairs\":[\"nothing\"]}",
          "error converting input [nothing] for field \"pairs\": invalid key pair \"nothing\"" },
        { "{\"commas\":[\"a\",{}]}",
          "error converting input [a map[]] for field \"commas\": 1 error(s) decoding:\n\n* '[1]' "
          "expected type 'string', got unconvertible type 'map[string]interface {}'" },
        { "{\"numbers\":\"1,x\"}",
          "error converting input 1,x for field \"numbers\": 1 error(s) decoding:\n\n* cannot "
          "parse '[1]' as int: strconv.ParseInt: parsing \"x\": invalid syntax" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        testing_refuse(*state, OP_UPDATE, "x", cases[i].json, ERR_INTERNAL, cases[i].text);
}

static void a_repeated_query_parameter_is_a_list_of_texts(void **state)
{
    testing_refuse(*state, OP_READ, "x", "{\"number\":[\"1\",\"2\"]}", ERR_INTERNAL,
                   "error converting input [1 2] for field \"number\": '' expected type 'int', got "
                   "unconvertible type '[]string'");
}

static void what_no_field_names_is_left_alone(void **state)
{
    struct testing *t = *state;

    give(t, "{\"other\":{\"a\":[1]},\"any\":[]}");
    assert_non_null(field_raw(&t->req, "other"));
    assert_true(field_given(&t->req, "any"));
    assert_false(field_given(&t->req, "text"));
    give(t, "{\"text\":null}");
    assert_false(field_given(&t->req, "text"));
    assert_non_null(field_raw(&t->req, "text"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_take_numbers_and_booleans),
        cmocka_unit_test(numbers_are_read_as_go_reads_them),
        cmocka_unit_test(times_are_seconds),
        cmocka_unit_test(booleans_take_gos_words),
        cmocka_unit_test(lists_are_split_and_trimmed),
        cmocka_unit_test(lists_of_numbers_may_be_texts),
        cmocka_unit_test(pairs_come_from_maps_and_lists),
        cmocka_unit_test(what_does_not_convert_is_told_in_vaults_words),
        cmocka_unit_test(a_repeated_query_parameter_is_a_list_of_texts),
        cmocka_unit_test(what_no_field_names_is_left_alone),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
