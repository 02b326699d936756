/* Tests of the three formats of metrics, over a sealed server. */
#include "core/telemetry.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/clock.h"
#include "codec/json.h"
#include "core/lifecycle.h"
#include "storage/driver.h"

static const int64_t SECOND = 1000000000;

struct fixture {
    struct storage *physical;
    struct core_settings settings;
    struct lifecycle *lifecycle;
    struct arena *arena;
    uint32_t sample, counter;
};

static int set_up(void **state)
{
    static struct fixture f;
    struct err err = { 0 };
    f.arena = arena_new();
    if (f.arena == NULL || storage_inmem.open(NULL, 0, &f.physical, &err) < 0)
        return -1;
    f.settings = (struct core_settings){ .physical = f.physical, .clock = &clock_system };
    f.sample = metric_named(METRIC_SAMPLE, STR("t.sample"));
    f.counter = metric_named(METRIC_COUNTER, STR("t.count:er"));
    *state = &f;
    return lifecycle_new(&f.settings, &f.lifecycle, &err);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    lifecycle_free(f->lifecycle);
    storage_close(f->physical);
    arena_free(f->arena);
    return 0;
}

static struct telemetry plain(void)
{
    return (struct telemetry){ .prefix = STR("vault"), .hostname = STR("box"),
                               .filter_default = true };
}

static bool has(const struct buf *b, const char *text)
{
    return str_find(buf_str(b), str_of(text)) >= 0;
}

static const struct json *find(const struct json *list, const char *name)
{
    for (const struct json *i = json_first(list); i != NULL; i = i->next)
        if (str_is(json_get_str(i, "Name"), name))
            return i;
    return NULL;
}

static void json_has_the_shape_of_go_metrics(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf text = { 0 };
    struct telemetry t = plain();
    struct err err = { 0 };
    struct json *o;
    int64_t at = 5 * METRIC_INTERVAL_S * SECOND;
    metric_span(f->sample, at, at + 2000000);
    metric_span(f->sample, at, at + 4000000);
    telemetry_json(&t, f->lifecycle, 1527702890 * SECOND, at, &text);
    assert_int_equal(json_parse(f->arena, buf_str(&text), &o, NULL, &err), 0);
    assert_true(str_is(json_get_str(o, "Timestamp"), "2018-05-30 17:54:50 +0000 UTC"));
    assert_int_equal(json_member(o, "Points")->count, 0);
    assert_non_null(find(json_member(o, "Gauges"), "vault.runtime.alloc_bytes"));
    const struct json *s = find(json_member(o, "Samples"), "vault.t.sample");
    assert_non_null(s);
    assert_int_equal(json_get_int(s, "Count", 0), 2);
    assert_int_equal(json_get_int(s, "Mean", 0), 3);
    assert_int_equal(json_get_int(s, "Max", 0), 4);
    assert_int_equal(json_member(s, "Labels")->count, 0);
}

static void prometheus_names_hold_only_what_they_may(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf text = { 0 };
    struct telemetry t = plain();
    metric_count(f->counter, 3);
    telemetry_prometheus(&t, f->lifecycle, metric_now_ns(), &text);
    assert_true(has(&text, "# TYPE vault_t_count_er counter\nvault_t_count_er 3\n")
                || has(&text, "vault_t_count:er 3\n"));
    assert_true(has(&text, "# TYPE vault_core_unsealed gauge\nvault_core_unsealed 0\n"));
}

static void prometheus_samples_are_summaries(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf text = { 0 };
    struct telemetry t = plain();
    metric_span(f->sample, 0, 1000000);
    telemetry_prometheus(&t, f->lifecycle, metric_now_ns(), &text);
    assert_true(has(&text, "# TYPE vault_t_sample summary\nvault_t_sample{quantile=\"0.5\"} "));
    assert_true(has(&text, "vault_t_sample_count "));
}

static void statsd_samples_carry_their_rate(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf text = { 0 };
    struct telemetry t = plain();
    int64_t at = 9 * METRIC_INTERVAL_S * SECOND;
    for (int i = 0; i < 4; i++)
        metric_span(f->sample, at, at + 3000000);
    telemetry_statsd(&t, f->lifecycle, 9, NULL, &text);
    assert_true(has(&text, "vault.t.sample:3.000000|ms|@0.250000000000\n"));
    assert_true(has(&text, "vault.core.unsealed:0|g\n"));
}

static void dogstatsd_lines_carry_tags(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf text = { 0 };
    struct telemetry t = plain();
    struct strs tags = { 0 };
    strs_add(f->arena, &tags, STR("env:prod"));
    strs_add(f->arena, &tags, STR("rack:7"));
    telemetry_statsd(&t, f->lifecycle, 1, &tags, &text);
    assert_true(has(&text, "vault.core.unsealed:0|g|#env:prod,rack:7\n"));
}

static void the_longest_rule_of_the_filter_decides(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf text = { 0 };
    struct telemetry t = plain();
    t.filter_default = false;
    strs_add(f->arena, &t.filter, STR("+vault.runtime"));
    strs_add(f->arena, &t.filter, STR("-vault.runtime.sys"));
    telemetry_statsd(&t, f->lifecycle, 1, NULL, &text);
    assert_true(has(&text, "vault.runtime.alloc_bytes:"));
    assert_false(has(&text, "vault.runtime.sys_bytes:"));
    assert_false(has(&text, "vault.core.unsealed:"));
}

static void the_hostname_stands_in_gauges_or_as_a_label(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_free) struct buf text = { 0 };
    struct telemetry t = plain();
    t.host_in_gauges = true;
    telemetry_statsd(&t, f->lifecycle, 1, NULL, &text);
    assert_true(has(&text, "vault.box.core.unsealed:0|g\n"));
    t.host_in_gauges = false;
    t.host_label = true;
    telemetry_prometheus(&t, f->lifecycle, metric_now_ns(), &text);
    assert_true(has(&text, "vault_core_unsealed{host=\"box\"} 0\n"));
}

static void answers_say_what_is_wrong(void **state)
{
    static const struct { const char *format, *accept; bool on; int status; const char *text; }
    cases[] = {
        { "prometheus", "", false, 400, "prometheus is not enabled" },
        { "", "application/openmetrics-text; version=1", false, 400, "prometheus is not enabled" },
        { "xml", "", true, 400, "metric response format \"xml\" unknown" },
        { "prometheus", "", true, 200, NULL },
        { "", "", false, 200, NULL },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct telemetry t = plain();
        struct telemetry_answer answer;
        struct err err = { 0 };
        t.prometheus = cases[i].on;
        assert_int_equal(telemetry_answer(&t, f->lifecycle, f->arena, str_of(cases[i].format),
                                          str_of(cases[i].accept), &answer, &err), 0);
        assert_int_equal(answer.status, cases[i].status);
        if (cases[i].text != NULL)
            assert_true(str_is(answer.text, cases[i].text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_has_the_shape_of_go_metrics),
        cmocka_unit_test(prometheus_names_hold_only_what_they_may),
        cmocka_unit_test(prometheus_samples_are_summaries),
        cmocka_unit_test(statsd_samples_carry_their_rate),
        cmocka_unit_test(dogstatsd_lines_carry_tags),
        cmocka_unit_test(the_longest_rule_of_the_filter_decides),
        cmocka_unit_test(the_hostname_stands_in_gauges_or_as_a_label),
        cmocka_unit_test(answers_say_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
