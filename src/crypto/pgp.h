/* Pgp: encrypt a share to somebody's OpenPGP public key (RFC 4880). */
#ifndef CRYPTO_PGP_H
#define CRYPTO_PGP_H

#include "base/arena.h"
#include "base/err.h"

/*
 * ${key_base64}: a public key, binary, in base64 as Vault's API takes it.  ${out} gets the binary
 * OpenPGP message, ${fingerprint} the primary key's 40 hex digits in lower case; both in ${a}.
 * -1: as pgp_check.  Any thread; the first call loads the library.
 */
int pgp_encrypt(struct arena *a, struct str key_base64, struct str plain, struct str *out,
                struct str *fingerprint, struct err *err) MUST_USE;

/*
 * Can shares be encrypted to this key? -1: ERR_BAD_REQUEST with Vault's text; ERR_INTERNAL when
 * the OpenPGP library is not installed.
 */
int pgp_check(struct str key_base64, struct err *err) MUST_USE;

#endif
