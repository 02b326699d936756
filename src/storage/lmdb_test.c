/* What only the embedded store has: log, hash tree, a map that grows, groups of long keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/digest.h"
#include "storage/driver.h"
#include "storage/lmdb_log.h"
#include "storage/lmdb_val.h"

struct rig {
    char dir[64];
    struct storage *s;
};

static int try_open(struct rig *rig, const char *map_size, const char *retention, struct err *err)
{
    struct storage_option options[] = { { STR("path"), str_of(rig->dir) },
                                        { STR("map_size"), str_of(map_size) },
                                        { STR("log_retention"), str_of(retention) } };
    return storage_lmdb.open(options, 3, &rig->s, err);
}

static void open_store(struct rig *rig, const char *map_size, const char *retention)
{
    struct err err = { 0 };
    storage_close(rig->s);
    rig->s = NULL;
    if (try_open(rig, map_size, retention, &err) < 0)
        fail_msg("open: %s", err.msg);
}

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    snprintf(rig->dir, sizeof rig->dir, "/tmp/coffer-lmdb-XXXXXX");
    if (mkdtemp(rig->dir) == NULL)
        return -1;
    open_store(rig, "1073741824", "50");
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
    storage_close(rig->s);
    nftw(rig->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(rig);
    return 0;
}

static void put(struct rig *rig, struct str key, struct str value)
{
    struct err err = { 0 };
    if (storage_put(rig->s, key, value, &err) < 0)
        fail_msg("put: %s", err.msg);
}

static uint64_t applied(struct rig *rig)
{
    uint64_t n;
    struct err err = { 0 };
    assert_int_equal(lmdb_log_applied(rig->s, &n, &err), 0);
    return n;
}

/* Entries as text: "sequence kind class key;" and '.' after the last of a batch. */
static int tell(void *ctx, const struct lmdb_log_entry *e)
{
    buf_printf(ctx, "%llu %s %d " STR_FMT "%s;", (unsigned long long)e->sequence,
               e->kind == STORAGE_PUT ? "put" : "del", (int)e->keyclass, STR_ARG(e->key),
               e->last ? "." : "");
    return 0;
}

static void the_log_tells_each_operation_in_order(void **state)
{
    struct rig *rig = *state;
    AUTO(buf_free) struct buf b = { 0 };
    struct err err = { 0 };
    put(rig, STR("logical/x"), STR("1"));
    struct storage_op ops[] = { { STORAGE_PUT, STR("sys/token/id/h1"), STR("2") },
                                { STORAGE_DELETE, STR("logical/x"), STR("") },
                                { STORAGE_PUT, STR("core/lock"), STR("3") } };
    assert_int_equal(storage_commit(rig->s, ops, 3, &err), 0);
    assert_int_equal(applied(rig), 4);
    assert_int_equal(lmdb_log_each(rig->s, 1, tell, &b, &err), 0);
    assert_true(str_eq(buf_str(&b), STR("1 put 0 logical/x.;2 put 1 sys/token/id/h1;"
                                        "3 del 0 logical/x;4 put 2 core/lock.;")));
}

static int keep_hash(void *ctx, const struct lmdb_log_entry *e)
{
    memcpy(ctx, e->hash, sizeof e->hash);
    return 0;
}

static void the_log_holds_the_hash_of_the_value(void **state)
{
    struct rig *rig = *state;
    uint8_t want[DIGEST_MAX], got[HASHTREE_HASH];
    struct err err = { 0 };
    put(rig, STR("k"), STR("the value"));
    assert_int_equal(digest_of(DIGEST_SHA256, STR("the value"), want, &err), 0);
    assert_int_equal(lmdb_log_each(rig->s, 1, keep_hash, got, &err), 0);
    assert_memory_equal(got, want, sizeof got);
}

static void the_log_keeps_as_many_as_it_was_told(void **state)
{
    struct rig *rig = *state;
    AUTO(buf_free) struct buf b = { 0 };
    struct err err = { 0 };
    for (int i = 0; i < 60; i++)
        put(rig, STR("k"), STR("v"));
    assert_int_equal(lmdb_log_each(rig->s, 10, tell, &b, &err), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_int_equal(lmdb_log_each(rig->s, 11, tell, &b, &err), 0);
    assert_true(str_starts(buf_str(&b), STR("11 put 0 k.;12 ")));
    assert_true(str_ends(buf_str(&b), STR(";60 put 0 k.;")));
}

static void past_its_end_the_log_is_empty_or_an_error(void **state)
{
    struct rig *rig = *state;
    AUTO(buf_free) struct buf b = { 0 };
    struct err err = { 0 };
    assert_int_equal(lmdb_log_each(rig->s, 1, tell, &b, &err), 0);
    put(rig, STR("k"), STR("v"));
    assert_int_equal(lmdb_log_each(rig->s, 2, tell, &b, &err), 0);
    assert_int_equal(b.n, 0);
    assert_int_equal(lmdb_log_each(rig->s, 3, tell, &b, &err), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_int_equal(lmdb_log_each(rig->s, 0, tell, &b, &err), -1);
}

static void a_refused_batch_is_not_in_the_log(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    struct storage_op ops[] = { { STORAGE_PUT, STR("a"), STR("1") },
                                { STORAGE_PUT, STR(""), STR("2") } };
    assert_int_equal(storage_commit(rig->s, ops, 2, &err), -1);
    assert_int_equal(applied(rig), 0);
    assert_int_equal(lmdb_log_verify(rig->s, &err), 0);
}

static void the_sequence_goes_on_after_reopening(void **state)
{
    struct rig *rig = *state;
    AUTO(buf_free) struct buf b = { 0 };
    struct err err = { 0 };
    put(rig, STR("a"), STR("1"));
    put(rig, STR("b"), STR("1"));
    open_store(rig, "1073741824", "50");
    assert_int_equal(applied(rig), 2);
    put(rig, STR("c"), STR("1"));
    assert_int_equal(lmdb_log_each(rig->s, 2, tell, &b, &err), 0);
    assert_true(str_eq(buf_str(&b), STR("2 put 0 b.;3 put 0 c.;")));
}

static void without_retention_no_log_is_kept_but_the_count_goes_on(void **state)
{
    struct rig *rig = *state;
    AUTO(buf_free) struct buf b = { 0 };
    struct err err = { 0 };
    put(rig, STR("a"), STR("1"));
    open_store(rig, "1073741824", "0");
    put(rig, STR("b"), STR("1"));
    assert_int_equal(applied(rig), 2);
    assert_int_equal(lmdb_log_each(rig->s, 1, tell, &b, &err), -1);
    assert_int_equal(lmdb_log_each(rig->s, 2, tell, &b, &err), -1);
    assert_int_equal(lmdb_log_each(rig->s, 3, tell, &b, &err), 0);
}

/* ---- the tree ---- */

/* Key ${i} of a set with short and long ones, and some of mounts. */
static struct str some_key(struct buf *b, unsigned i)
{
    buf_clear(b);
    if (i % 3 == 0)
        while (b->n < 600)
            buf_add(b, STR("0123456789/"));
    if (i % 3 == 1)
        buf_printf(b, "logical/%08x-1111-2222-3333-444444444444/", i / 3 % 4);
    if (i % 3 == 1 && i % 2 == 0)
        buf_add(b, STR("0a000000-1111-2222-3333-444444444444/"));
    buf_printf(b, "k%u", i);
    return buf_str(b);
}

static void change_at_random(struct rig *rig, uint32_t rounds)
{
    AUTO(buf_free) struct buf key = { 0 };
    struct err err = { 0 };
    for (uint32_t i = 0; i < rounds; i++) {
        uint32_t r = i * 2654435761u >> 8;
        struct str k = some_key(&key, r % 40);
        if (r % 7 < 2)
            assert_int_equal(storage_delete(rig->s, k, &err), 0);
        else
            put(rig, k, str_mem(&i, sizeof i));
    }
}

static void leaf_sums_agree_with_a_full_scan(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    change_at_random(rig, 300);
    if (lmdb_log_verify(rig->s, &err) < 0)
        fail_msg("%s", err.msg);
    open_store(rig, "1073741824", "50");
    change_at_random(rig, 100);
    assert_int_equal(lmdb_log_verify(rig->s, &err), 0);
}

static void leaf_sums_depend_on_what_is_there_alone(void **state)
{
    struct rig *rig = *state;
    struct hashtree *before = calloc(1, sizeof *before), *after = calloc(1, sizeof *after);
    uint64_t at;
    struct err err = { 0 };
    put(rig, STR("a"), STR("1"));
    assert_int_equal(lmdb_log_leaves(rig->s, before, &at, &err), 0);
    assert_int_equal(at, 1);
    put(rig, STR("a"), STR("2"));
    assert_int_equal(lmdb_log_leaves(rig->s, after, &at, &err), 0);
    assert_memory_not_equal(before, after, sizeof *before);
    struct storage_op ops[] = { { STORAGE_PUT, STR("b"), STR("1") },
                                { STORAGE_PUT, STR("a"), STR("3") },
                                { STORAGE_DELETE, STR("b"), STR("") },
                                { STORAGE_PUT, STR("a"), STR("1") } };
    assert_int_equal(storage_commit(rig->s, ops, 4, &err), 0);
    assert_int_equal(lmdb_log_leaves(rig->s, after, &at, &err), 0);
    assert_memory_equal(before, after, sizeof *before);
    free(before);
    free(after);
}

static void another_storage_has_no_log(void **state)
{
    struct storage *s;
    uint64_t n;
    struct err err = { 0 };
    assert_int_equal(storage_inmem.open(NULL, 0, &s, &err), 0);
    assert_int_equal(lmdb_log_applied(s, &n, &err), -1);
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    assert_int_equal(lmdb_log_verify(s, &err), -1);
    storage_close(s);
}

/* Change the store's tables behind its back. */
static void tamper(struct rig *rig, const char *table, struct str key, struct str value)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_val k = lmdb_val(key), v = lmdb_val(value);
    storage_close(rig->s);
    rig->s = NULL;
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 8), 0);
    assert_int_equal(mdb_env_open(env, rig->dir, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, table, 0, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void an_older_format_is_refused(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    put(rig, STR("a"), STR("1"));
    tamper(rig, NULL, STR("format"), STR("\2"));
    assert_int_equal(try_open(rig, "1073741824", "50", &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "open tables"));
}

static void a_prefix_without_a_key_is_found_out(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    put(rig, STR("auth/0a000000-1111-2222-3333-444444444444/x"), STR("1"));
    tamper(rig, "prefix", STR("auth/0b000000-1111-2222-3333-444444444444/"), STR("\0\0\0\0\7"));
    open_store(rig, "1073741824", "50");
    assert_int_equal(lmdb_log_verify(rig->s, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
}

static void a_key_without_its_prefix_is_found_out(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    put(rig, STR("auth/0a000000-1111-2222-3333-444444444444/x"), STR("1"));
    tamper(rig, "inner", STR("\0\0\0\0\7x"), STR("\0\0\0\0\0\0\0\0"));
    open_store(rig, "1073741824", "50");
    assert_int_equal(lmdb_log_verify(rig->s, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
}

/* ---- the map ---- */

struct reading {
    struct storage *s;
    atomic_bool stop;
    atomic_int wrong;
};

static void *read_on(void *ctx)
{
    struct reading *r = ctx;
    while (!atomic_load(&r->stop)) {
        AUTO(buf_free) struct buf b = { 0 };
        struct err err = { 0 };
        if (storage_get(r->s, STR("stays"), &b, &err) != 1 || !str_is(buf_str(&b), "here"))
            atomic_fetch_add(&r->wrong, 1);
    }
    return NULL;
}

static void the_map_grows_under_its_readers(void **state)
{
    struct rig *rig = *state;
    static char big[512 << 10];
    struct err err = { 0 };
    open_store(rig, "1048576", "50");
    put(rig, STR("stays"), STR("here"));
    struct reading r = { .s = rig->s };
    pthread_t threads[3];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_create(&threads[i], NULL, read_on, &r);
    for (unsigned i = 0; i < 24; i++)
        put(rig, str_mem(&i, sizeof i), str_mem(big, sizeof big));
    atomic_store(&r.stop, true);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&r.wrong), 0);
    assert_int_equal(applied(rig), 25);
    assert_int_equal(lmdb_log_verify(rig->s, &err), 0);
}

static void it_opens_where_address_space_is_scarce(void **state)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* a sanitizer itself needs terabytes */
#else
    struct rig *rig = *state;
    storage_close(rig->s);
    rig->s = NULL;
    pid_t child = fork();
    if (child == 0) {
        struct rlimit tight = { 2ull << 30, 2ull << 30 };
        struct err err = { 0 };
        if (setrlimit(RLIMIT_AS, &tight) < 0)
            _exit(2);
        int rc = try_open(rig, "1099511627776", "50", &err);
        if (rc == 0)
            rc = storage_put(rig->s, STR("k"), STR("v"), &err);
        _exit(rc < 0);
    }
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
#endif
}

static void wrong_options_are_named(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    storage_close(rig->s);
    rig->s = NULL;
    assert_int_equal(try_open(rig, "much", "50", &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    assert_non_null(strstr(err.msg, "map_size"));
    assert_int_equal(try_open(rig, "1048576", "-1", &err), -1);
    assert_non_null(strstr(err.msg, "log_retention"));
}

/* ---- groups of long keys ---- */

struct order {
    struct buf last;
    size_t n, wrong;
};

static int in_order(void *ctx, struct str name)
{
    struct order *o = ctx;
    if (o->n++ > 0 && str_cmp(buf_str(&o->last), name) >= 0)
        o->wrong++;
    buf_clear(&o->last);
    buf_add(&o->last, name);
    return 0;
}

static void a_folder_of_many_long_keys_is_listed_in_order(void **state)
{
    struct rig *rig = *state;
    enum { N = 3000 };
    AUTO(buf_free) struct buf folder = { 0 }, keys = { 0 };
    struct storage_op *ops = calloc(N, sizeof *ops);
    struct err err = { 0 };
    while (folder.n < 700)
        buf_add(&folder, STR("a-rather-long-folder/"));
    buf_reserve(&keys, N * (folder.n + 16)); /* it must not move */
    for (unsigned i = 0; i < N; i++) {
        size_t at = keys.n;
        buf_add(&keys, buf_str(&folder));
        buf_printf(&keys, "%u%s", i * 2654435761u % 100000, i % 10 == 0 ? "/x" : "");
        ops[i] = (struct storage_op){ STORAGE_PUT, str_from(buf_str(&keys), at), STR("v") };
    }
    assert_int_equal(storage_commit(rig->s, ops, N, &err), 0);
    struct order o = { 0 };
    assert_int_equal(storage_list(rig->s, buf_str(&folder), STR(""), in_order, &o, &err), 0);
    assert_int_equal(o.wrong, 0);
    assert_true(o.n > N * 9 / 10 && o.n <= N);
    buf_free(&o.last);
    free(ops);
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(the_log_tells_each_operation_in_order),
        CASE(the_log_holds_the_hash_of_the_value),
        CASE(the_log_keeps_as_many_as_it_was_told),
        CASE(past_its_end_the_log_is_empty_or_an_error),
        CASE(a_refused_batch_is_not_in_the_log),
        CASE(the_sequence_goes_on_after_reopening),
        CASE(without_retention_no_log_is_kept_but_the_count_goes_on),
        CASE(leaf_sums_agree_with_a_full_scan),
        CASE(leaf_sums_depend_on_what_is_there_alone),
        CASE(an_older_format_is_refused),
        CASE(a_prefix_without_a_key_is_found_out),
        CASE(a_key_without_its_prefix_is_found_out),
        CASE(another_storage_has_no_log),
        CASE(the_map_grows_under_its_readers),
        CASE(it_opens_where_address_space_is_scarce),
        CASE(wrong_options_are_named),
        CASE(a_folder_of_many_long_keys_is_listed_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
