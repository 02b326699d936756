/* Tools: random bytes and hashes for clients, of sys/tools and of transit alike. */
#ifndef LOGICAL_TOOLS_H
#define LOGICAL_TOOLS_H

#include "logical/field.h"
#include "logical/response.h"

/* Fields of the two; the routes' patterns are "random(/{urlbytes})" and "hash(/{urlalgorithm})". */
extern const struct field tools_random_fields[3];
extern const struct field tools_hash_fields[4];

/* Handlers: route_fn.  They touch no store. */
int tools_random(struct request *req, struct response *resp);
int tools_hash(struct request *req, struct response *resp);

#endif
