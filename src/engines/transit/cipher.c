/* The three convergent schemes, derived keys and RSA behind one pair of calls. */
#include "engines/transit/cipher.h"

#include "base/random.h"
#include "codec/base64.h"
#include "crypto/digest.h"

enum { NONCE_KEY_LEN = 32 }; /* second half of what scheme 3 derives */

int transit_cipher_pick(const struct transit_key *k, const char *what, int64_t *version,
                        struct err *err)
{
    if (*version == 0)
        *version = k->latest;
    else if (*version < 0)
        return err_set(err, ERR_BAD_REQUEST, "requested version for %s is negative", what);
    else if (*version > k->latest)
        return err_set(err, ERR_BAD_REQUEST,
                       "requested version for %s is higher than the latest key version", what);
    else if (*version < k->min_encryption)
        return err_set(err, ERR_BAD_REQUEST,
                       "requested version for %s is less than the minimum encryption key version",
                       what);
    return 0;
}

struct str transit_cipher_join(struct arena *a, const struct transit_key *k, int64_t version,
                               struct str text)
{
    char digits[20], *p = digits + sizeof digits;
    int64_t left = version;
    do
        *--p = (char)('0' + left % 10);
    while ((left /= 10) > 0);

    size_t n = (size_t)(digits + sizeof digits - p);
    char *out = arena_bytes(a, k->before.n + n + k->after.n + text.n), *at = out;
    if (out == NULL)
        return (struct str){ NULL, 0 };
    memcpy(at, k->before.p, k->before.n);
    at += k->before.n;
    memcpy(at, p, n);
    at += n;
    memcpy(at, k->after.p, k->after.n);
    at += k->after.n;
    if (text.n > 0)
        memcpy(at, text.p, text.n);
    return str_mem(out, (size_t)(at - out) + text.n);
}

int transit_cipher_split(const struct transit_key *k, const char *noun, struct str text,
                         int64_t *version, struct str *rest, struct err *err)
{
    if (!str_starts(text, k->before))
        return err_set(err, ERR_BAD_REQUEST, "invalid %s: no prefix", noun);
    text = str_from(text, k->before.n);
    ptrdiff_t at = str_find(text, k->after);
    if (at < 0)
        return err_set(err, ERR_BAD_REQUEST, "invalid %s: wrong number of fields", noun);
    if (!str_to_i64(str_head(text, (size_t)at), version))
        return err_set(err, ERR_BAD_REQUEST, "invalid %s: version number could not be decoded",
                       noun);
    *rest = str_from(text, (size_t)at + k->after.n);
    return 0;
}

int transit_cipher_allowed(const struct transit_key *k, const char *noun, int64_t version,
                           struct err *err)
{
    if (version > k->latest)
        return err_set(err, ERR_BAD_REQUEST, "invalid %s: version is too new", noun);
    if (k->min_decryption > 0 && version < k->min_decryption)
        return err_set(err, ERR_BAD_REQUEST,
                       "ciphertext or signature version is disallowed by policy (too old)");
    return 0;
}

static const struct transit_version *version_get(const struct transit_key *k, int64_t version,
                                                 struct err *err)
{
    const struct transit_version *v = transit_key_version(k, version);
    if (v == NULL)
        (void)err_set(err, ERR_BAD_REQUEST, "no such key version");
    return v;
}

/* ---- symmetric keys ---- */

/* The key of one call: the version's own, or one derived and to be released. */
struct lent {
    struct aead *aead;
    struct aead *derived;
    struct secret bytes; /* derived: key, and behind it the key of scheme 3's nonces */
    struct str nonce_key;
};

static void lent_end(struct lent *l)
{
    aead_free(l->derived);
    secret_free(&l->bytes);
}

static int lend(const struct transit_key *k, const struct transit_version *v, struct str context,
                int64_t scheme, struct lent *out, struct err *err)
{
    size_t n = k->info->key_len;

    out->nonce_key = context; /* of scheme 2 */
    if (!k->derived) {
        out->aead = v->aead;
        return 0;
    }
    TRY(transit_key_derive(k, v, context, &out->bytes, n + (scheme > 2 ? NONCE_KEY_LEN : 0), err));
    TRY(aead_new(k->info->aead, str_head(secret_str(&out->bytes), n), &out->derived, err));
    out->aead = out->derived;
    if (scheme > 2)
        out->nonce_key = str_from(secret_str(&out->bytes), n);
    return 0;
}

static int nonce_from_text(struct str key, struct str plaintext, uint8_t nonce[AEAD_NONCE],
                           struct err *err)
{
    uint8_t sum[DIGEST_MAX];
    if (key.n == 0)
        return err_set(err, ERR_INTERNAL, "invalid hmac key length of zero");
    TRY(digest_hmac(DIGEST_SHA256, key, plaintext, sum, err));
    memcpy(nonce, sum, AEAD_NONCE);
    explicit_bzero(sum, sizeof sum);
    return 0;
}

/*
 * A nonce of the client's is only for scheme 1.  Vault 1.8 takes it for keys that are not
 * convergent too, where one repetition gives the key's authentication away (CVE-2023-4680): later
 * versions refuse it with this text, and so do we.
 */
static int nonce_choose(const struct lent *l, int64_t scheme, const struct transit_aux *aux,
                        struct str plaintext, uint8_t nonce[AEAD_NONCE], struct err *err)
{
    switch (scheme) {
    case 0:
        if (aux->nonce.n > 0)
            return err_set(err, ERR_BAD_REQUEST, "provided nonce not allowed for this key");
        random_fill(nonce, AEAD_NONCE);
        return 0;
    case 1:
        if (aux->nonce.n != AEAD_NONCE)
            return err_set(err, ERR_BAD_REQUEST,
                           "base64-decoded nonce must be %d bytes long when using convergent "
                           "encryption with this key",
                           AEAD_NONCE);
        memcpy(nonce, aux->nonce.p, AEAD_NONCE);
        return 0;
    case 2:
    case 3:
        return nonce_from_text(l->nonce_key, plaintext, nonce, err);
    default:
        return err_set(err, ERR_INTERNAL, "unhandled convergent version %lld", (long long)scheme);
    }
}

static int seal(const struct transit_key *k, const struct transit_version *v,
                const struct transit_aux *aux, struct str plaintext, struct buf *out,
                struct err *err)
{
    AUTO(lent_end) struct lent l = { 0 };
    int64_t scheme = transit_key_convergent(k, v);
    uint8_t nonce[AEAD_NONCE];

    TRY(lend(k, v, aux->context, scheme, &l, err));
    TRY(nonce_choose(&l, scheme, aux, plaintext, nonce, err));
    if (scheme != 1)
        buf_add(out, str_mem(nonce, sizeof nonce));
    return aead_seal(l.aead, nonce, STR(""), plaintext, out, err);
}

static int open_sealed(const struct transit_key *k, const struct transit_version *v,
                       const struct transit_aux *aux, struct str sealed, struct buf *out,
                       struct err *err)
{
    AUTO(lent_end) struct lent l = { 0 };
    int64_t scheme = transit_key_convergent(k, v);
    struct str nonce = aux->nonce;

    if (scheme != 1) {
        nonce = str_head(sealed, AEAD_NONCE);
        sealed = str_from(sealed, AEAD_NONCE);
    }
    /* Decryption needs no key for nonces: the one in the ciphertext serves. */
    TRY(lend(k, v, aux->context, 0, &l, err));
    if (nonce.n != AEAD_NONCE)
        return err_set(err, ERR_BAD_REQUEST, "invalid ciphertext length");
    if (aead_open(l.aead, (const uint8_t *)nonce.p, STR(""), sealed, out, err) == 0)
        return 0;
    if (err->code != ERR_CORRUPT)
        return -1;
    return err_set(err, ERR_CORRUPT, "%s: message authentication failed",
                   k->type == TRANSIT_CHACHA20 ? "chacha20poly1305" : "cipher");
}

/* ---- both kinds ---- */

int transit_cipher_encrypt(struct arena *a, const struct transit_key *k, int64_t version,
                           const struct transit_aux *aux, struct str plaintext, struct str *out,
                           struct err *err)
{
    AUTO(buf_free) struct buf sealed = { 0 };

    if (!k->info->encrypts)
        return err_set(err, ERR_BAD_REQUEST, "message encryption not supported for key type %s",
                       k->info->name);
    const struct transit_version *v = version_get(k, version, err);
    if (v == NULL)
        return -1;
    if (k->info->symmetric)
        TRY(seal(k, v, aux, plaintext, &sealed, err));
    else if (pkey_rsa_seal(v->pkey, plaintext, &sealed, err) < 0)
        return err_prefix(err, "failed to RSA encrypt the plaintext");
    *out = transit_cipher_join(a, k, version, base64_encode(a, buf_str(&sealed)));
    return arena_check(a, err);
}

int transit_cipher_decrypt(struct arena *a, const struct transit_key *k,
                           const struct transit_aux *aux, struct str text, struct str *plaintext,
                           struct err *err)
{
    AUTO(buf_free) struct buf plain = { 0 };
    struct err ignored = { 0 };
    struct str sealed;
    int64_t version;

    if (!k->info->encrypts)
        return err_set(err, ERR_BAD_REQUEST, "message decryption not supported for key type %s",
                       k->info->name);
    TRY(transit_cipher_split(k, "ciphertext", text, &version, &sealed, err));
    if (version == 0)
        version = 1; /* keys of the first Vault counted from 0 */
    TRY(transit_cipher_allowed(k, "ciphertext", version, err));
    const struct transit_version *v = version_get(k, version, err);
    if (v == NULL)
        return -1;
    if (transit_key_convergent(k, v) == 1 && aux->nonce.n != AEAD_NONCE)
        return err_set(err, ERR_BAD_REQUEST, "invalid convergent nonce supplied");
    if (base64_decode(a, sealed, &sealed, &ignored) < 0)
        return err_set(err, ERR_BAD_REQUEST, "invalid ciphertext: could not decode base64");
    if (k->info->symmetric)
        TRY(open_sealed(k, v, aux, sealed, &plain, err));
    else if (pkey_rsa_open(v->pkey, sealed, &plain, err) < 0)
        return err_prefix(err, "failed to RSA decrypt the ciphertext");
    *plaintext = arena_dup(a, buf_str(&plain));
    return arena_check(a, err);
}
