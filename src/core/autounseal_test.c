/* Tests of the unsealing thread: when it tries, and when it lets it be. */
#include "core/autounseal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include <pthread.h>

#include "base/log.h"

/* Answers as told, and lets the test wait for a number of calls. */
struct script {
    pthread_mutex_t mu;
    pthread_cond_t changed;
    int failures;       /* so many tries fail */
    enum err_code code; /* in this way */
    int tries, renewals;
};

static int unseal(void *ctx, struct err *err)
{
    struct script *s = ctx;
    pthread_mutex_lock(&s->mu);
    s->tries++;
    int result = s->tries <= s->failures ? err_set(err, s->code, "as told") : 0;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->mu);
    return result;
}

static int renew(void *ctx, struct err *err)
{
    struct script *s = ctx;
    pthread_mutex_lock(&s->mu);
    s->renewals++;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->mu);
    return err_set(err, ERR_UPSTREAM, "as told");
}

static void wait_for(struct script *s, const int *count, int wanted)
{
    pthread_mutex_lock(&s->mu);
    while (*count < wanted)
        pthread_cond_wait(&s->changed, &s->mu);
    pthread_mutex_unlock(&s->mu);
}

#define SCRIPT(...)                                                                                \
    { .mu = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, __VA_ARGS__ }

static struct autounseal *start(struct script *s)
{
    struct autounseal *a = NULL;
    assert_int_equal(autounseal_new(&(struct autounseal_calls){ unseal, renew, s }, &a, NULL), 0);
    return a;
}

static void it_waits_to_be_woken(void **state)
{
    struct script s = SCRIPT();
    struct autounseal *a = start(&s);
    autounseal_free(a);
    assert_int_equal(s.tries, 0);
}

static void a_failure_is_tried_again_until_it_succeeds(void **state)
{
    struct script s = SCRIPT(.failures = 2, .code = ERR_UPSTREAM);
    struct autounseal *a = start(&s);
    autounseal_wake(a);
    wait_for(&s, &s.tries, 3);
    autounseal_free(a);
    assert_int_equal(s.tries, 3);
}

static void an_empty_store_is_tried_once_for_each_wake(void **state)
{
    struct script s = SCRIPT(.failures = 100, .code = ERR_UNINITIALISED);
    struct autounseal *a = start(&s);
    autounseal_wake(a);
    wait_for(&s, &s.tries, 1);
    autounseal_wake(a);
    wait_for(&s, &s.tries, 2);
    autounseal_free(a);
    assert_int_equal(s.tries, 2);
}

static void holding_ends_the_tries(void **state)
{
    struct script s = SCRIPT(.failures = 100, .code = ERR_UPSTREAM);
    struct autounseal *a = start(&s);
    autounseal_wake(a);
    wait_for(&s, &s.tries, 1);
    autounseal_hold(a);
    int tries = s.tries;
    autounseal_became_active(a);
    wait_for(&s, &s.renewals, 1);
    assert_true(s.tries <= tries + 1); /* one may have been on its way */
    autounseal_free(a);
}

static void a_failing_renewal_is_left_to_the_next_activation(void **state)
{
    struct script s = SCRIPT();
    struct autounseal *a = start(&s);
    autounseal_became_active(a);
    wait_for(&s, &s.renewals, 1);
    autounseal_became_active(a);
    wait_for(&s, &s.renewals, 2);
    autounseal_free(a);
    assert_int_equal(s.renewals, 2);
}

static void nobody_is_told_anything_where_people_hold_shares(void **state)
{
    autounseal_wake(NULL);
    autounseal_hold(NULL);
    autounseal_became_active(NULL);
    autounseal_free(NULL);
}

static void waits_grow_up_to_five_seconds(void **state)
{
    assert_int_equal(autounseal_wait_ms(1, 0), 250);
    assert_int_equal(autounseal_wait_ms(2, 0), 500);
    assert_int_equal(autounseal_wait_ms(100, 0), 5000);
    assert_int_equal(autounseal_wait_ms(100, 1000), 5000);
    assert_int_equal(autounseal_wait_ms(100, 999), 5000 - 1248); /* spread by a quarter */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_waits_to_be_woken),
        cmocka_unit_test(a_failure_is_tried_again_until_it_succeeds),
        cmocka_unit_test(an_empty_store_is_tried_once_for_each_wake),
        cmocka_unit_test(holding_ends_the_tries),
        cmocka_unit_test(a_failing_renewal_is_left_to_the_next_activation),
        cmocka_unit_test(nobody_is_told_anything_where_people_hold_shares),
        cmocka_unit_test(waits_grow_up_to_five_seconds),
    };
    log_set_level(LOG_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
