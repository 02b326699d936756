/* What the store holds of its own keys, outside the barrier. */
#include "core/keychain.h"

#include "base/log.h"
#include "seal/blob.h"
#include "seal/shamir.h"

static const struct log lg = { "core" };

int keychain_config(struct storage *physical, struct arena *a, struct seal_config *out,
                    struct err *err)
{
    return seal_config_load(physical, a, KEYCHAIN_CONFIG, out, err);
}

int keychain_people(struct storage *physical, struct arena *a, struct seal_config *out,
                    struct err *err)
{
    int found = keychain_config(physical, a, out, err);
    if (found <= 0 || str_is(out->type, "shamir"))
        return found;
    found = seal_config_load(physical, a, KEYCHAIN_RECOVERY_CONFIG, out, err);
    return found == 0 ? err_set(err, ERR_CORRUPT, "recovery seal configuration not found") : found;
}

int keychain_open_with_kek(struct storage *physical, struct str kek, struct secret *root_key,
                           struct err *err)
{
    AUTO(buf_free) struct buf entry = { 0 };
    AUTO(seal_drop) struct seal *seal = NULL;
    struct err why = { 0 };
    int found = storage_get(physical, KEYCHAIN_ROOT_KEY, &entry, err);
    if (found < 0)
        return -1;
    /* Stores from before 1.3 have no such entry: the combined key is the root key. */
    if (found == 0)
        return secret_set(root_key, kek, err);
    if (seal_shamir_new(kek, &seal, &why) < 0
        || seal_unwrap_root_key(seal, buf_str(&entry), root_key, &why) < 0)
        return err_set(err, why.code,
                       "unable to retrieve stored keys: failed to encrypt keys for storage: "
                       "cipher: message authentication failed");
    return 0;
}

int keychain_open_root_key(struct storage *physical, struct seal *seal, struct secret *root_key,
                           struct err *err)
{
    AUTO(buf_free) struct buf entry = { 0 };
    int found = storage_get(physical, KEYCHAIN_ROOT_KEY, &entry, err);
    if (found < 0)
        return -1;
    if (found == 0)
        return err_set(err, ERR_UNINITIALISED,
                       "stored unseal keys are supported, but none were found");
    return seal_unwrap_root_key(seal, buf_str(&entry), root_key, err);
}

int keychain_recovery_key(struct storage *physical, struct seal *seal, struct secret *out,
                          struct err *err)
{
    AUTO(buf_free) struct buf entry = { 0 };
    AUTO(buf_free) struct buf key = { 0 };
    int found = storage_get(physical, KEYCHAIN_RECOVERY_KEY, &entry, err);
    if (found < 0)
        return -1;
    if (found == 0)
        return err_set(err, ERR_CORRUPT, "no recovery key found");
    if (seal_decrypt(seal, buf_str(&entry), &key, err) < 0)
        return err_prefix(err, "failed to decrypt encrypted stored keys");
    return secret_set(out, buf_str(&key), err);
}

int keychain_check_recovery_key(struct storage *physical, struct seal *seal, struct str key,
                                struct err *err)
{
    AUTO(secret_free) struct secret stored = { 0 };
    TRY(keychain_recovery_key(physical, seal, &stored, err));
    if (!secret_eq(secret_str(&stored), key))
        return err_set(err, ERR_DENIED, "recovery key does not match submitted values");
    return 0;
}

void keychain_renewed_free(struct keychain_renewed *r)
{
    buf_free(&r->before);
    buf_free(&r->after);
}

int keychain_renew(struct storage *physical, struct seal *seal, struct str key_id, struct str name,
                   struct keychain_renewed *out, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    struct seal_blob blob;
    int found = storage_get(physical, name, &out->before, err);
    out->name = name;
    if (found <= 0)
        return found;
    TRY(seal_blob_parse(buf_str(&out->before), &blob, err));
    if (str_eq(blob.key_id, key_id))
        return 0;
    TRY(seal_decrypt(seal, buf_str(&out->before), &text, err));
    return seal_encrypt(seal, buf_str(&text), &out->after, err);
}

int keychain_store_renewed(struct storage *physical, const struct keychain_renewed *renewed,
                           size_t n, struct err *err)
{
    struct storage_op ops[2];
    size_t n_ops = 0;
    for (size_t i = 0; i < n && i < ARRAY_LEN(ops); i++) {
        AUTO(buf_free) struct buf now = { 0 };
        if (renewed[i].after.n == 0)
            continue;
        TRY(storage_get(physical, renewed[i].name, &now, err));
        if (!str_eq(buf_str(&now), buf_str(&renewed[i].before)))
            continue; /* a rekey came first, with the newest key */
        ops[n_ops++] = (struct storage_op){ STORAGE_PUT, renewed[i].name,
                                            buf_str(&renewed[i].after) };
    }
    if (n_ops == 0)
        return 0;
    TRY(storage_commit(physical, ops, n_ops, err));
    LOG(&lg, INFO, "upgraded stored keys to the newest key of the seal: entries=%zu", n_ops);
    return 0;
}
