/* Tests of compressed values. */
#include "codec/compress.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "codec/base64.h"
#include "codec/snappy.h"

/* core/local-audit as Vault 1.8 wrote it. */
static const char vault_gzip[] =
    "471f8b08000000000002ffaa562aa92c4855b2524a2c4dc92c51d2514acd2b29ca4c2d56b2ca2bcdc9a9e50204"
    "0000ffff9bcf028720000000";
static const char vault_gzip_text[] = "{\"type\":\"audit\",\"entries\":null}\n";

/* An identity bucket as Vault 1.8 wrote it. */
static const char vault_snappy[] =
    "53ff060000734e6150705900230100a6fb78088d03f0950a127061636b65722f6275636b6574732f31393212f6"
    "020a2431613337386665352d333531392d653661652d393931632d37663736613237633730353512cd020a2374"
    "7970652e676f6f676c65617069732e636f6d2f6964656e746974792e456e7469747912a5020a95010a24313337"
    "61616437642d653836632d623736382d323831652d3538363931353733306335321224316133827a00d8221661"
    "7574685f75736572706173735f33613337353231343a0d616c6963652d76697369626c65420c08de9789d80610"
    "8aa1d4ea024a0c2e0e00145a04726f6f74966f00001a3657002822110a047465616d120974116a042a0c0d5c14"
    "d5c092c50232110e30e7dfd3ea02420d74656d706c2d0d95004a4a7301146204726f6f74";
static const char vault_snappy_text[] =
    "0a127061636b65722f6275636b6574732f31393212f6020a2431613337386665352d333531392d653661652d39"
    "3931632d37663736613237633730353512cd020a23747970652e676f6f676c65617069732e636f6d2f6964656e"
    "746974792e456e7469747912a5020a95010a2431333761616437642d653836632d623736382d323831652d3538"
    "36393135373330633532122431613337386665352d333531392d653661652d393931632d376637366132376337"
    "3035352216617574685f75736572706173735f33613337353231343a0d616c6963652d76697369626c65420c08"
    "de9789d806108aa1d4ea024a0c08de9789d806108aa1d4ea025a04726f6f74122431613337386665352d333531"
    "392d653661652d393931632d3766373661323763373035351a0d616c6963652d76697369626c6522110a047465"
    "616d1209742d76697369626c652a0c08de9789d80610d5c092c502320c08de9789d80610e7dfd3ea02420d7465"
    "6d706c2d76697369626c654a127061636b65722f6275636b6574732f3139326204726f6f74";

static struct str bytes_of(struct arena *a, const char *hex)
{
    struct str out;
    struct err err = { 0 };

    assert_int_equal(hex_decode(a, str_of(hex), &out, &err), 0);
    return out;
}

static void opens_what_vault_compressed(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf out = { 0 };
    struct err err = { 0 };

    assert_int_equal(decompress(bytes_of(a, vault_gzip), &out, &err), 0);
    assert_true(str_is(buf_str(&out), vault_gzip_text));
    buf_clear(&out);
    assert_int_equal(decompress(bytes_of(a, vault_snappy), &out, &err), 0);
    assert_true(str_eq(buf_str(&out), bytes_of(a, vault_snappy_text)));
}

static void opens_what_it_compressed(void **state)
{
    static const size_t sizes[] = { 0, 1, 100, 16384, 300000 };
    AUTO(buf_free) struct buf plain = { 0 };

    for (size_t i = 0; i < 300000; i++)
        buf_byte(&plain, (char)(i * i >> 7));
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        AUTO(buf_free) struct buf packed = { 0 };
        AUTO(buf_free) struct buf out = { 0 };
        struct str text = str_head(buf_str(&plain), sizes[i]);
        struct err err = { 0 };
        assert_int_equal(compress_gzip(text, &packed, &err), 0);
        assert_int_equal(packed.p[0], 'G');
        assert_int_equal(decompress(buf_str(&packed), &out, &err), 0);
        assert_true(str_eq(buf_str(&out), text));
    }
}

static void passes_plain_values_through(void **state)
{
    static const struct str cases[] = { STR_INIT(""), STR_INIT("{}"), STR_INIT("\x1f\x8b"),
                                        STR_INIT("\0G"), STR_INIT("new-rotation-term-2") };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(buf_free) struct buf out = { 0 };
        struct err err = { 0 };
        assert_int_equal(decompress(cases[i], &out, &err), 0);
        assert_true(str_eq(buf_str(&out), cases[i]));
    }
}

static void appends_to_what_is_there(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf out = { 0 };
    struct err err = { 0 };

    buf_add(&out, STR("before "));
    assert_int_equal(decompress(bytes_of(a, vault_gzip), &out, &err), 0);
    assert_true(str_starts(buf_str(&out), STR("before {\"type\"")));
}

static void snappy_copies_may_overlap_and_padding_is_skipped(void **state)
{
    /* "ab", then 6 bytes from 2 back; padding; "hi" as it is. */
    struct str packed = STR("S\xff\6\0\0sNaPpY" "\0\x0b\0\0crc_" "\x08\4ab" "\x16\2\0"
                            "\x80\3\0\0pad" "\1\6\0\0crc_hi");
    AUTO(buf_free) struct buf out = { 0 };
    struct err err = { 0 };

    assert_int_equal(decompress(packed, &out, &err), 0);
    assert_true(str_is(buf_str(&out), "ababababhi"));
}

static void refuses_damage_and_appends_nothing(void **state)
{
    static const struct { const char *what, *hex; } cases[] = {
        { "gzip: nothing", "47" },
        { "gzip: no head", "4700112233445566778899aabbccddeeff" },
        { "gzip: cut off", "471f8b08000000000002ffaa562aa92c4855b2524a2c4dc9" },
        { "gzip: wrong checksum",
          "471f8b08000000000002ffaa562aa92c4855b2524a2c4dc92c51d2514acd2b29ca4c2d56b2ca2bcdc9a9e5"
          "02040000ffff9bcf028620000000" },
        { "gzip: more behind",
          "471f8b08000000000002ffaa562aa92c4855b2524a2c4dc92c51d2514acd2b29ca4c2d56b2ca2bcdc9a9e5"
          "02040000ffff9bcf02872000000000" },
        { "snappy: nothing", "53" },
        { "snappy: no identifier", "530106000063726368690a" },
        { "snappy: wrong identifier", "53ff060000734e615070" "58" },
        { "snappy: chunk cut off", "53ff060000734e6150705900230100a6" },
        { "snappy: head cut off", "53ff060000734e61507059002301" },
        { "snappy: unknown chunk", "53ff060000734e6150705902000000" },
        { "snappy: no checksum", "53ff060000734e6150705900030000aabbcc" },
        { "snappy: no length", "53ff060000734e6150705900040000aabbccdd" },
        { "snappy: length over 64 KiB", "53ff060000734e6150705900070000aabbccdd818004" },
        { "snappy: length without end", "53ff060000734e6150705900090000aabbccdd8080808080" },
        { "snappy: literal past the chunk", "53ff060000734e6150705900070000aabbccdd050461" },
        { "snappy: literal past the block", "53ff060000734e6150705900080000aabbccdd01046162" },
        { "snappy: literal length cut off", "53ff060000734e6150705900060000aabbccdd05f4" },
        { "snappy: copy from before", "53ff060000734e61507059000a0000aabbccdd080461621603" "00"
          "00" },
        { "snappy: copy of distance 0", "53ff060000734e61507059000b0000aabbccdd08046162160000" },
        { "snappy: copy past the block", "53ff060000734e61507059000b0000aabbccdd04046162160200" },
        { "snappy: copy cut off", "53ff060000734e61507059000a0000aabbccdd080461621602" },
        { "snappy: block too short", "53ff060000734e6150705900080000aabbccdd08046162" },
        { "LZW", "4c0102" },
        { "LZ4", "3404224d18" },
    };
    AUTO(arena_drop) struct arena *a = arena_new();

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(buf_free) struct buf out = { 0 };
        struct err err = { 0 };
        print_message("  %s\n", cases[i].what);
        buf_add(&out, STR("kept"));
        assert_int_equal(decompress(bytes_of(a, cases[i].hex), &out, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
        assert_true(str_is(buf_str(&out), "kept"));
    }
}

static void a_snappy_stream_may_not_exceed_its_limit(void **state)
{
    struct str stream = STR("\xff\6\0\0sNaPpY" "\1\x09\0\0crc_12345" "\1\x09\0\0crc_12345");
    AUTO(buf_free) struct buf out = { 0 };
    struct err err = { 0 };

    assert_int_equal(snappy_expand(stream, 10, &out, &err), 0);
    assert_true(str_is(buf_str(&out), "1234512345"));
    assert_int_equal(snappy_expand(stream, 9, &out, &err), -1);
    assert_int_equal(err.code, ERR_TOO_LARGE);
}

static void a_written_snappy_stream_has_its_checksum_and_comes_back(void **state)
{
    static char large[150000];
    AUTO(buf_free) struct buf out = { 0 };
    AUTO(buf_free) struct buf back = { 0 };
    struct err err = { 0 };

    assert_int_equal(compress_snappy(STR("123456789"), &out, &err), 0);
    assert_true(str_eq(buf_str(&out), STR("S\xff\6\0\0sNaPpY\1\x0d\0\0" "\xe5\xb0\x8a\xc7"
                                          "123456789")));
    buf_clear(&out);
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (char)(i * i >> 7);
    assert_int_equal(compress_snappy(str_mem(large, sizeof large), &out, &err), 0);
    assert_int_equal(decompress(buf_str(&out), &back, &err), 0);
    assert_true(str_eq(buf_str(&back), str_mem(large, sizeof large)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_what_vault_compressed),
        cmocka_unit_test(opens_what_it_compressed),
        cmocka_unit_test(passes_plain_values_through),
        cmocka_unit_test(appends_to_what_is_there),
        cmocka_unit_test(snappy_copies_may_overlap_and_padding_is_skipped),
        cmocka_unit_test(refuses_damage_and_appends_nothing),
        cmocka_unit_test(a_snappy_stream_may_not_exceed_its_limit),
        cmocka_unit_test(a_written_snappy_stream_has_its_checksum_and_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
