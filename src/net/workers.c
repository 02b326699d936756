/* A pool of threads that grows with the work and shrinks when idle. */
#include "net/workers.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

enum { STACK_BYTES = 256 * 1024, IDLE_S = 10 };

/*
 * One thread is woken (or made) at a time; when it has taken its job it wakes the next if more
 * wait.  So a burst of short jobs costs few wake-ups, and none waits while a thread is to be had.
 */
struct workers {
    int max;
    pthread_mutex_t mu; /* all below */
    pthread_cond_t work, ended;
    struct job *first, **last;
    int threads, idle;
    bool waking; /* a thread is on its way to the queue */
    bool closing;
};

struct workers *workers_new(int max)
{
    struct workers *w = calloc(1, sizeof *w);
    if (w == NULL)
        return NULL;
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_mutex_init(&w->mu, NULL);
    pthread_cond_init(&w->work, &mono);
    pthread_cond_init(&w->ended, NULL);
    pthread_condattr_destroy(&mono);
    w->max = max;
    w->last = &w->first;
    return w;
}

static void *worker_main(void *arg);

/* One thread more. Under mu. */
static bool spawn(struct workers *w)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, before;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&thread, &attr, worker_main, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (rc == 0)
        w->threads++;
    return rc == 0;
}

/* Have a thread come for what is queued, if one can be had and none is coming. Under mu. */
static void wake_one(struct workers *w)
{
    if (w->first == NULL || w->waking)
        return;
    if (w->idle > 0) {
        w->waking = true;
        pthread_cond_signal(&w->work);
    } else if (w->threads < w->max) {
        w->waking = spawn(w);
    }
}

static struct job *take_first(struct workers *w)
{
    struct job *j = w->first;
    w->first = j->next;
    if (w->first == NULL)
        w->last = &w->first;
    return j;
}

/* Wait for a job; NULL: none came for long, or the pool closes. Under mu. */
static struct job *next_job(struct workers *w)
{
    struct timespec until = { 0, 0 };
    while (w->first == NULL) {
        if (w->closing)
            return NULL;
        if (until.tv_sec == 0) {
            clock_gettime(CLOCK_MONOTONIC, &until);
            until.tv_sec += IDLE_S;
        }
        w->idle++;
        int rc = pthread_cond_timedwait(&w->work, &w->mu, &until);
        w->idle--;
        w->waking = false;
        if (rc == ETIMEDOUT && w->first == NULL)
            return NULL;
    }
    struct job *j = take_first(w);
    wake_one(w);
    return j;
}

static void *worker_main(void *arg)
{
    struct workers *w = arg;
    pthread_mutex_lock(&w->mu);
    w->waking = false;
    for (struct job *j = next_job(w); j != NULL; j = next_job(w)) {
        pthread_mutex_unlock(&w->mu);
        j->run(j);
        pthread_mutex_lock(&w->mu);
    }
    if (--w->threads == 0)
        pthread_cond_signal(&w->ended);
    pthread_mutex_unlock(&w->mu);
    return NULL;
}

void workers_submit(struct workers *w, struct job *j)
{
    j->next = NULL;
    pthread_mutex_lock(&w->mu);
    *w->last = j;
    w->last = &j->next;
    wake_one(w);
    /* No thread can be had at all: better slow than never. */
    struct job *mine = w->threads == 0 ? take_first(w) : NULL;
    pthread_mutex_unlock(&w->mu);
    if (mine != NULL)
        mine->run(mine);
}

void workers_free(struct workers *w)
{
    if (w == NULL)
        return;
    pthread_mutex_lock(&w->mu);
    w->closing = true;
    pthread_cond_broadcast(&w->work);
    while (w->threads > 0)
        pthread_cond_wait(&w->ended, &w->mu);
    pthread_mutex_unlock(&w->mu);
    pthread_cond_destroy(&w->work);
    pthread_cond_destroy(&w->ended);
    pthread_mutex_destroy(&w->mu);
    free(w);
}
