/* Tests of sshkey and sshwire: keys that are keys, and bytes that only look like it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec/base64.h"
#include "crypto/sshkey.h"
#include "crypto/sshwire.h"

static const char ed25519[] =
    "AAAAC3NzaC1lZDI1NTE5AAAAILp6D2OcTKWhNEmYlx1hGwDAZZFEXTpz4YU4lJFgL3FC";
static const char p256[] =
    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBPYdvcmnXJl6NBDDjVfjPUpmLJbEL+12tYCUXQ"
    "uNaQiKpjdOdC4rpxZfeWFqYvr15zjQTTYoGFXg3Bgo5qGI3S4=";

struct fixture {
    struct arena *arena;
    struct buf blob;
};

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){ .arena = arena_new() };
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    buf_free(&f->blob);
    arena_free(f->arena);
    return 0;
}

static struct str bytes_of(struct fixture *f, const char *base64)
{
    struct str out;
    assert_int_equal(base64_decode(f->arena, str_of(base64), &out, NULL), 0);
    return out;
}

static void refuse(struct fixture *f, const char *text)
{
    struct sshkey key;
    struct err err = { 0 };
    assert_int_equal(sshkey_parse(f->arena, buf_str(&f->blob), &key, &err), -1);
    assert_string_equal(err.msg, text);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    buf_clear(&f->blob);
}

/* Big-endian number of ${n} bytes: ${first}, then ones. */
static struct str number(struct fixture *f, size_t n, uint8_t first)
{
    char *p = arena_bytes(f->arena, n);
    memset(p, 0xff, n);
    p[0] = (char)first;
    return str_mem(p, n);
}

static void rsa(struct fixture *f, struct str e, size_t modulus)
{
    sshwire_str(&f->blob, STR("ssh-rsa"));
    sshwire_mpint(&f->blob, e);
    sshwire_mpint(&f->blob, number(f, modulus, 0x80));
}

static void keys_are_told_by_type_and_length(void **state)
{
    struct fixture *f = *state;
    struct sshkey key;

    assert_int_equal(sshkey_parse(f->arena, bytes_of(f, ed25519), &key, NULL), 0);
    assert_int_equal(key.kind, SSHKEY_ED25519);
    assert_true(str_eq(key.blob, bytes_of(f, ed25519)));
    assert_int_equal(key.body.n, 36);
    assert_int_equal(sshkey_parse(f->arena, bytes_of(f, p256), &key, NULL), 0);
    assert_int_equal(key.kind, SSHKEY_ECDSA);
    assert_int_equal(key.bits, 256);
    rsa(f, STR("\x01\x00\x01"), 256);
    assert_int_equal(sshkey_parse(f->arena, buf_str(&f->blob), &key, NULL), 0);
    assert_int_equal(key.bits, 2048);
    assert_true(str_eq(key.blob, buf_str(&f->blob)));
}

static void a_security_key_carries_its_application(void **state)
{
    struct fixture *f = *state;
    struct sshkey key;

    sshwire_str(&f->blob, STR("sk-ssh-ed25519@openssh.com"));
    sshwire_str(&f->blob, number(f, 32, 1));
    sshwire_str(&f->blob, STR("ssh:"));
    assert_int_equal(sshkey_parse(f->arena, buf_str(&f->blob), &key, NULL), 0);
    assert_int_equal(key.kind, SSHKEY_SK_ED25519);
    f->blob.n -= 8;
    refuse(f, "ssh: short read");
}

static void a_number_with_leading_zeros_is_made_canonical(void **state)
{
    struct fixture *f = *state;
    struct sshkey key;

    sshwire_str(&f->blob, STR("ssh-rsa"));
    sshwire_str(&f->blob, str_mem("\0\0\0\x03", 4));
    sshwire_mpint(&f->blob, number(f, 256, 0x80));
    assert_int_equal(sshkey_parse(f->arena, buf_str(&f->blob), &key, NULL), 0);
    assert_int_equal(key.blob.n, f->blob.n - 3);
}

static void what_is_no_key_is_refused(void **state)
{
    struct fixture *f = *state;
    static const struct { const char *type; const char *text; } types[] = {
        { "", "ssh: unknown key algorithm: " },
        { "ssh-foo", "ssh: unknown key algorithm: ssh-foo" },
        { "ssh-ed25519-cert-v01@openssh.com",
          "ssh: unknown key algorithm: ssh-ed25519-cert-v01@openssh.com" },
        { "ssh-rsa", "ssh: short read" },
        { "ssh-dss", "ssh: short read" },
        { "ssh-ed25519", "ssh: short read" },
        { "ecdsa-sha2-nistp256", "ssh: short read" },
    };

    refuse(f, "ssh: short read");
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        sshwire_str(&f->blob, str_of(types[i].type));
        refuse(f, types[i].text);
    }
    buf_add(&f->blob, bytes_of(f, ed25519));
    buf_byte(&f->blob, 'x');
    refuse(f, "ssh: trailing junk in public key");
    sshwire_str(&f->blob, STR("ssh-ed25519"));
    sshwire_str(&f->blob, STR("short"));
    refuse(f, "invalid size 5 for Ed25519 public key");
}

static void every_cut_of_a_key_is_refused(void **state)
{
    struct fixture *f = *state;
    struct str whole = bytes_of(f, p256);

    for (size_t n = 0; n < whole.n; n++) {
        struct sshkey key;
        struct err err = { 0 };
        assert_int_equal(sshkey_parse(f->arena, str_head(whole, n), &key, &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
    }
}

static void rsa_numbers_that_no_library_takes_are_refused(void **state)
{
    struct fixture *f = *state;

    rsa(f, STR("\x01\x00\x00\x01"), 256);
    refuse(f, "ssh: exponent too large");
    rsa(f, STR("\x02"), 256);
    refuse(f, "ssh: incorrect exponent");
    rsa(f, STR("\x01"), 256);
    refuse(f, "ssh: incorrect exponent");
    rsa(f, STR("\x03"), 2049);
    refuse(f, "ssh: unsupported RSA key size");
    sshwire_str(&f->blob, STR("ssh-rsa"));
    sshwire_mpint(&f->blob, STR("\x03"));
    sshwire_str(&f->blob, STR("\xff\x01")); /* negative */
    refuse(f, "ssh: short read");
}

static void a_point_must_be_on_its_curve(void **state)
{
    struct fixture *f = *state;

    buf_add(&f->blob, bytes_of(f, p256));
    f->blob.p[f->blob.n - 1] ^= 1;
    refuse(f, "ssh: invalid curve point");
    sshwire_str(&f->blob, STR("ecdsa-sha2-nistp384"));
    sshwire_str(&f->blob, STR("nistp256"));
    sshwire_str(&f->blob, STR("\x04"));
    refuse(f, "ssh: unsupported curve");
    sshwire_str(&f->blob, STR("ecdsa-sha2-nistp256"));
    sshwire_str(&f->blob, STR("nistp256"));
    sshwire_str(&f->blob, STR(""));
    refuse(f, "ssh: invalid curve point");
}

static void a_dsa_key_has_1024_bits(void **state)
{
    struct fixture *f = *state;
    struct sshkey key;

    for (size_t n = 128; n <= 256; n += 128) {
        sshwire_str(&f->blob, STR("ssh-dss"));
        sshwire_mpint(&f->blob, number(f, n, 0x80));
        sshwire_mpint(&f->blob, number(f, 20, 0x80));
        sshwire_mpint(&f->blob, number(f, 100, 0x80));
        sshwire_mpint(&f->blob, number(f, 100, 0x80));
        if (n == 128) {
            assert_int_equal(sshkey_parse(f->arena, buf_str(&f->blob), &key, NULL), 0);
            assert_int_equal(key.bits, 1024);
            buf_clear(&f->blob);
        }
    }
    refuse(f, "ssh: unsupported DSA key size 2048");
}

static void mpints_are_written_as_rfc_4251_shows(void **state)
{
    static const struct { struct str number, wire; } cases[] = {
        { STR_INIT(""), STR_INIT("\0\0\0\0") },
        { STR_INIT("\0\0"), STR_INIT("\0\0\0\0") },
        { STR_INIT("\x09\xa3\x78\xf9\xb2\xe3\x32\xa7"),
          STR_INIT("\0\0\0\x08\x09\xa3\x78\xf9\xb2\xe3\x32\xa7") },
        { STR_INIT("\x80"), STR_INIT("\0\0\0\x02\0\x80") },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(buf_free) struct buf b = { 0 };
        struct str rest, number;
        sshwire_mpint(&b, cases[i].number);
        assert_true(str_eq(buf_str(&b), cases[i].wire));
        rest = buf_str(&b);
        assert_true(sshwire_get_mpint(&rest, &number));
        assert_int_equal(rest.n, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys_are_told_by_type_and_length, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_security_key_carries_its_application, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_number_with_leading_zeros_is_made_canonical, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_key_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_cut_of_a_key_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rsa_numbers_that_no_library_takes_are_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_point_must_be_on_its_curve, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_dsa_key_has_1024_bits, set_up, tear_down),
        cmocka_unit_test(mpints_are_written_as_rfc_4251_shows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
