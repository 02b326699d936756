/* Tests of the cache of keys: bounds, replacement, stale loads, readers beside writers. */
#include "engines/transit/cache.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/epoch.h"

static struct transit_key *key_named(const char *name, int64_t latest)
{
    struct transit_key *k = calloc(1, sizeof *k);
    assert_non_null(k);
    k->name = (struct str){ strdup(name), strlen(name) };
    k->latest = latest;
    return k;
}

static void put(struct transit_cache *c, const char *name, int64_t latest)
{
    assert_true(transit_cache_put(c, key_named(name, latest), transit_cache_era(c)));
}

/* The version found, 0 when the key is not there. */
static int64_t seen(struct transit_cache *c, const char *name)
{
    epoch_enter();
    const struct transit_key *k = transit_cache_get(c, str_of(name));
    int64_t latest = k != NULL ? k->latest : 0;
    epoch_leave();
    return latest;
}

static void finds_what_was_put_and_nothing_else(void **state)
{
    struct transit_cache *c = transit_cache_new(0);
    put(c, "a", 1);
    put(c, "b", 2);
    assert_int_equal(seen(c, "a"), 1);
    assert_int_equal(seen(c, "b"), 2);
    assert_int_equal(seen(c, "c"), 0);
    assert_int_equal(seen(c, ""), 0);
    transit_cache_free(c);
}

static void a_later_put_replaces_an_earlier_one(void **state)
{
    struct transit_cache *c = transit_cache_new(0);
    put(c, "a", 1);
    put(c, "a", 2);
    assert_int_equal(seen(c, "a"), 2);
    transit_cache_free(c);
}

static void what_was_forgotten_is_gone(void **state)
{
    struct transit_cache *c = transit_cache_new(0);
    put(c, "a", 1);
    transit_cache_forget(c, STR("a"));
    transit_cache_forget(c, STR("never there"));
    assert_int_equal(seen(c, "a"), 0);
    transit_cache_free(c);
}

static void a_load_older_than_a_forgetting_is_refused(void **state)
{
    struct transit_cache *c = transit_cache_new(0);
    put(c, "a", 1);
    uint64_t era = transit_cache_era(c);
    transit_cache_forget(c, STR("other"));
    struct transit_key *late = key_named("a", 2);
    assert_false(transit_cache_put(c, late, era));
    assert_int_equal(seen(c, "a"), 0); /* neither the old one nor the doubtful one */
    transit_key_free(late);
    transit_cache_free(c);
}

static void a_reader_keeps_what_it_found_while_it_is_replaced(void **state)
{
    struct transit_cache *c = transit_cache_new(0);
    put(c, "a", 1);
    epoch_enter();
    const struct transit_key *k = transit_cache_get(c, STR("a"));
    put(c, "a", 2);
    transit_cache_forget(c, STR("a"));
    assert_int_equal(k->latest, 1);
    assert_true(str_is(k->name, "a"));
    epoch_leave();
    transit_cache_free(c);
    epoch_wait();
}

static void holds_thousands_when_it_is_not_bounded(void **state)
{
    struct transit_cache *c = transit_cache_new(0);
    char name[32];
    for (int i = 1; i <= 3000; i++) {
        snprintf(name, sizeof name, "key-%d", i);
        put(c, name, i);
    }
    for (int i = 1; i <= 3000; i++) {
        snprintf(name, sizeof name, "key-%d", i);
        assert_int_equal(seen(c, name), i);
    }
    transit_cache_free(c);
    epoch_wait();
}

static void holds_no_more_than_its_limit(void **state)
{
    struct transit_cache *c = transit_cache_new(10);
    char name[32];
    int left = 0;
    for (int i = 1; i <= 100; i++) {
        snprintf(name, sizeof name, "key-%d", i);
        put(c, name, i);
    }
    for (int i = 1; i <= 100; i++) {
        snprintf(name, sizeof name, "key-%d", i);
        left += seen(c, name) != 0;
    }
    assert_int_equal(left, 10);
    assert_int_equal(transit_cache_limit(c), 10);
    transit_cache_free(c);
    epoch_wait();
}

static void keeps_what_is_used_when_it_must_evict(void **state)
{
    struct transit_cache *c = transit_cache_new(4);
    char name[32];
    put(c, "favourite", 1);
    for (int i = 1; i <= 50; i++) {
        assert_int_equal(seen(c, "favourite"), 1);
        snprintf(name, sizeof name, "key-%d", i);
        put(c, name, i);
    }
    transit_cache_free(c);
    epoch_wait();
}

struct race {
    struct transit_cache *cache;
    atomic_bool stop;
    atomic_int wrong;
};

static void *read_on(void *p)
{
    struct race *r = p;
    while (!atomic_load(&r->stop)) {
        epoch_enter();
        const struct transit_key *k = transit_cache_get(r->cache, STR("key-7"));
        if (k != NULL && (k->latest < 1 || !str_is(k->name, "key-7")))
            atomic_fetch_add(&r->wrong, 1);
        epoch_leave();
    }
    return NULL;
}

static void readers_see_whole_keys_while_a_writer_works(void **state)
{
    struct race r = { .cache = transit_cache_new(0) };
    pthread_t readers[2];
    char name[32];

    for (size_t i = 0; i < ARRAY_LEN(readers); i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_on, &r), 0);
    for (int round = 1; round <= 300; round++) {
        snprintf(name, sizeof name, "key-%d", round % 40);
        put(r.cache, name, round);
        put(r.cache, "key-7", round);
        if (round % 3 == 0)
            transit_cache_forget(r.cache, STR("key-7"));
    }
    atomic_store(&r.stop, true);
    for (size_t i = 0; i < ARRAY_LEN(readers); i++)
        pthread_join(readers[i], NULL);
    assert_int_equal(atomic_load(&r.wrong), 0);
    transit_cache_free(r.cache);
    epoch_wait();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_was_put_and_nothing_else),
        cmocka_unit_test(a_later_put_replaces_an_earlier_one),
        cmocka_unit_test(what_was_forgotten_is_gone),
        cmocka_unit_test(a_load_older_than_a_forgetting_is_refused),
        cmocka_unit_test(a_reader_keeps_what_it_found_while_it_is_replaced),
        cmocka_unit_test(holds_thousands_when_it_is_not_bounded),
        cmocka_unit_test(holds_no_more_than_its_limit),
        cmocka_unit_test(keeps_what_is_used_when_it_must_evict),
        cmocka_unit_test(readers_see_whole_keys_while_a_writer_works),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
