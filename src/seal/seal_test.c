/* Tests of the seal's stored forms. */
#include "seal/shamir.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "codec/base64.h"
#include "storage/driver.h"

static const struct str kek = STR_INIT("0123456789abcdef0123456789abcdef");
static const struct str root = STR_INIT("another root key of 32 bytes ...");

/* A key that Vault's shares gave, core/hsm/barrier-unseal-keys, and the root key in it. */
static const char vault_kek[] = "8d7e6cb95a50f3ee901da1885703d55995ad7b077f3bdf1903d50acd1e8f8a19";
static const char vault_entry[] = "Ckwi/U84vtZxptuFJqj+IJLXZXm1EyNsYORTGIXTpjnv2Nx/bTg2MrkoY606qjT"
                                  "Q5xCano5JwyOewVKUdMGVlmHErky3ZiN36BCrffp1KgA=";
static const char vault_root[] = "60e348b88db3ddb3e3816288fa97da83c3310994fdcf8fdb161df7bf08330d48";

#define VAULT_CONFIG                                                                               \
    "{\"type\":\"shamir\",\"secret_shares\":3,\"secret_threshold\":2,\"pgp_keys\":null,"           \
    "\"nonce\":\"\",\"backup\":false,\"stored_shares\":1}"

static struct str unhex(struct arena *a, const char *hex)
{
    struct str out;
    struct err err = { 0 };

    assert_int_equal(hex_decode(a, str_of(hex), &out, &err), 0);
    return out;
}

/* The seal that a key-encryption key makes, for one call. */

static int wrap_with(struct str key, struct str root_key, struct buf *out, struct err *err)
{
    AUTO(seal_drop) struct seal *seal = NULL;
    TRY(seal_shamir_new(key, &seal, err));
    return seal_wrap_root_key(seal, root_key, out, err);
}

static int unwrap_with(struct str key, struct str entry, struct secret *out, struct err *err)
{
    AUTO(seal_drop) struct seal *seal = NULL;
    TRY(seal_shamir_new(key, &seal, err));
    return seal_unwrap_root_key(seal, entry, out, err);
}

static int encrypt_with(struct str key, struct str text, struct buf *out, struct err *err)
{
    AUTO(seal_drop) struct seal *seal = NULL;
    TRY(seal_shamir_new(key, &seal, err));
    return seal_encrypt(seal, text, out, err);
}

static int decrypt_with(struct str key, struct str entry, struct buf *out, struct err *err)
{
    AUTO(seal_drop) struct seal *seal = NULL;
    TRY(seal_shamir_new(key, &seal, err));
    return seal_decrypt(seal, entry, out, err);
}

static void opens_what_vault_wrapped(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(secret_free) struct secret key = { 0 };
    struct str entry;
    struct err err = { 0 };

    assert_int_equal(base64_decode(a, str_of(vault_entry), &entry, &err), 0);
    assert_int_equal(unwrap_with(unhex(a, vault_kek), entry, &key, &err), 0);
    assert_true(secret_eq(secret_str(&key), unhex(a, vault_root)));
}

static void wraps_in_vaults_form(void **state)
{
    AUTO(buf_free) struct buf entry = { 0 };
    AUTO(secret_free) struct secret key = { 0 };
    struct err err = { 0 };

    assert_int_equal(wrap_with(kek, root, &entry, &err), 0);
    assert_int_equal(entry.n, 80);
    assert_memory_equal(entry.p, "\x0a\x4c", 2);
    assert_memory_equal(entry.p + 78, "\x2a\x00", 2);
    assert_int_equal(unwrap_with(kek, buf_str(&entry), &key, &err), 0);
    assert_true(secret_eq(secret_str(&key), root));
}

static void a_wrong_key_is_denied_with_vaults_text(void **state)
{
    static const struct {
        struct str key;
        const char *text;
    } cases[] = {
        { STR_INIT("1123456789abcdef0123456789abcdef"),
          "failed to encrypt keys for storage: cipher: message authentication failed" },
        { STR_INIT("0123456789abcdef0123456789abcdefX"),
          "failed to setup unseal key: crypto/aes: invalid key size 33" },
        { STR_INIT(""), "failed to setup unseal key: crypto/aes: invalid key size 0" },
    };
    AUTO(buf_free) struct buf entry = { 0 };
    struct err made = { 0 };

    assert_int_equal(wrap_with(kek, root, &entry, &made), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(secret_free) struct secret key = { 0 };
        struct err err = { 0 };
        assert_int_equal(unwrap_with(cases[i].key, buf_str(&entry), &key, &err), -1);
        assert_int_equal(err.code, ERR_DENIED);
        assert_string_equal(err.msg, cases[i].text);
        assert_null(key.p);
    }
}

static void a_damaged_entry_opens_to_nothing(void **state)
{
    AUTO(buf_free) struct buf entry = { 0 };
    struct err made = { 0 };

    assert_int_equal(wrap_with(kek, root, &entry, &made), 0);
    for (size_t n = 0; n < entry.n - 2; n++) { /* without the empty key info it is whole still */
        AUTO(secret_free) struct secret key = { 0 };
        struct err err = { 0 };
        assert_int_equal(unwrap_with(kek, str_head(buf_str(&entry), n), &key, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
    }
    for (size_t i = 2; i < entry.n - 2; i++) {
        AUTO(secret_free) struct secret key = { 0 };
        struct err err = { 0 };
        entry.p[i] ^= 1;
        assert_int_equal(unwrap_with(kek, buf_str(&entry), &key, &err), -1);
        assert_int_equal(err.code, ERR_DENIED);
        entry.p[i] ^= 1;
    }
}

static void what_is_no_list_of_one_key_is_corrupt(void **state)
{
    static const struct str texts[] = {
        STR_INIT(""),       STR_INIT("[]"),   STR_INIT("[\"AA==\",\"AA==\"]"),
        STR_INIT("{}"),     STR_INIT("[1]"),  STR_INIT("[\"%%\"]"),
        STR_INIT("[\"\"]"), STR_INIT("null"), STR_INIT("[\"AA==\"")
    };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        AUTO(buf_free) struct buf entry = { 0 };
        AUTO(secret_free) struct secret key = { 0 };
        struct err err = { 0 };
        assert_int_equal(encrypt_with(kek, texts[i], &entry, &err), 0);
        assert_int_equal(unwrap_with(kek, buf_str(&entry), &key, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
    }
}

static void encrypts_any_text(void **state)
{
    AUTO(buf_free) struct buf entry = { 0 };
    AUTO(buf_free) struct buf out = { 0 };
    struct err err = { 0 };

    assert_int_equal(encrypt_with(kek, STR("abc  meta.json\n"), &entry, &err), 0);
    assert_int_equal(decrypt_with(kek, buf_str(&entry), &out, &err), 0);
    assert_true(str_is(buf_str(&out), "abc  meta.json\n"));
}

static void prints_the_configuration_as_vault_does(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct seal_config c = {
        .type = STR("shamir"), .shares = 3, .threshold = 2, .stored_shares = 1
    };
    struct seal_config back;
    struct err err = { 0 };

    assert_true(str_is(seal_config_print(a, &c), VAULT_CONFIG));
    strs_add(a, &c.pgp_keys, STR("AAAA"));
    strs_add(a, &c.pgp_keys, STR("BBBB"));
    c.nonce = STR("n");
    c.backup = true;
    struct str text = seal_config_print(a, &c);
    assert_true(str_is(text, "{\"type\":\"shamir\",\"secret_shares\":3,\"secret_threshold\":2,"
                             "\"pgp_keys\":[\"AAAA\",\"BBBB\"],\"nonce\":\"n\",\"backup\":true,"
                             "\"stored_shares\":1}"));
    assert_int_equal(seal_config_parse(a, text, &back, &err), 0);
    assert_true(strs_equal(&c.pgp_keys, &back.pgp_keys) && str_is(back.nonce, "n") && back.backup);
}

static void reads_the_configuration_and_skips_what_it_does_not_know(void **state)
{
    static const struct str texts[] = {
        STR_INIT(VAULT_CONFIG),
        STR_INIT(
            "{\"later\":{\"x\":[1]},\"stored_shares\":1,\"secret_threshold\":2,\"secret_shares\":3,"
            "\"type\":\"\"}\n"),
    };
    AUTO(arena_drop) struct arena *a = arena_new();

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct seal_config c;
        struct err err = { 0 };
        assert_int_equal(seal_config_parse(a, texts[i], &c, &err), 0);
        assert_true(str_is(c.type, "shamir"));
        assert_true(c.shares == 3 && c.threshold == 2 && c.stored_shares == 1);
        assert_int_equal(c.pgp_keys.n, 0);
        assert_int_equal(seal_config_check(&c, &err), 0);
    }
}

static void a_malformed_configuration_is_corrupt(void **state)
{
    static const struct str texts[] = { STR_INIT(""),
                                        STR_INIT("{"),
                                        STR_INIT("[]"),
                                        STR_INIT("{} x"),
                                        STR_INIT("{\"pgp_keys\":1}"),
                                        STR_INIT("{\"pgp_keys\":[1]}") };
    AUTO(arena_drop) struct arena *a = arena_new();

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct seal_config c;
        struct err err = { 0 };
        assert_int_equal(seal_config_parse(a, texts[i], &c, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
    }
}

static void loads_the_configuration_where_it_is(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct storage *s;
    struct seal_config c;
    struct err err = { 0 };

    assert_int_equal(storage_inmem.open(NULL, 0, &s, &err), 0);
    assert_int_equal(seal_config_load(s, a, STR("core/seal-config"), &c, &err), 0);
    assert_int_equal(storage_put(s, STR("core/seal-config"), STR(VAULT_CONFIG), &err), 0);
    assert_int_equal(seal_config_load(s, a, STR("core/seal-config"), &c, &err), 1);
    assert_int_equal(c.shares, 3);
    assert_int_equal(storage_put(s, STR("core/seal-config"), STR("?"), &err), 0);
    assert_int_equal(seal_config_load(s, a, STR("core/seal-config"), &c, &err), -1);
    storage_close(s);
}

static void refuses_what_vault_refuses_with_its_texts(void **state)
{
    static const struct {
        int64_t shares, threshold;
        size_t keys;
        const char *text;
    } cases[] = {
        { 0, 0, 0, "shares must be at least one" },
        { -1, 2, 0, "shares must be at least one" },
        { 3, 0, 0, "threshold must be at least one" },
        { 3, -1, 0, "threshold must be at least one" },
        { 3, 1, 0, "threshold must be greater than one for multiple shares" },
        { 256, 2, 0, "shares must be less than 256" },
        { 2, 256, 0, "threshold must be less than 256" },
        { 2, 3, 0, "threshold cannot be larger than shares" },
        { 3, 2, 2, "count mismatch between number of provided PGP keys and number of shares" },
    };
    static struct str keys[2];

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct seal_config c = { .type = STR("shamir"),
                                 .shares = cases[i].shares,
                                 .threshold = cases[i].threshold,
                                 .pgp_keys = { keys, cases[i].keys, 2 } };
        struct err err = { 0 };
        assert_int_equal(seal_config_check(&c, &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
        assert_string_equal(err.msg, cases[i].text);
    }
}

static void accepts_what_vault_accepts(void **state)
{
    static const struct {
        int64_t shares, threshold;
    } cases[] = { { 1, 1 }, { 2, 2 }, { 5, 3 }, { 255, 255 }, { 255, 2 } };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct seal_config c = { .type = STR("shamir"),
                                 .shares = cases[i].shares,
                                 .threshold = cases[i].threshold };
        struct err err = { 0 };
        assert_int_equal(seal_config_check(&c, &err), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_what_vault_wrapped),
        cmocka_unit_test(wraps_in_vaults_form),
        cmocka_unit_test(a_wrong_key_is_denied_with_vaults_text),
        cmocka_unit_test(a_damaged_entry_opens_to_nothing),
        cmocka_unit_test(what_is_no_list_of_one_key_is_corrupt),
        cmocka_unit_test(encrypts_any_text),
        cmocka_unit_test(prints_the_configuration_as_vault_does),
        cmocka_unit_test(reads_the_configuration_and_skips_what_it_does_not_know),
        cmocka_unit_test(a_malformed_configuration_is_corrupt),
        cmocka_unit_test(loads_the_configuration_where_it_is),
        cmocka_unit_test(refuses_what_vault_refuses_with_its_texts),
        cmocka_unit_test(accepts_what_vault_accepts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
