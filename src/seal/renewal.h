/* Renewal: keeps a token of another server alive, from a thread of its own. */
#ifndef SEAL_RENEWAL_H
#define SEAL_RENEWAL_H

#include "base/attr.h"
#include "base/err.h"

struct renewal; /* any thread */

struct renewal_calls {
    /*
     * Renew once.  0: the token lives ${lease_s} seconds from now (0: for ever).  -1: ${refused}
     * when the server said no for good, false when it may be asked again.
     */
    int (*renew)(void *ctx, int64_t *lease_s, bool *renewable, bool *refused, struct err *err);
    void *ctx;
};

/* Renews at once, then each time that two thirds of the lease have passed.  ${ctx} is borrowed. */
int renewal_new(const struct renewal_calls *calls, struct renewal **out, struct err *err) MUST_USE;
/* Waits for a call on its way. NULL is fine. */
void renewal_free(struct renewal *r);

/* Milliseconds until the next try after a success; ${dice} of any value spreads it. */
int64_t renewal_wait_ms(int64_t lease_s, uint32_t dice);
/* The same after ${failures} failures in a row. */
int64_t renewal_retry_ms(unsigned failures, uint32_t dice);

#endif
