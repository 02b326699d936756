/* Tests of userpass and bcrypt: users, passwords, logins, renewals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/bcrypt.h"
#include "auth/userpass.h"
#include "logical/testing.h"

static int set_up(void **state)
{
    static struct testing t;
    testing_open(&t, &auth_userpass);
    *state = &t;
    return 0;
}

static int tear_down(void **state)
{
    testing_close(*state);
    return 0;
}

/* ---- bcrypt ---- */

/* From the Go and OpenBSD test suites; the last ones hold bytes above 0x7f. */
static void hashes_of_other_programs_verify(void **state)
{
    static const struct { struct str hash, password; bool good; } cases[] = {
        { STR_INIT("$2a$10$7JMy/qCDz7uhMBLLbixMD.fzFS2BUNNqeuCWtlhEMeDdKGMyy6bka"),
          STR_INIT("pass-visible"), true },
        { STR_INIT("$2a$10$7JMy/qCDz7uhMBLLbixMD.fzFS2BUNNqeuCWtlhEMeDdKGMyy6bka"),
          STR_INIT("pass-visiblE"), false },
        { STR_INIT("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
          STR_INIT("U*U"), true },
        { STR_INIT("$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
          STR_INIT("U*U"), true },
        { STR_INIT("$2a$05$/OK.fbVrR/bpIqNJ5ianF.Sa7shbm4.OzKpvFnX1pQLmQW96oUlCq"),
          STR_INIT("\xa3"), true },
        { STR_INIT("$2y$05$/OK.fbVrR/bpIqNJ5ianF.Sa7shbm4.OzKpvFnX1pQLmQW96oUlCq"),
          STR_INIT("\xa3"), true },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (bcrypt_verify(cases[i].hash, cases[i].password) != cases[i].good)
            fail_msg("case %zu", i);
}

static void what_is_no_hash_never_verifies(void **state)
{
    static const char *const cases[] = {
        "", "*0", "password", "$2a$10$short", "$1$abc$def",
        "$2a$99$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeWx",
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_false(bcrypt_verify(str_of(cases[i]), STR("U*U")));
    assert_false(bcrypt_verify(STR("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
                               STR("U*U\0x")));
}

static void a_new_hash_is_vaults_kind_and_salted(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct err err = { 0 };
    struct str one, two;

    assert_int_equal(bcrypt_hash(a, STR("p"), &one, &err), 0);
    assert_int_equal(bcrypt_hash(a, STR("p"), &two, &err), 0);
    assert_true(str_starts(one, STR("$2a$10$")));
    assert_int_equal(one.n, 60);
    assert_false(str_eq(one, two));
    assert_true(bcrypt_verify(one, STR("p")));
    assert_false(bcrypt_verify(one, STR("P")));
    assert_int_equal(bcrypt_hash(a, STR("a\0b"), &one, &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
}

/* ---- users ---- */

static void users_read_back(void **state)
{
    struct testing *t = *state;

    testing_absent(t, OP_LIST, "users/");
    testing_refuse(t, OP_UPDATE, "users/bob", "{}", ERR_BAD_REQUEST, "missing password");
    testing_expect(t, OP_UPDATE, "users/Bob",
                   "{\"password\":\"builder\",\"policies\":[\"dev\",\"ops\"],\"token_ttl\":\"30m\","
                   "\"token_max_ttl\":\"1h\",\"token_num_uses\":10}",
                   "");
    assert_int_equal(t->req.op, OP_CREATE);
    testing_expect(t, OP_READ, "users/bob", NULL,
                   "{\"policies\":[\"dev\",\"ops\"],\"token_bound_cidrs\":[],"
                   "\"token_explicit_max_ttl\":0,\"token_max_ttl\":3600,"
                   "\"token_no_default_policy\":false,\"token_num_uses\":10,\"token_period\":0,"
                   "\"token_policies\":[\"dev\",\"ops\"],\"token_ttl\":1800,"
                   "\"token_type\":\"default\"}");
    testing_expect(t, OP_LIST, "users", NULL, "{\"keys\":[\"bob\"]}");
    testing_expect(t, OP_UPDATE, "users/bob/policies", "{\"policies\":\"default,QA\"}", "");
    testing_expect(t, OP_READ, "users/bob", NULL, NULL);
    assert_true(str_is(json_member(t->resp.data, "token_policies")->last->text, "qa"));
    testing_expect(t, OP_DELETE, "users/bob", NULL, "");
    testing_absent(t, OP_READ, "users/bob");
    testing_expect(t, OP_DELETE, "users/bob", NULL, "");
}

static void bad_users_are_not_stored(void **state)
{
    testing_refuse(*state, OP_UPDATE, "users/bad",
                   "{\"password\":\"p\",\"token_ttl\":\"2h\",\"token_max_ttl\":\"1h\"}",
                   ERR_BAD_REQUEST, "'token_ttl' cannot be greater than 'token_max_ttl'");
    testing_refuse(*state, OP_UPDATE, "users/bad", "{\"password\":\"p\",\"bound_cidrs\":\"x\"}",
                   ERR_BAD_REQUEST,
                   "error parsing address \"x\": Unable to convert \"x\" to an IPv4 or IPv6 "
                   "address, or a UNIX Socket");
    testing_absent(*state, OP_READ, "users/bad");
    testing_refuse(*state, OP_UPDATE, "users/none/password", "{\"password\":\"x\"}", ERR_INTERNAL,
                   "username does not exist");
    testing_refuse(*state, OP_UPDATE, "users/none/policies", "{\"policies\":\"x\"}", ERR_INTERNAL,
                   "username does not exist");
}

/* ---- login ---- */

static void the_right_password_logs_in(void **state)
{
    struct testing *t = *state;

    testing_expect(t, OP_UPDATE, "users/bob",
                   "{\"password\":\"builder\",\"token_policies\":[\"dev\"],\"token_ttl\":60,"
                   "\"token_num_uses\":3}",
                   "");
    testing_expect(t, OP_UPDATE, "login/BOB", "{\"password\":\"builder\"}", "");
    const struct auth *auth = t->resp.auth;
    assert_true(str_is(auth->display_name, "bob"));
    assert_true(str_is(auth->alias_name, "bob"));
    assert_true(str_is(json_get_str(auth->metadata, "username"), "bob"));
    assert_int_equal(auth->ttl_s, 60);
    assert_int_equal(auth->num_uses, 3);
    assert_true(auth->renewable);
    assert_int_equal(auth->policies.n, 1);
    testing_expect(t, OP_UPDATE, "users/bob/password", "{\"password\":\"fixer\"}", "");
    testing_refuse(t, OP_UPDATE, "login/bob", "{\"password\":\"builder\"}", ERR_BAD_REQUEST,
                   "invalid username or password");
    testing_expect(t, OP_UPDATE, "login/bob", "{\"password\":\"fixer\"}", "");
}

static void nobody_else_logs_in(void **state)
{
    struct testing *t = *state;

    testing_expect(t, OP_UPDATE, "users/bob", "{\"password\":\"builder\"}", "");
    testing_refuse(t, OP_UPDATE, "login/bob", "{}", ERR_INTERNAL, "missing password");
    testing_refuse(t, OP_UPDATE, "users/bob/password", "{}", ERR_BAD_REQUEST, "missing password");
    testing_refuse(t, OP_UPDATE, "login/nobody", "{\"password\":\"builder\"}", ERR_BAD_REQUEST,
                   "invalid username or password");
    testing_put(t, "user/empty", STR("{\"PasswordHash\":\"\"}"));
    testing_refuse(t, OP_UPDATE, "login/empty", "{\"password\":\"x\"}", ERR_BAD_REQUEST,
                   "invalid username or password");
    testing_put(t, "user/bad", STR("{"));
    testing_refuse(t, OP_UPDATE, "login/bad", "{\"password\":\"x\"}", ERR_CORRUPT,
                   "userpass: a stored user is not JSON");
    assert_null(t->resp.auth);
}

static void a_bound_user_logs_in_from_there_only(void **state)
{
    struct testing *t = *state;

    testing_expect(t, OP_UPDATE, "users/c",
                   "{\"password\":\"p\",\"token_bound_cidrs\":\"192.0.2.0/24\"}", "");
    testing_refuse(t, OP_UPDATE, "login/c", "{\"password\":\"p\"}", ERR_DENIED,
                   "permission denied");
    t->peer.addr = STR("192.0.2.7");
    testing_expect(t, OP_UPDATE, "login/c", "{\"password\":\"p\"}", "");
    assert_int_equal(t->resp.auth->bound_cidrs.n, 1);
}

/* As Vault 1.8 stored it, and from before the token_ names. */
static void vaults_users_log_in(void **state)
{
    struct testing *t = *state;

    testing_put(t, "user/alice-visible",
                STR("{\"token_bound_cidrs\":null,\"token_explicit_max_ttl\":0,\"token_max_ttl\":0,"
                    "\"token_no_default_policy\":false,\"token_num_uses\":0,\"token_period\":0,"
                    "\"token_policies\":[\"reader-visible\",\"templ-visible\"],\"token_type\":0,"
                    "\"token_ttl\":0,\"Password\":\"\",\"PasswordHash\":\"JDJhJDEwJDdKTXkvcUNEejd1a"
                    "E1CTExiaXhNRC5mekZTMkJVTk5xZXVDV3RsaEVNZURkS0dNeXk2Ymth\",\"Policies\":null,"
                    "\"TTL\":0,\"MaxTTL\":0,\"BoundCIDRs\":null}\n"));
    testing_expect(t, OP_UPDATE, "login/alice-visible", "{\"password\":\"pass-visible\"}", "");
    assert_int_equal(t->resp.auth->policies.n, 2);
    testing_put(t, "user/old", STR("{\"Password\":\"plain\",\"Policies\":[\"p\"],\"TTL\":5000000000}"));
    testing_expect(t, OP_UPDATE, "login/old", "{\"password\":\"plain\"}", "");
    assert_int_equal(t->resp.auth->ttl_s, 5);
    assert_int_equal(t->resp.auth->policies.n, 1);
    testing_refuse(t, OP_UPDATE, "login/old", "{\"password\":\"plai\"}", ERR_BAD_REQUEST,
                   "invalid username or password");
}

/* ---- renewal ---- */

static int renew(struct testing *t, const char *user, const char *policies)
{
    testing_call(t, OP_READ, "users/x", NULL);
    t->req.err = (struct err){ 0 };
    struct auth *auth = arena_alloc(t->arena, sizeof *auth);
    auth->metadata = json_object(t->arena);
    json_put_text(auth->metadata, "username", user);
    auth->token_policies = strs_split(t->arena, str_of(policies), ',');
    auth->display_name = STR("kept");
    t->req.lease_auth = auth;
    t->resp = (struct response){ .arena = t->arena };
    return auth_userpass.renew_login(&t->req, &t->resp);
}

static void a_login_is_renewed_with_the_users_present_times(void **state)
{
    struct testing *t = *state;

    testing_expect(t, OP_UPDATE, "users/bob",
                   "{\"password\":\"p\",\"token_policies\":\"b,a\",\"token_ttl\":7}", "");
    assert_int_equal(renew(t, "bob", "a,b,default"), 1);
    assert_int_equal(t->resp.auth->ttl_s, 7);
    assert_true(str_is(t->resp.auth->display_name, "kept"));
}

static void a_login_whose_policies_changed_is_not_renewed(void **state)
{
    static const char text[] = "policies have changed, not renewing";
    struct testing *t = *state;

    testing_expect(t, OP_UPDATE, "users/bob", "{\"password\":\"p\",\"token_policies\":\"a\"}", "");
    assert_int_equal(renew(t, "bob", "a,b,default"), -1);
    assert_string_equal(t->req.err.msg, text);
    /* A repeated item counts as a change, as in Vault. */
    testing_expect(t, OP_UPDATE, "users/bob", "{\"token_policies\":\"a,a\"}", "");
    assert_int_equal(renew(t, "bob", "a,default"), -1);
    assert_string_equal(t->req.err.msg, text);
}

static void a_login_of_a_user_who_is_gone_is_not_renewed(void **state)
{
    assert_int_equal(renew(*state, "nobody", "default"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_of_other_programs_verify),
        cmocka_unit_test(what_is_no_hash_never_verifies),
        cmocka_unit_test(a_new_hash_is_vaults_kind_and_salted),
        TEST(users_read_back),
        TEST(bad_users_are_not_stored),
        TEST(the_right_password_logs_in),
        TEST(nobody_else_logs_in),
        TEST(a_bound_user_logs_in_from_there_only),
        TEST(vaults_users_log_in),
        TEST(a_login_is_renewed_with_the_users_present_times),
        TEST(a_login_whose_policies_changed_is_not_renewed),
        TEST(a_login_of_a_user_who_is_gone_is_not_renewed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
