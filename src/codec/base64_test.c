/* Tests of base64 and hex. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "codec/base64.h"

#define assert_str(s, z)                                                                           \
    do {                                                                                           \
        struct str got = (s);                                                                      \
        assert_int_equal(got.n, strlen(z));                                                        \
        assert_memory_equal(got.p, z, got.n);                                                      \
    } while (0)

static const struct {
    struct str bytes;
    const char *standard, *url, *hex;
} pairs[] = {
    { STR_INIT(""), "", "", "" },
    { STR_INIT("f"), "Zg==", "Zg", "66" },
    { STR_INIT("fo"), "Zm8=", "Zm8", "666f" },
    { STR_INIT("foo"), "Zm9v", "Zm9v", "666f6f" },
    { STR_INIT("foob"), "Zm9vYg==", "Zm9vYg", "666f6f62" },
    { STR_INIT("\xFB\xFF\xFE\0"), "+//+AA==", "-__-AA", "fbfffe00" },
};

static void encodes_as_the_rfc_says(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        assert_str(base64_encode(a, pairs[i].bytes), pairs[i].standard);
        assert_str(base64url_encode(a, pairs[i].bytes), pairs[i].url);
        assert_str(hex_encode(a, pairs[i].bytes), pairs[i].hex);
    }
}

static void appends_to_what_a_buffer_holds(void **state)
{
    AUTO(buf_free) struct buf b = { 0 };
    buf_add(&b, STR("v1:"));
    base64_add(&b, STR("foob"));
    base64_add(&b, STR(""));
    buf_byte(&b, ' ');
    hex_add(&b, STR("\xFF\x01"));
    assert_str(buf_str(&b), "v1:Zm9vYg== ff01");
}

static void decodes_what_it_encoded(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct str out;
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        assert_int_equal(base64_decode(a, str_of(pairs[i].standard), &out, NULL), 0);
        assert_true(str_eq(out, pairs[i].bytes));
        assert_int_equal(base64url_decode(a, str_of(pairs[i].url), &out, NULL), 0);
        assert_true(str_eq(out, pairs[i].bytes));
        assert_int_equal(hex_decode(a, str_of(pairs[i].hex), &out, NULL), 0);
        assert_true(str_eq(out, pairs[i].bytes));
    }
}

static void every_byte_survives_a_round_trip(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    char all[256];
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    for (size_t n = 0; n <= sizeof all; n++) {
        struct str bytes = { all + sizeof all - n, n }, out;
        assert_int_equal(base64_decode(a, base64_encode(a, bytes), &out, NULL), 0);
        assert_true(str_eq(out, bytes));
        assert_int_equal(base64url_decode(a, base64url_encode(a, bytes), &out, NULL), 0);
        assert_true(str_eq(out, bytes));
    }
}

static void line_ends_are_skipped_while_decoding(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct str out;
    assert_int_equal(base64_decode(a, STR("Zm\r\n9v\nYg=\n=\n"), &out, NULL), 0);
    assert_str(out, "foob");
}

static void url_text_may_be_padded(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct str out;
    assert_int_equal(base64url_decode(a, STR("Zg=="), &out, NULL), 0);
    assert_str(out, "f");
    assert_int_equal(base64url_decode(a, STR("Zm8="), &out, NULL), 0);
    assert_str(out, "fo");
}

static void hex_of_either_case_is_read(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct str out;
    assert_int_equal(hex_decode(a, STR("aFFe"), &out, NULL), 0);
    assert_str(out, "\xAF\xFE");
}

static void a_refusal_names_the_byte_that_go_names(void **state)
{
    static const struct {
        const char *text;
        int at;
    } cases[] = {
        { "!!!!", 0 },  { "====", 0 },    { "x===", 1 },     { "=AAA", 0 },    { "A=AA", 1 },
        { "AA=A", 2 },  { "AA==A", 4 },   { "AAA=AAAA", 4 }, { "AAAAA", 4 },   { "AAAAAA", 4 },
        { "A=", 1 },    { "A==", 1 },     { "AA=", 3 },      { "AA==", -1 },   { "AAA=", -1 },
        { "AAAA", -1 }, { "AAAAAA=", 7 }, { "YWJjZA=====", 8 }, { "A!\n", 1 }, { "AAA", 0 },
        { "Zm9v Yg==", 4 }, { "A===", 1 }, { "-_--", 0 },
    };
    AUTO(arena_drop) struct arena *a = arena_new();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str out;
        struct err err = { 0 };
        char want[64];
        print_message("  %s\n", cases[i].text);
        int result = base64_decode(a, str_of(cases[i].text), &out, &err);
        assert_int_equal(result, cases[i].at < 0 ? 0 : -1);
        if (result == 0)
            continue;
        snprintf(want, sizeof want, "illegal base64 data at input byte %d", cases[i].at);
        assert_string_equal(err.msg, want);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
    }
}

static void url_text_is_refused_when_it_is_none(void **state)
{
    static const char *const cases[] = { "A", "Zm9vY", "Zm+v", "Zg=", "Zg==A", "Zg===", "=" };
    AUTO(arena_drop) struct arena *a = arena_new();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str out;
        struct err err = { 0 };
        print_message("  %s\n", cases[i]);
        assert_int_equal(base64url_decode(a, str_of(cases[i]), &out, &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
    }
}

static void hex_is_refused_as_go_refuses_it(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        { "abc", "encoding/hex: odd length hex string" },
        { "zd", "encoding/hex: invalid byte: U+007A 'z'" },
        { "dzz", "encoding/hex: invalid byte: U+007A 'z'" },
        { "0 ", "encoding/hex: invalid byte: U+0020 ' '" },
        { "0\n", "encoding/hex: invalid byte: U+000A" },
        { "\xFF" "0", "encoding/hex: invalid byte: U+00FF '\xC3\xBF'" },
    };
    AUTO(arena_drop) struct arena *a = arena_new();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str out;
        struct err err = { 0 };
        assert_int_equal(hex_decode(a, str_of(cases[i].text), &out, &err), -1);
        assert_string_equal(err.msg, cases[i].message);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_as_the_rfc_says),
        cmocka_unit_test(appends_to_what_a_buffer_holds),
        cmocka_unit_test(decodes_what_it_encoded),
        cmocka_unit_test(every_byte_survives_a_round_trip),
        cmocka_unit_test(line_ends_are_skipped_while_decoding),
        cmocka_unit_test(url_text_may_be_padded),
        cmocka_unit_test(hex_of_either_case_is_read),
        cmocka_unit_test(a_refusal_names_the_byte_that_go_names),
        cmocka_unit_test(url_text_is_refused_when_it_is_none),
        cmocka_unit_test(hex_is_refused_as_go_refuses_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
