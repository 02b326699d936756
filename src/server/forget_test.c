/* Tests that a standby forgets what the active node changes, with all engines and devices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/forget.h"
#include "core/pair.h"
#include "server/registry.h"

static int setup(void **state)
{
    struct pair *p = malloc(sizeof *p);
    if (p == NULL)
        return -1;
    pair_open(p, registry_engines, registry_devices);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    pair_close(*state);
    free(*state);
    return 0;
}

/* Node 0 is the active one. */
static void write_at_active(struct pair *p, const char *path, const char *json)
{
    pair_must(p, 0, OP_UPDATE, path, json);
}

static bool answer_has(struct pair *p, const char *text)
{
    return memmem(p->text.p, p->text.n, text, strlen(text)) != NULL;
}

static void expect_at_standby(struct pair *p, const char *path, const char *text)
{
    pair_must(p, 1, OP_READ, path, NULL);
    if (!answer_has(p, text))
        fail_msg("%s: no %s in " STR_FMT, path, text, STR_ARG(buf_str(&p->text)));
}

static void expect_nothing_at_standby(struct pair *p, const char *path)
{
    assert_true(pair_call(p, 1, OP_READ, path, p->root, NULL) <= 0);
    assert_false(p->req.elsewhere);
}

static void policies(void **state)
{
    struct pair *p = *state;
    write_at_active(p, "sys/policies/acl/p", "{\"policy\":\"path \\\"one\\\" {}\"}");
    expect_at_standby(p, "sys/policies/acl/p", "one");
    write_at_active(p, "sys/policies/acl/p", "{\"policy\":\"path \\\"two\\\" {}\"}");
    expect_at_standby(p, "sys/policies/acl/p", "two");
    pair_must(p, 0, OP_DELETE, "sys/policies/acl/p", NULL);
    expect_nothing_at_standby(p, "sys/policies/acl/p");
}

static struct str member_text(struct pair *p, const char *object, const char *name)
{
    struct json *o;
    struct err err = { 0 };
    assert_int_equal(json_parse_all(p->arena, arena_dup(p->arena, buf_str(&p->text)), &o, &err),
                     0);
    struct str found = json_get_str(json_member(o, object), name);
    assert_true(found.n > 0);
    return found;
}

static void tokens(void **state)
{
    struct pair *p = *state;
    write_at_active(p, "auth/token/create", "{\"policies\":[\"default\"],\"ttl\":\"1h\"}");
    struct str token = member_text(p, "auth", "client_token");
    for (int i = 0; i < 2; i++) /* also from what it has kept */
        assert_true(pair_call(p, 1, OP_READ, "auth/token/lookup-self", token, NULL) > 0);
    write_at_active(p, "auth/token/revoke", arena_printf(p->arena, "{\"token\":\"" STR_FMT "\"}",
                                                       STR_ARG(token)).p);
    assert_int_equal(pair_call(p, 1, OP_READ, "auth/token/lookup-self", token, NULL), -1);
    assert_int_equal(p->req.err.code, ERR_DENIED);
    assert_false(p->req.elsewhere);
}

static void a_role_of_tokens(void **state)
{
    struct pair *p = *state;
    write_at_active(p, "auth/token/roles/r", "{\"path_suffix\":\"one\"}");
    expect_at_standby(p, "auth/token/roles/r", "one");
    write_at_active(p, "auth/token/roles/r", "{\"path_suffix\":\"two\"}");
    expect_at_standby(p, "auth/token/roles/r", "two");
}

static void kv_without_versions(void **state)
{
    struct pair *p = *state;
    write_at_active(p, "sys/mounts/kv1", "{\"type\":\"kv\"}");
    write_at_active(p, "kv1/x", "{\"v\":\"one\"}");
    expect_at_standby(p, "kv1/x", "one");
    write_at_active(p, "kv1/x", "{\"v\":\"two\"}");
    expect_at_standby(p, "kv1/x", "two");
}

static void kv_with_versions(void **state)
{
    struct pair *p = *state;
    write_at_active(p, "sys/mounts/kv2", "{\"type\":\"kv\",\"options\":{\"version\":\"2\"}}");
    write_at_active(p, "kv2/config", "{\"max_versions\":3}");
    expect_at_standby(p, "kv2/config", "\"max_versions\":3");
    write_at_active(p, "kv2/config", "{\"max_versions\":5}");
    expect_at_standby(p, "kv2/config", "\"max_versions\":5");
    write_at_active(p, "kv2/data/x", "{\"data\":{\"v\":\"one\"}}");
    expect_at_standby(p, "kv2/data/x", "one");
    write_at_active(p, "kv2/data/x", "{\"data\":{\"v\":\"two\"}}");
    expect_at_standby(p, "kv2/data/x", "two");
    expect_at_standby(p, "kv2/metadata/x", "\"current_version\":2");
    pair_must(p, 0, OP_DELETE, "kv2/metadata/x", NULL);
    expect_nothing_at_standby(p, "kv2/data/x");
}

static void transit(void **state)
{
    struct pair *p = *state;
    write_at_active(p, "sys/mounts/transit", "{\"type\":\"transit\"}");
    write_at_active(p, "transit/keys/k", NULL);
    expect_at_standby(p, "transit/keys/k", "\"latest_version\":1");
    pair_must(p, 1, OP_UPDATE, "transit/encrypt/k", "{\"plaintext\":\"eA==\"}");
    assert_true(answer_has(p, "vault:v1:"));
    write_at_active(p, "transit/keys/k/rotate", NULL);
    pair_must(p, 1, OP_UPDATE, "transit/encrypt/k", "{\"plaintext\":\"eA==\"}");
    assert_true(answer_has(p, "vault:v2:"));
    write_at_active(p, "transit/keys/k/config", "{\"min_decryption_version\":2}");
    expect_at_standby(p, "transit/keys/k", "\"min_decryption_version\":2");
    write_at_active(p, "transit/keys/k/config", "{\"deletion_allowed\":true}");
    pair_must(p, 0, OP_DELETE, "transit/keys/k", NULL);
    expect_nothing_at_standby(p, "transit/keys/k");
}

static void ssh(void **state)
{
    struct pair *p = *state;
    write_at_active(p, "sys/mounts/ssh", "{\"type\":\"ssh\"}");
    write_at_active(p, "ssh/roles/r", "{\"key_type\":\"otp\",\"default_user\":\"one\","
                                      "\"cidr_list\":\"10.0.0.0/8\"}");
    expect_at_standby(p, "ssh/roles/r", "one");
    write_at_active(p, "ssh/roles/r", "{\"key_type\":\"otp\",\"default_user\":\"two\","
                                      "\"cidr_list\":\"10.0.0.0/8\"}");
    expect_at_standby(p, "ssh/roles/r", "two");
    write_at_active(p, "ssh/config/ca", "{\"generate_signing_key\":true}");
    expect_at_standby(p, "ssh/config/ca", "ssh-rsa");
    pair_must(p, 0, OP_DELETE, "ssh/config/ca", NULL);
    (void)pair_call(p, 1, OP_READ, "ssh/config/ca", p->root, NULL);
    assert_false(answer_has(p, "ssh-rsa"));
}

static void userpass_and_its_entities(void **state)
{
    struct pair *p = *state;
    write_at_active(p, "sys/auth/userpass", "{\"type\":\"userpass\"}");
    write_at_active(p, "auth/userpass/users/u", "{\"password\":\"one\",\"policies\":\"p\"}");
    expect_at_standby(p, "auth/userpass/users/u", "\"p\"");
    write_at_active(p, "auth/userpass/login/u", "{\"password\":\"one\"}");
    struct str token = member_text(p, "auth", "client_token");
    assert_true(pair_call(p, 1, OP_READ, "auth/token/lookup-self", token, NULL) > 0);
    pair_must(p, 0, OP_DELETE, "auth/userpass/users/u", NULL);
    expect_nothing_at_standby(p, "auth/userpass/users/u");
}

static void mounts(void **state)
{
    struct pair *p = *state;
    write_at_active(p, "sys/mounts/m", "{\"type\":\"kv\"}");
    write_at_active(p, "sys/mounts/m/tune", "{\"description\":\"tuned\"}");
    expect_at_standby(p, "sys/mounts", "tuned");
    write_at_active(p, "m/x", "{\"v\":\"one\"}");
    write_at_active(p, "sys/remount", "{\"from\":\"m\",\"to\":\"n\"}");
    expect_at_standby(p, "n/x", "one");
    pair_must(p, 0, OP_DELETE, "sys/mounts/n", NULL);
    assert_int_equal(pair_call(p, 1, OP_READ, "n/x", p->root, NULL), -1);
}

static void audit_devices(void **state)
{
    struct pair *p = *state;
    write_at_active(p, "sys/audit/f", "{\"type\":\"file\",\"options\":"
                                      "{\"file_path\":\"discard\"}}");
    expect_at_standby(p, "sys/audit", "\"f/\"");
    write_at_active(p, "sys/config/auditing/request-headers/X-One", "{\"hmac\":true}");
    expect_at_standby(p, "sys/config/auditing/request-headers/X-One", "\"hmac\":true");
    pair_must(p, 0, OP_DELETE, "sys/audit/f", NULL);
    pair_must(p, 1, OP_READ, "sys/audit", NULL);
    assert_false(answer_has(p, "\"f/\""));
}

static void rules_for_browsers(void **state)
{
    struct pair *p = *state;
    write_at_active(p, "sys/config/cors", "{\"allowed_origins\":\"http://one\"}");
    expect_at_standby(p, "sys/config/cors", "http://one");
    pair_must(p, 0, OP_DELETE, "sys/config/cors", NULL);
    expect_at_standby(p, "sys/config/cors", "\"enabled\":false");
}

static void a_rotation(void **state)
{
    struct pair *p = *state;
    write_at_active(p, "sys/rotate", NULL);
    expect_at_standby(p, "sys/key-status", "\"term\":2");
    write_at_active(p, "sys/mounts/kv1", "{\"type\":\"kv\"}");
    write_at_active(p, "kv1/x", "{\"v\":\"one\"}");
    expect_at_standby(p, "kv1/x", "one");
    assert_int_equal(service_mode(pair_service(p, 1)), SERVICE_STANDBY);
}

/* ---- the whole store ---- */

struct walk {
    struct pair *pair;
    struct str prefix;
};

static int look_at(void *ctx, struct str name)
{
    struct walk *w = ctx;
    struct err err = { 0 };
    struct walk below = { w->pair, arena_cat(w->pair->arena, w->prefix, name) };
    if (str_ends(name, STR("/")))
        return storage_list(w->pair->under, below.prefix, STR(""), look_at, &below, &err);
    if (!forget_knows(below.prefix))
        fail_msg("nobody forgets what is kept of " STR_FMT, STR_ARG(below.prefix));
    return 0;
}

static void every_key_has_somebody_who_forgets_it(void **state)
{
    struct walk all = { *state, STR("") };
    struct err err = { 0 };
    policies(state);
    tokens(state);
    a_role_of_tokens(state);
    kv_without_versions(state);
    kv_with_versions(state);
    transit(state);
    ssh(state);
    userpass_and_its_entities(state);
    audit_devices(state);
    rules_for_browsers(state);
    assert_int_equal(storage_list(all.pair->under, STR(""), STR(""), look_at, &all, &err), 0);
}

static void a_key_of_no_known_place_has_nobody(void **state)
{
    assert_false(forget_knows(STR("elsewhere/x")));
    assert_false(forget_knows(STR("cor")));
    assert_true(forget_knows(STR("core/something-new")));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(policies),
        TEST(tokens),
        TEST(a_role_of_tokens),
        TEST(kv_without_versions),
        TEST(kv_with_versions),
        TEST(transit),
        TEST(ssh),
        TEST(userpass_and_its_entities),
        TEST(mounts),
        TEST(audit_devices),
        TEST(rules_for_browsers),
        TEST(a_rotation),
        TEST(every_key_has_somebody_who_forgets_it),
        cmocka_unit_test(a_key_of_no_known_place_has_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
