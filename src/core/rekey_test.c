/* Tests of rekey: what may go wrong on the way, and that no crash locks everybody out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/rekey.h"
#include "logical/engine.h"
#include "storage/driver.h"

/* ---- a disk that stops taking writes ---- */

struct flaky {
    struct storage base; /* first */
    struct storage *under;
    int commits_left; /* below 0: no limit */
};

static int flaky_get(struct storage *s, struct str key, struct buf *out, struct err *err)
{
    return storage_get(((struct flaky *)s)->under, key, out, err);
}

static int flaky_commit(struct storage *s, const struct storage_op *ops, size_t n, struct err *err)
{
    struct flaky *f = (struct flaky *)s;
    if (f->commits_left == 0)
        return err_set(err, ERR_IO, "the disk is gone");
    if (f->commits_left > 0)
        f->commits_left--;
    return storage_commit(f->under, ops, n, err);
}

static int flaky_list(struct storage *s, struct str prefix, struct str after,
                      storage_name_fn *each, void *ctx, struct err *err)
{
    return storage_list(((struct flaky *)s)->under, prefix, after, each, ctx, err);
}

static void flaky_close(struct storage *s)
{
}

static const struct storage_ops flaky_ops = { flaky_get, flaky_commit, flaky_list, flaky_close };

/* ---- a server on it: as little as can be unsealed ---- */

static const struct engine system_engine = { .type = "system" };
static const struct engine token_engine = { .type = "token", .is_auth = true };
static const struct engine identity_engine = { .type = "identity" };
static const struct engine cubbyhole_engine = { .type = "cubbyhole" };
static const struct engine *const engines[] = { &system_engine, &token_engine, &identity_engine,
                                                &cubbyhole_engine, NULL };
static const struct device_kind *const devices[] = { NULL };

struct fixture {
    struct flaky disk;
    struct core_settings settings;
    struct lifecycle *lifecycle;
    struct rekey *rekey;
    struct arena *arena;
    struct strs shares; /* in force at the start */
};

static void boot(struct fixture *f)
{
    struct err err = { 0 };
    f->disk.commits_left = -1;
    if (lifecycle_new(&f->settings, &f->lifecycle, &err) < 0
        || rekey_new(f->lifecycle, REKEY_BARRIER, &f->rekey, &err) < 0)
        fail_msg("%s", err.msg);
}

static void halt(struct fixture *f)
{
    rekey_free(f->rekey);
    lifecycle_free(f->lifecycle);
    f->rekey = NULL;
    f->lifecycle = NULL;
}

/* Do these shares unseal? */
static bool opens(struct fixture *f, const struct strs *shares)
{
    struct unseal_status s;
    struct err err = { 0 };
    lifecycle_unseal_reset(f->lifecycle);
    for (size_t i = 0; i < shares->n; i++)
        if (lifecycle_unseal(f->lifecycle, shares->v[i], &err) < 0)
            return false;
    assert_int_equal(lifecycle_status(f->lifecycle, &s, &err), 0);
    return !s.sealed;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct init_request want = { .config = { .type = STR("shamir"), .shares = 2,
                                             .threshold = 2 } };
    struct init_result made;
    struct err err = { 0 };
    assert_non_null(f);
    f->arena = arena_new();
    f->disk.base.ops = &flaky_ops;
    assert_int_equal(storage_inmem.open(NULL, 0, &f->disk.under, NULL), 0);
    f->settings = (struct core_settings){
        .physical = &f->disk.base,
        .engines = engines,
        .devices = devices,
        .clock = &clock_system,
        .default_ttl_s = 3600,
        .max_ttl_s = 7200,
    };
    boot(f);
    if (lifecycle_init(f->lifecycle, f->arena, &want, &made, &err) < 0)
        fail_msg("%s", err.msg);
    f->shares = made.shares;
    assert_true(opens(f, &f->shares));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    halt(f);
    storage_close(f->disk.under);
    arena_free(f->arena);
    free(f);
    return 0;
}

static struct str nonce_of(struct fixture *f)
{
    struct rekey_state s;
    assert_int_equal(rekey_state(f->rekey, f->arena, &s, NULL), 0);
    return arena_dup(f->arena, str_of(s.nonce));
}

static void start(struct fixture *f, int64_t shares, int64_t threshold, bool verify)
{
    struct seal_config want = { .shares = shares, .threshold = threshold,
                                .verification_required = verify };
    struct err err = { 0 };
    if (rekey_start(f->rekey, &want, &err) < 0)
        fail_msg("%s", err.msg);
}

/* Give the present shares; 0 when the new ones came. */
static int give_all(struct fixture *f, struct rekey_result *out, struct err *err)
{
    struct str nonce = nonce_of(f);
    for (size_t i = 0; i < f->shares.n; i++)
        TRY(rekey_update(f->rekey, f->arena, f->shares.v[i], nonce, out, err));
    return 0;
}

/* ---- tests ---- */

static void after_a_rekey_only_the_new_shares_unseal(void **state)
{
    struct fixture *f = *state;
    struct rekey_result r;
    struct err err = { 0 };
    start(f, 3, 2, false);
    assert_int_equal(give_all(f, &r, &err), 0);
    assert_true(r.complete);
    assert_int_equal(r.shares.n, 3);
    halt(f);
    boot(f);
    assert_false(opens(f, &f->shares));
    r.shares.n = 2;
    assert_true(opens(f, &r.shares));
}

static void at_every_crash_the_old_or_the_new_shares_unseal(void **state)
{
    struct fixture *f = *state;
    for (int commits = 0; commits < 4; commits++) {
        struct rekey_result r;
        struct err err = { 0 };
        start(f, 2, 2, false);
        f->disk.commits_left = commits;
        bool done = give_all(f, &r, &err) == 0;
        halt(f);
        boot(f);
        print_message("  %d commits: %s\n", commits, done ? "done" : err.msg);
        assert_true(done || commits == 0);
        assert_true(opens(f, done ? &r.shares : &f->shares));
        if (done)
            f->shares = r.shares;
    }
}

static void with_verification_the_old_shares_hold_until_the_new_came_back(void **state)
{
    struct fixture *f = *state;
    struct rekey_verify_state v;
    struct rekey_result r;
    struct err err = { 0 };
    bool complete;
    start(f, 1, 1, true);
    assert_int_equal(give_all(f, &r, &err), 0);
    assert_true(r.verification_required);
    assert_int_equal(rekey_verify(f->rekey, f->shares.v[0], str_of(r.verification_nonce),
                                  &complete, &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    /* A failed attempt makes the nonce void. */
    assert_int_equal(rekey_verify_state(f->rekey, &v, &err), 0);
    assert_true(v.started);
    assert_false(str_is(str_of(v.nonce), r.verification_nonce));
    assert_int_equal(rekey_verify(f->rekey, r.shares.v[0], str_of(v.nonce), &complete, &err), 0);
    assert_true(complete);
    halt(f);
    boot(f);
    assert_true(opens(f, &r.shares));
}

static void an_unverified_rekey_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct rekey_result r;
    struct err err = { 0 };
    start(f, 1, 1, true);
    assert_int_equal(give_all(f, &r, &err), 0);
    halt(f);
    boot(f);
    assert_true(opens(f, &f->shares));
}

static void wrong_shares_end_the_attempt_but_not_the_operation(void **state)
{
    struct fixture *f = *state;
    struct rekey_result r;
    struct rekey_state s;
    struct err err = { 0 };
    struct str bad = arena_dup(f->arena, f->shares.v[1]);
    ((char *)bad.p)[3] ^= 1;
    start(f, 2, 2, false);
    struct str nonce = nonce_of(f);
    assert_int_equal(rekey_update(f->rekey, f->arena, f->shares.v[0], nonce, &r, &err), 0);
    assert_int_equal(rekey_update(f->rekey, f->arena, bad, nonce, &r, &err), -1);
    assert_int_equal(err.code, ERR_INTERNAL);
    assert_int_equal(rekey_state(f->rekey, f->arena, &s, &err), 0);
    assert_true(s.started);
    assert_int_equal(s.progress, 0);
    assert_int_equal(give_all(f, &r, &err), 0);
}

static void refuses_what_cannot_be_meant(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *what;
        struct seal_config want;
        enum err_code code;
    } cases[] = {
        { "threshold above shares", { .shares = 1, .threshold = 2 }, ERR_BAD_REQUEST },
        { "nothing said", { .shares = 0, .threshold = 0 }, ERR_INTERNAL },
        { "threshold of one for two", { .shares = 2, .threshold = 1 }, ERR_INTERNAL },
        { "backup in clear", { .shares = 1, .threshold = 1, .backup = true }, ERR_BAD_REQUEST },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct rekey_state s;
        struct err err = { 0 };
        print_message("  %s\n", cases[i].what);
        assert_int_equal(rekey_start(f->rekey, &cases[i].want, &err), -1);
        assert_int_equal(err.code, cases[i].code);
        assert_int_equal(rekey_state(f->rekey, f->arena, &s, &err), 0);
        assert_false(s.started);
    }
}

static void a_seal_ends_what_was_in_progress(void **state)
{
    struct fixture *f = *state;
    struct rekey_state s;
    struct err err = { 0 };
    start(f, 2, 2, false);
    assert_int_equal(lifecycle_seal(f->lifecycle, &err), 0);
    assert_true(opens(f, &f->shares));
    assert_int_equal(rekey_state(f->rekey, f->arena, &s, &err), 0);
    assert_false(s.started);
    assert_int_equal(lifecycle_seal(f->lifecycle, &err), 0);
    assert_int_equal(rekey_state(f->rekey, f->arena, &s, &err), -1);
    assert_int_equal(err.code, ERR_STANDBY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
        TEST(after_a_rekey_only_the_new_shares_unseal),
        TEST(at_every_crash_the_old_or_the_new_shares_unseal),
        TEST(with_verification_the_old_shares_hold_until_the_new_came_back),
        TEST(an_unverified_rekey_changes_nothing),
        TEST(wrong_shares_end_the_attempt_but_not_the_operation),
        TEST(refuses_what_cannot_be_meant),
        TEST(a_seal_ends_what_was_in_progress),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
