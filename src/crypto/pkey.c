/* Asymmetric keys over OpenSSL's EVP_PKEY. */
#include "crypto/pkey.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>

struct pkey {
    enum pkey_kind kind;
    EVP_PKEY *evp;
};

enum { MAX_COORDINATE = 66 }; /* of P-521 */

static void bn_drop(BIGNUM **n)
{
    BN_clear_free(*n);
}

static void ctx_drop(EVP_PKEY_CTX **ctx)
{
    EVP_PKEY_CTX_free(*ctx);
}

static void bn_ctx_drop(BN_CTX **ctx)
{
    BN_CTX_free(*ctx);
}

static void bld_drop(OSSL_PARAM_BLD **bld)
{
    OSSL_PARAM_BLD_free(*bld);
}

/* OpenSSL releases the copies of private numbers without wiping them. */
static void params_drop(OSSL_PARAM **params)
{
    for (OSSL_PARAM *p = *params; p != NULL && p->key != NULL; p++)
        OPENSSL_cleanse(p->data, p->data_size);
    OSSL_PARAM_free(*params);
}

static void bio_drop(BIO **bio)
{
    BIO_free(*bio); /* of memory: wiped */
}

/* The queue belongs to the thread: leave nothing in it for the next caller. */
static int failed(struct err *err, enum err_code code, const char *what)
{
    ERR_clear_error();
    return err_set(err, code, "%s", what);
}

static int wrap(enum pkey_kind kind, EVP_PKEY *evp, struct pkey **out, struct err *err)
{
    struct pkey *k = malloc(sizeof *k);
    if (k == NULL) {
        EVP_PKEY_free(evp);
        return err_set(err, ERR_NOMEM, "out of memory for a key");
    }
    *k = (struct pkey){ kind, evp };
    *out = k;
    return 0;
}

static const char *curve_name(enum pkey_kind kind)
{
    switch (kind) {
    case PKEY_P256:
        return "P-256";
    case PKEY_P384:
        return "P-384";
    case PKEY_P521:
        return "P-521";
    case PKEY_ED25519:
    case PKEY_RSA:
        break;
    }
    return NULL;
}

size_t pkey_size(const struct pkey *k)
{
    switch (k->kind) {
    case PKEY_ED25519:
    case PKEY_P256:
        return 32;
    case PKEY_P384:
        return 48;
    case PKEY_P521:
        return MAX_COORDINATE;
    case PKEY_RSA:
        break;
    }
    return (size_t)EVP_PKEY_get_size(k->evp);
}

int pkey_generate(enum pkey_kind kind, int rsa_bits, struct pkey **out, struct err *err)
{
    EVP_PKEY *evp;

    if (kind == PKEY_RSA)
        evp = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)rsa_bits);
    else if (kind == PKEY_ED25519)
        evp = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    else
        evp = EVP_PKEY_Q_keygen(NULL, NULL, "EC", curve_name(kind));
    if (evp == NULL)
        return failed(err, ERR_INTERNAL, "key generation failed");
    return wrap(kind, evp, out, err);
}

int pkey_from_ed25519(struct str seed, struct pkey **out, struct err *err)
{
    EVP_PKEY *evp = NULL;
    if (seed.n == PKEY_ED25519_SEED)
        evp = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, (const uint8_t *)seed.p, seed.n);
    if (evp == NULL)
        return failed(err, ERR_CORRUPT, "not an Ed25519 private key");
    return wrap(PKEY_ED25519, evp, out, err);
}

/* A decimal number. -1: ERR_CORRUPT: not one, or absurdly long. */
static int bn_of(struct str text, BIGNUM **out, struct err *err)
{
    enum { MAX_DIGITS = 10000 };
    AUTO(buf_free) struct buf z = { 0 };

    if (text.n == 0 || text.n > MAX_DIGITS)
        return err_set(err, ERR_CORRUPT, "a number of the key is missing or too long");
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < '0' || text.p[i] > '9')
            return err_set(err, ERR_CORRUPT, "a number of the key is not a whole number");
    buf_add(&z, text);
    buf_byte(&z, 0);
    TRY(buf_check(&z, err));
    if (BN_dec2bn(out, z.p) == 0)
        return failed(err, ERR_NOMEM, "out of memory for a number of the key");
    return 0;
}

static int from_params(const char *type, OSSL_PARAM_BLD *bld, EVP_PKEY **out, struct err *err)
{
    AUTO(params_drop) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
    AUTO(ctx_drop) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);

    if (params == NULL || ctx == NULL)
        return failed(err, ERR_NOMEM, "out of memory for a key");
    if (EVP_PKEY_fromdata_init(ctx) <= 0 ||
        EVP_PKEY_fromdata(ctx, out, EVP_PKEY_KEYPAIR, params) <= 0)
        return failed(err, ERR_CORRUPT, "the numbers are not a private key");
    return 0;
}

int pkey_from_ec(enum pkey_kind kind, const struct pkey_ec *numbers, struct pkey **out,
                 struct err *err)
{
    AUTO(bn_drop) BIGNUM *x = NULL, *y = NULL, *d = NULL;
    AUTO(bld_drop) OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    size_t size = pkey_size(&(struct pkey){ .kind = kind });
    uint8_t point[1 + 2 * MAX_COORDINATE] = { POINT_CONVERSION_UNCOMPRESSED };
    EVP_PKEY *evp = NULL;

    TRY(bn_of(numbers->x, &x, err));
    TRY(bn_of(numbers->y, &y, err));
    TRY(bn_of(numbers->d, &d, err));
    if (BN_bn2binpad(x, point + 1, (int)size) < 0 ||
        BN_bn2binpad(y, point + 1 + size, (int)size) < 0)
        return failed(err, ERR_CORRUPT, "a coordinate of the key is too large for its curve");
    if (bld == NULL ||
        !OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, curve_name(kind), 0) ||
        !OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * size) ||
        !OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, d))
        return failed(err, ERR_NOMEM, "out of memory for a key");
    TRY(from_params("EC", bld, &evp, err));
    return wrap(kind, evp, out, err);
}

/* The Chinese remainder numbers in the order in which OpenSSL wants them. */
struct crt {
    BIGNUM *p, *q, *dp, *dq, *qinv;
};

static void crt_drop(struct crt *c)
{
    bn_drop(&c->p);
    bn_drop(&c->q);
    bn_drop(&c->dp);
    bn_drop(&c->dq);
    bn_drop(&c->qinv);
}

/* ${d} mod (${prime} - 1). */
static BIGNUM *exponent_for(const BIGNUM *d, const BIGNUM *prime, BN_CTX *ctx)
{
    AUTO(bn_drop) BIGNUM *less = BN_dup(prime);
    BIGNUM *r = BN_new();
    if (less == NULL || r == NULL || !BN_sub_word(less, 1) || !BN_mod(r, d, less, ctx)) {
        BN_clear_free(r);
        return NULL;
    }
    return r;
}

static int crt_of(const struct pkey_rsa *numbers, const BIGNUM *d, struct crt *c, struct err *err)
{
    TRY(bn_of(numbers->p, &c->p, err));
    TRY(bn_of(numbers->q, &c->q, err));
    if (numbers->dp.n > 0 && numbers->dq.n > 0 && numbers->qinv.n > 0) {
        TRY(bn_of(numbers->dp, &c->dp, err));
        TRY(bn_of(numbers->dq, &c->dq, err));
        return bn_of(numbers->qinv, &c->qinv, err);
    }
    AUTO(bn_ctx_drop) BN_CTX *ctx = BN_CTX_secure_new();
    if (ctx == NULL)
        return failed(err, ERR_NOMEM, "out of memory for a key");
    c->dp = exponent_for(d, c->p, ctx);
    c->dq = exponent_for(d, c->q, ctx);
    c->qinv = BN_mod_inverse(NULL, c->q, c->p, ctx);
    if (c->dp == NULL || c->dq == NULL || c->qinv == NULL)
        return failed(err, ERR_CORRUPT, "the numbers are not an RSA key");
    return 0;
}

static bool push_rsa(OSSL_PARAM_BLD *bld, const BIGNUM *n, const BIGNUM *e, const BIGNUM *d,
                     const struct crt *c)
{
    return OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) &&
           OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e) &&
           OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_D, d) &&
           OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_FACTOR1, c->p) &&
           OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_FACTOR2, c->q) &&
           OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_EXPONENT1, c->dp) &&
           OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_EXPONENT2, c->dq) &&
           OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, c->qinv);
}

/* Does p q = n hold? A damaged number must not become a key that signs wrongly and leaks itself. */
static bool factors_match(const BIGNUM *n, const struct crt *c)
{
    AUTO(bn_ctx_drop) BN_CTX *ctx = BN_CTX_secure_new();
    AUTO(bn_drop) BIGNUM *product = BN_new();
    return ctx != NULL && product != NULL && BN_mul(product, c->p, c->q, ctx) &&
           BN_cmp(product, n) == 0;
}

int pkey_from_rsa(const struct pkey_rsa *numbers, struct pkey **out, struct err *err)
{
    AUTO(bn_drop) BIGNUM *n = NULL, *e = NULL, *d = NULL;
    AUTO(crt_drop) struct crt c = { 0 };
    AUTO(bld_drop) OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    EVP_PKEY *evp = NULL;

    TRY(bn_of(numbers->n, &n, err));
    TRY(bn_of(numbers->e, &e, err));
    TRY(bn_of(numbers->d, &d, err));
    TRY(crt_of(numbers, d, &c, err));
    if (!factors_match(n, &c))
        return failed(err, ERR_CORRUPT, "the primes are not those of the RSA key");
    if (bld == NULL || !push_rsa(bld, n, e, d, &c))
        return failed(err, ERR_NOMEM, "out of memory for a key");
    TRY(from_params("RSA", bld, &evp, err));
    return wrap(PKEY_RSA, evp, out, err);
}

static bool kind_of(const EVP_PKEY *evp, enum pkey_kind *kind)
{
    char group[32] = "";

    if (EVP_PKEY_is_a(evp, "RSA")) {
        *kind = PKEY_RSA;
        return true;
    }
    if (EVP_PKEY_is_a(evp, "ED25519")) {
        *kind = PKEY_ED25519;
        return true;
    }
    if (!EVP_PKEY_is_a(evp, "EC") || !EVP_PKEY_get_group_name(evp, group, sizeof group, NULL))
        return false;
    static const struct { const char *group; enum pkey_kind kind; } curves[] = {
        { "prime256v1", PKEY_P256 }, { "P-256", PKEY_P256 },     { "secp384r1", PKEY_P384 },
        { "P-384", PKEY_P384 },      { "secp521r1", PKEY_P521 }, { "P-521", PKEY_P521 },
    };
    for (size_t i = 0; i < ARRAY_LEN(curves); i++) {
        if (str_is(str_of(group), curves[i].group)) {
            *kind = curves[i].kind;
            return true;
        }
    }
    return false;
}

int pkey_take_evp(struct evp_pkey_st *evp, struct pkey **out, struct err *err)
{
    enum pkey_kind kind;

    if (!kind_of(evp, &kind)) {
        EVP_PKEY_free(evp);
        return failed(err, ERR_BAD_REQUEST, "unsupported type of key");
    }
    return wrap(kind, evp, out, err);
}

void pkey_free(struct pkey *k)
{
    if (k == NULL)
        return;
    EVP_PKEY_free(k->evp);
    free(k);
}

void pkey_drop(struct pkey **k)
{
    pkey_free(*k);
}

enum pkey_kind pkey_kind(const struct pkey *k)
{
    return k->kind;
}

struct evp_pkey_st *pkey_evp(const struct pkey *k)
{
    return k->evp;
}

/* One of the key's numbers as decimal text. */
static int number(const struct pkey *k, const char *name, struct arena *a, struct str *out,
                  struct err *err)
{
    AUTO(bn_drop) BIGNUM *n = NULL;
    if (!EVP_PKEY_get_bn_param(k->evp, name, &n))
        return failed(err, ERR_INTERNAL, "the key has no such number");
    char *text = BN_bn2dec(n);
    if (text == NULL)
        return failed(err, ERR_NOMEM, "out of memory for a number of the key");
    *out = arena_dup(a, str_of(text));
    OPENSSL_clear_free(text, strlen(text));
    return arena_check(a, err);
}

int pkey_ec_numbers(const struct pkey *k, struct arena *a, struct pkey_ec *out, struct err *err)
{
    TRY(number(k, OSSL_PKEY_PARAM_EC_PUB_X, a, &out->x, err));
    TRY(number(k, OSSL_PKEY_PARAM_EC_PUB_Y, a, &out->y, err));
    return number(k, OSSL_PKEY_PARAM_PRIV_KEY, a, &out->d, err);
}

int pkey_rsa_numbers(const struct pkey *k, struct arena *a, struct pkey_rsa *out, struct err *err)
{
    TRY(number(k, OSSL_PKEY_PARAM_RSA_N, a, &out->n, err));
    TRY(number(k, OSSL_PKEY_PARAM_RSA_E, a, &out->e, err));
    TRY(number(k, OSSL_PKEY_PARAM_RSA_D, a, &out->d, err));
    TRY(number(k, OSSL_PKEY_PARAM_RSA_FACTOR1, a, &out->p, err));
    TRY(number(k, OSSL_PKEY_PARAM_RSA_FACTOR2, a, &out->q, err));
    TRY(number(k, OSSL_PKEY_PARAM_RSA_EXPONENT1, a, &out->dp, err));
    TRY(number(k, OSSL_PKEY_PARAM_RSA_EXPONENT2, a, &out->dq, err));
    return number(k, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, a, &out->qinv, err);
}

int pkey_ed25519_bytes(const struct pkey *k, uint8_t out[64], struct err *err)
{
    size_t seed = PKEY_ED25519_SEED, public = PKEY_ED25519_PUBLIC;
    if (!EVP_PKEY_get_raw_private_key(k->evp, out, &seed) ||
        !EVP_PKEY_get_raw_public_key(k->evp, out + PKEY_ED25519_SEED, &public))
        return failed(err, ERR_INTERNAL, "the key has no raw form");
    return 0;
}

static void add_bio(BIO *bio, struct buf *out)
{
    char *p = NULL;
    long n = BIO_get_mem_data(bio, &p);
    if (n > 0)
        buf_add(out, str_mem(p, (size_t)n));
}

int pkey_public_pem(const struct pkey *k, struct buf *out, struct err *err)
{
    AUTO(bio_drop) BIO *bio = BIO_new(BIO_s_mem());
    if (bio == NULL || !PEM_write_bio_PUBKEY(bio, k->evp))
        return failed(err, ERR_INTERNAL, "error PEM-encoding public key");
    add_bio(bio, out);
    return buf_check(out, err);
}

int pkey_private_pem(const struct pkey *k, struct buf *out, struct err *err)
{
    AUTO(bio_drop) BIO *bio = BIO_new(BIO_s_mem());
    if (bio == NULL || k->kind == PKEY_ED25519 ||
        !PEM_write_bio_PrivateKey_traditional(bio, k->evp, NULL, NULL, 0, NULL, NULL))
        return failed(err, ERR_INTERNAL, "error PEM-encoding private key");
    add_bio(bio, out);
    return buf_check(out, err);
}

static EVP_PKEY_CTX *oaep_ctx(const struct pkey *k, int (*init)(EVP_PKEY_CTX *ctx))
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(k->evp, NULL);
    if (ctx != NULL && init(ctx) > 0 &&
        EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) > 0 &&
        EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) > 0 &&
        EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) > 0)
        return ctx;
    EVP_PKEY_CTX_free(ctx);
    return NULL;
}

int pkey_rsa_seal(const struct pkey *k, struct str text, struct buf *out, struct err *err)
{
    enum { OAEP_OVERHEAD = 2 * 32 + 2 };
    AUTO(ctx_drop) EVP_PKEY_CTX *ctx = oaep_ctx(k, EVP_PKEY_encrypt_init);
    size_t n = pkey_size(k);

    if (ctx == NULL)
        return failed(err, ERR_INTERNAL, "no RSA encryption with this key");
    if (text.n + OAEP_OVERHEAD > n)
        return err_set(err, ERR_INTERNAL, "crypto/rsa: message too long for RSA public key size");
    if (buf_reserve(out, n) < 0)
        return buf_check(out, err);
    if (EVP_PKEY_encrypt(ctx, (uint8_t *)out->p + out->n, &n, (const uint8_t *)text.p, text.n) <= 0)
        return failed(err, ERR_INTERNAL, "crypto/rsa: encryption error");
    out->n += n;
    return 0;
}

int pkey_rsa_open(const struct pkey *k, struct str sealed, struct buf *out, struct err *err)
{
    AUTO(ctx_drop) EVP_PKEY_CTX *ctx = oaep_ctx(k, EVP_PKEY_decrypt_init);
    size_t n = pkey_size(k);

    if (ctx == NULL)
        return failed(err, ERR_INTERNAL, "no RSA decryption with this key");
    if (buf_reserve(out, n) < 0)
        return buf_check(out, err);
    if (sealed.n > n || EVP_PKEY_decrypt(ctx, (uint8_t *)out->p + out->n, &n,
                                         (const uint8_t *)sealed.p, sealed.n) <= 0)
        return failed(err, ERR_CORRUPT, "crypto/rsa: decryption error");
    out->n += n;
    return 0;
}
