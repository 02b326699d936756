/* Digest: hashes and HMACs with the algorithms fetched once and contexts kept per thread. */
#ifndef CRYPTO_DIGEST_H
#define CRYPTO_DIGEST_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum digest {
    DIGEST_SHA1, DIGEST_SHA224, DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512, DIGEST_MD5,
    DIGEST_SHA3_224, DIGEST_SHA3_256, DIGEST_SHA3_384, DIGEST_SHA3_512,
};

enum { DIGEST_MAX = 64 };

/* Length in bytes. */
size_t digest_len(enum digest d);

/* Any thread. Writes digest_len(d) bytes. -1: ERR_INTERNAL when the algorithm is not there. */
int digest_of(enum digest d, struct str bytes, uint8_t out[DIGEST_MAX], struct err *err) MUST_USE;
int digest_hmac(enum digest d, struct str key, struct str bytes, uint8_t out[DIGEST_MAX],
                struct err *err) MUST_USE;

/* A hash of bytes that come piece by piece.  One thread at a time. */
struct digest_run;
/* -1: ERR_NOMEM, ERR_INTERNAL when the algorithm is not there. */
int digest_run_new(enum digest d, struct digest_run **out, struct err *err) MUST_USE;
int digest_run_add(struct digest_run *r, struct str bytes, struct err *err) MUST_USE;
/* Writes digest_len(d) bytes; nothing may be added any more. */
int digest_run_end(struct digest_run *r, uint8_t out[DIGEST_MAX], struct err *err) MUST_USE;
void digest_run_free(struct digest_run *r);
/* For AUTO(digest_run_drop) struct digest_run *r = NULL. */
void digest_run_drop(struct digest_run **r);

/* HKDF (RFC 5869) with SHA-256; an empty salt is none. */
int digest_hkdf(struct str key, struct str salt, struct str info, uint8_t *out, size_t n,
                struct err *err) MUST_USE;

#endif
