/* Commitq: writers queue their batches and wait; one thread takes all that wait at once. */
#ifndef STORAGE_COMMITQ_H
#define STORAGE_COMMITQ_H

#include <semaphore.h>

#include "base/attr.h"
#include "base/err.h"

/* First member of the caller's request, which lives on the waiting thread's stack. */
struct commitq_item {
    struct commitq_item *next;
    struct err *err; /* of the waiting caller; may be NULL */
    int rc;
    sem_t done;
};

struct commitq; /* any thread */

struct commitq *commitq_new(void) MUST_USE;
/* Nobody may wait any more. */
void commitq_free(struct commitq *q);

/* Queue the item and wait until commitq_done; returns its result. */
int commitq_submit(struct commitq *q, struct commitq_item *item, struct err *err) MUST_USE;

/* Wait for items and take all of them, oldest first; NULL once closed and empty. */
struct commitq_item *commitq_take(struct commitq *q);

/* Wake the item's thread with this result; the item is gone afterwards. */
void commitq_done(struct commitq_item *item, int rc);

/* Let commitq_take return NULL when nothing is left. */
void commitq_close(struct commitq *q);

#endif
