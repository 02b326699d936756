/* Statsd: one thread that sends what was measured to statsd, statsite or dogstatsd. */
#ifndef SERVER_STATSD_H
#define SERVER_STATSD_H

#include "core/lifecycle.h"
#include "core/telemetry.h"

struct statsd; /* any thread */

/* Addresses are "host:port"; an empty one is left out.  Borrowed. */
struct statsd_targets {
    struct str statsd;    /* UDP */
    struct str statsite;  /* TCP */
    struct str dogstatsd; /* UDP, with tags */
    const struct strs *dogstatsd_tags;
};

/*
 * Send at the end of each interval of the metrics.  ${out} is NULL when there is no target.  What
 * cannot be sent is dropped, and the log says so once until it works again.
 * -1: ERR_BAD_REQUEST for an address without a port, ERR_NOMEM.
 */
int statsd_new(const struct statsd_targets *targets, const struct telemetry *t,
               struct lifecycle *l, struct statsd **out, struct err *err) MUST_USE;
void statsd_free(struct statsd *s);

#endif
