/* Tests of the pipeline: who gets through, and what must not be left behind when one does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "core/fixture.h"

static struct err *refusal(struct fixture *f, struct str token)
{
    assert_int_equal(fixture_call(f, OP_READ, "sys/anything", token, NULL), -1);
    return &f->req.err;
}

static void a_request_without_a_token_is_refused(void **state)
{
    struct fixture f;
    fixture_open(&f);
    assert_int_equal(refusal(&f, STR(""))->code, ERR_NO_TOKEN);
    fixture_close(&f);
}

static void an_unknown_token_is_denied(void **state)
{
    struct fixture f;
    fixture_open(&f);
    assert_int_equal(refusal(&f, STR("s.nobody"))->code, ERR_DENIED);
    assert_int_equal(refusal(&f, STR("b.nobody"))->code, ERR_DENIED);
    fixture_close(&f);
}

static void a_sealed_server_says_so(void **state)
{
    struct fixture f;
    fixture_open(&f);
    assert_int_equal(lifecycle_seal(f.lifecycle, NULL), 0);
    assert_int_equal(refusal(&f, f.root)->code, ERR_SEALED);
    fixture_close(&f);
}

static void a_cached_token_is_denied_once_it_has_expired(void **state)
{
    struct fixture f;
    fixture_open(&f);
    struct str service = fixture_token(&f, STR(""), TOKEN_SERVICE, 60);
    struct str batch = fixture_token(&f, STR(""), TOKEN_BATCH, 60);
    assert_true(fixture_alive(&f, service) && fixture_alive(&f, batch));
    f.now_ns += 60LL * 1000000000;
    assert_int_equal(refusal(&f, service)->code, ERR_DENIED);
    assert_int_equal(refusal(&f, batch)->code, ERR_DENIED);
    fixture_close(&f);
}

static void a_cached_token_is_denied_once_it_is_revoked(void **state)
{
    struct fixture f;
    fixture_open(&f);
    struct str token = fixture_token(&f, STR(""), TOKEN_SERVICE, 60);
    assert_true(fixture_alive(&f, token));
    assert_int_equal(token_revoke_tree(fixture_on(&f)->tokens, token, NULL), 0);
    assert_int_equal(refusal(&f, token)->code, ERR_DENIED);
    fixture_close(&f);
}

static void nothing_is_done_that_no_audit_device_wrote_down(void **state)
{
    struct fixture f;
    struct broker_entry mute = { .path = STR("mute/"), .type = STR("mute") };
    fixture_open(&f);
    assert_int_equal(broker_enable(fixture_on(&f)->broker, &mute, NULL), 0);
    assert_int_equal(fixture_call(&f, OP_READ, "vending/thing", f.root, NULL), -1);
    assert_int_equal(f.req.err.code, ERR_INTERNAL);
    assert_int_equal(fixture_vending(&f)->issued, 0);
    fixture_close(&f);
}

static void a_request_past_its_deadline_does_nothing(void **state)
{
    struct fixture f;
    fixture_open(&f);
    struct request req = { .arena = f.arena, .op = OP_READ, .path = STR("vending/thing"),
                           .data = json_object(f.arena), .token = f.root, .may_block = true,
                           .deadline_ns = f.now_ns };
    struct response resp = { .arena = f.arena };
    assert_int_equal(handle(f.lifecycle, &req, &resp), -1);
    assert_int_equal(req.err.code, ERR_TIMEOUT);
    assert_int_equal(fixture_vending(&f)->issued, 0);
    fixture_close(&f);
}

static void a_secret_without_a_lease_is_revoked_again(void **state)
{
    struct fixture f;
    fixture_open(&f);
    f.disk.commits_left = 0;
    assert_int_equal(fixture_call(&f, OP_READ, "vending/thing", f.root, NULL), -1);
    assert_int_equal(fixture_vending(&f)->issued, 1);
    assert_int_equal(fixture_vending(&f)->ended, 1);
    fixture_close(&f);
}

static void a_login_gives_no_policy_of_the_inside(void **state)
{
    struct fixture f;
    fixture_open(&f);
    const char *const bad[] = { "{\"policy\":\"root\"}", "{\"policy\":\"response-wrapping\"}",
                                "{\"policy\":\"control-group\"}" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(fixture_call(&f, OP_UPDATE, "auth/door/login", STR(""), bad[i]), -1);
        assert_int_equal(f.req.err.code, ERR_BAD_REQUEST);
    }
    assert_int_equal(
        fixture_call(&f, OP_UPDATE, "auth/door/login", STR(""), "{\"policy\":\"all\"}"), 1);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_without_a_token_is_refused),
        cmocka_unit_test(an_unknown_token_is_denied),
        cmocka_unit_test(a_sealed_server_says_so),
        cmocka_unit_test(a_cached_token_is_denied_once_it_has_expired),
        cmocka_unit_test(a_cached_token_is_denied_once_it_is_revoked),
        cmocka_unit_test(nothing_is_done_that_no_audit_device_wrote_down),
        cmocka_unit_test(a_request_past_its_deadline_does_nothing),
        cmocka_unit_test(a_secret_without_a_lease_is_revoked_again),
        cmocka_unit_test(a_login_gives_no_policy_of_the_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
