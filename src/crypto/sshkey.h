/* Sshkey: SSH public keys as the wire and authorized_keys hold them (RFC 4253 §6.6, RFC 5656). */
#ifndef CRYPTO_SSHKEY_H
#define CRYPTO_SSHKEY_H

#include "crypto/pkey.h"

enum sshkey_kind {
    SSHKEY_RSA, SSHKEY_DSA, SSHKEY_ECDSA, SSHKEY_ED25519,
    SSHKEY_SK_ECDSA, SSHKEY_SK_ED25519, /* of a security key (FIDO) */
};

/* Lives in the arena that it was made in. */
struct sshkey {
    enum sshkey_kind kind;
    int bits;         /* of the modulus (RSA, DSA) or of the curve; 256 for Ed25519 */
    struct str type;  /* "ssh-rsa", "ecdsa-sha2-nistp256", ... */
    struct str blob;  /* type and numbers, in the one canonical form */
    struct str body;  /* the numbers alone: the end of blob */
};

/*
 * Take a public key's bytes apart and check them.  -1: ERR_BAD_REQUEST for another type, bytes too
 * few or too many, a point that is not on its curve, an RSA exponent that no library takes; Go's
 * texts where it has one.  A certificate is not a key.
 */
int sshkey_parse(struct arena *a, struct str blob, struct sshkey *out, struct err *err) MUST_USE;

/* The public half of a key pair. */
int sshkey_of(struct arena *a, const struct pkey *k, struct sshkey *out, struct err *err) MUST_USE;

/* A line for authorized_keys: type, base64 of the blob, line end. */
struct str sshkey_line(struct arena *a, struct str type, struct str blob);

#endif
