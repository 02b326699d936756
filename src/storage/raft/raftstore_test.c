/* Storage "raft" on real directories, one node: restarts, compaction, restore, peers.json. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <glob.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
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
    if (getenv("RAFT_TEST_LOG") == NULL)
        log_set_level(LOG_OFF);
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

static void takes_no_commit_in_a_term_before_it_has_settled(void **state)
{
    struct rig *rig = *state;
    struct ha *h = raftstore_ha(rig->r);
    const struct ha_events events = { .ctx = rig, .role_changed = on_role,
                                      .store_replaced = on_replaced };
    struct ha_leader leader = { 0 };
    struct err err = { 0 };
    put(rig, "a", "1");
    must(h->ops->start(h, &events, &err), &err);
    pthread_mutex_lock(&rig->mu);
    for (h->ops->leader(h, &leader); !leader.self; h->ops->leader(h, &leader))
        pthread_cond_wait(&rig->changed, &rig->mu);
    pthread_mutex_unlock(&rig->mu);
    assert_false(h->ops->may_read(h));
    assert_int_equal(storage_put(rig->s, STR("a"), STR("2"), &err), -1);
    assert_int_equal(err.code, ERR_STANDBY);
    expect(rig, "a", "1");
    must(h->ops->settle(h, &err), &err);
    assert_true(h->ops->may_read(h));
    put(rig, "a", "2");
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

/* ---- the log on disk ---- */

static void write_some(struct rig *rig, int n)
{
    for (int i = 0; i < n; i++) {
        char key[16], value[16];
        snprintf(key, sizeof key, "k%d", i % 40);
        snprintf(value, sizeof value, "%d", i);
        put(rig, key, value);
    }
}

static off_t log_bytes(struct rig *rig, int *files)
{
    char pattern[128];
    glob_t g;
    off_t bytes = 0;
    snprintf(pattern, sizeof pattern, "%s/raft/" "*.log", rig->dir);
    *files = glob(pattern, 0, NULL, &g) == 0 ? (int)g.gl_pathc : 0;
    for (int i = 0; i < *files; i++) {
        struct stat st;
        if (stat(g.gl_pathv[i], &st) == 0)
            bytes += st.st_size;
    }
    if (*files > 0)
        globfree(&g);
    return bytes;
}

static void a_restart_replays_nothing_that_was_applied(void **state)
{
    struct rig *rig = *state;
    struct raftstore_status before, after;
    put(rig, "a", "1");
    lead(rig);
    write_some(rig, 300);
    stop(rig);
    raftstore_status(rig->r, &before);
    reopen(rig);
    raftstore_status(rig->r, &after);
    assert_int_equal(after.applied, before.applied);
    assert_int_equal(after.applied, after.last_index);
    expect(rig, "k39", "279");
}

/* The newest log file loses its end. */
static void tear_log(struct rig *rig)
{
    char pattern[128];
    glob_t g;
    snprintf(pattern, sizeof pattern, "%s/raft/" "*.log", rig->dir);
    assert_int_equal(glob(pattern, 0, NULL, &g), 0);
    assert_int_equal(truncate(g.gl_pathv[g.gl_pathc - 1], 1000), 0);
    globfree(&g);
}

static void a_log_that_lost_its_end_is_no_loss_to_the_store(void **state)
{
    struct rig *rig = *state;
    put(rig, "a", "1");
    lead(rig);
    write_some(rig, 30);
    storage_close(rig->s);
    rig->s = NULL;
    tear_log(rig);
    reopen(rig);
    expect(rig, "a", "1");
    expect(rig, "k29", "29");
    lead(rig);
    put(rig, "a", "2");
    reopen(rig);
    expect(rig, "a", "2");
}

static void each_start_is_a_term_of_its_own(void **state)
{
    struct rig *rig = *state;
    struct raftstore_status a, b;
    put(rig, "a", "1");
    lead(rig);
    raftstore_status(rig->r, &a);
    stop(rig);
    lead(rig);
    raftstore_status(rig->r, &b);
    assert_true(b.term > a.term);
}

static void big_writes_let_the_log_go(void **state)
{
    struct rig *rig = *state;
    int files;
    size_t n = 700000;
    char *p = malloc(n);
    struct err err = { 0 };
    memset(p, 'x', n);
    put(rig, "a", "1");
    lead(rig);
    for (int i = 0; i < 300; i++)
        must(storage_put(rig->s, STR("big"), str_mem(p, n), &err), &err);
    stop(rig);
    assert_true(log_bytes(rig, &files) < (off_t)150 << 20);
    free(p);
    reopen(rig);
    expect(rig, "a", "1");
}

/* ---- not yet started ---- */

static void a_member_of_more_decides_nothing_alone(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    put(rig, "a", "1");
    lead(rig);
    must(raftstore_add(rig->r, STR("two"), STR("127.0.0.1:21190"), &err), &err);
    stop(rig);
    assert_int_equal(storage_put(rig->s, STR("a"), STR("2"), &err), -1);
    assert_int_equal(err.code, ERR_SEALED);
    expect(rig, "a", "1");
    must(raftstore_force(rig->r, &err), &err);
    put(rig, "a", "3");
    reopen(rig);
    expect(rig, "a", "3");
    assert_int_equal(storage_put(rig->s, STR("a"), STR("4"), &err), -1);
}

static void an_empty_node_that_waits_for_a_leader_makes_no_cluster(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    must(raftstore_expect_join(rig->r, &err), &err);
    assert_int_equal(storage_put(rig->s, STR("a"), STR("1"), &err), -1);
    assert_int_equal(err.code, ERR_SEALED);
    start(rig);
    assert_int_equal(storage_put(rig->s, STR("a"), STR("1"), &err), -1);
    assert_int_equal(err.code, ERR_STANDBY);
    assert_int_equal(raftstore_wait_store(rig->r, 1, &err), -1);
    assert_int_equal(err.code, ERR_TIMEOUT);
    assert_false(raftstore_has_cluster(rig->r));
}

static void an_empty_node_cannot_be_started(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    struct ha *h = raftstore_ha(rig->r);
    const struct ha_events events = { 0 };
    assert_int_equal(h->ops->start(h, &events, &err), -1);
    assert_int_equal(err.code, ERR_UNINITIALISED);
}

static void who_has_a_cluster_joins_no_other(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    put(rig, "a", "1");
    assert_int_equal(raftstore_expect_join(rig->r, &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
}

/* ---- peers.json ---- */

static void write_peers(struct rig *rig, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/raft/peers.json", rig->dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void peers_json_says_who_the_members_are(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    struct raft_members m;
    AUTO(arena_drop) struct arena *a = arena_new();
    put(rig, "a", "1");
    lead(rig);
    must(raftstore_add(rig->r, STR("two"), STR("127.0.0.1:21190"), &err), &err);
    stop(rig);
    write_peers(rig, "[{\"id\": \"one\", \"address\": \"127.0.0.1:21191\", "
                     "\"non_voter\": false}]");
    lead(rig);
    must(raftstore_members(rig->r, a, &m, &err), &err);
    assert_int_equal(m.n, 1);
    assert_string_equal(m.v[0].id, "one");
    assert_string_equal(m.v[0].addr, "127.0.0.1:21191");
    put(rig, "a", "2");
    reopen(rig);
    must(raftstore_members(rig->r, a, &m, &err), &err);
    assert_int_equal(m.n, 1);
    char path[128];
    snprintf(path, sizeof path, "%s/raft/peers.info", rig->dir);
    assert_int_equal(access(path, F_OK), 0);
}

static void a_wrong_peers_json_is_refused_and_changes_nothing(void **state)
{
    static const struct { const char *text, *words; } cases[] = {
        { "{", "raft/peers.json" },
        { "{}", "must be a list" },
        { "[]", "must be a list" },
        { "[3]", "entry 1: is no object" },
        { "[{\"address\":\"h:1\"}]", "entry 1: \"id\" is missing" },
        { "[{\"id\":\"one\"}]", "\"address\" must be host:port" },
        { "[{\"id\":\"one\",\"address\":\"nowhere\"}]", "must be host:port" },
        { "[{\"id\":\"two\",\"address\":\"h:1\"}]", "this node, \"one\", is not in it" },
        { "[{\"id\":\"one\",\"address\":\"h:1\"},{\"id\":\"one\",\"address\":\"h:2\"}]",
          "entry 2: \"id\" stands there twice" },
        { "[{\"id\":\"one\",\"address\":\"h:1\"},{\"id\":\"two\",\"address\":\"h:1\"}]",
          "entry 2: \"address\" stands there twice" },
        { "[{\"id\":\"one\",\"address\":\"h:1\",\"non_voter\":true}]",
          "none of the nodes is a voter" },
    };
    struct rig *rig = *state;
    struct ha *h = raftstore_ha(rig->r);
    const struct ha_events events = { 0 };
    put(rig, "a", "1");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = { 0 };
        struct raftstore_status before, after;
        raftstore_status(rig->r, &before);
        write_peers(rig, cases[i].text);
        assert_int_equal(h->ops->start(h, &events, &err), -1);
        if (strstr(err.msg, cases[i].words) == NULL)
            fail_msg("%s: %s", cases[i].text, err.msg);
        raftstore_status(rig->r, &after);
        assert_memory_equal(&before, &after, sizeof before);
    }
}

/* ---- restore ---- */

static struct raftstore_restore *begin(struct rig *rig)
{
    struct raftstore_restore *x;
    struct err err = { 0 };
    must(raftstore_restore_begin(rig->r, &x, &err), &err);
    return x;
}

static void a_restore_replaces_all_but_what_is_the_nodes_own(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    put(rig, "a", "1");
    lead(rig);
    struct raftstore_restore *x = begin(rig);
    must(raftstore_restore_put(x, STR("b"), STR("2"), &err), &err);
    expect(rig, "a", "1");
    expect(rig, "b", NULL);
    must(raftstore_restore_commit(x, &err), &err);
    expect(rig, "a", NULL);
    expect(rig, "b", "2");
    assert_int_equal(rig->replaced, 1);
    reopen(rig);
    expect(rig, "a", NULL);
    expect(rig, "b", "2");
}

static void an_aborted_restore_leaves_all_as_it_was(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    put(rig, "a", "1");
    lead(rig);
    struct raftstore_restore *x = begin(rig);
    must(raftstore_restore_put(x, STR("b"), STR("2"), &err), &err);
    raftstore_restore_abort(x);
    expect(rig, "a", "1");
    expect(rig, "b", NULL);
    assert_int_equal(rig->replaced, 0);
}

static void a_restore_cut_off_by_a_restart_is_dropped(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    char big[4096];
    memset(big, 'b', sizeof big);
    put(rig, "a", "1");
    lead(rig);
    struct raftstore_restore *x = begin(rig);
    for (int i = 0; i < 600; i++) {
        char key[16];
        snprintf(key, sizeof key, "b%d", i);
        must(raftstore_restore_put(x, str_of(key), str_mem(big, sizeof big), &err), &err);
    }
    stop(rig);
    assert_int_equal(raftstore_restore_commit(x, &err), -1);
    reopen(rig);
    lead(rig);
    expect(rig, "a", "1");
    expect(rig, "b0", NULL);
    x = begin(rig);
    must(raftstore_restore_put(x, STR("c"), STR("3"), &err), &err);
    must(raftstore_restore_commit(x, &err), &err);
    expect(rig, "a", NULL);
    expect(rig, "b0", NULL);
    expect(rig, "c", "3");
}

/* ---- a view ---- */

static void a_view_is_of_one_moment(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    struct raftstore_view *v;
    struct raftstore_view_info info;
    struct raftstore_status status;
    struct str key, value;
    AUTO(arena_drop) struct arena *a = arena_new();
    put(rig, "a", "1");
    lead(rig);
    put(rig, "b", "2");
    raftstore_status(rig->r, &status);
    must(raftstore_view_open(rig->r, a, &v, &info, &err), &err);
    put(rig, "c", "3");
    assert_int_equal(info.index, status.applied);
    assert_int_equal(info.term, status.term);
    assert_int_equal(info.members.n, 1);
    assert_true(info.members.v[0].voter);
    assert_int_equal(raftstore_view_next(v, &key, &value, &err), 1);
    assert_true(str_is(key, "a"));
    assert_int_equal(raftstore_view_next(v, &key, &value, &err), 1);
    assert_true(str_is(key, "b"));
    assert_int_equal(raftstore_view_next(v, &key, &value, &err), 0);
    raftstore_view_close(v);
}

/* ---- options ---- */

static void a_wrong_option_is_named(void **state)
{
    static const struct storage_option cases[] = {
        { STR_INIT("performance_multiplier"), STR_INIT("11") },
        { STR_INIT("performance_multiplier"), STR_INIT("fast") },
        { STR_INIT("trailing_logs"), STR_INIT("-1") },
        { STR_INIT("snapshot_threshold"), STR_INIT("0") },
        { STR_INIT("snapshot_interval"), STR_INIT("soon") },
        { STR_INIT("max_entry_size"), STR_INIT("1") },
        { STR_INIT("node_id"), STR_INIT("a\tb") },
        { STR_INIT("path"), STR_INIT("") },
    };
    struct rig *rig = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = { 0 };
        struct storage *s = NULL;
        struct storage_option options[] = { { STR("path"), str_of(rig->dir) }, cases[i] };
        assert_int_equal(storage_raft.open(options, 2, &s, &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
        char name[32];
        snprintf(name, sizeof name, STR_FMT, STR_ARG(cases[i].name));
        if (strstr(err.msg, name) == NULL)
            fail_msg("%s: %s", name, err.msg);
    }
}

static void without_a_node_id_one_is_made_and_kept(void **state)
{
    struct rig *rig = *state;
    char dir[80], id[64];
    struct err err = { 0 };
    struct storage *s;
    snprintf(dir, sizeof dir, "%s/other", rig->dir);
    struct storage_option options[] = { { STR("path"), str_of(dir) } };
    must(storage_raft.open(options, 1, &s, &err), &err);
    struct str made = raftstore_node_id(raftstore_of(s));
    assert_int_equal(made.n, 36);
    memcpy(id, made.p, made.n);
    storage_close(s);
    must(storage_raft.open(options, 1, &s, &err), &err);
    assert_memory_equal(raftstore_node_id(raftstore_of(s)).p, id, 36);
    storage_close(s);
}

static void a_store_of_another_kind_is_told(void **state)
{
    struct rig *rig = *state;
    char dir[80], path[100];
    struct err err = { 0 };
    struct storage *s;
    snprintf(dir, sizeof dir, "%s/bolt", rig->dir);
    snprintf(path, sizeof path, "%s/vault.db", dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    FILE *f = fopen(path, "w");
    static const unsigned char meta[] = { 0xED, 0xDA, 0x0C, 0xED };
    static const char zeros[16384];
    fwrite(zeros, 16, 1, f);
    fwrite(meta, sizeof meta, 1, f);
    fwrite(zeros, sizeof zeros, 1, f);
    fclose(f);
    struct storage_option options[] = { { STR("path"), str_of(dir) } };
    assert_int_equal(storage_raft.open(options, 1, &s, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(makes_a_cluster_with_its_first_commit),
        TEST(keeps_commits_made_before_start),
        TEST(leads_alone_as_soon_as_it_is_started),
        TEST(takes_no_commit_in_a_term_before_it_has_settled),
        TEST(keeps_commits_made_while_it_leads),
        TEST(writes_of_many_threads_all_arrive),
        TEST(refuses_a_value_that_is_too_large),
        TEST(a_restart_replays_nothing_that_was_applied),
        TEST(a_log_that_lost_its_end_is_no_loss_to_the_store),
        TEST(each_start_is_a_term_of_its_own),
        TEST(big_writes_let_the_log_go),
        TEST(a_member_of_more_decides_nothing_alone),
        TEST(an_empty_node_that_waits_for_a_leader_makes_no_cluster),
        TEST(an_empty_node_cannot_be_started),
        TEST(who_has_a_cluster_joins_no_other),
        TEST(peers_json_says_who_the_members_are),
        TEST(a_wrong_peers_json_is_refused_and_changes_nothing),
        TEST(a_restore_replaces_all_but_what_is_the_nodes_own),
        TEST(an_aborted_restore_leaves_all_as_it_was),
        TEST(a_restore_cut_off_by_a_restart_is_dropped),
        TEST(a_view_is_of_one_moment),
        TEST(a_wrong_option_is_named),
        TEST(without_a_node_id_one_is_made_and_kept),
        TEST(a_store_of_another_kind_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
