/* From an empty store to a serving one and back: init, unseal, seal. */
#include "core/lifecycle.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/epoch.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/random.h"
#include "core/keychain.h"
#include "core/shares.h"

static const struct log lg = { "core" };

enum { KEY_LEN = 32, SHARE_MIN = 16, SHARE_MAX = 33 };

struct lifecycle {
    const struct core_settings *settings;
    struct barrier *barrier;
    struct service *service; /* what runs in between */

    pthread_mutex_t change; /* one init, unseal or seal at a time */
    struct shares given;    /* so far; under change, as is the nonce */
    char nonce[37];
};

int lifecycle_new(const struct core_settings *settings, struct lifecycle **out, struct err *err)
{
    struct lifecycle *l = calloc(1, sizeof *l);
    if (l == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    l->settings = settings;
    pthread_mutex_init(&l->change, NULL);
    if (barrier_new(settings->physical, &l->barrier, err) < 0
        || service_new(settings, l, l->barrier, &l->service, err) < 0) {
        lifecycle_free(l);
        return -1;
    }
    *out = l;
    return 0;
}

const struct active *lifecycle_active(struct lifecycle *l)
{
    return service_active(l->service);
}

struct service *lifecycle_service(struct lifecycle *l)
{
    return l->service;
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
    if (service_mode(l->service) != SERVICE_OFF)
        return 1;
    return barrier_initialised(l->barrier, err);
}

/* ---- shares ---- */

static void forget_shares(struct lifecycle *l)
{
    shares_forget(&l->given);
    l->nonce[0] = 0;
}

int lifecycle_open_root_key(struct lifecycle *l, struct str kek, struct secret *root_key,
                            struct err *err)
{
    return keychain_open_root_key(l->settings->physical, kek, root_key, err);
}

int lifecycle_seal_config(struct lifecycle *l, struct arena *a, struct seal_config *out,
                          struct err *err)
{
    return keychain_config(l->settings->physical, a, out, err);
}

uint64_t lifecycle_lives(struct lifecycle *l)
{
    return service_lives(l->service);
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
    if (service_mode(l->service) == SERVICE_OFF)
        return err_set(err, ERR_SEALED, "Vault is sealed");
    stored.type = STR("shamir");
    stored.stored_shares = 1;
    struct str text = seal_config_print(a, &stored);
    TRY(arena_check(a, err));
    TRY(secret_random(&root_key, KEY_LEN, err));
    TRY(seal_wrap_root_key(kek, secret_str(&root_key), &wrapped, err));
    struct storage_op with[] = {
        { STORAGE_PUT, KEYCHAIN_CONFIG, text },
        { STORAGE_PUT, KEYCHAIN_ROOT_KEY, buf_str(&wrapped) },
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
    TRY(service_start(l->service, err));
    LOG(&lg, INFO, "vault is unsealed");
    return 0;
}

static void go_sealed(struct lifecycle *l)
{
    service_stop(l->service);
    barrier_seal(l->barrier);
    epoch_wait();
}

/* Enough shares: open everything.  The shares are forgotten whatever happens. */
static int unseal_with_shares(struct lifecycle *l, struct err *err)
{
    AUTO(secret_free) struct secret kek = { 0 };
    AUTO(secret_free) struct secret root_key = { 0 };
    int result = shares_combine(&l->given, &kek, err);
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
    if (service_mode(l->service) != SERVICE_OFF || shares_hold(&l->given, share))
        return 0;
    if (l->given.n == 0)
        random_uuid(l->nonce);
    TRY(shares_add(&l->given, share, "unseal", err));
    return (int64_t)l->given.n < config.threshold ? 0 : unseal_with_shares(l, err);
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
    out->sealed = service_mode(l->service) == SERVICE_OFF;
    out->threshold = found > 0 ? config.threshold : 0;
    out->shares = found > 0 ? config.shares : 0;
    out->progress = (int64_t)l->given.n;
    memcpy(out->nonce, l->nonce, sizeof out->nonce);
    pthread_mutex_unlock(&l->change);
    return 0;
}

void lifecycle_free(struct lifecycle *l)
{
    if (l == NULL)
        return;
    forget_shares(l);
    if (l->service != NULL)
        go_sealed(l);
    service_free(l->service);
    barrier_free(l->barrier);
    pthread_mutex_destroy(&l->change);
    free(l);
}

int lifecycle_init(struct lifecycle *l, struct arena *a, const struct init_request *want,
                   struct init_result *out, struct err *err)
{
    struct init_parts parts = { l->settings, l, l->barrier };
    pthread_mutex_lock(&l->change);
    int result = init_store(&parts, a, want, out, err);
    pthread_mutex_unlock(&l->change);
    return result;
}
