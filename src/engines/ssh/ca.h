/* Ca: the key that signs certificates. */
#ifndef ENGINES_SSH_CA_H
#define ENGINES_SSH_CA_H

#include "crypto/pkey.h"
#include "logical/request.h"

/*
 * Load the CA's key; ${out} is the caller's.  -1: req->err, ERR_INTERNAL when there is none,
 * ERR_CORRUPT when it does not parse; Vault's texts.
 */
int ca_load(struct request *req, struct pkey **out) MUST_USE;

#endif
