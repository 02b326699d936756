/* Tests of libarchive: loading the library, or not. */
#include "storage/raft/libarchive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void the_library_gives_all_that_is_used(void **state)
{
    struct libarchive la;
    struct err err = { 0 };
    assert_int_equal(libarchive_load(LIBARCHIVE_SONAME, &la, &err), 0);
    struct archive *tar = la.write_new_fn();
    assert_non_null(tar);
    assert_int_equal(la.write_free_fn(tar), 0);
}

static void a_library_that_is_absent_is_named(void **state)
{
    struct libarchive la;
    struct err err = { 0 };
    assert_int_equal(libarchive_load("libarchive-absent.so.13", &la, &err), -1);
    assert_int_equal(err.code, ERR_INTERNAL);
    assert_non_null(strstr(err.msg, "snapshots need libarchive: libarchive-absent.so.13"));
}

static void another_library_under_its_name_is_refused(void **state)
{
    struct libarchive la;
    struct err err = { 0 };
    assert_int_equal(libarchive_load("libz.so.1", &la, &err), -1);
    assert_int_equal(err.code, ERR_INTERNAL);
    assert_non_null(strstr(err.msg, "libarchive lacks archive_"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_library_gives_all_that_is_used),
        cmocka_unit_test(a_library_that_is_absent_is_named),
        cmocka_unit_test(another_library_under_its_name_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
