/* Aead: authenticated encryption with the keyed context kept, so that a call costs one pass. */
#ifndef CRYPTO_AEAD_H
#define CRYPTO_AEAD_H

#include "base/buf.h"
#include "base/err.h"

enum aead_kind { AEAD_AES128_GCM, AEAD_AES256_GCM, AEAD_CHACHA20_POLY1305 };

enum { AEAD_NONCE = 12, AEAD_TAG = 16 };

struct aead; /* a key, ready for use; any thread: contexts inside are per thread or pooled */

/* ${key} is copied into locked memory. -1: ERR_INTERNAL on a key of the wrong length. */
int aead_new(enum aead_kind kind, struct str key, struct aead **out, struct err *err) MUST_USE;
/* Wipe and release; NULL is fine. */
void aead_free(struct aead *a);

/* Append ciphertext and tag (text.n + 16 bytes). */
int aead_seal(struct aead *a, const uint8_t nonce[AEAD_NONCE], struct str aad, struct str text,
              struct buf *out, struct err *err) MUST_USE;
/* Append the text; -1: ERR_CORRUPT when it does not authenticate, and nothing is appended. */
int aead_open(struct aead *a, const uint8_t nonce[AEAD_NONCE], struct str aad, struct str sealed,
              struct buf *out, struct err *err) MUST_USE;

#endif
