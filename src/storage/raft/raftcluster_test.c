/* Storage "raft" of several nodes in one process, over real links. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "net/clusters_test.h"
#include "net/http.h"
#include "storage/driver.h"
#include "storage/raft/raftstore.h"

enum { NODES = 5, PORT = 21000, PATIENCE_S = 30 };

struct cluster;

struct member {
    struct cluster *c;
    int n;
    char id[8], addr[32], dir[80];
    struct link_creds *creds;
    struct http_server *server;
    struct storage *s;     /* under c->mu, as all below */
    struct raftstore *r;
    int users, replaced, changed;
};

struct cluster {
    char dir[64];
    struct arena *a;
    struct cluster_authority ca;
    pthread_mutex_t mu;
    pthread_cond_t moved;
    struct member m[NODES];
};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static void must(int rc, const struct err *err)
{
    if (rc < 0)
        fail_msg("%s", err->msg);
}

/* ---- events ---- */

static void on_role(void *ctx)
{
    struct member *m = ctx;
    pthread_mutex_lock(&m->c->mu);
    pthread_cond_broadcast(&m->c->moved);
    pthread_mutex_unlock(&m->c->mu);
}

static void on_keys(void *ctx, const struct str *keys, size_t n)
{
    struct member *m = ctx;
    pthread_mutex_lock(&m->c->mu);
    m->changed += (int)n;
    pthread_mutex_unlock(&m->c->mu);
}

static void on_replaced(void *ctx)
{
    struct member *m = ctx;
    pthread_mutex_lock(&m->c->mu);
    m->replaced++;
    pthread_mutex_unlock(&m->c->mu);
}

static void takeover(void *ctx, struct str alpn, struct link *link)
{
    struct member *m = ctx;
    pthread_mutex_lock(&m->c->mu);
    struct raftstore *r = m->r;
    m->users += r != NULL;
    pthread_mutex_unlock(&m->c->mu);
    if (r == NULL) {
        link_free(link);
        return;
    }
    raftstore_accept(r, link);
    pthread_mutex_lock(&m->c->mu);
    m->users--;
    pthread_cond_broadcast(&m->c->moved);
    pthread_mutex_unlock(&m->c->mu);
}

static void handler(void *ctx, struct http_exchange *x)
{
    http_answer(x, &(struct http_reply){ .status = 200 });
}

/* ---- members ---- */

static void open_store(struct member *m)
{
    struct err err = { 0 };
    struct storage_option options[] = { { STR("path"), str_of(m->dir) },
                                        { STR("node_id"), str_of(m->id) },
                                        { STR("snapshot_threshold"), STR("20") },
                                        { STR("trailing_logs"), STR("5") } };
    struct storage *s;
    must(storage_raft.open(options, ARRAY_LEN(options), &s, &err), &err);
    must(raftstore_set_network(raftstore_of(s), m->creds, str_of(m->addr), &err), &err);
    pthread_mutex_lock(&m->c->mu);
    m->s = s;
    m->r = raftstore_of(s);
    pthread_mutex_unlock(&m->c->mu);
}

static struct ha *ha_of(struct member *m)
{
    return raftstore_ha(m->r);
}

static void start(struct member *m)
{
    struct err err = { 0 };
    const struct ha_events events = { m, on_role, on_keys, on_replaced };
    must(ha_of(m)->ops->start(ha_of(m), &events, &err), &err);
}

/* Without a goodbye. */
static void kill_member(struct member *m)
{
    pthread_mutex_lock(&m->c->mu);
    struct storage *s = m->s;
    m->s = NULL;
    m->r = NULL;
    while (m->users > 0)
        pthread_cond_wait(&m->c->moved, &m->c->mu);
    pthread_mutex_unlock(&m->c->mu);
    storage_close(s);
}

static void revive(struct member *m)
{
    open_store(m);
    start(m);
}

static int setup(void **state)
{
    static const char *const alpns[] = { RAFTSTORE_ALPN, NULL };
    struct cluster *c = calloc(1, sizeof *c);
    struct err err = { 0 };
    signal(SIGPIPE, SIG_IGN);
    if (getenv("RAFT_TEST_LOG") == NULL)
        log_set_level(LOG_OFF);
    snprintf(c->dir, sizeof c->dir, "/tmp/coffer-raftcluster-XXXXXX");
    if (mkdtemp(c->dir) == NULL)
        return -1;
    c->a = arena_new();
    c->ca = authority(c->a);
    pthread_mutex_init(&c->mu, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c->moved, &attr);
    for (int i = 0; i < NODES; i++) {
        struct member *m = &c->m[i];
        struct http_server_config config = { .loops = 1, .handler = handler, .ctx = m };
        const struct http_listener *l;
        *m = (struct member){ .c = c, .n = i };
        snprintf(m->id, sizeof m->id, "n%d", i);
        snprintf(m->addr, sizeof m->addr, "127.0.0.%d:%d", i + 1, PORT + i);
        snprintf(m->dir, sizeof m->dir, "%s/%d", c->dir, i);
        must(link_creds_new(&m->creds, &err), &err);
        struct link_identity id = identity(c->a, &c->ca, str_of(m->id));
        set_creds(m->creds, &id);
        must(http_server_new(&config, &m->server, &err), &err);
        struct http_listener_config lc = { .address = str_of(m->addr), .creds = m->creds,
                                           .forward_alpn = "forward/1", .other_alpn = alpns,
                                           .takeover = takeover, .takeover_ctx = m };
        must(http_listen(m->server, &lc, &l, &err), &err);
        open_store(m);
    }
    *state = c;
    return 0;
}

static int teardown(void **state)
{
    struct cluster *c = *state;
    for (int i = 0; i < NODES; i++) {
        kill_member(&c->m[i]);
        http_server_free(c->m[i].server);
        link_creds_free(c->m[i].creds);
    }
    nftw(c->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    arena_free(c->a);
    free(c);
    return 0;
}

static int replaced(struct member *m)
{
    pthread_mutex_lock(&m->c->mu);
    int n = m->replaced;
    pthread_mutex_unlock(&m->c->mu);
    return n;
}

/* ---- waiting ---- */

static struct timespec in_ms(int ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

/* Somebody that leads, has settled, and is not ${not}. */
static struct member *leader_but(struct cluster *c, const struct member *not_this)
{
    struct timespec until = in_ms(PATIENCE_S * 1000);
    struct err err = { 0 };
    for (;;) {
        for (int i = 0; i < NODES; i++) {
            struct ha_leader l = { 0 };
            struct member *m = &c->m[i];
            if (m->s == NULL || m == not_this)
                continue;
            ha_of(m)->ops->leader(ha_of(m), &l);
            if (l.self && ha_of(m)->ops->settle(ha_of(m), &err) == 0)
                return m;
        }
        pthread_mutex_lock(&c->mu);
        struct timespec soon = in_ms(50);
        pthread_cond_timedwait(&c->moved, &c->mu, &soon);
        pthread_mutex_unlock(&c->mu);
        struct timespec now = in_ms(0);
        if (now.tv_sec > until.tv_sec)
            fail_msg("nobody leads");
    }
}

static struct member *leader_of(struct cluster *c)
{
    return leader_but(c, NULL);
}

static void put(struct member *m, const char *key, const char *value)
{
    struct err err = { 0 };
    must(storage_put(m->s, str_of(key), str_of(value), &err), &err);
}

static void expect(struct member *m, const char *key, const char *value)
{
    AUTO(buf_free) struct buf b = { 0 };
    struct err err = { 0 };
    int found = storage_get(m->s, str_of(key), &b, &err);
    must(found, &err);
    if ((found != 0) != (value != NULL))
        fail_msg("%s: %s is %s", m->id, key, found ? "there" : "not there");
    if (value != NULL) {
        assert_int_equal(b.n, strlen(value));
        assert_memory_equal(b.p, value, b.n);
    }
}

/* ${m} has applied all that the leader has. */
static void follow(struct cluster *c, struct member *m)
{
    uint64_t committed, applied;
    struct err err = { 0 };
    struct member *l = leader_of(c);
    ha_of(l)->ops->index(ha_of(l), &committed, &applied);
    must(ha_of(m)->ops->wait_applied(ha_of(m), applied, PATIENCE_S * 1000, &err), &err);
}

/* ---- clusters ---- */

static int again(int rc, const struct err *err)
{
    struct timespec pause = { 0, 20000000 };
    if (rc == 0)
        return 0;
    if (err->code != ERR_CONFLICT)
        fail_msg("%s", err->msg);
    nanosleep(&pause, NULL);
    return 1;
}

static void join(struct cluster *c, struct member *m, bool voter)
{
    struct err err = { 0 };
    struct member *l = leader_of(c);
    must(raftstore_expect_join(m->r, &err), &err);
    start(m);
    while (again(raftstore_add(l->r, str_of(m->id), str_of(m->addr), &err), &err))
        ;
    must(raftstore_wait_store(m->r, PATIENCE_S * 1000, &err), &err);
    while (voter && again(raftstore_promote(l->r, str_of(m->id), &err), &err))
        ;
}

static void found(struct cluster *c, int voters)
{
    put(&c->m[0], "core/seal", "first");
    start(&c->m[0]);
    leader_of(c);
    for (int i = 1; i < voters; i++)
        join(c, &c->m[i], true);
}

/* ---- tests ---- */

static void what_one_writes_all_have(void **state)
{
    struct cluster *c = *state;
    found(c, 3);
    put(&c->m[0], "a", "1");
    for (int i = 0; i < 3; i++) {
        follow(c, &c->m[i]);
        expect(&c->m[i], "core/seal", "first");
        expect(&c->m[i], "a", "1");
    }
    assert_true(c->m[1].changed > 0);
    assert_int_equal(c->m[0].changed, 0);
}

static void a_standby_takes_no_writes(void **state)
{
    struct cluster *c = *state;
    struct err err = { 0 };
    found(c, 2);
    assert_int_equal(storage_put(c->m[1].s, STR("a"), STR("1"), &err), -1);
    assert_int_equal(err.code, ERR_STANDBY);
}

static void another_leads_when_the_leader_is_gone(void **state)
{
    struct cluster *c = *state;
    found(c, 3);
    put(&c->m[0], "a", "1");
    kill_member(&c->m[0]);
    struct member *l = leader_of(c);
    expect(l, "a", "1");
    put(l, "a", "2");
    revive(&c->m[0]);
    follow(c, &c->m[0]);
    expect(&c->m[0], "a", "2");
}

static void a_minority_acknowledges_nothing(void **state)
{
    struct cluster *c = *state;
    struct err err = { 0 };
    found(c, 3);
    kill_member(&c->m[1]);
    kill_member(&c->m[2]);
    assert_int_equal(storage_put(c->m[0].s, STR("a"), STR("1"), &err), -1);
    assert_true(err.code == ERR_STANDBY || err.code == ERR_TIMEOUT);
    assert_false(ha_of(&c->m[0])->ops->may_read(ha_of(&c->m[0])));
}

static void one_that_was_away_for_long_gets_a_snapshot(void **state)
{
    struct cluster *c = *state;
    found(c, 3);
    kill_member(&c->m[2]);
    for (int i = 0; i < 200; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i % 50);
        put(&c->m[0], key, key);
    }
    int before = replaced(&c->m[2]);
    revive(&c->m[2]);
    follow(c, &c->m[2]);
    expect(&c->m[2], "k49", "k49");
    assert_int_equal(replaced(&c->m[2]), before + 1);
    put(&c->m[0], "after", "x");
    follow(c, &c->m[2]);
    expect(&c->m[2], "after", "x");
}

static void stepping_down_is_quick_and_loses_nothing(void **state)
{
    struct cluster *c = *state;
    struct err err = { 0 };
    found(c, 3);
    put(&c->m[0], "a", "1");
    must(ha_of(&c->m[0])->ops->step_down(ha_of(&c->m[0]), &err), &err);
    struct member *l = leader_but(c, &c->m[0]);
    expect(l, "a", "1");
    put(l, "a", "2");
    follow(c, &c->m[0]);
    expect(&c->m[0], "a", "2");
}

static void alone_nobody_can_take_over(void **state)
{
    struct cluster *c = *state;
    struct err err = { 0 };
    found(c, 1);
    assert_int_equal(ha_of(&c->m[0])->ops->step_down(ha_of(&c->m[0]), &err), -1);
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    put(&c->m[0], "a", "1");
}

static void a_removed_node_learns_of_it(void **state)
{
    struct cluster *c = *state;
    struct err err = { 0 };
    AUTO(arena_drop) struct arena *a = arena_new();
    struct raft_members members;
    found(c, 3);
    must(raftstore_remove(c->m[0].r, STR("n2"), &err), &err);
    must(raftstore_members(c->m[0].r, a, &members, &err), &err);
    assert_int_equal(members.n, 2);
    for (int i = 0; i < PATIENCE_S * 20 && !raftstore_removed(c->m[2].r); i++) {
        struct timespec pause = { 0, 50000000 };
        nanosleep(&pause, NULL);
    }
    assert_true(raftstore_removed(c->m[2].r));
    put(&c->m[0], "a", "1");
    kill_member(&c->m[2]);
    open_store(&c->m[2]);
    assert_true(raftstore_removed(c->m[2].r));
}

static void a_leader_can_remove_itself(void **state)
{
    struct cluster *c = *state;
    struct err err = { 0 };
    found(c, 3);
    put(&c->m[0], "a", "1");
    must(raftstore_remove(c->m[0].r, STR("n0"), &err), &err);
    struct member *l = leader_but(c, &c->m[0]);
    expect(l, "a", "1");
    put(l, "b", "2");
    assert_true(raftstore_removed(c->m[0].r));
}

static void a_standby_catches_up_when_asked(void **state)
{
    struct cluster *c = *state;
    found(c, 3);
    for (int i = 0; i < 20; i++) {
        struct err err = { 0 };
        char value[16];
        snprintf(value, sizeof value, "%d", i);
        put(&c->m[0], "a", value);
        must(ha_of(&c->m[1])->ops->catch_up(ha_of(&c->m[1]), PATIENCE_S * 1000, &err), &err);
        expect(&c->m[1], "a", value);
    }
}

static bool reads_at_last(struct member *m)
{
    for (int i = 0; i < PATIENCE_S * 100; i++) {
        struct timespec pause = { 0, 10000000 };
        if (ha_of(m)->ops->may_read(ha_of(m)))
            return true;
        nanosleep(&pause, NULL);
    }
    return false;
}

static void standbys_read_once_they_have_all(void **state)
{
    struct cluster *c = *state;
    found(c, 3);
    for (int i = 0; i < 3; i++)
        assert_true(reads_at_last(&c->m[i]));
    for (int i = 0; i < 50; i++) {
        char value[16];
        snprintf(value, sizeof value, "%d", i);
        put(&c->m[0], "a", value);
        for (int k = 1; k < 3; k++)
            if (ha_of(&c->m[k])->ops->may_read(ha_of(&c->m[k])))
                expect(&c->m[k], "a", value);
    }
    for (int i = 0; i < 3; i++)
        assert_true(reads_at_last(&c->m[i]));
}

static void a_restored_store_is_everyones(void **state)
{
    struct cluster *c = *state;
    struct err err = { 0 };
    struct raftstore_restore *x;
    char value[1000];
    memset(value, 'v', sizeof value);
    found(c, 3);
    put(&c->m[0], "old", "1");
    must(raftstore_restore_begin(c->m[0].r, &x, &err), &err);
    for (int i = 0; i < 3000; i++) {
        char key[16];
        snprintf(key, sizeof key, "new/%d", i);
        must(raftstore_restore_put(x, str_of(key), str_mem(value, sizeof value), &err), &err);
    }
    expect(&c->m[0], "old", "1");
    must(raftstore_restore_commit(x, &err), &err);
    for (int i = 0; i < 3; i++) {
        AUTO(buf_free) struct buf b = { 0 };
        follow(c, &c->m[i]);
        expect(&c->m[i], "old", NULL);
        assert_int_equal(storage_get(c->m[i].s, STR("new/2999"), &b, &err), 1);
        assert_int_equal(b.n, sizeof value);
    }
    put(&c->m[0], "after", "x");
}

static void an_address_that_is_taken_is_refused(void **state)
{
    struct cluster *c = *state;
    struct err err = { 0 };
    found(c, 2);
    assert_int_equal(raftstore_add(c->m[0].r, STR("other"), str_of(c->m[1].addr), &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
}

static void one_that_lost_its_disk_is_filled_again(void **state)
{
    struct cluster *c = *state;
    struct err err = { 0 };
    found(c, 3);
    for (int i = 0; i < 10; i++)
        put(&c->m[0], "a", "1");
    follow(c, &c->m[2]);
    kill_member(&c->m[2]);
    nftw(c->m[2].dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    open_store(&c->m[2]);
    must(raftstore_expect_join(c->m[2].r, &err), &err);
    start(&c->m[2]);
    must(raftstore_wait_store(c->m[2].r, PATIENCE_S * 1000, &err), &err);
    put(&c->m[0], "a", "2");
    follow(c, &c->m[2]);
    expect(&c->m[2], "a", "2");
}

/* As recovery mode leaves it: one went on alone, the others hold what it never had. */
static void one_that_contradicts_the_leader_begins_anew(void **state)
{
    struct cluster *c = *state;
    struct err err = { 0 };
    found(c, 3);
    kill_member(&c->m[2]);
    put(&c->m[0], "lost", "1");
    put(&c->m[0], "lost", "2");
    kill_member(&c->m[0]);
    kill_member(&c->m[1]);
    open_store(&c->m[2]);
    must(raftstore_force(c->m[2].r, &err), &err);
    put(&c->m[2], "kept", "1");
    put(&c->m[2], "kept", "2");
    put(&c->m[2], "kept", "3");
    kill_member(&c->m[2]);
    char path[100];
    snprintf(path, sizeof path, "%s/raft/peers.json", c->m[2].dir);
    FILE *f = fopen(path, "w");
    fprintf(f, "[{\"id\":\"n2\",\"address\":\"%s\"},{\"id\":\"n1\",\"address\":\"%s\","
               "\"non_voter\":true}]", c->m[2].addr, c->m[1].addr);
    fclose(f);
    revive(&c->m[2]);
    leader_of(c);
    int before = replaced(&c->m[1]);
    revive(&c->m[1]);
    put(&c->m[2], "kept", "4");
    while (replaced(&c->m[1]) == before) {
        struct timespec pause = { 0, 20000000 };
        nanosleep(&pause, NULL);
    }
    follow(c, &c->m[1]);
    expect(&c->m[1], "kept", "4");
    expect(&c->m[1], "lost", NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_one_writes_all_have),
        TEST(a_standby_takes_no_writes),
        TEST(another_leads_when_the_leader_is_gone),
        TEST(a_minority_acknowledges_nothing),
        TEST(one_that_was_away_for_long_gets_a_snapshot),
        TEST(stepping_down_is_quick_and_loses_nothing),
        TEST(alone_nobody_can_take_over),
        TEST(a_removed_node_learns_of_it),
        TEST(a_leader_can_remove_itself),
        TEST(a_standby_catches_up_when_asked),
        TEST(standbys_read_once_they_have_all),
        TEST(a_restored_store_is_everyones),
        TEST(an_address_that_is_taken_is_refused),
        TEST(one_that_lost_its_disk_is_filled_again),
        TEST(one_that_contradicts_the_leader_begins_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
