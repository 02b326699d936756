/* Tests of sshcert: what it says stands in the certificate, and the CA's signature verifies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec/base64.h"
#include "crypto/sign.h"
#include "crypto/sshcert.h"
#include "crypto/sshkeys_test.h"
#include "crypto/sshprivate.h"
#include "crypto/sshwire.h"

struct fixture {
    struct arena *arena;
    struct sshkey key; /* to be signed */
    struct sshcert cert;
    struct str type, blob;
};

static const struct sshcert_option extensions[] = {
    { STR_INIT("permit-pty"), STR_INIT("") },
    { STR_INIT("login@example.com"), STR_INIT("bob") },
};

static int set_up(void **state)
{
    static struct fixture f;
    struct str blob;

    f = (struct fixture){ .arena = arena_new() };
    f.cert = (struct sshcert){ .serial = 0x1122334455667788,
                               .key_id = STR("me"),
                               .valid_after = 100,
                               .valid_before = 200,
                               .extensions = extensions,
                               .n_extensions = ARRAY_LEN(extensions) };
    strs_add(f.arena, &f.cert.principals, STR("ubuntu"));
    strs_add(f.arena, &f.cert.principals, STR("deploy"));
    assert_int_equal(base64_decode(f.arena, str_of(public_ed25519), &blob, NULL), 0);
    assert_int_equal(sshkey_parse(f.arena, blob, &f.key, NULL), 0);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    arena_free(((struct fixture *)*state)->arena);
    return 0;
}

static struct pkey *open_key(struct fixture *f, const char *private)
{
    struct pkey *k = NULL;
    assert_int_equal(sshprivate_parse(f->arena, str_of(private), &k, NULL), 0);
    return k;
}

static struct str next(struct str *rest)
{
    struct str s;
    assert_true(sshwire_get_str(rest, &s));
    return s;
}

static void expect(struct str *rest, const char *text)
{
    assert_true(str_is(next(rest), text));
}

static void it_says_what_it_was_told(void **state)
{
    static const char fixed[] = "\x11\x22\x33\x44\x55\x66\x77\x88\0\0\0\x02";
    static const char times[] = "\0\0\0\0\0\0\0\x64\0\0\0\0\0\0\0\xc8";
    struct fixture *f = *state;
    AUTO(pkey_drop) struct pkey *ca = open_key(f, private_ed25519_pkcs8);
    struct sshkey ca_key;

    f->cert.host = true;
    assert_int_equal(sshcert_sign(f->arena, &f->cert, &f->key, ca, STR(""), &f->type, &f->blob,
                                  NULL), 0);
    assert_true(str_is(f->type, "ssh-ed25519-cert-v01@openssh.com"));
    struct str rest = f->blob, list;
    expect(&rest, "ssh-ed25519-cert-v01@openssh.com");
    assert_int_equal(next(&rest).n, 32);
    assert_true(str_starts(rest, f->key.body));
    rest = str_from(rest, f->key.body.n);
    assert_true(str_starts(rest, str_mem(fixed, 12)));
    rest = str_from(rest, 12);
    expect(&rest, "me");
    list = next(&rest);
    expect(&list, "ubuntu");
    expect(&list, "deploy");
    assert_true(str_starts(rest, str_mem(times, 16)));
    rest = str_from(rest, 16);
    assert_int_equal(next(&rest).n, 0);
    list = next(&rest); /* sorted by name; a value is a string in a string */
    expect(&list, "login@example.com");
    struct str value = next(&list);
    expect(&value, "bob");
    expect(&list, "permit-pty");
    expect(&list, "");
    assert_int_equal(next(&rest).n, 0);
    assert_int_equal(sshkey_of(f->arena, ca, &ca_key, NULL), 0);
    assert_true(str_eq(next(&rest), ca_key.blob));
    assert_int_equal(next(&rest).n, 4 + 11 + 4 + 64);
    assert_int_equal(rest.n, 0);
}

/* r and s of an ECDSA signature as OpenSSL's raw form: both of the curve's length. */
static struct str raw_ecdsa(struct fixture *f, const struct pkey *ca, struct str body)
{
    size_t half = pkey_size(ca);
    struct str r, s;
    char *both = arena_alloc(f->arena, 2 * half);

    assert_true(sshwire_get_mpint(&body, &r) && sshwire_get_mpint(&body, &s) && body.n == 0);
    memcpy(both + half - r.n, r.p, r.n);
    memcpy(both + 2 * half - s.n, s.p, s.n);
    return str_mem(both, 2 * half);
}

static int verify(struct fixture *f, const struct pkey *ca, const char *algorithm,
                  enum digest digest)
{
    struct str rest = f->blob, last = { 0 };
    uint8_t hash[DIGEST_MAX];
    const struct sign_how how = { .digest = digest, .padding = SIGN_PKCS1V15, .raw = true };

    /* Up to the signature, which is the last string, everything was signed. */
    (void)next(&rest);
    (void)next(&rest);
    rest = str_from(rest, f->key.body.n + 12);
    (void)next(&rest);
    (void)next(&rest);
    rest = str_from(rest, 16);
    for (int i = 0; i < 4; i++)
        (void)next(&rest);
    struct str input = str_head(f->blob, f->blob.n - rest.n);
    last = next(&rest);
    expect(&last, algorithm);
    struct str sig = next(&last);
    if (pkey_kind(ca) != PKEY_ED25519) {
        assert_int_equal(digest_of(digest, input, hash, NULL), 0);
        input = str_mem(hash, digest_len(digest));
    }
    if (pkey_kind(ca) != PKEY_ED25519 && pkey_kind(ca) != PKEY_RSA)
        sig = raw_ecdsa(f, ca, sig);
    return sign_check(ca, &how, input, sig, NULL);
}

static void each_kind_of_ca_signs(void **state)
{
    static const struct { const char *ca, *asked, *used; enum digest digest; } cases[] = {
        { private_rsa, "", "ssh-rsa", DIGEST_SHA1 },
        { private_rsa, "ssh-rsa", "ssh-rsa", DIGEST_SHA1 },
        { private_rsa, "rsa-sha2-256", "rsa-sha2-256", DIGEST_SHA256 },
        { private_rsa_pem, "rsa-sha2-512", "rsa-sha2-512", DIGEST_SHA512 },
        { private_p256, "", "ecdsa-sha2-nistp256", DIGEST_SHA256 },
        { private_p384, "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384", DIGEST_SHA384 },
        { private_p521, "", "ecdsa-sha2-nistp521", DIGEST_SHA512 },
        { private_ed25519, "", "ssh-ed25519", DIGEST_SHA512 },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(pkey_drop) struct pkey *ca = open_key(f, cases[i].ca);
        struct err err = { 0 };
        if (sshcert_sign(f->arena, &f->cert, &f->key, ca, str_of(cases[i].asked), &f->type,
                         &f->blob, &err) < 0)
            fail_msg("%zu: %s", i, err.msg);
        assert_int_equal(verify(f, ca, cases[i].used, cases[i].digest), 1);
    }
}

static void an_algorithm_of_another_kind_of_key_is_refused(void **state)
{
    static const struct { const char *ca, *asked; } cases[] = {
        { private_ed25519, "rsa-sha2-256" }, { private_p256, "ssh-rsa" },
        { private_p256, "ecdsa-sha2-nistp384" }, { private_rsa, "ssh-ed25519" },
        { private_rsa, "rsa-sha2-384" },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(pkey_drop) struct pkey *ca = open_key(f, cases[i].ca);
        struct err err = { 0 };
        assert_int_equal(sshcert_sign(f->arena, &f->cert, &f->key, ca, str_of(cases[i].asked),
                                      &f->type, &f->blob, &err), -1);
        assert_int_equal(err.code, ERR_INTERNAL);
        assert_true(str_starts(err_text(&err), STR("ssh: unsupported signature algorithm ")));
    }
}

static void no_two_certificates_are_the_same(void **state)
{
    struct fixture *f = *state;
    AUTO(pkey_drop) struct pkey *ca = open_key(f, private_ed25519);
    struct str first;

    assert_int_equal(sshcert_sign(f->arena, &f->cert, &f->key, ca, STR(""), &f->type, &first,
                                  NULL), 0);
    assert_int_equal(sshcert_sign(f->arena, &f->cert, &f->key, ca, STR(""), &f->type, &f->blob,
                                  NULL), 0);
    assert_false(str_eq(first, f->blob));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_says_what_it_was_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_kind_of_ca_signs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_algorithm_of_another_kind_of_key_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(no_two_certificates_are_the_same, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
