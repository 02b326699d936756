/* Tests of the metrics: what threads measured is what readers see. */
#include "base/metric.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const int64_t SECOND = 1000000000;

/* An interval of its own for each test; times are handed in. */
static int64_t begin_ns(int number)
{
    return (1000 + number) * METRIC_INTERVAL_S * SECOND;
}

static struct metric_view view_of(uint32_t id, int64_t at_ns)
{
    struct metric_view v;
    assert_true(metric_view(id, metric_interval(at_ns), &v));
    return v;
}

static void adds_durations_up_in_milliseconds(void **state)
{
    uint32_t id = metric_named(METRIC_SAMPLE, STR("t.durations"));
    int64_t t = begin_ns(0);
    metric_span(id, t, t + 2000000);
    metric_span(id, t, t + 4000000);
    struct metric_view v = view_of(id, t);
    assert_int_equal(v.n, 2);
    assert_true(fabs(v.sum - 6) < 1e-9 && fabs(v.min - 2) < 1e-9 && fabs(v.max - 4) < 1e-9);
    assert_true(fabs(v.sum_squares - 20) < 1e-9);
    assert_int_equal(v.total_n, 2);
}

static void an_interval_begins_anew_and_the_total_goes_on(void **state)
{
    uint32_t id = metric_named(METRIC_SAMPLE, STR("t.intervals"));
    int64_t t = begin_ns(0), later = begin_ns(1), much_later = begin_ns(3);
    metric_span(id, t, t + 1000);
    metric_span(id, later, later + 1000);
    assert_int_equal(view_of(id, t).n, 1);
    assert_int_equal(view_of(id, later).n, 1);
    /* The bin of the first interval is taken by the fourth. */
    metric_span(id, much_later, much_later + 1000);
    assert_int_equal(view_of(id, t).n, 0);
    assert_int_equal(view_of(id, much_later).n, 1);
    assert_int_equal(view_of(id, t).total_n, 3);
}

static void quantiles_are_right_within_a_fifth(void **state)
{
    uint32_t id = metric_named(METRIC_SAMPLE, STR("t.quantiles"));
    int64_t t = begin_ns(0);
    for (int64_t i = 1; i <= 1000; i++)
        metric_span(id, t, t + i * 1000000);
    struct metric_view v = view_of(id, t);
    const double expected[METRIC_QUANTILES] = { 500, 900, 990 };
    for (size_t i = 0; i < METRIC_QUANTILES; i++)
        assert_true(fabs(v.quantiles[i] - expected[i]) <= expected[i] / 5 + 1);
}

static void quantiles_of_nothing_are_no_number(void **state)
{
    uint32_t id = metric_named(METRIC_SAMPLE, STR("t.nothing"));
    struct metric_view v = view_of(id, begin_ns(0));
    assert_true(isnan(v.quantiles[0]) && isnan(v.quantiles[2]));
    assert_false(v.known);
}

static void a_duration_that_runs_backwards_counts_as_zero(void **state)
{
    uint32_t id = metric_named(METRIC_SAMPLE, STR("t.backwards"));
    int64_t t = begin_ns(0);
    metric_span(id, t + 5, t);
    assert_int_equal(view_of(id, t).n, 1);
    assert_true(view_of(id, t).sum == 0);
}

static void one_name_has_one_id(void **state)
{
    uint32_t a = metric_named(METRIC_COUNTER, STR("t.same"));
    assert_int_equal(a, metric_named(METRIC_COUNTER, STR("t.same")));
    assert_int_not_equal(a, metric_named(METRIC_COUNTER, STR("t.other")));
}

static void *measure(void *p)
{
    for (int i = 0; i < 1000; i++)
        metric_count(*(uint32_t *)p, 2);
    return NULL;
}

static void threads_that_ended_are_counted(void **state)
{
    uint32_t id = metric_named(METRIC_COUNTER, STR("t.threads"));
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, measure, &id), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    struct metric_view v = view_of(id, metric_now_ns());
    assert_int_equal(v.total_n, 4000);
    assert_true(v.total_sum == 8000);
}

static void a_gauge_keeps_its_last_value(void **state)
{
    uint32_t id = metric_named(METRIC_GAUGE, STR("t.gauge"));
    assert_false(view_of(id, 0).known);
    metric_gauge(id, 3);
    metric_gauge(id, 1.5);
    assert_true(view_of(id, 0).known && view_of(id, 0).value == 1.5);
}

static void measuring_nothing_is_harmless(void **state)
{
    struct metric_view v;
    metric_span(METRIC_NONE, 1, 2);
    metric_count(UINT32_MAX, 1);
    metric_gauge(UINT32_MAX, 1);
    assert_false(metric_view(METRIC_NONE, 1, &v));
    assert_false(metric_view(UINT32_MAX, 1, &v));
}

/* Last: it uses the names up. */
static void names_are_bounded(void **state)
{
    char name[32];
    uint32_t id = METRIC_FIXED;
    int made = 0;
    while (id != METRIC_NONE && made < 100000) {
        snprintf(name, sizeof name, "t.many.%d", made++);
        id = metric_named(METRIC_COUNTER, str_of(name));
    }
    assert_int_equal(id, METRIC_NONE);
    assert_int_not_equal(metric_named(METRIC_COUNTER, STR("t.many.0")), METRIC_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adds_durations_up_in_milliseconds),
        cmocka_unit_test(an_interval_begins_anew_and_the_total_goes_on),
        cmocka_unit_test(quantiles_are_right_within_a_fifth),
        cmocka_unit_test(quantiles_of_nothing_are_no_number),
        cmocka_unit_test(a_duration_that_runs_backwards_counts_as_zero),
        cmocka_unit_test(one_name_has_one_id),
        cmocka_unit_test(threads_that_ended_are_counted),
        cmocka_unit_test(a_gauge_keeps_its_last_value),
        cmocka_unit_test(measuring_nothing_is_harmless),
        cmocka_unit_test(names_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
