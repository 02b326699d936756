/* Cipher: encryption and decryption with a named key; knows no request. */
#ifndef ENGINES_TRANSIT_CIPHER_H
#define ENGINES_TRANSIT_CIPHER_H

#include "engines/transit/key.h"

/* Decoded; empty where not given. */
struct transit_aux {
    struct str context, nonce;
};

/*
 * All: the texts are Vault's.  ERR_BAD_REQUEST is the client's fault (in a batch: of one item),
 * anything else fails the whole request.  What is written lives in the arena.
 */

/* May the version encrypt or sign? 0 is the latest, and is filled in. ${what}: "encryption". */
int transit_cipher_pick(const struct transit_key *k, const char *what, int64_t *version,
                        struct err *err) MUST_USE;

/* ${version} as transit_cipher_pick filled it in. */
int transit_cipher_encrypt(struct arena *a, const struct transit_key *k, int64_t version,
                           const struct transit_aux *aux, struct str plaintext, struct str *out,
                           struct err *err) MUST_USE;

int transit_cipher_decrypt(struct arena *a, const struct transit_key *k,
                           const struct transit_aux *aux, struct str text, struct str *plaintext,
                           struct err *err) MUST_USE;

/* Take apart "vault:v3:..."; ${noun} is "ciphertext" or "signature" in the texts. */
int transit_cipher_split(const struct transit_key *k, const char *noun, struct str text,
                         int64_t *version, struct str *rest, struct err *err) MUST_USE;

/* May the version decrypt or verify: is it neither too new nor below min_decryption_version? */
int transit_cipher_allowed(const struct transit_key *k, const char *noun, int64_t version,
                           struct err *err) MUST_USE;

/* "vault:v3:" and the text. */
struct str transit_cipher_join(struct arena *a, const struct transit_key *k, int64_t version,
                               struct str text);

#endif
