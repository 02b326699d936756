/* The renewing thread: a call, a wait that can be ended, and so on until it makes no sense. */
#include "seal/renewal.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/random.h"

static const struct log lg = { "seal-transit" };

enum { RETRY_FIRST_MS = 1000, RETRY_MOST_MS = 30000, LEASE_MOST_S = 365 * 86400 };

struct renewal {
    struct renewal_calls calls;
    pthread_t thread;
    pthread_mutex_t mu;
    bool stop;           /* under mu */
    pthread_cond_t wake; /* stop was set */
};

int64_t renewal_wait_ms(int64_t lease_s, uint32_t dice)
{
    int64_t lease_ms = (lease_s < LEASE_MOST_S ? lease_s : LEASE_MOST_S) * 1000;
    /* Between six and seven tenths, never hammering. */
    int64_t wait = lease_ms / 10 * 6 + lease_ms / 10 * (dice % 1000) / 1000;
    return wait < 500 ? 500 : wait;
}

int64_t renewal_retry_ms(unsigned failures, uint32_t dice)
{
    int64_t most = RETRY_FIRST_MS;
    while (failures-- > 1 && most < RETRY_MOST_MS)
        most *= 2;
    if (most > RETRY_MOST_MS)
        most = RETRY_MOST_MS;
    return most / 2 + most / 2 * (dice % 1000) / 1000;
}

/* True when it is to go on. */
static bool wait_for(struct renewal *r, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&r->mu);
    while (!r->stop && pthread_cond_timedwait(&r->wake, &r->mu, &until) == 0)
        ;
    bool on = !r->stop;
    pthread_mutex_unlock(&r->mu);
    return on;
}

static uint32_t dice(void)
{
    return random_below(1000);
}

/* One try: how long to wait for the next, or -1: no more. */
static int64_t turn(struct renewal *r, unsigned *failures)
{
    int64_t lease_s = 0;
    bool renewable = false, refused = false;
    struct err err = { 0 };
    if (r->calls.renew(r->calls.ctx, &lease_s, &renewable, &refused, &err) < 0) {
        if (refused) {
            LOG(&lg, INFO, "unable to renew token, disabling renewal: err=\"%s\"", err.msg);
            return -1;
        }
        if ((*failures)++ == 0)
            LOG(&lg, WARN, "unable to renew token, will try again: err=\"%s\"", err.msg);
        return renewal_retry_ms(*failures, dice());
    }
    if (*failures > 0)
        LOG(&lg, INFO, "token renewed after failures: failures=%u", *failures);
    *failures = 0;
    LOG(&lg, TRACE, "successfully renewed token: lease=%llds", (long long)lease_s);
    if (lease_s > 0 && renewable)
        return renewal_wait_ms(lease_s, dice());
    LOG(&lg, INFO, "shutting down token renewal: %s",
        lease_s > 0 ? "the token is not renewable" : "the token has no end");
    return -1;
}

static void *run(void *ctx)
{
    struct renewal *r = ctx;
    unsigned failures = 0;
    int64_t ms;
    while ((ms = turn(r, &failures)) >= 0 && wait_for(r, ms))
        ;
    return NULL;
}

int renewal_new(const struct renewal_calls *calls, struct renewal **out, struct err *err)
{
    pthread_condattr_t attr;
    struct renewal *r = calloc(1, sizeof *r);
    if (r == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    r->calls = *calls;
    pthread_mutex_init(&r->mu, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&r->wake, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&r->thread, NULL, run, r) != 0) {
        pthread_cond_destroy(&r->wake);
        pthread_mutex_destroy(&r->mu);
        free(r);
        return err_set(err, ERR_INTERNAL, "no thread for renewing the token");
    }
    *out = r;
    return 0;
}

void renewal_free(struct renewal *r)
{
    if (r == NULL)
        return;
    pthread_mutex_lock(&r->mu);
    r->stop = true;
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->mu);
    pthread_join(r->thread, NULL);
    pthread_cond_destroy(&r->wake);
    pthread_mutex_destroy(&r->mu);
    free(r);
}
