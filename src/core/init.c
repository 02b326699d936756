/* A new store: keys, tables, first token, made in memory and committed as a whole. */
#include "core/init.h"

#include "base/log.h"
#include "core/newkeys.h"
#include "core/shares.h"
#include "core/start.h"
#include "crypto/pgp.h"
#include "seal/shamir.h"
#include "storage/driver.h"

static const struct log lg = { "core" };

enum { KEY_LEN = 32 };

static int check_config(const struct seal_config *config, const char *what, struct err *err)
{
    return seal_config_check(config, err) < 0 ? err_prefix(err, "invalid %s configuration", what)
                                              : 0;
}

/* With a seal that needs nobody's shares their number counts for nothing, as Vault. */
static int check_automatic(const struct init_request *want, struct err *err)
{
    const struct seal_config *r = &want->recovery;
    if (want->config.pgp_keys.n > 0)
        return err_set(err, ERR_BAD_REQUEST, "PGP keys not supported when storing shares");
    if (r->pgp_keys.n > 0 && (int64_t)r->pgp_keys.n != r->shares)
        return err_set(err, ERR_BAD_REQUEST, "incorrect number of PGP keys for recovery");
    if (r->shares < 1)
        return err_set(err, ERR_BAD_REQUEST,
                       "recovery configuration must specify a positive number of shares");
    return check_config(r, "recovery", err);
}

static int check_init(const struct init_parts *parts, const struct init_request *want,
                      struct err *err)
{
    int there = barrier_initialised(parts->barrier, err);
    if (there < 0)
        return -1;
    if (there > 0)
        return err_set(err, ERR_BAD_REQUEST, "Vault is already initialized");
    return parts->settings->seal == NULL ? check_config(&want->config, "seal", err)
                                         : check_automatic(want, err);
}

/* The store that an init makes: in memory until it is whole. */
struct nursery {
    struct core_settings settings; /* as the server's, but for the storage */
    struct barrier *barrier;
};

static void nursery_fini(struct nursery *n)
{
    barrier_free(n->barrier);
    storage_close(n->settings.physical);
}

static int nursery_init(struct nursery *n, const struct core_settings *settings, struct err *err)
{
    n->settings = *settings;
    n->settings.physical = NULL;
    n->settings.ha = NULL;
    n->settings.raft = NULL;
    n->settings.creds = NULL;
    TRY(storage_inmem.open(NULL, 0, &n->settings.physical, err));
    return barrier_new(n->settings.physical, &n->barrier, err);
}

/* The barrier under ${root_key}, opened. */
static int open_barrier(struct nursery *n, struct str root_key, struct err *err)
{
    TRY(barrier_init(n->barrier, root_key, clock_now_ns(n->settings.clock), err));
    return barrier_unseal(n->barrier, root_key, err);
}

/* The stored form of a fresh key set: what an unseal will need. */
static int write_keys(struct nursery *n, struct arena *a, struct seal *seal,
                      const struct seal_config *want, struct str root_key, struct err *err)
{
    AUTO(buf_free) struct buf wrapped = { 0 };
    struct seal_config config = *want;
    config.type = str_of(seal->ops->type);
    config.stored_shares = 1;
    struct str text = seal_config_print(a, &config);
    TRY(arena_check(a, err));
    struct err why = { 0 };
    if (seal_wrap_root_key(seal, root_key, &wrapped, &why) < 0)
        return err_set(err, why.code == ERR_UPSTREAM ? ERR_BAD_REQUEST : why.code,
                       "failed to store keys: failed to encrypt keys for storage: %s", why.msg);
    struct storage_op ops[] = {
        { STORAGE_PUT, KEYCHAIN_CONFIG, text },
        { STORAGE_PUT, KEYCHAIN_ROOT_KEY, buf_str(&wrapped) },
    };
    TRY(storage_commit(n->settings.physical, ops, ARRAY_LEN(ops), err));
    return open_barrier(n, root_key, err);
}

/* Keys of a store whose shares people hold. */
static int make_shares(struct nursery *n, struct arena *a, const struct init_request *want,
                       struct str root_key, struct init_result *out, struct err *err)
{
    AUTO(secret_free) struct secret kek = { 0 };
    AUTO(seal_drop) struct seal *seal = NULL;
    TRY(secret_random(&kek, KEY_LEN, err));
    TRY(shares_split(a, secret_str(&kek), &want->config, &out->shares, err));
    TRY(seal_shamir_new(secret_str(&kek), &seal, err));
    TRY(write_keys(n, a, seal, &want->config, root_key, err));
    LOG(&lg, INFO, "security barrier initialized: stored=1 shares=%lld threshold=%lld",
        (long long)want->config.shares, (long long)want->config.threshold);
    return storage_put(barrier_storage(n->barrier), KEYCHAIN_KEK, secret_str(&kek), err);
}

/* Keys of a store whose seal needs nobody: people get shares of the recovery key. */
static int make_recovery(struct nursery *n, struct arena *a, const struct init_request *want,
                         struct str root_key, struct init_result *out, struct err *err)
{
    AUTO(secret_free) struct secret recovery = { 0 };
    const struct seal_config one = { .shares = 1, .threshold = 1 };
    struct seal_config config = want->recovery;
    config.nonce = STR("");
    TRY(secret_random(&recovery, KEY_LEN, err));
    TRY(shares_split(a, secret_str(&recovery), &config, &out->recovery_shares, err));
    if (want->config.shares != 1 || want->config.threshold != 1)
        LOG(&lg, WARN, "stored keys supported on init, forcing shares/threshold to 1");
    TRY(write_keys(n, a, n->settings.seal, &one, root_key, err));
    LOG(&lg, INFO, "security barrier initialized: stored=1 shares=1 threshold=1");
    return newkeys_recovery(n->barrier, n->settings.seal, secret_str(&recovery), &config, err);
}

static int make_root_token(const struct init_parts *parts, struct nursery *n, struct arena *a,
                           const struct init_request *want, struct str *out, struct err *err)
{
    struct active *on = NULL;
    struct str token = { NULL, 0 }, fingerprint;
    struct start_parts all = { .settings = &n->settings, .lifecycle = parts->lifecycle,
                               .barrier = n->barrier };
    TRY(start_all(&all, &on, err));
    int result = start_root_token(on, a, &token, err);
    stop_all(on);
    if (result == 0 && want->root_token_pgp_key.n > 0)
        return pgp_encrypt(a, want->root_token_pgp_key, token, out, &fingerprint, err);
    *out = token;
    return result;
}

/*
 * Everything into the real store in one commit.  The keyring, whose presence is what
 * "initialised" means, is its last operation.
 */
static int nursery_move(struct nursery *n, struct arena *a, struct storage *to, struct err *err)
{
    struct strs keys = { 0 };
    struct strs_collect collect = { a, &keys };
    size_t done = 0;
    TRY(storage_walk(n->settings.physical, STR(""), strs_collect_name, &collect, err));
    struct storage_op *ops = arena_array(a, keys.n + 1, sizeof *ops);
    TRY(arena_check(a, err));
    for (size_t i = 0; i < keys.n; i++) {
        AUTO(buf_free) struct buf value = { 0 };
        if (storage_get(n->settings.physical, keys.v[i], &value, err) < 0)
            return -1;
        ops[done++] = (struct storage_op){ STORAGE_PUT, keys.v[i], arena_dup(a, buf_str(&value)) };
    }
    for (size_t i = 0; i + 1 < done; i++) {
        if (!str_is(ops[i].key, "core/keyring"))
            continue;
        struct storage_op keyring = ops[i];
        ops[i] = ops[done - 1];
        ops[done - 1] = keyring;
    }
    TRY(arena_check(a, err));
    return storage_commit(to, ops, done, err);
}

int init_store(const struct init_parts *parts, struct arena *a, const struct init_request *want,
               struct init_result *out, struct err *err)
{
    AUTO(nursery_fini) struct nursery n = { 0 };
    AUTO(secret_free) struct secret root_key = { 0 };
    TRY(check_init(parts, want, err));
    TRY(secret_random(&root_key, KEY_LEN, err));
    *out = (struct init_result){ 0 };
    /* Nothing is stored before all is made: neither a bad PGP key nor a crash leaves a store whose
     * shares nobody was given. */
    TRY(nursery_init(&n, parts->settings, err));
    TRY((n.settings.seal == NULL ? make_shares : make_recovery)(&n, a, want,
                                                                secret_str(&root_key), out, err));
    TRY(make_root_token(parts, &n, a, want, &out->root_token, err));
    return nursery_move(&n, a, parts->settings->physical, err);
}
