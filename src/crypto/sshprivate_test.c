/* Tests of sshprivate: keys of ssh-keygen and openssl open, others are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec/base64.h"
#include "crypto/sshkey.h"
#include "crypto/sshkeys_test.h"
#include "crypto/sshprivate.h"

static void each_form_opens_to_the_public_key_beside_it(void **state)
{
    static const struct { const char *private, *public; enum pkey_kind kind; } cases[] = {
        { private_rsa, public_rsa, PKEY_RSA },
        { private_rsa_pem, public_rsa_pem, PKEY_RSA },
        { private_p256, public_p256, PKEY_P256 },
        { private_p384, public_p384, PKEY_P384 },
        { private_p521, public_p521, PKEY_P521 },
        { private_p384_pkcs8, public_p384_pkcs8, PKEY_P384 },
        { private_ed25519, public_ed25519, PKEY_ED25519 },
        { private_ed25519_pkcs8, public_ed25519_pkcs8, PKEY_ED25519 },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_drop) struct arena *a = arena_new();
        AUTO(pkey_drop) struct pkey *k = NULL;
        struct err err = { 0 };
        struct sshkey key;
        if (sshprivate_parse(a, str_of(cases[i].private), &k, &err) < 0)
            fail_msg("%zu: %s", i, err.msg);
        assert_int_equal(pkey_kind(k), cases[i].kind);
        assert_int_equal(sshprivate_check(k, &err), 0);
        assert_int_equal(sshkey_of(a, k, &key, &err), 0);
        assert_true(str_is(base64_encode(a, key.blob), cases[i].public));
    }
}

static void what_is_no_private_key_is_refused(void **state)
{
    static const struct { const char *text, *why; } cases[] = {
        { "", "ssh: no key found" },
        { "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", "ssh: no key found" },
        { "-----BEGIN DSA PRIVATE KEY-----\nAAAA\n-----END DSA PRIVATE KEY-----\n",
          "ssh: unsupported key type \"DSA PRIVATE KEY\"" },
        { "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
          "ssh: invalid openssh private key format" },
        { "-----BEGIN OPENSSH PRIVATE KEY-----\n?\n-----END OPENSSH PRIVATE KEY-----\n",
          "ssh: malformed OpenSSH key" },
        { "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
          "ssh: the private key does not parse" },
        { private_locked, "ssh: this private key is passphrase protected" },
        { private_locked_pem, "ssh: this private key is passphrase protected" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_drop) struct arena *a = arena_new();
        struct pkey *k = NULL;
        struct err err = { 0 };
        assert_int_equal(sshprivate_parse(a, str_of(cases[i].text), &k, &err), -1);
        assert_string_equal(err.msg, cases[i].why);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
        assert_null(k);
    }
}

/* The bytes inside the armour of an OpenSSH key, changed and armoured again. */
static int parse_changed(const char *private, size_t at, uint8_t flip, size_t cut)
{
    static const struct str begin = STR_INIT("-----BEGIN OPENSSH PRIVATE KEY-----\n");
    static const struct str end = STR_INIT("-----END OPENSSH PRIVATE KEY-----\n");
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(pkey_drop) struct pkey *k = NULL;
    struct str text = str_from(str_of(private), begin.n), bytes;
    struct err err = { 0 };

    text.n -= end.n;
    assert_int_equal(base64_decode(a, text, &bytes, NULL), 0);
    char *p = arena_bytes(a, bytes.n);
    memcpy(p, bytes.p, bytes.n);
    if (at < bytes.n)
        p[at] ^= (char)flip;
    text = base64_encode(a, str_mem(p, cut < bytes.n ? cut : bytes.n));
    text = arena_cat(a, arena_cat(a, begin, text), arena_cat(a, STR("\n"), end));
    if (sshprivate_parse(a, text, &k, &err) == 0 && sshprivate_check(k, &err) == 0)
        return 0;
    assert_int_equal(err.code == ERR_BAD_REQUEST || err.code == ERR_CORRUPT, true);
    return -1;
}

static void every_cut_of_a_private_key_is_refused(void **state)
{
    assert_int_equal(parse_changed(private_ed25519, SIZE_MAX, 0, SIZE_MAX), 0);
    for (size_t n = 0; n < 200; n++)
        assert_int_equal(parse_changed(private_ed25519, SIZE_MAX, 0, n), -1);
}

static void halves_that_do_not_fit_are_refused(void **state)
{
    enum { PRIVATE_SECTION = 98 }; /* of an Ed25519 key; check words first */

    assert_int_equal(parse_changed(private_ed25519, PRIVATE_SECTION, 1, SIZE_MAX), -1);
    /* The last number of a P-256 key's private section is its secret. */
    int refused = 0;
    for (size_t at = 200; at < 330; at++)
        refused += parse_changed(private_p256, at, 1, SIZE_MAX) < 0;
    assert_true(refused >= 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_opens_to_the_public_key_beside_it),
        cmocka_unit_test(what_is_no_private_key_is_refused),
        cmocka_unit_test(every_cut_of_a_private_key_is_refused),
        cmocka_unit_test(halves_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
