/* Bcrypt: password hashes as Vault stores them ("$2a$10$..."). */
#ifndef AUTH_BCRYPT_H
#define AUTH_BCRYPT_H

#include "base/arena.h"

/* A hash with a new salt at Vault's cost of 10, in ${a}. Takes some 50 ms. */
int bcrypt_hash(struct arena *a, struct str password, struct str *out, struct err *err) MUST_USE;

/*
 * Is it the password of the hash ($2a, $2b or $2y)?  As long for a wrong one as for the right one;
 * a hash that is none is never matched, at once.
 */
bool bcrypt_verify(struct str hash, struct str password);

/* Takes as long as verifying, for users that do not exist. */
void bcrypt_pretend(struct str password);

#endif
