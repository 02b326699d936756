/* Sign: signatures with Ed25519, ECDSA and RSA keys, and their verification. */
#ifndef CRYPTO_SIGN_H
#define CRYPTO_SIGN_H

#include "crypto/digest.h"
#include "crypto/pkey.h"

enum sign_padding { SIGN_PSS, SIGN_PKCS1V15 };

/* What the kind of key leaves open. */
struct sign_how {
    enum digest digest;        /* RSA: with which the input was hashed */
    enum sign_padding padding; /* RSA */
    bool raw;                  /* ECDSA: r || s of the curve's length each (JWS), not ASN.1 */
};

/*
 * Append a signature of ${input}: the message for Ed25519; its hash for ECDSA (of any length, cut
 * on the right as FIPS 186-4 says) and RSA.  A PSS salt is as long as fits, as Go's
 * PSSSaltLengthAuto.  Any thread; a 4096-bit RSA key takes milliseconds.
 * -1: ERR_INTERNAL, when the hash has the wrong length too, with Go's text.
 */
int sign_make(const struct pkey *k, const struct sign_how *how, struct str input, struct buf *out,
              struct err *err) MUST_USE;

/*
 * 1: a good signature; 0: not.  -1: ERR_BAD_REQUEST when an ECDSA signature is not ASN.1, with
 * Vault's text.  PSS takes any length of salt.
 */
int sign_check(const struct pkey *k, const struct sign_how *how, struct str input, struct str sig,
               struct err *err) MUST_USE;

#endif
