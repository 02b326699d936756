/* From an empty store to a serving one and back: init, unseal, seal. */
#include "core/lifecycle.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/epoch.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/random.h"
#include "core/start.h"
#include "crypto/pgp.h"
#include "crypto/shamir.h"
#include "storage/driver.h"

static const struct log lg = { "core" };

enum { KEY_LEN = 32, SHARE_MIN = 16, SHARE_MAX = 33, SHARES_MAX = 255 };

#define SEAL_CONFIG STR("core/seal-config")
#define STORED_KEYS STR("core/hsm/barrier-unseal-keys")

struct lifecycle {
    const struct core_settings *settings;
    struct barrier *barrier;
    _Atomic(struct active *) active;
    _Atomic uint64_t lives;

    pthread_mutex_t change; /* one init, unseal or seal at a time */
    /* Under change: the shares given so far. */
    struct secret shares[SHARES_MAX];
    size_t n_shares;
    char nonce[37];
};

int lifecycle_new(const struct core_settings *settings, struct lifecycle **out, struct err *err)
{
    struct lifecycle *l = calloc(1, sizeof *l);
    if (l == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    l->settings = settings;
    pthread_mutex_init(&l->change, NULL);
    if (barrier_new(settings->physical, &l->barrier, err) < 0) {
        lifecycle_free(l);
        return -1;
    }
    *out = l;
    return 0;
}

const struct active *lifecycle_active(struct lifecycle *l)
{
    return atomic_load(&l->active);
}

const struct core_settings *lifecycle_settings(struct lifecycle *l)
{
    return l->settings;
}

struct barrier *lifecycle_barrier(struct lifecycle *l)
{
    return l->barrier;
}

int lifecycle_initialised(struct lifecycle *l, struct err *err)
{
    /* Only known for good once true. */
    if (atomic_load(&l->active) != NULL)
        return 1;
    return barrier_initialised(l->barrier, err);
}

/* ---- shares ---- */

static void forget_shares(struct lifecycle *l)
{
    for (size_t i = 0; i < l->n_shares; i++)
        secret_free(&l->shares[i]);
    l->n_shares = 0;
    l->nonce[0] = 0;
}

int lifecycle_combine(const struct secret *shares, size_t n, struct secret *out, struct err *err)
{
    struct str parts[SHARES_MAX];
    if (n == 1)
        return secret_set(out, secret_str(&shares[0]), err);
    for (size_t i = 0; i < n && i < SHARES_MAX; i++)
        parts[i] = secret_str(&shares[i]);
    return shamir_combine(parts, (int)n, out, err);
}

int lifecycle_split(struct arena *a, struct str key, const struct seal_config *config,
                    struct strs *out, struct err *err)
{
    struct secret parts[SHARES_MAX] = { { 0 } };
    size_t n = (size_t)config->shares;
    int result = 0;
    if (n == 1)
        result = secret_set(&parts[0], key, err);
    else
        result = shamir_split(key, (int)n, (int)config->threshold, parts, err);
    for (size_t i = 0; i < n && result == 0; i++) {
        struct str shown, fingerprint;
        if (i < config->pgp_keys.n) {
            /* As Vault: the PGP message holds the share's hex text. */
            struct str hex = hex_encode(a, secret_str(&parts[i]));
            result = pgp_encrypt(a, config->pgp_keys.v[i], hex, &shown, &fingerprint, err);
        } else {
            shown = arena_dup(a, secret_str(&parts[i]));
        }
        if (result == 0)
            strs_add(a, out, shown);
    }
    for (size_t i = 0; i < n; i++)
        secret_free(&parts[i]);
    return result < 0 ? -1 : arena_check(a, err);
}

int lifecycle_open_root_key(struct lifecycle *l, struct str kek, struct secret *root_key,
                            struct err *err)
{
    AUTO(buf_free) struct buf entry = { 0 };
    int found = storage_get(l->settings->physical, STORED_KEYS, &entry, err);
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

int lifecycle_seal_config(struct lifecycle *l, struct arena *a, struct seal_config *out,
                          struct err *err)
{
    return seal_config_load(l->settings->physical, a, SEAL_CONFIG, out, err);
}

uint64_t lifecycle_lives(struct lifecycle *l)
{
    return atomic_load(&l->lives);
}

/* ---- rekey ---- */

static int rekey_locked(struct lifecycle *l, struct str kek, const struct seal_config *config,
                        struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(secret_free) struct secret root_key = { 0 };
    AUTO(buf_free) struct buf wrapped = { 0 };
    struct seal_config stored = *config;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (atomic_load(&l->active) == NULL)
        return err_set(err, ERR_SEALED, "Vault is sealed");
    stored.type = STR("shamir");
    stored.stored_shares = 1;
    struct str text = seal_config_print(a, &stored);
    TRY(arena_check(a, err));
    TRY(secret_random(&root_key, KEY_LEN, err));
    TRY(seal_wrap_root_key(kek, secret_str(&root_key), &wrapped, err));
    struct storage_op with[] = {
        { STORAGE_PUT, SEAL_CONFIG, text },
        { STORAGE_PUT, STORED_KEYS, buf_str(&wrapped) },
        { STORAGE_PUT, STR("core/shamir-kek"), kek },
        { STORAGE_PUT, STR("core/canary-keyring"), config->nonce },
    };
    TRY(barrier_rekey(l->barrier, secret_str(&root_key), with, ARRAY_LEN(with), err));
    LOG(&lg, INFO, "security barrier rekeyed: stored=1 shares=%lld threshold=%lld",
        (long long)config->shares, (long long)config->threshold);
    return 0;
}

int lifecycle_rekey(struct lifecycle *l, struct str kek, const struct seal_config *config,
                    struct err *err)
{
    pthread_mutex_lock(&l->change);
    int result = rekey_locked(l, kek, config, err);
    pthread_mutex_unlock(&l->change);
    return result;
}

/* ---- going active ---- */

static int go_active(struct lifecycle *l, struct err *err)
{
    AUTO(metric_end) struct metric_timer timer = metric_start(METRIC_CORE_POST_UNSEAL);
    struct active *on = NULL;
    TRY(start_all(&(struct start_parts){ l->settings, l, l->barrier }, &on, err));
    atomic_fetch_add(&l->lives, 1);
    atomic_store(&l->active, on);
    LOG(&lg, INFO, "vault is unsealed");
    return 0;
}

static void go_sealed(struct lifecycle *l)
{
    struct active *on = atomic_exchange(&l->active, NULL);
    if (on != NULL) {
        epoch_wait(); /* requests in flight end before what they use goes */
        stop_all(on);
    }
    barrier_seal(l->barrier);
    epoch_wait();
}

/* Enough shares: open everything.  The shares are forgotten whatever happens. */
static int unseal_with_shares(struct lifecycle *l, struct err *err)
{
    AUTO(secret_free) struct secret kek = { 0 };
    AUTO(secret_free) struct secret root_key = { 0 };
    int result = lifecycle_combine(l->shares, l->n_shares, &kek, err);
    forget_shares(l);
    if (result < 0)
        return -1;
    TRY(lifecycle_open_root_key(l, secret_str(&kek), &root_key, err));
    TRY(barrier_unseal(l->barrier, secret_str(&root_key), err));
    if (go_active(l, err) < 0) {
        LOG(&lg, ERROR, "post-unseal setup failed: error=%s", err->msg);
        barrier_seal(l->barrier);
        return -1;
    }
    return 0;
}

static bool already_given(const struct lifecycle *l, struct str share)
{
    for (size_t i = 0; i < l->n_shares; i++)
        if (secret_eq(secret_str(&l->shares[i]), share))
            return true;
    return false;
}

static int unseal_locked(struct lifecycle *l, struct str share, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct seal_config config;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    int found = lifecycle_seal_config(l, a, &config, err);
    if (found < 0)
        return -1;
    if (found == 0)
        return err_set(err, ERR_BAD_REQUEST, "Vault is not initialized");
    if (share.n < SHARE_MIN)
        return err_set(err, ERR_BAD_REQUEST,
                       "invalid key: key is shorter than minimum %d bytes", SHARE_MIN);
    if (share.n > SHARE_MAX)
        return err_set(err, ERR_BAD_REQUEST, "invalid key: key is longer than maximum %d bytes",
                       SHARE_MAX);
    if (atomic_load(&l->active) != NULL || already_given(l, share))
        return 0;
    if (l->n_shares == 0)
        random_uuid(l->nonce);
    TRY(secret_set(&l->shares[l->n_shares], share, err));
    l->n_shares++;
    return (int64_t)l->n_shares < config.threshold ? 0 : unseal_with_shares(l, err);
}

int lifecycle_unseal(struct lifecycle *l, struct str share, struct err *err)
{
    AUTO(metric_end) struct metric_timer timer = metric_start(METRIC_CORE_UNSEAL);
    pthread_mutex_lock(&l->change);
    int result = unseal_locked(l, share, err);
    pthread_mutex_unlock(&l->change);
    return result;
}

void lifecycle_unseal_reset(struct lifecycle *l)
{
    pthread_mutex_lock(&l->change);
    forget_shares(l);
    pthread_mutex_unlock(&l->change);
}

int lifecycle_seal(struct lifecycle *l, struct err *err)
{
    AUTO(metric_end) struct metric_timer timer = metric_start(METRIC_CORE_SEAL);
    pthread_mutex_lock(&l->change);
    forget_shares(l);
    go_sealed(l);
    pthread_mutex_unlock(&l->change);
    LOG(&lg, INFO, "vault is sealed");
    return 0;
}

int lifecycle_status(struct lifecycle *l, struct unseal_status *out, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct seal_config config;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    *out = (struct unseal_status){ .sealed = true, .type = "shamir" };
    /* The keyring counts, as for sys/init: a configuration alone cannot be unsealed. */
    int found = lifecycle_initialised(l, err);
    if (found > 0)
        found = lifecycle_seal_config(l, a, &config, err);
    if (found < 0)
        return -1;
    pthread_mutex_lock(&l->change);
    out->initialised = found > 0;
    out->sealed = atomic_load(&l->active) == NULL;
    out->threshold = found > 0 ? config.threshold : 0;
    out->shares = found > 0 ? config.shares : 0;
    out->progress = (int64_t)l->n_shares;
    memcpy(out->nonce, l->nonce, sizeof out->nonce);
    pthread_mutex_unlock(&l->change);
    return 0;
}

void lifecycle_free(struct lifecycle *l)
{
    if (l == NULL)
        return;
    forget_shares(l);
    if (l->barrier != NULL)
        go_sealed(l);
    barrier_free(l->barrier);
    pthread_mutex_destroy(&l->change);
    free(l);
}

/* ---- init ---- */

static int check_init(struct lifecycle *l, const struct init_request *want, struct err *err)
{
    int there = lifecycle_initialised(l, err);
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
        { STORAGE_PUT, SEAL_CONFIG, text },
        { STORAGE_PUT, STORED_KEYS, buf_str(&wrapped) },
    };
    TRY(storage_commit(n->settings.physical, ops, ARRAY_LEN(ops), err));
    TRY(barrier_init(n->barrier, root_key, clock_now_ns(n->settings.clock), err));
    TRY(barrier_unseal(n->barrier, root_key, err));
    return storage_put(barrier_storage(n->barrier), STR("core/shamir-kek"), kek, err);
}

static int make_root_token(struct lifecycle *l, struct nursery *n, struct arena *a,
                           const struct init_request *want, struct str *out, struct err *err)
{
    struct active *on = NULL;
    struct str token = { NULL, 0 }, fingerprint;
    TRY(start_all(&(struct start_parts){ &n->settings, l, n->barrier }, &on, err));
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

static int init_locked(struct lifecycle *l, struct arena *a, const struct init_request *want,
                       struct init_result *out, struct err *err)
{
    AUTO(nursery_fini) struct nursery n = { 0 };
    AUTO(secret_free) struct secret kek = { 0 };
    AUTO(secret_free) struct secret root_key = { 0 };
    TRY(check_init(l, want, err));
    TRY(secret_random(&kek, KEY_LEN, err));
    TRY(secret_random(&root_key, KEY_LEN, err));
    *out = (struct init_result){ 0 };
    TRY(lifecycle_split(a, secret_str(&kek), &want->config, &out->shares, err));
    /* Nothing is stored before all is made: neither a bad PGP key nor a crash leaves a store whose
     * shares nobody was given. */
    TRY(nursery_init(&n, l->settings, err));
    TRY(write_keys(&n, a, want, secret_str(&kek), secret_str(&root_key), err));
    TRY(make_root_token(l, &n, a, want, &out->root_token, err));
    TRY(nursery_move(&n, a, l->settings->physical, err));
    LOG(&lg, INFO, "security barrier initialized: stored=1 shares=%lld threshold=%lld",
        (long long)want->config.shares, (long long)want->config.threshold);
    return 0;
}

int lifecycle_init(struct lifecycle *l, struct arena *a, const struct init_request *want,
                   struct init_result *out, struct err *err)
{
    pthread_mutex_lock(&l->change);
    int result = init_locked(l, a, want, out, err);
    pthread_mutex_unlock(&l->change);
    return result;
}
