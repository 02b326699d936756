/*
 * Seal: how the root key comes and goes.  It stores the root key encrypted
 * (core/hsm/barrier-unseal-keys) and knows how many people or which server must agree.
 */
#ifndef SEAL_SEAL_H
#define SEAL_SEAL_H

#include "base/buf.h"
#include "base/secret.h"
#include "base/strs.h"
#include "storage/storage.h"

/* core/seal-config or core/recovery-config, as storage-layout.md section 3 has it. */
struct seal_config {
    struct str type;          /* "shamir", "transit" */
    int64_t shares, threshold, stored_shares;
    struct strs pgp_keys;     /* base64 */
    struct str nonce;
    bool backup;
    bool verification_required; /* rekey only; not stored */
};

/* Text as JSON and back, in ${a}. -1: ERR_CORRUPT. */
int seal_config_parse(struct arena *a, struct str text, struct seal_config *out,
                      struct err *err) MUST_USE;
struct str seal_config_print(struct arena *a, const struct seal_config *c);
/* Load from ${physical} key ${key}: 1, 0, -1. */
int seal_config_load(struct storage *physical, struct arena *a, struct str key,
                     struct seal_config *out, struct err *err) MUST_USE;

/*
 * Vault's rules with Vault's texts ("threshold cannot be larger than shares", ...).
 * -1: ERR_BAD_REQUEST.
 */
int seal_config_check(const struct seal_config *c, struct err *err) MUST_USE;

/*
 * Encrypt ${text} under the key-encryption key into an EncryptedBlobInfo, appended: what a Shamir
 * seal does for core/hsm/barrier-unseal-keys, core/recovery-key and a snapshot's checksums.
 * -1: ERR_DENIED when the key's length is wrong.
 */
int seal_encrypt(struct str kek, struct str text, struct buf *out, struct err *err) MUST_USE;
/* The reverse. -1: ERR_DENIED when the key is wrong, ERR_CORRUPT when the entry is. */
int seal_decrypt(struct str kek, struct str entry, struct buf *out, struct err *err) MUST_USE;

/* The root key as its entry core/hsm/barrier-unseal-keys, appended. -1: as seal_encrypt. */
int seal_wrap_root_key(struct str kek, struct str root_key, struct buf *out,
                       struct err *err) MUST_USE;
/* The reverse. -1: ERR_DENIED when the key is wrong, ERR_CORRUPT when the entry is. */
int seal_unwrap_root_key(struct str kek, struct str entry, struct secret *root_key,
                         struct err *err) MUST_USE;

#endif
