/* Tests of the counter mode derivation. */
#include "crypto/kdf.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "codec/base64.h"

static void gives_the_block_that_vault_expects(void **state)
{
    static const struct { struct str key, context; const char *hex; } cases[] = {
        { STR_INIT("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"),
          STR_INIT("the quick brown fox"),
          "db19ee06b9ecb440f898fb994f058dde42c8428f280365ddcea3665058ea579d" },
        { STR_INIT("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"
                   "\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f"),
          STR_INIT("context"),
          "3fb4ed45c2249b2d53d2ea0df1fee8124ed75c20aa7c6416116f696d4e7b4be0" },
    };
    AUTO(arena_drop) struct arena *a = arena_new();

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t out[KDF_LEN];
        struct err err = { 0 };
        assert_int_equal(kdf_counter(cases[i].key, cases[i].context, out, &err), 0);
        assert_true(str_is(hex_encode(a, str_mem(out, sizeof out)), cases[i].hex));
    }
}

static void gives_another_block_for_another_context_or_key(void **state)
{
    uint8_t first[KDF_LEN], context[KDF_LEN], key[KDF_LEN];
    struct err err = { 0 };

    assert_int_equal(kdf_counter(STR("key"), STR("a"), first, &err), 0);
    assert_int_equal(kdf_counter(STR("key"), STR("b"), context, &err), 0);
    assert_int_equal(kdf_counter(STR("yek"), STR("a"), key, &err), 0);
    assert_memory_not_equal(first, context, KDF_LEN);
    assert_memory_not_equal(first, key, KDF_LEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_block_that_vault_expects),
        cmocka_unit_test(gives_another_block_for_another_context_or_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
