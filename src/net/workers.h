/* Workers: threads for work that may block; as many as are needed at once, up to a limit. */
#ifndef NET_WORKERS_H
#define NET_WORKERS_H

#include "base/err.h"

struct workers; /* any thread */

/* A piece of work; part of something larger that stays alive until ${run} is entered. */
struct job {
    struct job *next;
    void (*run)(struct job *j);
};

/* At most ${max} threads; none is started yet.  NULL: out of memory. */
struct workers *workers_new(int max) MUST_USE;
/* Run what is queued to its end, then end all threads. */
void workers_free(struct workers *w);

/* Run the job on a thread of the pool; with all of them busy it waits its turn. */
void workers_submit(struct workers *w, struct job *j);

#endif
