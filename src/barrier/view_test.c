/* Tests of the view: keys below a prefix, and no way out. */
#include "barrier/view.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "storage/driver.h"

struct fixture {
    struct storage *under, *view;
};

static int setup(void **state)
{
    static struct fixture f;
    struct err err = { 0 };

    if (storage_inmem.open(NULL, 0, &f.under, &err) < 0 ||
        view_new(f.under, STR("logical/1/"), &f.view, &err) < 0)
        return -1;
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    storage_close(f->view);
    storage_close(f->under);
    return 0;
}

static void assert_value(struct storage *s, struct str key, const char *want)
{
    AUTO(buf_free) struct buf out = { 0 };
    struct err err = { 0 };

    assert_int_equal(storage_get(s, key, &out, &err), want == NULL ? 0 : 1);
    if (want != NULL)
        assert_true(str_is(buf_str(&out), want));
}

static int collect(void *ctx, struct str name)
{
    buf_add(ctx, name);
    buf_byte(ctx, ' ');
    return 0;
}

static void keys_lie_below_the_prefix(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };

    assert_int_equal(storage_put(f->view, STR("a/b"), STR("v"), &err), 0);
    assert_value(f->under, STR("logical/1/a/b"), "v");
    assert_value(f->view, STR("a/b"), "v");
    assert_value(f->view, STR("logical/1/a/b"), NULL);
    assert_int_equal(storage_delete(f->view, STR("a/b"), &err), 0);
    assert_value(f->under, STR("logical/1/a/b"), NULL);
}

static void other_prefixes_are_out_of_sight(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf names = { 0 };
    struct err err = { 0 };

    assert_int_equal(storage_put(f->under, STR("logical/2/x"), STR("v"), &err), 0);
    assert_int_equal(storage_put(f->under, STR("logical/1/x"), STR("v"), &err), 0);
    assert_int_equal(storage_put(f->under, STR("logical/1/y/z"), STR("v"), &err), 0);
    assert_int_equal(storage_list(f->view, STR(""), STR(""), collect, &names, &err), 0);
    assert_true(str_is(buf_str(&names), "x y/ "));
    buf_clear(&names);
    assert_int_equal(storage_list(f->view, STR("y/"), STR(""), collect, &names, &err), 0);
    assert_true(str_is(buf_str(&names), "z "));
}

static void batches_of_any_length_go_down_as_one(void **state)
{
    struct fixture *f = *state;
    struct storage_op ops[40];
    char keys[40];
    struct err err = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        keys[i] = (char)('A' + i);
        ops[i] = (struct storage_op){ STORAGE_PUT, str_mem(&keys[i], 1), STR("v") };
    }
    assert_int_equal(storage_commit(f->view, ops, ARRAY_LEN(ops), &err), 0);
    assert_value(f->under, STR("logical/1/A"), "v");
    assert_value(f->under, str_mem((char[]){ "logical/1/h" }, 11), "v");
    assert_int_equal(storage_commit(f->view, ops, 0, &err), 0);
}

static void long_keys_work(void **state)
{
    struct fixture *f = *state;
    char key[2000];
    struct err err = { 0 };

    memset(key, 'k', sizeof key);
    assert_int_equal(storage_put(f->view, str_mem(key, sizeof key), STR("v"), &err), 0);
    assert_value(f->view, str_mem(key, sizeof key), "v");
    assert_int_equal(storage_delete(f->view, str_mem(key, sizeof key), &err), 0);
}

static void keys_that_climb_are_refused(void **state)
{
    static const struct str keys[] = { STR_INIT(".."), STR_INIT("../2/x"), STR_INIT("a/../../2/x"),
                                       STR_INIT("a/.."), STR_INIT("a//../b") };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        AUTO(buf_free) struct buf out = { 0 };
        struct storage_op ops[] = { { STORAGE_PUT, STR("good"), STR("v") },
                                    { STORAGE_PUT, keys[i], STR("v") } };
        struct err err[3] = { 0 };
        assert_int_equal(storage_get(f->view, keys[i], &out, &err[0]), -1);
        assert_int_equal(storage_commit(f->view, ops, 2, &err[1]), -1);
        assert_int_equal(storage_list(f->view, keys[i], STR(""), collect, &out, &err[2]), -1);
        for (size_t e = 0; e < ARRAY_LEN(err); e++)
            assert_int_equal(err[e].code, ERR_BAD_REQUEST);
        assert_value(f->view, STR("good"), NULL);
    }
}

static void dots_that_do_not_climb_are_fine(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };

    assert_int_equal(storage_put(f->view, STR("a..b/...c"), STR("v"), &err), 0);
    assert_value(f->under, STR("logical/1/a..b/...c"), "v");
}

static void views_can_lie_upon_views(void **state)
{
    struct fixture *f = *state;
    struct storage *inner;
    struct err err = { 0 };

    assert_int_equal(view_new(f->view, STR("inner/"), &inner, &err), 0);
    assert_int_equal(storage_put(inner, STR("k"), STR("v"), &err), 0);
    storage_close(inner);
    assert_value(f->under, STR("logical/1/inner/k"), "v");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keys_lie_below_the_prefix),       TEST(other_prefixes_are_out_of_sight),
        TEST(batches_of_any_length_go_down_as_one), TEST(long_keys_work),
        TEST(keys_that_climb_are_refused),     TEST(dots_that_do_not_climb_are_fine),
        TEST(views_can_lie_upon_views),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
