/* Tests of the protobuf wire format. */
#include "codec/protobuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void hex_of(struct str s, char *out, size_t room)
{
    assert_true(s.n * 2 < room);
    out[0] = '\0';
    for (size_t i = 0; i < s.n; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", (unsigned char)s.p[i]);
}

static void assert_written(struct buf *b, const char *want)
{
    char hex[512];

    assert_false(b->failed);
    hex_of(buf_str(b), hex, sizeof hex);
    assert_string_equal(hex, want);
    buf_free(b);
}

static void writes_what_the_protobuf_documentation_shows(void **state)
{
    struct buf b = { 0 };

    protobuf_put_uint(&b, 1, 150);
    assert_written(&b, "089601");
    protobuf_put_bytes(&b, 2, STR("testing"));
    assert_written(&b, "120774657374696e67");
    size_t mark = protobuf_open(&b, 3);
    protobuf_put_uint(&b, 1, 150);
    protobuf_close(&b, mark);
    assert_written(&b, "1a03089601");
    protobuf_put_int(&b, 1, -2);
    assert_written(&b, "08feffffffffffffffff01");
    protobuf_add_pair(&b, 6, STR("a"), STR("b"));
    assert_written(&b, "32060a0161120162");
    protobuf_add_pair(&b, 6, STR(""), STR(""));
    assert_written(&b, "32040a001200");
}

static void leaves_out_zero_values(void **state)
{
    struct buf b = { 0 };

    protobuf_put_uint(&b, 1, 0);
    protobuf_put_int(&b, 2, 0);
    protobuf_put_bool(&b, 3, false);
    protobuf_put_bytes(&b, 4, STR(""));
    assert_int_equal(b.n, 0);
    protobuf_add_bytes(&b, 5, STR(""));
    assert_written(&b, "2a00");
}

static void a_message_longer_than_127_bytes_gets_a_longer_length(void **state)
{
    AUTO(buf_free) struct buf b = { 0 };
    char text[200];
    struct protobuf_field f;
    struct err err = { 0 };

    memset(text, 'x', sizeof text);
    size_t outer = protobuf_open(&b, 1), inner = protobuf_open(&b, 2);
    protobuf_put_bytes(&b, 3, str_mem(text, sizeof text));
    protobuf_close(&b, inner);
    protobuf_close(&b, outer);

    struct str rest = buf_str(&b);
    for (uint32_t number = 1; number <= 3; number++) {
        assert_int_equal(protobuf_next(&rest, &f, &err), 1);
        assert_true(protobuf_is(&f, number, PROTOBUF_BYTES));
        assert_int_equal(rest.n, 0);
        rest = f.bytes;
    }
    assert_true(str_eq(rest, str_mem(text, sizeof text)));
}

static void reads_all_wire_types_and_ends_with_zero(void **state)
{
    static const char message[] = "\x08\x96\x01"
                                  "\x11\1\2\3\4\5\6\7\x88"
                                  "\x1a\2hi"
                                  "\x25\1\0\0\x80";
    struct str rest = { message, sizeof message - 1 };
    struct protobuf_field f;
    struct err err = { 0 };

    assert_int_equal(protobuf_next(&rest, &f, &err), 1);
    assert_true(protobuf_is(&f, 1, PROTOBUF_VARINT) && f.value == 150);
    assert_false(protobuf_is(&f, 1, PROTOBUF_BYTES));
    assert_int_equal(protobuf_next(&rest, &f, &err), 1);
    assert_true(protobuf_is(&f, 2, PROTOBUF_FIXED64) && f.value == 0x8807060504030201);
    assert_int_equal(protobuf_next(&rest, &f, &err), 1);
    assert_true(protobuf_is(&f, 3, PROTOBUF_BYTES) && str_is(f.bytes, "hi"));
    assert_int_equal(protobuf_next(&rest, &f, &err), 1);
    assert_true(protobuf_is(&f, 4, PROTOBUF_FIXED32) && f.value == 0x80000001);
    assert_int_equal(protobuf_next(&rest, &f, &err), 0);
}

static void refuses_what_is_no_message(void **state)
{
    static const struct {
        const char *what;
        struct str bytes;
    } cases[] = {
        { "tag without value", STR_INIT("\x08") },
        { "varint cut off", STR_INIT("\x08\x96") },
        { "varint of eleven bytes", STR_INIT("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01") },
        { "varint over 64 bits", STR_INIT("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02") },
        { "field number 0", STR_INIT("\x00\x01") },
        { "field number too large", STR_INIT("\x80\x80\x80\x80\x10\x01") },
        { "length past the end", STR_INIT("\x0a\x05"
                                          "abcd") },
        { "length near 2^64", STR_INIT("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01") },
        { "length missing", STR_INIT("\x0a") },
        { "fixed64 cut off", STR_INIT("\x09\1\2\3\4\5\6\7") },
        { "fixed32 cut off", STR_INIT("\x0d\1\2\3") },
        { "group", STR_INIT("\x0b\x0c") },
        { "wire type 6", STR_INIT("\x0e\x00") },
        { "wire type 7", STR_INIT("\x0f\x00") },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str rest = cases[i].bytes;
        struct protobuf_field f;
        struct err err = { 0 };
        print_message("  %s\n", cases[i].what);
        assert_int_equal(protobuf_next(&rest, &f, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
    }
}

static void times_come_back_as_they_were(void **state)
{
    static const int64_t times[] = {
        0, 1, -1, 999999999, 1000000000, -1000000001, 1766368618123456789, INT64_MAX, INT64_MIN
    };

    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        AUTO(buf_free) struct buf b = { 0 };
        struct protobuf_field f;
        struct err err = { 0 };
        int64_t t, d;
        protobuf_add_timestamp(&b, 1, times[i]);
        protobuf_add_duration(&b, 2, times[i]);
        struct str rest = buf_str(&b);
        assert_int_equal(protobuf_next(&rest, &f, &err), 1);
        assert_int_equal(protobuf_timestamp(f.bytes, &t, &err), 0);
        assert_int_equal(protobuf_next(&rest, &f, &err), 1);
        assert_int_equal(protobuf_duration(f.bytes, &d, &err), 0);
        assert_true(t == times[i]);
        assert_true(d == times[i]);
    }
}

static void nanos_of_a_timestamp_count_forward(void **state)
{
    struct buf b = { 0 };

    protobuf_add_timestamp(&b, 1, -1); /* seconds -1, nanos 999999999 */
    assert_written(&b, "0a1108ffffffffffffffffff0110ff93ebdc03");
    protobuf_add_duration(&b, 1, -1500000000); /* seconds -1, nanos -500000000 */
    assert_written(&b, "0a1608ffffffffffffffffff011080b6ca91feffffffff01");
}

static void a_pair_reads_what_is_there(void **state)
{
    static const struct {
        struct str entry;
        const char *key, *value;
        int result;
    } cases[] = {
        { STR_INIT("\x0a\1k\x12\1v"), "k", "v", 0 },
        { STR_INIT("\x12\1v\x0a\1k"), "k", "v", 0 },
        { STR_INIT(""), "", "", 0 },
        { STR_INIT("\x0a\1k\x18\5"), "k", "", 0 },
        { STR_INIT("\x0a\1k\x12\2v"), "k", "", -1 },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str key, value;
        struct err err = { 0 };
        assert_int_equal(protobuf_pair(cases[i].entry, &key, &value, &err), cases[i].result);
        if (cases[i].result == 0)
            assert_true(str_is(key, cases[i].key) && str_is(value, cases[i].value));
    }
}

static void a_packed_list_ends(void **state)
{
    struct str rest = STR("\x03\x8e\x02\x9e\xa7\x05");
    uint64_t v[3];
    struct err err = { 0 };

    for (int i = 0; i < 3; i++)
        assert_int_equal(protobuf_next_varint(&rest, &v[i], &err), 1);
    assert_true(v[0] == 3 && v[1] == 270 && v[2] == 86942);
    assert_int_equal(protobuf_next_varint(&rest, &v[0], &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_what_the_protobuf_documentation_shows),
        cmocka_unit_test(leaves_out_zero_values),
        cmocka_unit_test(a_message_longer_than_127_bytes_gets_a_longer_length),
        cmocka_unit_test(reads_all_wire_types_and_ends_with_zero),
        cmocka_unit_test(refuses_what_is_no_message),
        cmocka_unit_test(times_come_back_as_they_were),
        cmocka_unit_test(nanos_of_a_timestamp_count_forward),
        cmocka_unit_test(a_pair_reads_what_is_there),
        cmocka_unit_test(a_packed_list_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
