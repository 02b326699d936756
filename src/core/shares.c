/* Collecting key shares. */
#include "core/shares.h"

enum { SHARE_MIN = 16, SHARE_MAX = 33 };

int shares_check(struct str share, struct err *err)
{
    if (share.n < SHARE_MIN)
        return err_set(err, ERR_BAD_REQUEST, "key is shorter than minimum %d bytes", SHARE_MIN);
    if (share.n > SHARE_MAX)
        return err_set(err, ERR_BAD_REQUEST, "key is longer than maximum %d bytes", SHARE_MAX);
    return 0;
}

int shares_add(struct shares *s, struct str share, const char *what, struct err *err)
{
    for (size_t i = 0; i < s->n; i++)
        if (secret_eq(secret_str(&s->v[i]), share))
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
