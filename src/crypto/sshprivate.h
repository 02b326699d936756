/* Sshprivate: private keys in the forms that ssh-keygen and openssl write. */
#ifndef CRYPTO_SSHPRIVATE_H
#define CRYPTO_SSHPRIVATE_H

#include "crypto/pkey.h"

/*
 * The key in a PEM text: "OPENSSH PRIVATE KEY" (OpenSSH's PROTOCOL.key), "RSA PRIVATE KEY",
 * "EC PRIVATE KEY" or "PRIVATE KEY".  RSA, the three NIST curves, Ed25519.  The arena gets the
 * numbers on the way and must be one that wipes them soon.
 * -1: ERR_BAD_REQUEST when there is no key, it is protected by a passphrase, or of another kind;
 * Go's texts where it has one.
 */
int sshprivate_parse(struct arena *a, struct str text, struct pkey **out,
                     struct err *err) MUST_USE;

/*
 * Do the halves of a foreign key belong together?  A wrong pair would sign what its own public key
 * does not verify.  May take a tenth of a second.  -1: ERR_BAD_REQUEST.
 */
int sshprivate_check(const struct pkey *k, struct err *err) MUST_USE;

#endif
