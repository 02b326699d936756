/* Address: which IP addresses a role serves, and the roles that serve all of them. */
#ifndef ENGINES_SSH_ADDRESS_H
#define ENGINES_SSH_ADDRESS_H

#include "base/keylock.h"
#include "engines/ssh/role.h"

/* The address in its usual form, in the arena; false when it is none. */
bool address_parse(struct arena *a, struct str text, struct str *out) MUST_USE;

/* Is this list of blocks, split by commas, well formed? -1: ERR_INTERNAL, as Go's parser. */
int address_check(struct request *req, struct str blocks) MUST_USE;

/*
 * May a credential of the role be made for ${ip}, a result of address_parse?
 * -1: ERR_BAD_REQUEST with Vault's text.
 */
int address_allowed(struct request *req, struct str role_name, const struct role *role,
                    struct str ip) MUST_USE;

/*
 * The change that takes a role off the list of those that serve all addresses; ${hold} keeps other
 * writers of the list away until it is released.  1: ${op} is filled; 0: there is no list.
 */
int address_without(struct request *req, struct str role_name, struct keyhold *hold,
                    struct storage_op *op) MUST_USE;

#endif
