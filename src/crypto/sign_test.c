/* Tests of signatures: every kind of key, both forms of ECDSA, and what must not verify. */
#include "crypto/sign.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "codec/base64.h"

static const struct {
    const char *name;
    enum pkey_kind kind;
    struct sign_how how;
    size_t input; /* bytes */
} ways[] = {
    { "ed25519", PKEY_ED25519, { 0 }, 1000 },
    { "p256 asn1", PKEY_P256, { .digest = DIGEST_SHA256 }, 32 },
    { "p256 raw", PKEY_P256, { .digest = DIGEST_SHA256, .raw = true }, 32 },
    { "p256, a longer hash", PKEY_P256, { .digest = DIGEST_SHA512 }, 64 },
    { "p256, a hash of no length of a hash", PKEY_P256, { 0 }, 5 },
    { "p384 asn1", PKEY_P384, { .digest = DIGEST_SHA384 }, 48 },
    { "p384 raw", PKEY_P384, { .digest = DIGEST_SHA1, .raw = true }, 20 },
    { "p521 asn1", PKEY_P521, { .digest = DIGEST_SHA512 }, 64 },
    { "p521 raw", PKEY_P521, { .digest = DIGEST_SHA512, .raw = true }, 64 },
    { "rsa pss sha1", PKEY_RSA, { .digest = DIGEST_SHA1 }, 20 },
    { "rsa pss sha224", PKEY_RSA, { .digest = DIGEST_SHA224 }, 28 },
    { "rsa pss sha256", PKEY_RSA, { .digest = DIGEST_SHA256 }, 32 },
    { "rsa pss sha384", PKEY_RSA, { .digest = DIGEST_SHA384 }, 48 },
    { "rsa pss sha512", PKEY_RSA, { .digest = DIGEST_SHA512 }, 64 },
    { "rsa pkcs1v15 sha1", PKEY_RSA, { DIGEST_SHA1, SIGN_PKCS1V15, false }, 20 },
    { "rsa pkcs1v15 sha256", PKEY_RSA, { DIGEST_SHA256, SIGN_PKCS1V15, false }, 32 },
    { "rsa pkcs1v15 sha512", PKEY_RSA, { DIGEST_SHA512, SIGN_PKCS1V15, false }, 64 },
};

static struct pkey *keys[PKEY_RSA + 1];

static int make_keys(void **state)
{
    struct err err = { 0 };
    for (int kind = PKEY_ED25519; kind <= PKEY_RSA; kind++)
        if (pkey_generate((enum pkey_kind)kind, 2048, &keys[kind], &err) < 0)
            return -1;
    return 0;
}

static int free_keys(void **state)
{
    for (int kind = PKEY_ED25519; kind <= PKEY_RSA; kind++)
        pkey_free(keys[kind]);
    return 0;
}

static void sign(size_t way, struct str input, struct buf *out)
{
    struct err err = { 0 };
    assert_int_equal(sign_make(keys[ways[way].kind], &ways[way].how, input, out, &err), 0);
}

static int check(size_t way, struct str input, struct str sig)
{
    struct err err = { 0 };
    return sign_check(keys[ways[way].kind], &ways[way].how, input, sig, &err);
}

static void a_signature_verifies_and_only_over_what_was_signed(void **state)
{
    char bytes[1000] = "message";

    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        AUTO(buf_free) struct buf sig = { 0 };
        struct str input = str_mem(bytes, ways[i].input);

        print_message("  %s\n", ways[i].name);
        sign(i, input, &sig);
        assert_int_equal(check(i, input, buf_str(&sig)), 1);
        bytes[2] ^= 1;
        assert_int_equal(check(i, input, buf_str(&sig)), 0);
        bytes[2] ^= 1;
        sig.p[sig.n - 1] ^= 1;
        assert_int_equal(check(i, input, buf_str(&sig)), 0);
    }
}

static void a_raw_signature_is_twice_as_long_as_the_curve(void **state)
{
    static const struct { size_t way, n; } cases[] = { { 2, 64 }, { 6, 96 }, { 8, 132 } };
    static const char hash[64];

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(buf_free) struct buf sig = { 0 };
        sign(cases[i].way, str_mem(hash, ways[cases[i].way].input), &sig);
        assert_int_equal(sig.n, cases[i].n);
    }
}

static void gives_the_signature_of_rfc_8032(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(pkey_drop) struct pkey *k = NULL;
    AUTO(buf_free) struct buf sig = { 0 };
    static const struct str hex =
        STR_INIT("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
    struct str seed;
    struct err err = { 0 };

    assert_int_equal(hex_decode(a, hex, &seed, &err), 0);
    assert_int_equal(pkey_from_ed25519(seed, &k, &err), 0);
    assert_int_equal(sign_make(k, &(struct sign_how){ 0 }, STR("\x72"), &sig, &err), 0);
    assert_true(str_is(hex_encode(a, buf_str(&sig)),
                       "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                       "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"));
}

static void pss_signs_one_hash_differently_each_time(void **state)
{
    AUTO(buf_free) struct buf first = { 0 }, second = { 0 };
    static const char hash[32];
    sign(11, str_mem(hash, 32), &first);
    sign(11, str_mem(hash, 32), &second);
    assert_false(str_eq(buf_str(&first), buf_str(&second)));
}

static void refuses_to_sign_with_rsa_what_is_no_hash(void **state)
{
    AUTO(buf_free) struct buf sig = { 0 };
    struct err err = { 0 };
    assert_int_equal(sign_make(keys[PKEY_RSA], &ways[11].how, STR("short"), &sig, &err), -1);
    assert_int_equal(err.code, ERR_INTERNAL);
    assert_string_equal(err.msg, "crypto/rsa: input must be hashed message");
    assert_int_equal(sig.n, 0);
}

static void one_padding_does_not_verify_as_the_other(void **state)
{
    AUTO(buf_free) struct buf sig = { 0 };
    static const char hash[32];
    struct err err = { 0 };
    sign(15, str_mem(hash, 32), &sig);
    assert_int_equal(sign_check(keys[PKEY_RSA], &ways[11].how, str_mem(hash, 32), buf_str(&sig),
                                &err), 0);
}

static void garbage_does_not_verify(void **state)
{
    static const char hash[64];
    static const struct str sigs[] = { STR_INIT(""), STR_INIT("\0\0\0"), STR_INIT("0123456789") };

    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        if (ways[i].kind >= PKEY_P256 && ways[i].kind <= PKEY_P521 && !ways[i].how.raw)
            continue; /* refused, see below */
        for (size_t j = 0; j < ARRAY_LEN(sigs); j++)
            assert_int_equal(check(i, str_mem(hash, ways[i].input % 65), sigs[j]), 0);
    }
}

static void tells_an_ecdsa_signature_that_is_not_asn1_from_a_wrong_one(void **state)
{
    static const struct { const char *what; struct str sig; int rc; const char *text; } cases[] = {
        { "nothing", STR_INIT(""), -1, "supplied signature is invalid" },
        { "no sequence", STR_INIT("\x31\x06\x02\x01\x01\x02\x01\x01"), -1,
          "supplied signature is invalid" },
        { "cut short", STR_INIT("\x30\x06\x02\x01\x01\x02\x01"), -1,
          "supplied signature is invalid" },
        { "one number", STR_INIT("\x30\x03\x02\x01\x01"), -1, "supplied signature is invalid" },
        { "an empty number", STR_INIT("\x30\x05\x02\x00\x02\x01\x01"), -1,
          "supplied signature is invalid" },
        { "a number not minimal", STR_INIT("\x30\x07\x02\x02\x00\x01\x02\x01\x01"), -1,
          "supplied signature is invalid" },
        { "a length not minimal", STR_INIT("\x30\x81\x06\x02\x01\x01\x02\x01\x01"), -1,
          "supplied signature is invalid" },
        { "bytes behind", STR_INIT("\x30\x06\x02\x01\x01\x02\x01\x01z"), -1,
          "supplied signature contains extra data" },
        { "two small numbers", STR_INIT("\x30\x06\x02\x01\x01\x02\x01\x01"), 0, "" },
        { "zeros", STR_INIT("\x30\x06\x02\x01\x00\x02\x01\x00"), 0, "" },
        { "negative", STR_INIT("\x30\x06\x02\x01\xff\x02\x01\xff"), 0, "" },
        { "a third number", STR_INIT("\x30\x09\x02\x01\x01\x02\x01\x01\x02\x01\x01"), 0, "" },
    };
    static const char hash[32];

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = { 0 };
        print_message("  %s\n", cases[i].what);
        assert_int_equal(sign_check(keys[PKEY_P256], &ways[1].how, str_mem(hash, 32), cases[i].sig,
                                    &err), cases[i].rc);
        assert_string_equal(err.msg, cases[i].text);
        assert_int_equal(err.code, cases[i].rc < 0 ? ERR_BAD_REQUEST : ERR_NONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signature_verifies_and_only_over_what_was_signed),
        cmocka_unit_test(a_raw_signature_is_twice_as_long_as_the_curve),
        cmocka_unit_test(gives_the_signature_of_rfc_8032),
        cmocka_unit_test(pss_signs_one_hash_differently_each_time),
        cmocka_unit_test(refuses_to_sign_with_rsa_what_is_no_hash),
        cmocka_unit_test(one_padding_does_not_verify_as_the_other),
        cmocka_unit_test(garbage_does_not_verify),
        cmocka_unit_test(tells_an_ecdsa_signature_that_is_not_asn1_from_a_wrong_one),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
