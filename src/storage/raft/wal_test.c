/* The raft log on disk: what a restart finds after crashes, damage and full disks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/raft/wal.h"

struct rig {
    char dir[64];
    struct wal *w;
};

static void open_log(struct rig *rig)
{
    struct err err = { 0 };
    if (wal_open(rig->dir, &rig->w, &err) < 0)
        fail_msg("open: %s", err.msg);
}

static void reopen(struct rig *rig)
{
    wal_close(rig->w);
    rig->w = NULL;
    open_log(rig);
}

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    snprintf(rig->dir, sizeof rig->dir, "/tmp/coffer-wal-XXXXXX");
    if (mkdtemp(rig->dir) == NULL)
        return -1;
    open_log(rig);
    *state = rig;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static int teardown(void **state)
{
    struct rig *rig = *state;
    wal_close(rig->w);
    nftw(rig->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(rig);
    return 0;
}

/* Entry ${index} of ${term}: its text says both, and is ${n} bytes long. */
static struct wal_entry entry_of(uint64_t index, uint64_t term, size_t n, struct buf *b)
{
    buf_clear(b);
    buf_printf(b, "entry %ju of term %ju ", (uintmax_t)index, (uintmax_t)term);
    while (b->n < n)
        buf_byte(b, (char)('a' + (b->n + index) % 26));
    return (struct wal_entry){ index, term, (uint8_t)(1 + index % 3), { b->p, n } };
}

static void append(struct rig *rig, uint64_t first, uint64_t last, uint64_t term, size_t n)
{
    AUTO(buf_free) struct buf b = { 0 };
    struct err err = { 0 };
    for (uint64_t i = first; i <= last; i++) {
        struct wal_entry e = entry_of(i, term, n, &b);
        if (wal_append(rig->w, &e, 1, &err) < 0)
            fail_msg("append: %s", err.msg);
    }
    if (wal_sync(rig->w, &err) < 0)
        fail_msg("sync: %s", err.msg);
}

static void expect(struct rig *rig, uint64_t first, uint64_t last, uint64_t term, size_t n)
{
    for (uint64_t i = first; i <= last; i++) {
        AUTO(buf_free) struct buf b = { 0 }, got = { 0 };
        struct wal_entry want = entry_of(i, term, n, &b), e;
        struct err err = { 0 };
        if (wal_read(rig->w, i, &e, &got, &err) != 1)
            fail_msg("read %ju: %s", (uintmax_t)i, err.msg);
        assert_int_equal(wal_term_of(rig->w, i), term);
        assert_int_equal(e.term, term);
        assert_int_equal(e.type, want.type);
        assert_true(str_eq(e.data, want.data));
    }
}

static void entries_are_there_after_a_restart(void **state)
{
    struct rig *rig = *state;
    append(rig, 1, 300, 3, 300);
    expect(rig, 1, 300, 3, 300);
    reopen(rig);
    assert_int_equal(wal_first(rig->w), 1);
    assert_int_equal(wal_last(rig->w), 300);
    expect(rig, 1, 300, 3, 300);
    append(rig, 301, 310, 4, 300);
    reopen(rig);
    expect(rig, 1, 300, 3, 300);
    expect(rig, 301, 310, 4, 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(entries_are_there_after_a_restart, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
