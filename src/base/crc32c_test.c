/* The checksum by both ways: RFC 3720's vectors, and every alignment and length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/crc32c.h"

static void both_ways_give_the_vectors_of_rfc_3720(void **state)
{
    char zeros[32] = { 0 }, ones[32], up[32], down[32];
    const struct {
        struct str bytes;
        uint32_t crc;
    } cases[] = {
        { STR(""), 0 },
        { STR("123456789"), 0xe3069283 },
        { str_mem(zeros, 32), 0x8a9136aa },
        { str_mem(ones, 32), 0x62a8ab43 },
        { str_mem(up, 32), 0x46dd794e },
        { str_mem(down, 32), 0x113fdb5c },
    };
    for (int i = 0; i < 32; i++) {
        ones[i] = (char)0xff;
        up[i] = (char)i;
        down[i] = (char)(31 - i);
    }
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(crc32c(0, cases[i].bytes), cases[i].crc);
        assert_int_equal(crc32c_portable(0, cases[i].bytes), cases[i].crc);
    }
}

static void both_ways_agree_at_every_length_and_alignment(void **state)
{
    char bytes[96];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 37 + 11);
    for (size_t from = 0; from < 16; from++)
        for (size_t n = 0; from + n <= sizeof bytes; n++) {
            struct str s = str_mem(bytes + from, n);
            assert_int_equal(crc32c(7, s), crc32c_portable(7, s));
        }
}

static void a_text_in_two_parts_gives_the_same(void **state)
{
    struct str s = STR("the quick brown fox jumps over the lazy dog");
    for (size_t cut = 0; cut <= s.n; cut++) {
        assert_int_equal(crc32c(crc32c(0, str_head(s, cut)), str_from(s, cut)), crc32c(0, s));
        assert_int_equal(crc32c_portable(crc32c_portable(0, str_head(s, cut)), str_from(s, cut)),
                         crc32c(0, s));
    }
}

static void any_single_bit_shows(void **state)
{
    char bytes[64] = "any single bit that differs gives another sum";
    uint32_t right = crc32c(0, str_mem(bytes, sizeof bytes));
    for (size_t bit = 0; bit < sizeof bytes * 8; bit++) {
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
        assert_int_not_equal(crc32c(0, str_mem(bytes, sizeof bytes)), right);
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways_give_the_vectors_of_rfc_3720),
        cmocka_unit_test(both_ways_agree_at_every_length_and_alignment),
        cmocka_unit_test(a_text_in_two_parts_gives_the_same),
        cmocka_unit_test(any_single_bit_shows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
