/* Tests of the migration's lock where no journey comes to: a member without its store. */
#include "server/migration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ftw.h>

#include <cmocka.h>

#include "storage/lmdb_state.h"
#include "storage/raft/mark.h"
#include "storage/raft/raftstore.h"

struct place {
    char dir[48];
    struct storage_option options[2];
    struct storage *s;
};

static void place_init(struct place *p)
{
    *p = (struct place){ .dir = "/tmp/migration-test-XXXXXX" };
    assert_non_null(mkdtemp(p->dir));
    p->options[0] = (struct storage_option){ STR_INIT("path"), str_of(p->dir) };
    p->options[1] = (struct storage_option){ STR_INIT("node_id"), STR_INIT("one") };
}

/* The log's segments are named by what is in them. */
static int drop_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    return remove(path);
}

static void place_fini(struct place *p)
{
    storage_close(p->s);
    assert_int_equal(nftw(p->dir, drop_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* The store of a member whose log and store contradict the cluster's. */
static void write_void(const struct place *p)
{
    AUTO(buf_free) struct buf text = { 0 };
    const struct mark m = { .invalid = true };
    struct err err = { 0 };
    struct storage *state;
    char file[80];
    snprintf(file, sizeof file, "%s/vault.db", p->dir);
    struct lmdb_state_options o = { .file = str_of(file), .log_retention = 10 };
    assert_int_equal(lmdb_state_open(&o, &state, &err), 0);
    assert_int_equal(mark_encode(&m, &text, &err), 0);
    assert_int_equal(lmdb_state_apply(state, NULL, 0, buf_str(&text), &err), 0);
    storage_close(state);
}

static void a_member_that_waits_for_its_store_may_be_started(void **state)
{
    AUTO(place_fini) struct place p;
    AUTO(buf_free) struct buf value = { 0 };
    struct err err = { 0 };
    place_init(&p);
    write_void(&p);
    assert_int_equal(storage_raft.open(p.options, 2, &p.s, &err), 0);
    assert_int_equal(storage_get(p.s, MIGRATION_LOCK, &value, &err), -1);
    err = (struct err){ 0 };
    assert_int_equal(migration_check(p.s, &err), 0);
    assert_int_equal(err.code, ERR_NONE);
}

static void a_lock_says_since_when_and_what_to_do(void **state)
{
    AUTO(place_fini) struct place p;
    struct err err = { 0 };
    place_init(&p);
    assert_int_equal(storage_raft.open(p.options, 2, &p.s, &err), 0);
    assert_int_equal(raftstore_set_network(raftstore_of(p.s), NULL, STR("a:1"), &err), 0);
    assert_int_equal(migration_check(p.s, &err), 0);
    assert_int_equal(storage_put(p.s, MIGRATION_LOCK, STR("{\"start\":\"yesterday\"}"), &err), 0);
    assert_int_equal(migration_check(p.s, &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_non_null(strstr(err.msg, "started: yesterday"));
    assert_non_null(strstr(err.msg, "'operator migrate -reset'"));
}

static void a_lock_that_cannot_be_read_is_one(void **state)
{
    struct err err = { 0 };
    assert_int_equal(migration_locked(STR("no json"), &err), -1);
    assert_non_null(strstr(err.msg, "started: unknown"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_that_waits_for_its_store_may_be_started),
        cmocka_unit_test(a_lock_says_since_when_and_what_to_do),
        cmocka_unit_test(a_lock_that_cannot_be_read_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
