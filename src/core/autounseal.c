/* The thread: tries at once, then ever less often, up to every five seconds. */
#include "core/autounseal.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/random.h"

static const struct log lg = { "core" };

enum { FIRST_MS = 250, MOST_MS = 5000 };

struct autounseal {
    struct autounseal_calls calls;
    pthread_t thread;
    pthread_mutex_t mu;
    /* Under mu. */
    bool stop, wanted, renew_wanted;
    unsigned orders; /* how often it was woken or held */
    unsigned failures;
    struct timespec next; /* try, monotonic */
    pthread_cond_t wake;
};

int64_t autounseal_wait_ms(unsigned failures, uint32_t dice)
{
    int64_t most = FIRST_MS;
    while (failures-- > 1 && most < MOST_MS)
        most *= 2;
    if (most > MOST_MS)
        most = MOST_MS;
    return most - most / 4 * (dice % 1000) / 1000;
}

static struct timespec after_ms(int64_t ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += (time_t)(ms / 1000);
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

/* Is a failure final until somebody does something? */
static bool is_final(const struct err *err)
{
    return err->code == ERR_UNINITIALISED || err->code == ERR_CONFLICT;
}

/* One try; called with the lock, which is let go for it. */
static void try_unseal(struct autounseal *a)
{
    struct err err = { 0 };
    unsigned orders = a->orders;
    pthread_mutex_unlock(&a->mu);
    int result = a->calls.unseal(a->calls.ctx, &err);
    pthread_mutex_lock(&a->mu);
    if (result < 0 && is_final(&err))
        LOG(&lg, INFO, "not unsealing now: reason=\"%s\"", err.msg);
    if (orders != a->orders)
        return; /* what was said meanwhile counts */
    if (result == 0 || is_final(&err)) {
        a->wanted = false;
        return;
    }
    a->failures++;
    int64_t ms = autounseal_wait_ms(a->failures, random_below(1000));
    LOG(&lg, WARN, "failed to unseal core, will try again: error=\"%s\" after=%lldms", err.msg,
        (long long)ms);
    a->next = after_ms(ms);
}

static void try_renew(struct autounseal *a)
{
    struct err err = { 0 };
    a->renew_wanted = false;
    pthread_mutex_unlock(&a->mu);
    if (a->calls.renew(a->calls.ctx, &err) < 0)
        LOG(&lg, WARN, "post-unseal upgrade seal keys failed: error=\"%s\"", err.msg);
    pthread_mutex_lock(&a->mu);
}

static bool is_due(const struct autounseal *a)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec > a->next.tv_sec
           || (now.tv_sec == a->next.tv_sec && now.tv_nsec >= a->next.tv_nsec);
}

static void *run(void *ctx)
{
    struct autounseal *a = ctx;
    pthread_mutex_lock(&a->mu);
    while (!a->stop) {
        if (a->renew_wanted)
            try_renew(a);
        else if (a->wanted && is_due(a))
            try_unseal(a);
        else if (a->wanted)
            (void)pthread_cond_timedwait(&a->wake, &a->mu, &a->next);
        else
            pthread_cond_wait(&a->wake, &a->mu);
    }
    pthread_mutex_unlock(&a->mu);
    return NULL;
}

static void release(struct autounseal *a)
{
    pthread_cond_destroy(&a->wake);
    pthread_mutex_destroy(&a->mu);
    free(a);
}

int autounseal_new(const struct autounseal_calls *calls, struct autounseal **out, struct err *err)
{
    pthread_condattr_t attr;
    struct autounseal *a = calloc(1, sizeof *a);
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    a->calls = *calls;
    pthread_mutex_init(&a->mu, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&a->wake, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&a->thread, NULL, run, a) != 0) {
        release(a);
        return err_set(err, ERR_INTERNAL, "no thread for unsealing");
    }
    *out = a;
    return 0;
}

void autounseal_free(struct autounseal *a)
{
    if (a == NULL)
        return;
    pthread_mutex_lock(&a->mu);
    a->stop = true;
    pthread_cond_signal(&a->wake);
    pthread_mutex_unlock(&a->mu);
    pthread_join(a->thread, NULL);
    release(a);
}

void autounseal_wake(struct autounseal *a)
{
    if (a == NULL)
        return;
    pthread_mutex_lock(&a->mu);
    a->wanted = true;
    a->orders++;
    a->failures = 0;
    a->next = after_ms(0);
    pthread_cond_signal(&a->wake);
    pthread_mutex_unlock(&a->mu);
}

void autounseal_hold(struct autounseal *a)
{
    if (a == NULL)
        return;
    pthread_mutex_lock(&a->mu);
    a->wanted = false;
    a->orders++;
    pthread_mutex_unlock(&a->mu);
}

void autounseal_became_active(struct autounseal *a)
{
    if (a == NULL)
        return;
    pthread_mutex_lock(&a->mu);
    a->renew_wanted = true;
    pthread_cond_signal(&a->wake);
    pthread_mutex_unlock(&a->mu);
}
