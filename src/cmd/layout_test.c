/* Tests of tables, texts, durations, YAML and the layout of HCL. */
#include "cmd/testing.h"

#include "cmd/hcl_layout.h"
#include "cmd/pgp_keys.h"
#include "cmd/table.h"
#include "cmd/text.h"
#include "cmd/token_helper.h"
#include "cmd/yaml.h"

/* ---- table ---- */

static void pads_columns_and_underlines_the_header(void **state)
{
    struct table t = { .arena = *state };
    AUTO(buf_free) struct buf out = { 0 };
    table_key_value(&t);
    table_pair(&t, "longer name", "%d", 1);
    table_pair(&t, "x", "%s", "");
    table_print(&t, true, &out);
    testing_is(&out, "Key            Value\n"
                     "---            -----\n"
                     "longer name    1\n"
                     "x              n/a\n");
}

static void measures_characters_not_bytes(void **state)
{
    struct table t = { .arena = *state };
    AUTO(buf_free) struct buf out = { 0 };
    table_pair(&t, "∞", "1");
    table_pair(&t, "ab", "2");
    table_print(&t, false, &out);
    testing_is(&out, "∞     1\nab    2\n");
}

static void prints_nothing_for_no_rows(void **state)
{
    struct table t = { .arena = *state };
    AUTO(buf_free) struct buf out = { 0 };
    table_print(&t, true, &out);
    assert_int_equal(out.n, 0);
}

/* ---- text ---- */

static void drops_zero_parts_of_durations(void **state)
{
    static const struct {
        int64_t seconds;
        const char *text;
    } cases[] = { { 0, "0s" },      { 59, "59s" },      { 1800, "30m" },      { 3600, "1h" },
                  { 5400, "1h30m" }, { 3601, "1h1s" }, { 2764800, "768h" } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str got = text_duration(*state, cases[i].seconds);
        print_message("  " STR_FMT "\n", STR_ARG(got));
        assert_true(str_is(got, cases[i].text));
    }
}

static void prints_values_as_go_does(void **state)
{
    static const struct {
        const char *json, *text;
    } cases[] = {
        { "{\"x\":[1,\"two\"],\"a\":null}", "map[a:<nil> x:[1 two]]" },
        { "[]", "[]" }, { "null", "<nil>" }, { "true", "true" }, { "1e400", "1e400" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(buf_free) struct buf out = { 0 };
        text_value(testing_json(*state, cases[i].json), &out);
        testing_is(&out, cases[i].text);
    }
}

static void wraps_at_spaces_only(void **state)
{
    AUTO(buf_free) struct buf out = { 0 };
    AUTO(buf_free) struct buf in = { 0 };
    for (int i = 0; i < 20; i++)
        buf_add(&in, STR("word "));
    for (int i = 0; i < 100; i++)
        buf_byte(&in, 'x');
    text_wrap(buf_str(&in), 2, &out);
    struct str rest = buf_str(&out), line;
    size_t lines = 0;
    while (str_next(&rest, '\n', &line)) {
        assert_true(str_starts(line, STR("  ")));
        assert_true(line.n <= 78 || str_find_byte(str_from(line, 2), ' ') < 0);
        lines++;
    }
    assert_int_equal(lines, 3);
}

/* ---- yaml ---- */

static void check_yaml(void **state, const char *json, const char *want)
{
    AUTO(buf_free) struct buf out = { 0 };
    print_message("  %s\n", json);
    yaml_print(testing_json(*state, json), &out);
    testing_is(&out, want);
}

static void prints_nested_yaml(void **state)
{
    check_yaml(state, "{\"b\":{\"k\":1},\"a\":[\"x\",{\"m\":1,\"n\":[2]},[]],\"e\":{}}",
               "a:\n- x\n- m: 1\n  \"n\":\n  - 2\n- []\nb:\n  k: 1\ne: {}\n");
    check_yaml(state, "[\"a\"]", "- a\n");
    check_yaml(state, "{}", "{}\n");
}

static void quotes_what_would_be_read_as_something_else(void **state)
{
    static const struct {
        const char *text, *yaml;
    } cases[] = {
        { "1", "\"1\"" },         { "1.5", "\"1.5\"" },     { "0x1f", "\"0x1f\"" },
        { "yes", "\"yes\"" },     { "y", "\"y\"" },         { "null", "\"null\"" },
        { "", "\"\"" },           { "10:30", "\"10:30\"" }, { "2021-07-28", "\"2021-07-28\"" },
        { "2021-07-28T10:20:30.5Z", "\"2021-07-28T10:20:30.5Z\"" },
        { "a: b", "'a: b'" },     { "#x", "'#x'" },         { "it's", "it's" },
        { "- x", "'- x'" },       { " x", "' x'" },         { "a#b", "a#b" },
        { "1.8.12", "1.8.12" },   { "s.abc", "s.abc" },     { "two words", "two words" },
        { "a\\tb", "\"a\\tb\"" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str json = arena_printf(*state, "{\"k\":\"%s\"}", cases[i].text);
        struct str want = arena_printf(*state, "k: %s\n", cases[i].yaml);
        check_yaml(state, json.p, want.p);
    }
}

static void prints_several_lines_as_a_block(void **state)
{
    check_yaml(state, "{\"k\":\"a\\nb\\n\"}", "k: |\n  a\n  b\n");
    check_yaml(state, "{\"k\":\"a\\n\\nb\"}", "k: |-\n  a\n\n  b\n");
    check_yaml(state, "{\"k\":\"a\\n\\n\"}", "k: |+\n  a\n\n");
}

/* ---- hcl ---- */

static void check_hcl(const char *in, const char *want)
{
    AUTO(buf_free) struct buf out = { 0 };
    assert_int_equal(hcl_layout(str_of(in), &out, NULL), 0);
    testing_is(&out, want);
    AUTO(buf_free) struct buf again = { 0 };
    assert_int_equal(hcl_layout(buf_str(&out), &again, NULL), 0);
    testing_is(&again, want);
}

static void lays_out_a_policy(void **state)
{
    check_hcl("path \"a/*\"   {\n capabilities=[\"read\",\n\"list\"]\n}\n",
              "path \"a/*\" {\n  capabilities = [\n    \"read\",\n    \"list\",\n  ]\n}\n");
    check_hcl("path \"a\" { policy = \"sudo\" }", "path \"a\" {\n  policy = \"sudo\"\n}\n");
}

static void keeps_comments_and_one_empty_line(void **state)
{
    check_hcl("# top\n\n\n\na = 1 # one\n// two\nb = [ 1,2 ]\n",
              "# top\n\na = 1 # one\n// two\nb = [1, 2]\n");
}

static void aligns_neighbouring_assignments(void **state)
{
    check_hcl("a = 1\nlonger=2\n\nx = 3\n", "a      = 1\nlonger = 2\n\nx = 3\n");
}

static void refuses_text_that_is_not_hcl(void **state)
{
    static const char *const bad[] = { "path \"a {\n}", "path \"a\" {", "a =", "a = [1", "= 1",
                                       "a b", "}", "a = <<EOT\nx\n", "/* x", "a = ]" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(buf_free) struct buf out = { 0 };
        struct err err = { 0 };
        print_message("  %s\n", bad[i]);
        assert_int_equal(hcl_layout(str_of(bad[i]), &out, &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
    }
}

/* ---- ~/.vault, OpenPGP keys ---- */

static void finds_the_token_helper_in_the_settings(void **state)
{
    static const char *const texts[] = { "token_helper = \"/bin/h\"",
                                         "# c\ntoken_helper=\"/bin/h\"\n",
                                         "\"token_helper\" = \"/bin/h\" // x" };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        AUTO(buf_free) struct buf out = { 0 };
        assert_int_equal(token_helper_setting(str_of(texts[i]), &out, NULL), 0);
        testing_is(&out, "/bin/h");
    }
}

static void refuses_settings_it_does_not_know(void **state)
{
    static const char *const texts[] = { "other = \"x\"", "token_helper \"x\"",
                                         "token_helper = x", "token_helper = \"x" };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        AUTO(buf_free) struct buf out = { 0 };
        struct err err = { 0 };
        assert_int_equal(token_helper_setting(str_of(texts[i]), &out, &err), -1);
    }
}

static void reads_keys_in_any_wrapping(void **state)
{
    struct str key;
    assert_int_equal(pgp_keys_encode(*state, STR("mQENBF==\n"), &key, NULL), 0);
    assert_true(str_is(key, "mQENBF=="));
    assert_int_equal(pgp_keys_encode(*state, STR("\x99\x01\x0d\x04"), &key, NULL), 0);
    assert_true(str_is(key, "mQENBA=="));
    assert_int_equal(pgp_keys_encode(*state, STR("-----BEGIN PGP PUBLIC KEY BLOCK-----\nV: 1\n\n"
                                                 "mQEN\nBF==\n=abcd\n-----END PGP PUBLIC KEY "
                                                 "BLOCK-----\n"), &key, NULL), 0);
    assert_true(str_is(key, "mQENBF=="));
}

static void refuses_a_broken_armour(void **state)
{
    struct str key;
    assert_int_equal(pgp_keys_encode(*state, STR("-----BEGIN PGP X-----\n\nmQEN\n"), &key, NULL),
                     -1);
    assert_int_equal(pgp_keys_encode(*state, STR(" \n"), &key, NULL), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTING_TEST(pads_columns_and_underlines_the_header),
        TESTING_TEST(measures_characters_not_bytes),
        TESTING_TEST(prints_nothing_for_no_rows),
        TESTING_TEST(drops_zero_parts_of_durations),
        TESTING_TEST(prints_values_as_go_does),
        TESTING_TEST(wraps_at_spaces_only),
        TESTING_TEST(prints_nested_yaml),
        TESTING_TEST(quotes_what_would_be_read_as_something_else),
        TESTING_TEST(prints_several_lines_as_a_block),
        TESTING_TEST(lays_out_a_policy),
        TESTING_TEST(keeps_comments_and_one_empty_line),
        TESTING_TEST(aligns_neighbouring_assignments),
        TESTING_TEST(refuses_text_that_is_not_hcl),
        TESTING_TEST(finds_the_token_helper_in_the_settings),
        TESTING_TEST(refuses_settings_it_does_not_know),
        TESTING_TEST(reads_keys_in_any_wrapping),
        TESTING_TEST(refuses_a_broken_armour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
