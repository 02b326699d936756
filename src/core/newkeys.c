/* Commits that put other keys around a store's root key. */
#include "core/newkeys.h"

#include "base/log.h"
#include "seal/shamir.h"

static const struct log lg = { "core" };

enum { KEY_LEN = 32 };

/* The stored text of a configuration; of ${type}, in ${a}. */
static int config_text(struct arena *a, const struct seal_config *config, struct str type,
                       int64_t stored_shares, struct str *out, struct err *err)
{
    struct seal_config c = *config;
    c.type = type;
    c.stored_shares = stored_shares;
    *out = seal_config_print(a, &c);
    return arena_check(a, err);
}

/* What core/seal-config says of a seal that needs nobody. */
static int automatic_text(struct arena *a, struct seal *seal, struct str *out, struct err *err)
{
    const struct seal_config one = { .shares = 1, .threshold = 1 };
    return config_text(a, &one, str_of(seal->ops->type), 1, out, err);
}

static void tell(const struct seal_config *config)
{
    LOG(&lg, INFO, "security barrier rekeyed: stored=1 shares=%lld threshold=%lld",
        (long long)config->shares, (long long)config->threshold);
}

int newkeys_shamir(struct barrier *b, struct str kek, const struct seal_config *config,
                   struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(secret_free) struct secret root_key = { 0 };
    AUTO(buf_free) struct buf wrapped = { 0 };
    AUTO(seal_drop) struct seal *seal = NULL;
    struct str text;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    TRY(config_text(a, config, STR("shamir"), 1, &text, err));
    TRY(secret_random(&root_key, KEY_LEN, err));
    TRY(seal_shamir_new(kek, &seal, err));
    TRY(seal_wrap_root_key(seal, secret_str(&root_key), &wrapped, err));
    struct storage_op with[] = {
        { STORAGE_PUT, KEYCHAIN_CONFIG, text },
        { STORAGE_PUT, KEYCHAIN_ROOT_KEY, buf_str(&wrapped) },
        { STORAGE_PUT, KEYCHAIN_KEK, kek },
        { STORAGE_PUT, KEYCHAIN_CANARY, config->nonce },
    };
    TRY(barrier_rekey(b, secret_str(&root_key), with, ARRAY_LEN(with), err));
    tell(config);
    return 0;
}

int newkeys_stored(struct barrier *b, struct seal *seal, const struct seal_config *config,
                   struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(secret_free) struct secret root_key = { 0 };
    AUTO(buf_free) struct buf wrapped = { 0 };
    struct str text;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    TRY(config_text(a, config, str_of(seal->ops->type), 1, &text, err));
    TRY(secret_random(&root_key, KEY_LEN, err));
    TRY(seal_wrap_root_key(seal, secret_str(&root_key), &wrapped, err));
    struct storage_op with[] = {
        { STORAGE_PUT, KEYCHAIN_CONFIG, text },
        { STORAGE_PUT, KEYCHAIN_ROOT_KEY, buf_str(&wrapped) },
        { STORAGE_PUT, KEYCHAIN_CANARY, config->nonce },
    };
    TRY(barrier_rekey(b, secret_str(&root_key), with, ARRAY_LEN(with), err));
    tell(config);
    return 0;
}

int newkeys_recovery(struct barrier *b, struct seal *seal, struct str key,
                     const struct seal_config *config, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(secret_free) struct secret root_key = { 0 };
    AUTO(buf_free) struct buf sealed = { 0 };
    struct str text;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    TRY(config_text(a, config, STR("shamir"), 0, &text, err));
    TRY(seal_encrypt(seal, key, &sealed, err));
    TRY(barrier_root_key(b, &root_key, err));
    struct storage_op with[] = {
        { STORAGE_PUT, KEYCHAIN_RECOVERY_CONFIG, text },
        { STORAGE_PUT, KEYCHAIN_RECOVERY_KEY, buf_str(&sealed) },
        { STORAGE_PUT, KEYCHAIN_CANARY, config->nonce },
    };
    /* A new store has nobody yet who would have to be told. */
    size_t n = ARRAY_LEN(with) - (config->nonce.n == 0 ? 1 : 0);
    return barrier_rekey(b, secret_str(&root_key), with, n, err); /* the same one */
}

/* ---- from one seal to another ---- */

/* The people's configuration as it is. */
static int people(struct storage *physical, struct arena *a, struct seal_config *out,
                  struct err *err)
{
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    int found = keychain_people(physical, a, out, err);
    return found == 0 ? err_set(err, ERR_UNINITIALISED, "Vault is not initialized")
                      : found < 0 ? -1 : 0;
}

/* A fresh root key under ${to}, ${key} as the recovery key; a key-encryption key goes, if any. */
static int to_automatic(struct barrier *b, struct storage *physical, struct str key,
                        struct seal *to, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(secret_free) struct secret root_key = { 0 };
    AUTO(buf_free) struct buf wrapped = { 0 };
    AUTO(buf_free) struct buf recovery = { 0 };
    struct seal_config config;
    struct str text, recovery_text;
    TRY(people(physical, a, &config, err));
    TRY(automatic_text(a, to, &text, err));
    TRY(config_text(a, &config, STR("shamir"), 0, &recovery_text, err));
    TRY(secret_random(&root_key, KEY_LEN, err));
    TRY(seal_wrap_root_key(to, secret_str(&root_key), &wrapped, err));
    TRY(seal_encrypt(to, key, &recovery, err));
    struct storage_op with[] = {
        { STORAGE_PUT, KEYCHAIN_CONFIG, text },
        { STORAGE_PUT, KEYCHAIN_ROOT_KEY, buf_str(&wrapped) },
        { STORAGE_PUT, KEYCHAIN_RECOVERY_CONFIG, recovery_text },
        { STORAGE_PUT, KEYCHAIN_RECOVERY_KEY, buf_str(&recovery) },
        { STORAGE_DELETE, KEYCHAIN_KEK, STR("") },
    };
    return barrier_rekey(b, secret_str(&root_key), with, ARRAY_LEN(with), err);
}

int newkeys_from_shares(struct barrier *b, struct storage *physical, struct str kek,
                        struct seal *to, struct err *err)
{
    return to_automatic(b, physical, kek, to, err);
}

int newkeys_to_shares(struct barrier *b, struct storage *physical, struct str recovery_key,
                      struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(secret_free) struct secret root_key = { 0 };
    AUTO(buf_free) struct buf wrapped = { 0 };
    AUTO(seal_drop) struct seal *to = NULL;
    struct seal_config config;
    struct str text;
    TRY(people(physical, a, &config, err));
    TRY(config_text(a, &config, STR("shamir"), 1, &text, err));
    TRY(secret_random(&root_key, KEY_LEN, err));
    TRY(seal_shamir_new(recovery_key, &to, err));
    TRY(seal_wrap_root_key(to, secret_str(&root_key), &wrapped, err));
    struct storage_op with[] = {
        { STORAGE_PUT, KEYCHAIN_CONFIG, text },
        { STORAGE_PUT, KEYCHAIN_ROOT_KEY, buf_str(&wrapped) },
        { STORAGE_PUT, KEYCHAIN_KEK, recovery_key },
        { STORAGE_DELETE, KEYCHAIN_RECOVERY_CONFIG, STR("") },
        /* The old seal could open it, and it is what opens the store from now on. */
        { STORAGE_DELETE, KEYCHAIN_RECOVERY_KEY, STR("") },
    };
    return barrier_rekey(b, secret_str(&root_key), with, ARRAY_LEN(with), err);
}

int newkeys_to_seal(struct barrier *b, struct storage *physical, struct str recovery_key,
                    struct seal *to, struct err *err)
{
    return to_automatic(b, physical, recovery_key, to, err);
}
