/* Tests of the keyring's stored form. */
#include "barrier/keyring.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "barrier/envelope.h"
#include "codec/timefmt.h"
#include "crypto/aead.h"

static const struct str root = STR_INIT("0123456789abcdef0123456789abcdef");

#define ROOT64 "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define KEY64  "INTJtne+vb0kRmExt7XWCaMM1KGwFFDgdDnVZvYqkeI="

static void drop_ring(struct keyring **k)
{
    keyring_free(*k);
}

/* ${json} as it lies in core/keyring. */
static void seal_json(struct str json, struct buf *out)
{
    struct aead *aead;
    struct err err = { 0 };

    assert_int_equal(aead_new(AEAD_AES256_GCM, root, &aead, &err), 0);
    assert_int_equal(envelope_seal(aead, 1, STR("core/keyring"), json, out, &err), 0);
    aead_free(aead);
}

static void open_json(const struct keyring *k, struct buf *json)
{
    AUTO(buf_free) struct buf stored = { 0 };
    struct aead *aead;
    struct err err = { 0 };

    assert_int_equal(keyring_close_up(k, &stored, &err), 0);
    assert_int_equal(aead_new(AEAD_AES256_GCM, root, &aead, &err), 0);
    assert_int_equal(envelope_open(aead, STR("core/keyring"), buf_str(&stored), json, &err), 0);
    aead_free(aead);
}

static void what_vault_wrote_is_written_again_byte_for_byte(void **state)
{
    static const struct str texts[] = {
        STR_INIT("{\"MasterKey\":\"" ROOT64
                 "\",\"Keys\":[{\"Term\":1,\"Version\":1,\"Value\":\"" KEY64
                 "\",\"InstallTime\":\"2026-11-22T01:56:38.867044862Z\"}],\"RotationConfig\":"
                 "{\"Disabled\":false,\"MaxOperations\":3865470566,\"Interval\":0}}"),
        STR_INIT("{\"MasterKey\":\"" ROOT64
                 "\",\"Keys\":[{\"Term\":1,\"Version\":1,\"Value\":\"" KEY64
                 "\",\"InstallTime\":\"0001-01-01T00:00:00Z\"},{\"Term\":2,\"Version\":1,\"Value\":"
                 "\"TsvTUvKO1TozA1xYUrdifb4uAsROpiIonDynTWZTdSA=\",\"InstallTime\":"
                 "\"2026-11-22T01:56:50.71Z\",\"encryptions\":25}],\"RotationConfig\":"
                 "{\"Disabled\":true,\"MaxOperations\":2000000,\"Interval\":86400000000000}}"),
    };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        AUTO(drop_ring) struct keyring *k = NULL;
        AUTO(buf_free) struct buf stored = { 0 };
        AUTO(buf_free) struct buf json = { 0 };
        struct err err = { 0 };
        seal_json(texts[i], &stored);
        assert_int_equal(keyring_open_up(root, buf_str(&stored), &k, &err), 0);
        open_json(k, &json);
        assert_true(str_eq(buf_str(&json), texts[i]));
    }
}

static void keys_may_be_stored_in_any_order_and_without_settings(void **state)
{
    AUTO(drop_ring) struct keyring *k = NULL;
    AUTO(buf_free) struct buf stored = { 0 };
    struct err err = { 0 };

    seal_json(STR("{\"Unknown\":{},\"Keys\":[{\"Term\":7,\"Value\":\"" KEY64
                  "\"},{\"Term\":3,\"Value\":\"" KEY64 "\"}],\"MasterKey\":\"" ROOT64 "\"}\n"),
              &stored);
    assert_int_equal(keyring_open_up(root, buf_str(&stored), &k, &err), 0);
    assert_int_equal(keyring_active(k).term, 7);
    assert_true(keyring_active(k).installed_ns == TIME_ZERO);
    assert_true(keyring_rotation(k).enabled);
    assert_true(keyring_rotation(k).max_operations == KEYRING_OPERATIONS_MAX);
}

static void what_is_no_keyring_is_corrupt(void **state)
{
    static const struct {
        const char *what;
        struct str json;
    } cases[] = {
        { "empty", STR_INIT("") },
        { "no JSON", STR_INIT("{\"MasterKey\":") },
        { "a list", STR_INIT("[]") },
        { "no members", STR_INIT("{}") },
        { "no keys", STR_INIT("{\"MasterKey\":\"" ROOT64 "\",\"Keys\":[]}") },
        { "keys of another type", STR_INIT("{\"MasterKey\":\"" ROOT64 "\",\"Keys\":{\"a\":1}}") },
        { "a key of another type", STR_INIT("{\"MasterKey\":\"" ROOT64 "\",\"Keys\":[1]}") },
        { "no root key", STR_INIT("{\"Keys\":[{\"Term\":1,\"Value\":\"" KEY64 "\"}]}") },
        { "a short root key",
          STR_INIT("{\"MasterKey\":\"AAAA\",\"Keys\":[{\"Term\":1,\"Value\":\"" KEY64 "\"}]}") },
        { "no term",
          STR_INIT("{\"MasterKey\":\"" ROOT64 "\",\"Keys\":[{\"Value\":\"" KEY64 "\"}]}") },
        { "a term too large",
          STR_INIT("{\"MasterKey\":\"" ROOT64 "\",\"Keys\":[{\"Term\":4294967296,\"Value\":\"" KEY64
                   "\"}]}") },
        { "a negative term", STR_INIT("{\"MasterKey\":\"" ROOT64
                                      "\",\"Keys\":[{\"Term\":-1,\"Value\":\"" KEY64 "\"}]}") },
        { "a term twice",
          STR_INIT("{\"MasterKey\":\"" ROOT64 "\",\"Keys\":[{\"Term\":1,\"Value\":\"" KEY64
                   "\"},{\"Term\":1,\"Value\":\"" KEY64 "\"}]}") },
        { "a short key",
          STR_INIT("{\"MasterKey\":\"" ROOT64 "\",\"Keys\":[{\"Term\":1,\"Value\":\"AAAA\"}]}") },
        { "a key that is not base64",
          STR_INIT("{\"MasterKey\":\"" ROOT64 "\",\"Keys\":[{\"Term\":1,\"Value\":\"%%%%\"}]}") },
        { "a malformed time",
          STR_INIT("{\"MasterKey\":\"" ROOT64 "\",\"Keys\":[{\"Term\":1,\"Value\":\"" KEY64
                   "\",\"InstallTime\":\"yesterday\"}]}") },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(drop_ring) struct keyring *k = NULL;
        AUTO(buf_free) struct buf stored = { 0 };
        struct err err = { 0 };
        print_message("  %s\n", cases[i].what);
        seal_json(cases[i].json, &stored);
        assert_int_equal(keyring_open_up(root, buf_str(&stored), &k, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
        assert_null(k);
    }
}

static void the_stored_ring_carries_term_1(void **state)
{
    AUTO(drop_ring) struct keyring *k = NULL;
    AUTO(drop_ring) struct keyring *again = NULL;
    AUTO(buf_free) struct buf stored = { 0 };
    struct err err = { 0 };

    assert_int_equal(keyring_new(root, 0, &k, &err), 0);
    assert_int_equal(keyring_close_up(k, &stored, &err), 0);
    stored.p[3] = 2;
    assert_int_equal(keyring_open_up(root, buf_str(&stored), &again, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
}

static void a_changed_copy_leaves_the_original_alone(void **state)
{
    AUTO(drop_ring) struct keyring *one = NULL;
    AUTO(drop_ring) struct keyring *two = NULL;
    AUTO(buf_free) struct buf sealed = { 0 };
    AUTO(buf_free) struct buf out = { 0 };
    struct err err = { 0 };

    assert_int_equal(keyring_new(root, 5, &one, &err), 0);
    assert_int_equal(keyring_with_new_key(one, 9, &two, &err), 0);
    assert_int_equal(keyring_active(one).term, 1);
    assert_int_equal(keyring_active(two).term, 2);
    assert_int_equal(keyring_seal(two, STR("p"), STR("v"), &sealed, &err), 0);
    assert_int_equal(keyring_open(one, STR("p"), buf_str(&sealed), &out, &err), -1);
    assert_int_equal(keyring_open(two, STR("p"), buf_str(&sealed), &out, &err), 0);
}

static void a_first_key_has_no_key_before_it(void **state)
{
    AUTO(drop_ring) struct keyring *k = NULL;
    AUTO(buf_free) struct buf out = { 0 };
    struct err err = { 0 };

    assert_int_equal(keyring_new(root, 0, &k, &err), 0);
    assert_int_equal(keyring_seal_before(k, STR("p"), STR("v"), &out, &err), -1);
    assert_int_equal(out.n, 0);
}

static void the_root_key_comes_back_from_core_master(void **state)
{
    AUTO(drop_ring) struct keyring *k = NULL;
    AUTO(buf_free) struct buf text = { 0 };
    AUTO(secret_free) struct secret key = { 0 };
    struct err err = { 0 };

    assert_int_equal(keyring_new(root, 0, &k, &err), 0);
    keyring_print_root_key(k, &text);
    assert_int_equal(keyring_parse_root_key(buf_str(&text), &key, &err), 0);
    assert_true(secret_eq(secret_str(&key), root));
    secret_free(&key);
    assert_int_equal(keyring_parse_root_key(STR("{\"Value\":\"AAAA\"}"), &key, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_vault_wrote_is_written_again_byte_for_byte),
        cmocka_unit_test(keys_may_be_stored_in_any_order_and_without_settings),
        cmocka_unit_test(what_is_no_keyring_is_corrupt),
        cmocka_unit_test(the_stored_ring_carries_term_1),
        cmocka_unit_test(a_changed_copy_leaves_the_original_alone),
        cmocka_unit_test(a_first_key_has_no_key_before_it),
        cmocka_unit_test(the_root_key_comes_back_from_core_master),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
