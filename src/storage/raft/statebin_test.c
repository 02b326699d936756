/* What state.bin may hold, and in what pieces it may come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "storage/raft/statebin.h"

/* Two entries, the second without a value: "a" = "one", "b/c" = "". */
#define TWO "\x08\x0a\x01" "a\x12\x03one" "\x05\x0a\x03" "b/c"

/* What came, as "key=value;". */
static int note(void *ctx, struct str key, struct str value, struct err *err)
{
    buf_printf(ctx, STR_FMT "=" STR_FMT ";", STR_ARG(key), STR_ARG(value));
    return 0;
}

static int refuse(void *ctx, struct str key, struct str value, struct err *err)
{
    return err_set(err, ERR_IO, "no room");
}

static int read_in_pieces(struct str bytes, size_t piece, struct buf *out, struct err *err)
{
    AUTO(statebin_fini) struct statebin s = { .put = note, .ctx = out };

    for (size_t at = 0; at < bytes.n; at += piece) {
        /* A copy of its own, so that reading past it is noticed. */
        struct str part = str_head(str_from(bytes, at), piece);
        char *copy = malloc(part.n);
        memcpy(copy, part.p, part.n);
        int rc = statebin_feed(&s, str_mem(copy, part.n), err);
        free(copy);
        TRY(rc);
    }
    return statebin_end(&s, err);
}

static void entries_come_out_the_same_in_pieces_of_any_size(void **state)
{
    for (size_t piece = 1; piece <= STR(TWO).n; piece++) {
        AUTO(buf_free) struct buf out = { 0 };
        struct err err = { 0 };
        assert_int_equal(read_in_pieces(STR(TWO), piece, &out, &err), 0);
        assert_true(str_is(buf_str(&out), "a=one;b/c=;"));
    }
}

static void what_is_written_is_what_vault_writes(void **state)
{
    AUTO(statebin_fini) struct statebin s = { 0 };
    AUTO(buf_free) struct buf out = { 0 };

    assert_int_equal(statebin_head(&s, STR("a"), 3, &out, NULL), 0);
    buf_add(&out, STR("one"));
    assert_int_equal(statebin_head(&s, STR("b/c"), 0, &out, NULL), 0);
    assert_true(str_eq(buf_str(&out), STR(TWO)));
}

static void fields_that_are_not_known_are_passed_over(void **state)
{
    AUTO(buf_free) struct buf out = { 0 };
    struct err err = { 0 };

    assert_int_equal(read_in_pieces(STR("\x08\x18\x07\x0a\x01k\x12\x01v"), 4, &out, &err), 0);
    assert_true(str_is(buf_str(&out), "k=v;"));
}

static void damaged_entries_are_refused(void **state)
{
    static const struct {
        const char *what;
        struct str bytes;
        const char *text;
    } cases[] = {
        { "cut short", STR_INIT("\x08\x0a\x01" "a\x12\x03on"), "entry 1 is cut short" },
        { "cut in its length", STR_INIT("\x80"), "entry 1 is cut short" },
        { "empty", STR_INIT("\x00"), "entry 1 has no key" },
        { "an empty key", STR_INIT("\x05\x0a\x00\x12\x01v"), "entry 1 has no key" },
        { "a value alone", STR_INIT("\x03\x12\x01v"), "entry 1 has no key" },
        { "the same key twice", STR_INIT("\x03\x0a\x01" "b\x03\x0a\x01" "b"),
          "entry 2 is not in key order" },
        { "keys out of order", STR_INIT("\x03\x0a\x01" "b\x03\x0a\x01" "a"),
          "entry 2 is not in key order" },
        { "a key longer than the entry", STR_INIT("\x03\x0a\x09" "b"), NULL },
        { "a group", STR_INIT("\x01\x0b"), NULL },
        { "too large", STR_INIT("\x81\x80\x80\x80\x01"), "entry 1 is too large" },
        { "a length without end", STR_INIT("\x80\x80\x80\x80\x80\x80\x00"),
          "entry 1 is too large" },
        { "a length of 64 bits", STR_INIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
          "entry 1 is too large" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (size_t piece = 1; piece <= cases[i].bytes.n; piece++) {
            AUTO(buf_free) struct buf out = { 0 };
            struct err err = { 0 };
            if (piece == 1)
                print_message("  %s\n", cases[i].what);
            assert_int_equal(read_in_pieces(cases[i].bytes, piece, &out, &err), -1);
            assert_int_equal(err.code, ERR_BAD_REQUEST);
            if (cases[i].text != NULL)
                assert_string_equal(err.msg, cases[i].text);
        }
}

static void an_overlong_key_is_refused_in_both_directions(void **state)
{
    AUTO(statebin_fini) struct statebin writer = { 0 }, reader = { 0 };
    AUTO(buf_free) struct buf key = { 0 }, entry = { 0 };
    struct err err = { 0 };

    for (size_t i = 0; i < STATEBIN_KEY_MAX + 1; i++)
        buf_byte(&key, 'k');
    assert_int_equal(statebin_head(&writer, buf_str(&key), 1, &entry, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_int_equal(entry.n, 0);
    /* 1 MiB + 1 of key, and its tag and length. */
    buf_add(&entry, STR("\x85\x80\x40\x0a\x81\x80\x40"));
    buf_add(&entry, buf_str(&key));
    assert_int_equal(statebin_feed(&reader, buf_str(&entry), &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
}

static void a_writer_refuses_what_no_reader_takes(void **state)
{
    AUTO(statebin_fini) struct statebin s = { 0 };
    AUTO(buf_free) struct buf out = { 0 };
    struct err err = { 0 };

    assert_int_equal(statebin_head(&s, STR("b"), 0, &out, &err), 0);
    buf_clear(&out);
    assert_int_equal(statebin_head(&s, STR("b"), 0, &out, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_int_equal(statebin_head(&s, STR("a"), 0, &out, &err), -1);
    assert_int_equal(statebin_head(&s, STR(""), 0, &out, &err), -1);
    assert_int_equal(statebin_head(&s, STR("c"), STATEBIN_ENTRY_MAX, &out, &err), -1);
    assert_int_equal(out.n, 0);
}

static void memory_is_taken_for_what_came_not_for_what_is_announced(void **state)
{
    AUTO(statebin_fini) struct statebin s = { 0 };
    struct err err = { 0 };

    /* 256 MiB less one byte. */
    assert_int_equal(statebin_feed(&s, STR("\xff\xff\xff\x7f\x0a\x01k\x12"), &err), 0);
    assert_true(s.part.cap <= 64);
    assert_int_equal(statebin_end(&s, &err), -1);
}

static void memory_of_a_large_entry_is_given_back(void **state)
{
    AUTO(statebin_fini) struct statebin s = { 0 }, writer = { 0 };
    AUTO(buf_free) struct buf bytes = { 0 };
    struct err err = { 0 };

    assert_int_equal(statebin_head(&writer, STR("k"), 3 << 20, &bytes, &err), 0);
    for (size_t i = 0; i < 3 << 20; i++)
        buf_byte(&bytes, 'v');
    assert_int_equal(statebin_feed(&s, str_head(buf_str(&bytes), 2 << 20), &err), 0);
    assert_int_equal(statebin_feed(&s, str_from(buf_str(&bytes), 2 << 20), &err), 0);
    assert_int_equal(s.n, 1);
    assert_int_equal(s.part.cap, 0);
    assert_int_equal(statebin_end(&s, &err), 0);
}

static void a_failure_of_the_receiver_ends_the_reading(void **state)
{
    AUTO(statebin_fini) struct statebin s = { .put = refuse };
    struct err err = { 0 };

    assert_int_equal(statebin_feed(&s, STR(TWO), &err), -1);
    assert_int_equal(err.code, ERR_IO);
    assert_int_equal(s.n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_come_out_the_same_in_pieces_of_any_size),
        cmocka_unit_test(what_is_written_is_what_vault_writes),
        cmocka_unit_test(fields_that_are_not_known_are_passed_over),
        cmocka_unit_test(damaged_entries_are_refused),
        cmocka_unit_test(an_overlong_key_is_refused_in_both_directions),
        cmocka_unit_test(a_writer_refuses_what_no_reader_takes),
        cmocka_unit_test(memory_is_taken_for_what_came_not_for_what_is_announced),
        cmocka_unit_test(memory_of_a_large_entry_is_given_back),
        cmocka_unit_test(a_failure_of_the_receiver_ends_the_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
