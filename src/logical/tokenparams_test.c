/* Tests of tokenparams and cidr: parsing, checks, stored form, what a login gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "logical/cidr.h"
#include "logical/testing.h"
#include "logical/tokenparams.h"

static int parse(struct request *req, struct response *resp)
{
    struct tokenparams p = { 0 };

    TRY(tokenparams_parse(req, &p));
    tokenparams_show(&p, response_data(resp));
    return 1;
}

static int store(struct request *req, struct response *resp)
{
    struct tokenparams p = { 0 }, back;

    TRY(tokenparams_parse(req, &p));
    tokenparams_store(&p, response_data(resp));
    tokenparams_load(req->arena, resp->data, &back);
    tokenparams_show(&back, response_object(resp, "back"));
    return 1;
}

static int older(struct request *req, struct response *resp)
{
    struct tokenparams p = { .policies = field_strs(req, "had") };
    struct strs old = p.policies;
    int64_t old_ttl_s = 5;

    TRY(tokenparams_parse(req, &p));
    tokenparams_old_policies(req, "policies", "token_policies", &old, &p.policies);
    tokenparams_old_seconds(req, "ttl", "token_ttl", &old_ttl_s, &p.ttl_s);
    json_put_str(response_data(resp), "old", strs_join(req->arena, &old, STR(",")));
    json_put_str(resp->data, "new", strs_join(req->arena, &p.policies, STR(",")));
    json_put_int(resp->data, "old_ttl", old_ttl_s);
    json_put_int(resp->data, "ttl", p.ttl_s);
    return 1;
}

static const struct field fields[] = {
    { "policies", FIELD_COMMA_STRINGS, NULL, NULL },
    { "ttl", FIELD_SECONDS, NULL, NULL },
    { "had", FIELD_COMMA_STRINGS, NULL, NULL },
    TOKENPARAMS_FIELDS,
};

static const struct route routes[] = {
    { .pattern = "parse", FIELDS(fields), .write = parse },
    { .pattern = "store", FIELDS(fields), .write = store },
    { .pattern = "older", FIELDS(fields), .write = older },
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

static void parameters_read_back(void **state)
{
    testing_expect(*state, OP_UPDATE, "parse",
                   "{\"token_ttl\":\"30m\",\"token_max_ttl\":3600,\"token_policies\":\"a,b\","
                   "\"token_bound_cidrs\":[\"127.0.0.1/32\",\"10.1.0.0/16\",\"fd00::/8\"],"
                   "\"token_num_uses\":\"10\",\"token_type\":\"service\"}",
                   "{\"token_bound_cidrs\":[\"127.0.0.1\",\"10.1.0.0/16\",\"fd00::/8\"],"
                   "\"token_explicit_max_ttl\":0,\"token_max_ttl\":3600,"
                   "\"token_no_default_policy\":false,\"token_num_uses\":10,\"token_period\":0,"
                   "\"token_policies\":[\"a\",\"b\"],\"token_ttl\":1800,\"token_type\":\"service\"}");
}

static void bad_parameters_are_told_in_vaults_words(void **state)
{
    static const struct { const char *json, *text; } cases[] = {
        { "{\"token_ttl\":\"2h\",\"token_max_ttl\":\"1h\"}",
          "'token_ttl' cannot be greater than 'token_max_ttl'" },
        { "{\"token_type\":\"paper\"}", "invalid 'token_type' value \"paper\"" },
        { "{\"token_type\":\"default-batch\"}", "invalid 'token_type' value \"default-batch\"" },
        { "{\"token_num_uses\":-1}", "'token_num_uses' cannot be negative" },
        { "{\"token_type\":\"batch\",\"token_period\":1}",
          "'token_type' cannot be 'batch' or 'default_batch' when set to generate periodic "
          "tokens" },
        { "{\"token_type\":\"batch\",\"token_num_uses\":1}",
          "'token_type' cannot be 'batch' or 'default_batch' when set to generate tokens with "
          "limited use count" },
        { "{\"token_bound_cidrs\":[\"nonsense\"]}",
          "error parsing address \"nonsense\": Unable to convert \"nonsense\" to an IPv4 or IPv6 "
          "address, or a UNIX Socket" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        testing_refuse(*state, OP_UPDATE, "parse", cases[i].json, ERR_BAD_REQUEST,
                       cases[i].text);
}

static void the_stored_form_is_vaults(void **state)
{
    testing_expect(*state, OP_UPDATE, "store",
                   "{\"token_ttl\":\"1s\",\"token_period\":\"1h\",\"token_no_default_policy\":1}",
                   "{\"back\":{\"token_bound_cidrs\":[],\"token_explicit_max_ttl\":0,"
                   "\"token_max_ttl\":0,\"token_no_default_policy\":true,\"token_num_uses\":0,"
                   "\"token_period\":3600,\"token_policies\":[],\"token_ttl\":1,"
                   "\"token_type\":\"default\"},"
                   "\"token_bound_cidrs\":null,\"token_explicit_max_ttl\":0,\"token_max_ttl\":0,"
                   "\"token_no_default_policy\":true,\"token_num_uses\":0,"
                   "\"token_period\":3600000000000,\"token_policies\":null,"
                   "\"token_ttl\":1000000000,\"token_type\":0}");
}

static void older_names_serve_where_the_newer_are_not_sent(void **state)
{
    static const struct { const char *json, *data; } cases[] = {
        { "{\"policies\":\"B, a,,b\",\"ttl\":9}",
          "{\"new\":\"a,b\",\"old\":\"a,b\",\"old_ttl\":9,\"ttl\":9}" },
        { "{\"policies\":\"a\",\"token_policies\":\"B\",\"ttl\":1,\"token_ttl\":2}",
          "{\"new\":\"B\",\"old\":\"B\",\"old_ttl\":2,\"ttl\":2}" },
        { "{\"had\":\"x\",\"token_policies\":\"y\",\"token_ttl\":2}",
          "{\"new\":\"y\",\"old\":\"\",\"old_ttl\":0,\"ttl\":2}" },
        { "{\"had\":\"x\"}", "{\"new\":\"x\",\"old\":\"x\",\"old_ttl\":5,\"ttl\":0}" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        testing_expect(*state, OP_UPDATE, "older", cases[i].json, cases[i].data);
}

static void a_clean_list_of_policies_with_root_is_root_alone(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct strs names = strs_split(a, STR("b,Root,a"), ',');
    struct strs clean = tokenparams_policies(a, &names);

    assert_int_equal(clean.n, 1);
    assert_true(str_is(clean.v[0], "root"));
}

static void policies_are_the_same_whatever_the_order_and_the_default(void **state)
{
    static const struct { const char *role, *token; bool same; } cases[] = {
        { "b,a", "a,b,default", true },  { "", "default", true },
        { "a", "a,b,default", false },   { "a,a", "a,default", false },
        { "a,b", "a,default", false },
    };
    AUTO(arena_drop) struct arena *a = arena_new();

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct strs role = strs_split(a, str_of(cases[i].role), ',');
        struct strs token = strs_split(a, str_of(cases[i].token), ',');
        assert_int_equal(tokenparams_same_policies(a, &role, &token), cases[i].same);
    }
}

static void a_block_holds_its_addresses_and_no_others(void **state)
{
    static const struct { const char *block, *addr; bool held; } cases[] = {
        { "10.1.0.0/16", "10.1.255.255", true },   { "10.1.0.0/16", "10.2.0.0", false },
        { "10.1.2.3", "10.1.2.3", true },          { "10.1.2.3", "10.1.2.4", false },
        { "0.0.0.0/0", "8.8.8.8", true },          { "0.0.0.0/0", "::1", false },
        { "127.0.0.1", "::ffff:127.0.0.1", true }, { "fd00::/9", "fd7f::1", true },
        { "fd00::/9", "fd80::1", false },          { "::1/128", "::1", true },
        { "10.0.0.0/8", "not an address", false }, { "10.0.0.0/8", "", false },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cidr c;
        struct err err = { 0 };
        assert_int_equal(cidr_parse(str_of(cases[i].block), &c, &err), 0);
        if (cidr_contains(&c, str_of(cases[i].addr)) != cases[i].held)
            fail_msg("%s in %s", cases[i].addr, cases[i].block);
    }
}

static void what_is_no_block_is_refused(void **state)
{
    static const char *const cases[] = { "", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/", "::1/129",
                                         "10.0.0.0/-1", "host", "1.2.3.4:99999", "[::1:80",
                                         "10.0.0.0/8/8" };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cidr c;
        struct err err = { 0 };
        assert_int_equal(cidr_parse(str_of(cases[i]), &c, &err), -1);
        assert_int_equal(err.code, ERR_INVALID);
    }
}

static void no_blocks_bind_to_nothing(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct strs none = { 0 }, some = strs_split(a, STR("192.0.2.0/24,::1"), ',');

    assert_true(cidr_allows(&none, STR("1.2.3.4")));
    assert_true(cidr_allows(&none, STR("")));
    assert_true(cidr_allows(&some, STR("192.0.2.9")));
    assert_true(cidr_allows(&some, STR("::1")));
    assert_false(cidr_allows(&some, STR("127.0.0.1")));
    assert_false(cidr_allows(&some, STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_read_back),
        cmocka_unit_test(bad_parameters_are_told_in_vaults_words),
        cmocka_unit_test(the_stored_form_is_vaults),
        cmocka_unit_test(older_names_serve_where_the_newer_are_not_sent),
        cmocka_unit_test(a_clean_list_of_policies_with_root_is_root_alone),
        cmocka_unit_test(policies_are_the_same_whatever_the_order_and_the_default),
        cmocka_unit_test(a_block_holds_its_addresses_and_no_others),
        cmocka_unit_test(what_is_no_block_is_refused),
        cmocka_unit_test(no_blocks_bind_to_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
