/* Tests of leases of secrets: filed, ended with their token, never left without an end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/lease.h"
#include "core/token_entry.h"
#include "storage/driver.h"

enum { NOW_S = 1000000 };

struct fixture {
    struct storage refusing; /* commits fail while ${full} */
    struct storage *disk;
    struct lease_book *book;
    struct arena *arena;
    bool full, filed, engine_fails;
    int revoked;
};

static struct fixture *of_refusing(struct storage *s)
{
    return (struct fixture *)((char *)s - offsetof(struct fixture, refusing));
}

static int get(struct storage *s, struct str key, struct buf *out, struct err *err)
{
    return storage_get(of_refusing(s)->disk, key, out, err);
}

static int commit(struct storage *s, const struct storage_op *ops, size_t n, struct err *err)
{
    struct fixture *f = of_refusing(s);
    return f->full ? err_set(err, ERR_IO, "disk full") : storage_commit(f->disk, ops, n, err);
}

static int list(struct storage *s, struct str prefix, struct str after, storage_name_fn *each,
                void *ctx, struct err *err)
{
    return storage_list(of_refusing(s)->disk, prefix, after, each, ctx, err);
}

static const struct storage_ops refusing_ops = { .get = get, .commit = commit, .list = list };

static int64_t now_ns(const struct clock *c)
{
    return (int64_t)NOW_S * 1000000000;
}

static const struct clock stopped = { now_ns, now_ns };

static int revoke_secret(void *ctx, const struct lease *l, struct err *err)
{
    struct fixture *f = ctx;
    f->revoked++;
    return f->engine_fails ? err_set(err, ERR_UPSTREAM, "host does not answer") : 0;
}

static int token_sid(void *ctx, struct arena *a, struct str token, struct str *sid,
                     struct err *err)
{
    *sid = ((struct fixture *)ctx)->filed ? STR("hsid") : STR("");
    return 0;
}

static int token_stored(void *ctx, struct str token, struct err *err)
{
    return 1;
}

static void mount_ttls(void *ctx, struct str path, int64_t *default_s, int64_t *max_s)
{
    *default_s = 3600;
    *max_s = 7200;
}

static int set_up(void **state)
{
    static struct fixture f;
    struct lease_calls calls = { .ctx = &f, .revoke_secret = revoke_secret,
                                 .token_sid = token_sid, .token_stored = token_stored,
                                 .mount_ttls = mount_ttls };
    f = (struct fixture){ .arena = arena_new(), .filed = true, .refusing.ops = &refusing_ops };
    assert_int_equal(storage_inmem.open(NULL, 0, &f.disk, NULL), 0);
    assert_int_equal(lease_book_new(&f.refusing, &stopped, &calls, &f.book, NULL), 0);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    lease_book_free(f->book);
    storage_close(f->disk);
    arena_free(f->arena);
    return 0;
}

static int register_for(struct fixture *f, const struct token_entry *caller,
                        struct lease_terms *terms, struct err *err)
{
    struct request req = { .arena = f->arena, .path = STR("ssh/creds/r"), .token = STR("s.t"),
                           .token_hash = STR("hsid"), .caller = (void *)caller };
    struct response resp = { .arena = f->arena, .lease = terms };
    *terms = (struct lease_terms){ .leased = true, .kind = "k" };
    return lease_register(f->book, &req, &resp, err);
}

static int count_one(void *ctx, struct str name)
{
    (*(size_t *)ctx)++;
    return 0;
}

static size_t stored(struct fixture *f, const char *prefix)
{
    size_t n = 0;
    assert_int_equal(storage_walk(f->disk, str_of(prefix), count_one, &n, NULL), 0);
    return n;
}

static const struct token_entry service = { .type = TOKEN_SERVICE, .ttl_s = 60,
                                            .created_s = NOW_S };
static const struct token_entry batch = { .type = TOKEN_BATCH, .ttl_s = 60,
                                          .created_s = NOW_S - 20 };

static void a_secret_is_filed_under_its_token(void **state)
{
    struct fixture *f = *state;
    struct lease_terms terms;

    assert_int_equal(register_for(f, &service, &terms, NULL), 0);
    assert_int_equal(terms.ttl_s, 3600);
    assert_true(str_starts(terms.lease_id, STR("ssh/creds/r/")));
    assert_int_equal(stored(f, "expire/id/"), 1);
    assert_int_equal(stored(f, "expire/token/hsid/"), 1);
    assert_int_equal(lease_revoke(f->book, terms.lease_id, false, NULL), 0);
    assert_int_equal(f->revoked, 1);
    assert_int_equal(stored(f, "expire/"), 0);
}

static void a_secret_does_not_outlive_a_batch_token(void **state)
{
    struct fixture *f = *state;
    struct lease_terms terms;

    f->filed = false; /* of no parent */
    assert_int_equal(register_for(f, &batch, &terms, NULL), 0);
    assert_int_equal(terms.ttl_s, 40);
    assert_int_equal(stored(f, "expire/token/"), 0);
    assert_int_equal(lease_revoke(f->book, terms.lease_id, false, NULL), 0);
    assert_int_equal(stored(f, "expire/"), 0);
}

static void a_secret_that_gets_no_lease_is_revoked(void **state)
{
    struct fixture *f = *state;
    struct lease_terms terms;
    struct err err = { 0 };

    f->full = true;
    assert_int_equal(register_for(f, &service, &terms, &err), -1);
    assert_string_equal(err.msg, "disk full");
    assert_int_equal(f->revoked, 1);
    f->engine_fails = true;
    assert_int_equal(register_for(f, &service, &terms, &err), -1);
    assert_string_equal(err.msg, "disk full");
    assert_int_equal(lease_count(f->book), 0);
}

static void a_secret_whose_engine_fails_is_kept_unless_forced(void **state)
{
    struct fixture *f = *state;
    struct lease_terms terms;
    struct err err = { 0 };

    assert_int_equal(register_for(f, &service, &terms, NULL), 0);
    f->engine_fails = true;
    assert_int_equal(lease_revoke(f->book, terms.lease_id, false, &err), -1);
    assert_int_equal(err.code, ERR_UPSTREAM);
    assert_int_equal(stored(f, "expire/id/"), 1);
    /* Its token goes all the same; the row stays until the secret is gone. */
    assert_int_equal(lease_revoke_by_token(f->book, STR("hsid"), STR("p"), &err), 0);
    assert_int_equal(stored(f, "expire/token/hsid/"), 1);
    assert_int_equal(lease_revoke(f->book, terms.lease_id, true, &err), 0);
    assert_int_equal(stored(f, "expire/"), 0);
}

static void the_end_of_a_token_clears_rows_of_leases_long_gone(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };

    assert_int_equal(storage_put(f->disk, STR("expire/token/hsid/x"), STR("ssh/creds/r/gone"),
                                 &err), 0);
    assert_int_equal(lease_revoke_by_token(f->book, STR("hsid"), STR("p"), &err), 0);
    assert_int_equal(stored(f, "expire/"), 0);
    assert_int_equal(f->revoked, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_secret_is_filed_under_its_token, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_secret_does_not_outlive_a_batch_token, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_secret_that_gets_no_lease_is_revoked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_secret_whose_engine_fails_is_kept_unless_forced, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_end_of_a_token_clears_rows_of_leases_long_gone, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
