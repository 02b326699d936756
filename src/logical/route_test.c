/* Tests of route: patterns, captures, and how a handler is called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "logical/testing.h"

static void a_pattern_matches_whole_paths_only(void **state)
{
    static const struct { const char *pattern, *path; bool fits; } cases[] = {
        { "config", "config", true },
        { "config", "configs", false },
        { "config", "confi", false },
        { "config", "", false },
        { "", "", true },
        { "keys/?", "keys", true },
        { "keys/?", "keys/", true },
        { "keys/?", "keys/a", false },
        { "users/{name}", "users/bob", true },
        { "users/{name}", "users/a.b-c_d", true },
        { "users/{name}", "users/-bob", false },
        { "users/{name}", "users/bob.", false },
        { "users/{name}", "users/b", true },
        { "users/{name}", "users/", false },
        { "users/{name}", "users/bob/", false },
        { "users/{name}", "users/a@b", false },
        { "users/{name:at}", "users/a@b", true },
        { "users/{name:at}", "users/@b", false },
        { "users/{name:any}", "users/a@ b", true },
        { "users/{name:any}", "users/a/b", false },
        { "users/{name}/policies", "users/bob/policies", true },
        { "users/{name}/policies", "users/bob/policy", false },
        { "data/{path...}", "data/", true },
        { "data/{path...}", "data/a/b/c", true },
        { "data/{path...}", "data", false },
        { "data/{path:+}", "data/", false },
        { "data/{path:+}", "data/a/", true },
        { "{...}", "", true },
        { "{...}", "a/b", true },
        { "lookup(/{token})", "lookup", true },
        { "lookup(/{token})", "lookup/abc", true },
        { "lookup(/{token})", "lookup/", false },
        { "random(/{source})(/{bytes})", "random/all/32", true },
        { "random(/{source})(/{bytes})", "random/32", true },
        { "random(/{source})(/{bytes})", "random/a/b/c", false },
        { "{name}-x", "a-b-x", true },
        { "{name}-x", "a-b", false },
        { "a(b(c)d)e", "abde", true },
        { "a(b(c)d)e", "abcde", true },
        { "a(b(c)d)e", "ace", false },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (route_matches(cases[i].pattern, str_of(cases[i].path)) != cases[i].fits)
            fail_msg("%s against %s", cases[i].pattern, cases[i].path);
}

static int says(struct request *req, struct response *resp)
{
    json_put_text(response_data(resp), "handler", req->route->summary);
    return 1;
}

static int never_there(struct request *req)
{
    return 0;
}

static const struct field fields[] = {
    { "n", FIELD_INT, NULL, NULL },
};

static const struct route routes[] = {
    { .pattern = "first/{name}", .read = says, .summary = "first" },
    { .pattern = "first/{name:any}", .read = says, .summary = "second" },
    { .pattern = "third(/{a})(/{b})", .read = says, .summary = "third" },
    { .pattern = "checked", FIELDS(fields), .read = says, .write = says, .exists = never_there },
    { .pattern = "open/{...}", .read = says, .summary = "open" },
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

/* What a handler reads. */
static void assert_field(struct testing *t, const char *name, const char *want)
{
    struct str got = field_str(&t->req, name);

    if (!str_is(got, want))
        fail_msg("%s: " STR_FMT, name, STR_ARG(got));
}

static void the_first_row_that_fits_is_called(void **state)
{
    testing_expect(*state, OP_READ, "first/bob", NULL, "{\"handler\":\"first\"}");
    testing_expect(*state, OP_READ, "first/b@b", NULL, "{\"handler\":\"second\"}");
}

static void what_a_name_matched_wins_over_what_was_sent(void **state)
{
    struct testing *t = *state;

    testing_call(t, OP_READ, "first/bob", "{\"name\":\"eve\",\"x\":1}");
    assert_field(t, "name", "bob");
    /* What was sent stays as it was: policies and audit look at that. */
    assert_true(str_is(json_get_str(t->req.data, "name"), "eve"));
    assert_int_equal(t->req.data->count, 2);
}

static void a_name_that_was_left_out_is_empty(void **state)
{
    struct testing *t = *state;

    testing_call(t, OP_READ, "third/x", "{\"b\":\"sent\"}");
    assert_field(t, "a", "x");
    assert_field(t, "b", "");
}

static void a_rest_without_a_name_leaves_the_fields_alone(void **state)
{
    struct testing *t = *state;

    testing_call(t, OP_READ, "open/a/b", "{\"path\":\"mine\"}");
    assert_field(t, "path", "mine");
    assert_null(json_member(t->req.path_data, "path"));
}

static void what_no_row_serves_is_unsupported(void **state)
{
    struct testing *t = *state;

    testing_refuse(t, OP_READ, "nowhere", NULL, ERR_UNSUPPORTED_PATH, "unsupported path");
    testing_refuse(t, OP_UPDATE, "first/bob", NULL, ERR_UNSUPPORTED, "unsupported operation");
    testing_refuse(t, OP_HELP, "first/bob", NULL, ERR_UNSUPPORTED, "unsupported operation");
}

static void a_bad_value_is_the_clients_fault_only_where_existence_is_checked(void **state)
{
    static const char text[] = "error converting input x for field \"n\": cannot parse '' as int: "
                               "strconv.ParseInt: parsing \"x\": invalid syntax";

    testing_refuse(*state, OP_READ, "checked", "{\"n\":\"x\"}", ERR_INTERNAL, text);
    testing_refuse(*state, OP_UPDATE, "checked", "{\"n\":\"x\"}", ERR_BAD_REQUEST, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pattern_matches_whole_paths_only),
        cmocka_unit_test(the_first_row_that_fits_is_called),
        cmocka_unit_test(what_a_name_matched_wins_over_what_was_sent),
        cmocka_unit_test(a_name_that_was_left_out_is_empty),
        cmocka_unit_test(a_rest_without_a_name_leaves_the_fields_alone),
        cmocka_unit_test(what_no_row_serves_is_unsupported),
        cmocka_unit_test(a_bad_value_is_the_clients_fault_only_where_existence_is_checked),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
