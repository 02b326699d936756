/* Kdf: derivation in counter mode (NIST SP 800-108) with HMAC-SHA256, for Vault's oldest keys. */
#ifndef CRYPTO_KDF_H
#define CRYPTO_KDF_H

#include "base/err.h"
#include "base/str.h"

enum { KDF_LEN = 32 };

/*
 * One block of output: HMAC-SHA256(key, 0 || context || 256), both numbers 32-bit big endian.
 * Vault counts blocks from 0.  Keys of kdf 1 come from digest_hkdf.  Any thread.
 */
int kdf_counter(struct str key, struct str context, uint8_t out[KDF_LEN], struct err *err) MUST_USE;

#endif
