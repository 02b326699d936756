/* Ca: the key that signs certificates. */
#ifndef ENGINES_SSH_CA_H
#define ENGINES_SSH_CA_H

#include "crypto/pkey.h"
#include "logical/request.h"

/* Load the CA's key; ${out} is the caller's. -1: ERR_INTERNAL with Vault's text when there is none. */
int ca_load(struct request *req, struct pkey **out) MUST_USE;

#endif
