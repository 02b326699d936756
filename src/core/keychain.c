/* What the store holds of its own keys, outside the barrier. */
#include "core/keychain.h"

int keychain_config(struct storage *physical, struct arena *a, struct seal_config *out,
                    struct err *err)
{
    return seal_config_load(physical, a, KEYCHAIN_CONFIG, out, err);
}

int keychain_open_root_key(struct storage *physical, struct str kek, struct secret *root_key,
                           struct err *err)
{
    AUTO(buf_free) struct buf entry = { 0 };
    int found = storage_get(physical, KEYCHAIN_ROOT_KEY, &entry, err);
    if (found < 0)
        return -1;
    /* Stores from before 1.3 have no such entry: the combined key is the root key. */
    if (found == 0)
        return secret_set(root_key, kek, err);
    if (seal_unwrap_root_key(kek, buf_str(&entry), root_key, err) < 0)
        return err_set(err, err->code == ERR_DENIED ? ERR_DENIED : err->code,
                       "unable to retrieve stored keys: failed to encrypt keys for storage: "
                       "cipher: message authentication failed");
    return 0;
}
