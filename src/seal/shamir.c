/* The Shamir seal: AES-256-GCM under the key-encryption key. */
#include "seal/shamir.h"

#include <stdlib.h>

#include "seal/blob.h"

enum { KEK_LEN = 32 };

struct shamir {
    struct seal base; /* first */
    struct secret kek;
};

static int shamir_encrypt(struct seal *s, struct str text, struct buf *out, struct err *err)
{
    AUTO(buf_free) struct buf sealed = { 0 };

    TRY(seal_blob_lock(secret_str(&((struct shamir *)s)->kek), text, &sealed, err));
    seal_blob_print(out, &(struct seal_blob){ .ciphertext = buf_str(&sealed) });
    return buf_check(out, err);
}

static int shamir_decrypt(struct seal *s, struct str entry, struct buf *out, struct err *err)
{
    struct seal_blob b;

    TRY(seal_blob_parse(entry, &b, err));
    return seal_blob_unlock(secret_str(&((struct shamir *)s)->kek), b.ciphertext, out, err);
}

/* Its keys have no names. */
static int shamir_key_id(struct seal *s, struct buf *out, struct err *err)
{
    return 0;
}

static void shamir_close(struct seal *s)
{
    secret_free(&((struct shamir *)s)->kek);
    free(s);
}

static const struct seal_ops shamir_ops = {
    .type = "shamir",
    .encrypt = shamir_encrypt,
    .decrypt = shamir_decrypt,
    .key_id = shamir_key_id,
    .close = shamir_close,
};

int seal_shamir_new(struct str kek, struct seal **out, struct err *err)
{
    if (kek.n != KEK_LEN)
        return err_set(err, ERR_DENIED,
                       "failed to setup unseal key: crypto/aes: invalid key size %zu", kek.n);
    struct shamir *s = calloc(1, sizeof *s);
    if (s == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    s->base.ops = &shamir_ops;
    if (secret_set(&s->kek, kek, err) < 0) {
        free(s);
        return -1;
    }
    *out = &s->base;
    return 0;
}
