/* Tests of the wheel: deadlines fire once, at or after their time, wherever they were moved. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "net/wheel.h"

/* Something with a deadline; the item comes first. */
struct thing {
    struct wheel_item item;
    int fired;
};

static void fire(struct wheel_item *item)
{
    ((struct thing *)item)->fired++;
}

static void fires_once_and_not_early(void **state)
{
    static const int64_t after[] = { 0, 1, 63, 64, 65, 1000, 65536, 300000, 1000000 };
    for (size_t i = 0; i < ARRAY_LEN(after); i++) {
        struct wheel w = { 0 };
        struct thing t = { 0 };
        int64_t now = 123456789, deadline = now + after[i];
        (void)wheel_set(&w, &t.item, now, deadline);
        while (t.fired == 0) {
            int64_t next = wheel_next_ms(&w);
            assert_true(next > now);
            now = next;
            wheel_run(&w, now, fire);
            assert_true(t.fired == 0 || now >= deadline);
        }
        assert_true(now <= deadline + 2 * WHEEL_TICK_MS);
        assert_int_equal(t.fired, 1);
        assert_int_equal(wheel_next_ms(&w), -1);
    }
}

static void a_deadline_moved_later_waits(void **state)
{
    struct wheel w = { 0 };
    struct thing t = { 0 };
    (void)wheel_set(&w, &t.item, 0, 1000);
    (void)wheel_set(&w, &t.item, 500, 5000);
    wheel_run(&w, 4900, fire);
    assert_int_equal(t.fired, 0);
    wheel_run(&w, 5200, fire);
    assert_int_equal(t.fired, 1);
}

static void a_deadline_moved_earlier_fires_earlier(void **state)
{
    struct wheel w = { 0 };
    struct thing t = { 0 };
    (void)wheel_set(&w, &t.item, 0, 300000);
    assert_true(wheel_set(&w, &t.item, 100, 1000) <= 1000 + WHEEL_TICK_MS);
    wheel_run(&w, 1100, fire);
    assert_int_equal(t.fired, 1);
}

static void what_is_forgotten_or_removed_does_not_fire(void **state)
{
    struct wheel w = { 0 };
    struct thing a = { 0 }, b = { 0 };
    (void)wheel_set(&w, &a.item, 0, 1000);
    (void)wheel_set(&w, &b.item, 0, 1000);
    wheel_forget(&a.item);
    wheel_remove(&w, &b.item);
    wheel_run(&w, 1000000, fire);
    assert_int_equal(a.fired + b.fired, 0);
    assert_int_equal(w.n, 0);
}

static void many_in_one_slot_all_fire(void **state)
{
    struct wheel w = { 0 };
    struct thing t[100] = { 0 };
    for (int i = 0; i < 100; i++)
        (void)wheel_set(&w, &t[i].item, 0, 500 + i % 10);
    wheel_remove(&w, &t[50].item);
    wheel_run(&w, 700, fire);
    for (int i = 0; i < 100; i++)
        assert_int_equal(t[i].fired, i != 50);
}

static void a_long_sleep_misses_nothing(void **state)
{
    struct wheel w = { 0 };
    struct thing a = { 0 }, b = { 0 };
    (void)wheel_set(&w, &a.item, 0, 100);
    (void)wheel_set(&w, &b.item, 0, 90000000);
    wheel_run(&w, 80000000, fire);
    assert_int_equal(a.fired, 1);
    assert_int_equal(b.fired, 0);
    wheel_run(&w, 91000000, fire);
    assert_int_equal(b.fired, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fires_once_and_not_early),
        cmocka_unit_test(a_deadline_moved_later_waits),
        cmocka_unit_test(a_deadline_moved_earlier_fires_earlier),
        cmocka_unit_test(what_is_forgotten_or_removed_does_not_fire),
        cmocka_unit_test(many_in_one_slot_all_fire),
        cmocka_unit_test(a_long_sleep_misses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
