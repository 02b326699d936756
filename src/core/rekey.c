/* The steps of a rekey: start, present shares, new shares, perhaps these given back, in force. */
#include "core/rekey.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/random.h"
#include "core/shares.h"
#include "crypto/pgp.h"

static const struct log lg = { "core" };

enum { KEY_LEN = 32 };

/* What differs between the two targets: where copies are kept, and Vault's words. */
static const struct rekey_words {
    struct str backup;
    const char *none, *operation, *combine, *perform, *verified;
} words[] = {
    [REKEY_BARRIER] = { STR_INIT("core/unseal-keys-backup"), "no barrier rekey in progress",
                        "generation", "failed to compute master key",
                        "failed to perform barrier rekey", "failed to perform rekey" },
    [REKEY_RECOVERY] = { STR_INIT("core/recovery-keys-backup"), "no recovery rekey in progress",
                         "rekey", "failed to compute recovery key",
                         "failed to perform recovery rekey",
                         "failed to perform recovery key rekey" },
};

struct rekey {
    struct lifecycle *lifecycle;
    enum rekey_target target;
    const struct rekey_words *words;
    pthread_mutex_t mu;
    /* Under mu.  No operation: arena is NULL. */
    struct arena *arena; /* of the operation: its configuration */
    uint64_t life;       /* in which it was begun */
    struct seal_config config;
    struct strs fingerprints;
    char nonce[37], verification_nonce[37];
    struct shares given, given_back;
    struct secret kek; /* made, but not yet verified */
};

int rekey_new(struct lifecycle *l, enum rekey_target target, struct rekey **out, struct err *err)
{
    struct rekey *r = calloc(1, sizeof *r);
    if (r == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    r->lifecycle = l;
    r->target = target;
    r->words = &words[target];
    pthread_mutex_init(&r->mu, NULL);
    *out = r;
    return 0;
}

static void forget(struct rekey *r)
{
    shares_forget(&r->given);
    shares_forget(&r->given_back);
    secret_free(&r->kek);
    arena_free(r->arena);
    r->arena = NULL;
    r->config = (struct seal_config){ 0 };
    r->fingerprints = (struct strs){ 0 };
    r->nonce[0] = r->verification_nonce[0] = 0;
}

void rekey_free(struct rekey *r)
{
    if (r == NULL)
        return;
    forget(r);
    pthread_mutex_destroy(&r->mu);
    free(r);
}

/* Take the lock; an operation from before a seal is gone. */
static int enter(struct rekey *r, struct err *err)
{
    pthread_mutex_lock(&r->mu);
    bool active = lifecycle_active(r->lifecycle) != NULL;
    if (r->arena != NULL && (!active || r->life != lifecycle_lives(r->lifecycle)))
        forget(r);
    if (!active)
        return err_set(err, ERR_STANDBY, "node is not active");
    if (r->target == REKEY_RECOVERY && !lifecycle_seal_is_automatic(r->lifecycle))
        return err_set(err, ERR_BAD_REQUEST, "recovery rekeying not supported");
    return 0;
}

static int leave(struct rekey *r, int result)
{
    pthread_mutex_unlock(&r->mu);
    return result;
}

static int present_config(struct rekey *r, struct arena *a, struct seal_config *out,
                          struct err *err)
{
    int found = lifecycle_people(r->lifecycle, a, out, err);
    return found == 0 ? err_set(err, ERR_BAD_REQUEST, "server is not yet initialized")
                      : found < 0 ? -1 : 0;
}

/* ---- state ---- */

static int state_locked(struct rekey *r, struct arena *a, struct rekey_state *out,
                        struct err *err)
{
    struct seal_config now;
    TRY(present_config(r, a, &now, err));
    *out = (struct rekey_state){ .required = now.threshold };
    if (r->arena == NULL)
        return 0;
    out->started = true;
    memcpy(out->nonce, r->nonce, sizeof out->nonce);
    memcpy(out->verification_nonce, r->verification_nonce, sizeof out->verification_nonce);
    out->threshold = r->config.threshold;
    out->shares = r->config.shares;
    out->progress = (int64_t)r->given.n;
    out->fingerprints = strs_copy(a, &r->fingerprints);
    out->backup = r->config.backup;
    out->verification_required = r->config.verification_required;
    return arena_check(a, err);
}

int rekey_state(struct rekey *r, struct arena *a, struct rekey_state *out, struct err *err)
{
    int result = enter(r, err);
    return leave(r, result < 0 ? -1 : state_locked(r, a, out, err));
}

/* ---- start, cancel ---- */

/* What an HTTP caller may ask for, whatever the seal. */
static int check_asked(const struct seal_config *want, struct err *err)
{
    if (want->backup && want->pgp_keys.n == 0)
        return err_set(err, ERR_BAD_REQUEST,
                       "cannot request a backup of the new keys without providing PGP keys for "
                       "encryption");
    if (want->pgp_keys.n > 0 && (int64_t)want->pgp_keys.n != want->shares)
        return err_set(err, ERR_BAD_REQUEST, "incorrect number of PGP keys for rekey");
    if (want->threshold > want->shares)
        return err_set(err, ERR_BAD_REQUEST, "provided threshold greater than the total shares");
    return 0;
}

/* The barrier's key goes to the seal, not to people: there is nothing to encrypt or to check. */
static int check_stored(const struct seal_config *want, struct err *err)
{
    if (want->pgp_keys.n > 0)
        return err_set(err, ERR_BAD_REQUEST,
                       "PGP key encryption not supported when using stored keys");
    if (want->backup)
        return err_set(err, ERR_BAD_REQUEST, "key backup not supported when using stored keys");
    if (want->verification_required)
        return err_set(err, ERR_BAD_REQUEST,
                       "requiring verification not supported when rekeying the barrier key with "
                       "recovery keys");
    return 0;
}

static bool is_stored(const struct rekey *r)
{
    return r->target == REKEY_BARRIER && lifecycle_seal_is_automatic(r->lifecycle);
}

static int check_want(const struct rekey *r, const struct seal_config *want, struct err *err)
{
    TRY(check_asked(want, err));
    if (is_stored(r))
        return check_stored(want, err);
    if (seal_config_check(want, err) < 0) {
        err_prefix(err, r->target == REKEY_RECOVERY ? "invalid recovery configuration"
                                                    : "invalid rekey seal configuration");
        err->code = ERR_INTERNAL;
        return -1;
    }
    return 0;
}

/* Only a message tells a key's fingerprint: one that nobody gets is made. */
static int find_fingerprints(struct rekey *r, struct err *err)
{
    for (size_t i = 0; i < r->config.pgp_keys.n; i++) {
        struct str unused, fingerprint;
        TRY(pgp_encrypt(r->arena, r->config.pgp_keys.v[i], STR("00"), &unused, &fingerprint, err));
        strs_add(r->arena, &r->fingerprints, fingerprint);
    }
    return arena_check(r->arena, err);
}

static int start_locked(struct rekey *r, const struct seal_config *want, struct err *err)
{
    if (r->arena != NULL)
        return err_set(err, ERR_BAD_REQUEST, "rekey already in progress");
    r->arena = arena_new();
    if (r->arena == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    r->life = lifecycle_lives(r->lifecycle);
    random_uuid(r->nonce);
    r->config = (struct seal_config){
        .shares = is_stored(r) ? 1 : want->shares,
        .threshold = is_stored(r) ? 1 : want->threshold,
        .pgp_keys = strs_copy(r->arena, &want->pgp_keys),
        .nonce = arena_dup(r->arena, str_of(r->nonce)),
        .backup = want->backup,
        .verification_required = want->verification_required,
    };
    if (find_fingerprints(r, err) < 0) {
        forget(r);
        return -1;
    }
    LOG(&lg, INFO, "rekey initialized: nonce=%s shares=%lld threshold=%lld", r->nonce,
        (long long)r->config.shares, (long long)r->config.threshold);
    return 0;
}

int rekey_start(struct rekey *r, const struct seal_config *want, struct err *err)
{
    int result = enter(r, err);
    if (result == 0)
        result = check_want(r, want, err);
    return leave(r, result < 0 ? -1 : start_locked(r, want, err));
}

int rekey_cancel(struct rekey *r, struct err *err)
{
    int result = enter(r, err);
    if (result == 0)
        forget(r);
    return leave(r, result);
}

/* ---- the present shares ---- */

static int check_unseal_key(struct rekey *r, struct str kek, struct err *err)
{
    AUTO(secret_free) struct secret root_key = { 0 };
    if (lifecycle_open_root_key(r->lifecycle, kek, &root_key, err) < 0) {
        err_prefix(err, "failed to read master key");
        err->code = err->code == ERR_DENIED ? ERR_INTERNAL : err->code;
        return -1;
    }
    struct barrier *b = lifecycle_barrier(r->lifecycle);
    if (barrier_check_root_key(b, secret_str(&root_key), err) < 0) {
        err_prefix(err, "master key verification failed");
        err->code = err->code == ERR_DENIED ? ERR_BAD_REQUEST : err->code;
        return -1;
    }
    return 0;
}

/* Do the shares given make the key of this store?  They are forgotten. */
static int authenticate(struct rekey *r, struct err *err)
{
    AUTO(secret_free) struct secret key = { 0 };
    int result = shares_combine(&r->given, &key, err);
    shares_forget(&r->given);
    if (result < 0) {
        err_prefix(err, "%s", r->words->combine);
        err->code = ERR_INTERNAL;
        return -1;
    }
    if (!lifecycle_seal_is_automatic(r->lifecycle))
        return check_unseal_key(r, secret_str(&key), err);
    struct err why = { 0 };
    if (lifecycle_check_recovery_key(r->lifecycle, secret_str(&key), &why) < 0)
        return err_set(err, why.code == ERR_DENIED ? ERR_BAD_REQUEST : ERR_INTERNAL, "%s", why.msg);
    return 0;
}

/* By fingerprint, in hex. */
static int back_up(struct rekey *r, struct arena *a, const struct strs *shares, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    struct json *o = json_object(a), *keys = json_object(a);
    for (size_t i = 0; i < shares->n && i < r->fingerprints.n; i++) {
        struct json *list = json_get(keys, r->fingerprints.v[i]);
        if (list == NULL) {
            list = json_array(a);
            json_set(keys, r->fingerprints.v[i], list);
        }
        json_add_str(list, hex_encode(a, shares->v[i]));
    }
    json_put_text(o, "Nonce", r->nonce);
    json_put(o, "Keys", keys);
    TRY(arena_check(a, err));
    json_print(o, &text);
    TRY(buf_check(&text, err));
    return storage_put(lifecycle_settings(r->lifecycle)->physical, r->words->backup, buf_str(&text),
                       err);
}

/* The new key comes into force. */
static int put_in_force(struct rekey *r, struct str key, const char *what, struct err *err)
{
    struct err why = { 0 };
    int result = r->target == REKEY_RECOVERY
                     ? lifecycle_rekey_recovery(r->lifecycle, key, &r->config, &why)
                     : lifecycle_rekey(r->lifecycle, key, &r->config, &why);
    if (result == 0)
        return 0;
    return err_set(err, why.code == ERR_UPSTREAM ? ERR_INTERNAL : why.code, "%s: %s", what,
                   why.msg);
}

/* The new key and its shares; in force now, or when the shares came back. */
static int finish(struct rekey *r, struct arena *a, struct rekey_result *out, struct err *err)
{
    AUTO(secret_free) struct secret kek = { 0 };
    TRY(secret_random(&kek, KEY_LEN, err));
    if (!is_stored(r))
        TRY(shares_split(a, secret_str(&kek), &r->config, &out->shares, err));
    out->fingerprints = strs_copy(a, &r->fingerprints);
    out->backup = r->config.backup;
    out->verification_required = r->config.verification_required;
    TRY(arena_check(a, err));
    if (r->config.backup)
        TRY(back_up(r, a, &out->shares, err));
    if (r->config.verification_required) {
        random_uuid(r->verification_nonce);
        memcpy(out->verification_nonce, r->verification_nonce, sizeof out->verification_nonce);
        r->kek = secret_take(&kek);
    } else {
        TRY(put_in_force(r, secret_str(&kek), r->words->perform, err));
        forget(r);
    }
    out->complete = true;
    return 0;
}

static int update_locked(struct rekey *r, struct arena *a, struct str share, struct str nonce,
                         struct rekey_result *out, struct err *err)
{
    struct seal_config now;
    TRY(shares_check(share, err));
    TRY(present_config(r, a, &now, err));
    if (r->arena == NULL)
        return err_set(err, ERR_BAD_REQUEST, "%s", r->words->none);
    if (r->kek.n > 0)
        return err_set(err, ERR_BAD_REQUEST,
                       "rekey operation already finished; verification must be performed; nonce "
                       "for the verification operation is \"%s\"",
                       r->verification_nonce);
    if (!str_is(nonce, r->nonce))
        return err_set(err, ERR_BAD_REQUEST,
                       "incorrect nonce supplied; nonce for this rekey operation is \"%s\"",
                       r->nonce);
    TRY(shares_add(&r->given, share, r->words->operation, err));
    if ((int64_t)r->given.n < now.threshold)
        return 0;
    TRY(authenticate(r, err));
    return finish(r, a, out, err);
}

int rekey_update(struct rekey *r, struct arena *a, struct str share, struct str nonce,
                 struct rekey_result *out, struct err *err)
{
    *out = (struct rekey_result){ 0 };
    int result = enter(r, err);
    return leave(r, result < 0 ? -1 : update_locked(r, a, share, nonce, out, err));
}

/* ---- the new shares, given back ---- */

static int verify_state_locked(struct rekey *r, struct rekey_verify_state *out, struct err *err)
{
    if (r->arena == NULL)
        return err_set(err, ERR_BAD_REQUEST, "no rekey configuration found");
    *out = (struct rekey_verify_state){
        .started = r->kek.n > 0,
        .threshold = r->config.threshold,
        .shares = r->config.shares,
        .progress = (int64_t)r->given_back.n,
    };
    memcpy(out->nonce, r->verification_nonce, sizeof out->nonce);
    return 0;
}

int rekey_verify_state(struct rekey *r, struct rekey_verify_state *out, struct err *err)
{
    int result = enter(r, err);
    return leave(r, result < 0 ? -1 : verify_state_locked(r, out, err));
}

int rekey_verify_restart(struct rekey *r, struct err *err)
{
    int result = enter(r, err);
    if (result == 0 && r->arena != NULL) {
        shares_forget(&r->given_back);
        random_uuid(r->verification_nonce);
    }
    return leave(r, result);
}

/* Enough came back: are they the key that was made?  They are forgotten. */
static int compare(struct rekey *r, struct err *err)
{
    AUTO(secret_free) struct secret kek = { 0 };
    int result = shares_combine(&r->given_back, &kek, err);
    shares_forget(&r->given_back);
    if (result < 0) {
        err_prefix(err, "failed to compute key for verification");
        err->code = ERR_INTERNAL;
        return -1;
    }
    if (!secret_eq(secret_str(&kek), secret_str(&r->kek)))
        return err_set(err, ERR_BAD_REQUEST,
                       "rekey verification failed; incorrect key shares supplied");
    return put_in_force(r, secret_str(&r->kek), r->words->verified, err);
}

static int verify_locked(struct rekey *r, struct str share, struct str nonce, bool *complete,
                         struct err *err)
{
    TRY(shares_check(share, err));
    if (r->arena == NULL)
        return err_set(err, ERR_BAD_REQUEST, "no rekey in progress");
    if (r->kek.n == 0)
        return err_set(err, ERR_BAD_REQUEST, "no rekey verification in progress");
    if (!str_is(nonce, r->verification_nonce))
        return err_set(err, ERR_BAD_REQUEST,
                       "incorrect nonce supplied; nonce for this verify operation is \"%s\"",
                       r->verification_nonce);
    TRY(shares_add(&r->given_back, share, "verify", err));
    if ((int64_t)r->given_back.n < r->config.threshold)
        return 0;
    if (compare(r, err) < 0) {
        /* The next attempt is another one, as Vault. */
        random_uuid(r->verification_nonce);
        return -1;
    }
    forget(r);
    *complete = true;
    return 0;
}

int rekey_verify(struct rekey *r, struct str share, struct str nonce, bool *complete,
                 struct err *err)
{
    *complete = false;
    int result = enter(r, err);
    return leave(r, result < 0 ? -1 : verify_locked(r, share, nonce, complete, err));
}
