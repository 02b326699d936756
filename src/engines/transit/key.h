/* Key: a named key ready for use; every version parsed once, immutable, shared by readers. */
#ifndef ENGINES_TRANSIT_KEY_H
#define ENGINES_TRANSIT_KEY_H

#include "base/secret.h"
#include "codec/json.h"
#include "engines/transit/type.h"

enum transit_kdf { TRANSIT_KDF_COUNTER = 0, TRANSIT_KDF_HKDF = 1 };

struct transit_version {
    int64_t number;
    struct secret key;      /* symmetric keys, and 64 bytes of Ed25519 */
    struct secret hmac_key; /* empty when the version has none */
    struct aead *aead;      /* symmetric keys that are not derived, else NULL */
    struct pkey *pkey;      /* asymmetric keys, else NULL */
    int64_t convergent;     /* scheme of convergent encryption; 0: the key's */
    int64_t created_s;
    struct str created;     /* RFC 3339 as stored, empty when it was not */
    struct str public_key;  /* as stored; empty for RSA */
};

/* When a key was backed up or restored; empty time: never. */
struct transit_event {
    struct str time;
    int64_t version;
};

/* Immutable after transit_key_new. Versions rise; numbers below the first are archived. */
struct transit_key {
    struct str name;
    enum transit_type type;
    const struct transit_type_info *info;
    bool derived, convergent, exportable, deletion_allowed, plaintext_backup;
    int64_t kdf, convergent_version;
    int64_t min_decryption, min_encryption, min_available, latest;
    struct transit_event backup, restore;
    struct str before, after; /* of a version in a ciphertext: "vault:v" and ":" */
    struct transit_version *versions;
    size_t n_versions;
};

/* From a stored record (see record.h). -1: ERR_CORRUPT when something does not fit. */
int transit_key_new(struct arena *a, const struct json *record, struct transit_key **out,
                    struct err *err) MUST_USE;
/* Wipes; takes void * for epoch_retire. NULL is fine. */
void transit_key_free(void *key);

/* NULL when the version is archived or does not exist. */
const struct transit_version *transit_key_version(const struct transit_key *k, int64_t number);

/* Which convergent scheme a version encrypts by; 0: none. */
int64_t transit_key_convergent(const struct transit_key *k, const struct transit_version *v);

/*
 * ${n} key bytes for a context (kdf 0 gives 32 at most). -1: ERR_BAD_REQUEST with Vault's text
 * when the context is missing or the type derives nothing.
 */
int transit_key_derive(const struct transit_key *k, const struct transit_version *v,
                       struct str context, struct secret *out, size_t n, struct err *err) MUST_USE;

#endif
