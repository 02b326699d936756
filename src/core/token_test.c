/* Tests of tokens and their leases: what ends with what, and what a failure leaves behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/epoch.h"
#include "core/fixture.h"

static struct token_store *tokens_of(struct fixture *f)
{
    return fixture_on(f)->tokens;
}

/* What token_create says to a child of ${parent}. */
static int make_child(struct fixture *f, struct str parent, struct str id, int64_t ttl_s,
                      struct str *token, struct err *err)
{
    struct auth auth = { .type = TOKEN_SERVICE, .ttl_s = ttl_s };
    struct token_entry e = { .type = TOKEN_SERVICE, .path = STR("auth/token/create"), .id = id,
                             .parent = parent, .ttl_s = ttl_s };
    strs_add(f->arena, &e.policies, STR("all"));
    int result = token_create(tokens_of(f), f->arena, &e, &auth, err);
    *token = auth.client_token;
    return result;
}

/* Id of the one lease below vending/thing/. */
static struct str thing_lease(struct fixture *f)
{
    struct strs ids = { 0 };
    assert_int_equal(lease_list(fixture_on(f)->leases, f->arena, STR("vending/thing/"), &ids, NULL),
                     0);
    assert_int_equal(ids.n, 1);
    return arena_cat(f->arena, STR("vending/thing/"), ids.v[0]);
}

static void a_deep_family_ends_with_its_eldest(void **state)
{
    struct fixture f;
    fixture_open(&f);
    struct str eldest = fixture_token(&f, STR(""), TOKEN_SERVICE, 60), youngest = eldest;
    for (int i = 0; i < 500; i++)
        youngest = fixture_token(&f, youngest, TOKEN_SERVICE, 60);
    assert_int_equal(token_revoke_tree(tokens_of(&f), eldest, NULL), 0);
    assert_false(fixture_alive(&f, eldest));
    assert_false(fixture_alive(&f, youngest));
    fixture_close(&f);
}

static void a_child_of_a_revoked_token_is_taken_back(void **state)
{
    struct fixture f;
    struct err err = { 0 };
    struct str child;
    fixture_open(&f);
    struct str parent = fixture_token(&f, STR(""), TOKEN_SERVICE, 60);
    assert_int_equal(token_revoke_tree(tokens_of(&f), parent, NULL), 0);
    assert_int_equal(make_child(&f, parent, STR(""), 60, &child, &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    assert_false(fixture_alive(&f, child));
    fixture_close(&f);
}

static void a_revocation_that_failed_half_way_can_be_finished(void **state)
{
    for (int commits = 0; commits < 8; commits++) {
        struct fixture f;
        fixture_open(&f);
        struct str parent = fixture_token(&f, STR(""), TOKEN_SERVICE, 60);
        struct str child = fixture_token(&f, parent, TOKEN_SERVICE, 60);
        f.disk.commits_left = commits;
        if (token_revoke_tree(tokens_of(&f), parent, NULL) < 0 && commits > 0)
            assert_false(fixture_alive(&f, parent));
        f.disk.commits_left = -1;
        assert_int_equal(token_revoke_tree(tokens_of(&f), parent, NULL), 0);
        assert_false(fixture_alive(&f, parent));
        assert_false(fixture_alive(&f, child));
        fixture_close(&f);
    }
}

static void children_of_a_token_revoked_alone_live_on(void **state)
{
    struct fixture f;
    fixture_open(&f);
    struct str parent = fixture_token(&f, STR(""), TOKEN_SERVICE, 60);
    struct str child = fixture_token(&f, parent, TOKEN_SERVICE, 60);
    assert_int_equal(token_revoke_orphan(tokens_of(&f), parent, NULL), 0);
    assert_false(fixture_alive(&f, parent));
    assert_true(fixture_alive(&f, child));
    fixture_close(&f);
}

static void a_token_that_nothing_would_end_is_refused(void **state)
{
    struct fixture f;
    struct str token;
    fixture_open(&f);
    assert_int_equal(make_child(&f, STR(""), STR(""), 0, &token, NULL), -1);
    assert_int_equal(make_child(&f, STR(""), STR(""), -5, &token, NULL), -1);
    fixture_close(&f);
}

static void an_id_is_given_once(void **state)
{
    struct fixture f;
    struct str token;
    fixture_open(&f);
    assert_int_equal(make_child(&f, STR(""), STR("mine"), 60, &token, NULL), 0);
    assert_int_equal(make_child(&f, STR(""), STR("mine"), 60, &token, NULL), -1);
    assert_true(fixture_alive(&f, STR("mine")));
    fixture_close(&f);
}

static void a_token_that_could_not_be_stored_does_not_exist(void **state)
{
    struct fixture f;
    struct str token;
    fixture_open(&f);
    f.disk.commits_left = 0;
    assert_int_equal(make_child(&f, STR(""), STR("lost"), 60, &token, NULL), -1);
    f.disk.commits_left = -1;
    assert_false(fixture_alive(&f, STR("lost")));
    fixture_close(&f);
}

static void of_two_last_uses_one_is_refused(void **state)
{
    struct fixture f;
    const struct token_entry *e;
    bool last;
    fixture_open(&f);
    struct auth auth = { .type = TOKEN_SERVICE, .ttl_s = 60 };
    struct token_entry want = { .type = TOKEN_SERVICE, .path = STR("auth/token/create"),
                                .ttl_s = 60, .num_uses = 1 };
    strs_add(f.arena, &want.policies, STR("all"));
    assert_int_equal(token_create(tokens_of(&f), f.arena, &want, &auth, NULL), 0);
    epoch_enter();
    assert_int_equal(token_lookup(tokens_of(&f), auth.client_token, &e, NULL), 1);
    assert_int_equal(token_use(tokens_of(&f), e, &last, NULL), 1);
    assert_true(last);
    assert_int_equal(token_use(tokens_of(&f), e, &last, NULL), 0);
    epoch_leave();
    fixture_close(&f);
}

static void a_batch_token_ends_with_its_parent(void **state)
{
    struct fixture f;
    fixture_open(&f);
    struct str parent = fixture_token(&f, STR(""), TOKEN_SERVICE, 60);
    struct str batch = fixture_token(&f, parent, TOKEN_BATCH, 60);
    assert_true(fixture_alive(&f, batch));
    assert_int_equal(token_revoke_tree(tokens_of(&f), parent, NULL), 0);
    assert_false(fixture_alive(&f, batch));
    fixture_close(&f);
}

/* ---- leases ---- */

static void secrets_of_a_batch_token_end_with_its_parent(void **state)
{
    struct fixture f;
    fixture_open(&f);
    struct str parent = fixture_token(&f, STR(""), TOKEN_SERVICE, 60);
    struct str batch = fixture_token(&f, parent, TOKEN_BATCH, 60);
    assert_int_equal(fixture_call(&f, OP_READ, "vending/thing", batch, NULL), 1);
    assert_int_equal(token_revoke_tree(tokens_of(&f), parent, NULL), 0);
    assert_int_equal(fixture_vending(&f)->ended, 1);
    fixture_close(&f);
}

static void secrets_of_a_batch_token_do_not_outlive_it(void **state)
{
    struct fixture f;
    struct lease *l;
    fixture_open(&f);
    struct str batch = fixture_token(&f, STR(""), TOKEN_BATCH, 60);
    assert_int_equal(fixture_call(&f, OP_READ, "vending/thing", batch, NULL), 1);
    assert_int_equal(f.resp.lease->ttl_s, 60);
    assert_int_equal(lease_load(fixture_on(&f)->leases, f.arena, thing_lease(&f), &l, NULL), 1);
    assert_true(l->expires_ns == f.now_ns + 60LL * 1000000000);
    fixture_close(&f);
}

static void a_revoked_secret_is_not_renewed(void **state)
{
    struct fixture f;
    struct lease *l;
    struct err err = { 0 };
    fixture_open(&f);
    struct response resp = { .arena = f.arena };
    assert_int_equal(fixture_call(&f, OP_READ, "vending/thing", f.root, NULL), 1);
    struct str id = thing_lease(&f);
    struct lease_book *book = fixture_on(&f)->leases;
    assert_int_equal(lease_renew(book, f.arena, id, 0, &resp, NULL), 0);
    assert_int_equal(lease_revoke(book, id, false, NULL), 0);
    assert_int_equal(lease_renew(book, f.arena, id, 0, &resp, &err), -1);
    assert_string_equal(err.msg, "lease not found");
    assert_int_equal(lease_load(book, f.arena, id, &l, NULL), 0);
    fixture_close(&f);
}

static void a_prefix_is_revoked_by_force_although_its_engine_fails(void **state)
{
    struct fixture f;
    struct err err = { 0 };
    fixture_open(&f);
    struct lease_book *book = fixture_on(&f)->leases;
    assert_int_equal(fixture_call(&f, OP_READ, "vending/thing", f.root, NULL), 1);
    fixture_vending(&f)->stuck = true;
    assert_int_equal(lease_revoke_prefix(book, STR("vending"), false, &err), -1);
    (void)thing_lease(&f);
    assert_int_equal(lease_revoke_prefix(book, STR("vending"), true, &err), 0);
    assert_int_equal(lease_revoke_prefix(book, STR("vending"), false, &err), 0);
    fixture_close(&f);
}

static void a_lease_made_by_a_list_has_no_double_slash(void **state)
{
    struct fixture f;
    struct strs ids = { 0 };
    fixture_open(&f);
    struct auth auth = { .type = TOKEN_SERVICE, .ttl_s = 60 };
    struct token_entry e = { .type = TOKEN_SERVICE, .path = STR("kv/folder/"), .ttl_s = 60 };
    strs_add(f.arena, &e.policies, STR("all"));
    assert_int_equal(token_create(tokens_of(&f), f.arena, &e, &auth, NULL), 0);
    assert_int_equal(lease_list(fixture_on(&f)->leases, f.arena, STR("kv/folder/"), &ids, NULL), 0);
    assert_int_equal(ids.n, 1);
    assert_true(str_eq(ids.v[0], e.sid));
    assert_true(fixture_alive(&f, auth.client_token));
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deep_family_ends_with_its_eldest),
        cmocka_unit_test(a_child_of_a_revoked_token_is_taken_back),
        cmocka_unit_test(a_revocation_that_failed_half_way_can_be_finished),
        cmocka_unit_test(children_of_a_token_revoked_alone_live_on),
        cmocka_unit_test(a_token_that_nothing_would_end_is_refused),
        cmocka_unit_test(an_id_is_given_once),
        cmocka_unit_test(a_token_that_could_not_be_stored_does_not_exist),
        cmocka_unit_test(of_two_last_uses_one_is_refused),
        cmocka_unit_test(a_batch_token_ends_with_its_parent),
        cmocka_unit_test(secrets_of_a_batch_token_end_with_its_parent),
        cmocka_unit_test(secrets_of_a_batch_token_do_not_outlive_it),
        cmocka_unit_test(a_revoked_secret_is_not_renewed),
        cmocka_unit_test(a_prefix_is_revoked_by_force_although_its_engine_fails),
        cmocka_unit_test(a_lease_made_by_a_list_has_no_double_slash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
