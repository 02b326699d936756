/* Tests of authenticated encryption against published vectors, and of tampering. */
#include "crypto/aead.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "codec/base64.h"

static void drop_aead(struct aead **a)
{
    aead_free(*a);
}

static struct str bytes_of(struct arena *a, const char *hex)
{
    struct str out;
    struct err err = { 0 };

    assert_int_equal(hex_decode(a, str_of(hex), &out, &err), 0);
    return out;
}

static const uint8_t *raw(struct str s)
{
    return (const uint8_t *)s.p;
}

static struct aead *made(enum aead_kind kind, struct str key)
{
    struct aead *a;
    struct err err = { 0 };

    assert_int_equal(aead_new(kind, key, &a, &err), 0);
    return a;
}

/* The 60 bytes and their company of test cases 4 and 16 of the GCM specification. */
#define GCM_TEXT                                                                                   \
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6" \
    "b525b16aedf5aa0de657ba637b39"
#define GCM_AAD   "feedfacedeadbeeffeedfacedeadbeefabaddad2"
#define GCM_NONCE "cafebabefacedbaddecaf888"
#define GCM_KEY   "feffe9928665731c6d6a8f9467308308"
#define ZERO_8    "0000000000000000"
#define ZERO_12   "000000000000000000000000"

static const struct vector {
    const char *what;
    enum aead_kind kind;
    const char *key, *nonce, *aad, *text, *sealed;
} vectors[] = {
    { "GCM 2", AEAD_AES128_GCM, ZERO_8 ZERO_8, ZERO_12, "", ZERO_8 ZERO_8,
      "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf" },
    { "GCM 4", AEAD_AES128_GCM, GCM_KEY, GCM_NONCE, GCM_AAD, GCM_TEXT,
      "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5a"
      "ac84aa051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47" },
    { "GCM 13", AEAD_AES256_GCM, ZERO_8 ZERO_8 ZERO_8 ZERO_8, ZERO_12, "", "",
      "530f8afbc74536b9a963b4f1c4cb738b" },
    { "GCM 14", AEAD_AES256_GCM, ZERO_8 ZERO_8 ZERO_8 ZERO_8, ZERO_12, "", ZERO_8 ZERO_8,
      "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919" },
    { "GCM 16", AEAD_AES256_GCM, GCM_KEY GCM_KEY, GCM_NONCE, GCM_AAD, GCM_TEXT,
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b10"
      "56828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b" },
    { "RFC 8439, 2.8.2", AEAD_CHACHA20_POLY1305,
      "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
      "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7",
      "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a204966"
      "204920636f756c64206f6666657220796f75206f6e6c79206f6e652074697020666f72207468652066757475"
      "72652c2073756e73637265656e20776f756c642062652069742e",
      "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69"
      "da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad67594"
      "5585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691" },
};

static void seals_and_opens_the_published_vectors(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();

    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        const struct vector *v = &vectors[i];
        AUTO(drop_aead) struct aead *aead = made(v->kind, bytes_of(a, v->key));
        struct str nonce = bytes_of(a, v->nonce), aad = bytes_of(a, v->aad);
        print_message("  %s\n", v->what);
        /* More than once and to and fro, since the context is kept. */
        for (int round = 0; round < 3; round++) {
            AUTO(buf_free) struct buf sealed = { 0 };
            AUTO(buf_free) struct buf text = { 0 };
            struct err err = { 0 };
            buf_add(&sealed, STR("head"));
            assert_int_equal(aead_seal(aead, raw(nonce), aad, bytes_of(a, v->text), &sealed, &err),
                             0);
            struct str got = str_from(buf_str(&sealed), 4);
            assert_true(str_eq(got, bytes_of(a, v->sealed)));
            assert_int_equal(aead_open(aead, raw(nonce), aad, got, &text, &err), 0);
            assert_true(str_eq(buf_str(&text), bytes_of(a, v->text)));
        }
    }
}

static void what_was_changed_does_not_open_and_leaves_nothing(void **state)
{
    static const char *const what[] = { "nonce", "additional data", "text", "tag" };
    AUTO(arena_drop) struct arena *a = arena_new();

    for (size_t i = 0; i < ARRAY_LEN(vectors); i++)
        for (size_t part = 0; part < ARRAY_LEN(what); part++) {
            const struct vector *v = &vectors[i];
            AUTO(drop_aead) struct aead *aead = made(v->kind, bytes_of(a, v->key));
            AUTO(buf_free) struct buf out = { 0 };
            struct str nonce = bytes_of(a, v->nonce), aad = bytes_of(a, v->aad);
            struct str sealed = bytes_of(a, v->sealed), text = str_head(sealed, sealed.n - 16);
            struct str target[] = { nonce, aad, text, str_from(sealed, text.n) };
            struct err err = { 0 };
            if (target[part].n == 0)
                continue;
            print_message("  %s: %s\n", v->what, what[part]);
            ((char *)target[part].p)[target[part].n - 1] ^= 1;
            buf_add(&out, STR("kept"));
            assert_int_equal(aead_open(aead, raw(nonce), aad, sealed, &out, &err), -1);
            assert_int_equal(err.code, ERR_CORRUPT);
            assert_true(str_is(buf_str(&out), "kept"));
            /* The context serves the next one as if nothing had happened. */
            ((char *)target[part].p)[target[part].n - 1] ^= 1;
            buf_clear(&out);
            assert_int_equal(aead_open(aead, raw(nonce), aad, sealed, &out, &err), 0);
        }
}

static void another_key_does_not_open(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();

    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        const struct vector *v = &vectors[i];
        struct str key = bytes_of(a, v->key);
        ((char *)key.p)[0] ^= 1;
        AUTO(drop_aead) struct aead *aead = made(v->kind, key);
        AUTO(buf_free) struct buf out = { 0 };
        struct err err = { 0 };
        assert_int_equal(aead_open(aead, raw(bytes_of(a, v->nonce)), bytes_of(a, v->aad),
                                   bytes_of(a, v->sealed), &out, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
        assert_int_equal(out.n, 0);
    }
}

static void what_is_shorter_than_a_tag_does_not_open(void **state)
{
    AUTO(drop_aead) struct aead *aead = made(AEAD_AES128_GCM, STR("0123456789abcdef"));
    static const uint8_t nonce[AEAD_NONCE];

    for (size_t n = 0; n < AEAD_TAG; n++) {
        AUTO(buf_free) struct buf out = { 0 };
        struct err err = { 0 };
        assert_int_equal(aead_open(aead, nonce, STR(""), str_head(STR("0123456789abcdef"), n),
                                   &out, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
    }
}

static void keys_of_a_wrong_length_are_refused(void **state)
{
    static const struct { enum aead_kind kind; size_t n; } cases[] = {
        { AEAD_AES128_GCM, 0 },  { AEAD_AES128_GCM, 15 }, { AEAD_AES128_GCM, 32 },
        { AEAD_AES256_GCM, 16 }, { AEAD_AES256_GCM, 33 }, { AEAD_CHACHA20_POLY1305, 31 },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        static const char bytes[64];
        struct aead *aead = NULL;
        struct err err = { 0 };
        assert_int_equal(aead_new(cases[i].kind, str_mem(bytes, cases[i].n), &aead, &err), -1);
        assert_int_equal(err.code, ERR_INTERNAL);
        assert_null(aead);
    }
}

static void freeing_nothing_is_fine(void **state)
{
    aead_free(NULL);
}

static void *seal_and_open(void *shared)
{
    static const uint8_t nonce[AEAD_NONCE];
    uintptr_t wrong = 0;

    for (int i = 0; i < 2000; i++) {
        AUTO(buf_free) struct buf sealed = { 0 };
        AUTO(buf_free) struct buf text = { 0 };
        if (aead_seal(shared, nonce, STR("path"), STR("hunter2"), &sealed, NULL) < 0 ||
            aead_open(shared, nonce, STR("path"), buf_str(&sealed), &text, NULL) < 0 ||
            !str_is(buf_str(&text), "hunter2"))
            wrong++;
    }
    return (void *)wrong;
}

static void threads_share_one_key(void **state)
{
    AUTO(drop_aead) struct aead *aead = made(AEAD_AES128_GCM, STR("0123456789abcdef"));
    pthread_t threads[4];
    void *wrong;

    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, seal_and_open, aead), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seals_and_opens_the_published_vectors),
        cmocka_unit_test(what_was_changed_does_not_open_and_leaves_nothing),
        cmocka_unit_test(another_key_does_not_open),
        cmocka_unit_test(what_is_shorter_than_a_tag_does_not_open),
        cmocka_unit_test(keys_of_a_wrong_length_are_refused),
        cmocka_unit_test(freeing_nothing_is_fine),
        cmocka_unit_test(threads_share_one_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
