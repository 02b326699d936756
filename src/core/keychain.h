/* Keychain: what a store holds of its own keys outside the barrier, as the seal left it there. */
#ifndef CORE_KEYCHAIN_H
#define CORE_KEYCHAIN_H

#include "base/secret.h"
#include "seal/seal.h"

#define KEYCHAIN_CONFIG   STR("core/seal-config")
#define KEYCHAIN_ROOT_KEY STR("core/hsm/barrier-unseal-keys")

/* The seal's configuration: 1, 0 not initialised, -1. */
int keychain_config(struct storage *physical, struct arena *a, struct seal_config *out,
                    struct err *err) MUST_USE;
/* The root key under the key-encryption key. -1: ERR_DENIED when ${kek} is wrong. */
int keychain_open_root_key(struct storage *physical, struct str kek, struct secret *root_key,
                           struct err *err) MUST_USE;

#endif
