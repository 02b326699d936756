/* Keychain: what a store holds of its own keys outside the barrier, as the seal left it there. */
#ifndef CORE_KEYCHAIN_H
#define CORE_KEYCHAIN_H

#include "base/secret.h"
#include "seal/seal.h"

#define KEYCHAIN_CONFIG          STR("core/seal-config")
#define KEYCHAIN_ROOT_KEY        STR("core/hsm/barrier-unseal-keys")
#define KEYCHAIN_RECOVERY_CONFIG STR("core/recovery-config")
#define KEYCHAIN_RECOVERY_KEY    STR("core/recovery-key")
/* Inside the barrier: the key-encryption key of a Shamir seal, and the sign that keys changed. */
#define KEYCHAIN_KEK             STR("core/shamir-kek")
#define KEYCHAIN_CANARY          STR("core/canary-keyring")

/* The seal's configuration: 1, 0 not initialised, -1. */
int keychain_config(struct storage *physical, struct arena *a, struct seal_config *out,
                    struct err *err) MUST_USE;
/*
 * How many people must agree: the seal's configuration when they hold the seal's shares, else that
 * of the recovery key.  1, 0 not initialised, -1.
 */
int keychain_people(struct storage *physical, struct arena *a, struct seal_config *out,
                    struct err *err) MUST_USE;

/* The root key by a key-encryption key. -1: ERR_DENIED when ${kek} is wrong. */
int keychain_open_with_kek(struct storage *physical, struct str kek, struct secret *root_key,
                           struct err *err) MUST_USE;
/* The root key by a seal that needs nobody. -1: ERR_UNINITIALISED, as seal_decrypt. */
int keychain_open_root_key(struct storage *physical, struct seal *seal, struct secret *root_key,
                           struct err *err) MUST_USE;

int keychain_recovery_key(struct storage *physical, struct seal *seal, struct secret *out,
                          struct err *err) MUST_USE;
/* Is it ${key}? -1: ERR_DENIED "recovery key does not match submitted values". */
int keychain_check_recovery_key(struct storage *physical, struct seal *seal, struct str key,
                                struct err *err) MUST_USE;

/* What a seal encrypted, and the same under its newest key. Starts as { 0 }. */
struct keychain_renewed {
    struct str name;
    struct buf before, after; /* after is empty: it is of the newest key already */
};
void keychain_renewed_free(struct keychain_renewed *r);
/* Entry ${name} under the key ${key_id}, which is the newest.  Nothing is written. */
int keychain_renew(struct storage *physical, struct seal *seal, struct str key_id, struct str name,
                   struct keychain_renewed *out, struct err *err) MUST_USE;
/* Write what is still stored as it was read, at most two entries, in one commit. */
int keychain_store_renewed(struct storage *physical, const struct keychain_renewed *renewed,
                           size_t n, struct err *err) MUST_USE;

#endif
