/* Tests of what the active node writes down for its standbys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/advert.h"
#include "storage/driver.h"

struct fixture {
    struct storage *plain, *physical;
};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof *f);
    assert_int_equal(storage_inmem.open(NULL, 0, &f->plain, NULL), 0);
    assert_int_equal(storage_inmem.open(NULL, 0, &f->physical, NULL), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    storage_close(f->plain);
    storage_close(f->physical);
    test_free(f);
    return 0;
}

static void write_down(struct fixture *f, const char *id)
{
    struct advert mine;
    struct err err = { 0 };
    advert_fill(&mine, str_of(id), STR("http://api"), STR("host:8201"));
    assert_int_equal(advert_write(f->plain, f->physical, &mine, &err), 0);
}

static int count_name(void *ctx, struct str name)
{
    ++*(int *)ctx;
    return 0;
}

static void what_was_written_is_read(void **state)
{
    struct fixture *f = *state;
    struct advert found;
    struct err err = { 0 };
    write_down(f, "n1");
    assert_int_equal(advert_read(f->plain, f->physical, &found, &err), 1);
    assert_string_equal(found.id, "n1");
    assert_string_equal(found.api_addr, "http://api");
    assert_string_equal(found.cluster_addr, "host:8201");
}

static void a_new_one_takes_the_place_of_all_earlier_ones(void **state)
{
    struct fixture *f = *state;
    struct advert found;
    struct err err = { 0 };
    int n = 0;
    write_down(f, "n1");
    write_down(f, "n2");
    write_down(f, "n3");
    assert_int_equal(advert_read(f->plain, f->physical, &found, &err), 1);
    assert_string_equal(found.id, "n3");
    assert_int_equal(storage_list(f->plain, STR("core/leader/"), STR(""), count_name, &n, &err), 0);
    assert_int_equal(n, 1);
}

static void nobody_has_written_one_yet(void **state)
{
    struct fixture *f = *state;
    struct advert found;
    struct err err = { 0 };
    assert_int_equal(advert_read(f->plain, f->physical, &found, &err), 0);
    assert_int_equal(storage_put(f->physical, STR("core/lock"), STR("gone"), &err), 0);
    assert_int_equal(advert_read(f->plain, f->physical, &found, &err), 0);
}

static void a_damaged_one_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct advert found;
    struct err err = { 0 };
    assert_int_equal(storage_put(f->physical, STR("core/lock"), STR("x"), &err), 0);
    assert_int_equal(storage_put(f->plain, STR("core/leader/x"), STR("{"), &err), 0);
    assert_int_equal(advert_read(f->plain, f->physical, &found, &err), -1);
}

static void one_of_vaults_names_its_addresses(void **state)
{
    struct fixture *f = *state;
    struct advert found;
    struct err err = { 0 };
    assert_int_equal(storage_put(f->physical, STR("core/lock"), STR("x"), &err), 0);
    assert_int_equal(storage_put(f->plain, STR("core/leader/x"),
                                 STR("{\"redirect_addr\":\"https://a\",\"cluster_addr\":"
                                     "\"https://b\",\"cluster_cert\":null}"), &err), 0);
    assert_int_equal(advert_read(f->plain, f->physical, &found, &err), 1);
    assert_string_equal(found.api_addr, "https://a");
    assert_string_equal(found.id, "");
}

static void an_address_too_long_is_cut(void **state)
{
    struct advert a;
    char text[HA_NAME_MAX * 2];
    memset(text, 'x', sizeof text);
    advert_fill(&a, str_mem(text, sizeof text), STR(""), STR(""));
    assert_int_equal(strlen(a.id), HA_NAME_MAX - 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_written_is_read),
        TEST(a_new_one_takes_the_place_of_all_earlier_ones),
        TEST(nobody_has_written_one_yet),
        TEST(a_damaged_one_is_an_error),
        TEST(one_of_vaults_names_its_addresses),
        cmocka_unit_test(an_address_too_long_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
