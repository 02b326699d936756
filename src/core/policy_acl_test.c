/* Tests of compiled policies: matching, priorities, merging, parameters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "core/policy_acl.h"

static void drop_acl(struct policy_acl **a)
{
    policy_acl_free(*a);
}

/* Policies that must parse, compiled together. */
static struct policy_acl *compile(const char *one, const char *two)
{
    struct policy *p[2] = { NULL, NULL };
    struct policy_acl *acl = NULL;
    struct err err = { 0 };
    const char *texts[] = { one, two };
    size_t n = two == NULL ? 1 : 2;
    for (size_t i = 0; i < n; i++)
        if (policy_parse(str_of(texts[i]), &p[i], &err) < 0)
            fail_msg("%s", err.msg);
    assert_int_equal(policy_acl_compile((const struct policy *const *)p, n, NULL, &acl, &err), 0);
    policy_free(p[0]);
    policy_free(p[1]);
    return acl;
}

static bool may(const struct policy_acl *acl, enum op op, const char *path)
{
    struct policy_verdict r;
    return policy_acl_check(acl, &(struct policy_question){ .op = op, .path = str_of(path) }, &r);
}

static const char paths_policy[] =
    "path \"dev/*\" { policy = \"sudo\" }"
    "path \"stage/*\" { policy = \"write\" }"
    "path \"stage/aws/*\" { policy = \"read\" capabilities = [\"update\", \"sudo\"] }"
    "path \"stage/aws/policy/*\" { policy = \"sudo\" }"
    "path \"prod/*\" { policy = \"read\" }"
    "path \"prod/aws/*\" { policy = \"deny\" }"
    "path \"exact\" { capabilities = [\"read\", \"list\"] }"
    "path \"exact*\" { capabilities = [\"update\"] }"
    "path \"seg/+/end\" { capabilities = [\"read\"] }"
    "path \"seg/+/glob/*\" { capabilities = [\"read\"] }";

static void matches_the_most_specific_rule(void **state)
{
    static const struct {
        enum op op;
        const char *path;
        bool allowed, sudo;
    } cases[] = {
        { OP_READ, "root", false, false },
        { OP_HELP, "root", true, false },
        { OP_READ, "dev/foo", true, true },
        { OP_UPDATE, "dev/foo", true, true },
        { OP_DELETE, "stage/foo", true, false },
        { OP_LIST, "stage/aws/foo", true, true },
        { OP_UPDATE, "stage/aws/foo", true, true },
        { OP_DELETE, "stage/aws/foo", false, true },
        { OP_DELETE, "stage/aws/policy/foo", true, true },
        { OP_UPDATE, "prod/foo", false, false },
        { OP_READ, "prod/foo", true, false },
        { OP_LIST, "prod/foo", true, false },
        { OP_READ, "prod/aws/foo", false, false },
        { OP_READ, "prod", false, false },
        { OP_READ, "//prod/foo", true, false },
        { OP_READ, "exact", true, false },
        { OP_UPDATE, "exact", false, false },
        { OP_UPDATE, "exactly", true, false },
        { OP_LIST, "exact/", true, false },
        { OP_READ, "exact/", false, false },
        { OP_READ, "seg/x/end", true, false },
        { OP_READ, "seg/x/y/end", false, false },
        { OP_READ, "seg/x/en", false, false },
        { OP_READ, "seg/x/end/", false, false },
        { OP_READ, "seg//end", true, false },
        { OP_READ, "seg/x/glob/", true, false },
        { OP_READ, "seg/x/glob/a/b", true, false },
        { OP_READ, "seg/x/glob", false, false },
        { OP_RENEW, "dev/foo", true, true },
        { OP_REVOKE, "prod/foo", false, false },
        { OP_READ, "", false, false },
    };
    AUTO(drop_acl) struct policy_acl *acl = compile(paths_policy, NULL);
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct policy_verdict r;
        struct policy_question q = { .op = cases[i].op, .path = str_of(cases[i].path) };
        if (policy_acl_check(acl, &q, &r) != cases[i].allowed || r.sudo != cases[i].sudo)
            fail_msg("%s %s", op_name(cases[i].op), cases[i].path);
    }
}

/* In each pair the second path has the higher priority for the request. */
static void follows_the_documented_order_of_priority(void **state)
{
    static const struct {
        const char *what, *lower, *higher, *path;
    } cases[] = {
        { "exact over everything", "*", "a/b/c", "a/b/c" },
        { "exact over '+'", "a/+/c", "a/b/c", "a/b/c" },
        { "longer prefix", "secret/f*", "secret/foo*", "secret/foobar" },
        { "1: later first wildcard", "+/*", "foo/+/*", "foo/bar/bar/baz" },
        { "1: later first glob", "foo/+", "foo/a*", "foo/ab" },
        { "1: position, not text", "foo/+/(ar/baz", "foo/(ar/+/baz", "foo/(ar/(ar/baz" },
        { "1: '+' later", "foo/+/bar/baz", "foo/bar/+/baz", "foo/bar/bar/baz" },
        { "2: no glob at the end", "foo/bar/+/baz*", "foo/bar/+/baz", "foo/bar/bar/baz" },
        { "2: '+' over '*'", "foo/*", "foo/+", "foo/bar" },
        { "2: glob is lower although longer", "foo/+/ba*", "foo/+/bar", "foo/x/bar" },
        { "3: fewer '+'", "foo/+/+/baz", "foo/+/bar/baz", "foo/bar/bar/baz" },
        { "3: fewer '+', the docs' example", "secret/+/+/foo/*", "secret/*", "secret/a/b/foo/c" },
        { "3: '*' over '+/*'", "+/*", "*", "foo/bar/bar/baz" },
        { "2 before 3", "foo/+/+/*", "foo/+/bar/baz", "foo/bar/bar/baz" },
        { "4: longer", "foo/bar/+/b*", "foo/bar/+/ba*", "foo/bar/bar/baz" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char low[128], high[128];
        (void)snprintf(low, sizeof low, "path \"%s\" { capabilities = [\"read\"] }",
                       cases[i].lower);
        (void)snprintf(high, sizeof high, "path \"%s\" { capabilities = [\"update\"] }",
                       cases[i].higher);
        AUTO(drop_acl) struct policy_acl *acl = compile(low, high), *other = compile(high, low);
        print_message("  %s\n", cases[i].what);
        assert_true(may(acl, OP_UPDATE, cases[i].path));
        assert_false(may(acl, OP_READ, cases[i].path));
        assert_true(may(other, OP_UPDATE, cases[i].path));
    }
}

static void documented_examples(void **state)
{
    static const struct {
        const char *policy, *yes, *no;
    } cases[] = {
        { "secret/foo", "secret/foo", "secret/food" },
        { "secret/foo", "secret/foo", "secret/foo/bar" },
        { "secret/bar/*", "secret/bar/zip", "secret/bars/zip" },
        { "secret/bar/*", "secret/bar/zip/zap", "secret/bar" },
        { "secret/zip-*", "secret/zip-zap", "secret/zip/zap" },
        { "secret/zip-*", "secret/zip-zap/zong", "secret/zip" },
        { "secret/+/teamb", "secret/x/teamb", "secret/x/y/teamb" },
        { "secret/+/+/teamb", "secret/foo/bar/teamb", "secret/foo/teamb" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[128];
        (void)snprintf(text, sizeof text, "path \"%s\" { capabilities = [\"read\"] }",
                       cases[i].policy);
        AUTO(drop_acl) struct policy_acl *acl = compile(text, NULL);
        assert_true(may(acl, OP_READ, cases[i].yes));
        assert_false(may(acl, OP_READ, cases[i].no));
    }
}

static void deny_wins_in_either_order(void **state)
{
    static const char deny[] = "path \"a/*\" { capabilities = [\"deny\"] }";
    static const char all[] = "path \"a/*\" { policy = \"sudo\" }";
    AUTO(drop_acl) struct policy_acl *one = compile(deny, all), *two = compile(all, deny);
    (void)state;
    assert_false(may(one, OP_READ, "a/b"));
    assert_false(may(two, OP_READ, "a/b"));
    const char *caps[POLICY_ACL_CAPS_MAX];
    assert_int_equal(policy_acl_capabilities(two, STR("a/b"), caps), 1);
    assert_string_equal(caps[0], "deny");
}

static void capabilities_are_united_and_sorted(void **state)
{
    AUTO(drop_acl)
    struct policy_acl *acl =
        compile("path \"a\" { capabilities = [\"update\", \"create\"] }",
                "path \"a\" { policy = \"read\" } path \"b/\" { capabilities = [\"sudo\"] }");
    const char *caps[POLICY_ACL_CAPS_MAX];
    static const char *const want[] = { "create", "list", "read", "update" };
    (void)state;
    assert_int_equal(policy_acl_capabilities(acl, STR("a"), caps), 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(caps[i], want[i]);
    assert_int_equal(policy_acl_capabilities(acl, STR("a/"), caps), 4);
    assert_int_equal(policy_acl_capabilities(acl, STR("c"), caps), 1);
    assert_string_equal(caps[0], "deny");
}

static void root_may_do_everything(void **state)
{
    AUTO(drop_acl) struct policy_acl *acl = NULL;
    struct policy_verdict r;
    const char *caps[POLICY_ACL_CAPS_MAX];
    (void)state;
    assert_int_equal(policy_acl_root(&acl, NULL), 0);
    assert_true(policy_acl_check(
        acl, &(struct policy_question){ .op = OP_DELETE, .needs_sudo = true }, &r));
    assert_true(r.root && r.sudo);
    assert_int_equal(policy_acl_capabilities(acl, STR("x"), caps), 1);
    assert_string_equal(caps[0], "root");
}

static void a_protected_path_needs_sudo(void **state)
{
    AUTO(drop_acl)
    struct policy_acl *acl = compile("path \"sys/a\" { capabilities = [\"update\"] }"
                                     "path \"sys/b\" { capabilities = [\"update\", \"sudo\"] }"
                                     "path \"sys/c\" { capabilities = [\"sudo\"] }",
                                     NULL);
    struct policy_verdict r;
    (void)state;
    struct policy_question q = { .op = OP_UPDATE, .path = STR("sys/a"), .needs_sudo = true };
    assert_false(policy_acl_check(acl, &q, &r));
    q.path = STR("sys/b");
    assert_true(policy_acl_check(acl, &q, &r));
    q.path = STR("sys/c");
    assert_false(policy_acl_check(acl, &q, &r));
    assert_true(r.sudo);
}

static const char params_policy[] =
    "path \"any\" { policy = \"write\" }"
    "path \"allow\" { policy = \"write\" allowed_parameters = { \"foo\" = [] \"bar\" = [\"zip\", "
    "\"zap\"] } }"
    "path \"star\" { policy = \"write\" allowed_parameters = { \"bar\" = [\"zip\"] \"*\" = [] } }"
    "path \"deny\" { policy = \"write\" denied_parameters = { \"bar\" = [\"zip\"] \"baz\" = [] } }"
    "path \"denyall\" { policy = \"write\" denied_parameters = { \"*\" = [] } }"
    "path \"both\" { policy = \"write\" allowed_parameters = { \"*\" = [] } "
    "denied_parameters = { \"foo\" = [] } }"
    "path \"need\" { policy = \"write\" required_parameters = [\"Foo\", \"bar\"] }"
    "path \"glob\" { policy = \"write\" allowed_parameters = { \"a\" = [\"foo-*\", \"*-bar\", "
    "\"*mid*\"] } }"
    "path \"types\" { policy = \"write\" allowed_parameters = { \"n\" = [1, 2.5] \"b\" = [true] "
    "\"m\" = [{ \"good\" = \"one\" }] \"l\" = [[1, \"x\"]] } }";

static void parameters_are_checked(void **state)
{
    static const struct {
        enum op op;
        const char *path;
        struct str data;
        bool allowed;
    } cases[] = {
        { OP_UPDATE, "any", STR_INIT("{\"x\":1}"), true },
        { OP_CREATE, "allow", STR_INIT("{\"foo\":1}"), true },
        { OP_CREATE, "allow", STR_INIT("{\"FOO\":1}"), true },
        { OP_CREATE, "allow", STR_INIT("{}"), true },
        { OP_CREATE, "allow", STR_INIT("{\"bar\":\"zip\"}"), true },
        { OP_CREATE, "allow", STR_INIT("{\"bar\":\"zop\"}"), false },
        { OP_CREATE, "allow", STR_INIT("{\"bar\":null}"), false },
        { OP_UPDATE, "allow", STR_INIT("{\"foo\":1,\"other\":1}"), false },
        { OP_READ, "allow", STR_INIT("{\"other\":1}"), false },
        { OP_DELETE, "allow", STR_INIT("{\"other\":1}"), true },
        { OP_LIST, "allow", STR_INIT("{\"other\":1}"), true },
        { OP_UPDATE, "star", STR_INIT("{\"other\":1,\"bar\":\"zip\"}"), true },
        { OP_UPDATE, "star", STR_INIT("{\"bar\":\"zap\"}"), false },
        { OP_UPDATE, "deny", STR_INIT("{\"bar\":\"zap\",\"x\":1}"), true },
        { OP_UPDATE, "deny", STR_INIT("{\"bar\":\"zip\"}"), false },
        { OP_UPDATE, "deny", STR_INIT("{\"BAR\":\"zip\"}"), false },
        { OP_UPDATE, "deny", STR_INIT("{\"bar\":null}"), true },
        { OP_UPDATE, "deny", STR_INIT("{\"baz\":1}"), false },
        { OP_UPDATE, "denyall", STR_INIT("{\"x\":1}"), false },
        { OP_UPDATE, "denyall", STR_INIT("{}"), true },
        { OP_UPDATE, "both", STR_INIT("{\"foo\":1}"), false },
        { OP_UPDATE, "both", STR_INIT("{\"fop\":1}"), true },
        { OP_UPDATE, "need", STR_INIT("{\"foo\":1}"), false },
        { OP_UPDATE, "need", STR_INIT("{}"), false },
        { OP_UPDATE, "need", STR_INIT("{\"foo\":1,\"bar\":null,\"x\":1}"), true },
        { OP_UPDATE, "glob", STR_INIT("{\"a\":\"foo-1\"}"), true },
        { OP_UPDATE, "glob", STR_INIT("{\"a\":\"1-bar\"}"), true },
        { OP_UPDATE, "glob", STR_INIT("{\"a\":\"amidst\"}"), true },
        { OP_UPDATE, "glob", STR_INIT("{\"a\":\"foo\"}"), false },
        { OP_UPDATE, "types", STR_INIT("{\"n\":1}"), true },
        { OP_UPDATE, "types", STR_INIT("{\"n\":2.50}"), true },
        { OP_UPDATE, "types", STR_INIT("{\"n\":\"1\"}"), false },
        { OP_UPDATE, "types", STR_INIT("{\"b\":false}"), false },
        { OP_UPDATE, "types", STR_INIT("{\"m\":{\"good\":\"one\"}}"), true },
        { OP_UPDATE, "types", STR_INIT("{\"m\":{\"bad\":\"one\"}}"), false },
        { OP_UPDATE, "types", STR_INIT("{\"l\":[1,\"x\"]}"), true },
    };
    AUTO(drop_acl) struct policy_acl *acl = compile(params_policy, NULL);
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_drop) struct arena *a = arena_new();
        struct json *data = NULL;
        struct policy_verdict r;
        assert_int_equal(json_parse_all(a, cases[i].data, &data, NULL), 0);
        struct policy_question q = { cases[i].op, str_of(cases[i].path), data, 0, false };
        if (policy_acl_check(acl, &q, &r) != cases[i].allowed)
            fail_msg("%s " STR_FMT, cases[i].path, STR_ARG(cases[i].data));
    }
}

static bool may_with(const struct policy_acl *acl, const char *path, const char *json)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct json *data = NULL;
    struct policy_verdict r;
    assert_int_equal(json_parse_all(a, str_of(json), &data, NULL), 0);
    return policy_acl_check(
        acl, &(struct policy_question){ OP_UPDATE, str_of(path), data, 0, false }, &r);
}

static void parameters_of_several_policies_are_united(void **state)
{
    AUTO(drop_acl)
    struct policy_acl *acl = compile(
        "path \"v\" { policy = \"write\" allowed_parameters = { \"t\" = [1, 2] } "
        "denied_parameters = { \"d\" = [1] } }"
        "path \"e\" { policy = \"write\" allowed_parameters = { \"t\" = [1] } }"
        "path \"n\" { policy = \"write\" }"
        "path \"r\" { policy = \"write\" required_parameters = [\"a\"] }",
        "path \"v\" { policy = \"write\" allowed_parameters = { \"t\" = [3] \"u\" = [] \"s\" "
        "= [1] } denied_parameters = { \"d\" = [2] } }"
        "path \"e\" { policy = \"write\" allowed_parameters = { \"t\" = [] } }"
        "path \"n\" { policy = \"write\" allowed_parameters = { \"t\" = [1] } }"
        "path \"r\" { policy = \"write\" required_parameters = [\"b\", \"a\"] }");
    (void)state;
    assert_true(may_with(acl, "v", "{\"t\":1}"));
    assert_true(may_with(acl, "v", "{\"t\":3,\"u\":9,\"s\":1}"));
    assert_false(may_with(acl, "v", "{\"t\":4}"));
    assert_false(may_with(acl, "v", "{\"d\":2}"));
    assert_true(may_with(acl, "e", "{\"t\":77}"));
    /* As Vault: a limit of one policy binds although another has none. */
    assert_false(may_with(acl, "n", "{\"x\":1}"));
    assert_false(may_with(acl, "r", "{\"a\":1}"));
    assert_true(may_with(acl, "r", "{\"a\":1,\"b\":1}"));
}

static void wrapping_times_bind(void **state)
{
    static const struct {
        const char *path;
        int64_t ttl_s;
        bool allowed;
    } cases[] = {
        { "min", 0, false },      { "min", 299, false },    { "min", 300, true },
        { "max", 0, false },      { "max", 401, false },    { "max", 400, true },
        { "both", 350, true },    { "both", 450, false },   { "both", INT64_MAX, false },
        { "merged", 49, false },  { "merged", 50, true },   { "merged", 200, true },
        { "merged", 201, false }, { "crossed", 15, false }, { "none", 0, true },
    };
    AUTO(drop_acl)
    struct policy_acl *acl = compile(
        "path \"min\" { policy = \"write\" min_wrapping_ttl = 300 }"
        "path \"max\" { policy = \"write\" max_wrapping_ttl = \"400s\" }"
        "path \"both\" { policy = \"write\" min_wrapping_ttl = 300 max_wrapping_ttl = 400 }"
        "path \"merged\" { policy = \"write\" min_wrapping_ttl = 50 max_wrapping_ttl = 300 }"
        "path \"crossed\" { policy = \"write\" min_wrapping_ttl = 20 }"
        "path \"none\" { policy = \"write\" }",
        "path \"merged\" { policy = \"write\" min_wrapping_ttl = 100 max_wrapping_ttl = 200 }"
        "path \"crossed\" { policy = \"write\" max_wrapping_ttl = 10 }");
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct policy_question q = { OP_UPDATE, str_of(cases[i].path), NULL, cases[i].ttl_s,
                                     false };
        struct policy_verdict r;
        if (policy_acl_check(acl, &q, &r) != cases[i].allowed)
            fail_msg("%s %ld", cases[i].path, (long)cases[i].ttl_s);
    }
}

static void templates_name_the_caller_or_fall_away(void **state)
{
    struct policy *p = NULL;
    AUTO(drop_acl) struct policy_acl *with = NULL, *without = NULL, *none = NULL;
    struct policy_facts facts = { .entity_id = STR("e-1") };
    struct err err = { 0 };
    (void)state;
    assert_int_equal(policy_parse(STR("path \"a/{{identity.entity.id}}/*\" { policy = \"read\" }"
                                      "path \"b\" { policy = \"read\" }"),
                                  &p, &err),
                     0);
    const struct policy *const list[] = { p };
    assert_int_equal(policy_acl_compile(list, 1, &facts, &with, &err), 0);
    assert_int_equal(policy_acl_compile(list, 1, NULL, &without, &err), 0);
    assert_true(may(with, OP_READ, "a/e-1/x"));
    assert_false(may(with, OP_READ, "a/e-2/x"));
    assert_false(may(without, OP_READ, "a/{{identity.entity.id}}/x"));
    assert_true(may(without, OP_READ, "b"));
    facts.entity_id = STR("+*");
    assert_int_equal(policy_acl_compile(list, 1, &facts, &none, &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    policy_free(p);
}

static void says_which_mounts_are_reached(void **state)
{
    static const struct {
        const char *path, *mount;
        bool reached;
    } cases[] = {
        { "+", "foo/", true },
        { "+/*", "foo/", true },
        { "foo/+/+/*", "foo/", true },
        { "foo/+/+/*", "foo/bar/bar/baz/", true },
        { "foo/+/+/baz", "foo/bar/bar/baz/", true },
        { "foo/bar/+/b*", "foo/bar/bar/baz/", true },
        { "foo/+", "foo/", true },
        { "foo/+", "bar/", false },
        { "foo/a", "foo/", true },
        { "foo/a/*", "foo/", true },
        { "*", "foo/", true },
        { "fo", "foo/", false },
        { "bar/*", "foo/", false },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[128];
        (void)snprintf(text, sizeof text, "path \"%s\" { capabilities = [\"read\"] }",
                       cases[i].path);
        AUTO(drop_acl) struct policy_acl *acl = compile(text, NULL);
        if (policy_acl_reaches(acl, str_of(cases[i].mount)) != cases[i].reached)
            fail_msg("%s %s", cases[i].path, cases[i].mount);
    }
}

static void large_sets_keep_their_rules_apart(void **state)
{
    AUTO(buf_free) struct buf text = { 0 };
    (void)state;
    for (int i = 0; i < 3000; i++)
        buf_printf(&text, "path \"kv/%d%s\" { capabilities = [\"read\"] }\n", i,
                   i % 3 == 0   ? ""
                   : i % 3 == 1 ? "/*"
                                : "/+/x");
    buf_byte(&text, 0);
    AUTO(drop_acl) struct policy_acl *acl = compile(text.p, NULL);
    size_t at = 0, n = 0;
    struct policy_acl_rule rule;
    while (policy_acl_next(acl, &at, &rule))
        n++;
    assert_int_equal(n, 3000);
    assert_true(may(acl, OP_READ, "kv/2997"));
    assert_true(may(acl, OP_READ, "kv/2998/a"));
    assert_true(may(acl, OP_READ, "kv/2999/a/x"));
    assert_false(may(acl, OP_READ, "kv/2997/a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_the_most_specific_rule),
        cmocka_unit_test(follows_the_documented_order_of_priority),
        cmocka_unit_test(documented_examples),
        cmocka_unit_test(deny_wins_in_either_order),
        cmocka_unit_test(capabilities_are_united_and_sorted),
        cmocka_unit_test(root_may_do_everything),
        cmocka_unit_test(a_protected_path_needs_sudo),
        cmocka_unit_test(parameters_are_checked),
        cmocka_unit_test(parameters_of_several_policies_are_united),
        cmocka_unit_test(wrapping_times_bind),
        cmocka_unit_test(templates_name_the_caller_or_fall_away),
        cmocka_unit_test(says_which_mounts_are_reached),
        cmocka_unit_test(large_sets_keep_their_rules_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
