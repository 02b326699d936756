/* Tests of lmdb_peek: what it sees, and that it leaves no trace. */
#include "storage/lmdb_peek.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "storage/lmdb_state.h"

struct place {
    char dir[40], file[64];
};

static void place_init(struct place *p)
{
    *p = (struct place){ .dir = "/tmp/lmdb-peek-XXXXXX" };
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->file, sizeof p->file, "%s/vault.db", p->dir);
}

static void place_fini(struct place *p)
{
    static const char *const endings[] = { "", "-lock", "-owner" };
    char name[80];
    for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
        snprintf(name, sizeof name, "%s%s", p->file, endings[i]);
        unlink(name);
    }
    assert_int_equal(rmdir(p->dir), 0); /* nothing else has come */
}

static struct storage *filled(const struct place *p)
{
    struct storage *s;
    struct err err = { 0 };
    struct lmdb_state_options o = { .file = str_of(p->file), .log_retention = 10 };
    struct storage_op op = { STORAGE_PUT, STR("a/key"), STR("value") };
    struct lmdb_batch batch = { &op, 1 };
    assert_int_equal(lmdb_state_open(&o, &s, &err), 0);
    assert_int_equal(lmdb_state_apply(s, &batch, 1, STR("the mark"), &err), 0);
    return s;
}

static int peek(const struct place *p, const char *key, struct buf *mark, struct buf *value,
                struct err *err)
{
    *err = (struct err){ 0 };
    return lmdb_peek(p->file, str_of(key), mark, value, err);
}

static void mark_and_value_are_seen(void **state)
{
    AUTO(place_fini) struct place p;
    AUTO(buf_free) struct buf mark = { 0 }, value = { 0 };
    struct err err;
    place_init(&p);
    storage_close(filled(&p));
    assert_int_equal(peek(&p, "a/key", &mark, &value, &err), 1);
    assert_true(str_is(buf_str(&mark), "the mark"));
    assert_true(str_is(buf_str(&value), "value"));
    buf_clear(&value);
    assert_int_equal(peek(&p, "a/other", &mark, &value, &err), 1);
    assert_int_equal(value.n, 0);
}

static void files_stay_as_they_are(void **state)
{
    AUTO(place_fini) struct place p;
    AUTO(buf_free) struct buf mark = { 0 }, value = { 0 };
    struct stat before, after;
    struct err err;
    place_init(&p);
    storage_close(filled(&p));
    char lock[80];
    snprintf(lock, sizeof lock, "%s-lock", p.file);
    unlink(lock);
    assert_int_equal(stat(p.dir, &before), 0);
    assert_int_equal(chmod(p.file, 0400), 0);
    assert_int_equal(peek(&p, "a/key", &mark, &value, &err), 1);
    assert_int_not_equal(access(lock, F_OK), 0);
    assert_int_equal(stat(p.dir, &after), 0);
    assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof before.st_mtim);
}

static void nothing_there_is_no_store(void **state)
{
    AUTO(place_fini) struct place p;
    AUTO(buf_free) struct buf mark = { 0 }, value = { 0 };
    struct err err;
    place_init(&p);
    assert_int_equal(peek(&p, "a/key", &mark, &value, &err), 0);
    fclose(fopen(p.file, "we"));
    assert_int_equal(peek(&p, "a/key", &mark, &value, &err), 0);
}

static void an_open_store_is_in_use(void **state)
{
    AUTO(place_fini) struct place p;
    AUTO(buf_free) struct buf mark = { 0 }, value = { 0 };
    struct err err;
    place_init(&p);
    struct storage *s = filled(&p);
    assert_int_equal(peek(&p, "a/key", &mark, &value, &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    storage_close(s);
    assert_int_equal(peek(&p, "a/key", &mark, &value, &err), 1);
}

static void another_file_is_refused(void **state)
{
    static const char *const texts[] = { "not a database at all, but a long enough text",
                                         "0123456789abcdef\xed\xda\x0c\xed and then some" };
    static const char *const says[] = { "is no LMDB database", "is a BoltDB file" };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        AUTO(place_fini) struct place p;
        AUTO(buf_free) struct buf mark = { 0 }, value = { 0 };
        struct err err;
        place_init(&p);
        FILE *f = fopen(p.file, "we");
        fputs(texts[i], f);
        fclose(f);
        assert_int_equal(peek(&p, "a/key", &mark, &value, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
        assert_non_null(strstr(err.msg, says[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mark_and_value_are_seen),   cmocka_unit_test(files_stay_as_they_are),
        cmocka_unit_test(nothing_there_is_no_store), cmocka_unit_test(an_open_store_is_in_use),
        cmocka_unit_test(another_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
