/* Driver_test: a store of each kind to test, and short hands for what tests ask of it. */
#ifndef STORAGE_DRIVER_TEST_H
#define STORAGE_DRIVER_TEST_H

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

#include "storage/driver.h"
#include "storage/lmdb_state.h"

/* A driver under test and what is known of it. */
struct kind {
    const struct storage_driver *driver;
    bool durable;   /* survives closing */
    bool any_key;   /* keys of any length, with empty segments too */
    bool snapshots; /* a page of a listing is of one moment */
};

/* The state store, opened as if it were a driver. */
static inline int open_state(const struct storage_option *options, size_t n, struct storage **out,
                             struct err *err)
{
    char file[4096] = "";
    for (size_t i = 0; i < n; i++)
        if (str_is(options[i].name, "path") && options[i].value.n > 0)
            snprintf(file, sizeof file, STR_FMT "/vault.db", STR_ARG(options[i].value));
    struct lmdb_state_options o = { .file = str_of(file), .log_retention = 100 };
    return lmdb_state_open(&o, out, err);
}

static const struct storage_driver state_driver = { "lmdb_state", open_state };

static const struct kind kinds[] = {
    { &storage_inmem, false, true, true },
    { &storage_file, true, false, false },
    { &storage_lmdb, true, true, true },
    { &state_driver, true, true, true },
};

struct rig {
    const struct kind *kind;
    char dir[64];
    struct storage *s;
};

/* ---- randomness: xorshift from a printed seed ---- */

static uint64_t seed __attribute__((unused));

static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static inline uint32_t below(uint64_t *state, uint32_t bound)
{
    return (uint32_t)((next_random(state) >> 20) % bound);
}

/* ---- opening ---- */

static inline int try_open(const struct kind *kind, const char *dir, struct storage **s, struct err *err)
{
    struct storage_option options[] = { { STR("path"), str_of(dir) },
                                        { STR("log_retention"), STR("100") } };
    return kind->driver->open(options, kind->durable ? 2 : 0, s, err);
}

static inline void open_store(struct rig *rig)
{
    struct err err = { 0 };
    if (try_open(rig->kind, rig->dir, &rig->s, &err) < 0)
        fail_msg("open: %s", err.msg);
}

static inline void close_store(struct rig *rig)
{
    storage_close(rig->s);
    rig->s = NULL;
}

static inline int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    rig->kind = *state;
    snprintf(rig->dir, sizeof rig->dir, "/tmp/coffer-storage-XXXXXX");
    if (mkdtemp(rig->dir) == NULL)
        return -1;
    open_store(rig);
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
    storage_close(rig->s);
    nftw(rig->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(rig);
    return 0;
}

/* ---- short hands ---- */

static inline void put(struct rig *rig, struct str key, struct str value)
{
    struct err err = { 0 };
    if (storage_put(rig->s, key, value, &err) < 0)
        fail_msg("put: %s", err.msg);
}

static inline void del(struct rig *rig, struct str key)
{
    struct err err = { 0 };
    if (storage_delete(rig->s, key, &err) < 0)
        fail_msg("delete: %s", err.msg);
}

static inline void expect(struct rig *rig, struct str key, struct str value)
{
    AUTO(buf_free) struct buf got = { 0 };
    struct err err = { 0 };
    int found = storage_get(rig->s, key, &got, &err);
    if (found != 1)
        fail_msg("get " STR_FMT ": %d %s", STR_ARG(str_head(key, 100)), found, err.msg);
    assert_int_equal(got.n, value.n);
    if (value.n > 0)
        assert_memory_equal(got.p, value.p, value.n);
}

static inline void expect_absent(struct rig *rig, struct str key)
{
    AUTO(buf_free) struct buf got = { 0 };
    struct err err = { 0 };
    assert_int_equal(storage_get(rig->s, key, &got, &err), 0);
    assert_int_equal(got.n, 0);
}

/* Collects names with a space after each; stops after ${stop} of them (0: never). */
struct seen {
    struct buf text;
    size_t n, stop;
    struct buf last;
};

static inline int see(void *ctx, struct str name)
{
    struct seen *seen = ctx;
    buf_add(&seen->text, name);
    buf_byte(&seen->text, ' ');
    buf_clear(&seen->last);
    buf_add(&seen->last, name);
    return ++seen->n == seen->stop;
}

static inline void seen_free(struct seen *seen)
{
    buf_free(&seen->text);
    buf_free(&seen->last);
}

static inline void expect_list(struct rig *rig, const char *prefix, const char *after, const char *names)
{
    AUTO(seen_free) struct seen seen = { 0 };
    struct err err = { 0 };
    assert_int_equal(storage_list(rig->s, str_of(prefix), str_of(after), see, &seen, &err), 0);
    buf_byte(&seen.text, 0);
    assert_string_equal(seen.text.p, names);
}

static inline void expect_refused(struct rig *rig, struct str key)
{
    struct err err = { 0 };
    assert_int_equal(storage_put(rig->s, key, STR("x"), &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    assert_true(err.msg[0] != 0);
}

/* "logical/<uuid>/" of mount ${i}, and "<uuid>/" within it unless ${inner} is negative. */
static inline void under_mount(struct buf *key, uint32_t i, int inner)
{
    buf_printf(key, "%s/%08x-1111-2222-3333-444444444444/", i % 4 == 3 ? "auth" : "logical",
               i * 2654435761u);
    if (inner >= 0)
        buf_printf(key, "%08x-5555-6666-7777-888888888888/", (unsigned)inner * 40503u);
}

static inline void long_tail(struct buf *key)
{
    for (int i = 0; i < 10; i++)
        buf_add(key, STR("0123456789012345678901234567890123456789012345678/"));
}

#endif
