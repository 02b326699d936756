/* The steps of making a root token: start, shares, token. */
#include "core/genroot.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/epoch.h"
#include "base/log.h"
#include "base/random.h"
#include "core/recovery.h"
#include "core/shares.h"
#include "core/start.h"
#include "crypto/pgp.h"

static const struct log lg = { "core" };

struct genroot {
    struct lifecycle *lifecycle;
    struct recovery *recovery; /* NULL: root tokens are made */
    pthread_mutex_t mu;
    /* Under mu.  No operation: nonce is empty. */
    char nonce[37];
    uint64_t life;     /* in which it was begun */
    struct secret otp; /* either this ... */
    struct buf pgp_key, fingerprint; /* ... or these */
    struct shares given;
};

int genroot_new(struct lifecycle *l, struct recovery *recovery, struct genroot **out,
                struct err *err)
{
    struct genroot *g = calloc(1, sizeof *g);
    if (g == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    g->lifecycle = l;
    g->recovery = recovery;
    pthread_mutex_init(&g->mu, NULL);
    *out = g;
    return 0;
}

static void forget(struct genroot *g)
{
    shares_forget(&g->given);
    secret_free(&g->otp);
    buf_free(&g->pgp_key);
    buf_free(&g->fingerprint);
    g->nonce[0] = 0;
}

void genroot_free(struct genroot *g)
{
    if (g == NULL)
        return;
    forget(g);
    pthread_mutex_destroy(&g->mu);
    free(g);
}

/* Take the lock; an operation from before a seal is gone. */
static int enter(struct genroot *g, struct err *err)
{
    pthread_mutex_lock(&g->mu);
    bool active = g->recovery != NULL || lifecycle_active(g->lifecycle) != NULL;
    if (g->nonce[0] != 0 && (!active || g->life != lifecycle_lives(g->lifecycle)))
        forget(g);
    return active ? 0 : err_set(err, ERR_SEALED, "Vault is sealed");
}

static int leave(struct genroot *g, int result)
{
    pthread_mutex_unlock(&g->mu);
    return result;
}

/* How many shares are wanted. */
static int threshold(struct genroot *g, struct arena *a, int64_t *out, struct err *err)
{
    struct seal_config now;
    int found = lifecycle_people(g->lifecycle, a, &now, err);
    if (found < 0)
        return -1;
    if (found == 0)
        return err_set(err, ERR_BAD_REQUEST, "server is not yet initialized");
    *out = now.threshold;
    return 0;
}

static int state_locked(struct genroot *g, struct arena *a, struct genroot_state *out,
                        struct err *err)
{
    *out = (struct genroot_state){ .started = g->nonce[0] != 0 };
    memcpy(out->nonce, g->nonce, sizeof out->nonce);
    out->progress = (int64_t)g->given.n;
    out->fingerprint = arena_dup(a, buf_str(&g->fingerprint));
    TRY(arena_check(a, err));
    return threshold(g, a, &out->required, err);
}

int genroot_state(struct genroot *g, struct arena *a, struct genroot_state *out, struct err *err)
{
    int result = enter(g, err);
    return leave(g, result < 0 ? -1 : state_locked(g, a, out, err));
}

static int take_key(struct genroot *g, struct str pgp_key, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct str unused, fingerprint;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    /* Only a message tells the fingerprint: one that nobody gets is made. */
    if (pgp_encrypt(a, pgp_key, STR("00"), &unused, &fingerprint, err) < 0)
        return err_prefix(err, "error parsing PGP key");
    buf_add(&g->pgp_key, pgp_key);
    buf_add(&g->fingerprint, fingerprint);
    TRY(buf_check(&g->pgp_key, err));
    return buf_check(&g->fingerprint, err);
}

static int start_locked(struct genroot *g, struct str otp, struct str pgp_key, struct err *err)
{
    if (otp.n > 0 && otp.n != GENROOT_OTP_LEN)
        return err_set(err, ERR_BAD_REQUEST, "OTP string is wrong length");
    if (otp.n == 0 && pgp_key.n == 0)
        return err_set(err, ERR_BAD_REQUEST, "otp or pgp_key parameter must be provided");
    if (g->nonce[0] != 0)
        return err_set(err, ERR_BAD_REQUEST, "root generation already in progress");
    if ((otp.n > 0 ? secret_set(&g->otp, otp, err) : take_key(g, pgp_key, err)) < 0) {
        forget(g);
        return -1;
    }
    g->life = lifecycle_lives(g->lifecycle);
    random_uuid(g->nonce);
    LOG(&lg, INFO, "root generation initialized: nonce=%s", g->nonce);
    return 0;
}

int genroot_start(struct genroot *g, struct str otp, struct str pgp_key, struct err *err)
{
    int result = enter(g, err);
    return leave(g, result < 0 ? -1 : start_locked(g, otp, pgp_key, err));
}

int genroot_cancel(struct genroot *g, struct err *err)
{
    int result = enter(g, err);
    if (result == 0)
        forget(g);
    return leave(g, result);
}

/* ---- shares ---- */

/* Do the shares given make the key of this store?  They are forgotten. */
static int authenticate(struct genroot *g, struct err *err)
{
    AUTO(secret_free) struct secret kek = { 0 };
    AUTO(secret_free) struct secret root_key = { 0 };
    int result = shares_combine(&g->given, &kek, err);
    shares_forget(&g->given);
    if (result < 0)
        return err_prefix(err, "failed to compute master key");
    if (lifecycle_seal_is_automatic(g->lifecycle)) {
        if (lifecycle_check_recovery_key(g->lifecycle, secret_str(&kek), err) < 0)
            return err_prefix(err, "root generation aborted: unable to authenticate");
        return 0;
    }
    struct barrier *b = lifecycle_barrier(g->lifecycle);
    if (lifecycle_open_root_key(g->lifecycle, secret_str(&kek), &root_key, err) < 0)
        return err_prefix(err, "root generation aborted: unable to authenticate");
    if (barrier_check_root_key(b, secret_str(&root_key), err) < 0)
        return err_prefix(err, "root generation aborted: master key verification failed");
    return 0;
}

/* Only who holds the pad or the PGP key can read it. */
static int encode(struct genroot *g, struct arena *a, struct str token, struct str *out,
                  struct err *err)
{
    if (g->otp.n == 0) {
        struct str message, fingerprint;
        TRY(pgp_encrypt(a, buf_str(&g->pgp_key), token, &message, &fingerprint, err));
        *out = base64_encode(a, message);
        return arena_check(a, err);
    }
    char *mixed = arena_bytes(a, token.n);
    if (token.n != g->otp.n)
        return err_set(err, ERR_INTERNAL, "length of the token is not equivalent: %zu != %zu",
                       token.n, g->otp.n);
    if (mixed == NULL)
        return arena_check(a, err);
    for (size_t i = 0; i < token.n; i++)
        mixed[i] = (char)((uint8_t)token.p[i] ^ g->otp.p[i]);
    *out = base64_encode(a, str_mem(mixed, token.n));
    while (str_ends(*out, STR("=")))
        out->n--;
    return arena_check(a, err);
}

/* The same shares open the barrier and make the one token. */
static int make_recovery_token(struct genroot *g, struct arena *a, struct str *encoded,
                               struct err *err)
{
    AUTO(secret_free) struct secret combined = { 0 };
    struct str token;
    int result = shares_combine(&g->given, &combined, err);
    shares_forget(&g->given);
    if (result < 0)
        return err_prefix(err, "failed to compute master key");
    if (recovery_open(g->recovery, a, secret_str(&combined), &token, err) < 0)
        return err_prefix(err, "recovery operation token generation aborted: unable to "
                               "authenticate");
    return encode(g, a, token, encoded, err);
}

static int make(struct genroot *g, struct arena *a, struct str *encoded, struct err *err)
{
    struct str token = { NULL, 0 };
    int result;
    epoch_enter();
    const struct active *on = lifecycle_active(g->lifecycle);
    result = on == NULL ? err_set(err, ERR_SEALED, "Vault is sealed")
                        : start_root_token(on, a, &token, err);
    if (result == 0 && encode(g, a, token, encoded, err) < 0) {
        struct err ignored = { 0 };
        result = -1;
        if (token_revoke_tree(on->tokens, token, &ignored) < 0)
            LOG(&lg, ERROR, "failed to revoke a root token that nobody got: error=%s",
                ignored.msg);
    }
    epoch_leave();
    return result;
}

static int update_locked(struct genroot *g, struct arena *a, struct str share, struct str nonce,
                         struct genroot_result *out, struct err *err)
{
    TRY(threshold(g, a, &out->required, err));
    if (g->nonce[0] == 0)
        return err_set(err, ERR_BAD_REQUEST, "no root generation in progress");
    if (!str_is(nonce, g->nonce))
        return err_set(err, ERR_BAD_REQUEST,
                       "incorrect nonce supplied; nonce for this root generation operation is "
                       "\"%s\"",
                       g->nonce);
    TRY(shares_add(&g->given, share, "generation", err));
    out->progress = (int64_t)g->given.n;
    out->fingerprint = arena_dup(a, buf_str(&g->fingerprint));
    if (out->progress < out->required)
        return arena_check(a, err);
    if (g->recovery != NULL) {
        TRY(make_recovery_token(g, a, &out->encoded, err));
    } else {
        TRY(authenticate(g, err));
        TRY(make(g, a, &out->encoded, err));
    }
    LOG(&lg, INFO, "root generation finished: nonce=%s", g->nonce);
    forget(g);
    return arena_check(a, err);
}

int genroot_update(struct genroot *g, struct arena *a, struct str share, struct str nonce,
                   struct genroot_result *out, struct err *err)
{
    *out = (struct genroot_result){ 0 };
    TRY(shares_check(share, err));
    int result = enter(g, err);
    return leave(g, result < 0 ? -1 : update_locked(g, a, share, nonce, out, err));
}
