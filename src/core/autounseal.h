/* Autounseal: the thread that opens a store by its seal, tries again, and renews stored keys. */
#ifndef CORE_AUTOUNSEAL_H
#define CORE_AUTOUNSEAL_H

#include "base/attr.h"
#include "base/err.h"

struct autounseal; /* any thread */

struct autounseal_calls {
    /* Open the store; -1 is tried again, but for ERR_UNINITIALISED and ERR_CONFLICT. */
    int (*unseal)(void *ctx, struct err *err);
    /* After it became active: bring what the seal encrypted up to its newest key. */
    int (*renew)(void *ctx, struct err *err);
    void *ctx;
};

/* The thread does nothing before it is woken.  ${ctx} is borrowed. */
int autounseal_new(const struct autounseal_calls *calls, struct autounseal **out,
                   struct err *err) MUST_USE;
/* Waits for a call on its way; no lock may be held that the calls take. NULL is fine. */
void autounseal_free(struct autounseal *a);

/* From now on, until it succeeded. All three: NULL is fine. */
void autounseal_wake(struct autounseal *a);
/* No more tries: somebody sealed by hand. */
void autounseal_hold(struct autounseal *a);
void autounseal_became_active(struct autounseal *a);

/* Milliseconds before the next try after ${failures} failures; ${dice} of any value spreads it. */
int64_t autounseal_wait_ms(unsigned failures, uint32_t dice);

#endif
