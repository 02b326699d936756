/* The raft log: reading and writing, segments, many threads, kill -9. */
#include "storage/raft/wal_test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "base/random.h"

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


/* ---- reading and writing ---- */

static void a_new_log_is_empty_and_has_no_vote(void **state)
{
    struct rig *rig = *state;
    AUTO(buf_free) struct buf b = { 0 };
    struct wal_entry e;
    struct err err = { 0 };
    uint64_t term = 7, voted = 7;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(wal_first(rig->w), 1);
        assert_int_equal(wal_last(rig->w), 0);
        assert_int_equal(wal_term_of(rig->w, 1), 0);
        assert_int_equal(wal_read(rig->w, 1, &e, &b, &err), 0);
        wal_vote(rig->w, &term, &voted);
        assert_int_equal(term + voted, 0);
        assert_int_equal(wal_sync(rig->w, &err), 0);
        assert_int_equal(wal_forget(rig->w, 10, &err), 0);
        reopen(rig);
    }
}

static void entries_of_every_small_length_come_back(void **state)
{
    struct rig *rig = *state;
    for (size_t n = 0; n < 40; n++)
        append(rig, n + 1, n + 1, 1, n);
    for (int i = 0; i < 2; i++) {
        for (size_t n = 0; n < 40; n++)
            expect(rig, n + 1, n + 1, 1, n);
        reopen(rig);
    }
}

static void what_is_not_synced_yet_can_be_read(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    assert_int_equal(append_group(rig, 1, 20, 100, &err), 0);
    expect(rig, 1, 20, 1, 100);
    expect_held(rig, 1, 20);
}

static void an_entry_that_cannot_follow_is_refused(void **state)
{
    struct rig *rig = *state;
    struct wal_entry apart[2] = { { 4, 1, 1, STR("a") }, { 6, 1, 1, STR("b") } };
    struct err err = { 0 };
    append(rig, 1, 3, 1, 50);
    assert_int_equal(append_one(rig, 0, 1, 50, &err), -1);
    assert_int_equal(err.code, ERR_INTERNAL);
    assert_int_equal(append_one(rig, 5, 1, 50, &err), -1);
    assert_int_equal(wal_append(rig->w, apart, 2, &err), -1);
    assert_int_equal(wal_append(rig->w, NULL, 0, &err), 0);
    expect_held(rig, 1, 3);
    append(rig, 4, 4, 1, 50);
    reopen(rig);
    expect(rig, 1, 4, 1, 50);
}

static void a_second_opener_is_refused(void **state)
{
    struct rig *rig = *state;
    struct wal *second;
    struct err err = { 0 };
    assert_int_equal(wal_open(rig->dir, &second, &err), -1);
    assert_int_equal(err.code, ERR_IO);
    assert_non_null(strstr(err.msg, "another process"));
}

static void a_directory_below_none_is_refused(void **state)
{
    struct wal *w;
    struct err err = { 0 };
    assert_int_equal(wal_open("/tmp/coffer-no-such/raft", &w, &err), -1);
    assert_int_equal(err.code, ERR_IO);
}

/* ---- replaced tails ---- */

static void an_index_again_replaces_all_behind_it(void **state)
{
    struct rig *rig = *state;
    append(rig, 1, 20, 1, 80);
    append(rig, 11, 13, 2, 90);
    for (int i = 0; i < 2; i++) {
        expect_held(rig, 1, 13);
        expect(rig, 1, 10, 1, 80);
        expect(rig, 11, 13, 2, 90);
        reopen(rig);
    }
    append(rig, 1, 1, 3, 70);
    reopen(rig);
    expect_held(rig, 1, 1);
    expect(rig, 1, 1, 3, 70);
}

static void a_tail_is_replaced_across_segments(void **state)
{
    struct rig *rig = *state;
    append(rig, 1, 12, 1, 5 * MIB);
    assert_int_equal(segments(rig), 4);
    append(rig, 5, 6, 2, 5 * MIB);
    for (int i = 0; i < 2; i++) {
        expect_held(rig, 1, 6);
        expect(rig, 1, 4, 1, 5 * MIB);
        expect(rig, 5, 6, 2, 5 * MIB);
        reopen(rig);
    }
}

static void forgetting_after_a_replaced_tail_keeps_what_is_held(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    append(rig, 1, 12, 1, 5 * MIB); /* 1-3, 4-6, 7-9, 10-12 */
    append(rig, 5, 9, 2, 5 * MIB);  /* 5-7, 8-9 */
    assert_int_equal(wal_forget(rig->w, 2, &err), 0);
    assert_int_equal(wal_first(rig->w), 1);
    assert_int_equal(wal_forget(rig->w, 5, &err), 0);
    for (int i = 0; i < 2; i++) {
        expect_held(rig, 5, 9);
        expect(rig, 5, 9, 2, 5 * MIB);
        assert_int_equal(segments(rig), 2);
        reopen(rig);
    }
}

/* ---- segments ---- */

static void a_log_of_many_segments_is_read_as_one(void **state)
{
    struct rig *rig = *state;
    append(rig, 1, 5, 1, 6 * MIB);
    append(rig, 6, 6, 2, 17 * MIB); /* in a segment of its own size */
    append(rig, 7, 9, 2, 3000);
    assert_int_equal(segments(rig), 5);
    for (int i = 0; i < 2; i++) {
        expect_held(rig, 1, 9);
        expect(rig, 1, 5, 1, 6 * MIB);
        expect(rig, 6, 6, 2, 17 * MIB);
        expect(rig, 7, 9, 2, 3000);
        reopen(rig);
    }
}

static void one_append_may_fill_several_segments(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    append(rig, 1, 1, 1, 100);
    assert_int_equal(append_group(rig, 2, 7, 6 * MIB, &err), 0);
    expect(rig, 2, 8, 1, 6 * MIB);
    assert_int_equal(wal_sync(rig->w, &err), 0);
    reopen(rig);
    expect_held(rig, 1, 8);
    expect(rig, 2, 8, 1, 6 * MIB);
}

static void a_segment_that_was_never_synced_does_not_count(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    append(rig, 1, 2, 1, 6 * MIB);
    assert_int_equal(append_group(rig, 3, 2, 6 * MIB, &err), 0);
    assert_int_equal(segments(rig), 2);
    reopen(rig);
    assert_int_equal(segments(rig), 1);
    expect_held(rig, 1, 2);
    append(rig, 3, 3, 2, 6 * MIB);
    reopen(rig);
    expect(rig, 1, 2, 1, 6 * MIB);
    expect(rig, 3, 3, 2, 6 * MIB);
}

static void forgetting_drops_whole_segments_and_lasts(void **state)
{
    struct rig *rig = *state;
    AUTO(buf_free) struct buf b = { 0 };
    struct wal_entry e;
    struct err err = { 0 };
    append(rig, 1, 2, 1, 6 * MIB);
    append(rig, 3, 6, 2, 6 * MIB);
    assert_int_equal(wal_forget(rig->w, 3, &err), 0);
    for (int i = 0; i < 2; i++) {
        expect_held(rig, 3, 6);
        assert_int_equal(wal_read(rig->w, 2, &e, &b, &err), 0);
        expect(rig, 3, 6, 2, 6 * MIB);
        assert_int_equal(segments(rig), 2);
        reopen(rig);
    }
    assert_int_equal(wal_forget(rig->w, 1000, &err), 0);
    expect_held(rig, 5, 6);
    append(rig, 7, 7, 2, 100);
    reopen(rig);
    expect_held(rig, 5, 7);
    expect(rig, 5, 6, 2, 6 * MIB);
}

static void what_is_not_durable_is_no_reason_to_forget_what_is(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    append(rig, 1, 2, 1, 6 * MIB);
    assert_int_equal(append_group(rig, 3, 1, 6 * MIB, &err), 0);
    assert_int_equal(wal_forget(rig->w, 2, &err), 0);
    reopen(rig);
    expect_held(rig, 1, 2);
}

static void a_reset_log_goes_on_at_another_index(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    append(rig, 1, 4, 1, 6 * MIB);
    assert_int_equal(wal_reset(rig->w, 0, &err), -1);
    assert_int_equal(wal_reset(rig->w, 500, &err), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(segments(rig), 1);
        assert_int_equal(wal_first(rig->w), 500);
        assert_int_equal(wal_last(rig->w), 499);
        assert_int_equal(wal_term_of(rig->w, 499), 0);
        reopen(rig);
    }
    assert_int_equal(append_one(rig, 501, 4, 100, &err), -1);
    append(rig, 500, 510, 4, 100);
    reopen(rig);
    expect_held(rig, 500, 510);
    expect(rig, 500, 510, 4, 100);
}

static void a_crash_within_a_reset_leaves_it_done(void **state)
{
    struct rig *rig = *state;
    char old[HEAD + 5 * (RECORD + 96)], name[256];
    struct err err = { 0 };
    append(rig, 1, 5, 1, 96);
    snprintf(name, sizeof name, "%s", segment(rig, 0));
    get_bytes(name, 0, old, sizeof old);
    assert_int_equal(wal_reset(rig->w, 100, &err), 0);
    append(rig, 100, 101, 2, 50);
    /* As if the old segment had not been removed: with its head, and never begun. */
    for (int begun = 1; begun >= 0; begun--) {
        close_log(rig);
        int fd = open(name, O_WRONLY | O_CREAT, 0600);
        assert_true(fd >= 0);
        close(fd);
        if (begun)
            put_bytes(name, 0, old, sizeof old);
        open_log(rig);
        assert_int_equal(access(name, F_OK), -1);
        expect_held(rig, 100, 101);
        expect(rig, 100, 101, 2, 50);
    }
}

/* ---- many at once, and killed ---- */

struct crowd {
    struct rig *rig;
    atomic_bool done;
};

enum { CROWD_ENTRIES = 3000 };

static void *keep_syncing(void *arg)
{
    struct crowd *c = arg;
    struct err err;
    while (!atomic_load(&c->done))
        if (wal_sync(c->rig->w, &err) < 0)
            abort();
    return NULL;
}

static void *keep_reading(void *arg)
{
    struct crowd *c = arg;
    for (uint64_t i = 1; !atomic_load(&c->done);) {
        AUTO(buf_free) struct buf got = { 0 }, b = { 0 };
        struct wal_entry e;
        struct err err;
        uint64_t first = wal_first(c->rig->w), last = wal_last(c->rig->w);
        i = i < first || i >= last ? first : i + 1;
        int rc = wal_read(c->rig->w, i, &e, &got, &err);
        if (rc < 0 || (rc > 0 && !str_eq(e.data, entry_of(i, 1, 12000, &b).data)))
            abort();
    }
    return NULL;
}

static void others_sync_and_read_while_one_appends_and_forgets(void **state)
{
    struct crowd c = { .rig = *state };
    pthread_t t[3];
    struct err err = { 0 };
    assert_int_equal(pthread_create(&t[0], NULL, keep_syncing, &c), 0);
    assert_int_equal(pthread_create(&t[1], NULL, keep_reading, &c), 0);
    assert_int_equal(pthread_create(&t[2], NULL, keep_reading, &c), 0);
    for (uint64_t i = 1; i <= CROWD_ENTRIES; i++) {
        assert_int_equal(append_one(c.rig, i, 1, 12000, &err), 0);
        if (i % 1000 == 0)
            assert_int_equal(wal_forget(c.rig->w, i - 500, &err), 0);
    }
    atomic_store(&c.done, true);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    assert_int_equal(wal_sync(c.rig->w, &err), 0);
    reopen(c.rig);
    assert_int_equal(wal_last(c.rig->w), CROWD_ENTRIES);
    assert_true(wal_first(c.rig->w) > 1);
    expect(c.rig, wal_first(c.rig->w), CROWD_ENTRIES, 1, 12000);
}

/* Appends groups, tells of each that is durable, until it is killed. */
static void run_until_killed(struct rig *rig, int tell)
{
    struct err err;
    open_log(rig);
    for (;;) {
        uint64_t next = wal_last(rig->w) + 1;
        size_t n = 1 + random_below(40);
        if (append_group(rig, next, n, random_below(2) == 0 ? 300 : 50000, &err) < 0
            || wal_sync(rig->w, &err) < 0 || wal_set_vote(rig->w, next, n, &err) < 0)
            _exit(1);
        if (random_below(8) == 0 && wal_forget(rig->w, next / 2, &err) < 0)
            _exit(1);
        next += n - 1;
        if (write(tell, &next, sizeof next) != sizeof next)
            _exit(1);
    }
}

static uint64_t kill_after(struct rig *rig, uint32_t groups)
{
    int ends[2];
    uint64_t told = 0, last = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        run_until_killed(rig, ends[1]);
    }
    close(ends[1]);
    for (uint32_t i = 0; i < groups; i++)
        assert_int_equal(read(ends[0], &last, sizeof last), sizeof last);
    kill(child, SIGKILL);
    while (read(ends[0], &told, sizeof told) == sizeof told)
        last = told;
    waitpid(child, NULL, 0);
    close(ends[0]);
    return last;
}

static void what_was_synced_survives_kill_9(void **state)
{
    struct rig *rig = *state;
    close_log(rig);
    for (int round = 0; round < 12; round++) {
        AUTO(buf_free) struct buf got = { 0 }, b = { 0 };
        struct wal_entry e;
        struct err err = { 0 };
        uint64_t told = kill_after(rig, 1 + random_below(12)), term, voted;
        open_log(rig);
        uint64_t first = wal_first(rig->w), last = wal_last(rig->w);
        assert_true(last >= told);
        wal_vote(rig->w, &term, &voted);
        assert_true(term + voted - 1 >= told);
        for (uint64_t i = first; i <= last; i++) {
            got.n = 0;
            assert_int_equal(wal_read(rig->w, i, &e, &got, &err), 1);
            assert_true(str_eq(e.data, entry_of(i, 1, e.data.n, &b).data));
        }
        close_log(rig);
    }
    open_log(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIGGED(entries_are_there_after_a_restart),
        RIGGED(a_new_log_is_empty_and_has_no_vote),
        RIGGED(entries_of_every_small_length_come_back),
        RIGGED(what_is_not_synced_yet_can_be_read),
        RIGGED(an_entry_that_cannot_follow_is_refused),
        RIGGED(a_second_opener_is_refused),
        RIGGED(a_directory_below_none_is_refused),
        RIGGED(an_index_again_replaces_all_behind_it),
        RIGGED(a_tail_is_replaced_across_segments),
        RIGGED(forgetting_after_a_replaced_tail_keeps_what_is_held),
        RIGGED(a_log_of_many_segments_is_read_as_one),
        RIGGED(one_append_may_fill_several_segments),
        RIGGED(a_segment_that_was_never_synced_does_not_count),
        RIGGED(forgetting_drops_whole_segments_and_lasts),
        RIGGED(what_is_not_durable_is_no_reason_to_forget_what_is),
        RIGGED(a_reset_log_goes_on_at_another_index),
        RIGGED(a_crash_within_a_reset_leaves_it_done),
        RIGGED(others_sync_and_read_while_one_appends_and_forgets),
        RIGGED(what_was_synced_survives_kill_9),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
