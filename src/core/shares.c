/* Collecting key shares, and the key they make. */
#include "core/shares.h"

#include "codec/base64.h"
#include "crypto/pgp.h"
#include "crypto/shamir.h"

enum { SHARE_MIN = 16, SHARE_MAX = 33 };

int shares_check(struct str share, struct err *err)
{
    if (share.n < SHARE_MIN)
        return err_set(err, ERR_BAD_REQUEST, "key is shorter than minimum %d bytes", SHARE_MIN);
    if (share.n > SHARE_MAX)
        return err_set(err, ERR_BAD_REQUEST, "key is longer than maximum %d bytes", SHARE_MAX);
    return 0;
}

bool shares_hold(const struct shares *s, struct str share)
{
    for (size_t i = 0; i < s->n; i++)
        if (secret_eq(secret_str(&s->v[i]), share))
            return true;
    return false;
}

int shares_add(struct shares *s, struct str share, const char *what, struct err *err)
{
    if (shares_hold(s, share))
        return err_set(err, ERR_BAD_REQUEST,
                       "given key has already been provided during this %s operation", what);
    if (s->n == SHARES_MAX)
        return err_set(err, ERR_BAD_REQUEST, "too many keys");
    TRY(secret_set(&s->v[s->n], share, err));
    s->n++;
    return 0;
}

void shares_forget(struct shares *s)
{
    for (size_t i = 0; i < s->n; i++)
        secret_free(&s->v[i]);
    s->n = 0;
}

int shares_combine(const struct shares *s, struct secret *out, struct err *err)
{
    struct str parts[SHARES_MAX];
    if (s->n == 1)
        return secret_set(out, secret_str(&s->v[0]), err);
    for (size_t i = 0; i < s->n; i++)
        parts[i] = secret_str(&s->v[i]);
    return shamir_combine(parts, (int)s->n, out, err);
}

int shares_split(struct arena *a, struct str key, const struct seal_config *config,
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
