/* Tests of the static key seal, and of the blob it writes. */
#include "seal/static_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "seal/blob.h"

#define HEX "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define BASE64 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define OTHER "0123456789abcdef0123456789abcdef"

static const char *environment(void *ctx, const char *name)
{
    return strcmp(name, "KEY_HERE") == 0 ? HEX : NULL;
}

#define OPTION(name, value) { STR_INIT(name), STR_INIT(value) }

static int open_with(const struct storage_option *options, size_t n, struct seal **out,
                     struct err *err)
{
    struct seal_stanza stanza = { .options = options, .n = n, .env = environment };
    return seal_static_key.open(&stanza, out, err);
}

static int open_key(const char *id, const char *key, struct seal **out, struct err *err)
{
    struct storage_option o[] = { { STR_INIT("current_key_id"), str_of(id) },
                                  { STR_INIT("current_key"), str_of(key) } };
    return open_with(o, ARRAY_LEN(o), out, err);
}

static void a_key_may_be_written_in_four_ways(void **state)
{
    static const char *const forms[] = { HEX, BASE64, "env://KEY_HERE", " " BASE64 "\n" };
    AUTO(seal_drop) struct seal *first = NULL;
    AUTO(buf_free) struct buf entry = { 0 };
    assert_int_equal(open_key("k", HEX, &first, NULL), 0);
    assert_int_equal(seal_encrypt(first, STR("text"), &entry, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        AUTO(seal_drop) struct seal *seal = NULL;
        AUTO(buf_free) struct buf out = { 0 };
        assert_int_equal(open_key("k", forms[i], &seal, NULL), 0);
        assert_int_equal(seal_decrypt(seal, buf_str(&entry), &out, NULL), 0);
        assert_true(str_is(buf_str(&out), "text"));
    }
}

static void a_key_may_lie_in_a_file(void **state)
{
    AUTO(seal_drop) struct seal *seal = NULL;
    char path[] = "/tmp/static-key-XXXXXX", value[64];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, OTHER, 32), 32);
    close(fd);
    snprintf(value, sizeof value, "file://%s", path);
    assert_int_equal(open_key("k", value, &seal, NULL), 0);
    unlink(path);
}

static void what_is_no_key_is_refused(void **state)
{
    static const struct { const char *id, *key, *text; } cases[] = {
        { "", HEX, "current_key_id is required" },
        { "k", "", "current_key is required" },
        { "k", "abc", "current_key: a key of 32 bytes expected, as it is, in hex or in base64" },
        { "k", "env://NOT_SET", "current_key: environment variable NOT_SET is not set" },
        { "k", "file:///nowhere/at/all",
          "current_key: /nowhere/at/all: No such file or directory" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct seal *seal = NULL;
        struct err err = { 0 };
        assert_int_equal(open_key(cases[i].id, cases[i].key, &seal, &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
        assert_string_equal(err.msg, cases[i].text);
    }
}

static void an_error_does_not_show_the_key(void **state)
{
    struct seal *seal = NULL;
    struct err err = { 0 };
    assert_int_equal(open_key("k", "hunter2", &seal, &err), -1);
    assert_null(strstr(err.msg, "hunter2"));
}

static void the_previous_key_still_decrypts(void **state)
{
    static const struct storage_option both[] = {
        OPTION("current_key_id", "new"), OPTION("current_key", OTHER),
        OPTION("previous_key_id", "old"), OPTION("previous_key", HEX),
    };
    AUTO(seal_drop) struct seal *old = NULL;
    AUTO(seal_drop) struct seal *seal = NULL;
    AUTO(buf_free) struct buf entry = { 0 };
    AUTO(buf_free) struct buf fresh = { 0 };
    AUTO(buf_free) struct buf out = { 0 };
    struct seal_blob blob;
    struct err err = { 0 };
    assert_int_equal(open_key("old", HEX, &old, NULL), 0);
    assert_int_equal(open_with(both, ARRAY_LEN(both), &seal, NULL), 0);
    assert_int_equal(seal_encrypt(old, STR("text"), &entry, NULL), 0);
    assert_int_equal(seal_decrypt(seal, buf_str(&entry), &out, NULL), 0);
    assert_int_equal(seal_encrypt(seal, STR("text"), &fresh, NULL), 0);
    assert_int_equal(seal_blob_parse(buf_str(&fresh), &blob, NULL), 0);
    assert_true(str_is(blob.key_id, "new"));
    assert_int_equal(seal_decrypt(old, buf_str(&fresh), &out, &err), -1);
    assert_int_equal(err.code, ERR_DENIED);
    assert_string_equal(err.msg, "seal \"static\": encrypted with key \"new\", which is neither "
                                 "current_key_id nor previous_key_id");
}

static void two_keys_of_one_name_are_refused(void **state)
{
    static const struct storage_option both[] = {
        OPTION("current_key_id", "k"), OPTION("current_key", OTHER),
        OPTION("previous_key_id", "k"), OPTION("previous_key", HEX),
    };
    struct seal *seal = NULL;
    assert_int_equal(open_with(both, ARRAY_LEN(both), &seal, NULL), -1);
    assert_int_equal(open_with(both, 3, &seal, NULL), -1); /* a name without its key */
}

static void another_key_of_the_same_name_is_denied(void **state)
{
    AUTO(seal_drop) struct seal *one = NULL;
    AUTO(seal_drop) struct seal *other = NULL;
    AUTO(buf_free) struct buf entry = { 0 };
    AUTO(buf_free) struct buf out = { 0 };
    struct err err = { 0 };
    assert_int_equal(open_key("k", HEX, &one, NULL), 0);
    assert_int_equal(open_key("k", OTHER, &other, NULL), 0);
    assert_int_equal(seal_encrypt(one, STR("text"), &entry, NULL), 0);
    assert_int_equal(seal_decrypt(other, buf_str(&entry), &out, &err), -1);
    assert_int_equal(err.code, ERR_DENIED);
    assert_int_equal(out.n, 0);
}

static void a_damaged_blob_never_opens(void **state)
{
    AUTO(seal_drop) struct seal *seal = NULL;
    AUTO(buf_free) struct buf entry = { 0 };
    assert_int_equal(open_key("k", HEX, &seal, NULL), 0);
    assert_int_equal(seal_encrypt(seal, STR("text"), &entry, NULL), 0);
    for (size_t i = 0; i < entry.n; i++) {
        AUTO(buf_free) struct buf out = { 0 };
        entry.p[i] ^= 0x55;
        assert_int_equal(seal_decrypt(seal, buf_str(&entry), &out, NULL), -1);
        entry.p[i] ^= 0x55;
        assert_int_equal(seal_decrypt(seal, str_head(buf_str(&entry), i), &out, NULL), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_may_be_written_in_four_ways),
        cmocka_unit_test(a_key_may_lie_in_a_file),
        cmocka_unit_test(what_is_no_key_is_refused),
        cmocka_unit_test(an_error_does_not_show_the_key),
        cmocka_unit_test(the_previous_key_still_decrypts),
        cmocka_unit_test(two_keys_of_one_name_are_refused),
        cmocka_unit_test(another_key_of_the_same_name_is_denied),
        cmocka_unit_test(a_damaged_blob_never_opens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
