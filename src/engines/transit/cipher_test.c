/* Tests of encryption with a key: vectors made with another implementation, and refusals. */
#include "engines/transit/cipher.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "codec/base64.h"

#define KEY32  "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define KEY16  "AAECAwQFBgcICQoLDA0ODw=="
#define NONCE  STR_INIT("defghijklmno")
#define RECORD(type, key, rest)                                                                    \
    "{\"name\":\"k\",\"latest_version\":1,\"min_decryption_version\":1,\"type\":" #type ","        \
    rest                                                                                           \
    ",\"keys\":{\"1\":{\"key\":\"" key "\"}}}"

/* Version 1 of a key whose bytes count up from 0, the text "plaintext", the context "context". */
static const struct {
    const char *what, *record;
    struct str nonce;       /* as the client gives it */
    bool repeats;           /* encrypting gives the same again */
    const char *ciphertext;
} vectors[] = {
    { "aes256", RECORD(0, KEY32, "\"kdf\":0"), { NULL, 0 }, false,
      "vault:v1:ZGVmZ2hpamtsbW5vOHe/DxedM+ZK+2l6BZdApRI+dtQiJEnMtw==" },
    { "aes128", RECORD(8, KEY16, "\"kdf\":0"), { NULL, 0 }, false,
      "vault:v1:ZGVmZ2hpamtsbW5vag4vzLV23YLvZR0/5OU3ie4igQuYXRnnvQ==" },
    { "chacha20", RECORD(5, KEY32, "\"kdf\":0"), { NULL, 0 }, false,
      "vault:v1:ZGVmZ2hpamtsbW5vRH3ao/bREyqP6bi6DvpQdT7jCYYVk8DYvQ==" },
    { "the first version of all was 0", RECORD(0, KEY32, "\"kdf\":0"), { NULL, 0 }, false,
      "vault:v0:ZGVmZ2hpamtsbW5vOHe/DxedM+ZK+2l6BZdApRI+dtQiJEnMtw==" },
    { "derived by counter mode", RECORD(0, KEY32, "\"kdf\":0,\"derived\":true"), { NULL, 0 }, false,
      "vault:v1:ZGVmZ2hpamtsbW5vce+y/7C8opvBqFXxG+ZPkNs2claSUFqhFA==" },
    { "derived by HKDF", RECORD(0, KEY32, "\"kdf\":1,\"derived\":true"), { NULL, 0 }, false,
      "vault:v1:ZGVmZ2hpamtsbW5v3Djav9clowVidMgB4m/nkFPhI9TmOIUaew==" },
    { "convergent 1",
      RECORD(0, KEY32, "\"kdf\":0,\"derived\":true,\"convergent_encryption\":true,"
                       "\"convergent_version\":1"),
      NONCE, true, "vault:v1:ce+y/7C8opvBqFXxG+ZPkNs2claSUFqhFA==" },
    { "convergent 1, not said",
      RECORD(0, KEY32, "\"kdf\":0,\"derived\":true,\"convergent_encryption\":true"),
      NONCE, true, "vault:v1:ce+y/7C8opvBqFXxG+ZPkNs2claSUFqhFA==" },
    { "convergent 2",
      RECORD(0, KEY32, "\"kdf\":1,\"derived\":true,\"convergent_encryption\":true,"
                       "\"convergent_version\":2"),
      { NULL, 0 }, true, "vault:v1:GbGK3TI3+UNNqjHbjOXXw/bG3wuk4UJGG/1WS8fZZiJodTWe6Q==" },
    { "convergent 3, aes256",
      RECORD(0, KEY32, "\"kdf\":1,\"derived\":true,\"convergent_encryption\":true,"
                       "\"convergent_version\":3"),
      { NULL, 0 }, true, "vault:v1:/Cjn3y5PQHnGGjqO7HheKHgbPKwqluVgsyYfsIh9kv1MUFqWWQ==" },
    { "convergent 3, a nonce given in vain",
      RECORD(0, KEY32, "\"kdf\":1,\"derived\":true,\"convergent_encryption\":true,"
                       "\"convergent_version\":3"),
      NONCE, true, "vault:v1:/Cjn3y5PQHnGGjqO7HheKHgbPKwqluVgsyYfsIh9kv1MUFqWWQ==" },
    { "convergent 3, aes128",
      RECORD(8, KEY16, "\"kdf\":1,\"derived\":true,\"convergent_encryption\":true,"
                       "\"convergent_version\":3"),
      { NULL, 0 }, true, "vault:v1:zj57zZk6s5avTjmZDm8auIWj4WWLFz/0vEuaH3IroCQxXsr+9g==" },
    { "convergent 3, chacha20",
      RECORD(5, KEY32, "\"kdf\":1,\"derived\":true,\"convergent_encryption\":true,"
                       "\"convergent_version\":3"),
      { NULL, 0 }, true, "vault:v1:/Cjn3y5PQHnGGjqOn1cTlzIF5J6I4Oqph9zw1dt39HXs5wLfvA==" },
};

static struct transit_key *key_of(struct arena *a, const char *record)
{
    struct transit_key *k = NULL;
    struct json *doc;
    struct err err = { 0 };
    assert_int_equal(json_parse(a, str_of(record), &doc, NULL, &err), 0);
    if (transit_key_new(a, doc, &k, &err) < 0)
        fail_msg("%s", err.msg);
    return k;
}

static void key_drop(struct transit_key **k)
{
    transit_key_free(*k);
}

static void decrypts_the_vectors(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        AUTO(arena_drop) struct arena *a = arena_new();
        AUTO(key_drop) struct transit_key *k = key_of(a, vectors[i].record);
        struct transit_aux aux = { STR("context"), vectors[i].nonce };
        struct str plain;
        struct err err = { 0 };

        print_message("  %s\n", vectors[i].what);
        assert_int_equal(transit_cipher_decrypt(a, k, &aux, str_of(vectors[i].ciphertext), &plain,
                                                &err), 0);
        assert_true(str_is(plain, "plaintext"));
    }
}

static void encrypts_convergent_keys_to_the_vectors_and_others_anew(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        AUTO(arena_drop) struct arena *a = arena_new();
        AUTO(key_drop) struct transit_key *k = key_of(a, vectors[i].record);
        struct transit_aux aux = { STR("context"), vectors[i].nonce };
        struct str text, plain;
        struct err err = { 0 };

        print_message("  %s\n", vectors[i].what);
        assert_int_equal(transit_cipher_encrypt(a, k, 1, &aux, STR("plaintext"), &text, &err), 0);
        assert_int_equal(str_is(text, vectors[i].ciphertext), vectors[i].repeats);
        assert_int_equal(transit_cipher_decrypt(a, k, &aux, text, &plain, &err), 0);
        assert_true(str_is(plain, "plaintext"));
    }
}

static void says_why_a_ciphertext_is_refused(void **state)
{
    static const struct { const char *text, *why; enum err_code code; } cases[] = {
        { "", "invalid ciphertext: no prefix", ERR_BAD_REQUEST },
        { "abcd", "invalid ciphertext: no prefix", ERR_BAD_REQUEST },
        { "vault:v1", "invalid ciphertext: wrong number of fields", ERR_BAD_REQUEST },
        { "vault:vx:AAAA", "invalid ciphertext: version number could not be decoded",
          ERR_BAD_REQUEST },
        { "vault:v:AAAA", "invalid ciphertext: version number could not be decoded",
          ERR_BAD_REQUEST },
        { "vault:v99999999999999999999:AAAA",
          "invalid ciphertext: version number could not be decoded", ERR_BAD_REQUEST },
        { "vault:v2:AAAA", "invalid ciphertext: version is too new", ERR_BAD_REQUEST },
        { "vault:v-1:AAAA", "ciphertext or signature version is disallowed by policy (too old)",
          ERR_BAD_REQUEST },
        { "vault:v1:?", "invalid ciphertext: could not decode base64", ERR_BAD_REQUEST },
        { "vault:v1:", "invalid ciphertext length", ERR_BAD_REQUEST },
        { "vault:v1:AAAAAAAAAAAAAAA=", "invalid ciphertext length", ERR_BAD_REQUEST },
        { "vault:v1:AAAAAAAAAAAAAAAA", "cipher: message authentication failed", ERR_CORRUPT },
        { "vault:v1:ZGVmZ2hpamtsbW5vOHe/DxedM+ZK+2l6BZdApRI+dtQiJEnMtA==",
          "cipher: message authentication failed", ERR_CORRUPT },
        { "vault:v1:ZGVmZ2hpamtsbW5wOHe/DxedM+ZK+2l6BZdApRI+dtQiJEnMtw==",
          "cipher: message authentication failed", ERR_CORRUPT },
    };
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(key_drop) struct transit_key *k = key_of(a, vectors[0].record);

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct transit_aux aux = { { NULL, 0 }, { NULL, 0 } };
        struct str plain = STR("untouched");
        struct err err = { 0 };
        print_message("  %s\n", cases[i].text);
        assert_int_equal(transit_cipher_decrypt(a, k, &aux, str_of(cases[i].text), &plain, &err),
                         -1);
        assert_string_equal(err.msg, cases[i].why);
        assert_int_equal(err.code, cases[i].code);
        assert_true(str_is(plain, "untouched"));
    }
}

static void refuses_a_nonce_for_a_key_that_is_not_convergent(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(key_drop) struct transit_key *k = key_of(a, vectors[0].record);
    struct transit_aux aux = { { NULL, 0 }, NONCE };
    struct str text;
    struct err err = { 0 };
    assert_int_equal(transit_cipher_encrypt(a, k, 1, &aux, STR("x"), &text, &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
}

static void wants_the_context_of_a_derived_key(void **state)
{
    for (size_t i = 4; i < ARRAY_LEN(vectors); i++) {
        AUTO(arena_drop) struct arena *a = arena_new();
        AUTO(key_drop) struct transit_key *k = key_of(a, vectors[i].record);
        struct transit_aux aux = { { NULL, 0 }, NONCE };
        struct str text;
        struct err err = { 0 }, other = { 0 };

        assert_int_equal(transit_cipher_encrypt(a, k, 1, &aux, STR("x"), &text, &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
        assert_true(str_starts(err_text(&err), STR("missing 'context' for key derivation; ")));
        aux.context = STR("another");
        assert_int_equal(transit_cipher_decrypt(a, k, &aux, str_of(vectors[i].ciphertext), &text,
                                                &other), -1);
        assert_int_equal(other.code, ERR_CORRUPT);
    }
}

static void wants_twelve_bytes_of_nonce_for_convergent_1(void **state)
{
    static const struct str nonces[] = { { NULL, 0 }, STR_INIT("short"),
                                         STR_INIT("defghijklmnop") };
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(key_drop) struct transit_key *k = key_of(a, vectors[6].record);

    for (size_t i = 0; i < ARRAY_LEN(nonces); i++) {
        struct transit_aux aux = { STR("context"), nonces[i] };
        struct str text;
        struct err err = { 0 }, other = { 0 };
        assert_int_equal(transit_cipher_encrypt(a, k, 1, &aux, STR("x"), &text, &err), -1);
        assert_string_equal(err.msg, "base64-decoded nonce must be 12 bytes long when using "
                                     "convergent encryption with this key");
        assert_int_equal(transit_cipher_decrypt(a, k, &aux, str_of(vectors[6].ciphertext), &text,
                                                &other), -1);
        assert_string_equal(other.msg, "invalid convergent nonce supplied");
    }
}

static void picks_versions_within_bounds(void **state)
{
    static const struct { int64_t asked, got; const char *why; } cases[] = {
        { 0, 5, "" },
        { 5, 5, "" },
        { 3, 3, "" },
        { 2, 0, "requested version for signing is less than the minimum encryption key version" },
        { 6, 0, "requested version for signing is higher than the latest key version" },
        { -1, 0, "requested version for signing is negative" },
    };
    struct transit_key k = { .latest = 5, .min_encryption = 3 };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = { 0 };
        int64_t version = cases[i].asked;
        bool good = cases[i].got != 0;
        assert_int_equal(transit_cipher_pick(&k, "signing", &version, &err), good ? 0 : -1);
        assert_string_equal(err.msg, cases[i].why);
        if (good)
            assert_int_equal(version, cases[i].got);
    }
}

static void knows_other_templates_of_versions(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(key_drop) struct transit_key *k =
        key_of(a, RECORD(0, KEY32, "\"version_template\":\"<{{version}}>\""));
    struct transit_aux aux = { { NULL, 0 }, { NULL, 0 } };
    struct str text, plain;
    struct err err = { 0 };

    assert_int_equal(transit_cipher_encrypt(a, k, 1, &aux, STR("x"), &text, &err), 0);
    assert_true(str_starts(text, STR("<1>")));
    assert_int_equal(transit_cipher_decrypt(a, k, &aux, text, &plain, &err), 0);
}

static void refuses_stored_keys_that_do_not_fit(void **state)
{
    static const struct { const char *what, *record; } cases[] = {
        { "no type", "{\"keys\":{\"1\":{\"key\":\"" KEY32 "\"}}}" },
        { "an unknown type", RECORD(10, KEY32, "\"kdf\":0") },
        { "a key too short", RECORD(0, KEY16, "\"kdf\":0") },
        { "a key too long", RECORD(8, KEY32, "\"kdf\":0") },
        { "no key", RECORD(0, "", "\"kdf\":0") },
        { "a key that is not base64", RECORD(0, "???", "\"kdf\":0") },
        { "no EC numbers", RECORD(1, "", "\"kdf\":0") },
        { "no RSA numbers", RECORD(3, "", "\"kdf\":0") },
        { "half an Ed25519 key", RECORD(2, KEY32, "\"kdf\":0") },
        { "no versions", "{\"type\":0,\"keys\":{}}" },
        { "versions that are no object", "{\"type\":0,\"keys\":[]}" },
        { "a version that is no number", "{\"type\":0,\"keys\":{\"x\":{\"key\":\"" KEY32 "\"}}}" },
        { "a version that is no object", "{\"type\":0,\"keys\":{\"1\":5}}" },
        { "a template without version", RECORD(0, KEY32, "\"version_template\":\"x\"") },
        { "a template with two", RECORD(0, KEY32,
                                        "\"version_template\":\"{{version}}{{version}}\"") },
    };
    AUTO(arena_drop) struct arena *a = arena_new();

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct transit_key *k = NULL;
        struct json *doc;
        struct err err = { 0 };
        print_message("  %s\n", cases[i].what);
        assert_int_equal(json_parse(a, str_of(cases[i].record), &doc, NULL, &err), 0);
        assert_int_equal(transit_key_new(a, doc, &k, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
        assert_null(k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decrypts_the_vectors),
        cmocka_unit_test(encrypts_convergent_keys_to_the_vectors_and_others_anew),
        cmocka_unit_test(says_why_a_ciphertext_is_refused),
        cmocka_unit_test(refuses_a_nonce_for_a_key_that_is_not_convergent),
        cmocka_unit_test(wants_the_context_of_a_derived_key),
        cmocka_unit_test(wants_twelve_bytes_of_nonce_for_convergent_1),
        cmocka_unit_test(picks_versions_within_bounds),
        cmocka_unit_test(knows_other_templates_of_versions),
        cmocka_unit_test(refuses_stored_keys_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
