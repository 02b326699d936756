/* Keys of mounts: these begin alike, and a driver may keep that apart; of every driver. */
#include "storage/driver_test.h"

#define UUID_A "0a000000-1111-2222-3333-444444444444"
#define UUID_B "0b000000-1111-2222-3333-444444444444"
#define UUID_C "0c000000-1111-2222-3333-444444444444"

static void put_all(struct rig *rig, const char *const *keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        put(rig, str_of(keys[i]), str_of(keys[i]));
}

static const char *const mounted[] = {
    "auth/" UUID_A "/role", "auth/x", "core/mounts", "logical", "logical!",
    "logical/" UUID_A "", "logical/" UUID_A "!", "logical/" UUID_A "/" UUID_A,
    "logical/" UUID_A "/" UUID_A "!", "logical/" UUID_A "/" UUID_A "/m/1",
    "logical/" UUID_A "/" UUID_A "/m/2", "logical/" UUID_A "/" UUID_A "/p",
    "logical/" UUID_A "/" UUID_B "/v/1", "logical/" UUID_A "/a", "logical/" UUID_A "/z/y",
    "logical/" UUID_B "/a/b/c", "logical/" UUID_C "/" UUID_C "/only", "logical/a", "logical/z/a",
    "logical0", "sys/x",
};

static void keys_of_mounts_list_above_at_and_below_what_they_share(void **state)
{
    struct rig *rig = *state;
    static const char in_a[] = UUID_A " " UUID_A "! " UUID_A "/ " UUID_B "/ a z/ ";
    put_all(rig, mounted, ARRAY_LEN(mounted));
    for (size_t i = 0; i < ARRAY_LEN(mounted); i++)
        expect(rig, str_of(mounted[i]), str_of(mounted[i]));
    expect_list(rig, "", "", "auth/ core/ logical logical! logical/ logical0 sys/ ");
    expect_list(rig, "auth/", "", UUID_A "/ x ");
    expect_list(rig, "logical/", "",
                UUID_A " " UUID_A "! " UUID_A "/ " UUID_B "/ " UUID_C "/ a z/ ");
    expect_list(rig, "logical/" UUID_A "/", "", in_a);
    expect_list(rig, "logical/" UUID_A "/" UUID_A "/", "", "m/ p ");
    expect_list(rig, "logical/" UUID_A "/" UUID_A "/m/", "", "1 2 ");
    expect_list(rig, "logical/" UUID_A "/z/", "", "y ");
    expect_list(rig, "logical/" UUID_B "/", "", "a/ ");
    expect_list(rig, "logical/" UUID_C "/", "", UUID_C "/ ");
    expect_list(rig, "logical/" UUID_C "/" UUID_A "/", "", "");
    expect_list(rig, "logical/" UUID_B "/" UUID_C "/m/", "", "");
    if (rig->kind->any_key) /* the file layout loses a slash at the end */
        expect_absent(rig, STR("logical/" UUID_A "/"));
    expect_absent(rig, STR("logical/" UUID_A "/" UUID_A "/m"));
    expect_absent(rig, STR("logical/" UUID_B "/" UUID_A "/m/1"));
    if (rig->kind->durable) {
        close_store(rig);
        open_store(rig);
        expect_list(rig, "logical/" UUID_A "/", "", in_a);
        expect(rig, str_of(mounted[9]), str_of(mounted[9]));
    }
}

static void keys_of_mounts_list_after_a_name(void **state)
{
    struct rig *rig = *state;
    put_all(rig, mounted, ARRAY_LEN(mounted));
    expect_list(rig, "", "core/", "logical logical! logical/ logical0 sys/ ");
    expect_list(rig, "", "logical/", "logical0 sys/ ");
    expect_list(rig, "logical/", UUID_A, UUID_A "! " UUID_A "/ " UUID_B "/ " UUID_C "/ a z/ ");
    expect_list(rig, "logical/", UUID_A "/", UUID_B "/ " UUID_C "/ a z/ ");
    expect_list(rig, "logical/", UUID_A "/" UUID_A "/m/1", UUID_B "/ " UUID_C "/ a z/ ");
    expect_list(rig, "logical/", UUID_C "/", "a z/ ");
    expect_list(rig, "logical/" UUID_A "/", UUID_A "!", UUID_A "/ " UUID_B "/ a z/ ");
    expect_list(rig, "logical/" UUID_A "/", UUID_A "/", UUID_B "/ a z/ ");
    expect_list(rig, "logical/" UUID_A "/", UUID_B "/v/1", "a z/ ");
    expect_list(rig, "logical/" UUID_A "/", "z/", "");
    expect_list(rig, "logical/" UUID_A "/" UUID_A "/", "m/", "p ");
    expect_list(rig, "logical/" UUID_A "/" UUID_A "/", "m/2", "p ");
    expect_list(rig, "logical/" UUID_A "/" UUID_A "/m/", "1", "2 ");
    expect_list(rig, "logical/" UUID_A "/" UUID_A "/m/", "3", "");
}

static void a_mount_without_keys_is_in_no_list(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    put_all(rig, mounted, ARRAY_LEN(mounted));
    del(rig, STR("logical/" UUID_C "/" UUID_C "/only"));
    expect_list(rig, "logical/" UUID_C "/", "", "");
    expect_list(rig, "logical/", UUID_A "/", UUID_B "/ a z/ ");
    put(rig, STR("logical/" UUID_C "/x"), STR("new"));
    expect_list(rig, "logical/" UUID_C "/", "", "x ");
    struct storage_op ops[] = {
        { STORAGE_DELETE, STR("logical/" UUID_C "/x"), STR("") },
        { STORAGE_PUT, STR("logical/" UUID_C "/y"), STR("2") },
        { STORAGE_DELETE, STR("logical/" UUID_B "/a/b/c"), STR("") },
        { STORAGE_DELETE, STR("logical/" UUID_B "/never"), STR("") },
        { STORAGE_DELETE, STR("auth/" UUID_C "/never"), STR("") },
    };
    assert_int_equal(storage_commit(rig->s, ops, ARRAY_LEN(ops), &err), 0);
    expect_list(rig, "logical/", UUID_A "/", UUID_C "/ a z/ ");
    expect_list(rig, "logical/" UUID_C "/", "", "y ");
    expect(rig, STR("logical/" UUID_C "/y"), STR("2"));
    assert_int_equal(storage_delete_tree(rig->s, STR("logical/" UUID_A "/"), &err), 0);
    del(rig, STR("auth/" UUID_A "/role"));
    expect_list(rig, "logical/", "", UUID_A " " UUID_A "! " UUID_C "/ a z/ ");
    expect_list(rig, "auth/", "", "x ");
    expect_list(rig, "logical/" UUID_A "/" UUID_A "/", "", "");
    assert_int_equal(storage_delete_tree(rig->s, STR("logical/"), &err), 0);
    expect_list(rig, "", "", "auth/ core/ logical logical! logical0 sys/ ");
}

static void what_only_looks_like_a_mount_is_a_key_as_any(void **state)
{
    struct rig *rig = *state;
    static const char *const keys[] = {
        "auth/0A000000-1111-2222-3333-444444444444/x", "auth/" UUID_A "x/y",
        "auth/" UUID_A "0/y", "auth/0a000000.1111-2222-3333-444444444444/x",
        "auth/0a000000-1111-2222-3333-44444444444/x", "logical/" UUID_A "/" UUID_A "0/x",
        "logical/" UUID_A "/" UUID_A "/" UUID_A "/x", "Logical/" UUID_A "/x",
        "auth/" UUID_A "-/x", "sys/" UUID_A "/x",
    };
    put_all(rig, keys, ARRAY_LEN(keys));
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        expect(rig, str_of(keys[i]), str_of(keys[i]));
    expect_list(rig, "", "", "Logical/ auth/ logical/ sys/ ");
    expect_list(rig, "logical/" UUID_A "/", "", UUID_A "/ " UUID_A "0/ ");
    expect_list(rig, "logical/" UUID_A "/" UUID_A "/", "", UUID_A "/ ");
    expect_list(rig, "logical/" UUID_A "/" UUID_A "/" UUID_A "/", "", "x ");
}

static void a_key_may_be_just_what_a_mount_shares(void **state)
{
    struct rig *rig = *state;
    if (!rig->kind->any_key)
        return;
    put(rig, STR("logical/" UUID_A "/"), STR("1"));
    put(rig, STR("logical/" UUID_A "/" UUID_B "/"), STR("2"));
    put(rig, STR("logical/" UUID_A "/\x01"), STR("3"));
    put(rig, STR("\x01\0\0\0\0\0x"), STR("4"));
    expect(rig, STR("logical/" UUID_A "/"), STR("1"));
    expect(rig, STR("logical/" UUID_A "/" UUID_B "/"), STR("2"));
    expect_list(rig, "logical/" UUID_A "/", "", " \x01 " UUID_B "/ ");
    expect_list(rig, "logical/" UUID_A "/" UUID_B "/", "", " ");
    expect(rig, STR("\x01\0\0\0\0\0x"), STR("4"));
    del(rig, STR("logical/" UUID_A "/"));
    expect_absent(rig, STR("logical/" UUID_A "/"));
    expect_list(rig, "logical/" UUID_A "/", "", "\x01 " UUID_B "/ ");
}

static void long_and_short_keys_of_a_mount_list_together(void **state)
{
    struct rig *rig = *state;
    AUTO(buf_free) struct buf key = { 0 };
    for (int round = 0; round < 2; round++) {
        const char *home = round == 0 ? "logical/" UUID_A "/" : "auth/" UUID_A "/" UUID_B "/";
        for (char c = 'a'; c <= 'f'; c++) {
            buf_clear(&key);
            buf_printf(&key, "%s%c", home, c);
            if (c % 2 == 0) {
                buf_byte(&key, '/');
                long_tail(&key);
                buf_byte(&key, 'k');
            }
            put(rig, buf_str(&key), STR("v"));
            expect(rig, buf_str(&key), STR("v"));
        }
        expect_list(rig, home, "", "a b/ c d/ e f/ ");
        expect_list(rig, home, "b", "b/ c d/ e f/ ");
        expect_list(rig, home, "c", "d/ e f/ ");
    }
}

static int count_name(void *ctx, struct str name)
{
    ++*(size_t *)ctx;
    return 0;
}

static void many_mounts_come_and_go(void **state)
{
    struct rig *rig = *state;
    enum { MOUNTS = 400 };
    AUTO(buf_free) struct buf key = { 0 };
    struct err err = { 0 };
    for (int round = 0; round < 3; round++) {
        size_t top = 0, all = 0;
        for (uint32_t i = 0; i < MOUNTS; i++)
            for (int inner = -1; inner < 2; inner++) {
                struct storage_op op = { STORAGE_PUT, STR(""), STR("v") };
                buf_clear(&key);
                under_mount(&key, i * 4, inner);
                buf_printf(&key, "k%d", inner);
                op.key = buf_str(&key);
                if (round == 1 && i % 2 == 0) /* every other one goes, whole */
                    op.kind = STORAGE_DELETE;
                if (rig->kind->snapshots || i < 20)
                    assert_int_equal(storage_commit(rig->s, &op, 1, &err), 0);
            }
        size_t n = rig->kind->snapshots ? MOUNTS : 20;
        n = round == 1 ? n / 2 : n;
        assert_int_equal(storage_list(rig->s, STR("logical/"), STR(""), count_name, &top, &err), 0);
        assert_int_equal(top, n);
        assert_int_equal(storage_walk(rig->s, STR(""), count_name, &all, &err), 0);
        assert_int_equal(all, n * 3);
    }
}

static void long_listings_under_a_mount_are_whole(void **state)
{
    struct rig *rig = *state;
    enum { N = 3000 };
    AUTO(buf_free) struct buf text = { 0 };
    AUTO(seen_free) struct seen seen = { 0 };
    static struct storage_op ops[N];
    struct err err = { 0 };
    buf_reserve(&text, (size_t)N * 128); /* it must not move */
    for (int i = 0; i < N; i++) {
        size_t at = text.n;
        under_mount(&text, 0, 0);
        buf_printf(&text, "m/%05d%s", i, i % 7 == 0 ? "/sub" : "");
        ops[i] = (struct storage_op){ STORAGE_PUT, str_from(buf_str(&text), at), STR("v") };
    }
    assert_int_equal(storage_commit(rig->s, ops, N, &err), 0);
    struct str folder = str_head(ops[0].key, 8 + 37 + 37 + 2);
    assert_int_equal(storage_list(rig->s, folder, STR(""), see, &seen, &err), 0);
    assert_int_equal(seen.n, N);
    seen.n = 0;
    assert_int_equal(storage_list(rig->s, folder, STR("01000"), see, &seen, &err), 0);
    assert_int_equal(seen.n, N - 1001);
    assert_true(str_starts(buf_str(&seen.last), STR("02999")));
}

#define CASE(fn) { #fn, fn }

static const struct {
    const char *name;
    CMUnitTestFunction run;
} cases[] = {
    CASE(keys_of_mounts_list_above_at_and_below_what_they_share),
    CASE(keys_of_mounts_list_after_a_name),
    CASE(a_mount_without_keys_is_in_no_list),
    CASE(what_only_looks_like_a_mount_is_a_key_as_any),
    CASE(a_key_may_be_just_what_a_mount_shares),
    CASE(long_and_short_keys_of_a_mount_list_together),
    CASE(many_mounts_come_and_go),
    CASE(long_listings_under_a_mount_are_whole),
};

static int run(const struct kind *kind)
{
    struct CMUnitTest tests[ARRAY_LEN(cases)];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        tests[i] = (struct CMUnitTest){ .name = cases[i].name, .test_func = cases[i].run,
                                        .setup_func = setup, .teardown_func = teardown,
                                        .initial_state = (void *)kind };
    return _cmocka_run_group_tests(kind->driver->type, tests, ARRAY_LEN(tests), NULL, NULL);
}

int main(void)
{
    int failed = 0;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        failed += run(&kinds[i]);
    return failed != 0;
}
