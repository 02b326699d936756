/* Tests of files that get their names when they are whole. */
#include "cmd/testing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/file.h"
#include "cmd/partfile.h"

struct fixture {
    struct arena *arena;
    char dir[32];
    struct str path; /* "dir/snap" */
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/coffer-part-XXXXXX");
    f->arena = arena_new();
    *state = f;
    if (f->arena == NULL || mkdtemp(f->dir) == NULL)
        return -1;
    f->path = arena_printf(f->arena, "%s/snap", f->dir);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    DIR *d = opendir(f->dir);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
    rmdir(f->dir);
    arena_free(f->arena);
    free(f);
    return 0;
}

/* Names in the directory. */
static size_t names(const struct fixture *f)
{
    size_t n = 0;
    DIR *d = opendir(f->dir);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void holds(const char *path, const char *want)
{
    AUTO(buf_free) struct buf got = { 0 };
    struct err err = { 0 };
    assert_int_equal(file_need(path, &got, &err), 0);
    testing_is(&got, want);
}

static void write_whole(struct fixture *f, struct str path)
{
    struct err err = { 0 };
    AUTO(partfile_drop) struct partfile part = { .fd = -1 };
    assert_int_equal(partfile_open(f->arena, path, &part, &err), 0);
    assert_int_equal(partfile_add(&part, STR("al")), 0);
    assert_int_equal(partfile_add(&part, STR("l")), 0);
    assert_int_equal(partfile_finish(&part, &err), 0);
}

static void has_its_name_only_when_it_is_finished(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    struct stat st;
    AUTO(partfile_drop) struct partfile part = { .fd = -1 };
    assert_int_equal(partfile_open(f->arena, f->path, &part, &err), 0);
    assert_int_equal(partfile_add(&part, STR("all")), 0);
    assert_int_equal(access(f->path.p, F_OK), -1);
    assert_non_null(strstr(part.aside, "/snap.part."));
    assert_int_equal(partfile_finish(&part, &err), 0);
    holds(f->path.p, "all");
    assert_int_equal(stat(f->path.p, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(names(f), 1);
}

static void leaves_nothing_of_what_was_not_finished(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    assert_int_equal(file_write(f->path.p, STR("old"), 0600, &err), 0);
    {
        AUTO(partfile_drop) struct partfile part = { .fd = -1 };
        assert_int_equal(partfile_open(f->arena, f->path, &part, &err), 0);
        assert_int_equal(partfile_add(&part, STR("half")), 0);
        assert_int_equal(names(f), 2);
    }
    holds(f->path.p, "old");
    assert_int_equal(names(f), 1);
}

static void follows_a_symbolic_link(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    struct stat st;
    struct str link = arena_printf(f->arena, "%s/link", f->dir);
    assert_int_equal(file_write(f->path.p, STR("old"), 0600, &err), 0);
    assert_int_equal(symlink("snap", link.p), 0);
    write_whole(f, link);
    assert_int_equal(lstat(link.p, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    holds(f->path.p, "all");
}

static void writes_into_what_is_no_ordinary_file(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    char got[8];
    assert_int_equal(mkfifo(f->path.p, 0600), 0);
    int fd = open(f->path.p, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    write_whole(f, f->path);
    assert_int_equal(read(fd, got, sizeof got), 3);
    close(fd);
    assert_int_equal(stat(f->path.p, &st), 0);
    assert_true(S_ISFIFO(st.st_mode));
}

static void refuses_places_that_cannot_be(void **state)
{
    struct fixture *f = *state;
    const char *const bad[] = { "/", f->dir, "/nowhere/at/all/snap", "" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(partfile_drop) struct partfile part = { .fd = -1 };
        struct err err = { 0 };
        print_message("  %s\n", bad[i]);
        assert_int_equal(partfile_open(f->arena, str_of(bad[i]), &part, &err), -1);
        assert_int_equal(err.code, ERR_IO);
    }
    assert_int_equal(names(f), 0);
}

static void remembers_that_the_disk_was_full(void **state)
{
    struct partfile part = { .fd = open("/dev/full", O_WRONLY | O_CLOEXEC) };
    assert_int_equal(partfile_add(&part, STR("x")), -1);
    assert_int_equal(part.failed, ENOSPC);
    partfile_drop(&part);
}

static void says_when_the_place_has_gone(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    AUTO(partfile_drop) struct partfile part = { .fd = -1 };
    assert_int_equal(partfile_open(f->arena, f->path, &part, &err), 0);
    assert_int_equal(unlink(part.aside), 0);
    assert_int_equal(partfile_finish(&part, &err), -1);
    assert_int_equal(err.code, ERR_IO);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(has_its_name_only_when_it_is_finished),
        TEST(leaves_nothing_of_what_was_not_finished),
        TEST(follows_a_symbolic_link),
        TEST(writes_into_what_is_no_ordinary_file),
        TEST(refuses_places_that_cannot_be),
        TEST(remembers_that_the_disk_was_full),
        TEST(says_when_the_place_has_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
