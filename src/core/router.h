/* Router: from a request's path to the mount, and the route in it, that will answer. */
#ifndef CORE_ROUTER_H
#define CORE_ROUTER_H

#include "core/active.h"

/* Stage 5: fill in the mount's part of the request; within an epoch section. */
void router_find(const struct active *on, struct request *req);

/* Why nobody answers: "no handler for route 'x'"; -1. */
int router_refuse(struct request *req);

#endif
