/* Tests of the directory where snapshots are kept. */
#include "core/snapfolder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    char dir[64];
    struct arena *arena;
    struct snapfolder folder;
};

static int set_up(void **state)
{
    static struct fixture f;
    snprintf(f.dir, sizeof f.dir, "/tmp/snapfolder-test-XXXXXX");
    f.arena = arena_new();
    if (f.arena == NULL || mkdtemp(f.dir) == NULL)
        return -1;
    f.folder = (struct snapfolder){ str_of(f.dir), STR("snap"), 100 };
    *state = &f;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    arena_free(f->arena);
    return nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static bool is_there(struct fixture *f, const char *name)
{
    struct stat st;
    char path[256];
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    return lstat(path, &st) == 0;
}

static void touch(struct fixture *f, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    int fd = open(path, O_CREAT | O_WRONLY | O_EXCL, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static int begin(struct fixture *f, int64_t begun, struct snapfolder_file *file)
{
    struct err err = { 0 };
    int rc = snapfolder_begin(&f->folder, f->arena, begun, file, &err);
    if (rc < 0)
        assert_int_equal(err.code, ERR_IO);
    return rc;
}

/* A whole one of ${n} bytes, or the error. */
static enum err_code keep(struct fixture *f, int64_t begun, size_t n)
{
    static const char bytes[256];
    struct snapfolder_file file;
    struct err err = { 0 };
    assert_int_equal(begin(f, begun, &file), 1);
    if (snapfolder_add(&file, str_mem(bytes, n), &err) == 0)
        assert_int_equal(snapfolder_finish(&f->folder, &file, &err), 0);
    snapfolder_drop(&file);
    return err.code;
}

static struct snapfolder_usage prune(struct fixture *f, int64_t retain)
{
    struct err err = { 0 };
    struct snapfolder_usage usage;
    assert_int_equal(snapfolder_prune(&f->folder, retain, &usage, &err), 0);
    return usage;
}

static void what_is_finished_has_its_name_and_is_nobody_elses(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    assert_int_equal(keep(f, 17, 10), ERR_NONE);
    assert_true(is_there(f, "snap-17.snap"));
    assert_int_equal(stat(snapfolder_name(&f->folder, f->arena, 17), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, 10);
}

static void a_slash_at_the_end_of_the_path_is_fine(void **state)
{
    struct fixture *f = *state;
    f->folder.path = arena_printf(f->arena, "%s//", f->dir);
    assert_int_equal(keep(f, 17, 10), ERR_NONE);
    assert_true(is_there(f, "snap-17.snap"));
}

static void what_is_dropped_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct snapfolder_file file;
    struct err err = { 0 };
    assert_int_equal(begin(f, 17, &file), 1);
    assert_int_equal(snapfolder_add(&file, STR("abc"), &err), 0);
    assert_true(strstr(file.aside, "/snap-17.snap.") != NULL);
    snapfolder_drop(&file);
    snapfolder_drop(&file);
    assert_int_equal(rmdir(f->dir), 0);
    assert_int_equal(mkdir(f->dir, 0700), 0);
}

static void one_that_is_there_is_not_made_again(void **state)
{
    struct fixture *f = *state;
    struct snapfolder_file file;
    assert_int_equal(keep(f, 17, 10), ERR_NONE);
    assert_int_equal(begin(f, 17, &file), 0);
    snapfolder_drop(&file);
    assert_true(is_there(f, "snap-17.snap"));
}

static void leftovers_of_a_crash_go_and_others_files_stay(void **state)
{
    static const char *const foreign[] = {
        "snap-17",          "snap-.snap",    "snap-x.snap", "snap-17.snapshot", "snapper-17.snap",
        "other-17.snap",    "snap-1-2.snap", "snap-17.part", "snap-017.snap",   "snap--1.snap",
        "other-17.snap.abc.part", "snap-99999999999999999999.snap",
    };
    struct fixture *f = *state;
    touch(f, "snap-16.snap.abcdef.part");
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++)
        touch(f, foreign[i]);
    assert_int_equal(keep(f, 17, 10), ERR_NONE);
    assert_int_equal(prune(f, 0).n, 0);
    assert_false(is_there(f, "snap-16.snap.abcdef.part"));
    assert_false(is_there(f, "snap-17.snap"));
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
        print_message("  %s\n", foreign[i]);
        assert_true(is_there(f, foreign[i]));
    }
}

static void the_oldest_go_first_by_the_time_in_their_names(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(keep(f, 100, 10), ERR_NONE);
    assert_int_equal(keep(f, 9, 11), ERR_NONE);
    assert_int_equal(keep(f, 20, 12), ERR_NONE);
    struct snapfolder_usage usage = prune(f, 2);
    assert_int_equal(usage.n, 2);
    assert_int_equal(usage.bytes, 22);
    assert_false(is_there(f, "snap-9.snap"));
    assert_int_equal(prune(f, 5).n, 2);
}

static void what_would_take_too_much_room_is_not_kept(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(keep(f, 1, 60), ERR_NONE);
    assert_int_equal(keep(f, 2, 41), ERR_LIMITED);
    assert_false(is_there(f, "snap-2.snap"));
    assert_int_equal(keep(f, 3, 40), ERR_NONE);
    assert_int_equal(prune(f, 9).n, 2);
}

static void a_directory_that_is_not_there_is_told(void **state)
{
    struct fixture *f = *state;
    struct snapfolder_file file;
    struct snapfolder_usage usage;
    struct err err = { 0 };
    f->folder.path = STR("/nowhere/at/all");
    assert_int_equal(begin(f, 1, &file), -1);
    snapfolder_drop(&file);
    assert_int_equal(snapfolder_prune(&f->folder, 1, &usage, &err), -1);
    assert_true(str_find(err_text(&err), STR("/nowhere/at/all")) >= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_finished_has_its_name_and_is_nobody_elses, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_slash_at_the_end_of_the_path_is_fine, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_dropped_leaves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_there_is_not_made_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(leftovers_of_a_crash_go_and_others_files_stay, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_oldest_go_first_by_the_time_in_their_names, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_would_take_too_much_room_is_not_kept, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_directory_that_is_not_there_is_told, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
