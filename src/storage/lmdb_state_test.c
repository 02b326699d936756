/* The state store: batches and their mark, what a crash leaves, and one store for another. */
#include "storage/driver_test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include "base/random.h"
#include "storage/lmdb_log.h"
#include "storage/lmdb_val.h"

static const struct kind *const state_kind = &kinds[3];

/* ---- short hands ---- */

static void path_in(const struct rig *rig, const char *name, char out[128])
{
    snprintf(out, 128, "%s/%s", rig->dir, name);
}

static int open_at(const struct rig *rig, const char *name, size_t map_size, bool lazy,
                   struct storage **out, struct err *err)
{
    char file[128];
    path_in(rig, name, file);
    struct lmdb_state_options o = { str_of(file), 100, map_size, lazy };
    return lmdb_state_open(&o, out, err);
}

static struct storage *must_open(const struct rig *rig, const char *name, size_t map_size,
                                 bool lazy)
{
    struct storage *s = NULL;
    struct err err = { 0 };
    if (open_at(rig, name, map_size, lazy, &s, &err) < 0)
        fail_msg("open: %s", err.msg);
    return s;
}

static int apply_one(struct storage *s, struct str key, struct str value, struct str mark,
                     struct err *err)
{
    struct storage_op op = { STORAGE_PUT, key, value };
    struct lmdb_batch batch = { &op, 1 };
    return lmdb_state_apply(s, &batch, 1, mark, err);
}

static void expect_mark(struct storage *s, struct str want)
{
    AUTO(buf_free) struct buf got = { 0 };
    struct err err = { 0 };
    int found = lmdb_state_mark(s, &got, &err);
    assert_int_equal(found, want.p != NULL);
    assert_true(str_eq(buf_str(&got), want));
}

static void expect_sound(struct storage *s)
{
    struct err err = { 0 };
    if (lmdb_log_verify(s, &err) < 0)
        fail_msg("%s", err.msg);
}

static bool is_there(const struct rig *rig, const char *name)
{
    char path[128];
    path_in(rig, name, path);
    return access(path, F_OK) == 0;
}

static void write_file(const struct rig *rig, const char *name, struct str text)
{
    char path[128];
    path_in(rig, name, path);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(text.p, 1, text.n, f), text.n);
    fclose(f);
}

/* ---- batches and their mark ---- */

static void batches_are_applied_in_order_with_their_mark(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    struct storage_op first[] = { { STORAGE_PUT, STR("a"), STR("1") },
                                  { STORAGE_PUT, STR("b"), STR("1") } };
    struct storage_op second[] = { { STORAGE_DELETE, STR("b"), STR("") },
                                   { STORAGE_PUT, STR("a"), STR("2") } };
    struct storage_op third[] = { { STORAGE_PUT, STR("a"), STR("3") },
                                  { STORAGE_PUT, STR("c"), STR("3") } };
    struct lmdb_batch batches[] = { { first, 2 }, { second, 2 }, { NULL, 0 }, { third, 2 } };
    assert_int_equal(lmdb_state_apply(rig->s, batches, 4, STR("7\0seven"), &err), 0);
    expect(rig, STR("a"), STR("3"));
    expect_absent(rig, STR("b"));
    expect(rig, STR("c"), STR("3"));
    expect_mark(rig->s, STR("7\0seven"));
    expect_sound(rig->s);
}

static int count_ends(void *ctx, const struct lmdb_log_entry *e)
{
    *(int *)ctx += e->last ? 100 : 1;
    return 0;
}

static void the_log_tells_where_each_batch_ends(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    int n = 0;
    struct storage_op ops[] = { { STORAGE_PUT, STR("a"), STR("1") },
                                { STORAGE_PUT, STR("b"), STR("1") } };
    struct lmdb_batch batches[] = { { ops, 2 }, { ops, 1 } };
    assert_int_equal(lmdb_state_apply(rig->s, batches, 2, STR("m"), &err), 0);
    assert_int_equal(lmdb_log_each(rig->s, 1, count_ends, &n, &err), 0);
    assert_int_equal(n, 201);
}

static void there_is_no_mark_before_the_first(void **state)
{
    struct rig *rig = *state;
    expect_mark(rig->s, (struct str){ NULL, 0 });
    put(rig, STR("a"), STR("1"));
    expect_mark(rig->s, (struct str){ NULL, 0 });
}

static void a_mark_may_come_alone_and_be_empty(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    put(rig, STR("a"), STR("1"));
    assert_int_equal(lmdb_state_apply(rig->s, NULL, 0, STR("alone"), &err), 0);
    expect_mark(rig->s, STR("alone"));
    assert_int_equal(lmdb_state_apply(rig->s, NULL, 0, STR(""), &err), 0);
    expect_mark(rig->s, STR(""));
    expect(rig, STR("a"), STR("1"));
}

static void a_commit_leaves_the_mark_alone(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    assert_int_equal(apply_one(rig->s, STR("a"), STR("1"), STR("m"), &err), 0);
    put(rig, STR("b"), STR("2"));
    expect_mark(rig->s, STR("m"));
}

static void data_and_mark_are_there_after_reopening(void **state)
{
    struct rig *rig = *state;
    for (int lazy = 0; lazy < 2; lazy++) {
        struct err err = { 0 };
        struct storage *s = must_open(rig, "x.db", 0, lazy);
        assert_int_equal(apply_one(s, STR("a"), STR("1"), lazy ? STR("m1") : STR("m0"), &err), 0);
        assert_int_equal(lmdb_state_sync(s, &err), 0);
        storage_close(s);
        s = must_open(rig, "x.db", 0, lazy);
        expect_mark(s, lazy ? STR("m1") : STR("m0"));
        expect_sound(s);
        storage_close(s);
    }
}

static void a_refused_batch_changes_nothing_nor_the_mark(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    assert_int_equal(apply_one(rig->s, STR("a"), STR("1"), STR("m"), &err), 0);
    struct storage_op good = { STORAGE_PUT, STR("a"), STR("2") };
    struct storage_op bad = { STORAGE_PUT, STR(""), STR("2") };
    struct lmdb_batch batches[] = { { &good, 1 }, { &bad, 1 } };
    assert_int_equal(lmdb_state_apply(rig->s, batches, 2, STR("n"), &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    expect(rig, STR("a"), STR("1"));
    expect_mark(rig->s, STR("m"));
}

static void a_mark_is_no_key(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    assert_int_equal(lmdb_state_apply(rig->s, NULL, 0, STR("m"), &err), 0);
    expect_absent(rig, STR("mark"));
    expect_list(rig, "", "", "");
}

static void the_map_grows_for_a_group(void **state)
{
    struct rig *rig = *state;
    static char big[512 << 10];
    struct err err = { 0 };
    struct storage *s = must_open(rig, "x.db", 1 << 20, true);
    for (uint32_t i = 0; i < 24; i++)
        if (apply_one(s, str_mem(&i, sizeof i), str_mem(big, sizeof big), str_mem(&i, sizeof i),
                      &err) < 0)
            fail_msg("apply: %s", err.msg);
    uint32_t last = 23;
    expect_mark(s, str_mem(&last, sizeof last));
    expect_sound(s);
    storage_close(s);
}

/* ---- what is not ours ---- */

static void expect_foreign(struct rig *rig, const char *name, const char *says)
{
    struct storage *s = NULL;
    struct err err = { 0 };
    assert_int_equal(open_at(rig, name, 0, false, &s, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
    if (strstr(err.msg, says) == NULL)
        fail_msg("%s", err.msg);
    /* Nor is it taken for a replacement. */
    char path[128];
    path_in(rig, name, path);
    put(rig, STR("kept"), STR("x"));
    err = (struct err){ 0 };
    assert_int_equal(lmdb_state_replace(rig->s, path, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_true(is_there(rig, name));
    expect(rig, STR("kept"), STR("x"));
}

static void a_bolt_file_is_called_by_its_name(void **state)
{
    struct rig *rig = *state;
    char page[8192] = { 0 };
    memcpy(page + 16, "\xED\xDA\x0C\xED\2", 5);
    write_file(rig, "bolt.db", str_mem(page, sizeof page));
    expect_foreign(rig, "bolt.db", "BoltDB");
}

static void a_file_of_text_is_refused(void **state)
{
    struct rig *rig = *state;
    write_file(rig, "text.db", STR("this is not a database at all"));
    expect_foreign(rig, "text.db", "no LMDB database");
    write_file(rig, "short.db", STR("x"));
    expect_foreign(rig, "short.db", "no LMDB database");
}

static void another_programs_lmdb_is_refused_and_left_alone(void **state)
{
    struct rig *rig = *state;
    char path[128];
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_val k = lmdb_val(STR("their")), v = lmdb_val(STR("entry"));
    path_in(rig, "theirs.db", path);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    expect_foreign(rig, "theirs.db", "another program");
}

static void a_cut_off_file_is_refused(void **state)
{
    struct rig *rig = *state;
    char path[128];
    storage_close(must_open(rig, "x.db", 0, false));
    path_in(rig, "x.db", path);
    assert_int_equal(truncate(path, 64), 0);
    struct storage *s = NULL;
    struct err err = { 0 };
    assert_int_equal(open_at(rig, "x.db", 0, false, &s, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
}

static void a_second_process_is_kept_out(void **state)
{
    struct rig *rig = *state;
    pid_t child = fork();
    if (child == 0) {
        struct storage *s = NULL;
        struct err err = { 0 };
        _exit(open_at(rig, "vault.db", 0, false, &s, &err) < 0 && err.code == ERR_CONFLICT ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
}

/* ---- crashes ---- */

enum { KEYS = 20 };

/* Group ${i}: each key gets ${i}, and so does the mark; as two batches. */
static int apply_group(struct storage *s, uint32_t i, struct err *err)
{
    struct storage_op ops[KEYS];
    char keys[KEYS][16];
    for (uint32_t k = 0; k < KEYS; k++) {
        snprintf(keys[k], sizeof keys[k], "k%u", k);
        ops[k] = (struct storage_op){ STORAGE_PUT, str_of(keys[k]), str_mem(&i, sizeof i) };
    }
    struct lmdb_batch batches[] = { { ops, KEYS / 2 }, { ops + KEYS / 2, KEYS - KEYS / 2 } };
    return lmdb_state_apply(s, batches, 2, str_mem(&i, sizeof i), err);
}

/* The number of the group that the store shows, whole. */
static uint32_t group_of(struct storage *s)
{
    AUTO(buf_free) struct buf mark = { 0 };
    struct err err = { 0 };
    uint32_t i = 0;
    if (lmdb_state_mark(s, &mark, &err) == 0)
        return 0;
    assert_int_equal(mark.n, sizeof i);
    memcpy(&i, mark.p, sizeof i);
    for (uint32_t k = 0; k < KEYS; k++) {
        AUTO(buf_free) struct buf got = { 0 };
        char key[16];
        snprintf(key, sizeof key, "k%u", k);
        assert_int_equal(storage_get(s, str_of(key), &got, &err), 1);
        assert_true(str_eq(buf_str(&got), buf_str(&mark)));
    }
    expect_sound(s);
    return i;
}

/* Tells of each group on ${out}, until it dies. */
static void apply_on(struct rig *rig, uint32_t from, bool lazy, int out)
{
    struct storage *s = NULL;
    struct err err = { 0 };
    if (open_at(rig, "x.db", 1 << 20, lazy, &s, &err) < 0)
        _exit(2);
    for (uint32_t i = from;; i++)
        if (apply_group(s, i, &err) < 0 || write(out, &i, sizeof i) != (ssize_t)sizeof i)
            _exit(3);
}

static uint32_t kill_after(int in, pid_t child, uint32_t groups, uint32_t spins)
{
    uint32_t last = 0, got;
    for (uint32_t i = 0; i < groups && read(in, &got, sizeof got) == (ssize_t)sizeof got; i++)
        last = got;
    for (volatile uint32_t i = 0; i < spins; i++)
        ;
    kill(child, SIGKILL);
    while (read(in, &got, sizeof got) == (ssize_t)sizeof got)
        last = got;
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status));
    return last;
}

static void killed_in_the_middle_it_shows_one_whole_group(void **state)
{
    struct rig *rig = *state;
    uint64_t r = seed | 1;
    uint32_t at = 0;
    for (int round = 0; round < 12; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        if (child == 0) {
            close(ends[0]);
            apply_on(rig, at + 1, round % 2 == 0, ends[1]);
        }
        close(ends[1]);
        uint32_t told = kill_after(ends[0], child, 1 + below(&r, 20), below(&r, 400000));
        close(ends[0]);
        struct storage *s = must_open(rig, "x.db", 1 << 20, round % 2 == 0);
        at = group_of(s);
        storage_close(s);
        assert_true(at == told || at == told + 1);
    }
}

static void read_file(const struct rig *rig, const char *name, struct buf *out)
{
    char path[128], some[4096];
    path_in(rig, name, path);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    for (size_t n; (n = fread(some, 1, sizeof some, f)) > 0;)
        buf_add(out, str_mem(some, n));
    fclose(f);
}

/*
 * The power fails after group i + 2 has written its pages, and neither its meta page nor that of
 * group i + 1, which a lazy store did not sync, has reached the disk.
 */
static void what_a_lazy_store_loses_is_whole_groups(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    size_t metas = 2 * (size_t)sysconf(_SC_PAGESIZE);
    struct storage *s = must_open(rig, "x.db", 0, true);
    for (uint32_t i = 1; i < 60; i += 3) {
        AUTO(buf_free) struct buf before = { 0 }, after = { 0 };
        assert_int_equal(apply_group(s, i, &err), 0);
        read_file(rig, "x.db", &before);
        assert_int_equal(apply_group(s, i + 1, &err), 0);
        assert_int_equal(apply_group(s, i + 2, &err), 0);
        read_file(rig, "x.db", &after);
        assert_memory_not_equal(before.p, after.p, metas);
        memcpy(after.p, before.p, metas);
        write_file(rig, "crashed.db", buf_str(&after));
        struct storage *crashed = must_open(rig, "crashed.db", 0, true);
        assert_int_equal(group_of(crashed), i);
        storage_close(crashed);
    }
    storage_close(s);
}

/* ---- a full disk ---- */

static void fill_and_go_on(struct rig *rig, struct storage *s, void (*full)(struct rig *, bool))
{
    static char big[3 << 20];
    struct err err = { 0 };
    assert_int_equal(apply_group(s, 1, &err), 0);
    full(rig, true);
    struct storage_op ops[] = { { STORAGE_PUT, STR("k1"), STR("half") },
                                { STORAGE_PUT, STR("big"), str_mem(big, sizeof big) } };
    struct lmdb_batch batch = { ops, 2 };
    for (int i = 0; i < 3; i++) {
        err = (struct err){ 0 };
        int rc = lmdb_state_apply(s, &batch, 1, STR("never"), &err);
        if (rc == 0 || err.code != ERR_IO)
            full(rig, false);
        assert_int_equal(rc, -1);
        assert_int_equal(err.code, ERR_IO);
        assert_int_equal(group_of(s), 1);
    }
    full(rig, false);
    if (lmdb_state_apply(s, &batch, 1, STR("then"), &err) < 0)
        fail_msg("%s", err.msg);
    expect_mark(s, STR("then"));
    expect_sound(s);
}

static void limit_files(struct rig *rig, bool full)
{
    struct rlimit r;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &r), 0);
    r.rlim_cur = full ? 1 << 20 : r.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

static void a_full_disk_leaves_group_and_mark_and_passes(void **state)
{
    struct rig *rig = *state;
    for (int lazy = 0; lazy < 2; lazy++) {
        struct storage *s = must_open(rig, lazy ? "l.db" : "x.db", 0, lazy);
        fill_and_go_on(rig, s, limit_files);
        storage_close(s);
    }
}

/* Leaves 1 MiB of the small file system. */
static void fill_disk(struct rig *rig, bool full)
{
    char path[128];
    struct statvfs st;
    path_in(rig, "disk/ballast", path);
    if (!full) {
        unlink(path);
        return;
    }
    assert_int_equal(statvfs(rig->dir, &st), 0);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(posix_fallocate(fd, 0, 6 << 20), 0);
    close(fd);
}

static void so_does_a_file_system_without_room(void **state)
{
    struct rig *rig = *state;
    char disk[128];
    path_in(rig, "disk", disk);
    assert_int_equal(mkdir(disk, 0700), 0);
    if (geteuid() != 0 || mount("none", disk, "tmpfs", 0, "size=8m") < 0)
        skip();
    struct storage *s = must_open(rig, "disk/x.db", 0, true);
    fill_and_go_on(rig, s, fill_disk);
    storage_close(s);
    assert_int_equal(umount(disk), 0);
}

/* ---- one store in place of another ---- */

/* A closed store with group ${i}. */
static void make_store(struct rig *rig, const char *name, uint32_t i)
{
    struct err err = { 0 };
    struct storage *s = must_open(rig, name, 0, true);
    assert_int_equal(apply_group(s, i, &err), 0);
    storage_close(s);
}

static void replace(struct rig *rig, struct storage *s, const char *name)
{
    char path[128];
    struct err err = { 0 };
    path_in(rig, name, path);
    if (lmdb_state_replace(s, path, &err) < 0)
        fail_msg("replace: %s", err.msg);
}

static void a_replaced_store_shows_the_other_whole(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    assert_int_equal(apply_group(rig->s, 1, &err), 0);
    put(rig, STR("only/here"), STR("x"));
    make_store(rig, "new.db", 2);
    replace(rig, rig->s, "new.db");
    assert_int_equal(group_of(rig->s), 2);
    expect_absent(rig, STR("only/here"));
    assert_int_equal(apply_group(rig->s, 3, &err), 0);
    assert_int_equal(group_of(rig->s), 3);
    close_store(rig);
    open_store(rig);
    assert_int_equal(group_of(rig->s), 3);
}

static void nothing_is_left_of_the_file_that_was_taken(void **state)
{
    struct rig *rig = *state;
    make_store(rig, "new.db", 2);
    replace(rig, rig->s, "new.db");
    assert_false(is_there(rig, "new.db"));
    assert_false(is_there(rig, "new.db-lock"));
    assert_false(is_there(rig, "new.db-owner"));
}

static void what_cannot_be_taken_leaves_all_as_it_was(void **state)
{
    struct rig *rig = *state;
    char path[128];
    struct err err = { 0 };
    assert_int_equal(apply_group(rig->s, 1, &err), 0);
    path_in(rig, "absent.db", path);
    assert_int_equal(lmdb_state_replace(rig->s, path, &err), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_false(is_there(rig, "absent.db-owner"));
    struct storage *other = must_open(rig, "open.db", 0, false);
    path_in(rig, "open.db", path);
    assert_int_equal(lmdb_state_replace(rig->s, path, &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    storage_close(other);
    write_file(rig, "empty.db", STR(""));
    path_in(rig, "empty.db", path);
    assert_int_equal(lmdb_state_replace(rig->s, path, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
    path_in(rig, "vault.db", path);
    assert_int_equal(lmdb_state_replace(rig->s, path, &err), -1);
    assert_int_equal(group_of(rig->s), 1);
    assert_int_equal(apply_group(rig->s, 2, &err), 0);
}

/* A crash between the renames of data file and lock file. */
static void a_replace_that_was_torn_shows_one_of_them(void **state)
{
    struct rig *rig = *state;
    char from[128], to[128];
    struct err err = { 0 };
    assert_int_equal(apply_group(rig->s, 1, &err), 0);
    close_store(rig);
    make_store(rig, "new.db", 2);
    path_in(rig, "new.db", from);
    path_in(rig, "vault.db", to);
    assert_int_equal(rename(from, to), 0);
    open_store(rig);
    assert_int_equal(group_of(rig->s), 2);
    make_store(rig, "new.db", 3); /* beside what the torn one left */
    replace(rig, rig->s, "new.db");
    assert_int_equal(group_of(rig->s), 3);
}

static void replace_on(struct rig *rig, uint32_t from, int out)
{
    struct storage *s = NULL;
    struct err err = { 0 };
    char path[128];
    path_in(rig, "new.db", path);
    if (open_at(rig, "x.db", 0, true, &s, &err) < 0)
        _exit(2);
    for (uint32_t i = from;; i++) {
        struct storage *next = NULL;
        if (open_at(rig, "new.db", 0, true, &next, &err) < 0 || apply_group(next, i, &err) < 0)
            _exit(3);
        storage_close(next);
        if (lmdb_state_replace(s, path, &err) < 0 || write(out, &i, sizeof i) != sizeof i)
            _exit(4);
    }
}

static void killed_while_replacing_it_shows_one_whole_store(void **state)
{
    struct rig *rig = *state;
    uint64_t r = seed | 1;
    uint32_t at = 0;
    for (int round = 0; round < 12; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        if (child == 0) {
            close(ends[0]);
            replace_on(rig, at + 1, ends[1]);
        }
        close(ends[1]);
        uint32_t told = kill_after(ends[0], child, 1 + below(&r, 8), below(&r, 2000000));
        close(ends[0]);
        struct storage *s = must_open(rig, "x.db", 0, true);
        at = group_of(s);
        storage_close(s);
        assert_true(at == told || at == told + 1);
    }
}

struct reading {
    struct storage *s;
    atomic_bool stop;
    atomic_int wrong, reads;
};

/* What is read only ever grows. */
static void *read_on(void *ctx)
{
    struct reading *r = ctx;
    uint32_t last = 0;
    while (!atomic_load(&r->stop)) {
        AUTO(buf_free) struct buf b = { 0 };
        struct err err = { 0 };
        uint32_t now = 0;
        if (storage_get(r->s, STR("k7"), &b, &err) == 1 && b.n == sizeof now)
            memcpy(&now, b.p, sizeof now);
        if (now == 0 || now < last)
            atomic_fetch_add(&r->wrong, 1);
        last = now;
        atomic_fetch_add(&r->reads, 1);
    }
    return NULL;
}

static void readers_see_the_one_or_the_other(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    assert_int_equal(apply_group(rig->s, 1, &err), 0);
    struct reading r = { .s = rig->s };
    pthread_t threads[3];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_create(&threads[i], NULL, read_on, &r);
    for (uint32_t i = 2; i < 20; i++) {
        if (i % 3 == 0)
            assert_int_equal(apply_group(rig->s, i, &err), 0);
        make_store(rig, "new.db", i);
        replace(rig, rig->s, "new.db");
    }
    atomic_store(&r.stop, true);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&r.wrong), 0);
}

/* ---- the table ---- */

int main(void)
{
#define CASE(fn) cmocka_unit_test_prestate_setup_teardown(fn, setup, teardown, (void *)state_kind)
    const struct CMUnitTest tests[] = {
        CASE(batches_are_applied_in_order_with_their_mark),
        CASE(the_log_tells_where_each_batch_ends),
        CASE(there_is_no_mark_before_the_first),
        CASE(a_mark_may_come_alone_and_be_empty),
        CASE(a_commit_leaves_the_mark_alone),
        CASE(data_and_mark_are_there_after_reopening),
        CASE(a_refused_batch_changes_nothing_nor_the_mark),
        CASE(a_mark_is_no_key),
        CASE(the_map_grows_for_a_group),
        CASE(a_bolt_file_is_called_by_its_name),
        CASE(a_file_of_text_is_refused),
        CASE(another_programs_lmdb_is_refused_and_left_alone),
        CASE(a_cut_off_file_is_refused),
        CASE(a_second_process_is_kept_out),
        CASE(killed_in_the_middle_it_shows_one_whole_group),
        CASE(what_a_lazy_store_loses_is_whole_groups),
        CASE(a_full_disk_leaves_group_and_mark_and_passes),
        CASE(so_does_a_file_system_without_room),
        CASE(a_replaced_store_shows_the_other_whole),
        CASE(nothing_is_left_of_the_file_that_was_taken),
        CASE(what_cannot_be_taken_leaves_all_as_it_was),
        CASE(a_replace_that_was_torn_shows_one_of_them),
        CASE(killed_while_replacing_it_shows_one_whole_store),
        CASE(readers_see_the_one_or_the_other),
    };
    random_fill(&seed, sizeof seed);
    print_message("seed %llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
