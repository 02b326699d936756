/* Tests of instants and durations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "codec/timefmt.h"

#define S INT64_C(1000000000)

#define assert_str(s, z)                                                                           \
    do {                                                                                           \
        struct str got = (s);                                                                      \
        assert_int_equal(got.n, strlen(z));                                                        \
        assert_memory_equal(got.p, z, got.n);                                                      \
    } while (0)

static const struct {
    int64_t ns;
    const char *text;
} instants[] = {
    { 0, "1970-01-01T00:00:00Z" },
    { TIME_ZERO, "0001-01-01T00:00:00Z" },
    { -1, "1969-12-31T23:59:59.999999999Z" },
    { 1767323045 * S + 60000000, "2026-01-02T03:04:05.06Z" },
    { 951782400 * S, "2000-02-29T00:00:00Z" },
    { 951868800 * S - 1, "2000-02-29T23:59:59.999999999Z" },
    { 4107542400 * S, "2100-03-01T00:00:00Z" },
    { 1735689599 * S, "2024-12-31T23:59:59Z" },
    { INT64_MAX, "2262-04-11T23:47:16.854775807Z" },
    { INT64_MIN + 1, "1677-09-21T00:12:43.145224193Z" },
};

static void instants_are_written_as_rfc_3339_with_the_zeros_cut(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    for (size_t i = 0; i < ARRAY_LEN(instants); i++)
        assert_str(time_format(a, instants[i].ns), instants[i].text);
}

static void what_was_written_reads_back(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(instants); i++) {
        int64_t ns;
        assert_int_equal(time_parse(str_of(instants[i].text), &ns, NULL), 0);
        assert_int_equal(ns, instants[i].ns);
    }
}

static void every_day_of_four_centuries_survives(void **state)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    for (int64_t day = -106000; day < 106000; day++) {
        int64_t ns;
        assert_int_equal(time_parse(time_format(a, day * 86400 * S + 7), &ns, NULL), 0);
        assert_int_equal(ns, day * 86400 * S + 7);
        if (day % 1000 == 0)
            arena_reset(a);
    }
}

static void offsets_and_long_fractions_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t ns;
    } cases[] = {
        { "1970-01-01T01:00:00+01:00", 0 },
        { "1969-12-31T18:30:00-05:30", 0 },
        { "1970-01-01T00:00:00.1234567899Z", 123456789 },
        { "1970-01-01T00:00:01.5+00:00", 1500000000 },
        { "1970-01-01T0:00:01Z", S },
        { "0001-01-01T02:00:00+02:00", TIME_ZERO },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t ns;
        assert_int_equal(time_parse(str_of(cases[i].text), &ns, NULL), 0);
        assert_int_equal(ns, cases[i].ns);
    }
}

static void what_is_no_instant_is_refused_with_its_reason(void **state)
{
#define AS " as \"2006-01-02T15:04:05Z07:00\": cannot parse "
    static const struct {
        const char *text, *message;
    } cases[] = {
        { "", "parsing time \"\"" AS "\"\" as \"2006\"" },
        { "yesterday", "parsing time \"yesterday\"" AS "\"yesterday\" as \"2006\"" },
        { "2026-1-02T03:04:05Z",
          "parsing time \"2026-1-02T03:04:05Z\"" AS "\"1-02T03:04:05Z\" as \"01\"" },
        { "2026-01-02 03:04:05Z",
          "parsing time \"2026-01-02 03:04:05Z\"" AS "\" 03:04:05Z\" as \"T\"" },
        { "2026-01-02T03:04:05", "parsing time \"2026-01-02T03:04:05\"" AS "\"\" as \"Z07:00\"" },
        { "2026-01-02T03:04:05+0100",
          "parsing time \"2026-01-02T03:04:05+0100\"" AS "\"+0100\" as \"Z07:00\"" },
        { "2026-13-02T03:04:05Z", "parsing time \"2026-13-02T03:04:05Z\": month out of range" },
        { "2026-02-29T03:04:05Z", "parsing time \"2026-02-29T03:04:05Z\": day out of range" },
        { "2026-02-00T03:04:05Z", "parsing time \"2026-02-00T03:04:05Z\": day out of range" },
        { "2026-02-01T24:04:05Z", "parsing time \"2026-02-01T24:04:05Z\": hour out of range" },
        { "2026-02-01T03:60:05Z", "parsing time \"2026-02-01T03:60:05Z\": minute out of range" },
        { "2026-02-01T03:04:60Z", "parsing time \"2026-02-01T03:04:60Z\": second out of range" },
        { "2026-01-02T03:04:05Zx", "parsing time \"2026-01-02T03:04:05Zx\": extra text: \"x\"" },
        { "2300-01-02T03:04:05Z", "parsing time \"2300-01-02T03:04:05Z\": year out of range" },
        { "1600-01-02T03:04:05Z", "parsing time \"1600-01-02T03:04:05Z\": year out of range" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = { 0 };
        int64_t ns = 7;
        assert_int_equal(time_parse(str_of(cases[i].text), &ns, &err), -1);
        assert_string_equal(err.msg, cases[i].message);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
        assert_int_equal(ns, 7);
    }
}

static void durations_are_written_as_go_writes_them(void **state)
{
    static const struct {
        int64_t ns;
        const char *text;
    } cases[] = {
        { 0, "0s" }, { 1, "1ns" }, { -1, "-1ns" }, { 1100, "1.1\xC2\xB5s" }, { 2200000, "2.2ms" },
        { 300000000, "300ms" }, { S, "1s" }, { 3300000000, "3.3s" }, { -3300000000, "-3.3s" },
        { 245 * S, "4m5s" }, { 245001000000, "4m5.001s" }, { 18367001000000, "5h6m7.001s" },
        { 480000000001, "8m0.000000001s" }, { 3600 * S, "1h0m0s" }, { -5400 * S, "-1h30m0s" },
        { 60 * S, "1m0s" }, { INT64_MAX, "2562047h47m16.854775807s" },
        { INT64_MIN, "-2562047h47m16.854775808s" },
    };
    AUTO(arena_drop) struct arena *a = arena_new();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_str(duration_format(a, cases[i].ns), cases[i].text);
}

static void durations_are_read_as_go_reads_them(void **state)
{
    static const struct {
        const char *text;
        int64_t ns;
    } cases[] = {
        { "0", 0 },
        { "-0", 0 },
        { "5s", 5 * S },
        { "+5s", 5 * S },
        { "-5.s", -5 * S },
        { ".5s", S / 2 },
        { "1.004s", 1004000000 },
        { "10ns", 10 },
        { "12\xC2\xB5s", 12000 },
        { "12\xCE\xBCs", 12000 },
        { "11us", 11000 },
        { "13ms", 13000000 },
        { "3h30m", 12600 * S },
        { "-1.5h", -5400 * S },
        { "10.5s4m", 250500000000 },
        { "1h15m30.918s", 4530918000000 },
        { "1h15m", 4500 * S },
        { "0.3333333333333333333h", 1200 * S },
        { "0.9223372036854775807h", 3320413933267 },
        { "9223372036854775807ns", INT64_MAX },
        { "52763797000ns", 52763797000 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t ns;
        print_message("  %s\n", cases[i].text);
        assert_int_equal(duration_parse_go(str_of(cases[i].text), &ns, NULL), 0);
        assert_int_equal(ns, cases[i].ns);
    }
}

static void what_is_no_duration_is_refused_as_go_does(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        { "", "time: invalid duration \"\"" },
        { "-", "time: invalid duration \"-\"" },
        { "s", "time: invalid duration \"s\"" },
        { ".", "time: invalid duration \".\"" },
        { "-.", "time: invalid duration \"-.\"" },
        { ".s", "time: invalid duration \".s\"" },
        { "3", "time: missing unit in duration \"3\"" },
        { "1h3", "time: missing unit in duration \"1h3\"" },
        { "5d", "time: unknown unit \"d\" in duration \"5d\"" },
        { "1\"s", "time: unknown unit \"\\\"s\" in duration \"1\\\"s\"" },
        { "1 s", "time: unknown unit \" s\" in duration \"1 s\"" },
        { "--5s", "time: invalid duration \"--5s\"" },
        { "3000000h", "time: invalid duration \"3000000h\"" },
        { "9223372036854775808ns", "time: invalid duration \"9223372036854775808ns\"" },
        { "9223372036854775.808us", "time: invalid duration \"9223372036854775.808us\"" },
        { "99999999999999999999s", "time: invalid duration \"99999999999999999999s\"" },
        { "\xFF", "time: invalid duration \"\\xff\"" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = { 0 };
        int64_t ns = 7;
        print_message("  %s\n", cases[i].text);
        assert_int_equal(duration_parse_go(str_of(cases[i].text), &ns, &err), -1);
        assert_string_equal(err.msg, cases[i].message);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
        assert_int_equal(ns, 7);
    }
}

static void parameters_are_seconds_days_or_go_durations(void **state)
{
    static const struct {
        const char *text;
        int64_t s;
    } cases[] = {
        { "", 0 },        { "0", 0 },     { "60", 60 },    { "+5", 5 },       { "-5", -5 },
        { "5d", 432000 }, { "1h", 3600 }, { "90m", 5400 }, { "-1d", -86400 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t ns;
        assert_int_equal(duration_parse(str_of(cases[i].text), true, &ns, NULL), 0);
        assert_int_equal(ns, cases[i].s * S);
    }
}

static void parameters_that_are_none_are_refused(void **state)
{
    static const struct {
        const char *text;
        bool days;
        const char *message;
    } cases[] = {
        { "5d", false, "strconv.ParseInt: parsing \"5d\": invalid syntax" },
        { "abc", true, "strconv.ParseInt: parsing \"abc\": invalid syntax" },
        { "d", true, "strconv.ParseInt: parsing \"\": invalid syntax" },
        { "1.5", true, "strconv.ParseInt: parsing \"1.5\": invalid syntax" },
        { "+-5", true, "strconv.ParseInt: parsing \"+-5\": invalid syntax" },
        { "99999999999", true, "strconv.ParseInt: parsing \"99999999999\": value out of range" },
        { "200000d", true, "strconv.ParseInt: parsing \"200000\": value out of range" },
        { "xs", true, "time: invalid duration \"xs\"" },
        { "5 h", true, "time: unknown unit \" h\" in duration \"5 h\"" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = { 0 };
        int64_t ns;
        print_message("  %s\n", cases[i].text);
        assert_int_equal(duration_parse(str_of(cases[i].text), cases[i].days, &ns, &err), -1);
        assert_string_equal(err.msg, cases[i].message);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instants_are_written_as_rfc_3339_with_the_zeros_cut),
        cmocka_unit_test(what_was_written_reads_back),
        cmocka_unit_test(every_day_of_four_centuries_survives),
        cmocka_unit_test(offsets_and_long_fractions_are_read),
        cmocka_unit_test(what_is_no_instant_is_refused_with_its_reason),
        cmocka_unit_test(durations_are_written_as_go_writes_them),
        cmocka_unit_test(durations_are_read_as_go_reads_them),
        cmocka_unit_test(what_is_no_duration_is_refused_as_go_does),
        cmocka_unit_test(parameters_are_seconds_days_or_go_durations),
        cmocka_unit_test(parameters_that_are_none_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
