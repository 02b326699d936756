/* The queue of a group commit. */
#include "storage/commitq.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct commitq {
    pthread_mutex_t mu;
    pthread_cond_t filled;
    struct commitq_item *first, **end; /* under mu, as all below */
    bool closed;
};

struct commitq *commitq_new(void)
{
    struct commitq *q = calloc(1, sizeof *q);
    if (q == NULL)
        return NULL;
    pthread_mutex_init(&q->mu, NULL);
    pthread_cond_init(&q->filled, NULL);
    q->end = &q->first;
    return q;
}

void commitq_free(struct commitq *q)
{
    if (q == NULL)
        return;
    pthread_cond_destroy(&q->filled);
    pthread_mutex_destroy(&q->mu);
    free(q);
}

int commitq_submit(struct commitq *q, struct commitq_item *item, struct err *err)
{
    item->next = NULL;
    item->err = err;
    if (sem_init(&item->done, 0, 0) < 0)
        return err_set(err, ERR_INTERNAL, "semaphore: %s", strerror(errno));
    pthread_mutex_lock(&q->mu);
    bool first = q->first == NULL;
    *q->end = item;
    q->end = &item->next;
    if (first)
        pthread_cond_signal(&q->filled);
    pthread_mutex_unlock(&q->mu);
    while (sem_wait(&item->done) < 0)
        ; /* EINTR */
    sem_destroy(&item->done);
    return item->rc;
}

struct commitq_item *commitq_take(struct commitq *q)
{
    pthread_mutex_lock(&q->mu);
    while (q->first == NULL && !q->closed)
        pthread_cond_wait(&q->filled, &q->mu);
    struct commitq_item *all = q->first;
    q->first = NULL;
    q->end = &q->first;
    pthread_mutex_unlock(&q->mu);
    return all;
}

void commitq_done(struct commitq_item *item, int rc)
{
    item->rc = rc;
    sem_post(&item->done);
}

void commitq_close(struct commitq *q)
{
    pthread_mutex_lock(&q->mu);
    q->closed = true;
    pthread_cond_signal(&q->filled);
    pthread_mutex_unlock(&q->mu);
}
