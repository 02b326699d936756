/* Tests of the rules for browsers. */
#include "core/browser.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/epoch.h"
#include "storage/driver.h"

struct fixture {
    struct storage *plain, *physical;
    struct browser *b;
    struct arena *arena;
};

static int set_up(void **state)
{
    static struct fixture f;
    struct err err = { 0 };
    f.arena = arena_new();
    if (f.arena == NULL || storage_inmem.open(NULL, 0, &f.plain, &err) < 0
        || storage_inmem.open(NULL, 0, &f.physical, &err) < 0)
        return -1;
    *state = &f;
    return browser_new(f.plain, f.physical, &f.b, &err);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    browser_free(f->b);
    storage_close(f->plain);
    storage_close(f->physical);
    arena_free(f->arena);
    epoch_wait();
    return 0;
}

static struct strs list(struct fixture *f, const char *one, const char *two)
{
    struct strs l = { 0 };
    if (one != NULL)
        strs_add(f->arena, &l, str_of(one));
    if (two != NULL)
        strs_add(f->arena, &l, str_of(two));
    return l;
}

static bool stored(struct storage *s, const char *key, const char *text)
{
    AUTO(buf_free) struct buf b = { 0 };
    struct err err = { 0 };
    int found = storage_get(s, str_of(key), &b, &err);
    return text == NULL ? found == 0 : found > 0 && str_is(buf_str(&b), text);
}

static void only_listed_origins_may_call(void **state)
{
    struct fixture *f = *state;
    struct strs origins = list(f, "http://a", "http://b"), more = list(f, "X-Mine", NULL);
    struct err err = { 0 };
    assert_int_equal(browser_cors_on(f->b, &origins, &more, &err), 0);
    const struct browser_rules *r = browser_rules(f->b);
    assert_true(r->cors && browser_allows(r, STR("http://b")));
    assert_false(browser_allows(r, STR("http://c")) || browser_allows(r, STR("http://A")));
    assert_true(strs_has(&r->headers, STR("X-Mine")));
    assert_true(strs_has(&r->headers, STR("X-Vault-Token")));
}

static void a_star_is_everybody(void **state)
{
    struct fixture *f = *state;
    struct strs origins = list(f, "*", NULL), none = { 0 };
    struct err err = { 0 };
    assert_int_equal(browser_cors_on(f->b, &origins, &none, &err), 0);
    assert_true(browser_allows(browser_rules(f->b), STR("http://c")));
}

static void bad_origins_change_nothing(void **state)
{
    static const char *const cases[][2] = {
        { NULL, NULL }, { "*", "http://a" }, { "http://a\r\nX: y", NULL },
    };
    struct fixture *f = *state;
    struct strs none = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = { 0 };
        struct strs origins = list(f, cases[i][0], cases[i][1]);
        assert_int_equal(browser_cors_on(f->b, &origins, &none, &err), -1);
    }
    assert_false(browser_rules(f->b)->cors);
    assert_true(stored(f->plain, "sys/config/cors", NULL));
}

static void what_is_stored_is_vaults_and_comes_back(void **state)
{
    struct fixture *f = *state;
    struct strs origins = list(f, "http://a", NULL), none = { 0 }, deny = list(f, "deny", NULL);
    struct browser *again;
    struct err err = { 0 };
    assert_int_equal(browser_cors_on(f->b, &origins, &none, &err), 0);
    assert_int_equal(browser_ui_set(f->b, STR("x-frame-OPTIONS"), &deny, &err), 0);
    const char *text = "{\"headers\":{\"X-Frame-Options\":[\"deny\"]}}";
    assert_true(stored(f->plain, "sys/uiconfig", text));
    assert_true(stored(f->physical, "sys/uiconfig_plaintext", text));
    assert_int_equal(browser_new(f->plain, f->physical, &again, &err), 0);
    assert_true(browser_allows(browser_rules(again), STR("http://a")));
    assert_non_null(browser_ui_get(browser_rules(again), f->arena, STR("X-FRAME-options")));
    browser_free(again);
    assert_int_equal(browser_cors_off(f->b, &err), 0);
    assert_true(stored(f->plain, "sys/config/cors", "{\"enabled\":0}\n"));
    assert_int_equal(browser_ui_set(f->b, STR("X-Frame-Options"), NULL, &err), 0);
    assert_true(stored(f->plain, "sys/uiconfig", NULL));
    assert_true(stored(f->physical, "sys/uiconfig_plaintext", NULL));
}

static void a_value_cannot_end_its_header(void **state)
{
    struct fixture *f = *state;
    struct strs bad = list(f, "x\nSet-Cookie: y", NULL);
    struct err err = { 0 };
    assert_int_equal(browser_ui_set(f->b, STR("X-A"), &bad, &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    assert_int_equal(browser_rules(f->b)->ui->count, 0);
}

static void a_damaged_entry_is_told(void **state)
{
    struct fixture *f = *state;
    struct browser *again;
    struct err err = { 0 };
    assert_int_equal(storage_put(f->plain, STR("sys/config/cors"), STR("{"), &err), 0);
    assert_int_equal(browser_new(f->plain, f->physical, &again, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_listed_origins_may_call, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_star_is_everybody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_origins_change_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_stored_is_vaults_and_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_value_cannot_end_its_header, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_entry_is_told, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
