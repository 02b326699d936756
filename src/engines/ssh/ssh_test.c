/* Tests of the ssh engine: roles, passwords, certificates, and the stored forms of Vault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "codec/base64.h"
#include "crypto/sshkeys_test.h"
#include "crypto/sshwire.h"
#include "engines/ssh/ssh.h"
#include "logical/testing.h"

#define KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILp6D2OcTKWhNEmYlx1hGwDAZZFEXTpz4YU4lJFgL3FC x"

/* "{{name}}" is bob; everything else has no value. */
static int render(const struct sysview *v, const struct request *req, struct str text,
                  struct str *out, struct err *err)
{
    *out = STR("bob");
    return str_is(text, "{{name}}") ? 0 : err_set(err, ERR_BAD_REQUEST, "no value");
}

static int ssh(void **state)
{
    static struct testing t;
    testing_open(&t, &engine_ssh);
    t.sys.render = render;
    *state = &t;
    return 0;
}

static int tear_down(void **state)
{
    testing_close(*state);
    return 0;
}

static void write_role(struct testing *t, const char *name, const char *json)
{
    char rel[64] = "roles/";
    memcpy(rel + 6, name, strlen(name) + 1);
    testing_expect(t, OP_UPDATE, rel, json, "");
}

static void set_ca(struct testing *t, const char *private, const char *public)
{
    AUTO(buf_free) struct buf body = { 0 };
    buf_add(&body, STR("{\"private_key\":"));
    json_print_string(str_of(private), &body);
    buf_add(&body, STR(",\"public_key\":"));
    json_print_string(str_of(public), &body);
    buf_add(&body, STR("}"));
    buf_byte(&body, '\0');
    testing_expect(t, OP_UPDATE, "config/ca", body.p, "");
}

/* The principals of the certificate last answered, joined by commas. */
static const char *principals(struct testing *t)
{
    struct str line = json_get_str(t->resp.data, "signed_key"), part, blob, s;
    (void)str_next(&line, ' ', &part);
    assert_int_equal(base64_decode(t->arena, line, &blob, NULL), 0);
    for (int i = 0; i < 3; i++) /* type, nonce, the Ed25519 key */
        assert_true(sshwire_get_str(&blob, &s));
    blob = str_from(blob, 12);
    assert_true(sshwire_get_str(&blob, &s));
    assert_true(sshwire_get_str(&blob, &s));
    struct strs names = { 0 };
    struct str one;
    while (sshwire_get_str(&s, &one))
        strs_add(t->arena, &names, one);
    return arena_cstr(t->arena, strs_join(t->arena, &names, STR(",")));
}

/* ---- roles ---- */

static void roles_are_stored_as_vault_stores_them(void **state)
{
    static const char otp[] =
        "{\"key_type\":\"otp\",\"key\":\"\",\"key_bits\":0,\"admin_user\":\"\","
        "\"default_user\":\"u\",\"cidr_list\":\"10.0.0.0/8\",\"exclude_cidr_list\":\"\","
        "\"port\":22,\"install_script\":\"\",\"allowed_users\":\"\","
        "\"allowed_users_template\":false,\"allowed_domains\":\"\",\"key_option_specs\":\"\","
        "\"max_ttl\":\"\",\"ttl\":\"\",\"default_critical_options\":null,"
        "\"default_extensions\":null,\"default_extensions_template\":false,"
        "\"allowed_critical_options\":\"\",\"allowed_extensions\":\"\","
        "\"allow_user_certificates\":false,\"allow_host_certificates\":false,"
        "\"allow_bare_domains\":false,\"allow_subdomains\":false,\"allow_user_key_ids\":false,"
        "\"key_id_format\":\"\",\"allowed_user_key_lengths\":null,\"algorithm_signer\":\"\"}\n";
    struct testing *t = *state;
    AUTO(buf_free) struct buf stored = { 0 };

    write_role(t, "r", "{\"key_type\":\"OTP\",\"default_user\":\"u\","
                       "\"cidr_list\":\"10.0.0.0/8\"}");
    assert_int_equal(testing_get(t, "roles/r", &stored), 1);
    assert_true(str_is(buf_str(&stored), otp));
    write_role(t, "c", "{\"key_type\":\"ca\",\"allow_user_certificates\":true,\"ttl\":\"90s\","
                       "\"default_extensions\":{\"n\":1,\"b\":true},"
                       "\"allowed_user_key_lengths\":{\"rsa\":\"2048\"}}");
    assert_int_equal(testing_get(t, "roles/c", &stored), 1);
    static const char *const parts[] = {
        "\"max_ttl\":\"0s\",\"ttl\":\"1m30s\"", "\"default_critical_options\":{}",
        "\"default_extensions\":{\"b\":\"true\",\"n\":\"1\"}",
        "\"allowed_user_key_lengths\":{\"rsa\":2048}",
    };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        assert_true(str_find(buf_str(&stored), str_of(parts[i])) >= 0);
    testing_expect(t, OP_LIST, "roles", NULL,
                   "{\"key_info\":{\"c\":{\"key_type\":\"ca\"},\"r\":{\"key_type\":\"otp\"}},"
                   "\"keys\":[\"c\",\"r\"]}");
}

static void roles_that_make_no_sense_are_refused(void **state)
{
    static const struct { const char *json; enum err_code code; const char *text; } cases[] = {
        { "{}", ERR_BAD_REQUEST, "missing key type" },
        { "{\"key_type\":\"x\"}", ERR_BAD_REQUEST, "invalid key type" },
        { "{\"key_type\":\"dynamic\",\"key\":\"k\",\"admin_user\":\"a\",\"default_user\":\"u\"}",
          ERR_BAD_REQUEST, "invalid key type" },
        { "{\"key_type\":\"otp\"}", ERR_BAD_REQUEST, "missing default user" },
        { "{\"key_type\":\"otp\",\"default_user\":\"u\",\"admin_user\":\"a\"}", ERR_BAD_REQUEST,
          "admin user not required for OTP type" },
        { "{\"key_type\":\"otp\",\"default_user\":\"u\",\"cidr_list\":\"10.0.0.0/8,x\"}",
          ERR_INTERNAL, "failed to validate cidr_list: invalid CIDR address: x" },
        { "{\"key_type\":\"otp\",\"default_user\":\"u\",\"cidr_list\":\"1.2.3.4\"}",
          ERR_INTERNAL, "failed to validate cidr_list: invalid CIDR address: 1.2.3.4" },
        { "{\"key_type\":\"otp\",\"default_user\":\"u\",\"exclude_cidr_list\":\"1.2.3.4/33\"}",
          ERR_INTERNAL,
          "failed to validate exclude_cidr_list entry: invalid CIDR address: 1.2.3.4/33" },
        { "{\"key_type\":\"ca\"}", ERR_BAD_REQUEST,
          "Either 'allow_user_certificates' or 'allow_host_certificates' must be set to 'true'" },
        { "{\"key_type\":\"ca\",\"allow_user_certificates\":true,\"ttl\":2,\"max_ttl\":1}",
          ERR_BAD_REQUEST, "\"ttl\" value must be less than \"max_ttl\" when both are specified" },
        { "{\"key_type\":\"ca\",\"allow_user_certificates\":true,\"algorithm_signer\":\"a\\\"\"}",
          ERR_INTERNAL, "unknown algorithm signer \"a\\\"\"" },
        { "{\"key_type\":\"ca\",\"allow_user_certificates\":true,"
          "\"allowed_user_key_lengths\":{\"rsa\":\"big\"}}", ERR_BAD_REQUEST,
          "error processing allowed_user_key_lengths: \"rsa\" is not given as a number" },
        { "{\"key_type\":\"ca\",\"allow_user_certificates\":true,"
          "\"default_extensions\":{\"a\":[1]}}", ERR_BAD_REQUEST,
          "default_extensions: \"a\" must be a text" },
    };
    struct testing *t = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        testing_refuse(t, OP_UPDATE, "roles/r", cases[i].json, cases[i].code, cases[i].text);
        assert_int_equal(testing_count(t, ""), 0);
    }
}

static void a_role_of_an_older_vault_reads_with_defaults(void **state)
{
    struct testing *t = *state;

    testing_put(t, "roles/old", STR("{\"key_type\":\"otp\",\"default_user\":\"u\",\"port\":2222}"));
    testing_expect(t, OP_READ, "roles/old", NULL,
                   "{\"allowed_users\":\"\",\"cidr_list\":\"\",\"default_user\":\"u\","
                   "\"exclude_cidr_list\":\"\",\"key_type\":\"otp\",\"port\":2222}");
    testing_put(t, "roles/dyn", STR("{\"key_type\":\"dynamic\",\"key\":\"k\",\"admin_user\":\"a\","
                                    "\"default_user\":\"u\",\"cidr_list\":\"0.0.0.0/0\"}"));
    testing_expect(t, OP_READ, "roles/dyn", NULL, NULL);
    testing_refuse(t, OP_UPDATE, "creds/dyn", "{\"ip\":\"1.2.3.4\"}", ERR_BAD_REQUEST,
                   "dynamic keys are not issued any more; use a role of key type 'otp' or 'ca'");
    testing_put(t, "roles/bad", STR("{\"key_type\":\"?\"}"));
    testing_refuse(t, OP_READ, "roles/bad", NULL, ERR_CORRUPT, "invalid key type: ?");
    testing_put(t, "roles/bad", STR("nonsense"));
    testing_refuse(t, OP_READ, "roles/bad", NULL, ERR_CORRUPT,
                   "stored entry does not parse: roles/bad");
    testing_expect(t, OP_LIST, "roles", NULL,
                   "{\"key_info\":{\"dyn\":{\"key_type\":\"dynamic\"},\"old\":{\"key_type\":"
                   "\"otp\"}},\"keys\":[\"bad\",\"dyn\",\"old\"]}");
}

/* ---- passwords ---- */

static void otp_role(struct testing *t)
{
    write_role(t, "r", "{\"key_type\":\"otp\",\"default_user\":\"u\",\"allowed_users\":\"a, b\","
                       "\"cidr_list\":\"10.0.0.0/8,fd00::/8\","
                       "\"exclude_cidr_list\":\"10.9.0.0/16\"}");
}

static void a_password_is_good_once(void **state)
{
    struct testing *t = *state;
    AUTO(buf_free) struct buf body = { 0 };

    otp_role(t);
    testing_expect(t, OP_UPDATE, "creds/r", "{\"ip\":\"10.0.0.1\",\"username\":\"b\"}", NULL);
    assert_true(t->resp.lease->leased);
    assert_false(t->resp.lease->renewable);
    assert_string_equal(t->resp.lease->kind, "secret_otp_type");
    buf_printf(&body, "{\"otp\":\"" STR_FMT "\"}", STR_ARG(json_get_str(t->resp.data, "key")));
    buf_byte(&body, '\0');
    assert_int_equal(testing_count(t, "otp/"), 1);
    testing_expect(t, OP_UPDATE, "verify", body.p,
                   "{\"ip\":\"10.0.0.1\",\"role_name\":\"r\",\"username\":\"b\"}");
    assert_int_equal(testing_count(t, "otp/"), 0);
    testing_refuse(t, OP_UPDATE, "verify", body.p, ERR_BAD_REQUEST, "OTP not found");
}

static void a_password_is_found_by_vaults_hash(void **state)
{
    struct testing *t = *state;

    testing_refuse(t, OP_UPDATE, "verify", "{\"otp\":\"x\"}", ERR_BAD_REQUEST, "OTP not found");
    assert_int_equal(testing_count(t, ""), 0);
    testing_put(t, "salt", STR("s"));
    testing_refuse(t, OP_UPDATE, "verify", "{\"otp\":\"y\"}", ERR_BAD_REQUEST, "OTP not found");
    /* SHA-256 of "sx" */
    testing_put(t, "otp/9740c9dcdb4487d8cd63d2a544d8e6573f082081c49aef08c7853ab0f99e019a",
                STR("{\"username\":\"u\",\"ip\":\"1.1.1.1\",\"role_name\":\"r\"}"));
    testing_expect(t, OP_UPDATE, "verify", "{\"otp\":\"x\"}",
                   "{\"ip\":\"1.1.1.1\",\"role_name\":\"r\",\"username\":\"u\"}");
}

static void revoking_takes_the_password_away_and_can_be_repeated(void **state)
{
    struct testing *t = *state;
    const struct secret_kind *kind = &engine_ssh.secrets[0];

    otp_role(t);
    testing_expect(t, OP_UPDATE, "creds/r", "{\"ip\":\"10.0.0.1\"}", NULL);
    t->req.lease_data = t->resp.lease->internal_data;
    assert_int_equal(kind->revoke(&t->req, &t->resp), 1);
    assert_int_equal(testing_count(t, "otp/"), 0);
    assert_int_equal(kind->revoke(&t->req, &t->resp), 1);
    t->req.lease_data = json_object(t->arena);
    assert_int_equal(kind->revoke(&t->req, &t->resp), -1);
    assert_string_equal(t->req.err.msg, "secret is missing internal data");
    /* A key that an older Vault put on a host is not forgotten in silence. */
    assert_int_equal(engine_ssh.secrets[1].revoke(&t->req, &t->resp), -1);
}

static void passwords_outside_the_role_are_refused(void **state)
{
    static const char outside[] = "Error validating IP: IP does not belong to role";
    static const struct { const char *json, *text; } cases[] = {
        { "{}", "Missing ip" },
        { "{\"ip\":\"x\"}", "Invalid IP \"x\"" },
        { "{\"ip\":\"10.0.0.1:22\"}", "Invalid IP \"10.0.0.1:22\"" },
        { "{\"ip\":\"10.0.0.0/8\"}", "Invalid IP \"10.0.0.0/8\"" },
        { "{\"ip\":\"10.9.0.1\"}", outside },
        { "{\"ip\":\"11.0.0.1\"}", outside },
        { "{\"ip\":\"::ffff:10.9.0.1\"}", outside },
        { "{\"ip\":\"fe80::1\"}", outside },
        { "{\"ip\":\"10.0.0.1\",\"username\":\"root\"}",
          "Username is not present is allowed users list" },
    };
    struct testing *t = *state;

    otp_role(t);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        testing_refuse(t, OP_UPDATE, "creds/r", cases[i].json, ERR_BAD_REQUEST, cases[i].text);
    testing_refuse(t, OP_UPDATE, "creds/none", "{\"ip\":\"10.0.0.1\"}", ERR_BAD_REQUEST,
                   "Role \"none\" not found");
    assert_int_equal(testing_count(t, "otp/"), 0);
    testing_expect(t, OP_UPDATE, "creds/r", "{\"ip\":\"::ffff:10.0.0.1\"}", NULL);
    assert_true(str_is(json_get_str(t->resp.data, "ip"), "10.0.0.1"));
    testing_expect(t, OP_UPDATE, "creds/r", "{\"ip\":\"FD00:0:0::1\"}", NULL);
    assert_true(str_is(json_get_str(t->resp.data, "ip"), "fd00::1"));
}

/* ---- addresses ---- */

static void a_role_may_serve_every_address(void **state)
{
    struct testing *t = *state;

    otp_role(t);
    testing_absent(t, OP_READ, "config/zeroaddress");
    testing_expect(t, OP_UPDATE, "config/zeroaddress", "{\"roles\":\"r\"}", "");
    testing_expect(t, OP_UPDATE, "creds/r", "{\"ip\":\"11.0.0.1\"}", NULL);
    testing_expect(t, OP_UPDATE, "lookup", "{\"ip\":\"11.0.0.1\"}", "{\"roles\":[\"r\"]}");
    testing_expect(t, OP_DELETE, "roles/r", NULL, "");
    testing_expect(t, OP_READ, "config/zeroaddress", NULL, "{\"roles\":[]}");
    testing_expect(t, OP_UPDATE, "lookup", "{\"ip\":\"11.0.0.1\"}", "{\"roles\":null}");
    testing_expect(t, OP_DELETE, "config/zeroaddress", NULL, "");
    testing_absent(t, OP_READ, "config/zeroaddress");
}

static void only_roles_that_are_there_serve_every_address(void **state)
{
    struct testing *t = *state;

    otp_role(t);
    testing_refuse(t, OP_UPDATE, "config/zeroaddress", "{}", ERR_BAD_REQUEST, "Missing roles");
    testing_refuse(t, OP_UPDATE, "config/zeroaddress", "{\"roles\":\"r,x\"}", ERR_BAD_REQUEST,
                   "Role \"x\" does not exist");
    testing_refuse(t, OP_UPDATE, "config/zeroaddress", "{\"roles\":\"r,\"}", ERR_BAD_REQUEST,
                   "Role \"\" does not exist");
    testing_absent(t, OP_READ, "config/zeroaddress");
    testing_refuse(t, OP_UPDATE, "lookup", "{}", ERR_BAD_REQUEST, "Missing ip");
    testing_refuse(t, OP_UPDATE, "lookup", "{\"ip\":\"x\"}", ERR_BAD_REQUEST,
                   "Invalid IP \"<nil>\"");
}

/* ---- the CA ---- */

static void the_ca_is_stored_as_vault_stores_it(void **state)
{
    struct testing *t = *state;
    AUTO(buf_free) struct buf stored = { 0 };

    set_ca(t, private_ed25519, public_ed25519);
    assert_int_equal(testing_get(t, "config/ca_private_key", &stored), 1);
    assert_true(str_starts(buf_str(&stored),
                           STR("{\"key\":\"-----BEGIN OPENSSH PRIVATE KEY-----\\n")));
    assert_true(str_ends(buf_str(&stored), STR("-----END OPENSSH PRIVATE KEY-----\\n\"}\n")));
    testing_expect(t, OP_READ, "config/ca", NULL, NULL);
    assert_true(str_is(json_get_str(t->resp.data, "public_key"), public_ed25519));
    testing_expect(t, OP_READ, "public_key", NULL, NULL);
    assert_true(str_is(t->resp.raw, public_ed25519));
    testing_refuse(t, OP_UPDATE, "config/ca", NULL, ERR_BAD_REQUEST,
                   "keys are already configured; delete them before reconfiguring");
    testing_expect(t, OP_DELETE, "config/ca", NULL, "");
    assert_int_equal(testing_count(t, "config/"), 0);
}

static void a_ca_of_an_older_place_counts(void **state)
{
    struct testing *t = *state;

    testing_put(t, "public_key", str_of(public_ed25519));
    testing_put(t, "config/ca_bundle", str_of(private_ed25519));
    testing_expect(t, OP_READ, "public_key", NULL, NULL);
    assert_true(str_is(t->resp.raw, public_ed25519));
    testing_refuse(t, OP_UPDATE, "config/ca", NULL, ERR_BAD_REQUEST,
                   "keys are already configured; delete them before reconfiguring");
    write_role(t, "u", "{\"key_type\":\"ca\",\"allow_user_certificates\":true}");
    testing_expect(t, OP_UPDATE, "sign/u", "{\"public_key\":\"" KEY "\"}", NULL);
    testing_expect(t, OP_DELETE, "config/ca", NULL, "");
    testing_absent(t, OP_READ, "public_key");
}

static void halves_of_a_ca_are_refused(void **state)
{
    static const struct { const char *json, *text; } cases[] = {
        { "{\"public_key\":\"x\"}", "only one of public_key and private_key set; both must be set "
                                    "to use, or both must be blank to auto-generate" },
        { "{\"generate_signing_key\":true,\"private_key\":\"x\"}",
          "public_key and private_key must not be set when generate_signing_key is set to true" },
        { "{\"generate_signing_key\":false}", "missing public_key" },
        { "{\"generate_signing_key\":false,\"public_key\":\"x\"}", "missing private_key" },
        { "{\"private_key\":\"x\",\"public_key\":\"y\"}",
          "Unable to parse private_key as an SSH private key: ssh: no key found" },
    };
    struct testing *t = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        testing_refuse(t, OP_UPDATE, "config/ca", cases[i].json, ERR_BAD_REQUEST, cases[i].text);
    testing_refuse(t, OP_READ, "config/ca", NULL, ERR_BAD_REQUEST,
                   "keys haven't been configured yet");
    testing_absent(t, OP_READ, "public_key");
    assert_int_equal(testing_count(t, ""), 0);
}

/* ---- certificates ---- */

static void user_role(struct testing *t, const char *more)
{
    AUTO(buf_free) struct buf b = { 0 };
    buf_printf(&b, "{\"key_type\":\"ca\",\"allow_user_certificates\":true%s}", more);
    buf_byte(&b, '\0');
    write_role(t, "u", b.p);
}

/* The body outlives the call: some tests call again with another caller. */
static int sign(struct testing *t, const char *more)
{
    static char body[1024];
    int n = snprintf(body, sizeof body, "{\"public_key\":\"" KEY "\"%s}", more);
    assert_in_range(n, 1, sizeof body - 1);
    return testing_call(t, OP_UPDATE, "sign/u", body);
}

static void principals_are_trimmed_and_sorted(void **state)
{
    struct testing *t = *state;

    set_ca(t, private_ed25519, public_ed25519);
    user_role(t, ",\"allowed_users\":\"*\",\"default_user\":\"d\"");
    assert_int_equal(sign(t, ",\"valid_principals\":\"b, a,,b\""), 1);
    assert_string_equal(principals(t), "a,b");
    assert_int_equal(sign(t, ""), 1);
    assert_string_equal(principals(t), "d");
}

static void templates_name_the_caller(void **state)
{
    struct testing *t = *state;

    set_ca(t, private_ed25519, public_ed25519);
    user_role(t, ",\"allowed_users\":\"{{name}},x\",\"allowed_users_template\":true,"
                 "\"default_extensions\":{\"login@x\":\"{{name}}\"},"
                 "\"default_extensions_template\":true");
    assert_int_equal(sign(t, ",\"valid_principals\":\"bob\""), -1); /* has no entity */
    assert_string_equal(t->req.err.msg, "bob is not a valid value for valid_principals");
    t->req.entity_id = STR("e-1");
    t->resp.data = NULL;
    assert_int_equal(route_call(&t->req, &t->resp), 1);
    assert_string_equal(principals(t), "bob");
    user_role(t, ",\"allowed_users\":\"{{other}}\",\"allowed_users_template\":true");
    (void)sign(t, ",\"valid_principals\":\"bob\"");
    t->req.entity_id = STR("e-1");
    assert_int_equal(route_call(&t->req, &t->resp), -1);
    assert_string_equal(t->req.err.msg, "template '{{other}}' could not be rendered -> no value");
}

static void what_the_role_does_not_allow_is_refused(void **state)
{
    static const struct { const char *role, *asked, *text; } cases[] = {
        { "", ",\"valid_principals\":\"a\"", "role is not configured to allow any principals" },
        { ",\"allowed_users\":\"b\"", ",\"valid_principals\":\"a\"",
          "a is not a valid value for valid_principals" },
        { "", ",\"cert_type\":\"host\"", "cert_type 'host' is not allowed by role" },
        { "", ",\"cert_type\":\"\"", "cert_type must be either 'user' or 'host'" },
        { "", ",\"key_id\":\"k\"", "setting key_id is not allowed by role" },
        { ",\"max_ttl\":60", ",\"ttl\":61", "ttl is larger than maximum allowed 60" },
        { "", ",\"ttl\":2764801", "ttl is larger than maximum allowed 2764800" },
        { ",\"allowed_critical_options\":\"a\"", ",\"critical_options\":{\"c\":1,\"b\":1,\"a\":1}",
          "critical options not on allowed list: [b c]" },
        { ",\"allowed_extensions\":\"a\"", ",\"extensions\":{\"b\":\"\"}",
          "extensions [b] are not on allowed list" },
        { ",\"allowed_user_key_lengths\":{\"rsa\":2048}", "",
          "public_key failed to meet the key requirements: key type of ed25519 is not allowed" },
    };
    struct testing *t = *state;

    set_ca(t, private_ed25519, public_ed25519);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        user_role(t, cases[i].role);
        assert_int_equal(sign(t, cases[i].asked), -1);
        assert_string_equal(t->req.err.msg, cases[i].text);
        assert_int_equal(t->req.err.code, ERR_BAD_REQUEST);
    }
}

static void key_lengths_must_be_those_of_the_role(void **state)
{
    static const struct { const char *role, *text; } cases[] = {
        { ",\"allowed_user_key_lengths\":{\"ecdsa\":256}", NULL },
        { ",\"allowed_user_key_lengths\":{\"ecdsa\":384}",
          "public_key failed to meet the key requirements: key is of an invalid size: 256" },
    };
    struct testing *t = *state;
    AUTO(buf_free) struct buf body = { 0 };

    set_ca(t, private_ed25519, public_ed25519);
    buf_printf(&body, "{\"public_key\":\"%s\"}", public_p256);
    buf_byte(&body, '\0');
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        user_role(t, cases[i].role);
        if (cases[i].text == NULL)
            testing_expect(t, OP_UPDATE, "sign/u", body.p, NULL);
        else
            testing_refuse(t, OP_UPDATE, "sign/u", body.p, ERR_BAD_REQUEST, cases[i].text);
    }
}

static void hosts_lie_in_the_roles_domains(void **state)
{
    static const struct { const char *role, *host; bool fits; } cases[] = {
        { "\"allow_subdomains\":true", "a.example.com", true },
        { "\"allow_subdomains\":true", "example.com", false },
        { "\"allow_subdomains\":true", "aexample.com", false },
        { "\"allow_bare_domains\":true", "example.com", true },
        { "\"allow_bare_domains\":true", "a.example.com", false },
        { "\"allow_bare_domains\":false", "example.com", false },
    };
    struct testing *t = *state;

    set_ca(t, private_ed25519, public_ed25519);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(buf_free) struct buf role = { 0 }, body = { 0 };
        buf_printf(&role, "{\"key_type\":\"ca\",\"allow_host_certificates\":true,"
                          "\"allowed_domains\":\"x,example.com\",%s}", cases[i].role);
        buf_byte(&role, '\0');
        write_role(t, "u", role.p);
        buf_printf(&body, ",\"cert_type\":\"host\",\"valid_principals\":\"%s\"", cases[i].host);
        buf_byte(&body, '\0');
        assert_int_equal(sign(t, body.p), cases[i].fits ? 1 : -1);
    }
}

static void nothing_is_signed_without_key_role_or_ca(void **state)
{
    struct testing *t = *state;

    testing_refuse(t, OP_UPDATE, "sign/u", "{}", ERR_BAD_REQUEST, "Unknown role: u");
    user_role(t, "");
    testing_refuse(t, OP_UPDATE, "sign/u", "{}", ERR_BAD_REQUEST, "missing public_key");
    testing_refuse(t, OP_UPDATE, "sign/u", "{\"public_key\":\"ssh-rsa AAAA\"}", ERR_BAD_REQUEST,
                   "failed to parse public_key as SSH key: ssh: short read");
    assert_int_equal(sign(t, ""), -1);
    assert_string_equal(t->req.err.msg, "failed to read CA private key");
    testing_put(t, "config/ca_private_key", STR("{\"key\":\"damaged\"}"));
    assert_int_equal(sign(t, ""), -1);
    assert_int_equal(t->req.err.code, ERR_CORRUPT);
}

static void the_key_id_follows_the_roles_format(void **state)
{
    struct testing *t = *state;
    struct str line, blob, part;

    set_ca(t, private_ed25519, public_ed25519);
    user_role(t, ",\"key_id_format\":\"<{{role_name}}|{{token_display_name}}|{{x}}\"");
    assert_int_equal(sign(t, ""), 1);
    t->req.display_name = STR("{{role_name}}"); /* a value is no directive */
    t->resp.data = NULL;
    assert_int_equal(route_call(&t->req, &t->resp), 1);
    line = json_get_str(t->resp.data, "signed_key");
    (void)str_next(&line, ' ', &part);
    assert_int_equal(base64_decode(t->arena, line, &blob, NULL), 0);
    assert_true(str_find(blob, STR("<u|{{role_name}}|{{x}}")) > 0);
}

static void host_keys_are_kept_and_checked(void **state)
{
    struct testing *t = *state;
    AUTO(buf_free) struct buf body = { 0 };

    buf_add(&body, STR("{\"key\":"));
    json_print_string(str_of(private_p256), &body);
    buf_add(&body, STR("}"));
    buf_byte(&body, '\0');
    testing_expect(t, OP_UPDATE, "keys/k", body.p, "");
    assert_int_equal(testing_count(t, "keys/"), 1);
    testing_refuse(t, OP_UPDATE, "keys/k2", "{\"key\":\"x\"}", ERR_BAD_REQUEST, "Invalid key");
    testing_refuse(t, OP_UPDATE, "keys/k2", "{}", ERR_BAD_REQUEST, "Invalid key");
    testing_expect(t, OP_DELETE, "keys/k", NULL, "");
    assert_int_equal(testing_count(t, "keys/"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, ssh, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(roles_are_stored_as_vault_stores_them),
        TEST(roles_that_make_no_sense_are_refused),
        TEST(a_role_of_an_older_vault_reads_with_defaults),
        TEST(a_password_is_good_once),
        TEST(a_password_is_found_by_vaults_hash),
        TEST(revoking_takes_the_password_away_and_can_be_repeated),
        TEST(passwords_outside_the_role_are_refused),
        TEST(a_role_may_serve_every_address),
        TEST(only_roles_that_are_there_serve_every_address),
        TEST(the_ca_is_stored_as_vault_stores_it),
        TEST(a_ca_of_an_older_place_counts),
        TEST(halves_of_a_ca_are_refused),
        TEST(principals_are_trimmed_and_sorted),
        TEST(templates_name_the_caller),
        TEST(what_the_role_does_not_allow_is_refused),
        TEST(key_lengths_must_be_those_of_the_role),
        TEST(hosts_lie_in_the_roles_domains),
        TEST(nothing_is_signed_without_key_role_or_ca),
        TEST(the_key_id_follows_the_roles_format),
        TEST(host_keys_are_kept_and_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
