/* What the tests of the raft log share: a log in a directory of its own, entries, its files. */
#ifndef STORAGE_RAFT_WAL_TEST_H
#define STORAGE_RAFT_WAL_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/raft/wal.h"

#define MIB ((size_t)1 << 20)
/* The layout on disk, as the tests know it. */
#define HEAD 128
#define RECORD 32

#define RIGGED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

struct rig {
    char dir[64];
    struct wal *w;
};

static inline void open_log(struct rig *rig)
{
    struct err err = { 0 };
    if (wal_open(rig->dir, &rig->w, &err) < 0)
        fail_msg("open: %s", err.msg);
}

static inline void reopen(struct rig *rig)
{
    wal_close(rig->w);
    rig->w = NULL;
    open_log(rig);
}

static inline int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    snprintf(rig->dir, sizeof rig->dir, "/tmp/coffer-wal-XXXXXX");
    if (mkdtemp(rig->dir) == NULL)
        return -1;
    open_log(rig);
    *state = rig;
    return 0;
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static inline int teardown(void **state)
{
    struct rig *rig = *state;
    wal_close(rig->w);
    nftw(rig->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(rig);
    return 0;
}

/* Entry ${index} of ${term}: its text says both, and is ${n} bytes long. */
static inline struct wal_entry entry_of(uint64_t index, uint64_t term, size_t n, struct buf *b)
{
    buf_clear(b);
    buf_printf(b, "entry %ju of term %ju ", (uintmax_t)index, (uintmax_t)term);
    while (b->n < n)
        buf_byte(b, (char)('a' + (b->n + index) % 26));
    return (struct wal_entry){ index, term, (uint8_t)(1 + index % 3), { b->p, n } };
}

static inline void append(struct rig *rig, uint64_t first, uint64_t last, uint64_t term, size_t n)
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

static inline void expect(struct rig *rig, uint64_t first, uint64_t last, uint64_t term, size_t n)
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

/* ---- the files ---- */

/* The ${nth} segment's path, or NULL. */
static inline const char *segment(const struct rig *rig, size_t nth)
{
    static char path[256];
    char pattern[80];
    glob_t g;
    snprintf(pattern, sizeof pattern, "%s/*.log", rig->dir);
    if (glob(pattern, 0, NULL, &g) != 0)
        return NULL;
    bool there = nth < g.gl_pathc;
    if (there)
        snprintf(path, sizeof path, "%s", g.gl_pathv[nth]);
    globfree(&g);
    return there ? path : NULL;
}

static inline size_t segments(const struct rig *rig)
{
    size_t n = 0;
    while (segment(rig, n) != NULL)
        n++;
    return n;
}

static inline const char *vote_path(const struct rig *rig)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/raft.db", rig->dir);
    return path;
}

static inline void put_bytes(const char *path, off_t at, const void *p, size_t n)
{
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, p, n, at), n);
    close(fd);
}

static inline void get_bytes(const char *path, off_t at, void *p, size_t n)
{
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, p, n, at), n);
    close(fd);
}

static inline void flip_bit(const char *path, off_t at, int bit)
{
    char c;
    get_bytes(path, at, &c, 1);
    c = (char)(c ^ 1 << bit);
    put_bytes(path, at, &c, 1);
}

/* Put the file as it was: ${n} bytes, nothing behind. */
static inline void restore(const char *path, const void *p, size_t n)
{
    assert_int_equal(truncate(path, 0), 0);
    put_bytes(path, 0, p, n);
}

static inline void close_log(struct rig *rig)
{
    wal_close(rig->w);
    rig->w = NULL;
}

/* The log does not open; the text holds ${part}. */
static inline void expect_refusal(struct rig *rig, enum err_code code, const char *part)
{
    struct err err = { 0 };
    close_log(rig);
    if (wal_open(rig->dir, &rig->w, &err) == 0)
        fail_msg("opened, though: %s", part);
    rig->w = NULL;
    assert_int_equal(err.code, code);
    if (strstr(err.msg, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.msg, part);
}

static inline void expect_held(struct rig *rig, uint64_t first, uint64_t last)
{
    assert_int_equal(wal_first(rig->w), first);
    assert_int_equal(wal_last(rig->w), last);
    assert_int_equal(wal_term_of(rig->w, first - 1), 0);
    assert_int_equal(wal_term_of(rig->w, last + 1), 0);
}

static inline int append_one(struct rig *rig, uint64_t index, uint64_t term, size_t n,
                             struct err *err)
{
    AUTO(buf_free) struct buf b = { 0 };
    struct wal_entry e = entry_of(index, term, n, &b);
    return wal_append(rig->w, &e, 1, err);
}

/* Entries of one append, each with its own bytes. */
static inline int append_group(struct rig *rig, uint64_t first, size_t count, size_t n,
                               struct err *err)
{
    struct wal_entry *e = calloc(count, sizeof *e);
    struct buf *b = calloc(count, sizeof *b);
    for (size_t i = 0; i < count; i++)
        e[i] = entry_of(first + i, 1, n, &b[i]);
    int rc = wal_append(rig->w, e, count, err);
    for (size_t i = 0; i < count; i++)
        buf_free(&b[i]);
    free(b);
    free(e);
    return rc;
}

static inline void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes == 0 ? limit.rlim_max : bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

#endif
