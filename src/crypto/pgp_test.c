/* Tests of OpenPGP encryption, read back by gpg where it is installed. */
#include "crypto/pgp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "codec/base64.h"

/* A certifying Ed25519 key with an X25519 subkey, made by gpg; its secret half. */
static const char public_key[] =
    "mDMEXg1dpRYJKwYBBAHaRw8BAQdA2Pk+jRLsx9NUo0C1GqYQELciot8noBastke4lhrg9oq0F1Rlc3QgPHRlc3RA"
    "ZXhhbXBsZS5jb20+iJAEExYIADgWIQSmqf9yiXUlA5igaFYaJwTRGdvFzgUCXg1dpQIbAQULCQgHAgYVCgkICwIE"
    "FgIDAQIeAQIXgAAKCRAaJwTRGdvFzgJRAP9Hvf8nK5gpePiQmjCRmDSMibRqiuR1RrXfzThsA22RvwD9GyGZCMbs"
    "ExA+AHsZU2AfhMk58oyZ2tQsy4vVuQeJsgu4OAReDV2lEgorBgEEAZdVAQUBAQdA58Tt22VakRqABR81QEBsG3Wl"
    "bu/bOmWiCi5c7lkoC38DAQgHiHgEGBYIACAWIQSmqf9yiXUlA5igaFYaJwTRGdvFzgUCXg1dpQIbDAAKCRAaJwTR"
    "GdvFzhAAAP9cZrblhcPSDdvcFppuSZfEWFczlp0JGFhxlrAtuWs0vgEAiGuBUBkC5cK0zw8APEoNdpjFI4IVbtoF"
    "8ueAO8D5/gc=";
static const char secret_key[] =
    "lFgEXg1dpRYJKwYBBAHaRw8BAQdA2Pk+jRLsx9NUo0C1GqYQELciot8noBastke4lhrg9ooAAP9VIN8jvMqqROy8"
    "/sutNM6KXtk9oGGOpzbux5FP0NiyvBQftBdUZXN0IDx0ZXN0QGV4YW1wbGUuY29tPoiQBBMWCAA4FiEEpqn/col1"
    "JQOYoGhWGicE0Rnbxc4FAl4NXaUCGwEFCwkIBwIGFQoJCAsCBBYCAwECHgECF4AACgkQGicE0Rnbxc4CUQD/R73/"
    "JyuYKXj4kJowkZg0jIm0aorkdUa13804bANtkb8A/RshmQjG7BMQPgB7GVNgH4TJOfKMmdrULMuL1bkHibILnF0E"
    "Xg1dpRIKKwYBBAGXVQEFAQEHQOfE7dtlWpEagAUfNUBAbBt1pW7v2zplogouXO5ZKAt/AwEIBwAA/0Bsd9GZmjrK"
    "572/McoNV6+ceJsdDMLYihHVvu2ecli4EkiIeAQYFggAIBYhBKap/3KJdSUDmKBoVhonBNEZ28XOBQJeDV2lAhsM"
    "AAoJEBonBNEZ28XOEAAA/1xmtuWFw9IN29wWmm5Jl8RYVzOWnQkYWHGWsC25azS+AQCIa4FQGQLlwrTPDwA8Sg12"
    "mMUjghVu2gXy54A7wPn+Bw==";
static const char fingerprint_of_it[] = "a6a9ff728975250398a068561a2704d119dbc5ce";
/* A key that only signs. */
static const char signing_key[] =
    "mDMEXg1dpRYJKwYBBAHaRw8BAQdAplijJ8AiTOF468HfvHZk32xCYj8EzRYLBQaTWgwK3PS0HFNpZ24gb25seSA8"
    "c2lnbkBleGFtcGxlLmNvbT6IkAQTFggAOBYhBMmoqlAB61Mmoj61r03QV4HmFfq8BQJeDV2lAhsDBQsJCAcCBhUK"
    "CQgLAgQWAgMBAh4BAheAAAoJEE3QV4HmFfq8pHIBANPeYS5qffG8jej4xDhr7LzIDmQ9vzvFdg6sb69iIZqTAQDa"
    "qSB8ZnfqYe0wAdbnsgKeyJNXJeBS5PRgOKeNWj3MBQ==";

static bool library_is_missing(const struct err *err)
{
    return err->code == ERR_INTERNAL && strstr(err->msg, "install the package") != NULL;
}

static void write_file(const char *folder, const char *name, struct str bytes)
{
    char path[256];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes.p, 1, bytes.n, f), bytes.n);
    assert_int_equal(fclose(f), 0);
}

static void gpg_decrypts_what_was_encrypted(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    char folder[] = "/tmp/pgp-test-XXXXXX", command[1024], text[64] = { 0 };
    struct str message, fingerprint, secret;
    struct err err = { 0 };

    int result = pgp_encrypt(a, str_of(public_key), STR("0123456789abcdef share"), &message,
                             &fingerprint, &err);
    if (library_is_missing(&err) || system("gpg --version >/dev/null 2>&1") != 0)
        skip();
    assert_int_equal(result, 0);
    assert_int_equal(base64_decode(a, str_of(secret_key), &secret, &err), 0);
    assert_non_null(mkdtemp(folder));
    write_file(folder, "secret", secret);
    write_file(folder, "message", message);
    (void)snprintf(command, sizeof command,
                   "cd %s && export GNUPGHOME=%s && gpg -q --batch --import secret 2>/dev/null && "
                   "gpg -q --batch --decrypt message 2>/dev/null; gpgconf --kill all; rm -r %s",
                   folder, folder, folder);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t n = fread(text, 1, sizeof text - 1, pipe);
    (void)pclose(pipe);
    assert_true(str_is(str_mem(text, n), "0123456789abcdef share"));
}

static void the_fingerprint_is_the_primary_keys(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct str message, fingerprint;
    struct err err = { 0 };

    int result =
        pgp_encrypt(a, str_of(public_key), STR("share"), &message, &fingerprint, &err);
    if (library_is_missing(&err))
        skip();
    assert_int_equal(result, 0);
    assert_true(str_is(fingerprint, fingerprint_of_it));
    assert_int_equal(str_find(message, STR("share")), -1);
}

static void a_good_key_passes_the_check(void **state)
{
    struct err err = { 0 };

    int result = pgp_check(str_of(public_key), &err);
    if (library_is_missing(&err))
        skip();
    assert_int_equal(result, 0);
}

static void keys_that_cannot_be_used_are_refused(void **state)
{
    static const struct { const char *what, *key, *text; } cases[] = {
        { "not base64", "%%%", "error decoding given PGP key: " },
        { "empty", "", "error parsing given PGP key: " },
        { "no key", "aGVsbG8gd29ybGQ=", "error parsing given PGP key: " },
        { "a key cut off", "mDMEXg1+RRYJKwYBBAHaRw8BAQdA", "error parsing given PGP key: " },
        { "a key that only signs", signing_key, "error parsing given PGP key: " },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_drop) struct arena *a = arena_new();
        struct str message, fingerprint;
        struct err err = { 0 }, again = { 0 };
        print_message("  %s\n", cases[i].what);
        assert_int_equal(pgp_check(str_of(cases[i].key), &err), -1);
        if (library_is_missing(&err))
            skip();
        assert_int_equal(err.code, ERR_BAD_REQUEST);
        assert_true(str_starts(err_text(&err), str_of(cases[i].text)));
        assert_int_equal(pgp_encrypt(a, str_of(cases[i].key), STR("s"), &message, &fingerprint,
                                     &again), -1);
        assert_int_equal(again.code, ERR_BAD_REQUEST);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpg_decrypts_what_was_encrypted),
        cmocka_unit_test(the_fingerprint_is_the_primary_keys),
        cmocka_unit_test(a_good_key_passes_the_check),
        cmocka_unit_test(keys_that_cannot_be_used_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
