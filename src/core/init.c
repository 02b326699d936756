/* A new store: keys, tables, first token, made in memory and committed as a whole. */
#include "core/init.h"

#include "base/log.h"
#include "core/keychain.h"
#include "core/shares.h"
#include "core/start.h"
#include "crypto/pgp.h"
#include "storage/driver.h"

static const struct log lg = { "core" };

enum { KEY_LEN = 32 };

static int check_init(const struct init_parts *parts, const struct init_request *want,
                      struct err *err)
{
    int there = barrier_initialised(parts->barrier, err);
    if (there < 0)
        return -1;
    if (there > 0)
        return err_set(err, ERR_BAD_REQUEST, "Vault is already initialized");
    if (seal_config_check(&want->config, err) < 0)
        return err_prefix(err, "invalid seal configuration");
    return 0;
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

/* The stored form of a fresh key set: what an unseal will need. */
static int write_keys(struct nursery *n, struct arena *a, const struct init_request *want,
                      struct str kek, struct str root_key, struct err *err)
{
    AUTO(buf_free) struct buf wrapped = { 0 };
    struct seal_config config = want->config;
    config.type = STR("shamir");
    config.stored_shares = 1;
    struct str text = seal_config_print(a, &config);
    TRY(arena_check(a, err));
    TRY(seal_wrap_root_key(kek, root_key, &wrapped, err));
    struct storage_op ops[] = {
        { STORAGE_PUT, KEYCHAIN_CONFIG, text },
        { STORAGE_PUT, KEYCHAIN_ROOT_KEY, buf_str(&wrapped) },
    };
    TRY(storage_commit(n->settings.physical, ops, ARRAY_LEN(ops), err));
    TRY(barrier_init(n->barrier, root_key, clock_now_ns(n->settings.clock), err));
    TRY(barrier_unseal(n->barrier, root_key, err));
    return storage_put(barrier_storage(n->barrier), STR("core/shamir-kek"), kek, err);
}

static int make_root_token(const struct init_parts *parts, struct nursery *n, struct arena *a,
                           const struct init_request *want, struct str *out, struct err *err)
{
    struct active *on = NULL;
    struct str token = { NULL, 0 }, fingerprint;
    TRY(start_all(&(struct start_parts){ &n->settings, parts->lifecycle, n->barrier, false }, &on, err));
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
    AUTO(secret_free) struct secret kek = { 0 };
    AUTO(secret_free) struct secret root_key = { 0 };
    TRY(check_init(parts, want, err));
    TRY(secret_random(&kek, KEY_LEN, err));
    TRY(secret_random(&root_key, KEY_LEN, err));
    *out = (struct init_result){ 0 };
    TRY(shares_split(a, secret_str(&kek), &want->config, &out->shares, err));
    /* Nothing is stored before all is made: neither a bad PGP key nor a crash leaves a store whose
     * shares nobody was given. */
    TRY(nursery_init(&n, parts->settings, err));
    TRY(write_keys(&n, a, want, secret_str(&kek), secret_str(&root_key), err));
    TRY(make_root_token(parts, &n, a, want, &out->root_token, err));
    TRY(nursery_move(&n, a, parts->settings->physical, err));
    LOG(&lg, INFO, "security barrier initialized: stored=1 shares=%lld threshold=%lld",
        (long long)want->config.shares, (long long)want->config.threshold);
    return 0;
}
