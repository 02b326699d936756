/* Housekeeping: what comes round about once a minute while unsealed. */
#ifndef CORE_HOUSEKEEPING_H
#define CORE_HOUSEKEEPING_H

#include "core/active.h"

struct housekeeping; /* owns one thread */

int housekeeping_new(const struct active *on, struct housekeeping **out, struct err *err) MUST_USE;
/* Waits for what it is doing. */
void housekeeping_free(struct housekeeping *h);

#endif
