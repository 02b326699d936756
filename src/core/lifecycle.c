/* From an empty store to a serving one and back: init, unseal, seal. */
#include "core/lifecycle.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/epoch.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/random.h"
#include "core/autounseal.h"
#include "core/join.h"
#include "core/keychain.h"
#include "core/migrate_seal.h"
#include "core/newkeys.h"
#include "core/shares.h"
#include "core/unseal.h"
#include "seal/shamir.h"

static const struct log lg = { "core" };

struct lifecycle {
    const struct core_settings *settings;
    struct barrier *barrier;
    struct service *service; /* what runs in between */

    struct autounseal *autounseal; /* NULL: the seal needs people */
    struct join *join;             /* how an empty node gets into a cluster */

    pthread_mutex_t change; /* one init, unseal, rekey or seal at a time */
    uint64_t seals; /* under change: how often it was sealed by hand */
    /* A migration between seals of one type, once a try told; else MIGRATION_UNSURE. */
    _Atomic int migration;

    pthread_mutex_t mu;  /* a leaf; under change where both are held */
    struct shares given; /* so far; under mu, as is the nonce */
    char nonce[37];
    /* Under mu: what the people's shares made, until the seal's migration is done. */
    struct secret migration_key;
};

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
    pthread_mutex_lock(&l->mu);
    shares_forget(&l->given);
    l->nonce[0] = 0;
    pthread_mutex_unlock(&l->mu);
}

int lifecycle_open_root_key(struct lifecycle *l, struct str kek, struct secret *root_key,
                            struct err *err)
{
    return keychain_open_with_kek(l->settings->physical, kek, root_key, err);
}

int lifecycle_seal_config(struct lifecycle *l, struct arena *a, struct seal_config *out,
                          struct err *err)
{
    return keychain_config(l->settings->physical, a, out, err);
}

int lifecycle_people(struct lifecycle *l, struct arena *a, struct seal_config *out,
                     struct err *err)
{
    return keychain_people(l->settings->physical, a, out, err);
}

uint64_t lifecycle_lives(struct lifecycle *l)
{
    return service_lives(l->service);
}

/* ---- rekey ---- */

/* Take the lock; what follows needs an open store. */
static int enter(struct lifecycle *l, struct err *err)
{
    pthread_mutex_lock(&l->change);
    return service_mode(l->service) != SERVICE_OFF ? 0 : err_set(err, ERR_SEALED, "Vault is sealed");
}

static int leave(struct lifecycle *l, int result)
{
    pthread_mutex_unlock(&l->change);
    return result;
}

int lifecycle_rekey(struct lifecycle *l, struct str kek, const struct seal_config *config,
                    struct err *err)
{
    int result = enter(l, err);
    if (result == 0)
        result = l->settings->seal == NULL
                     ? newkeys_shamir(l->barrier, kek, config, err)
                     : newkeys_stored(l->barrier, l->settings->seal, config, err);
    return leave(l, result);
}

int lifecycle_rekey_recovery(struct lifecycle *l, struct str key, const struct seal_config *config,
                             struct err *err)
{
    int result = enter(l, err);
    if (result == 0)
        result = newkeys_recovery(l->barrier, l->settings->seal, key, config, err);
    return leave(l, result);
}

bool lifecycle_seal_is_automatic(struct lifecycle *l)
{
    return l->settings->seal != NULL;
}

int lifecycle_check_recovery_key(struct lifecycle *l, struct str key, struct err *err)
{
    if (keychain_check_recovery_key(l->settings->physical, l->settings->seal, key, err) < 0)
        return err_prefix(err, "recovery key verification failed");
    return 0;
}

/* ---- the seal's key, for whoever has something to protect by it ---- */

/* The seal that is to be used now; ${made} is to be closed. */
static int present_seal(struct lifecycle *l, struct seal **out, struct seal **made,
                        struct err *err)
{
    AUTO(buf_free) struct buf kek = { 0 };
    *out = l->settings->seal;
    if (*out != NULL)
        return 0;
    int found = storage_get(barrier_storage(l->barrier), KEYCHAIN_KEK, &kek, err);
    if (found < 0)
        return -1;
    if (found == 0)
        return err_set(err, ERR_INTERNAL, "this store does not hold its key-encryption key: "
                                          "make new unseal keys (operator rekey) first");
    TRY(seal_shamir_new(buf_str(&kek), made, err));
    *out = *made;
    return 0;
}

int lifecycle_seal_encrypt(struct lifecycle *l, struct str text, struct buf *out, struct err *err)
{
    AUTO(seal_drop) struct seal *made = NULL;
    struct seal *seal;
    TRY(present_seal(l, &seal, &made, err));
    return seal_encrypt(seal, text, out, err);
}

int lifecycle_seal_decrypt(struct lifecycle *l, struct str entry, struct buf *out,
                           struct err *err)
{
    AUTO(seal_drop) struct seal *made = NULL;
    struct seal *seal;
    TRY(present_seal(l, &seal, &made, err));
    return seal_decrypt(seal, entry, out, err);
}

int lifecycle_seal_config_text(struct lifecycle *l, struct arena *a, struct str *out,
                               struct err *err)
{
    struct seal_config config;
    int found = lifecycle_seal_config(l, a, &config, err);
    if (found <= 0)
        return found;
    *out = seal_config_print(a, &config);
    return arena_check(a, err) < 0 ? -1 : 1;
}

/* ---- going active ---- */

/* As far as is known without a call to another server. */
static int migration_state(struct lifecycle *l, enum migration *out, struct err *err)
{
    TRY(migrate_seal_state(l->settings, out, err));
    int known = atomic_load(&l->migration);
    if (*out == MIGRATION_UNSURE)
        *out = (enum migration)known;
    return 0;
}

/* The same, by a try where only a try tells: what is done stays so, what is pending may be done. */
static int migration_now(struct lifecycle *l, enum migration *out, struct err *err)
{
    TRY(migrate_seal_state(l->settings, out, err));
    if (*out != MIGRATION_UNSURE)
        return 0;
    if (atomic_load(&l->migration) == MIGRATION_DONE)
        *out = MIGRATION_DONE;
    else
        TRY(migrate_seal_try(l->settings, out, err));
    atomic_store(&l->migration, *out);
    return 0;
}

/*
 * The store's seal becomes the configured one before anybody uses the store; unless another node
 * saw to it, after this one had got the shares.
 */
static int before_active(struct lifecycle *l, struct err *err)
{
    AUTO(secret_free) struct secret key = { 0 };
    enum migration state;
    pthread_mutex_lock(&l->mu);
    key = secret_take(&l->migration_key);
    pthread_mutex_unlock(&l->mu);
    if (key.n == 0)
        return 0;
    int result = migration_now(l, &state, err);
    if (result == 0 && state == MIGRATION_PENDING)
        result = migrate_seal(l->settings, l->barrier, secret_str(&key), err);
    if (result == 0) {
        atomic_store(&l->migration, MIGRATION_DONE);
        return 0;
    }
    pthread_mutex_lock(&l->mu); /* for the next time that this node becomes active */
    l->migration_key = secret_take(&key);
    pthread_mutex_unlock(&l->mu);
    return result;
}

static void became_active(struct lifecycle *l)
{
    autounseal_became_active(l->autounseal);
}

static int go_active(struct lifecycle *l, struct err *err)
{
    AUTO(metric_end) struct metric_timer timer = metric_start(METRIC_CORE_POST_UNSEAL);
    TRY(service_start(l->service, err));
    LOG(&lg, INFO, "vault is unsealed");
    return 0;
}

static void forget_migration(struct lifecycle *l)
{
    pthread_mutex_lock(&l->mu);
    secret_free(&l->migration_key);
    pthread_mutex_unlock(&l->mu);
}

static void go_sealed(struct lifecycle *l)
{
    service_stop(l->service);
    barrier_seal(l->barrier);
    epoch_wait();
}

/* The root key is known: open everything. */
static int open_store(struct lifecycle *l, struct str root_key, struct err *err)
{
    struct err why = { 0 };
    TRY(barrier_unseal(l->barrier, root_key, err));
    if (go_active(l, &why) == 0)
        return 0;
    LOG(&lg, ERROR, "post-unseal setup failed: error=%s", why.msg);
    barrier_seal(l->barrier);
    return err_set(err, why.code, "%s", why.msg);
}

/* ---- unsealing by people ---- */

/* Older stores lack it; lifecycle_seal_encrypt needs it.  Who may not write leaves it to others. */
static void keep_kek(struct lifecycle *l, struct str kek)
{
    AUTO(buf_free) struct buf found = { 0 };
    struct err err = { 0 };
    struct storage *inside = barrier_storage(l->barrier);
    int there = storage_get(inside, KEYCHAIN_KEK, &found, &err);
    if (there == 0)
        there = storage_put(inside, KEYCHAIN_KEK, kek, &err);
    if (there < 0)
        LOG(&lg, DEBUG, "key-encryption key not kept: error=%s", err.msg);
}

int lifecycle_open_barrier(struct lifecycle *l, struct str combined, struct err *err)
{
    AUTO(secret_free) struct secret root_key = { 0 };
    pthread_mutex_lock(&l->change);
    int result = unseal_root_key(l->settings->physical, l->settings->seal, combined, &root_key, err);
    if (result == 0)
        result = barrier_unseal(l->barrier, secret_str(&root_key), err);
    pthread_mutex_unlock(&l->change);
    return result;
}

/* Enough shares: open everything.  They are forgotten whatever happens. */
static int unseal_with_shares(struct lifecycle *l, struct seal *seal, bool migrate,
                              struct err *err)
{
    AUTO(secret_free) struct secret combined = { 0 };
    AUTO(secret_free) struct secret root_key = { 0 };
    int result = shares_combine(&l->given, &combined, err);
    forget_shares(l);
    if (result < 0)
        return -1;
    TRY(unseal_root_key(l->settings->physical, seal, secret_str(&combined), &root_key, err));
    if (migrate) {
        pthread_mutex_lock(&l->mu);
        l->migration_key = secret_take(&combined);
        pthread_mutex_unlock(&l->mu);
    }
    if (open_store(l, secret_str(&root_key), err) < 0) {
        forget_migration(l);
        return -1;
    }
    if (seal == NULL && !migrate)
        keep_kek(l, secret_str(&combined));
    return 0;
}

/* ---- joining a cluster ---- */

static int open_with_seal(void *ctx, struct str sealed, struct buf *out, struct err *err)
{
    return seal_decrypt(ctx, sealed, out, err);
}

/* The shares make the key of the cluster's seal; they are kept for the unseal that follows. */
static int join_with_shares(struct lifecycle *l, struct err *err)
{
    AUTO(secret_free) struct secret kek = { 0 };
    AUTO(seal_drop) struct seal *seal = NULL;
    int result = shares_combine(&l->given, &kek, err);
    if (result == 0)
        result = seal_shamir_new(secret_str(&kek), &seal, err);
    if (result == 0)
        result = join_finish(l->join, open_with_seal, seal, err);
    if (result < 0)
        forget_shares(l);
    return result;
}

/* A member was found; a seal that needs nobody does the rest. */
static int join_with_seal(struct lifecycle *l, struct err *err)
{
    if (l->settings->seal == NULL)
        return 0;
    TRY(join_finish(l->join, open_with_seal, l->settings->seal, err));
    return lifecycle_unseal_stored(l, err);
}

static int found_member(void *ctx)
{
    struct err err = { 0 };
    if (join_with_seal(ctx, &err) == 0)
        return 0;
    LOG(&lg, ERROR, "failed to join the raft cluster: error=%s", err.msg);
    return -1;
}

int lifecycle_join(struct lifecycle *l, const struct join_target *targets, size_t n,
                   bool non_voter, bool retry, struct err *err)
{
    if (retry)
        return join_ask_until(l->join, targets, n, non_voter, found_member, l, err);
    int asked = join_ask(l->join, targets, n, non_voter, err);
    return asked <= 0 ? asked : join_with_seal(l, err);
}

static int keep_share(struct lifecycle *l, struct str share, struct err *err)
{
    pthread_mutex_lock(&l->mu);
    if (l->given.n == 0)
        random_uuid(l->nonce);
    int result = shares_add(&l->given, share, "unseal", err);
    pthread_mutex_unlock(&l->mu);
    return result;
}

static int unseal_locked(struct lifecycle *l, struct str share, bool migrate, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct seal_config config;
    struct seal *seal = l->settings->seal;
    enum migration state;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    TRY(migration_now(l, &state, err));
    TRY(unseal_check_migrate(state, migrate, err));
    int found = lifecycle_people(l, a, &config, err), joins = 0;
    if (found == 0)
        found = joins = join_pending(l->join, a, &config, err);
    if (found < 0)
        return -1;
    if (found == 0)
        return err_set(err, ERR_BAD_REQUEST, "Vault is not initialized");
    TRY(unseal_check_share(share, err));
    if (service_mode(l->service) != SERVICE_OFF || shares_hold(&l->given, share))
        return 0;
    if (state == MIGRATION_PENDING)
        TRY(migrate_seal_source(l->settings, &seal, err));
    TRY(keep_share(l, share, err));
    if ((int64_t)l->given.n < config.threshold)
        return 0;
    if (joins > 0)
        TRY(join_with_shares(l, err));
    return unseal_with_shares(l, seal, state == MIGRATION_PENDING, err);
}

static int unseal(struct lifecycle *l, struct str share, bool migrate, struct err *err)
{
    AUTO(metric_end) struct metric_timer timer = metric_start(METRIC_CORE_UNSEAL);
    pthread_mutex_lock(&l->change);
    int result = unseal_locked(l, share, migrate, err);
    pthread_mutex_unlock(&l->change);
    return result;
}

int lifecycle_unseal(struct lifecycle *l, struct str share, struct err *err)
{
    return unseal(l, share, false, err);
}

int lifecycle_unseal_migrate(struct lifecycle *l, struct str share, struct err *err)
{
    return unseal(l, share, true, err);
}

void lifecycle_unseal_reset(struct lifecycle *l)
{
    pthread_mutex_lock(&l->change);
    forget_shares(l);
    pthread_mutex_unlock(&l->change);
}

/* ---- unsealing by the seal ---- */

static int open_by_seal(struct lifecycle *l, struct str root_key, uint64_t seals, struct err *err)
{
    if (service_mode(l->service) != SERVICE_OFF)
        return 0;
    if (l->seals != seals)
        return err_set(err, ERR_CONFLICT, "it was sealed meanwhile");
    TRY(open_store(l, root_key, err));
    LOG(&lg, INFO, "unsealed with stored key");
    return 0;
}

int lifecycle_unseal_stored(struct lifecycle *l, struct err *err)
{
    AUTO(secret_free) struct secret root_key = { 0 };
    enum migration state;
    struct err why = { 0 };
    if (l->settings->seal == NULL || service_mode(l->service) != SERVICE_OFF)
        return 0;
    pthread_mutex_lock(&l->change);
    uint64_t seals = l->seals;
    pthread_mutex_unlock(&l->change);
    TRY(migration_now(l, &state, err));
    if (state == MIGRATION_PENDING)
        return err_set(err, ERR_CONFLICT, "cannot auto-unseal during seal migration");
    LOG(&lg, INFO, "stored unseal keys supported, attempting fetch");
    /* Another server may be slow: nobody waits for it here. */
    if (keychain_open_root_key(l->settings->physical, l->settings->seal, &root_key, &why) < 0)
        return why.code == ERR_UNINITIALISED
                   ? err_set(err, why.code, "%s", why.msg)
                   : err_set(err, why.code, "fetching stored unseal keys failed: %s", why.msg);
    pthread_mutex_lock(&l->change);
    int result = open_by_seal(l, secret_str(&root_key), seals, err);
    pthread_mutex_unlock(&l->change);
    return result;
}

static int unseal_again(void *ctx, struct err *err)
{
    return lifecycle_unseal_stored(ctx, err);
}

void lifecycle_unseal_by_itself(struct lifecycle *l)
{
    autounseal_wake(l->autounseal);
}

static int renew_stored_keys(void *ctx, struct err *err)
{
    struct lifecycle *l = ctx;
    struct storage *physical = l->settings->physical;
    struct seal *seal = l->settings->seal;
    AUTO(buf_free) struct buf key_id = { 0 };
    AUTO(keychain_renewed_free) struct keychain_renewed root = { 0 };
    AUTO(keychain_renewed_free) struct keychain_renewed recovery = { 0 };
    TRY(seal_key_id(seal, &key_id, err));
    TRY(keychain_renew(physical, seal, buf_str(&key_id), KEYCHAIN_ROOT_KEY, &root, err));
    TRY(keychain_renew(physical, seal, buf_str(&key_id), KEYCHAIN_RECOVERY_KEY, &recovery, err));
    struct keychain_renewed both[] = { root, recovery };
    int result = enter(l, err);
    if (result == 0)
        result = keychain_store_renewed(physical, both, ARRAY_LEN(both), err);
    return leave(l, result);
}

int lifecycle_seal(struct lifecycle *l, struct err *err)
{
    AUTO(metric_end) struct metric_timer timer = metric_start(METRIC_CORE_SEAL);
    autounseal_hold(l->autounseal);
    pthread_mutex_lock(&l->change);
    l->seals++;
    forget_shares(l);
    forget_migration(l);
    go_sealed(l);
    pthread_mutex_unlock(&l->change);
    LOG(&lg, INFO, "vault is sealed");
    return 0;
}

int lifecycle_status(struct lifecycle *l, struct unseal_status *out, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct seal_config config;
    enum migration state;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    *out = (struct unseal_status){ .sealed = true, .recovery_seal = l->settings->seal != NULL };
    snprintf(out->type, sizeof out->type, "%s",
             l->settings->seal == NULL ? "shamir" : l->settings->seal->ops->type);
    /* The keyring counts, as for sys/init: a configuration alone cannot be unsealed. */
    int found = lifecycle_initialised(l, err);
    if (found > 0)
        found = lifecycle_people(l, a, &config, err);
    else if (found == 0)
        found = join_pending(l->join, a, &config, err);
    if (found < 0)
        return -1;
    out->initialised = found > 0;
    out->sealed = service_mode(l->service) == SERVICE_OFF;
    if (found == 0)
        return 0;
    TRY(migration_state(l, &state, err));
    /* As Vault: the type of what the people hold. */
    snprintf(out->type, sizeof out->type, STR_FMT, STR_ARG(config.type));
    out->migration = state == MIGRATION_PENDING || state == MIGRATION_UNSURE;
    out->threshold = config.threshold;
    out->shares = config.shares;
    pthread_mutex_lock(&l->mu);
    out->progress = (int64_t)l->given.n;
    memcpy(out->nonce, l->nonce, sizeof out->nonce);
    pthread_mutex_unlock(&l->mu);
    return 0;
}

/* ---- made and undone ---- */

static int seal_text(void *lifecycle, struct str text, struct buf *out, struct err *err)
{
    return lifecycle_seal_encrypt(lifecycle, text, out, err);
}

int lifecycle_new(const struct core_settings *settings, struct lifecycle **out, struct err *err)
{
    struct lifecycle *l = calloc(1, sizeof *l);
    if (l == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    l->settings = settings;
    l->migration = MIGRATION_UNSURE;
    pthread_mutex_init(&l->change, NULL);
    pthread_mutex_init(&l->mu, NULL);
    struct service_calls runs = { l, before_active, became_active, lifecycle_seal, seal_text };
    struct autounseal_calls calls = { unseal_again, renew_stored_keys, l };
    if (barrier_new(settings->physical, &l->barrier, err) < 0
        || service_new(settings, &runs, l->barrier, &l->service, err) < 0
        || join_new(settings, &l->join, err) < 0
        || (settings->seal != NULL && autounseal_new(&calls, &l->autounseal, err) < 0)) {
        lifecycle_free(l);
        return -1;
    }
    *out = l;
    return 0;
}

int lifecycle_check_seal(struct lifecycle *l, struct err *err)
{
    enum migration state;
    TRY(migrate_seal_state(l->settings, &state, err));
    if (state == MIGRATION_PENDING)
        LOG(&lg, WARN, "entering seal migration mode; Vault will not automatically unseal even if "
                       "using an autoseal: to_barrier_type=%s",
            l->settings->seal == NULL ? "shamir" : l->settings->seal->ops->type);
    return 0;
}

void lifecycle_free(struct lifecycle *l)
{
    if (l == NULL)
        return;
    if (l->service != NULL) { /* a store under other keys seals by itself: let that end first */
        autounseal_hold(l->autounseal);
        pthread_mutex_lock(&l->change);
        service_stop(l->service);
        pthread_mutex_unlock(&l->change);
        service_quiet(l->service);
    }
    autounseal_free(l->autounseal);
    l->autounseal = NULL;
    join_free(l->join);
    forget_shares(l);
    forget_migration(l);
    if (l->service != NULL)
        go_sealed(l);
    service_free(l->service);
    barrier_free(l->barrier);
    pthread_mutex_destroy(&l->mu);
    pthread_mutex_destroy(&l->change);
    free(l);
}

int lifecycle_init(struct lifecycle *l, struct arena *a, const struct init_request *want,
                   struct init_result *out, struct err *err)
{
    struct init_parts parts = { l->settings, l, l->barrier };
    struct err why = { 0 };
    pthread_mutex_lock(&l->change);
    int result = init_store(&parts, a, want, out, err);
    pthread_mutex_unlock(&l->change);
    if (result < 0)
        return -1;
    /* The caller gets the keys even if the seal's server went away just now. */
    if (lifecycle_unseal_stored(l, &why) < 0) {
        LOG(&lg, ERROR, "initialised, but not unsealed: error=%s", why.msg);
        autounseal_wake(l->autounseal);
    }
    return 0;
}
