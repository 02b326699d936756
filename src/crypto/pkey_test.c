/* Tests of asymmetric keys: numbers, PEM, RSA encryption. */
#include "crypto/pkey.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Of a key that a Vault made for tests. */
static const struct pkey_ec vault_ec = {
    STR_INIT("47656282137658119559499187293883421011009883633366492029890538701239761538627"),
    STR_INIT("97710401709103897761132477354570040784445694625465118204474662954315046801741"),
    STR_INIT("101545107752756179683902861483598891737351653624733591574443641840143466336316"),
};

static struct pkey *make(enum pkey_kind kind, int bits)
{
    struct pkey *k = NULL;
    struct err err = { 0 };
    assert_int_equal(pkey_generate(kind, bits, &k, &err), 0);
    return k;
}

static void ec_keys_survive_as_numbers(void **state)
{
    static const enum pkey_kind kinds[] = { PKEY_P256, PKEY_P384, PKEY_P521 };

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        AUTO(arena_drop) struct arena *a = arena_new();
        AUTO(pkey_drop) struct pkey *k = make(kinds[i], 0), *again = NULL;
        AUTO(buf_free) struct buf pem = { 0 }, pem_again = { 0 };
        struct pkey_ec numbers;
        struct err err = { 0 };

        assert_int_equal(pkey_ec_numbers(k, a, &numbers, &err), 0);
        assert_int_equal(pkey_from_ec(kinds[i], &numbers, &again, &err), 0);
        assert_int_equal(pkey_private_pem(k, &pem, &err), 0);
        assert_int_equal(pkey_private_pem(again, &pem_again, &err), 0);
        assert_true(str_eq(buf_str(&pem), buf_str(&pem_again)));
        assert_true(str_starts(buf_str(&pem), STR("-----BEGIN EC PRIVATE KEY-----\n")));
    }
}

static void rsa_keys_survive_as_numbers_with_and_without_the_crt_ones(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(pkey_drop) struct pkey *k = make(PKEY_RSA, 2048);
    AUTO(buf_free) struct buf pem = { 0 };
    struct pkey_rsa numbers;
    struct err err = { 0 };

    assert_int_equal(pkey_size(k), 256);
    assert_int_equal(pkey_rsa_numbers(k, a, &numbers, &err), 0);
    assert_int_equal(pkey_private_pem(k, &pem, &err), 0);
    assert_true(str_starts(buf_str(&pem), STR("-----BEGIN RSA PRIVATE KEY-----\n")));
    for (int bare = 0; bare < 2; bare++) {
        AUTO(pkey_drop) struct pkey *again = NULL;
        AUTO(buf_free) struct buf pem_again = { 0 };
        if (bare)
            numbers.dp = numbers.dq = numbers.qinv = STR("");
        assert_int_equal(pkey_from_rsa(&numbers, &again, &err), 0);
        assert_int_equal(pkey_private_pem(again, &pem_again, &err), 0);
        assert_true(str_eq(buf_str(&pem), buf_str(&pem_again)));
    }
}

static void an_ed25519_key_has_the_public_half_of_rfc_8032(void **state)
{
    static const uint8_t seed[32] = {
        0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c,
        0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae,
        0x7f, 0x60,
    };
    static const uint8_t public[32] = {
        0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07,
        0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07,
        0x51, 0x1a,
    };
    AUTO(pkey_drop) struct pkey *k = NULL;
    uint8_t both[64];
    struct err err = { 0 };

    assert_int_equal(pkey_from_ed25519(str_mem(seed, 32), &k, &err), 0);
    assert_int_equal(pkey_ed25519_bytes(k, both, &err), 0);
    assert_memory_equal(both, seed, 32);
    assert_memory_equal(both + 32, public, 32);
}

static void writes_the_public_key_as_vault_stores_it(void **state)
{
    AUTO(pkey_drop) struct pkey *k = NULL;
    AUTO(buf_free) struct buf pem = { 0 };
    struct err err = { 0 };

    assert_int_equal(pkey_from_ec(PKEY_P256, &vault_ec, &k, &err), 0);
    assert_int_equal(pkey_public_pem(k, &pem, &err), 0);
    assert_true(str_is(buf_str(&pem),
                       "-----BEGIN PUBLIC KEY-----\n"
                       "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaVx/9D0s3rfB2+Xcpd9XzNLeP5Qw\n"
                       "VyWiSYZUdenUjkPYBiCmDjM4ycLHk7QaJ9gvQrmwcc3PpoeEx1y9F1VRTQ==\n"
                       "-----END PUBLIC KEY-----\n"));
}

static void refuses_numbers_that_are_no_ec_key(void **state)
{
    static const struct { const char *what; enum pkey_kind kind; struct pkey_ec numbers; }
    cases[] = {
        { "nothing", PKEY_P256, { { NULL, 0 }, { NULL, 0 }, { NULL, 0 } } },
        { "text", PKEY_P256, { STR_INIT("x"), STR_INIT("y"), STR_INIT("d") } },
        { "negative", PKEY_P256, { STR_INIT("-1"), STR_INIT("1"), STR_INIT("1") } },
        { "a point beside the curve", PKEY_P256, { STR_INIT("1"), STR_INIT("1"), STR_INIT("1") } },
        { "hexadecimal", PKEY_P384, { STR_INIT("0x1"), STR_INIT("0x1"), STR_INIT("0x1") } },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct pkey *k = NULL;
        struct err err = { 0 };
        print_message("  %s\n", cases[i].what);
        assert_int_equal(pkey_from_ec(cases[i].kind, &cases[i].numbers, &k, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
        assert_null(k);
    }
}

static void refuses_a_coordinate_longer_than_its_curve(void **state)
{
    struct pkey_ec numbers = vault_ec;
    char long_x[101];
    struct pkey *k = NULL;
    struct err err = { 0 };

    memset(long_x, '9', sizeof long_x);
    numbers.x = str_mem(long_x, 100);
    assert_int_equal(pkey_from_ec(PKEY_P256, &numbers, &k, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
}

static void refuses_an_rsa_key_with_a_damaged_number(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(pkey_drop) struct pkey *k = make(PKEY_RSA, 2048);
    struct pkey_rsa good, bad;
    struct err err = { 0 };

    assert_int_equal(pkey_rsa_numbers(k, a, &good, &err), 0);
    for (int i = 0; i < 4; i++) {
        struct pkey *none = NULL;
        bad = good;
        *(struct str *[]){ &bad.n, &bad.p, &bad.q, &bad.e }[i] = i == 3 ? STR("") : STR("12345");
        assert_int_equal(pkey_from_rsa(&bad, &none, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
        assert_null(none);
    }
}

static void refuses_a_seed_of_another_length(void **state)
{
    struct pkey *k = NULL;
    struct err err = { 0 };
    assert_int_equal(pkey_from_ed25519(STR("short"), &k, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
}

static void has_no_private_pem_of_ed25519(void **state)
{
    AUTO(pkey_drop) struct pkey *k = make(PKEY_ED25519, 0);
    AUTO(buf_free) struct buf pem = { 0 };
    struct err err = { 0 };
    assert_int_equal(pkey_private_pem(k, &pem, &err), -1);
    assert_int_equal(pem.n, 0);
}

static void rsa_opens_what_it_sealed(void **state)
{
    AUTO(pkey_drop) struct pkey *k = make(PKEY_RSA, 2048);
    static const struct str texts[] = { STR_INIT(""), STR_INIT("hello"), STR_INIT("\0\0\0") };
    struct err err = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        AUTO(buf_free) struct buf sealed = { 0 }, plain = { 0 };
        assert_int_equal(pkey_rsa_seal(k, texts[i], &sealed, &err), 0);
        assert_int_equal(sealed.n, 256);
        assert_int_equal(pkey_rsa_open(k, buf_str(&sealed), &plain, &err), 0);
        assert_true(str_eq(buf_str(&plain), texts[i]));
    }
}

static void rsa_refuses_a_text_longer_than_the_key_takes(void **state)
{
    AUTO(pkey_drop) struct pkey *k = make(PKEY_RSA, 2048);
    AUTO(buf_free) struct buf sealed = { 0 };
    static const char text[256];
    struct err err = { 0 };

    assert_int_equal(pkey_rsa_seal(k, str_mem(text, 190), &sealed, &err), 0);
    buf_clear(&sealed);
    assert_int_equal(pkey_rsa_seal(k, str_mem(text, 191), &sealed, &err), -1);
    assert_int_equal(err.code, ERR_INTERNAL);
    assert_string_equal(err.msg, "crypto/rsa: message too long for RSA public key size");
}

static void rsa_does_not_open_what_was_tampered_with(void **state)
{
    AUTO(pkey_drop) struct pkey *k = make(PKEY_RSA, 2048);
    AUTO(buf_free) struct buf sealed = { 0 };
    struct err err = { 0 };

    assert_int_equal(pkey_rsa_seal(k, STR("hello"), &sealed, &err), 0);
    sealed.p[100] ^= 1;
    static const size_t lengths[] = { 256, 255, 0 };
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        AUTO(buf_free) struct buf plain = { 0 };
        struct str cut = str_head(buf_str(&sealed), lengths[i]);
        assert_int_equal(pkey_rsa_open(k, cut, &plain, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
        assert_string_equal(err.msg, "crypto/rsa: decryption error");
        assert_int_equal(plain.n, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ec_keys_survive_as_numbers),
        cmocka_unit_test(rsa_keys_survive_as_numbers_with_and_without_the_crt_ones),
        cmocka_unit_test(an_ed25519_key_has_the_public_half_of_rfc_8032),
        cmocka_unit_test(writes_the_public_key_as_vault_stores_it),
        cmocka_unit_test(refuses_numbers_that_are_no_ec_key),
        cmocka_unit_test(refuses_a_coordinate_longer_than_its_curve),
        cmocka_unit_test(refuses_an_rsa_key_with_a_damaged_number),
        cmocka_unit_test(refuses_a_seed_of_another_length),
        cmocka_unit_test(has_no_private_pem_of_ed25519),
        cmocka_unit_test(rsa_opens_what_it_sealed),
        cmocka_unit_test(rsa_refuses_a_text_longer_than_the_key_takes),
        cmocka_unit_test(rsa_does_not_open_what_was_tampered_with),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
