/* Tests of cubbyhole: nobody sees another's drawer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engines/cubbyhole.h"
#include "logical/testing.h"

static int set_up(void **state)
{
    static struct testing t;
    testing_open(&t, &engine_cubbyhole);
    *state = &t;
    return 0;
}

static int tear_down(void **state)
{
    testing_close(*state);
    return 0;
}

static void each_token_has_its_own_drawer(void **state)
{
    struct testing *t = *state;
    struct str first = t->cubbyhole_id;

    testing_expect(t, OP_UPDATE, "a", "{\"k\":\"v\"}", NULL);
    testing_expect(t, OP_UPDATE, "d/b", "{\"k\":\"v\"}", NULL);
    t->cubbyhole_id = STR("BnoeTH3sEJa7VFcsL178Jo9k");
    testing_absent(t, OP_READ, "a");
    testing_absent(t, OP_LIST, "");
    testing_expect(t, OP_UPDATE, "a", "{\"k\":\"mine\"}", NULL);
    testing_expect(t, OP_LIST, "", NULL, "{\"keys\":[\"a\"]}");
    t->cubbyhole_id = first;
    testing_expect(t, OP_READ, "a", NULL, "{\"k\":\"v\"}");
    assert_null(t->resp.lease);
    testing_expect(t, OP_LIST, "", NULL, "{\"keys\":[\"a\",\"d/\"]}");
    testing_expect(t, OP_DELETE, "a", NULL, "");
    testing_absent(t, OP_READ, "a");
}

static void an_empty_drawer_write_is_our_fault_as_in_vault(void **state)
{
    testing_refuse(*state, OP_UPDATE, "e", "{}", ERR_INTERNAL, "missing data fields");
}

static void a_token_without_a_drawer_is_refused(void **state)
{
    static const char text[] =
        "cubbyhole operations are only supported by \"service\" type tokens";
    struct testing *t = *state;

    t->cubbyhole_id = STR("");
    testing_refuse(t, OP_READ, "a", NULL, ERR_BAD_REQUEST, text);
    testing_refuse(t, OP_UPDATE, "a", "{\"a\":1}", ERR_BAD_REQUEST, text);
    testing_refuse(t, OP_LIST, "", NULL, ERR_BAD_REQUEST, text);
    testing_refuse(t, OP_DELETE, "a", NULL, ERR_BAD_REQUEST, text);
    assert_int_equal(testing_count(t, ""), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_token_has_its_own_drawer),
        TEST(an_empty_drawer_write_is_our_fault_as_in_vault),
        TEST(a_token_without_a_drawer_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
