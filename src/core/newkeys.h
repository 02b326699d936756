/* Newkeys: another root key, key-encryption key or recovery key for an open store. */
#ifndef CORE_NEWKEYS_H
#define CORE_NEWKEYS_H

#include "barrier/barrier.h"
#include "core/keychain.h"

/*
 * Each is one commit: at every moment either the old keys open the store or the new ones.  The
 * caller sees to it that the barrier stays open, and that one runs at a time.  ${config} says
 * shares, threshold, PGP keys, nonce and backup.
 */

/* A fresh root key under ${kek}, which people hold in shares. */
int newkeys_shamir(struct barrier *b, struct str kek, const struct seal_config *config,
                   struct err *err) MUST_USE;
/* A fresh root key under a seal that needs nobody. */
int newkeys_stored(struct barrier *b, struct seal *seal, const struct seal_config *config,
                   struct err *err) MUST_USE;
/* ${key} as the recovery key. */
int newkeys_recovery(struct barrier *b, struct seal *seal, struct str key,
                     const struct seal_config *config, struct err *err) MUST_USE;

/* ---- from one seal to another, in the way that Vault does ---- */

/*
 * From shares to ${to}: a fresh root key; what the shares made, ${kek}, becomes the recovery key,
 * so that the same people agree.
 */
int newkeys_from_shares(struct barrier *b, struct storage *physical, struct str kek,
                        struct seal *to, struct err *err) MUST_USE;
/* From a seal that needs nobody to shares: the recovery key becomes the key-encryption key of a
 * fresh root key. */
int newkeys_to_shares(struct barrier *b, struct storage *physical, struct str recovery_key,
                      struct err *err) MUST_USE;
/* From one seal that needs nobody to another, with a fresh root key too. */
int newkeys_to_seal(struct barrier *b, struct storage *physical, struct str recovery_key,
                    struct seal *to, struct err *err) MUST_USE;

#endif
