/* Tests of secret sharing. */
#include "crypto/shamir.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/random.h"

enum { MANY = 6 };

static void split_known(struct str secret, int shares, int threshold, struct secret *parts)
{
    struct err err = { 0 };

    memset(parts, 0, (size_t)shares * sizeof *parts);
    assert_int_equal(shamir_split(secret, shares, threshold, parts, &err), 0);
}

static void free_all(struct secret *parts, int n)
{
    for (int i = 0; i < n; i++)
        secret_free(&parts[i]);
}

/* Do the parts whose bits are set in ${subset} give the secret back? */
static bool combines_to(const struct secret *parts, unsigned subset, struct str secret)
{
    AUTO(secret_free) struct secret got = { 0 };
    struct str chosen[MANY];
    struct err err = { 0 };
    int n = 0;

    for (int i = 0; i < MANY; i++)
        if (subset >> i & 1)
            chosen[n++] = secret_str(&parts[i]);
    assert_int_equal(shamir_combine(chosen, n, &got, &err), 0);
    return secret_eq(secret_str(&got), secret);
}

static void every_subset_at_the_threshold_gives_the_secret_back_and_no_smaller_one(void **state)
{
    struct secret parts[MANY];
    struct str secret = STR("0123456789abcdef0123456789ABCDEF");

    for (int threshold = 2; threshold <= MANY; threshold++) {
        split_known(secret, MANY, threshold, parts);
        for (unsigned subset = 0; subset < 1U << MANY; subset++) {
            int size = __builtin_popcount(subset);
            if (size >= 2)
                assert_int_equal(combines_to(parts, subset, secret), size >= threshold);
        }
        free_all(parts, MANY);
    }
}

static void two_hundred_and_fifty_five_shares_work(void **state)
{
    struct secret parts[255];
    struct str chosen[255];
    AUTO(secret_free) struct secret got = { 0 };
    struct err err = { 0 };

    split_known(STR("k"), 255, 255, parts);
    for (int i = 0; i < 255; i++)
        chosen[i] = secret_str(&parts[i]);
    assert_int_equal(shamir_combine(chosen, 255, &got, &err), 0);
    assert_true(str_is(secret_str(&got), "k"));
    free_all(parts, 255);
}

static void shares_carry_distinct_x_bytes_other_than_zero(void **state)
{
    struct secret parts[255];
    bool seen[256] = { [0] = true };

    split_known(STR("secret"), 255, 3, parts);
    for (int i = 0; i < 255; i++) {
        assert_int_equal(parts[i].n, 7);
        assert_false(seen[parts[i].p[6]]);
        seen[parts[i].p[6]] = true;
    }
    free_all(parts, 255);
}

/* Shares that Vault 1.8 made, and the key that they gave it. */
static const uint8_t vault_key[32] = {
    0x8d, 0x7e, 0x6c, 0xb9, 0x5a, 0x50, 0xf3, 0xee, 0x90, 0x1d, 0xa1, 0x88, 0x57, 0x03, 0xd5, 0x59,
    0x95, 0xad, 0x7b, 0x07, 0x7f, 0x3b, 0xdf, 0x19, 0x03, 0xd5, 0x0a, 0xcd, 0x1e, 0x8f, 0x8a, 0x19,
};
static const uint8_t vault_shares[3][33] = {
    { 0x94, 0x37, 0x50, 0x44, 0x3b, 0x14, 0x77, 0x18, 0x40, 0xee, 0x99,
      0x3a, 0x6d, 0x73, 0x4f, 0xf4, 0x28, 0x27, 0x47, 0x6a, 0xb2, 0x32,
      0xdc, 0x88, 0x01, 0x5c, 0x5f, 0x79, 0x77, 0xc5, 0x17, 0x99, 0xc7 },
    { 0x75, 0x83, 0x29, 0x84, 0x28, 0x9f, 0x30, 0xc2, 0x9d, 0x8e, 0x2f,
      0x6b, 0x31, 0x04, 0xb9, 0x61, 0xac, 0xc0, 0x3e, 0x33, 0x41, 0xc2,
      0x43, 0x64, 0xeb, 0x24, 0xb0, 0x0d, 0xe1, 0xee, 0xb1, 0x11, 0x5b },
    { 0x82, 0x8c, 0x6b, 0x5e, 0x5b, 0x59, 0x44, 0x2d, 0xb9, 0xe3, 0xc5,
      0x42, 0x8f, 0xcb, 0xec, 0x43, 0x18, 0x03, 0x7c, 0xa3, 0x3a, 0xa3,
      0x3d, 0x04, 0xbf, 0x99, 0xca, 0xd8, 0xd9, 0x9f, 0x32, 0xcd, 0x3f },
};

static void any_two_of_vaults_shares_give_vaults_key(void **state)
{
    for (int i = 0; i < 3; i++) {
        AUTO(secret_free) struct secret got = { 0 };
        struct err err = { 0 };
        struct str parts[2] = { str_mem(vault_shares[i], 33),
                                str_mem(vault_shares[(i + 1) % 3], 33) };
        assert_int_equal(shamir_combine(parts, 2, &got, &err), 0);
        assert_memory_equal(got.p, vault_key, 32);
    }
}

static void a_changed_share_gives_another_secret(void **state)
{
    struct secret parts[MANY];

    split_known(STR("a secret"), MANY, 3, parts);
    parts[1].p[2] ^= 1;
    assert_false(combines_to(parts, 0x7, STR("a secret")));
    assert_true(combines_to(parts, 0x1d, STR("a secret")));
    free_all(parts, MANY);
}

static void refuses_thresholds_that_make_no_sense(void **state)
{
    static const struct {
        int shares, threshold;
        struct str secret;
    } cases[] = {
        { 3, 1, STR_INIT("s") }, { 3, 0, STR_INIT("s") },     { 3, -1, STR_INIT("s") },
        { 2, 3, STR_INIT("s") }, { 256, 2, STR_INIT("s") },   { 0, 2, STR_INIT("s") },
        { 1, 1, STR_INIT("s") }, { 256, 256, STR_INIT("s") }, { 3, 2, STR_INIT("") },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct secret parts[256] = { 0 };
        struct err err = { 0 };
        assert_int_equal(
            shamir_split(cases[i].secret, cases[i].shares, cases[i].threshold, parts, &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
        assert_null(parts[0].p);
    }
}

static void refuses_parts_that_cannot_be_combined(void **state)
{
    static const struct {
        const char *what;
        int n;
        struct str parts[2];
    } cases[] = {
        { "none", 0, { { 0 } } },
        { "one", 1, { STR_INIT("ab\1") } },
        { "unequal lengths", 2, { STR_INIT("ab\1"), STR_INIT("abc\2") } },
        { "the same x twice", 2, { STR_INIT("ab\1"), STR_INIT("cd\1") } },
        { "an x byte only", 2, { STR_INIT("\1"), STR_INIT("\2") } },
        { "empty", 2, { STR_INIT(""), STR_INIT("") } },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(secret_free) struct secret got = { 0 };
        struct err err = { 0 };
        print_message("  %s\n", cases[i].what);
        assert_int_equal(shamir_combine(cases[i].parts, cases[i].n, &got, &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
        assert_null(got.p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_subset_at_the_threshold_gives_the_secret_back_and_no_smaller_one),
        cmocka_unit_test(two_hundred_and_fifty_five_shares_work),
        cmocka_unit_test(shares_carry_distinct_x_bytes_other_than_zero),
        cmocka_unit_test(any_two_of_vaults_shares_give_vaults_key),
        cmocka_unit_test(a_changed_share_gives_another_secret),
        cmocka_unit_test(refuses_thresholds_that_make_no_sense),
        cmocka_unit_test(refuses_parts_that_cannot_be_combined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
