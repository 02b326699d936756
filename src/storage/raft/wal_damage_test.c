/* The raft log after crashes, on damaged files and full disks; its vote. */
#include "storage/raft/wal_test.h"

/* ---- crashes and damage ---- */

enum damage { CUT, ZEROS, GARBAGE, DAMAGES };

static void damage_from(const char *path, size_t from, size_t to, enum damage how)
{
    char bytes[512] = { 0 };
    if (how == CUT) {
        assert_int_equal(truncate(path, (off_t)from), 0);
        return;
    }
    if (how == GARBAGE)
        memset(bytes, 0xa5, sizeof bytes);
    put_bytes(path, (off_t)from, bytes, to - from + (how == GARBAGE ? 64 : 0));
}

static void a_torn_last_record_is_as_if_never_written(void **state)
{
    struct rig *rig = *state;
    char whole[HEAD + 5 * (RECORD + 96)], path[256];
    size_t start = HEAD + 4 * (RECORD + 96);
    append(rig, 1, 5, 1, 96);
    snprintf(path, sizeof path, "%s", segment(rig, 0));
    get_bytes(path, 0, whole, sizeof whole);
    for (enum damage how = CUT; how < DAMAGES; how++)
        for (size_t cut = start; cut < sizeof whole; cut++) {
            close_log(rig);
            if (segment(rig, 1) != NULL) /* of the time before: the file was cut, so it was full */
                unlink(segment(rig, 1));
            restore(path, whole, sizeof whole);
            damage_from(path, cut, sizeof whole, how);
            open_log(rig);
            expect_held(rig, 1, 4);
            if (cut % 8 != 0)
                continue;
            expect(rig, 1, 4, 1, 96);
            append(rig, 5, 6, 2, 60);
            reopen(rig);
            expect_held(rig, 1, 6);
            expect(rig, 1, 4, 1, 96);
            expect(rig, 5, 6, 2, 60);
        }
}

static void whole_records_behind_a_torn_one_never_come_back(void **state)
{
    struct rig *rig = *state;
    char path[256];
    append(rig, 1, 6, 1, 96);
    snprintf(path, sizeof path, "%s", segment(rig, 0));
    close_log(rig);
    flip_bit(path, HEAD + 4 * (RECORD + 96) + 50, 0); /* entry 5 */
    open_log(rig);
    expect_held(rig, 1, 4);
    append(rig, 5, 5, 1, 96); /* the very same again */
    reopen(rig);
    expect_held(rig, 1, 5);
    expect(rig, 1, 5, 1, 96);
}

/* Every bit of a small log: what opens holds a beginning of what was written, nothing else. */
static void a_flipped_bit_never_alters_an_entry(void **state)
{
    struct rig *rig = *state;
    char whole[HEAD + 3 * (RECORD + 24)], path[256];
    append(rig, 1, 3, 1, 24);
    snprintf(path, sizeof path, "%s", segment(rig, 0));
    get_bytes(path, 0, whole, sizeof whole);
    close_log(rig);
    for (size_t bit = 0; bit < sizeof whole * 8; bit++) {
        struct err err = { 0 };
        restore(path, whole, sizeof whole);
        flip_bit(path, (off_t)(bit / 8), (int)(bit % 8));
        int rc = wal_open(rig->dir, &rig->w, &err);
        if (bit / 8 < HEAD) {
            assert_int_equal(rc, -1);
            assert_int_equal(err.code, ERR_CORRUPT);
            rig->w = NULL;
            continue;
        }
        assert_int_equal(rc, 0);
        uint64_t last = (bit / 8 - HEAD) / (RECORD + 24);
        assert_int_equal(wal_last(rig->w), last);
        expect(rig, 1, last, 1, 24);
        close_log(rig);
    }
    restore(path, whole, sizeof whole);
    open_log(rig);
}

static void damage_before_the_last_segment_is_told(void **state)
{
    struct rig *rig = *state;
    char path[256];
    append(rig, 1, 4, 1, 6 * MIB);
    snprintf(path, sizeof path, "%s", segment(rig, 0));
    flip_bit(path, HEAD + RECORD + 1000, 3);
    expect_refusal(rig, ERR_CORRUPT, strrchr(path, '/') + 1);
    flip_bit(path, HEAD + RECORD + 1000, 3);
    open_log(rig);
    expect(rig, 1, 4, 1, 6 * MIB);
}

static void a_read_tells_of_damage_since_the_start(void **state)
{
    struct rig *rig = *state;
    AUTO(buf_free) struct buf b = { 0 };
    struct wal_entry e;
    struct err err = { 0 };
    append(rig, 1, 3, 1, 96);
    reopen(rig); /* nothing in memory any more */
    flip_bit(segment(rig, 0), HEAD + RECORD + 96 + RECORD + 5, 0);
    buf_add(&b, STR("kept"));
    assert_int_equal(wal_read(rig->w, 2, &e, &b, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_true(str_eq(buf_str(&b), STR("kept")));
    assert_int_equal(wal_read(rig->w, 3, &e, &b, &err), 1);
    assert_int_equal(truncate(segment(rig, 0), HEAD + RECORD + 20), 0);
    assert_int_equal(wal_read(rig->w, 1, &e, &b, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_int_equal(wal_read(rig->w, 3, &e, &b, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
}

static void a_missing_segment_is_told(void **state)
{
    struct rig *rig = *state;
    append(rig, 1, 6, 1, 6 * MIB);
    assert_int_equal(unlink(segment(rig, 1)), 0);
    expect_refusal(rig, ERR_CORRUPT, "a segment is missing");
}

static void a_lost_head_is_told(void **state)
{
    struct rig *rig = *state;
    char zeros[HEAD] = { 0 };
    append(rig, 1, 6, 1, 6 * MIB);
    put_bytes(segment(rig, 1), 0, zeros, sizeof zeros);
    expect_refusal(rig, ERR_CORRUPT, "its head is gone");
    put_bytes(segment(rig, 0), 0, zeros, sizeof zeros);
    expect_refusal(rig, ERR_CORRUPT, "its head is gone");
}

static void a_cut_off_head_is_told(void **state)
{
    struct rig *rig = *state;
    append(rig, 1, 1, 1, 100);
    assert_int_equal(truncate(segment(rig, 0), 60), 0);
    expect_refusal(rig, ERR_CORRUPT, "cut off");
}

static void a_version_of_another_day_is_told(void **state)
{
    struct rig *rig = *state;
    append(rig, 1, 1, 1, 100);
    put_bytes(segment(rig, 0), 8, "\2", 1);
    expect_refusal(rig, ERR_CORRUPT, "its version is 2");
    put_bytes(vote_path(rig), 8, "\3", 1);
    put_bytes(vote_path(rig), 4096 + 8, "\3", 1);
    expect_refusal(rig, ERR_CORRUPT, "raft.db: its version is 3");
}

static void foreign_files_are_told(void **state)
{
    struct rig *rig = *state;
    char path[256];
    append(rig, 1, 1, 1, 100);
    snprintf(path, sizeof path, "%s/server.log", rig->dir);
    close(open(path, O_WRONLY | O_CREAT, 0600));
    expect_refusal(rig, ERR_CORRUPT, "server.log: not one of the log's segments");
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof path, "%s/00000000000000000007-0000000002.log", rig->dir);
    assert_int_equal(link(segment(rig, 0), path), 0);
    expect_refusal(rig, ERR_CORRUPT, "it has been renamed");
    assert_int_equal(unlink(path), 0);
    put_bytes(segment(rig, 0), 0, "not ours", 8);
    expect_refusal(rig, ERR_CORRUPT, "not a segment of this server's");
}

static void a_segment_of_another_log_is_told(void **state)
{
    struct rig *rig = *state;
    struct rig other = { 0 };
    char from[256], to[256];
    append(rig, 1, 2, 1, 6 * MIB);
    snprintf(other.dir, sizeof other.dir, "/tmp/coffer-wal-XXXXXX");
    assert_non_null(mkdtemp(other.dir));
    open_log(&other);
    append(&other, 1, 4, 1, 6 * MIB);
    wal_close(other.w);
    snprintf(from, sizeof from, "%s", segment(&other, 1));
    snprintf(to, sizeof to, "%s%s", rig->dir, strrchr(from, '/'));
    assert_int_equal(rename(from, to), 0);
    nftw(other.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    expect_refusal(rig, ERR_CORRUPT, "belongs to another log");
}

/* ---- the disk says no ---- */

static void a_full_disk_changes_nothing_and_passes(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    append(rig, 1, 4, 1, 96);
    /* Room for entry 5, not for 6 to 8. */
    for (int restart = 0; restart < 2; restart++) {
        limit_files(HEAD + 5 * (RECORD + 96) + 80);
        assert_int_equal(append_group(rig, 5, 4, 96, &err), -1);
        limit_files(0);
        assert_int_equal(err.code, ERR_IO);
        expect_held(rig, 1, 4);
        expect(rig, 1, 4, 1, 96);
        if (restart == 0)
            reopen(rig);
        expect_held(rig, 1, 4);
    }
    append(rig, 5, 5, 1, 96);
    reopen(rig);
    expect_held(rig, 1, 5);
    expect(rig, 1, 5, 1, 96);
}

static void no_room_for_another_segment_changes_nothing(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    append(rig, 1, 1, 1, 6 * MIB);
    limit_files(15 * MIB);
    assert_int_equal(append_group(rig, 2, 3, 6 * MIB, &err), -1);
    assert_int_equal(wal_reset(rig->w, 9, &err), -1);
    limit_files(0);
    assert_int_equal(segments(rig), 1);
    expect_held(rig, 1, 1);
    assert_int_equal(append_group(rig, 2, 3, 6 * MIB, &err), 0);
    assert_int_equal(wal_sync(rig->w, &err), 0);
    reopen(rig);
    expect_held(rig, 1, 4);
    expect(rig, 1, 4, 1, 6 * MIB);
}

/* Put a pipe, which no one can sync, in place of our descriptor of that file. */
static void break_descriptor_of(const char *path)
{
    int ends[2];
    char link[32], target[256];
    assert_int_equal(pipe(ends), 0);
    for (int fd = 3; fd < 256; fd++) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(link, target, sizeof target - 1);
        if (n > 0 && str_eq(str_mem(target, (size_t)n), str_of(path)))
            assert_int_equal(dup2(ends[0], fd), fd);
    }
    close(ends[0]);
    close(ends[1]);
}

static void after_a_failed_sync_the_log_takes_nothing_more(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    append(rig, 1, 4, 1, 96);
    assert_int_equal(append_one(rig, 5, 1, 96, &err), 0);
    break_descriptor_of(segment(rig, 0));
    assert_int_equal(wal_sync(rig->w, &err), -1);
    assert_int_equal(err.code, ERR_IO);
    assert_int_equal(wal_sync(rig->w, &err), -1);
    assert_int_equal(append_one(rig, 6, 1, 96, &err), -1);
    assert_int_equal(wal_forget(rig->w, 1, &err), -1);
    assert_int_equal(wal_reset(rig->w, 1, &err), -1);
    assert_int_equal(wal_set_vote(rig->w, 1, 1, &err), -1);
    assert_int_equal(err.code, ERR_IO);
    assert_non_null(strstr(err.msg, "check the disk"));
    reopen(rig);
    expect(rig, 1, 4, 1, 96);
    append(rig, wal_last(rig->w) + 1, 6, 1, 96);
    expect(rig, 1, 6, 1, 96);
}

/* ---- the vote ---- */

static void expect_vote(struct rig *rig, uint64_t term, uint64_t voted_for)
{
    uint64_t t, v;
    wal_vote(rig->w, &t, &v);
    assert_int_equal(t, term);
    assert_int_equal(v, voted_for);
}

static void set_vote(struct rig *rig, uint64_t term, uint64_t voted_for)
{
    struct err err = { 0 };
    if (wal_set_vote(rig->w, term, voted_for, &err) < 0)
        fail_msg("vote: %s", err.msg);
}

static void the_vote_is_there_after_a_restart(void **state)
{
    struct rig *rig = *state;
    for (uint64_t term = 1; term < 5; term++) {
        set_vote(rig, term, term * 100);
        expect_vote(rig, term, term * 100);
        reopen(rig);
        expect_vote(rig, term, term * 100);
    }
}

static void a_torn_vote_leaves_the_one_before(void **state)
{
    struct rig *rig = *state;
    char before[8192], after[8192];
    for (uint64_t term = 1; term < 4; term++) {
        memset(before, 0, sizeof before);
        memset(after, 0, sizeof after);
        set_vote(rig, term * 10, 0x0101010101010101 * term);
        get_bytes(vote_path(rig), 0, before, 4096 + 64);
        set_vote(rig, term * 10 + 1, 0x0202020202020202 * term);
        get_bytes(vote_path(rig), 0, after, 4096 + 64);
        for (size_t torn = 0; torn <= 64; torn++) {
            size_t slot = memcmp(before, after, 64) != 0 ? 0 : 4096;
            close_log(rig);
            restore(vote_path(rig), before, 4096 + 64);
            put_bytes(vote_path(rig), (off_t)slot, after + slot, torn);
            open_log(rig);
            if (torn == 64 || memcmp(before + slot + torn, after + slot + torn, 64 - torn) == 0)
                expect_vote(rig, term * 10 + 1, 0x0202020202020202 * term);
            else
                expect_vote(rig, term * 10, 0x0101010101010101 * term);
        }
    }
}

static void a_vote_that_cannot_be_written_is_not_given(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    set_vote(rig, 4, 1);
    for (int i = 0; i < 2; i++) {
        limit_files(20); /* one of the two slots would be cut, the other is beyond */
        assert_int_equal(wal_set_vote(rig->w, 5, 2, &err), -1);
        limit_files(0);
        assert_int_equal(err.code, ERR_IO);
        expect_vote(rig, 4, 1);
        reopen(rig);
        expect_vote(rig, 4, 1);
    }
    set_vote(rig, 6, 3);
    reopen(rig);
    expect_vote(rig, 6, 3);
}

static void a_damaged_or_missing_vote_is_told(void **state)
{
    struct rig *rig = *state;
    set_vote(rig, 4, 1);
    append(rig, 1, 1, 1, 10);
    flip_bit(vote_path(rig), 40, 0);
    flip_bit(vote_path(rig), 4096 + 40, 0);
    expect_refusal(rig, ERR_CORRUPT, "raft.db: damaged");
    assert_int_equal(truncate(vote_path(rig), 0), 0);
    expect_refusal(rig, ERR_CORRUPT, "raft.db: damaged");
    assert_int_equal(unlink(vote_path(rig)), 0);
    expect_refusal(rig, ERR_CORRUPT, "raft.db is missing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIGGED(a_torn_last_record_is_as_if_never_written),
        RIGGED(whole_records_behind_a_torn_one_never_come_back),
        RIGGED(a_flipped_bit_never_alters_an_entry),
        RIGGED(damage_before_the_last_segment_is_told),
        RIGGED(a_read_tells_of_damage_since_the_start),
        RIGGED(a_missing_segment_is_told),
        RIGGED(a_lost_head_is_told),
        RIGGED(a_cut_off_head_is_told),
        RIGGED(a_version_of_another_day_is_told),
        RIGGED(foreign_files_are_told),
        RIGGED(a_segment_of_another_log_is_told),
        RIGGED(a_full_disk_changes_nothing_and_passes),
        RIGGED(no_room_for_another_segment_changes_nothing),
        RIGGED(after_a_failed_sync_the_log_takes_nothing_more),
        RIGGED(the_vote_is_there_after_a_restart),
        RIGGED(a_torn_vote_leaves_the_one_before),
        RIGGED(a_vote_that_cannot_be_written_is_not_given),
        RIGGED(a_damaged_or_missing_vote_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
