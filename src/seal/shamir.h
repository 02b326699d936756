/* Shamir: the seal whose key people hold in shares; it lives as long as the key is at hand. */
#ifndef SEAL_SHAMIR_H
#define SEAL_SHAMIR_H

#include "seal/seal.h"

/*
 * With the key-encryption key that shares made; copied.
 * -1: ERR_DENIED when its length is wrong.
 */
int seal_shamir_new(struct str kek, struct seal **out, struct err *err) MUST_USE;

#endif
