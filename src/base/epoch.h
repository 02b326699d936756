/*
 * Epoch: readers follow shared pointers without a lock; a writer swaps the pointer and retires the
 * old object, which is released when no reader can still hold it (epoch-based reclamation,
 * Fraser 2004). All of the process shares one epoch domain.
 */
#ifndef BASE_EPOCH_H
#define BASE_EPOCH_H

#include "base/attr.h"

/* Reading starts and ends; nests. Cheap: two stores to the thread's own cache line. */
void epoch_enter(void);
void epoch_leave(void);

/*
 * Release ${object} by ${release} once every thread that is reading now has left. Any thread,
 * inside a reading section too. The call may run releases that have become due.
 */
void epoch_retire(void *object, void (*release)(void *object));

/*
 * Wait until every thread that is reading now has left; must not be called while reading.
 * Objects retired before the call are released when it returns.
 */
void epoch_wait(void);

#endif
