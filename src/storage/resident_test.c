/* What is given back of a mapped file, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "storage/resident.h"

enum { SIZE = 32 << 20, LIMIT = 8 << 20 };

/* A file of ones, mapped. */
struct rig {
    int fd;
    unsigned char *map;
};

static void rig_open(struct rig *rig, int flags)
{
    char path[] = "/tmp/coffer-resident-XXXXXX";
    static unsigned char block[1 << 16];
    rig->fd = mkstemp(path);
    assert_true(rig->fd >= 0);
    unlink(path);
    memset(block, 1, sizeof block);
    for (size_t i = 0; i < SIZE / sizeof block; i++)
        assert_int_equal(write(rig->fd, block, sizeof block), sizeof block);
    rig->map = mmap(NULL, SIZE, PROT_READ, flags, rig->fd, 0);
    assert_ptr_not_equal(rig->map, MAP_FAILED);
}

static void rig_close(struct rig *rig)
{
    munmap(rig->map, SIZE);
    close(rig->fd);
}

static size_t sum(const struct rig *rig, size_t bytes)
{
    size_t n = 0;
    for (size_t i = 0; i < bytes; i += 4096)
        n += rig->map[i];
    return n;
}

static size_t mapped_bytes(void)
{
    unsigned long shared = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%*u %*u %lu", &shared), 1);
    fclose(f);
    return shared * 4096;
}

static void pages_beyond_the_limit_are_given_back_and_read_again(void **state)
{
    struct rig rig;
    struct resident r;
    rig_open(&rig, MAP_SHARED);
    resident_find(&r, rig.fd);
    assert_ptr_equal(r.map, rig.map);
    assert_int_equal(sum(&rig, SIZE), SIZE / 4096);
    size_t before = mapped_bytes();
    resident_check(&r, LIMIT);
    assert_true(mapped_bytes() + SIZE / 2 < before);
    assert_int_equal(sum(&rig, SIZE), SIZE / 4096);
    rig_close(&rig);
}

static void pages_within_the_limit_stay(void **state)
{
    struct rig rig;
    struct resident r;
    rig_open(&rig, MAP_SHARED);
    resident_find(&r, rig.fd);
    sum(&rig, LIMIT / 2);
    size_t before = mapped_bytes();
    resident_check(&r, LIMIT);
    assert_true(mapped_bytes() + LIMIT / 4 > before);
    rig_close(&rig);
}

static void a_private_mapping_is_left_alone(void **state)
{
    struct rig rig;
    struct resident r;
    rig_open(&rig, MAP_PRIVATE);
    resident_find(&r, rig.fd);
    assert_null(r.map);
    resident_check(&r, 0);
    assert_int_equal(sum(&rig, SIZE), SIZE / 4096);
    rig_close(&rig);
}

static void a_file_that_is_not_open_has_no_map(void **state)
{
    struct resident r;
    resident_find(&r, -1);
    assert_null(r.map);
    resident_check(&r, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_beyond_the_limit_are_given_back_and_read_again),
        cmocka_unit_test(pages_within_the_limit_stay),
        cmocka_unit_test(a_private_mapping_is_left_alone),
        cmocka_unit_test(a_file_that_is_not_open_has_no_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
