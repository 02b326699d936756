/* Vault's rules of unsealing by shares, and from what they make to the root key. */
#include "core/unseal.h"

#include "core/keychain.h"

enum { SHARE_MIN = 16, SHARE_MAX = 33 };

int unseal_check_share(struct str share, struct err *err)
{
    if (share.n < SHARE_MIN)
        return err_set(err, ERR_BAD_REQUEST,
                       "invalid key: key is shorter than minimum %d bytes", SHARE_MIN);
    if (share.n > SHARE_MAX)
        return err_set(err, ERR_BAD_REQUEST, "invalid key: key is longer than maximum %d bytes",
                       SHARE_MAX);
    return 0;
}

int unseal_check_migrate(enum migration state, bool migrate, struct err *err)
{
    if (migrate && state == MIGRATION_NONE)
        return err_set(err, ERR_INTERNAL,
                       "can't perform a seal migration, no migration seal found");
    if (!migrate && state == MIGRATION_PENDING)
        return err_set(err, ERR_INTERNAL,
                       "migrate option not provided and seal migration is pending");
    return 0;
}

int unseal_root_key(struct storage *physical, struct seal *seal, struct str combined,
                    struct secret *root_key, struct err *err)
{
    if (seal == NULL)
        return keychain_open_with_kek(physical, combined, root_key, err);
    TRY(keychain_check_recovery_key(physical, seal, combined, err));
    if (keychain_open_root_key(physical, seal, root_key, err) < 0)
        return err_prefix(err, "unable to retrieve stored keys");
    return 0;
}
