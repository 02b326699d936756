/* Help: what path-help answers, made from an engine's route table. */
#ifndef LOGICAL_HELP_H
#define LOGICAL_HELP_H

#include "logical/engine.h"

/*
 * Help on the route that ${req} matched, or on the whole engine for its root path.  1; 0 when the
 * path matches no route.
 */
int help_answer(struct request *req, const struct engine *engine, struct response *resp);

#endif
