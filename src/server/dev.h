/* Dev: "server -dev": a server in memory, initialised and unsealed at once. */
#ifndef SERVER_DEV_H
#define SERVER_DEV_H

#include "server/assemble.h"
#include "server/options.h"

/* The configuration of dev mode, to which files may add. */
int dev_config(const struct options *o, struct config *c, struct arena *a, struct err *err) MUST_USE;

/* Initialise, unseal, make the root token, mount secret/, write ~/.vault-token, tell the person. */
int dev_start(struct assembly *s, const struct options *o, struct err *err) MUST_USE;

#endif
