/* Tests of the thread that keeps a token alive. */
#include "seal/renewal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include <pthread.h>

#include "base/log.h"

/* What each call answers, and how many there were. */
struct script {
    pthread_mutex_t mu;
    pthread_cond_t called;
    int calls;
    bool fails, refused, renewable;
    int64_t lease_s;
};

static int renew(void *ctx, int64_t *lease_s, bool *renewable, bool *refused, struct err *err)
{
    struct script *s = ctx;
    pthread_mutex_lock(&s->mu);
    s->calls++;
    pthread_cond_signal(&s->called);
    pthread_mutex_unlock(&s->mu);
    *lease_s = s->lease_s;
    *renewable = s->renewable;
    *refused = s->refused;
    return s->fails ? err_set(err, ERR_UPSTREAM, "as told") : 0;
}

/* Start, wait for ${calls}, end. */
static void run(struct script *s, int calls)
{
    struct renewal *r = NULL;
    pthread_mutex_init(&s->mu, NULL);
    pthread_cond_init(&s->called, NULL);
    assert_int_equal(renewal_new(&(struct renewal_calls){ renew, s }, &r, NULL), 0);
    pthread_mutex_lock(&s->mu);
    while (s->calls < calls)
        pthread_cond_wait(&s->called, &s->mu);
    pthread_mutex_unlock(&s->mu);
    renewal_free(r);
    pthread_cond_destroy(&s->called);
    pthread_mutex_destroy(&s->mu);
}

static void the_first_renewal_comes_at_once(void **state)
{
    struct script s = { .renewable = true, .lease_s = 3600 };
    run(&s, 1);
    assert_int_equal(s.calls, 1);
}

static void a_server_that_is_away_is_asked_again(void **state)
{
    struct script s = { .fails = true };
    run(&s, 2);
    assert_true(s.calls >= 2);
}

static void a_refusal_ends_it(void **state)
{
    struct script s = { .fails = true, .refused = true };
    run(&s, 1);
    assert_int_equal(s.calls, 1);
}

static void a_token_without_end_is_left_alone(void **state)
{
    struct script s = { .renewable = true, .lease_s = 0 };
    run(&s, 1);
    assert_int_equal(s.calls, 1);
}

static void two_thirds_of_the_lease_may_pass_at_most_about(void **state)
{
    assert_int_equal(renewal_wait_ms(3600, 0), 2160000);
    assert_int_equal(renewal_wait_ms(3600, 999), 2160000 + 359640);
    assert_int_equal(renewal_wait_ms(1, 0), 600);
    assert_int_equal(renewal_wait_ms(0, 0), 500);
    assert_true(renewal_wait_ms(INT64_MAX, 999) > (int64_t)200 * 86400 * 1000);
}

static void retries_come_less_and_less_often(void **state)
{
    assert_int_equal(renewal_retry_ms(1, 0), 500);
    assert_int_equal(renewal_retry_ms(2, 0), 1000);
    assert_int_equal(renewal_retry_ms(50, 0), 15000);
    assert_true(renewal_retry_ms(50, 999) < 30000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_renewal_comes_at_once),
        cmocka_unit_test(a_server_that_is_away_is_asked_again),
        cmocka_unit_test(a_refusal_ends_it),
        cmocka_unit_test(a_token_without_end_is_left_alone),
        cmocka_unit_test(two_thirds_of_the_lease_may_pass_at_most_about),
        cmocka_unit_test(retries_come_less_and_less_often),
    };
    log_set_level(LOG_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
