/* What every driver must do: one table of cases, run over all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"
#include "storage/driver_test.h"

/* ---- one at a time ---- */

static void gets_what_was_put(void **state)
{
    struct rig *rig = *state;
    put(rig, STR("a/b/c"), STR("one"));
    put(rig, STR("top"), STR("two\0three"));
    expect(rig, STR("a/b/c"), STR("one"));
    expect(rig, STR("top"), STR("two\0three"));
}

static void says_absent_for_what_is_not_there(void **state)
{
    struct rig *rig = *state;
    put(rig, STR("a/b"), STR("x"));
    expect_absent(rig, STR("a"));
    expect_absent(rig, STR("a/b/c"));
    expect_absent(rig, STR("a/bb"));
    expect_absent(rig, STR("z/y/x"));
}

static void get_appends_to_what_the_buffer_holds(void **state)
{
    struct rig *rig = *state;
    AUTO(buf_free) struct buf b = { 0 };
    struct err err = { 0 };
    buf_add(&b, STR("before "));
    put(rig, STR("k"), STR("after"));
    assert_int_equal(storage_get(rig->s, STR("k"), &b, &err), 1);
    assert_true(str_eq(buf_str(&b), STR("before after")));
}

static void put_replaces_with_shorter_and_longer(void **state)
{
    struct rig *rig = *state;
    put(rig, STR("k"), STR("middle"));
    put(rig, STR("k"), STR("s"));
    expect(rig, STR("k"), STR("s"));
    put(rig, STR("k"), STR("the longest of the three"));
    expect(rig, STR("k"), STR("the longest of the three"));
}

static void delete_takes_away_and_absent_is_fine(void **state)
{
    struct rig *rig = *state;
    put(rig, STR("a/b"), STR("x"));
    del(rig, STR("a/b"));
    del(rig, STR("a/b"));
    del(rig, STR("never/was"));
    expect_absent(rig, STR("a/b"));
    expect_list(rig, "", "", "");
}

static void holds_empty_values(void **state)
{
    struct rig *rig = *state;
    put(rig, STR("empty"), STR(""));
    expect(rig, STR("empty"), STR(""));
    expect_list(rig, "", "", "empty ");
}

static void holds_values_of_a_mebibyte(void **state)
{
    struct rig *rig = *state;
    static char big[1 << 20];
    uint64_t r = seed | 1;
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (char)next_random(&r);
    put(rig, STR("big"), str_mem(big, sizeof big));
    expect(rig, STR("big"), str_mem(big, sizeof big));
    put(rig, STR("big"), STR("small"));
    expect(rig, STR("big"), STR("small"));
}

static void keys_may_hold_odd_bytes(void **state)
{
    struct rig *rig = *state;
    static const struct str keys[] = {
        STR_INIT("with space"), STR_INIT("per%20cent%"), STR_INIT("\xc3\xa4/\xe2\x82\xac"),
        STR_INIT("...dots/.hidden"), STR_INIT("back\\slash"), STR_INIT("tab\tnew\nline"),
        STR_INIT("_under/_score"), STR_INIT("a..b/c..d"), STR_INIT("\x01\xff"), STR_INIT("q\"'"),
    };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        put(rig, keys[i], keys[i]);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        expect(rig, keys[i], keys[i]);
    expect_list(rig, "\xc3\xa4/", "", "\xe2\x82\xac ");
    expect_list(rig, "...dots/", "", ".hidden ");
    expect_list(rig, "_under/", "", "_score ");
}

static void refuses_an_empty_key(void **state)
{
    expect_refused(*state, STR(""));
}

static void refuses_keys_that_no_file_can_have(void **state)
{
    struct rig *rig = *state;
    static char wide[300];
    if (rig->kind->any_key)
        return;
    memset(wide, 'w', sizeof wide);
    expect_refused(rig, STR("../escape"));
    expect_refused(rig, STR("a/../b"));
    expect_refused(rig, STR("a/.."));
    expect_refused(rig, STR("a//b"));
    expect_refused(rig, STR("/a"));
    expect_refused(rig, STR("a\0b"));
    expect_refused(rig, str_mem(wide, sizeof wide));
    expect_refused(rig, STR(".coffer-journal/x"));
    expect_list(rig, "", "", "");
}

/* ---- batches ---- */

static void a_batch_happens_whole(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    put(rig, STR("old"), STR("x"));
    struct storage_op ops[] = { { STORAGE_PUT, STR("a/1"), STR("one") },
                                { STORAGE_DELETE, STR("old"), STR("") },
                                { STORAGE_PUT, STR("b/2"), STR("two") } };
    assert_int_equal(storage_commit(rig->s, ops, ARRAY_LEN(ops), &err), 0);
    expect(rig, STR("a/1"), STR("one"));
    expect(rig, STR("b/2"), STR("two"));
    expect_list(rig, "", "", "a/ b/ ");
}

static void later_operations_of_a_batch_win(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    struct storage_op ops[] = {
        { STORAGE_PUT, STR("k"), STR("1") },   { STORAGE_PUT, STR("gone"), STR("1") },
        { STORAGE_DELETE, STR("k"), STR("") }, { STORAGE_PUT, STR("k"), STR("2") },
        { STORAGE_DELETE, STR("gone"), STR("") },
    };
    assert_int_equal(storage_commit(rig->s, ops, ARRAY_LEN(ops), &err), 0);
    expect(rig, STR("k"), STR("2"));
    expect_absent(rig, STR("gone"));
    expect_list(rig, "", "", "k ");
}

static void a_bad_operation_leaves_all_as_it_was(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    put(rig, STR("kept"), STR("x"));
    struct storage_op ops[] = { { STORAGE_PUT, STR("new/a"), STR("1") },
                                { STORAGE_DELETE, STR("kept"), STR("") },
                                { STORAGE_PUT, STR(""), STR("bad") },
                                { STORAGE_PUT, STR("new/b"), STR("2") } };
    assert_int_equal(storage_commit(rig->s, ops, ARRAY_LEN(ops), &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    expect(rig, STR("kept"), STR("x"));
    expect_list(rig, "", "", "kept ");
}

static void an_empty_batch_is_fine(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    assert_int_equal(storage_commit(rig->s, NULL, 0, &err), 0);
}

static void a_batch_may_hold_thousands(void **state)
{
    struct rig *rig = *state;
    enum { N = 2000 };
    struct err err = { 0 };
    struct storage_op *ops = calloc(N, sizeof *ops);
    char(*keys)[16] = calloc(N, sizeof *keys);
    for (size_t i = 0; i < N; i++) {
        snprintf(keys[i], sizeof keys[i], "m/%05zu", i * 7919 % N);
        ops[i] = (struct storage_op){ STORAGE_PUT, str_of(keys[i]), str_of(keys[i]) };
    }
    assert_int_equal(storage_commit(rig->s, ops, N, &err), 0);
    for (size_t i = 0; i < N; i++)
        expect(rig, str_of(keys[i]), str_of(keys[i]));
    for (size_t i = 0; i < N; i++)
        ops[i].kind = STORAGE_DELETE;
    assert_int_equal(storage_commit(rig->s, ops, N, &err), 0);
    expect_list(rig, "", "", "");
    free(keys);
    free(ops);
}

/* ---- listing ---- */

static void lists_in_byte_order_each_name_once(void **state)
{
    struct rig *rig = *state;
    static const char *const keys[] = { "d/z", "d/b/2", "d/b/1", "d/b", "d/b!", "d/b0", "d/a/x/y",
                                        "e", "d/B", "d/b/3/4" };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        put(rig, str_of(keys[i]), STR("v"));
    expect_list(rig, "", "", "d/ e ");
    expect_list(rig, "d/", "", "B a/ b b! b/ b0 z ");
    expect_list(rig, "d/b/", "", "1 2 3/ ");
    expect_list(rig, "nowhere/", "", "");
    expect_list(rig, "d/z/", "", "");
}

static void goes_on_after_a_name(void **state)
{
    struct rig *rig = *state;
    static const char *const keys[] = { "p/a", "p/a/1", "p/b/1", "p/b/2", "p/c", "q" };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        put(rig, str_of(keys[i]), STR("v"));
    expect_list(rig, "p/", "a", "a/ b/ c ");
    expect_list(rig, "p/", "a/", "b/ c ");
    expect_list(rig, "p/", "aa", "b/ c ");
    expect_list(rig, "p/", "b", "b/ c ");
    expect_list(rig, "p/", "b/", "c ");
    expect_list(rig, "p/", "b/1", "c ");
    expect_list(rig, "p/", "c", "");
    expect_list(rig, "p/", "~", "");
}

static void pages_of_any_length_join_to_the_whole(void **state)
{
    struct rig *rig = *state;
    char key[32];
    for (int i = 0; i < 60; i++) {
        snprintf(key, sizeof key, i % 3 == 0 ? "p/%c%d/sub" : "p/%c%d", 'a' + i % 7, i);
        put(rig, str_of(key), STR("v"));
    }
    AUTO(seen_free) struct seen whole = { 0 };
    struct err err = { 0 };
    assert_int_equal(storage_list(rig->s, STR("p/"), STR(""), see, &whole, &err), 0);
    assert_int_equal(whole.n, 60);
    for (size_t page = 1; page < 20; page++) {
        AUTO(seen_free) struct seen joined = { 0 };
        AUTO(buf_free) struct buf after = { 0 };
        for (size_t before = 1; before != joined.n;) {
            before = joined.n;
            joined.stop = joined.n + page;
            assert_int_equal(
                storage_list(rig->s, STR("p/"), buf_str(&after), see, &joined, &err), 0);
            buf_clear(&after);
            buf_add(&after, buf_str(&joined.last));
        }
        assert_true(str_eq(buf_str(&joined.text), buf_str(&whole.text)));
    }
}

static void long_listings_are_whole(void **state)
{
    struct rig *rig = *state;
    enum { N = 3000 };
    struct err err = { 0 };
    struct storage_op *ops = calloc(N, sizeof *ops);
    char(*keys)[16] = calloc(N, sizeof *keys);
    for (size_t i = 0; i < N; i++) {
        snprintf(keys[i], sizeof keys[i], "l/%05zu%s", i, i % 2 ? "/x" : "");
        ops[i] = (struct storage_op){ STORAGE_PUT, str_of(keys[i]), STR("") };
    }
    assert_int_equal(storage_commit(rig->s, ops, N, &err), 0);
    AUTO(seen_free) struct seen seen = { 0 };
    assert_int_equal(storage_list(rig->s, STR("l/"), STR(""), see, &seen, &err), 0);
    assert_int_equal(seen.n, N);
    assert_int_equal(seen.text.n, N * 6 + N / 2);
    free(keys);
    free(ops);
}

static int delete_each(void *ctx, struct str name)
{
    struct rig *rig = ctx;
    AUTO(buf_free) struct buf key = { 0 };
    buf_add(&key, STR("x/"));
    buf_add(&key, name);
    del(rig, buf_str(&key));
    expect_absent(rig, buf_str(&key));
    return 0;
}

static void the_storage_may_be_called_while_listing(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    put(rig, STR("x/a"), STR("1"));
    put(rig, STR("x/b"), STR("2"));
    put(rig, STR("x/c"), STR("3"));
    assert_int_equal(storage_list(rig->s, STR("x/"), STR(""), delete_each, rig, &err), 0);
    expect_list(rig, "", "", "");
}

/* ---- whole trees ---- */

static void walks_every_entry_in_order(void **state)
{
    struct rig *rig = *state;
    static const char *const keys[] = { "t/a", "t/a/b/c/d", "t/a/b/c/e", "t/b", "t/c/z", "u" };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        put(rig, str_of(keys[i]), STR("v"));
    AUTO(seen_free) struct seen seen = { 0 };
    struct err err = { 0 };
    assert_int_equal(storage_walk(rig->s, STR("t/"), see, &seen, &err), 0);
    assert_true(str_eq(buf_str(&seen.text), STR("a a/b/c/d a/b/c/e b c/z ")));
    seen.stop = 7;
    assert_int_equal(storage_walk(rig->s, STR("t/"), see, &seen, &err), 0);
    assert_int_equal(seen.n, 7);
}

static void walks_more_names_than_a_page_holds(void **state)
{
    struct rig *rig = *state;
    enum { N = 9000 };
    struct err err = { 0 };
    if (!rig->kind->snapshots)
        return; /* the same code, and files are slow */
    struct storage_op *ops = calloc(N, sizeof *ops);
    char(*keys)[16] = calloc(N, sizeof *keys);
    for (size_t i = 0; i < N; i++) {
        snprintf(keys[i], sizeof keys[i], "w/%05zu%s", i, i % 2 ? "/x" : "");
        ops[i] = (struct storage_op){ STORAGE_PUT, str_of(keys[i]), STR("") };
    }
    assert_int_equal(storage_commit(rig->s, ops, N, &err), 0);
    AUTO(seen_free) struct seen seen = { 0 };
    assert_int_equal(storage_walk(rig->s, STR(""), see, &seen, &err), 0);
    assert_int_equal(seen.n, N);
    assert_int_equal(storage_delete_tree(rig->s, STR("w/"), &err), 0);
    expect_list(rig, "", "", "");
    free(keys);
    free(ops);
}

static void deletes_a_tree_and_nothing_else(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    char key[64];
    put(rig, STR("tree"), STR("kept"));
    put(rig, STR("tref/a"), STR("kept"));
    for (int i = 0; i < 1100; i++) {
        snprintf(key, sizeof key, "tree/%d/%d/leaf", i % 10, i);
        if (i < 60 || rig->kind->snapshots)
            put(rig, str_of(key), STR("v"));
    }
    assert_int_equal(storage_delete_tree(rig->s, STR("tree/"), &err), 0);
    expect_list(rig, "", "", "tree tref/ ");
}

static void walks_down_however_deep(void **state)
{
    struct rig *rig = *state;
    AUTO(buf_free) struct buf key = { 0 };
    AUTO(seen_free) struct seen seen = { 0 };
    struct err err = { 0 };
    for (int i = 0; i < (rig->kind->any_key ? 2000 : 60); i++)
        buf_add(&key, STR("d/"));
    buf_add(&key, STR("end"));
    put(rig, buf_str(&key), STR("deep"));
    expect(rig, buf_str(&key), STR("deep"));
    assert_int_equal(storage_walk(rig->s, STR("d/"), see, &seen, &err), 0);
    assert_int_equal(seen.n, 1);
    assert_int_equal(storage_delete_tree(rig->s, STR("d/"), &err), 0);
    expect_list(rig, "", "", "");
}

static void a_key_that_ends_in_a_slash_is_found_again(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    put(rig, STR("oidc/config/"), STR("x"));
    expect(rig, STR("oidc/config/"), STR("x"));
    AUTO(seen_free) struct seen seen = { 0 };
    assert_int_equal(storage_walk(rig->s, STR("oidc/"), see, &seen, &err), 0);
    assert_int_equal(seen.n, 1);
    assert_int_equal(storage_delete_tree(rig->s, STR("oidc/"), &err), 0);
    expect_list(rig, "", "", "");
}

/* ---- long keys ---- */

/* base repeated as folders until about ${n} bytes, then ${tail}. */
static struct str long_key(struct buf *b, size_t n, const char *tail)
{
    buf_clear(b);
    while (b->n < n)
        buf_add(b, STR("0123456789012345678901234567890123456789012345678/"));
    buf_add(b, str_of(tail));
    return buf_str(b);
}

static void long_keys_work_and_list_in_order(void **state)
{
    struct rig *rig = *state;
    static const size_t lengths[] = { 400, 450, 500, 550, 1000, 3000 };
    static const char *const tails[] = { "b", "a", "c/x", "c/y", "c", "d/e/f", "aa" };
    AUTO(buf_free) struct buf b = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++)
        for (size_t j = 0; j < ARRAY_LEN(tails); j++)
            put(rig, long_key(&b, lengths[i], tails[j]), str_of(tails[j]));
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        for (size_t j = 0; j < ARRAY_LEN(tails); j++)
            expect(rig, long_key(&b, lengths[i], tails[j]), str_of(tails[j]));
        long_key(&b, lengths[i], "");
        buf_byte(&b, 0);
        bool deepest = i == ARRAY_LEN(lengths) - 1;
        expect_list(rig, b.p, deepest ? "" : "1", "a aa b c c/ d/ ");
    }
}

static void every_length_around_the_limit_keeps_its_place(void **state)
{
    struct rig *rig = *state;
    static char key[32 * 1024];
    struct err err = { 0 };
    if (!rig->kind->any_key)
        return;
    memset(key, 'k', sizeof key);
    size_t n = 0;
    for (size_t len = 470; len <= 520; len++, n++)
        put(rig, str_mem(key, len), str_mem(&len, sizeof len));
    for (size_t len = 1024; len <= sizeof key; len *= 2, n++)
        put(rig, str_mem(key, len), str_mem(&len, sizeof len));
    for (size_t len = 470; len <= 520; len++)
        expect(rig, str_mem(key, len), str_mem(&len, sizeof len));
    expect(rig, str_mem(key, sizeof key), str_mem(&(size_t){ sizeof key }, sizeof(size_t)));
    expect_absent(rig, str_mem(key, 521));
    AUTO(seen_free) struct seen seen = { 0 };
    assert_int_equal(storage_list(rig->s, STR(""), STR(""), see, &seen, &err), 0);
    assert_int_equal(seen.n, n);
    /* Each is longer than the one before. */
    size_t last = 0, length = 0;
    for (size_t i = 0; i < seen.text.n; i++, length++)
        if (seen.text.p[i] == ' ') {
            assert_true(length > last);
            last = length;
            length = (size_t)-1;
        }
    assert_int_equal(last, sizeof key);
    assert_int_equal(storage_delete_tree(rig->s, STR(""), &err), 0);
    expect_list(rig, "", "", "");
}

/* ---- against a model ---- */

enum { MODEL = 400 };

/* Key ${i} of the model: some are folders of others, some longer than the store's own limit. */
static void model_key(const struct rig *rig, uint32_t i, struct buf *key)
{
    static const char *const parts[] = { "a", "b", "b!", "bb", "c", "_", "x/y" };
    buf_clear(key);
    if (i / 2 % 5 == 0)
        long_key(key, 460 + i / 2 % 7 * 10, "");
    else if (i / 2 % 5 < 4)
        under_mount(key, i / 8 % 3, i / 2 % 5 == 1 ? -1 : (int)(i / 24 % 4));
    if (i / 2 % 23 == 2) /* begins as its neighbours do, but is too long for the store */
        long_tail(key);
    for (uint32_t rest = i / 2; rest > 0; rest /= 7) {
        buf_add(key, str_of(parts[rest % 7]));
        buf_byte(key, '/');
    }
    buf_printf(key, "%u", i / 2);
    if (i % 2 == 1) /* below a folder of the other's name */
        buf_add(key, STR("/sub"));
}

static int compare_keys(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void model_check(struct rig *rig, struct buf *keys, const uint64_t *values)
{
    struct str there[MODEL];
    AUTO(buf_free) struct buf want = { 0 };
    AUTO(seen_free) struct seen seen = { 0 };
    struct err err = { 0 };
    size_t n = 0;
    for (size_t i = 0; i < MODEL; i++) {
        if (values[i] == 0) {
            expect_absent(rig, buf_str(&keys[i]));
            continue;
        }
        expect(rig, buf_str(&keys[i]), str_mem(&values[i], sizeof values[i]));
        there[n++] = buf_str(&keys[i]);
    }
    qsort(there, n, sizeof *there, compare_keys);
    for (size_t i = 0; i < n; i++) {
        buf_add(&want, there[i]);
        buf_byte(&want, ' ');
    }
    assert_int_equal(storage_walk(rig->s, STR(""), see, &seen, &err), 0);
    assert_int_equal(seen.n, n);
    assert_true(str_eq(buf_str(&seen.text), buf_str(&want)));
}

static void random_changes_agree_with_a_model(void **state)
{
    struct rig *rig = *state;
    static struct buf keys[MODEL];
    uint64_t values[MODEL] = { 0 }, r = seed | 1;
    struct err err = { 0 };
    for (uint32_t i = 0; i < MODEL; i++)
        model_key(rig, i, &keys[i]);
    for (int step = 0; step < (rig->kind->snapshots ? 600 : 60); step++) {
        struct storage_op ops[20];
        uint64_t value = next_random(&r) | 1;
        size_t n = 1 + below(&r, ARRAY_LEN(ops));
        bool growing = step / 100 % 2 == 0;
        for (size_t j = 0; j < n; j++) {
            uint32_t i = below(&r, MODEL);
            bool is_put = below(&r, 10) < (growing ? 7 : 3);
            ops[j] = (struct storage_op){ is_put ? STORAGE_PUT : STORAGE_DELETE,
                                          buf_str(&keys[i]), str_mem(&value, sizeof value) };
            values[i] = is_put ? value : 0;
        }
        if (storage_commit(rig->s, ops, n, &err) < 0)
            fail_msg("commit: %s", err.msg);
        if (step % 20 == 19)
            model_check(rig, keys, values);
    }
    for (size_t i = 0; i < MODEL; i++)
        buf_free(&keys[i]);
}

/* ---- many threads ---- */

struct crowd {
    struct rig *rig;
    atomic_bool stop;
    atomic_int wrong;
    uint64_t rounds;
    _Atomic uint64_t last_thread;
};

static uint64_t number_at(struct storage *s, struct str key)
{
    AUTO(buf_free) struct buf b = { 0 };
    struct err err = { 0 };
    uint64_t v = 0;
    if (storage_get(s, key, &b, &err) == 1 && b.n == sizeof v)
        memcpy(&v, b.p, sizeof v);
    return v;
}

/* "second" is written in the same batch as "first": read later, it cannot be older. */
static void *read_pair(void *ctx)
{
    struct crowd *c = ctx;
    while (!atomic_load(&c->stop)) {
        uint64_t first = number_at(c->rig->s, STR("pair/first"));
        uint64_t second = number_at(c->rig->s, STR("pair/second"));
        AUTO(seen_free) struct seen seen = { 0 };
        struct err err = { 0 };
        if (second < first || first == 0)
            atomic_fetch_add(&c->wrong, 1);
        if (storage_list(c->rig->s, STR("wander/"), STR(""), see, &seen, &err) < 0 ||
            (c->rig->kind->snapshots && seen.n != 1))
            atomic_fetch_add(&c->wrong, 1);
    }
    return NULL;
}

static void *write_pair(void *ctx)
{
    struct crowd *c = ctx;
    char here[32] = "wander/0", there[32];
    for (uint64_t i = 2; i < c->rounds; i++) {
        struct err err = { 0 };
        struct str v = str_mem(&i, sizeof i);
        snprintf(there, sizeof there, "wander/%llu", (unsigned long long)(i * 7919 % 1000));
        struct storage_op ops[] = { { STORAGE_PUT, STR("pair/second"), v },
                                    { STORAGE_DELETE, str_of(here), STR("") },
                                    { STORAGE_PUT, str_of(there), v },
                                    { STORAGE_PUT, STR("pair/first"), v } };
        if (storage_commit(c->rig->s, ops, ARRAY_LEN(ops), &err) < 0)
            atomic_fetch_add(&c->wrong, 1);
        memcpy(here, there, sizeof here);
    }
    atomic_store(&c->stop, true);
    return NULL;
}

/* Each writer has keys of its own and finds them as it left them. */
static void *write_own(void *ctx)
{
    struct crowd *c = ctx;
    unsigned me = (unsigned)atomic_fetch_add(&c->last_thread, 1);
    for (uint64_t i = 1; !atomic_load(&c->stop); i++) {
        char key[32];
        struct err err = { 0 };
        snprintf(key, sizeof key, "own/%u/%llu", me, (unsigned long long)(i % 10));
        if (storage_put(c->rig->s, str_of(key), str_mem(&i, sizeof i), &err) < 0 ||
            number_at(c->rig->s, str_of(key)) != i)
            atomic_fetch_add(&c->wrong, 1);
    }
    return NULL;
}

static void readers_and_writers_disturb_nobody(void **state)
{
    struct rig *rig = *state;
    struct crowd c = { .rig = rig, .rounds = rig->kind->durable ? 200 : 20000 };
    uint64_t one = 1;
    put(rig, STR("pair/first"), str_mem(&one, sizeof one));
    put(rig, STR("pair/second"), str_mem(&one, sizeof one));
    put(rig, STR("wander/0"), STR("x"));
    pthread_t threads[6];
    for (size_t i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, read_pair, &c);
    for (size_t i = 3; i < 5; i++)
        pthread_create(&threads[i], NULL, write_own, &c);
    pthread_create(&threads[5], NULL, write_pair, &c);
    for (size_t i = 0; i < 6; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&c.wrong), 0);
}

static void *put_bad_and_good(void *ctx)
{
    struct crowd *c = ctx;
    unsigned me = (unsigned)atomic_fetch_add(&c->last_thread, 1);
    for (int i = 0; i < 30; i++) {
        char key[32];
        struct err err = { 0 };
        snprintf(key, sizeof key, "t/%u/%d", me, i);
        struct storage_op ops[] = { { STORAGE_PUT, str_of(key), STR("v") },
                                    { STORAGE_PUT, STR(""), STR("v") } };
        int rc = storage_commit(c->rig->s, ops, me % 2 ? 2 : 1, &err);
        if (rc != (me % 2 ? -1 : 0))
            atomic_fetch_add(&c->wrong, 1);
    }
    return NULL;
}

static void a_failing_batch_does_not_harm_its_neighbours(void **state)
{
    struct rig *rig = *state;
    struct crowd c = { .rig = rig };
    pthread_t threads[4];
    AUTO(seen_free) struct seen seen = { 0 };
    struct err err = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_create(&threads[i], NULL, put_bad_and_good, &c);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&c.wrong), 0);
    assert_int_equal(storage_walk(rig->s, STR("t/"), see, &seen, &err), 0);
    assert_int_equal(seen.n, 60);
}

/* ---- closing, opening, dying ---- */

static void all_is_there_after_reopening(void **state)
{
    struct rig *rig = *state;
    AUTO(buf_free) struct buf key = { 0 };
    if (!rig->kind->durable)
        return;
    put(rig, STR("a/b"), STR("1"));
    put(rig, long_key(&key, 600, "x"), STR("2"));
    put(rig, STR("gone"), STR("3"));
    del(rig, STR("gone"));
    close_store(rig);
    open_store(rig);
    expect(rig, STR("a/b"), STR("1"));
    expect(rig, buf_str(&key), STR("2"));
    expect_absent(rig, STR("gone"));
}

static void a_second_opening_is_refused(void **state)
{
    struct rig *rig = *state;
    struct storage *second = NULL;
    struct err err = { 0 };
    if (!rig->kind->durable)
        return;
    put(rig, STR("k"), STR("v"));
    assert_int_equal(try_open(rig->kind, rig->dir, &second, &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_non_null(strstr(err.msg, rig->dir));
    expect(rig, STR("k"), STR("v"));
    put(rig, STR("k"), STR("w"));
    close_store(rig);
    open_store(rig);
    expect(rig, STR("k"), STR("w"));
}

static void a_path_must_be_given(void **state)
{
    struct rig *rig = *state;
    struct storage *s = NULL;
    struct err err = { 0 };
    if (!rig->kind->durable)
        return;
    assert_int_equal(rig->kind->driver->open(NULL, 0, &s, &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    assert_string_equal(err.msg, "'path' must be set");
}

static void a_directory_that_cannot_be_is_an_error(void **state)
{
    struct rig *rig = *state;
    struct storage *s = NULL;
    struct err err = { 0 };
    if (!rig->kind->durable)
        return;
    assert_int_equal(try_open(rig->kind, "/dev/null/store", &s, &err), -1);
    assert_int_equal(err.code, ERR_IO);
}

/* What the child tells for every batch that storage_commit said was done. */
struct ack {
    uint32_t thread, batch;
};

enum { KEYS = 3, LIVE = 4, WRITERS = 3, KEY_ROOM = 96 };

struct victim {
    struct storage *s;
    uint32_t thread;
    int pipe;
};

/* Every other batch has a mount of its own. */
static struct str batch_key(char out[KEY_ROOM], uint32_t thread, uint32_t batch, int k)
{
    int n = batch % 2 == 0
                ? snprintf(out, KEY_ROOM, "crash/%u/%u/%d", thread, batch, k)
                : snprintf(out, KEY_ROOM, "logical/0000%04x-0000-0000-0000-0000%08x/%d", thread,
                           batch, k);
    return (struct str){ out, (size_t)n };
}

/* Batch n: its own keys, the thread's counter, and away with the keys of batch n - LIVE. */
static void *write_until_killed(void *ctx)
{
    struct victim *v = ctx;
    char keys[2 * KEYS][KEY_ROOM], counter[48];
    struct err err = { 0 };
    for (uint32_t batch = 1 + (uint32_t)number_at(v->s, str_mem(counter,
             (size_t)snprintf(counter, sizeof counter, "counter/%u", v->thread)));; batch++) {
        struct storage_op ops[2 * KEYS + 1];
        uint64_t wide = batch;
        size_t n = 0;
        struct str value = str_mem(&wide, sizeof wide);
        for (int k = 0; k < KEYS; k++, n++)
            ops[n] = (struct storage_op){ STORAGE_PUT, batch_key(keys[n], v->thread, batch, k),
                                          value };
        ops[n++] = (struct storage_op){ STORAGE_PUT, str_of(counter), value };
        for (int k = 0; k < KEYS && batch > LIVE; k++, n++)
            ops[n] = (struct storage_op){
                STORAGE_DELETE, batch_key(keys[n - 1], v->thread, batch - LIVE, k), STR("")
            };
        struct ack ack = { v->thread, batch };
        if (storage_commit(v->s, ops, n, &err) < 0 ||
            write(v->pipe, &ack, sizeof ack) != (ssize_t)sizeof ack)
            _exit(3);
    }
}

static void be_killed(const struct rig *rig, int pipe)
{
    struct victim v[WRITERS];
    pthread_t threads[WRITERS];
    struct storage *s;
    struct err err = { 0 };
    if (try_open(rig->kind, rig->dir, &s, &err) < 0)
        _exit(2);
    for (uint32_t i = 0; i < WRITERS; i++) {
        v[i] = (struct victim){ s, i, pipe };
        pthread_create(&threads[i], NULL, write_until_killed, &v[i]);
    }
    for (uint32_t i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
}

/* Kill the child after ${acks} acknowledgements and some spinning; note the last of each thread. */
static void kill_after(int pipe, pid_t child, uint32_t acks, uint32_t spin, uint32_t last[WRITERS])
{
    struct ack ack;
    bool killed = false;
    for (uint32_t n = 0; read(pipe, &ack, sizeof ack) == (ssize_t)sizeof ack;) {
        assert_true(ack.thread < WRITERS);
        last[ack.thread] = ack.batch;
        if (++n < acks || killed)
            continue;
        for (volatile uint32_t i = 0; i < spin; i++)
            ;
        kill(child, SIGKILL);
        killed = true;
    }
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status)); /* it stopped by itself: an operation failed */
}

static void check_batches(struct rig *rig, uint32_t thread, uint32_t acknowledged)
{
    char key[KEY_ROOM];
    snprintf(key, sizeof key, "counter/%u", thread);
    uint32_t now = (uint32_t)number_at(rig->s, str_of(key));
    assert_true(now >= acknowledged && now <= acknowledged + 1);
    for (uint32_t batch = now > 2 * LIVE ? now - 2 * LIVE : 1; batch <= now + 1; batch++)
        for (int k = 0; k < KEYS; k++) {
            bool there = number_at(rig->s, batch_key(key, thread, batch, k)) == batch;
            assert_int_equal(there, batch <= now && batch + LIVE > now);
        }
}

static void killed_at_any_moment_it_keeps_what_it_acknowledged(void **state)
{
    struct rig *rig = *state;
    const char *env = getenv("STORAGE_KILLS");
    int rounds = env != NULL ? (int)strtol(env, NULL, 10) : 20;
    uint32_t last[WRITERS] = { 0 };
    uint64_t r = seed | 1;
    if (!rig->kind->durable)
        return;
    close_store(rig);
    for (int round = 0; round < rounds; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(ends[0]);
            be_killed(rig, ends[1]);
            _exit(4);
        }
        close(ends[1]);
        kill_after(ends[0], child, 1 + below(&r, 25), below(&r, 400000), last);
        close(ends[0]);
        open_store(rig);
        for (uint32_t t = 0; t < WRITERS; t++)
            check_batches(rig, t, last[t]);
        for (uint32_t t = 0; t < WRITERS; t++) {
            char key[48];
            snprintf(key, sizeof key, "counter/%u", t);
            last[t] = (uint32_t)number_at(rig->s, str_of(key));
        }
        close_store(rig);
    }
    open_store(rig);
}

/* A limit on file sizes stands for a full disk: it needs no privileges. */
static void a_full_disk_fails_the_write_and_passes(void **state)
{
    struct rig *rig = *state;
    struct rlimit was, tight = { 512 << 10, 0 };
    struct err err = { 0 };
    static char big[1 << 20];
    if (!rig->kind->durable)
        return;
    put(rig, STR("before"), STR("kept"));
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    tight.rlim_max = was.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    struct storage_op ops[] = { { STORAGE_PUT, STR("half/small"), STR("x") },
                                { STORAGE_PUT, STR("half/big"), str_mem(big, sizeof big) } };
    int first = storage_commit(rig->s, ops, 2, &err);
    enum err_code code = err.code;
    int second = storage_put(rig->s, STR("big"), str_mem(big, sizeof big), &err);
    setrlimit(RLIMIT_FSIZE, &was);
    assert_int_equal(first, -1);
    assert_int_equal(second, -1);
    assert_int_equal(code, ERR_IO);
    expect(rig, STR("before"), STR("kept"));
    expect_list(rig, "", "", "before ");
    put(rig, STR("after"), str_mem(big, sizeof big));
    close_store(rig);
    open_store(rig);
    expect(rig, STR("before"), STR("kept"));
    expect(rig, STR("after"), str_mem(big, sizeof big));
}

/* ---- the table ---- */

#define CASE(fn) { #fn, fn }
static const struct {
    const char *name;
    CMUnitTestFunction run;
} cases[] = {
    CASE(gets_what_was_put),
    CASE(says_absent_for_what_is_not_there),
    CASE(get_appends_to_what_the_buffer_holds),
    CASE(put_replaces_with_shorter_and_longer),
    CASE(delete_takes_away_and_absent_is_fine),
    CASE(holds_empty_values),
    CASE(holds_values_of_a_mebibyte),
    CASE(keys_may_hold_odd_bytes),
    CASE(refuses_an_empty_key),
    CASE(refuses_keys_that_no_file_can_have),
    CASE(a_batch_happens_whole),
    CASE(later_operations_of_a_batch_win),
    CASE(a_bad_operation_leaves_all_as_it_was),
    CASE(an_empty_batch_is_fine),
    CASE(a_batch_may_hold_thousands),
    CASE(lists_in_byte_order_each_name_once),
    CASE(goes_on_after_a_name),
    CASE(pages_of_any_length_join_to_the_whole),
    CASE(long_listings_are_whole),
    CASE(the_storage_may_be_called_while_listing),
    CASE(walks_every_entry_in_order),
    CASE(walks_more_names_than_a_page_holds),
    CASE(deletes_a_tree_and_nothing_else),
    CASE(walks_down_however_deep),
    CASE(a_key_that_ends_in_a_slash_is_found_again),
    CASE(long_keys_work_and_list_in_order),
    CASE(every_length_around_the_limit_keeps_its_place),
    CASE(random_changes_agree_with_a_model),
    CASE(readers_and_writers_disturb_nobody),
    CASE(a_failing_batch_does_not_harm_its_neighbours),
    CASE(all_is_there_after_reopening),
    CASE(a_second_opening_is_refused),
    CASE(a_path_must_be_given),
    CASE(a_directory_that_cannot_be_is_an_error),
    CASE(killed_at_any_moment_it_keeps_what_it_acknowledged),
    CASE(a_full_disk_fails_the_write_and_passes),
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

int main(int argc, char **argv)
{
    const char *env = getenv("STORAGE_SEED");
    if (env != NULL)
        seed = strtoull(env, NULL, 10);
    else
        random_fill(&seed, sizeof seed);
    print_message("STORAGE_SEED=%llu\n", (unsigned long long)seed);
    int failed = 0;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (argc < 2 || strcmp(argv[1], kinds[i].driver->type) == 0)
            failed += run(&kinds[i]);
    return failed != 0;
}
