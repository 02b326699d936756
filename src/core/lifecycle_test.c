/* Tests of init, unseal and seal, with failures on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "core/fixture.h"

static int init(struct fixture *f, const char *root_key, struct init_result *made, struct err *err)
{
    struct init_request want = { .config = { .shares = 1, .threshold = 1 },
                                 .root_token_pgp_key = str_of(root_key) };
    return lifecycle_init(f->lifecycle, f->arena, &want, made, err);
}

static int stop_at_first(void *ctx, struct str name)
{
    *(bool *)ctx = true;
    return 1;
}

static bool store_is_empty(struct fixture *f)
{
    bool any = false;
    assert_int_equal(storage_walk(f->disk.under, STR(""), stop_at_first, &any, NULL), 0);
    return !any;
}

static void a_bad_key_for_the_root_token_stores_nothing(void **state)
{
    struct fixture f;
    struct init_result made;
    fixture_open_empty(&f);
    assert_int_equal(init(&f, "AAAA", &made, NULL), -1);
    assert_true(store_is_empty(&f));
    assert_int_equal(init(&f, "", &made, NULL), 0);
    assert_int_equal(lifecycle_unseal(f.lifecycle, made.shares.v[0], NULL), 0);
    fixture_close(&f);
}

static void an_init_cut_short_can_be_made_again(void **state)
{
    for (int commits = 0; commits < 4; commits++) {
        struct fixture f;
        struct init_result made;
        fixture_open_empty(&f);
        f.disk.commits_left = commits;
        if (init(&f, "", &made, NULL) < 0) {
            f.disk.commits_left = -1;
            assert_true(store_is_empty(&f));
            assert_int_equal(init(&f, "", &made, NULL), 0);
        }
        f.disk.commits_left = -1;
        assert_int_equal(lifecycle_unseal(f.lifecycle, made.shares.v[0], NULL), 0);
        assert_true(fixture_alive(&f, made.root_token));
        fixture_close(&f);
    }
}

static void a_second_init_is_refused(void **state)
{
    struct fixture f;
    struct init_result made;
    struct err err = { 0 };
    fixture_open(&f);
    assert_int_equal(init(&f, "", &made, &err), -1);
    assert_string_equal(err.msg, "Vault is already initialized");
    assert_int_equal(lifecycle_seal(f.lifecycle, NULL), 0);
    assert_int_equal(init(&f, "", &made, NULL), -1);
    fixture_close(&f);
}

static void a_seal_configuration_alone_is_no_initialised_store(void **state)
{
    struct fixture f;
    struct unseal_status s;
    fixture_open_empty(&f);
    struct seal_config c = { .type = STR("shamir"), .shares = 1, .threshold = 1 };
    assert_int_equal(storage_put(f.disk.under, STR("core/seal-config"),
                                 seal_config_print(f.arena, &c), NULL),
                     0);
    assert_int_equal(lifecycle_status(f.lifecycle, &s, NULL), 0);
    assert_false(s.initialised);
    fixture_close(&f);
}

static void a_wrong_key_leaves_it_sealed_and_is_forgotten(void **state)
{
    struct fixture f;
    struct unseal_status s;
    struct err err = { 0 };
    fixture_open(&f);
    assert_int_equal(lifecycle_seal(f.lifecycle, NULL), 0);
    assert_int_equal(
        lifecycle_unseal(f.lifecycle, STR("01234567890123456789012345678901"), &err), -1);
    assert_int_equal(lifecycle_status(f.lifecycle, &s, NULL), 0);
    assert_true(s.sealed && s.progress == 0);
    assert_int_equal(lifecycle_unseal(f.lifecycle, f.share, NULL), 0);
    assert_true(fixture_alive(&f, f.root));
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_key_for_the_root_token_stores_nothing),
        cmocka_unit_test(an_init_cut_short_can_be_made_again),
        cmocka_unit_test(a_second_init_is_refused),
        cmocka_unit_test(a_seal_configuration_alone_is_no_initialised_store),
        cmocka_unit_test(a_wrong_key_leaves_it_sealed_and_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
