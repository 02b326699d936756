/* A view: all of a store, of one moment, in order, whatever happens to the store meanwhile. */
#include "storage/driver_test.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/random.h"

static const struct kind *const state_kind = &kinds[3];

/* ---- a model: entries sorted by key ---- */

struct entry {
    struct buf key, value;
};

struct model {
    struct entry *v;
    size_t n;
};

static int by_key(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return str_cmp(buf_str(&x->key), buf_str(&y->key));
}

/* Keys of all sorts, so that each sort stands before, between and after the others. */
static void some_key(struct buf *b, uint64_t *r)
{
    static const char *const starts[] = { "", "aaa/", "auth/", "core/", "logical/", "sys/" };
    uint32_t sort = below(r, 8);
    if (sort < 4)
        under_mount(b, below(r, 6), sort % 2 == 0 ? (int)below(r, 3) : -1);
    else
        buf_add(b, str_of(starts[below(r, ARRAY_LEN(starts))]));
    if (below(r, 6) == 0)
        long_tail(b);
    buf_printf(b, "%x", below(r, 5000));
    if (below(r, 20) == 0)
        buf_add(b, STR("/"));
}

static void fill(struct model *m, struct storage *s, size_t n, uint64_t *r)
{
    struct storage_op *ops = calloc(n, sizeof *ops);
    struct err err = { 0 };
    m->v = calloc(n, sizeof *m->v);
    for (size_t i = 0; i < n; i++) {
        some_key(&m->v[i].key, r);
        buf_printf(&m->v[i].value, "value %u", below(r, 1000000));
    }
    m->n = n;
    qsort(m->v, m->n, sizeof *m->v, by_key);
    for (size_t i = 0; i < n; i++)
        ops[i] = (struct storage_op){ STORAGE_PUT, buf_str(&m->v[i].key),
                                      buf_str(&m->v[i].value) };
    struct lmdb_batch batch = { ops, n };
    if (lmdb_state_apply(s, &batch, 1, STR("the mark"), &err) < 0)
        fail_msg("apply: %s", err.msg);
    free(ops);
}

static void model_free(struct model *m)
{
    for (size_t i = 0; i < m->n; i++) {
        buf_free(&m->v[i].key);
        buf_free(&m->v[i].value);
    }
    free(m->v);
}

/* Of equal keys the last counts. */
static const struct entry *model_next(const struct model *m, size_t *at)
{
    while (*at + 1 < m->n && by_key(&m->v[*at], &m->v[*at + 1]) == 0)
        ++*at;
    return *at < m->n ? &m->v[(*at)++] : NULL;
}

/* ---- short hands ---- */

static struct lmdb_view *must_view(struct storage *s, struct str want)
{
    AUTO(buf_free) struct buf mark = { 0 };
    struct lmdb_view *v = NULL;
    struct err err = { 0 };
    if (lmdb_view_open(s, &mark, &v, &err) < 0)
        fail_msg("view: %s", err.msg);
    assert_true(str_eq(buf_str(&mark), want));
    return v;
}

static bool must_next(struct lmdb_view *v, struct str *key, struct str *value)
{
    struct err err = { 0 };
    int rc = lmdb_view_next(v, key, value, &err);
    if (rc < 0)
        fail_msg("next: %s", err.msg);
    return rc == 1;
}

static void expect_rest(struct lmdb_view *v, const struct model *m, size_t at)
{
    struct str key, value;
    while (must_next(v, &key, &value)) {
        const struct entry *e = model_next(m, &at);
        assert_non_null(e);
        assert_true(str_eq(key, buf_str(&e->key)));
        assert_true(str_eq(value, buf_str(&e->value)));
    }
    assert_null(model_next(m, &at));
}

static struct storage *open_other(const struct rig *rig, const char *name, size_t map_size)
{
    char file[128];
    struct storage *s = NULL;
    struct err err = { 0 };
    snprintf(file, sizeof file, "%s/%s", rig->dir, name);
    struct lmdb_state_options o = { str_of(file), 100, map_size, true };
    if (lmdb_state_open(&o, &s, &err) < 0)
        fail_msg("open: %s", err.msg);
    return s;
}

/* ---- cases ---- */

static void an_empty_store_has_an_empty_view(void **state)
{
    struct rig *rig = *state;
    struct str key, value;
    struct lmdb_view *v = must_view(rig->s, STR(""));
    assert_false(must_next(v, &key, &value));
    assert_false(must_next(v, &key, &value));
    lmdb_view_close(v);
    lmdb_view_close(NULL);
}

static void keys_of_all_sorts_come_in_byte_order(void **state)
{
    struct rig *rig = *state;
    uint64_t r = seed | 1;
    AUTO(model_free) struct model m = { 0 };
    fill(&m, rig->s, 4000, &r);
    struct lmdb_view *v = must_view(rig->s, STR("the mark"));
    expect_rest(v, &m, 0);
    lmdb_view_close(v);
}

static void each_sort_alone_comes_whole(void **state)
{
    static const char *const keys[][3] = {
        { "a", "b", "c" },
        { "logical/0a000000-1111-2222-3333-444444444444/",
          "logical/0a000000-1111-2222-3333-444444444444/x",
          "logical/0b000000-1111-2222-3333-444444444444/x" },
        { "logical/0a000000-1111-2222-3333-444444444444/00",
          "logical/0a000000-1111-2222-3333-444444444444/0a000000-1111-2222-3333-444444444444/m",
          "logical/0a000000-1111-2222-3333-444444444444/zz" },
        { "auth/0a000000-1111-2222-3333-444444444444/0a000000-1111-2222-3333-444444444444/m",
          "auth/0a000000-1111-2222-3333-444444444444/0b000000-1111-2222-3333-444444444444/m",
          "auth/0b" },
    };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct rig *rig = *state;
        struct str key, value;
        struct err err = { 0 };
        for (size_t k = 0; k < 3; k++)
            put(rig, str_of(keys[i][k]), str_of(keys[i][k]));
        struct lmdb_view *v = must_view(rig->s, STR(""));
        for (size_t k = 0; k < 3; k++) {
            assert_true(must_next(v, &key, &value));
            assert_true(str_is(key, keys[i][k]));
            assert_true(str_is(value, keys[i][k]));
        }
        assert_false(must_next(v, &key, &value));
        lmdb_view_close(v);
        assert_int_equal(storage_delete_tree(rig->s, STR(""), &err), 0);
    }
}

struct writing {
    struct storage *s;
    atomic_bool stop;
    atomic_int wrong;
};

static void *write_on(void *ctx)
{
    struct writing *w = ctx;
    for (uint32_t i = 0; !atomic_load(&w->stop); i++) {
        char text[32];
        struct err err = { 0 };
        snprintf(text, sizeof text, "n/%06u", i * 7919 % 100000);
        struct storage_op ops[] = { { i % 3 == 0 ? STORAGE_DELETE : STORAGE_PUT, str_of(text),
                                      STR("changed") },
                                    { STORAGE_PUT, STR("new"), str_of(text) } };
        struct lmdb_batch batch = { ops, 2 };
        if (lmdb_state_apply(w->s, &batch, 1, str_of(text), &err) < 0)
            atomic_fetch_add(&w->wrong, 1);
    }
    return NULL;
}

static void fill_numbers(struct storage *s, uint32_t n)
{
    struct storage_op *ops = calloc(n, sizeof *ops);
    char(*keys)[16] = calloc(n, sizeof *keys);
    struct err err = { 0 };
    for (uint32_t i = 0; i < n; i++) {
        snprintf(keys[i], sizeof keys[i], "n/%06u", i);
        ops[i] = (struct storage_op){ STORAGE_PUT, str_of(keys[i]), str_of(keys[i]) };
    }
    struct lmdb_batch batch = { ops, n };
    if (lmdb_state_apply(s, &batch, 1, STR("full"), &err) < 0)
        fail_msg("apply: %s", err.msg);
    free(ops);
    free(keys);
}

static void a_hundred_thousand_keys_are_of_one_moment_while_writes_go_on(void **state)
{
    struct rig *rig = *state;
    enum { N = 100000 };
    pthread_t thread;
    struct str key, value;
    struct storage *s = open_other(rig, "x.db", 0);
    fill_numbers(s, N);
    struct lmdb_view *v = must_view(s, STR("full"));
    struct writing w = { .s = s };
    pthread_create(&thread, NULL, write_on, &w);
    for (uint32_t i = 0; i < N; i++) {
        char want[16];
        snprintf(want, sizeof want, "n/%06u", i);
        assert_true(must_next(v, &key, &value));
        assert_true(str_is(key, want));
        assert_true(str_is(value, want));
    }
    assert_false(must_next(v, &key, &value));
    atomic_store(&w.stop, true);
    pthread_join(thread, NULL);
    lmdb_view_close(v);
    assert_int_equal(atomic_load(&w.wrong), 0);
    storage_close(s);
}

static void a_view_goes_on_in_the_store_that_was_replaced(void **state)
{
    struct rig *rig = *state;
    uint64_t r = seed | 1;
    char file[128];
    struct err err = { 0 };
    AUTO(model_free) struct model m = { 0 };
    struct str key, value;
    size_t at = 0;
    fill(&m, rig->s, 500, &r);
    struct lmdb_view *views[] = { must_view(rig->s, STR("the mark")),
                                  must_view(rig->s, STR("the mark")) };
    for (int i = 0; i < 100; i++) {
        assert_true(must_next(views[0], &key, &value));
        model_next(&m, &at);
    }
    struct storage *other = open_other(rig, "new.db", 0);
    fill_numbers(other, 10);
    storage_close(other);
    snprintf(file, sizeof file, "%s/new.db", rig->dir);
    assert_int_equal(lmdb_state_replace(rig->s, file, &err), 0);
    struct lmdb_view *after = must_view(rig->s, STR("full"));
    assert_true(must_next(after, &key, &value));
    assert_true(str_is(key, "n/000000"));
    put(rig, STR("written/meanwhile"), STR("x"));
    expect_rest(views[0], &m, at);
    lmdb_view_close(views[0]);
    expect_rest(views[1], &m, 0);
    lmdb_view_close(views[1]);
    lmdb_view_close(after);
    expect(rig, STR("written/meanwhile"), STR("x"));
}

static void a_view_ends_with_an_error_when_the_map_must_grow(void **state)
{
    struct rig *rig = *state;
    static char big[4 << 20];
    struct str key, value;
    struct err err = { 0 };
    struct storage *s = open_other(rig, "x.db", 1 << 20);
    fill_numbers(s, 100);
    struct lmdb_view *v = must_view(s, STR("full"));
    assert_true(must_next(v, &key, &value));
    assert_int_equal(storage_put(s, STR("big"), str_mem(big, sizeof big), &err), 0);
    assert_true(str_is(key, "n/000000")); /* still to be read */
    assert_int_equal(lmdb_view_next(v, &key, &value, &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    lmdb_view_close(v);
    v = must_view(s, STR("full"));
    assert_true(must_next(v, &key, &value));
    assert_true(str_is(key, "big"));
    lmdb_view_close(v);
    storage_close(s);
}

static void a_view_may_be_closed_after_its_store(void **state)
{
    struct rig *rig = *state;
    struct str key, value;
    struct err err = { 0 };
    put(rig, STR("a"), STR("1"));
    struct lmdb_view *v = must_view(rig->s, STR(""));
    close_store(rig);
    assert_int_equal(lmdb_view_next(v, &key, &value, &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    lmdb_view_close(v);
    open_store(rig);
    expect(rig, STR("a"), STR("1"));
}

struct viewing {
    struct storage *s;
    atomic_bool stop;
    atomic_int wrong;
};

/* In each store and after each write all entries agree. */
static void *view_on(void *ctx)
{
    struct viewing *w = ctx;
    while (!atomic_load(&w->stop)) {
        AUTO(buf_free) struct buf mark = { 0 };
        struct lmdb_view *v;
        struct str key, value;
        struct err err = { 0 };
        int rc = lmdb_view_open(w->s, &mark, &v, &err);
        if (rc < 0) {
            atomic_fetch_add(&w->wrong, 1);
            continue;
        }
        while ((rc = lmdb_view_next(v, &key, &value, &err)) == 1)
            if (!str_eq(value, buf_str(&mark)))
                atomic_fetch_add(&w->wrong, 1);
        if (rc < 0 && err.code != ERR_CONFLICT)
            atomic_fetch_add(&w->wrong, 1);
        lmdb_view_close(v);
    }
    return NULL;
}

static int apply_number(struct storage *s, uint32_t i, struct str text)
{
    struct storage_op ops[50];
    char keys[50][64];
    struct err err = { 0 };
    for (uint32_t k = 0; k < 50; k++) {
        snprintf(keys[k], sizeof keys[k], k % 2 == 0 ? "k%u"
                 : "logical/0a000000-1111-2222-3333-444444444444/%u", k);
        ops[k] = (struct storage_op){ STORAGE_PUT, str_of(keys[k]), text };
    }
    struct lmdb_batch batch = { ops, 50 };
    return lmdb_state_apply(s, &batch, 1, text, &err);
}

static void views_agree_with_themselves_through_writes_replaces_and_growth(void **state)
{
    struct rig *rig = *state;
    static char text[20000];
    char file[128];
    pthread_t threads[2];
    struct storage *s = open_other(rig, "x.db", 1 << 20);
    struct viewing w = { .s = s };
    snprintf(file, sizeof file, "%s/new.db", rig->dir);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_create(&threads[i], NULL, view_on, &w);
    for (uint32_t i = 0; i < 40; i++) {
        struct err err = { 0 };
        memset(text, (int)('a' + i % 26), sizeof text);
        if (i % 4 != 3) {
            assert_int_equal(apply_number(s, i, str_mem(text, i % 2 == 0 ? 5 : sizeof text)), 0);
            continue;
        }
        struct storage *other = open_other(rig, "new.db", 1 << 20);
        assert_int_equal(apply_number(other, i, str_mem(text, 5)), 0);
        storage_close(other);
        assert_int_equal(lmdb_state_replace(s, file, &err), 0);
    }
    atomic_store(&w.stop, true);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&w.wrong), 0);
    storage_close(s);
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_prestate_setup_teardown(fn, setup, teardown, (void *)state_kind)
    const struct CMUnitTest tests[] = {
        CASE(an_empty_store_has_an_empty_view),
        CASE(keys_of_all_sorts_come_in_byte_order),
        CASE(each_sort_alone_comes_whole),
        CASE(a_hundred_thousand_keys_are_of_one_moment_while_writes_go_on),
        CASE(a_view_goes_on_in_the_store_that_was_replaced),
        CASE(a_view_ends_with_an_error_when_the_map_must_grow),
        CASE(a_view_may_be_closed_after_its_store),
        CASE(views_agree_with_themselves_through_writes_replaces_and_growth),
    };
    random_fill(&seed, sizeof seed);
    print_message("seed %llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
