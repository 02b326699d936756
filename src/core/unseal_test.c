/* Tests of stores that a seal opens by itself: recovery keys, failures, migrations cut short. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdatomic.h>
#include <cmocka.h>

#include "core/fixture.h"
#include "core/rekey.h"
#include "seal/blob.h"
#include "seal/seal.h"

/* ---- a seal whose server can be switched off ---- */

struct far_seal {
    struct seal base; /* first */
    struct str key;
    atomic_bool away;
};

static int far_check(struct seal *s, struct err *err)
{
    return ((struct far_seal *)s)->away ? err_set(err, ERR_UPSTREAM, "nobody answers") : 0;
}

static int far_encrypt(struct seal *s, struct str text, struct buf *out, struct err *err)
{
    AUTO(buf_free) struct buf sealed = { 0 };
    TRY(far_check(s, err));
    TRY(seal_blob_lock(((struct far_seal *)s)->key, text, &sealed, err));
    seal_blob_print(out, &(struct seal_blob){ buf_str(&sealed), STR("k") });
    return buf_check(out, err);
}

static int far_decrypt(struct seal *s, struct str entry, struct buf *out, struct err *err)
{
    struct seal_blob b;
    TRY(far_check(s, err));
    TRY(seal_blob_parse(entry, &b, err));
    return seal_blob_unlock(((struct far_seal *)s)->key, b.ciphertext, out, err);
}

static int far_key_id(struct seal *s, struct buf *out, struct err *err)
{
    TRY(far_check(s, err));
    buf_add(out, STR("k"));
    return buf_check(out, err);
}

static void far_close(struct seal *s)
{
}

static const struct seal_ops far_ops = { .type = "far", .encrypt = far_encrypt,
                                         .decrypt = far_decrypt, .key_id = far_key_id,
                                         .close = far_close };
static const struct seal_ops moon_ops = { .type = "moon", .encrypt = far_encrypt,
                                          .decrypt = far_decrypt, .key_id = far_key_id,
                                          .close = far_close };

#define FAR(name, kind, letters)                                                                   \
    struct far_seal name = { { &(kind) }, STR_INIT(letters letters letters letters), false }
#define A_KEY "abcdefgh"
#define B_KEY "ijklmnop"

/* ---- the server ---- */

/* The process ends and starts again, with other seals configured. */
static void reboot(struct fixture *f, struct far_seal *now, struct far_seal *old)
{
    struct err err = { 0 };
    f->disk.commits_left = -1;
    lifecycle_free(f->lifecycle);
    f->settings.seal = now == NULL ? NULL : &now->base;
    f->settings.old_seal = old == NULL ? NULL : &old->base;
    if (lifecycle_new(&f->settings, &f->lifecycle, &err) < 0)
        fail_msg("%s", err.msg);
}

static int init(struct fixture *f, struct init_result *made, struct err *err)
{
    struct init_request want = { .config = { .shares = 3, .threshold = 2 },
                                 .recovery = { .shares = 3, .threshold = 2 } };
    int result = lifecycle_init(f->lifecycle, f->arena, &want, made, err);
    if (result == 0)
        f->root = made->root_token;
    return result;
}

/* An initialised store of this seal, or of shares. */
static void open_with(struct fixture *f, struct far_seal *seal, struct init_result *made)
{
    struct err err = { 0 };
    fixture_open_empty(f);
    reboot(f, seal, NULL);
    if (init(f, made, &err) < 0)
        fail_msg("%s", err.msg);
}

static bool is_sealed(struct fixture *f)
{
    return lifecycle_active(f->lifecycle) == NULL;
}

/* Two shares; the result of the second. */
static int give(struct fixture *f, const struct strs *shares, bool migrate, struct err *err)
{
    int result = 0;
    for (size_t i = 0; i < 2 && result == 0; i++)
        result = migrate ? lifecycle_unseal_migrate(f->lifecycle, shares->v[i], err)
                         : lifecycle_unseal(f->lifecycle, shares->v[i], err);
    return result;
}

static bool opens(struct fixture *f, const struct strs *shares, bool migrate)
{
    struct err err = { 0 };
    return give(f, shares, migrate, &err) == 0 && !is_sealed(f) && fixture_alive(f, f->root);
}

/* ---- init and start ---- */

static void init_gives_recovery_shares_and_goes_active(void **state)
{
    FAR(seal, far_ops, A_KEY);
    struct fixture f;
    struct init_result made;
    struct unseal_status s;
    open_with(&f, &seal, &made);
    assert_int_equal(made.shares.n, 0);
    assert_int_equal(made.recovery_shares.n, 3);
    assert_true(fixture_alive(&f, f.root));
    assert_int_equal(lifecycle_status(f.lifecycle, &s, NULL), 0);
    assert_true(s.recovery_seal && !s.sealed && !s.migration);
    assert_int_equal(s.threshold, 2);
    assert_string_equal(s.type, "shamir");
    fixture_close(&f);
}

static void before_init_the_status_names_the_seal(void **state)
{
    FAR(seal, far_ops, A_KEY);
    struct fixture f;
    struct unseal_status s;
    fixture_open_empty(&f);
    reboot(&f, &seal, NULL);
    assert_int_equal(lifecycle_status(f.lifecycle, &s, NULL), 0);
    assert_string_equal(s.type, "far");
    assert_true(s.recovery_seal && !s.initialised);
    fixture_close(&f);
}

static void an_init_without_the_seals_server_stores_nothing(void **state)
{
    FAR(seal, far_ops, A_KEY);
    struct fixture f;
    struct init_result made;
    struct err err = { 0 };
    fixture_open_empty(&f);
    reboot(&f, &seal, NULL);
    seal.away = true;
    assert_int_equal(init(&f, &made, &err), -1);
    assert_non_null(strstr(err.msg, "nobody answers"));
    assert_int_equal(lifecycle_initialised(f.lifecycle, NULL), 0);
    seal.away = false;
    assert_int_equal(init(&f, &made, NULL), 0);
    fixture_close(&f);
}

static void init_checks_the_recovery_shares(void **state)
{
    FAR(seal, far_ops, A_KEY);
    static const struct { struct seal_config recovery; const char *text; } cases[] = {
        { { .shares = 0 }, "recovery configuration must specify a positive number of shares" },
        { { .shares = 2, .threshold = 1 }, "invalid recovery configuration: threshold must be "
                                           "greater than one for multiple shares" },
        { { .shares = 1, .threshold = 2 },
          "invalid recovery configuration: threshold cannot be larger than shares" },
    };
    struct fixture f;
    fixture_open_empty(&f);
    reboot(&f, &seal, NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct init_request want = { .recovery = cases[i].recovery };
        struct init_result made;
        struct err err = { 0 };
        assert_int_equal(lifecycle_init(f.lifecycle, f.arena, &want, &made, &err), -1);
        assert_string_equal(err.msg, cases[i].text);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
    }
    fixture_close(&f);
}

static void a_restart_takes_nobody(void **state)
{
    FAR(seal, far_ops, A_KEY);
    struct fixture f;
    struct init_result made;
    open_with(&f, &seal, &made);
    reboot(&f, &seal, NULL);
    assert_true(is_sealed(&f));
    assert_int_equal(lifecycle_unseal_stored(f.lifecycle, NULL), 0);
    assert_true(fixture_alive(&f, f.root));
    fixture_close(&f);
}

static void without_its_server_it_stays_sealed_until_it_comes_back(void **state)
{
    FAR(seal, far_ops, A_KEY);
    struct fixture f;
    struct init_result made;
    struct err err = { 0 };
    open_with(&f, &seal, &made);
    reboot(&f, &seal, NULL);
    seal.away = true;
    assert_int_equal(lifecycle_unseal_stored(f.lifecycle, &err), -1);
    assert_int_equal(err.code, ERR_UPSTREAM);
    assert_string_equal(err.msg, "fetching stored unseal keys failed: nobody answers");
    assert_true(is_sealed(&f));
    seal.away = false;
    assert_int_equal(lifecycle_unseal_stored(f.lifecycle, NULL), 0);
    assert_false(is_sealed(&f));
    fixture_close(&f);
}

static void an_empty_store_is_no_reason_to_try_again(void **state)
{
    FAR(seal, far_ops, A_KEY);
    struct fixture f;
    struct err err = { 0 };
    fixture_open_empty(&f);
    reboot(&f, &seal, NULL);
    assert_int_equal(lifecycle_unseal_stored(f.lifecycle, &err), -1);
    assert_int_equal(err.code, ERR_UNINITIALISED);
    fixture_close(&f);
}

/* ---- recovery keys ---- */

static void recovery_shares_open_what_was_sealed_by_hand(void **state)
{
    FAR(seal, far_ops, A_KEY);
    struct fixture f;
    struct init_result made;
    struct err err = { 0 };
    open_with(&f, &seal, &made);
    assert_int_equal(lifecycle_seal(f.lifecycle, NULL), 0);
    struct strs wrong = made.recovery_shares;
    wrong.v = (struct str[]){ made.recovery_shares.v[0], STR("0123456789abcdef0123456789abcdef!") };
    assert_int_equal(give(&f, &wrong, false, &err), -1);
    assert_string_equal(err.msg, "recovery key does not match submitted values");
    assert_true(is_sealed(&f));
    assert_true(opens(&f, &made.recovery_shares, false));
    fixture_close(&f);
}

static void a_rekey_of_the_barrier_leaves_the_recovery_shares(void **state)
{
    FAR(seal, far_ops, A_KEY);
    struct fixture f;
    struct init_result made;
    const struct seal_config config = { .shares = 1, .threshold = 1, .nonce = STR("n") };
    open_with(&f, &seal, &made);
    assert_int_equal(lifecycle_rekey(f.lifecycle, STR(""), &config, NULL), 0);
    reboot(&f, &seal, NULL);
    assert_int_equal(lifecycle_unseal_stored(f.lifecycle, NULL), 0);
    assert_int_equal(lifecycle_seal(f.lifecycle, NULL), 0);
    assert_true(opens(&f, &made.recovery_shares, false));
    fixture_close(&f);
}

static void a_rekey_without_the_seals_server_changes_nothing(void **state)
{
    FAR(seal, far_ops, A_KEY);
    struct fixture f;
    struct init_result made;
    const struct seal_config config = { .shares = 1, .threshold = 1, .nonce = STR("n") };
    open_with(&f, &seal, &made);
    seal.away = true;
    assert_int_equal(lifecycle_rekey(f.lifecycle, STR(""), &config, NULL), -1);
    assert_int_equal(
        lifecycle_rekey_recovery(f.lifecycle, STR("0123456789abcdef0123456789abcdef"), &config,
                                 NULL), -1);
    seal.away = false;
    reboot(&f, &seal, NULL);
    assert_int_equal(lifecycle_unseal_stored(f.lifecycle, NULL), 0);
    assert_int_equal(lifecycle_seal(f.lifecycle, NULL), 0);
    assert_true(opens(&f, &made.recovery_shares, false));
    fixture_close(&f);
}

static void a_recovery_rekey_cut_short_leaves_old_shares_or_new_ones(void **state)
{
    FAR(seal, far_ops, A_KEY);
    static const char key[] = "0123456789abcdef0123456789abcdef";
    const struct seal_config config = { .shares = 1, .threshold = 1, .nonce = STR("n") };
    for (int commits = 0; commits < 3; commits++) {
        struct fixture f;
        struct init_result made;
        open_with(&f, &seal, &made);
        f.disk.commits_left = commits;
        bool done = lifecycle_rekey_recovery(f.lifecycle, str_of(key), &config, NULL) == 0;
        reboot(&f, &seal, NULL);
        struct strs one = { .v = (struct str[]){ str_of(key), str_of(key) }, .n = 2 };
        assert_true(opens(&f, done ? &one : &made.recovery_shares, false));
        assert_int_equal(done, commits > 0);
        fixture_close(&f);
    }
}

/* ---- the seal's key for others ---- */

static void what_the_seal_encrypts_it_decrypts(void **state)
{
    FAR(seal, far_ops, A_KEY);
    for (int automatic = 0; automatic < 2; automatic++) {
        struct fixture f;
        struct init_result made;
        AUTO(buf_free) struct buf entry = { 0 };
        AUTO(buf_free) struct buf back = { 0 };
        struct err err = { 0 };
        open_with(&f, automatic ? &seal : NULL, &made);
        if (!automatic) {
            assert_int_equal(lifecycle_seal_encrypt(f.lifecycle, STR("x"), &entry, &err), -1);
            assert_int_equal(err.code, ERR_SEALED);
            assert_int_equal(give(&f, &made.shares, false, NULL), 0);
        }
        assert_int_equal(lifecycle_seal_encrypt(f.lifecycle, STR("text"), &entry, NULL), 0);
        assert_int_equal(lifecycle_seal_decrypt(f.lifecycle, buf_str(&entry), &back, NULL), 0);
        assert_true(str_is(buf_str(&back), "text"));
        assert_int_equal(lifecycle_seal(f.lifecycle, NULL), 0);
        buf_clear(&back);
        assert_int_equal(lifecycle_seal_decrypt(f.lifecycle, buf_str(&entry), &back, NULL),
                         automatic ? 0 : -1);
        fixture_close(&f);
    }
}

/* ---- migration ---- */

static enum err_code check_code(struct fixture *f)
{
    struct err err = { 0 };
    return lifecycle_check_seal(f->lifecycle, &err) == 0 ? ERR_NONE : err.code;
}

static void a_configuration_that_does_not_fit_the_store_is_refused(void **state)
{
    FAR(a, far_ops, A_KEY);
    FAR(moon, moon_ops, B_KEY);
    struct fixture f;
    struct init_result made;
    open_with(&f, &a, &made);
    assert_int_equal(check_code(&f), ERR_NONE);
    reboot(&f, NULL, NULL); /* no stanza, the old one is gone */
    assert_int_equal(check_code(&f), ERR_BAD_REQUEST);
    reboot(&f, &moon, NULL);
    assert_int_equal(check_code(&f), ERR_BAD_REQUEST);
    reboot(&f, NULL, &moon); /* of another type than the store's */
    assert_int_equal(check_code(&f), ERR_BAD_REQUEST);
    reboot(&f, &moon, &a);
    assert_int_equal(check_code(&f), ERR_NONE);
    fixture_close(&f);
}

static void a_pending_migration_wants_to_be_asked_for(void **state)
{
    FAR(a, far_ops, A_KEY);
    struct fixture f;
    struct init_result made;
    struct unseal_status s;
    struct err err = { 0 };
    open_with(&f, NULL, &made);
    assert_int_equal(give(&f, &made.shares, true, &err), -1);
    assert_string_equal(err.msg, "can't perform a seal migration, no migration seal found");
    reboot(&f, &a, NULL);
    assert_int_equal(lifecycle_status(f.lifecycle, &s, NULL), 0);
    assert_true(s.migration);
    assert_int_equal(give(&f, &made.shares, false, &err), -1);
    assert_string_equal(err.msg, "migrate option not provided and seal migration is pending");
    assert_int_equal(lifecycle_unseal_stored(f.lifecycle, &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_true(opens(&f, &made.shares, true));
    assert_int_equal(lifecycle_status(f.lifecycle, &s, NULL), 0);
    assert_false(s.migration);
    fixture_close(&f);
}

/* Everything that can be tried after a migration that broke off: exactly one of both opens. */
static void comes_through(struct fixture *f, struct far_seal *from, struct far_seal *to,
                          const struct strs *shares, bool done)
{
    struct unseal_status s;
    reboot(f, to, from);
    assert_int_equal(lifecycle_check_seal(f->lifecycle, NULL), 0);
    if (to != NULL)
        /* also settles what only a try tells */
        assert_int_equal(lifecycle_unseal_stored(f->lifecycle, NULL), done ? 0 : -1);
    assert_int_equal(lifecycle_status(f->lifecycle, &s, NULL), 0);
    assert_int_equal(s.migration, !done);
    if (to != NULL && done)
        assert_true(!is_sealed(f) && fixture_alive(f, f->root));
    else
        assert_true(opens(f, shares, !done));
    assert_int_equal(lifecycle_seal(f->lifecycle, NULL), 0);
    assert_true(opens(f, shares, false)); /* the same people agree */
}

static void a_migration_cut_short_leaves_the_old_seal_or_the_new_one(void **state)
{
    FAR(a, far_ops, A_KEY);
    FAR(b, far_ops, B_KEY);
    FAR(moon, moon_ops, B_KEY);
    struct far_seal *const cases[][2] = { { NULL, &a }, { &a, NULL }, { &a, &b }, { &a, &moon } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (int commits = 0; commits < 3; commits++) {
            struct far_seal *from = cases[i][0], *to = cases[i][1];
            struct fixture f;
            struct init_result made;
            open_with(&f, from, &made);
            struct strs *shares = from == NULL ? &made.shares : &made.recovery_shares;
            reboot(&f, to, from);
            f.disk.commits_left = commits;
            bool opened = opens(&f, shares, true);
            assert_true(commits > 0 || !opened);
            comes_through(&f, from, to, shares, commits > 0);
            fixture_close(&f);
        }
}

static void a_migration_needs_both_seals(void **state)
{
    FAR(a, far_ops, A_KEY);
    FAR(moon, moon_ops, B_KEY);
    for (int which = 0; which < 2; which++) {
        struct fixture f;
        struct init_result made;
        open_with(&f, &a, &made);
        reboot(&f, &moon, &a);
        (which == 0 ? &a : &moon)->away = true;
        assert_int_equal(give(&f, &made.recovery_shares, true, NULL), -1);
        assert_true(is_sealed(&f));
        a.away = moon.away = false;
        comes_through(&f, &a, &moon, &made.recovery_shares, false);
        fixture_close(&f);
    }
}

static void wrong_shares_do_not_migrate(void **state)
{
    FAR(a, far_ops, A_KEY);
    struct fixture f;
    struct init_result made;
    open_with(&f, NULL, &made);
    reboot(&f, &a, NULL);
    struct strs wrong = { .v = (struct str[]){ made.shares.v[0],
                                               STR("0123456789abcdef0123456789abcdef!") },
                          .n = 2 };
    assert_int_equal(give(&f, &wrong, true, NULL), -1);
    comes_through(&f, NULL, &a, &made.shares, false);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init_gives_recovery_shares_and_goes_active),
        cmocka_unit_test(before_init_the_status_names_the_seal),
        cmocka_unit_test(an_init_without_the_seals_server_stores_nothing),
        cmocka_unit_test(init_checks_the_recovery_shares),
        cmocka_unit_test(a_restart_takes_nobody),
        cmocka_unit_test(without_its_server_it_stays_sealed_until_it_comes_back),
        cmocka_unit_test(an_empty_store_is_no_reason_to_try_again),
        cmocka_unit_test(recovery_shares_open_what_was_sealed_by_hand),
        cmocka_unit_test(a_rekey_of_the_barrier_leaves_the_recovery_shares),
        cmocka_unit_test(a_rekey_without_the_seals_server_changes_nothing),
        cmocka_unit_test(a_recovery_rekey_cut_short_leaves_old_shares_or_new_ones),
        cmocka_unit_test(what_the_seal_encrypts_it_decrypts),
        cmocka_unit_test(a_configuration_that_does_not_fit_the_store_is_refused),
        cmocka_unit_test(a_pending_migration_wants_to_be_asked_for),
        cmocka_unit_test(a_migration_cut_short_leaves_the_old_seal_or_the_new_one),
        cmocka_unit_test(a_migration_needs_both_seals),
        cmocka_unit_test(wrong_shares_do_not_migrate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
