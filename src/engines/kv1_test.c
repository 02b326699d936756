/* Tests of kv1: what goes in comes out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engines/kv1.h"
#include "logical/testing.h"

static int kv1(void **state)
{
    static struct testing t;
    testing_open(&t, &engine_kv1);
    *state = &t;
    return 0;
}

static int tear_down(void **state)
{
    testing_close(*state);
    return 0;
}

static void a_secret_reads_as_it_was_written(void **state)
{
    static const char secret[] =
        "{\"e\":1e400,\"f\":1.50,\"list\":[1,\"x\"],\"n\":12345678901234567890,\"nul\":null,"
        "\"obj\":{\"k\":\"v\"},\"path\":\"mine\"}";
    struct testing *t = *state;
    AUTO(buf_free) struct buf stored = { 0 };

    testing_expect(t, OP_UPDATE, "app/db", secret, "");
    assert_int_equal(t->req.op, OP_CREATE);
    testing_expect(t, OP_READ, "app/db", NULL, secret);
    assert_int_equal(t->resp.lease->ttl_s, 2764800);
    assert_false(t->resp.lease->leased);
    assert_int_equal(testing_get(t, "app/db", &stored), 1);
    assert_int_equal(stored.n, sizeof secret - 1);
    testing_expect(t, OP_UPDATE, "app/db", "{\"only\":\"this\"}", "");
    assert_int_equal(t->req.op, OP_UPDATE);
    testing_expect(t, OP_READ, "app/db", NULL, "{\"only\":\"this\"}");
}

static void the_time_to_keep_it_comes_from_the_secret(void **state)
{
    static const struct { const char *json; int64_t seconds; } cases[] = {
        { "{\"ttl\":\"1h\"}", 3600 },   { "{\"ttl\":90}", 90 },
        { "{\"ttl\":\"soon\"}", 2764800 }, { "{\"lease\":\"5m\"}", 300 },
        { "{\"ttl\":-5}", -5 },         { "{\"ttl\":[]}", 2764800 },
    };
    struct testing *t = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        testing_expect(t, OP_UPDATE, "ttl", cases[i].json, NULL);
        testing_expect(t, OP_READ, "ttl", NULL, NULL);
        assert_int_equal(t->resp.lease->ttl_s, cases[i].seconds);
    }
}

static void keys_and_folders_are_listed(void **state)
{
    struct testing *t = *state;

    testing_absent(t, OP_LIST, "");
    testing_expect(t, OP_UPDATE, "a", "{\"x\":1}", NULL);
    testing_expect(t, OP_UPDATE, "dir", "{\"x\":1}", NULL);
    testing_expect(t, OP_UPDATE, "dir/sub/c", "{\"x\":1}", NULL);
    testing_expect(t, OP_LIST, "", NULL, "{\"keys\":[\"a\",\"dir\",\"dir/\"]}");
    testing_expect(t, OP_LIST, "dir", NULL, "{\"keys\":[\"sub/\"]}");
    testing_expect(t, OP_LIST, "dir/", NULL, "{\"keys\":[\"sub/\"]}");
    testing_absent(t, OP_LIST, "a");
    testing_absent(t, OP_READ, "dir/");
    testing_expect(t, OP_DELETE, "dir/sub/c", NULL, "");
    testing_absent(t, OP_LIST, "dir");
    testing_expect(t, OP_DELETE, "none", NULL, "");
    testing_absent(t, OP_READ, "none");
}

static void a_write_without_fields_is_refused(void **state)
{
    testing_refuse(*state, OP_UPDATE, "a", "{}", ERR_BAD_REQUEST, "missing data fields");
    testing_refuse(*state, OP_UPDATE, "", "{\"a\":1}", ERR_BAD_REQUEST, "missing path");
    testing_absent(*state, OP_READ, "a");
}

static void what_is_stored_but_no_object_is_not_handed_out(void **state)
{
    testing_put(*state, "bad", STR("not json"));
    testing_refuse(*state, OP_READ, "bad", NULL, ERR_CORRUPT, "json decoding failed: not an object");
    testing_put(*state, "bad", STR("[1]"));
    testing_refuse(*state, OP_READ, "bad", NULL, ERR_CORRUPT, "json decoding failed: not an object");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_secret_reads_as_it_was_written, kv1, tear_down),
        cmocka_unit_test_setup_teardown(the_time_to_keep_it_comes_from_the_secret, kv1, tear_down),
        cmocka_unit_test_setup_teardown(keys_and_folders_are_listed, kv1, tear_down),
        cmocka_unit_test_setup_teardown(a_write_without_fields_is_refused, kv1, tear_down),
        cmocka_unit_test_setup_teardown(what_is_stored_but_no_object_is_not_handed_out, kv1,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
