/* Tests of base62: against Go's big.Int.Text(62), and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "codec/base62.h"

static void assert_text(struct str got, const char *want)
{
    assert_int_equal(got.n, strlen(want));
    assert_memory_equal(got.p, want, got.n);
}

static void writes_the_number_that_the_bytes_are(void **state)
{
    static const struct { struct str bytes; const char *text; } cases[] = {
        { STR_INIT(""), "0" },
        { STR_INIT("\0\0"), "0" },
        { STR_INIT("\x01"), "1" },
        { STR_INIT("\x3d"), "Z" },
        { STR_INIT("\x3e"), "10" },
        { STR_INIT("\0\xff"), "47" },
        /* 62^10 and 62^10 - 1, where a chunk ends */
        { STR_INIT("\x0b\xa5\xca\x53\x92\xcb\x04\x00"), "10000000000" },
        { STR_INIT("\x0b\xa5\xca\x53\x92\xcb\x03\xff"), "ZZZZZZZZZZ" },
        { STR_INIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff"), "1sKyAAIxssts3" },
    };
    AUTO(arena_drop) struct arena *a = arena_new();

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_text(base62_encode(a, cases[i].bytes), cases[i].text);
}

static void gives_back_what_it_wrote(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct err err = { 0 };

    for (size_t n = 1; n < 200; n++) {
        uint8_t bytes[200];
        random_fill(bytes, n);
        bytes[0] |= 1;
        struct str back;
        assert_int_equal(base62_decode(a, base62_encode(a, str_mem(bytes, n)), &back, &err), 0);
        assert_int_equal(back.n, n);
        assert_memory_equal(back.p, bytes, n);
    }
}

static void refuses_what_is_no_number(void **state)
{
    static const char *const cases[] = { "", "-", "a b", "abc/", "1234567890+", "\xc3\xbc" };
    AUTO(arena_drop) struct arena *a = arena_new();

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = { 0 };
        struct str out;
        assert_int_equal(base62_decode(a, str_of(cases[i]), &out, &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_the_number_that_the_bytes_are),
        cmocka_unit_test(gives_back_what_it_wrote),
        cmocka_unit_test(refuses_what_is_no_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
