/* Tests of the watchers of the log. */
#include "api/monitor.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

static const struct log lg = { "test" };

static int set_up(void **state)
{
    struct err err = { 0 };
    struct monitor *m;
    log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
    if (monitor_new(&m, &err) < 0)
        return -1;
    *state = m;
    return 0;
}

static int tear_down(void **state)
{
    monitor_free(*state);
    return 0;
}

static struct watcher *watch(struct monitor *m, enum log_level level)
{
    struct err err = { 0 };
    struct watcher *w;
    assert_int_equal(monitor_watch(m, level, &w, &err), 0);
    return w;
}

static bool has(const struct buf *b, const char *text)
{
    return str_find(buf_str(b), str_of(text)) >= 0;
}

static void each_watcher_sees_its_level_and_above(void **state)
{
    struct watcher *all = watch(*state, LOG_TRACE), *few = watch(*state, LOG_WARN);
    AUTO(buf_free) struct buf a = { 0 };
    AUTO(buf_free) struct buf b = { 0 };
    LOG(&lg, TRACE, "whisper");
    LOG(&lg, ERROR, "shout");
    assert_int_equal(monitor_next(*state, all, 0, &a), 1);
    assert_int_equal(monitor_next(*state, few, 0, &b), 1);
    assert_true(has(&a, "whisper\n") && has(&a, "shout\n"));
    assert_true(!has(&b, "whisper") && has(&b, "[ERROR] test: shout\n"));
    monitor_leave(*state, all);
    monitor_leave(*state, few);
}

static void lines_that_nobody_wants_are_not_made(void **state)
{
    struct watcher *w = watch(*state, LOG_TRACE);
    assert_true(log_enabled(LOG_TRACE));
    monitor_leave(*state, w);
    assert_false(log_enabled(LOG_TRACE));
    assert_true(log_enabled(LOG_INFO));
}

static void without_lines_there_is_nothing(void **state)
{
    struct watcher *w = watch(*state, LOG_INFO);
    AUTO(buf_free) struct buf out = { 0 };
    LOG(&lg, DEBUG, "too fine");
    assert_int_equal(monitor_next(*state, w, 0, &out), 0);
    assert_int_equal(out.n, 0);
    monitor_leave(*state, w);
}

static void a_slow_watcher_misses_lines_and_is_told(void **state)
{
    struct watcher *w = watch(*state, LOG_INFO);
    AUTO(buf_free) struct buf out = { 0 };
    for (int i = 0; i < 20000; i++)
        LOG(&lg, INFO, "line %d", i);
    assert_int_equal(monitor_next(*state, w, 0, &out), 1);
    assert_true(out.n < 300 * 1024);
    assert_true(has(&out, "line 0\n") && !has(&out, "line 19999\n"));
    assert_true(has(&out, "Monitor dropped "));
    buf_clear(&out);
    LOG(&lg, INFO, "caught up");
    assert_int_equal(monitor_next(*state, w, 0, &out), 1);
    assert_true(has(&out, "caught up\n"));
    monitor_leave(*state, w);
}

static void watchers_are_bounded(void **state)
{
    struct watcher *all[1000];
    struct err err = { 0 };
    size_t n = 0;
    while (n < ARRAY_LEN(all) && monitor_watch(*state, LOG_INFO, &all[n], &err) == 0)
        n++;
    assert_true(n > 1 && n < ARRAY_LEN(all));
    assert_int_equal(err.code, ERR_LIMITED);
    while (n > 0)
        monitor_leave(*state, all[--n]);
}

static void the_end_comes_after_the_last_line(void **state)
{
    struct watcher *w = watch(*state, LOG_INFO);
    AUTO(buf_free) struct buf out = { 0 };
    LOG(&lg, INFO, "last words");
    monitor_end(*state);
    assert_int_equal(monitor_next(*state, w, 60000, &out), 1);
    assert_int_equal(monitor_next(*state, w, 60000, &out), -1);
    monitor_leave(*state, w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_watcher_sees_its_level_and_above, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lines_that_nobody_wants_are_not_made, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_lines_there_is_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_slow_watcher_misses_lines_and_is_told, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(watchers_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_end_comes_after_the_last_line, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
