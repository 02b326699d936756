/* Tests of policy texts: what is taken, what is refused and in which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/policy.h"
#include "core/policy_template.h"

#define ALL (POLICY_CREATE | POLICY_READ | POLICY_UPDATE | POLICY_DELETE | POLICY_LIST)

static void drop(struct policy **p)
{
    policy_free(*p);
}

static void reads_rules(void **state)
{
    static const struct {
        struct str text;
        const char *path;
        enum policy_match match;
        unsigned caps;
    } cases[] = {
        { STR_INIT("path \"a/b\" { capabilities = [\"read\", \"sudo\"] }"), "a/b", POLICY_EXACT,
          POLICY_READ | POLICY_SUDO },
        { STR_INIT("path \"/a/*\" { capabilities = [\"create\"] }"), "a/", POLICY_PREFIX,
          POLICY_CREATE },
        { STR_INIT("path \"*\" { }"), "", POLICY_PREFIX, 0 },
        { STR_INIT("path \"a/+/b*\" { }"), "a/+/b*", POLICY_WILD, 0 },
        { STR_INIT("path \"+\" { }"), "+", POLICY_WILD, 0 },
        { STR_INIT("path \"+/a\" { }"), "+/a", POLICY_WILD, 0 },
        { STR_INIT("path \"a+b\" { }"), "a+b", POLICY_EXACT, 0 },
        { STR_INIT("path \"a*b\" { comment = \"x\" }"), "a*b", POLICY_EXACT, 0 },
        { STR_INIT("path \"x\" { policy = \"read\" }"), "x", POLICY_EXACT,
          POLICY_READ | POLICY_LIST },
        { STR_INIT("path \"x\" { policy = \"write\" }"), "x", POLICY_EXACT, ALL },
        { STR_INIT("path \"x\" { policy = \"sudo\" }"), "x", POLICY_EXACT, ALL | POLICY_SUDO },
        { STR_INIT("path \"x\" { policy = \"deny\" capabilities = [\"read\"] }"), "x", POLICY_EXACT,
          POLICY_DENY },
        { STR_INIT("path \"x\" { policy = \"read\" capabilities = [\"update\"] }"), "x",
          POLICY_EXACT, POLICY_READ | POLICY_LIST | POLICY_UPDATE },
        { STR_INIT("path \"x\" { capabilities = [\"read\", \"deny\"] min_wrapping_ttl = \"?\" }"),
          "x", POLICY_EXACT, POLICY_DENY },
        { STR_INIT(
              "name = \"n\"\npath \"x\" { capabilities = [\"read\"] capabilities = [\"list\"] }"),
          "x", POLICY_EXACT, POLICY_READ | POLICY_LIST },
        { STR_INIT("{\"path\":{\"secret/data/+/conf\":{\"capabilities\":[\"read\"]}}}"),
          "secret/data/+/conf", POLICY_WILD, POLICY_READ },
        { STR_INIT("path \"x\" { control_group = { ttl = \"4h\" factor \"f\" { identity { "
                   "group_names = [\"g\"] approvals = 1 } } } capabilities = [\"read\"] }"),
          "x", POLICY_EXACT, POLICY_READ },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(drop) struct policy *p = NULL;
        struct err err = { 0 };
        if (policy_parse(cases[i].text, &p, &err) < 0)
            fail_msg(STR_FMT ": %s", STR_ARG(cases[i].text), err.msg);
        assert_int_equal(p->n_rules, 1);
        assert_true(str_is(p->rules[0].path, cases[i].path));
        assert_int_equal(p->rules[0].match, cases[i].match);
        assert_int_equal(p->rules[0].caps, cases[i].caps);
        assert_true(str_eq(p->raw, cases[i].text));
    }
}

static void refuses_in_the_words_of_vault(void **state)
{
#define F "failed to parse policy: "
    static const struct {
        struct str text;
        const char *msg;
    } cases[] = {
        { STR_INIT("path {"), F "At 1:7: object expected closing RBRACE got: EOF" },
        { STR_INIT("path \"x\" { capabilities = [\"fly\"] }"),
          F "path \"x\": invalid capability \"fly\"" },
        { STR_INIT("path \"x\" { capabilities = [\"patch\"] }"),
          F "path \"x\": invalid capability \"patch\"" },
        { STR_INIT("path \"x\" { capability = [\"read\"] }"),
          F "1 error occurred:\n\t* path \"x\": invalid key \"capability\" on line 1\n\n" },
        { STR_INIT("door \"x\" { capabilities = [\"read\"] }"),
          F "1 error occurred:\n\t* invalid key \"door\" on line 0\n\n" },
        { STR_INIT("a = 1\nb = 2"), F "2 errors occurred:\n\t* invalid key \"a\" on line 1\n\t* "
                                      "invalid key \"b\" on line 2\n\n" },
        { STR_INIT("path \"x\" { policy = \"fly\" }"), F "path \"x\": invalid policy \"fly\"" },
        { STR_INIT("path \"a/+*\" { }"),
          F "path \"a/+*\": invalid use of wildcards ('+*' is forbidden)" },
        { STR_INIT("path \"x\" {\n min_wrapping_ttl=\"2h\"\n max_wrapping_ttl=\"1h\"\n}"),
          F "max_wrapping_ttl cannot be less than min_wrapping_ttl" },
        { STR_INIT("path \"x\" { capabilities = \"read\" }"),
          F "path \"x\": At 1:27: capabilities: list of strings expected, got string" },
        { STR_INIT("path \"x\" { allowed_parameters = { \"a\" = 1 } }"),
          F "path \"x\": At 1:41: a: list of values expected, got number" },
        { STR_INIT("path \"x\" { denied_parameters = [1] }"),
          F "path \"x\": At 1:32: denied_parameters: object expected, got list" },
        { STR_INIT("path \"x\" { min_wrapping_ttl = true }"),
          F "error parsing min_wrapping_ttl: could not parse duration from input" },
        { STR_INIT("path \"x/{{a\" { }"),
          F "failed to validate policy templating: unbalanced templating characters" },
        { STR_INIT("path \"x/a}}\" { }"),
          F "failed to validate policy templating: unbalanced templating characters" },
        { STR_INIT("path \"{{a}}}}\" { }"),
          F "failed to validate policy templating: unbalanced templating characters" },
        { STR_INIT("name {}"), F "At 1:6: name: string expected, got object" },
        { STR_INIT("path = 1"), F "path \"path\": At 1:8: object expected, got number" },
        { STR_INIT("path \"x\" { control_group = { } }"), F "no control group factors provided" },
        { STR_INIT("path \"x\" { control_group { factor \"f\" { } } }"),
          F "no control_group factor provided" },
        { STR_INIT("path \"x\" { control_group { factor \"f\" { identity { approvals = 1 } } } }"),
          F "must provide more than one identity group and approvals > 0" },
        { STR_INIT(
              "path \"x\" { capabilities = [\"read\"] control_group { factor \"f\" { "
              "controlled_capabilities = [\"list\"] identity { group_ids = [\"g\"] approvals = "
              "1 } } } }"),
          F "control group factor capabilities must be a subset of the policy's capabilities" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(drop) struct policy *p = NULL;
        struct err err = { 0 };
        assert_int_equal(policy_parse(cases[i].text, &p, &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
        assert_string_equal(err.msg, cases[i].msg);
    }
}

static void a_policy_of_comments_is_good(void **state)
{
    AUTO(drop) struct policy *p = NULL;
    (void)state;
    assert_int_equal(policy_parse(STR("# nothing\n"), &p, NULL), 0);
    assert_int_equal(p->n_rules, 0);
}

static void reads_parameters_and_wrapping(void **state)
{
    AUTO(drop) struct policy *p = NULL;
    (void)state;
    assert_int_equal(
        policy_parse(STR("path \"x\" {\n allowed_parameters={\"Foo\"=[], \"bar\"=[1]}\n"
                         " denied_parameters={\"*\"=[]} required_parameters=[\"A\"]\n"
                         " min_wrapping_ttl=60\n max_wrapping_ttl=\"1h\" }"),
                     &p, NULL),
        0);
    const struct policy_rule *r = &p->rules[0];
    assert_int_equal(r->allowed.n, 2);
    assert_true(str_is(r->allowed.v[0].name, "bar"));
    assert_true(str_is(r->allowed.v[1].name, "foo"));
    assert_int_equal(r->denied.n, 1);
    assert_true(str_is(r->required.v[0], "a"));
    assert_int_equal(r->min_wrap_ns, 60000000000);
    assert_int_equal(r->max_wrap_ns, 3600000000000);
}

static void knows_templated_policies(void **state)
{
    AUTO(drop) struct policy *p = NULL, *q = NULL;
    (void)state;
    assert_int_equal(policy_parse(STR("path \"a/{{ identity.entity.id }}/*\" {}"), &p, NULL), 0);
    assert_true(p->templated);
    assert_int_equal(policy_parse(STR("path \"a/{b}\" {}"), &q, NULL), 0);
    assert_false(q->templated);
}

static void fills_in_what_is_known_of_the_caller(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct json *meta = json_object(a);
    json_put_text(meta, "team", "red");
    json_put_text(meta, "empty", "");
    const struct policy_alias alias = { STR("auth_x_1"), STR("al-1"), STR("bob"), meta };
    const struct policy_group group = { STR("g-1"), STR("ops"), meta };
    const struct policy_facts facts = { STR("e-1"), STR("robert"), meta, &alias, 1, &group, 1 };
    static const struct {
        struct str path;
        const char *want; /* NULL: falls away */
    } cases[] = {
        { STR_INIT("plain"), "plain" },
        { STR_INIT("a/{{identity.entity.id}}/*"), "a/e-1/*" },
        { STR_INIT("{{ identity.entity.name }}{{identity.entity.id}}"), "roberte-1" },
        { STR_INIT("{{identity.entity.metadata.team}}"), "red" },
        { STR_INIT("x{{identity.entity.metadata.empty}}y"), "xy" },
        { STR_INIT("{{identity.entity.metadata.none}}"), NULL },
        { STR_INIT("{{identity.entity.metadata}}"), NULL },
        { STR_INIT("{{identity.entity.aliases.auth_x_1.name}}"), "bob" },
        { STR_INIT("{{identity.entity.aliases.auth_x_1.id}}"), "al-1" },
        { STR_INIT("{{identity.entity.aliases.auth_x_1.metadata.team}}"), "red" },
        { STR_INIT("{{identity.entity.aliases.auth_x_2.name}}"), NULL },
        { STR_INIT("{{identity.entity.aliases.auth_x_1}}"), NULL },
        { STR_INIT("{{identity.groups.ids.g-1.name}}"), "ops" },
        { STR_INIT("{{identity.groups.names.ops.id}}"), "g-1" },
        { STR_INIT("{{identity.groups.names.ops.metadata.team}}"), "red" },
        { STR_INIT("{{identity.groups.names.dev.id}}"), NULL },
        { STR_INIT("{{identity.groups.x.ops.id}}"), NULL },
        { STR_INIT("{{identity.entity.groups.names}}"), NULL },
        { STR_INIT("{{nothing}}"), NULL },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char space[64];
        struct policy_template_out out = { space, 0, sizeof space };
        bool filled = policy_template_render(cases[i].path, &facts, &out);
        assert_int_equal(filled, cases[i].want != NULL);
        if (filled)
            assert_true(str_is(str_mem(out.p, out.n), cases[i].want));
    }
    struct policy_template_out none = { NULL, 0, 0 };
    assert_false(policy_template_render(STR("{{identity.entity.id}}"), NULL, &none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_rules),
        cmocka_unit_test(refuses_in_the_words_of_vault),
        cmocka_unit_test(a_policy_of_comments_is_good),
        cmocka_unit_test(reads_parameters_and_wrapping),
        cmocka_unit_test(knows_templated_policies),
        cmocka_unit_test(fills_in_what_is_known_of_the_caller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
