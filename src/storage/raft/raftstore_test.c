/* Storage "raft" on real directories, one node: restarts, compaction, restore, peers.json. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/driver.h"
#include "storage/raft/raftstore.h"

struct rig {
    char dir[64];
    struct storage *s;
    struct raftstore *r;
    pthread_mutex_t mu;
    pthread_cond_t changed;
    int replaced; /* under mu */
};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static int try_open(struct rig *rig, struct err *err)
{
    struct storage_option options[] = { { STR("path"), str_of(rig->dir) },
                                        { STR("node_id"), STR("one") },
                                        { STR("snapshot_threshold"), STR("50") },
                                        { STR("trailing_logs"), STR("10") } };
    int rc = storage_raft.open(options, ARRAY_LEN(options), &rig->s, err);
    rig->r = rc == 0 ? raftstore_of(rig->s) : NULL;
    return rc;
}

static void must(int rc, const struct err *err)
{
    if (rc < 0)
        fail_msg("%s", err->msg);
}

static void reopen(struct rig *rig)
{
    struct err err = { 0 };
    storage_close(rig->s);
    rig->s = NULL;
    must(try_open(rig, &err), &err);
}

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    pthread_mutex_init(&rig->mu, NULL);
    pthread_cond_init(&rig->changed, NULL);
    snprintf(rig->dir, sizeof rig->dir, "/tmp/coffer-raft-XXXXXX");
    if (mkdtemp(rig->dir) == NULL)
        return -1;
    reopen(rig);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;
    storage_close(rig->s);
    nftw(rig->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(rig);
    return 0;
}

static void put(struct rig *rig, const char *key, const char *value)
{
    struct err err = { 0 };
    must(storage_put(rig->s, str_of(key), str_of(value), &err), &err);
}

static void expect(struct rig *rig, const char *key, const char *value)
{
    AUTO(buf_free) struct buf b = { 0 };
    struct err err = { 0 };
    int found = storage_get(rig->s, str_of(key), &b, &err);
    must(found, &err);
    assert_int_equal(found, value != NULL);
    if (value != NULL) {
        assert_int_equal(b.n, strlen(value));
        assert_memory_equal(b.p, value, b.n);
    }
}

static void on_replaced(void *ctx)
{
    struct rig *rig = ctx;
    pthread_mutex_lock(&rig->mu);
    rig->replaced++;
    pthread_mutex_unlock(&rig->mu);
}

static void on_role(void *ctx)
{
    struct rig *rig = ctx;
    pthread_mutex_lock(&rig->mu);
    pthread_cond_broadcast(&rig->changed);
    pthread_mutex_unlock(&rig->mu);
}

static void start(struct rig *rig)
{
    struct err err = { 0 };
    struct ha *h = raftstore_ha(rig->r);
    const struct ha_events events = { .ctx = rig, .role_changed = on_role,
                                      .store_replaced = on_replaced };
    must(h->ops->start(h, &events, &err), &err);
}

static void lead(struct rig *rig)
{
    struct err err = { 0 };
    struct ha *h = raftstore_ha(rig->r);
    struct ha_leader leader = { 0 };
    start(rig);
    pthread_mutex_lock(&rig->mu);
    for (h->ops->leader(h, &leader); !leader.self; h->ops->leader(h, &leader))
        pthread_cond_wait(&rig->changed, &rig->mu);
    pthread_mutex_unlock(&rig->mu);
    must(h->ops->settle(h, &err), &err);
}

static void stop(struct rig *rig)
{
    struct ha *h = raftstore_ha(rig->r);
    h->ops->stop(h);
}

static void makes_a_cluster_with_its_first_commit(void **state)
{
    struct rig *rig = *state;
    assert_false(raftstore_has_cluster(rig->r));
    put(rig, "core/seal", "x");
    assert_true(raftstore_has_cluster(rig->r));
    expect(rig, "core/seal", "x");
}

static void keeps_commits_made_before_start(void **state)
{
    struct rig *rig = *state;
    put(rig, "a", "1");
    put(rig, "b", "2");
    reopen(rig);
    expect(rig, "a", "1");
    expect(rig, "b", "2");
    put(rig, "a", "3");
    reopen(rig);
    expect(rig, "a", "3");
}

static void leads_alone_as_soon_as_it_is_started(void **state)
{
    struct rig *rig = *state;
    struct ha_leader leader;
    struct ha *h = raftstore_ha(rig->r);
    put(rig, "a", "1");
    lead(rig);
    h->ops->leader(h, &leader);
    assert_true(leader.known && leader.self);
    assert_string_equal(leader.id, "one");
    assert_true(h->ops->may_read(h));
    put(rig, "a", "2");
    expect(rig, "a", "2");
}

static void keeps_commits_made_while_it_leads(void **state)
{
    struct rig *rig = *state;
    put(rig, "a", "1");
    lead(rig);
    put(rig, "a", "2");
    put(rig, "b", "3");
    reopen(rig);
    expect(rig, "a", "2");
    put(rig, "b", "4");
    lead(rig);
    expect(rig, "b", "4");
    put(rig, "c", "5");
    stop(rig);
    put(rig, "c", "6");
    lead(rig);
    expect(rig, "c", "6");
}

enum { WRITERS = 16, EACH = 40 };

struct writer {
    struct rig *rig;
    pthread_t thread;
    int n, failed;
};

static void *write_many(void *arg)
{
    struct writer *w = arg;
    for (int i = 0; i < EACH; i++) {
        char key[32];
        struct err err = { 0 };
        snprintf(key, sizeof key, "k/%d/%d", w->n, i);
        w->failed += storage_put(w->rig->s, str_of(key), str_of(key), &err) < 0;
    }
    return NULL;
}

static void writes_of_many_threads_all_arrive(void **state)
{
    struct rig *rig = *state;
    struct writer w[WRITERS];
    put(rig, "a", "1");
    lead(rig);
    for (int i = 0; i < WRITERS; i++) {
        w[i] = (struct writer){ .rig = rig, .n = i };
        pthread_create(&w[i].thread, NULL, write_many, &w[i]);
    }
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(w[i].thread, NULL);
        assert_int_equal(w[i].failed, 0);
    }
    reopen(rig);
    for (int i = 0; i < WRITERS; i++)
        for (int j = 0; j < EACH; j++) {
            char key[32];
            snprintf(key, sizeof key, "k/%d/%d", i, j);
            expect(rig, key, key);
        }
}

static void refuses_a_value_that_is_too_large(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    size_t n = raftstore_max_entry(rig->r) + 1;
    char *p = calloc(1, n);
    put(rig, "a", "1");
    assert_int_equal(storage_put(rig->s, STR("b"), str_mem(p, n), &err), -1);
    assert_int_equal(err.code, ERR_TOO_LARGE);
    assert_string_equal(err.msg, "put failed due to value being too large; got 1048577 bytes, "
                                 "max: 1048576 bytes");
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(makes_a_cluster_with_its_first_commit, setup, teardown),
        cmocka_unit_test_setup_teardown(keeps_commits_made_before_start, setup, teardown),
        cmocka_unit_test_setup_teardown(leads_alone_as_soon_as_it_is_started, setup, teardown),
        cmocka_unit_test_setup_teardown(keeps_commits_made_while_it_leads, setup, teardown),
        cmocka_unit_test_setup_teardown(writes_of_many_threads_all_arrive, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_a_value_that_is_too_large, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
