/* Tests of JWT-shaped wrapping tokens. */
#include "core/wrapkey.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "codec/base64.h"
#include "codec/json.h"
#include "storage/driver.h"

struct fixture {
    struct storage *store;
    struct wrapkey *key;
    struct arena *arena;
    struct str jwt;
};

static const struct wrapkey_claims claims = {
    .token = { "s.inner", 7 }, .accessor = { "acc", 3 }, .addr = { "http://a:1", 10 },
    .issued_s = 1000, .ttl_s = 60,
};

static int set_up(void **state)
{
    static struct fixture f;
    struct err err = { 0 };
    f.arena = arena_new();
    if (f.arena == NULL || storage_inmem.open(NULL, 0, &f.store, &err) < 0
        || wrapkey_new(f.store, &f.key, &err) < 0)
        return -1;
    *state = &f;
    return wrapkey_sign(f.key, f.arena, &claims, &f.jwt, &err);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    wrapkey_free(f->key);
    storage_close(f->store);
    arena_free(f->arena);
    return 0;
}

static int open_at(struct fixture *f, struct str jwt, int64_t now_s)
{
    struct err err = { 0 };
    struct str token;
    int found = wrapkey_open(f->key, f->arena, jwt, now_s, &token, &err);
    if (found > 0)
        assert_true(str_is(token, "s.inner"));
    return found;
}

static void a_token_gives_its_inner_one(void **state)
{
    struct fixture *f = *state;
    assert_true(wrapkey_looks_like(f->jwt));
    assert_int_equal(open_at(f, f->jwt, 1001), 1);
}

static void claims_are_those_of_vault(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    struct str text, middle = str_from(f->jwt, (size_t)str_find_byte(f->jwt, '.') + 1);
    middle = str_head(middle, (size_t)str_find_byte(middle, '.'));
    assert_int_equal(base64url_decode(f->arena, middle, &text, &err), 0);
    assert_true(str_is(text, "{\"accessor\":\"acc\",\"addr\":\"http://a:1\",\"exp\":1060,"
                             "\"iat\":1000,\"jti\":\"s.inner\",\"nbf\":995,"
                             "\"type\":\"wrapping\"}"));
}

static void it_holds_only_in_its_time(void **state)
{
    assert_int_equal(open_at(*state, ((struct fixture *)*state)->jwt, 1060), 0);
    assert_int_equal(open_at(*state, ((struct fixture *)*state)->jwt, 900), 0);
}

static void any_changed_sign_spoils_it(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < f->jwt.n; i += 7) {
        struct str copy = arena_dup(f->arena, f->jwt);
        char *p = (char *)copy.p + i;
        *p = *p == 'A' ? 'B' : 'A';
        /* The last sign of a part may hold bits that say nothing. */
        if (i + 1 < f->jwt.n && f->jwt.p[i + 1] != '.')
            assert_int_equal(open_at(f, copy, 1001), 0);
    }
}

static void garbage_is_no_token(void **state)
{
    static const char *const texts[] = { "", ".", "..", "a.b", "a.b.c", "e30.e30.", "e30.e30.e30",
                                         "a.b.c.d", "eyJhbGciOiJub25lIn0.e30." };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_int_equal(open_at(*state, str_of(texts[i]), 1001), 0);
    assert_false(wrapkey_looks_like(STR("s.abcdef")));
    assert_false(wrapkey_looks_like(STR("s.abcdef.nsid")));
}

static void the_key_is_kept_in_the_store(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf text = { 0 };
    struct err err = { 0 };
    struct wrapkey *again;
    struct str token;
    struct json *o;
    assert_int_equal(storage_get(f->store, STR("core/wrapping/jwtkey"), &text, &err), 1);
    assert_int_equal(json_parse(f->arena, buf_str(&text), &o, NULL, &err), 0);
    assert_true(str_is(json_get_str(o, "type"), "p521"));
    assert_true(json_is(json_member(o, "d"), JSON_NUMBER));
    assert_int_equal(wrapkey_new(f->store, &again, &err), 0);
    assert_int_equal(wrapkey_open(again, f->arena, f->jwt, 1001, &token, &err), 1);
    wrapkey_free(again);
}

static void another_key_opens_nothing_and_a_bad_one_is_told(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    struct wrapkey *other;
    struct str token;
    assert_int_equal(storage_delete(f->store, STR("core/wrapping/jwtkey"), &err), 0);
    assert_int_equal(wrapkey_new(f->store, &other, &err), 0);
    assert_int_equal(wrapkey_open(other, f->arena, f->jwt, 1001, &token, &err), 0);
    wrapkey_free(other);
    assert_int_equal(storage_put(f->store, STR("core/wrapping/jwtkey"), STR("{}"), &err), 0);
    assert_int_equal(wrapkey_new(f->store, &other, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_gives_its_inner_one),
        cmocka_unit_test(claims_are_those_of_vault),
        cmocka_unit_test(it_holds_only_in_its_time),
        cmocka_unit_test(any_changed_sign_spoils_it),
        cmocka_unit_test(garbage_is_no_token),
        cmocka_unit_test(the_key_is_kept_in_the_store),
        cmocka_unit_test(another_key_opens_nothing_and_a_bad_one_is_told),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
