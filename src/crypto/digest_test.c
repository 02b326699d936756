/* Tests of hashes, HMAC and HKDF against published vectors. */
#include "crypto/digest.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "codec/base64.h"

static struct str repeat(struct arena *a, int byte, size_t n)
{
    char *p = arena_bytes(a, n);

    assert_non_null(p);
    return str_mem(memset(p, byte, n), n);
}

static void assert_hex(struct arena *a, const uint8_t *bytes, size_t n, const char *want)
{
    struct str hex = hex_encode(a, str_mem(bytes, n));

    assert_int_equal(hex.n, strlen(want));
    assert_memory_equal(hex.p, want, hex.n);
}

/* Hash of "abc"; HMAC of "abc" under 200 times "k", longer than any block. */
static void every_algorithm_hashes_and_authenticates(void **state)
{
    static const struct { enum digest d; const char *hash, *mac; } cases[] = {
        { DIGEST_SHA1,
          "a9993e364706816aba3e25717850c26c9cd0d89d",
          "825ab55bf90c797c40d1063e4f7599f4540c7c11" },
        { DIGEST_SHA224,
          "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
          "295dc535ec918d600acea22c2449ac34d22d0accb3269c4f9972df5c" },
        { DIGEST_SHA256,
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
          "ce632aa86d6a3fd3c79f06217c0a506599d055cd38eb385b16a2939f2488f686" },
        { DIGEST_SHA384,
          "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc23"
          "58baeca134c825a7",
          "88d48bad4ff0f4e74f8a79bf94bad626cd6cc6d462db5251698e519ddfde66b2f2c158f5140830a9"
          "fab4b588f0aca7dc" },
        { DIGEST_SHA512,
          "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a8"
          "36ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
          "600057e6cba9ce3e078c0ae32f0ba3a786002d1da4853945c899aa7678f932f03c77200044e668ac"
          "0ae89029a08cae59b9ed7f93ffed3b39371e4d4f08c3c376" },
        { DIGEST_MD5,
          "900150983cd24fb0d6963f7d28e17f72",
          "7ef8227eb2b17dfa84429313f515c79c" },
        { DIGEST_SHA3_224,
          "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf",
          "c7008e8989a0464597c097eadcddd9e0569f656f0dc6ea401667137f" },
        { DIGEST_SHA3_256,
          "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
          "ac9c7e65e8d5a7399a794aaf26a4ee7c8ac2334b829d4d01c97bab8aa060b683" },
        { DIGEST_SHA3_384,
          "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b298d88cea927ac7f5"
          "39f1edf228376d25",
          "c548f808c8e0520f52340ecb4c103f3ae6c88df9aec486e1b2b780df183e243cfb53aaa3c98082ff"
          "ff63f2e06afa0d3b" },
        { DIGEST_SHA3_512,
          "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e10e116e9192af3c9"
          "1a7ec57647e3934057340b4cf408d5a56592f8274eec53f0",
          "fe39336ae4e29b5cc9b5a1e3c2405d75bba70c11edff4bbe9daf10bd43e7d0d2db2fb0ad371cf12a"
          "c559c7183b05b9036db4a97d55e57ba016bc377d1fac87cb" },
    };
    AUTO(arena_drop) struct arena *a = arena_new();
    struct str key = repeat(a, 'k', 200);

    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
            uint8_t out[DIGEST_MAX];
            struct err err = { 0 };
            enum digest d = cases[i].d;
            assert_int_equal(digest_of(d, STR("abc"), out, &err), 0);
            assert_hex(a, out, digest_len(d), cases[i].hash);
            assert_int_equal(digest_hmac(d, key, STR("abc"), out, &err), 0);
            assert_hex(a, out, digest_len(d), cases[i].mac);
        }
}

static void hmac_gives_the_values_of_rfc_4231(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    const struct { enum digest d; struct str key, text; const char *mac; } cases[] = {
        { DIGEST_SHA256, repeat(a, 0x0b, 20),
          STR("Hi There"),
          "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
        { DIGEST_SHA512, repeat(a, 0x0b, 20),
          STR("Hi There"),
          "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702"
          "038b274eaea3f4e4be9d914eeb61f1702e696c203a126854" },
        { DIGEST_SHA256, STR("Jefe"),
          STR("what do ya want for nothing?"),
          "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
        { DIGEST_SHA512, STR("Jefe"),
          STR("what do ya want for nothing?"),
          "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a"
          "6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737" },
        { DIGEST_SHA256, repeat(a, 0xaa, 20),
          repeat(a, 0xdd, 50),
          "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe" },
        { DIGEST_SHA512, repeat(a, 0xaa, 20),
          repeat(a, 0xdd, 50),
          "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39bf3e848279a722c8"
          "06b485a47e67c807b946a337bee8942674278859e13292fb" },
        { DIGEST_SHA256, repeat(a, 0xaa, 131),
          STR("Test Using Larger Than Block-Size Key - Hash Key First"),
          "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
        { DIGEST_SHA512, repeat(a, 0xaa, 131),
          STR("Test Using Larger Than Block-Size Key - Hash Key First"),
          "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598"
          "bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t out[DIGEST_MAX];
        struct err err = { 0 };
        assert_int_equal(digest_hmac(cases[i].d, cases[i].key, cases[i].text, out, &err), 0);
        assert_hex(a, out, digest_len(cases[i].d), cases[i].mac);
    }
}

static void empty_keys_and_texts_are_values_too(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    uint8_t out[DIGEST_MAX];
    struct str none = { NULL, 0 };
    struct err err = { 0 };

    assert_int_equal(digest_of(DIGEST_MD5, none, out, &err), 0);
    assert_hex(a, out, 16, "d41d8cd98f00b204e9800998ecf8427e");
    assert_int_equal(digest_hmac(DIGEST_SHA256, none, none, out, &err), 0);
    assert_hex(a, out, 8, "b613679a0814d9ec");
}

static struct str counting(struct arena *a, int from, size_t n)
{
    char *p = arena_bytes(a, n);

    assert_non_null(p);
    for (size_t i = 0; i < n; i++)
        p[i] = (char)(from + (int)i);
    return str_mem(p, n);
}

static void hkdf_gives_the_values_of_rfc_5869(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    const struct { struct str key, salt, info; size_t n; const char *want; } cases[] = {
        { repeat(a, 0x0b, 22), counting(a, 0, 13), counting(a, 0xf0, 10), 42,
          "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865" },
        { counting(a, 0, 80), counting(a, 0x60, 80), counting(a, 0xb0, 80), 82,
          "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb"
          "41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87" },
        { repeat(a, 0x0b, 22), { 0 }, { 0 }, 42,
          "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8" },
        { repeat(a, 0x0b, 22), { 0 }, { 0 }, 0, "" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t out[82];
        struct err err = { 0 };
        assert_int_equal(digest_hkdf(cases[i].key, cases[i].salt, cases[i].info, out, cases[i].n,
                                     &err), 0);
        assert_hex(a, out, cases[i].n, cases[i].want);
    }
}

static void hkdf_refuses_more_than_it_can_derive(void **state)
{
    static uint8_t out[255 * 32 + 1];
    struct err err = { 0 };

    assert_int_equal(digest_hkdf(STR("k"), STR(""), STR(""), out, 255 * 32, &err), 0);
    assert_int_equal(digest_hkdf(STR("k"), STR(""), STR(""), out, sizeof out, &err), -1);
    assert_int_equal(err.code, ERR_INTERNAL);
}

static void *hash_in_a_thread(void *result)
{
    uint8_t *out = result;

    for (int i = 0; i < 1000; i++)
        if (digest_hmac(DIGEST_SHA256, STR("key"), STR("text"), out, NULL) < 0)
            memset(out, 0, DIGEST_MAX);
    return NULL;
}

static void threads_do_not_disturb_each_other(void **state)
{
    uint8_t want[DIGEST_MAX], got[4][DIGEST_MAX];
    pthread_t threads[4];
    struct err err = { 0 };

    assert_int_equal(digest_hmac(DIGEST_SHA256, STR("key"), STR("text"), want, &err), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hash_in_a_thread, got[i]), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_memory_equal(got[i], want, 32);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_algorithm_hashes_and_authenticates),
        cmocka_unit_test(hmac_gives_the_values_of_rfc_4231),
        cmocka_unit_test(empty_keys_and_texts_are_values_too),
        cmocka_unit_test(hkdf_gives_the_values_of_rfc_5869),
        cmocka_unit_test(hkdf_refuses_more_than_it_can_derive),
        cmocka_unit_test(threads_do_not_disturb_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
