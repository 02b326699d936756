/* Tests of url: what Go's net/url, path.Clean and ServeMux give for the same input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "net/url.h"

static void assert_str(struct str got, const char *want)
{
    struct str w = str_of(want);
    if (!str_eq(got, w))
        print_message("got \"" STR_FMT "\", want \"" STR_FMT "\"\n", STR_ARG(got), STR_ARG(w));
    assert_true(str_eq(got, w));
}

static void undoes_escapes_and_leaves_plus(void **state)
{
    static const struct {
        const char *raw, *want;
    } cases[] = {
        { "", "" },           { "/v1/a", "/v1/a" },
        { "/a%2Fb", "/a/b" }, { "/per%25cent", "/per%cent" },
        { "/a+b", "/a+b" },   { "/%c3%A9", "/\xc3\xa9" },
        { "%41%42", "AB" },
    };
    AUTO(arena_drop) struct arena *a = arena_new();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str out;
        assert_int_equal(url_decode_path(a, str_of(cases[i].raw), &out), 0);
        assert_str(out, cases[i].want);
    }
}

static void keeps_a_nul_for_its_caller_to_judge(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct str out;
    assert_int_equal(url_decode_path(a, STR("/nul%00"), &out), 0);
    assert_int_equal(out.n, 5);
    assert_int_equal(out.p[4], 0);
}

static void refuses_bad_escapes(void **state)
{
    static const char *const bad[] = { "%", "/%", "/%4", "/%zz", "/%4g", "/a%", "/%%41", "/%-1" };
    AUTO(arena_drop) struct arena *a = arena_new();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct str out;
        assert_int_equal(url_decode_path(a, str_of(bad[i]), &out), -1);
    }
}

static void cleans_paths_as_servemux(void **state)
{
    static const struct {
        const char *path, *want;
        bool redirects;
    } cases[] = {
        { "/", "/", false },
        { "/v1/secret/data/a", "/v1/secret/data/a", false },
        { "/v1/secret/", "/v1/secret/", false },
        { "/v1/...", "/v1/...", false },
        { "/v1/.a/..b/c.", "/v1/.a/..b/c.", false },
        { "", "/", true },
        { "a/b", "/a/b", true },
        { "//", "/", true },
        { "/v1//a", "/v1/a", true },
        { "/v1/a//", "/v1/a/", true },
        { "/v1/./a", "/v1/a", true },
        { "/v1/x/../a", "/v1/a", true },
        { "/v1/secret/data/../a", "/v1/secret/a", true },
        { "/v1/../sys/mounts", "/sys/mounts", true },
        { "/../../a", "/a", true },
        { "/v1/a/..", "/v1", true },
        { "/v1/a/../", "/v1/", true },
        { "/v1/.", "/v1", true },
        { "/v1/./", "/v1/", true },
        { "/a/../..", "/", true },
        { "/..", "/", true },
    };
    AUTO(arena_drop) struct arena *a = arena_new();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str out;
        assert_int_equal(url_clean_path(a, str_of(cases[i].path), &out), cases[i].redirects);
        assert_str(out, cases[i].want);
    }
}

static void escapes_a_path_for_location(void **state)
{
    static const struct {
        const char *path, *want;
    } cases[] = {
        { "/v1/a", "/v1/a" },
        { "/a b?c", "/a%20b%3Fc" },
        { "/$&+,/:;=@-_.~", "/$&+,/:;=@-_.~" },
        { "/!*'()", "/%21%2A%27%28%29" },
        { "/\xc3\xa9%", "/%C3%A9%25" },
        { "/\n", "/%0A" },
    };
    AUTO(arena_drop) struct arena *a = arena_new();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_str(url_encode_path(a, str_of(cases[i].path)), cases[i].want);
}

static void parses_queries_and_drops_bad_pairs(void **state)
{
    static const struct {
        const char *query, *want;
    } cases[] = {
        { "", "" },
        { "list=true", "list=true|" },
        { "a=1&a=2", "a=1|a=2|" },
        { "a=1;b=2", "a=1|b=2|" },
        { "a", "a=|" },
        { "&&a=b&", "a=b|" },
        { "=x", "=x|" },
        { "a=b=c", "a=b=c|" },
        { "a+b=c+d", "a b=c d|" },
        { "a%20b=%26", "a b=&|" },
        { "version=%zz&x=1", "x=1|" },
        { "%z=1&y=%4", "" },
    };
    AUTO(arena_drop) struct arena *a = arena_new();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct url_query q = url_parse_query(a, str_of(cases[i].query));
        struct str all = STR("");
        for (size_t j = 0; j < q.n; j++)
            all = arena_printf(a, STR_FMT STR_FMT "=" STR_FMT "|", STR_ARG(all),
                               STR_ARG(q.v[j].name), STR_ARG(q.v[j].value));
        assert_str(all, cases[i].want);
    }
}

static void finds_the_first_of_a_name(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct url_query q = url_parse_query(a, STR("b=0&a=1&a=2"));
    struct str v = STR("untouched");
    assert_int_equal(url_query_get(&q, STR("a"), &v), 1);
    assert_str(v, "1");
    assert_int_equal(url_query_get(&q, STR("A"), &v), 0);
    assert_str(v, "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(undoes_escapes_and_leaves_plus),
        cmocka_unit_test(keeps_a_nul_for_its_caller_to_judge),
        cmocka_unit_test(refuses_bad_escapes),
        cmocka_unit_test(cleans_paths_as_servemux),
        cmocka_unit_test(escapes_a_path_for_location),
        cmocka_unit_test(parses_queries_and_drops_bad_pairs),
        cmocka_unit_test(finds_the_first_of_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
