/* Pkey: an asymmetric key pair; made, taken from numbers, written as PEM, and RSA encryption. */
#ifndef CRYPTO_PKEY_H
#define CRYPTO_PKEY_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum pkey_kind { PKEY_ED25519, PKEY_P256, PKEY_P384, PKEY_P521, PKEY_RSA };

enum { PKEY_ED25519_SEED = 32, PKEY_ED25519_PUBLIC = 32 };

struct evp_pkey_st; /* OpenSSL's EVP_PKEY */
struct pkey; /* a private key with its public half; immutable, any thread */

/* Whole numbers as decimal text. */
struct pkey_ec {
    struct str x, y, d;
};

/* dp, dq and qinv may be empty: they follow from the primes. */
struct pkey_rsa {
    struct str n, e, d, p, q, dp, dq, qinv;
};

/* Make a new key; ${rsa_bits} counts for PKEY_RSA only, which takes long (0.1 s to seconds). */
int pkey_generate(enum pkey_kind kind, int rsa_bits, struct pkey **out, struct err *err) MUST_USE;

/* -1: ERR_CORRUPT when the numbers are no key of that kind. */
int pkey_from_ed25519(struct str seed, struct pkey **out, struct err *err) MUST_USE;
int pkey_from_ec(enum pkey_kind kind, const struct pkey_ec *numbers, struct pkey **out,
                 struct err *err) MUST_USE;
int pkey_from_rsa(const struct pkey_rsa *numbers, struct pkey **out, struct err *err) MUST_USE;

/*
 * OpenSSL's EVP_PKEY with both halves, taken over also on failure: for other modules of crypto.
 * -1: ERR_BAD_REQUEST when it is of a kind or on a curve that is not among ours.
 */
int pkey_take_evp(struct evp_pkey_st *evp, struct pkey **out, struct err *err) MUST_USE;

/* NULL is fine. */
void pkey_free(struct pkey *k);
void pkey_drop(struct pkey **k); /* for AUTO */

enum pkey_kind pkey_kind(const struct pkey *k);
/* Length of the modulus, or of a coordinate, in bytes. */
size_t pkey_size(const struct pkey *k);

/* The numbers again, in the arena. -1: ERR_INTERNAL for a key of another kind. */
int pkey_ec_numbers(const struct pkey *k, struct arena *a, struct pkey_ec *out,
                    struct err *err) MUST_USE;
int pkey_rsa_numbers(const struct pkey *k, struct arena *a, struct pkey_rsa *out,
                     struct err *err) MUST_USE;
/* Seed and public key, as Go keeps an Ed25519 key: 64 bytes. */
int pkey_ed25519_bytes(const struct pkey *k, uint8_t out[64], struct err *err) MUST_USE;

/* Append "PUBLIC KEY" (PKIX). */
int pkey_public_pem(const struct pkey *k, struct buf *out, struct err *err) MUST_USE;
/* Append "RSA PRIVATE KEY" (PKCS 1) or "EC PRIVATE KEY" (RFC 5915). -1: ERR_INTERNAL for others. */
int pkey_private_pem(const struct pkey *k, struct buf *out, struct err *err) MUST_USE;

/*
 * RSA-OAEP with SHA-256 and an empty label (RFC 8017 §7.1), appended.  The texts are Go's.
 * seal -1: ERR_INTERNAL when the text is too long for the key; open -1: ERR_CORRUPT when the
 * bytes do not open, without a word on why.
 */
int pkey_rsa_seal(const struct pkey *k, struct str text, struct buf *out, struct err *err) MUST_USE;
int pkey_rsa_open(const struct pkey *k, struct str sealed, struct buf *out,
                  struct err *err) MUST_USE;

/* OpenSSL's EVP_PKEY, borrowed: for other modules of crypto. */
struct evp_pkey_st *pkey_evp(const struct pkey *k);

#endif
