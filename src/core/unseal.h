/* Unseal: what people give, and how it opens the root key. */
#ifndef CORE_UNSEAL_H
#define CORE_UNSEAL_H

#include "core/migrate_seal.h"

/* Is it as long as a share can be?  -1: ERR_BAD_REQUEST in the words of sys/unseal. */
int unseal_check_share(struct str share, struct err *err) MUST_USE;
/* Whoever unseals must say "migrate" while a migration is pending, and only then. */
int unseal_check_migrate(enum migration state, bool migrate, struct err *err) MUST_USE;

/*
 * From what the shares made to the root key.  Without a seal that is the key-encryption key; with
 * one that needs nobody it is the recovery key, which is compared, and the seal opens the root key.
 * -1: ERR_DENIED when they are wrong, as seal_decrypt.
 */
int unseal_root_key(struct storage *physical, struct seal *seal, struct str combined,
                    struct secret *root_key, struct err *err) MUST_USE;

#endif
