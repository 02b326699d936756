/* The file store's layout on disk, byte for byte, and what a crash leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/driver.h"

struct rig {
    char dir[64];
    struct storage *s;
};

static void open_store(struct rig *rig)
{
    struct storage_option path = { STR("path"), str_of(rig->dir) };
    struct err err = { 0 };
    if (storage_file.open(&path, 1, &rig->s, &err) < 0)
        fail_msg("open: %s", err.msg);
}

static void reopen(struct rig *rig)
{
    storage_close(rig->s);
    open_store(rig);
}

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    snprintf(rig->dir, sizeof rig->dir, "/tmp/coffer-file-XXXXXX");
    if (mkdtemp(rig->dir) == NULL)
        return -1;
    open_store(rig);
    *state = rig;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static int teardown(void **state)
{
    struct rig *rig = *state;
    storage_close(rig->s);
    nftw(rig->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(rig);
    return 0;
}

static const char *path_of(const struct rig *rig, const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", rig->dir, name);
    return path;
}

static void write_file(const struct rig *rig, const char *name, struct str bytes)
{
    FILE *f = fopen(path_of(rig, name), "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes.p, 1, bytes.n, f), bytes.n);
    assert_int_equal(fclose(f), 0);
}

static bool exists(const struct rig *rig, const char *name)
{
    struct stat st;
    return lstat(path_of(rig, name), &st) == 0;
}

static void put(struct rig *rig, struct str key, struct str value)
{
    struct err err = { 0 };
    if (storage_put(rig->s, key, value, &err) < 0)
        fail_msg("put: %s", err.msg);
}

static void expect(struct rig *rig, struct str key, struct str value)
{
    AUTO(buf_free) struct buf got = { 0 };
    struct err err = { 0 };
    if (storage_get(rig->s, key, &got, &err) != 1)
        fail_msg("get: %s", err.msg);
    assert_true(str_eq(buf_str(&got), value));
}

static int get_code(struct rig *rig, struct str key)
{
    AUTO(buf_free) struct buf got = { 0 };
    struct err err = { 0 };
    int found = storage_get(rig->s, key, &got, &err);
    assert_int_equal(got.n, 0);
    return found < 0 ? (int)err.code : -found;
}

static int count(void *ctx, struct str name)
{
    ++*(size_t *)ctx;
    return 0;
}

static size_t names(struct rig *rig, struct str prefix)
{
    size_t n = 0;
    struct err err = { 0 };
    assert_int_equal(storage_list(rig->s, prefix, STR(""), count, &n, &err), 0);
    return n;
}

static void an_entry_is_vaults_file(void **state)
{
    struct rig *rig = *state;
    char text[64] = { 0 };
    struct stat st;
    put(rig, STR("a/b/c"), STR("hello"));
    FILE *f = fopen(path_of(rig, "a/b/_c"), "r");
    assert_non_null(f);
    assert_true(fread(text, 1, sizeof text - 1, f) > 0);
    fclose(f);
    assert_string_equal(text, "{\"Value\":\"aGVsbG8=\"}\n");
    assert_int_equal(stat(path_of(rig, "a/b/_c"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(path_of(rig, "a/b"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
}

static void reads_what_another_writer_spaced_and_added(void **state)
{
    struct rig *rig = *state;
    write_file(rig, "_x", STR(" {\n \"Key\": \"x\", \"Value\" : \"aGVsbG8=\",\"More\":[1]} \n\n"));
    write_file(rig, "_null", STR("{\"Value\":null}"));
    expect(rig, STR("x"), STR("hello"));
    expect(rig, STR("null"), STR(""));
}

static void damaged_files_are_told_from_absent_ones(void **state)
{
    struct rig *rig = *state;
    write_file(rig, "_json", STR("{\"Value\":\"aGVs"));
    write_file(rig, "_base64", STR("{\"Value\":\"***\"}\n"));
    write_file(rig, "_empty", STR(""));
    assert_int_equal(get_code(rig, STR("json")), ERR_CORRUPT);
    assert_int_equal(get_code(rig, STR("base64")), ERR_CORRUPT);
    assert_int_equal(get_code(rig, STR("empty")), ERR_CORRUPT);
    assert_int_equal(get_code(rig, STR("absent")), 0);
}

static void a_slash_at_the_end_is_lost_in_the_file_name(void **state)
{
    struct rig *rig = *state;
    put(rig, STR("oidc_tokens/config/"), STR("x"));
    assert_true(exists(rig, "oidc_tokens/_config"));
    expect(rig, STR("oidc_tokens/config/"), STR("x"));
    expect(rig, STR("oidc_tokens/config"), STR("x"));
}

static void empty_folders_go_with_their_last_entry(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    put(rig, STR("a/b/c/d"), STR("x"));
    put(rig, STR("a/e"), STR("x"));
    assert_int_equal(storage_delete(rig->s, STR("a/b/c/d"), &err), 0);
    assert_false(exists(rig, "a/b"));
    assert_true(exists(rig, "a/_e"));
    assert_int_equal(storage_delete(rig->s, STR("a/e"), &err), 0);
    assert_false(exists(rig, "a"));
}

static void symbolic_links_are_not_followed(void **state)
{
    struct rig *rig = *state;
    put(rig, STR("real/x"), STR("v"));
    assert_int_equal(symlink("real", path_of(rig, "linked")), 0);
    assert_int_equal(symlink("real/_x", path_of(rig, "_file")), 0);
    assert_int_equal(get_code(rig, STR("file")), ERR_IO);
    assert_true(get_code(rig, STR("linked/x")) != -1);
    struct err err = { 0 };
    assert_int_equal(storage_put(rig->s, STR("linked/y"), STR("v"), &err), -1);
    assert_false(exists(rig, "real/_y"));
}

static void its_own_files_are_not_listed(void **state)
{
    struct rig *rig = *state;
    assert_true(exists(rig, ".coffer-lock"));
    assert_int_equal(names(rig, STR("")), 0);
    put(rig, STR(".coffer-lock"), STR("v")); /* the file _.coffer-lock */
    assert_int_equal(names(rig, STR("")), 1);
}

static void names_too_long_are_refused_as_such(void **state)
{
    struct rig *rig = *state;
    char key[300];
    struct err err = { 0 };
    memset(key, 'x', sizeof key);
    assert_int_equal(storage_put(rig->s, str_mem(key, 255), STR("v"), &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    assert_string_equal(err.msg, "file name too long");
    put(rig, str_mem(key, 254), STR("v"));
    expect(rig, str_mem(key, 254), STR("v"));
}

static void a_folder_cannot_have_an_entrys_file_name(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    put(rig, STR("a"), STR("v"));
    struct storage_op ops[] = { { STORAGE_PUT, STR("new/x"), STR("1") },
                                { STORAGE_PUT, STR("_a/b"), STR("2") } };
    assert_int_equal(storage_commit(rig->s, ops, 2, &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    assert_false(exists(rig, "new"));
    expect(rig, STR("a"), STR("v"));
    assert_int_equal(names(rig, STR("")), 1);
}

/* ---- the journal ---- */

static void add_number(struct buf *b, uint64_t v)
{
    buf_add(b, str_mem(&v, sizeof v));
}

/* Put key "new" from staged file 7, delete key "old". */
static void journal(struct buf *b)
{
    buf_add(b, STR("coffer journal 1\n"));
    add_number(b, 2);
    add_number(b, 7);
    add_number(b, 7);
    buf_add(b, STR("dir/new"));
    add_number(b, 0);
    add_number(b, 3);
    buf_add(b, STR("old"));
    add_number(b, str_hash(buf_str(b)));
}

static void leave_half_a_batch(struct rig *rig)
{
    put(rig, STR("old"), STR("old"));
    storage_close(rig->s);
    rig->s = NULL;
    mkdir(path_of(rig, ".coffer-stage"), 0700);
    write_file(rig, ".coffer-stage/7", STR("{\"Value\":\"bmV3\"}\n"));
}

static void a_whole_journal_is_carried_out_at_opening(void **state)
{
    struct rig *rig = *state;
    AUTO(buf_free) struct buf b = { 0 };
    leave_half_a_batch(rig);
    journal(&b);
    write_file(rig, ".coffer-journal", buf_str(&b));
    open_store(rig);
    expect(rig, STR("dir/new"), STR("new"));
    assert_int_equal(get_code(rig, STR("old")), 0);
    assert_false(exists(rig, ".coffer-journal"));
}

static void a_journal_carried_out_twice_does_no_harm(void **state)
{
    struct rig *rig = *state;
    AUTO(buf_free) struct buf b = { 0 };
    leave_half_a_batch(rig);
    journal(&b);
    write_file(rig, ".coffer-journal", buf_str(&b));
    open_store(rig);
    write_file(rig, ".coffer-journal", buf_str(&b));
    reopen(rig);
    expect(rig, STR("dir/new"), STR("new"));
    assert_int_equal(names(rig, STR("")), 1);
}

static void a_torn_journal_never_began(void **state)
{
    struct rig *rig = *state;
    AUTO(buf_free) struct buf b = { 0 };
    leave_half_a_batch(rig);
    journal(&b);
    for (size_t n = 0; n < b.n; n++) {
        write_file(rig, ".coffer-journal", str_head(buf_str(&b), n));
        open_store(rig);
        expect(rig, STR("old"), STR("old"));
        assert_int_equal(names(rig, STR("")), 1);
        assert_false(exists(rig, ".coffer-journal"));
        assert_false(exists(rig, ".coffer-stage/7"));
        storage_close(rig->s);
        rig->s = NULL;
    }
    open_store(rig);
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(an_entry_is_vaults_file),
        CASE(reads_what_another_writer_spaced_and_added),
        CASE(damaged_files_are_told_from_absent_ones),
        CASE(a_slash_at_the_end_is_lost_in_the_file_name),
        CASE(empty_folders_go_with_their_last_entry),
        CASE(symbolic_links_are_not_followed),
        CASE(its_own_files_are_not_listed),
        CASE(names_too_long_are_refused_as_such),
        CASE(a_folder_cannot_have_an_entrys_file_name),
        CASE(a_whole_journal_is_carried_out_at_opening),
        CASE(a_journal_carried_out_twice_does_no_harm),
        CASE(a_torn_journal_never_began),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
