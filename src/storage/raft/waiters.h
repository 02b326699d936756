/*
 * Waiters: who waits for an entry's outcome: queued until the leader makes an entry of all that
 * wait, then in flight until the entry of that index is applied, ours or another's.
 */
#ifndef STORAGE_RAFT_WAITERS_H
#define STORAGE_RAFT_WAITERS_H

#include <semaphore.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"

/* Lives on the waiting thread's stack. */
struct waiter {
    struct waiter *next;
    struct str payload; /* batches; borrowed */
    uint64_t index;     /* of its entry, once in flight */
    struct err *err;    /* of the waiting caller; may be NULL */
    int rc;
    sem_t done;
};

struct waiters; /* any thread */

struct waiters *waiters_new(void) MUST_USE;
/* Nobody may wait any more. */
void waiters_free(struct waiters *w);

/* Prepare; then queue it here, or have it put in flight with an entry of its own. */
void waiters_init(struct waiter *x, struct str payload, struct err *err);
/* Queue; true when the queue was empty, so that the leader must be woken. */
bool waiters_queue(struct waiters *w, struct waiter *x);
/* Wait for the outcome: 0, or -1 as told. */
int waiters_wait(struct waiter *x);

/* Take the oldest, up to ${max} bytes of payloads but one at least; NULL: none. */
struct waiter *waiters_take(struct waiters *w, size_t max);
bool waiters_queued(struct waiters *w);
/* They wait for that entry. */
void waiters_fly(struct waiters *w, struct waiter *list, uint64_t index, uint64_t term);
size_t waiters_flying(struct waiters *w); /* entries */
bool waiters_waits(struct waiters *w, uint64_t index, uint64_t term);

/* The entry of that index was of that term: those who wait for it learn whether it was theirs. */
void waiters_decided(struct waiters *w, uint64_t index, uint64_t term);
/* All up to ${index} is decided, but how cannot be told any more (a snapshot came instead). */
void waiters_skipped(struct waiters *w, uint64_t index);
/* Fail a list, all that are queued, all in flight. */
void waiters_fail(struct waiter *list, enum err_code code, const char *text);
void waiters_fail_queued(struct waiters *w, enum err_code code, const char *text);
void waiters_fail_flying(struct waiters *w, enum err_code code, const char *text);

#endif
