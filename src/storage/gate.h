/*
 * Gate: readers pass with one atomic addition, each finding the handle that an earlier reader of
 * its slot left; on a rare occasion an owner shuts the gate, waits until all are out, and opens it.
 */
#ifndef STORAGE_GATE_H
#define STORAGE_GATE_H

#include "base/attr.h"

struct gate; /* any thread */

/* One passage; lives on the reader's stack. */
struct gate_pass {
    struct gate_slot *slot;
    void *handle; /* what was left here before, now the reader's; NULL: make one */
    unsigned number; /* how many have passed in this lane, this one included */
};

/* ${drop} releases a handle. NULL: out of memory. */
struct gate *gate_new(void (*drop)(void *handle)) MUST_USE;
/* Nobody may be inside. Drops all handles. */
void gate_free(struct gate *g);

/* Waits while the gate is shut. Do not enter twice in one thread. */
void gate_enter(struct gate *g, struct gate_pass *pass);
/* Leaves pass->handle (may be NULL) for the next reader, or drops it. */
void gate_leave(struct gate *g, struct gate_pass *pass);

/* Let nobody in, wait until everybody is out, drop all handles. One owner at a time. */
void gate_shut(struct gate *g);
void gate_open(struct gate *g);

#endif
