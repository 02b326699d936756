/* Signatures over OpenSSL; the two forms of an ECDSA signature are taken apart here. */
#include "crypto/sign.h"

#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

static void ctx_drop(EVP_PKEY_CTX **ctx)
{
    EVP_PKEY_CTX_free(*ctx);
}

static void md_ctx_drop(EVP_MD_CTX **ctx)
{
    EVP_MD_CTX_free(*ctx);
}

static void ecdsa_drop(ECDSA_SIG **sig)
{
    ECDSA_SIG_free(*sig);
}

static int failed(struct err *err, const char *what)
{
    ERR_clear_error();
    return err_set(err, ERR_INTERNAL, "%s", what);
}

static const EVP_MD *md_of(enum digest d)
{
    switch (d) {
    case DIGEST_SHA1:
        return EVP_sha1();
    case DIGEST_SHA224:
        return EVP_sha224();
    case DIGEST_SHA256:
        return EVP_sha256();
    case DIGEST_SHA384:
        return EVP_sha384();
    case DIGEST_SHA512:
        return EVP_sha512();
    case DIGEST_MD5:
        return EVP_md5();
    case DIGEST_SHA3_224:
        return EVP_sha3_224();
    case DIGEST_SHA3_256:
        return EVP_sha3_256();
    case DIGEST_SHA3_384:
        return EVP_sha3_384();
    case DIGEST_SHA3_512:
        return EVP_sha3_512();
    }
    return NULL;
}

/* ${salt}: RSA_PSS_SALTLEN_MAX to sign, RSA_PSS_SALTLEN_AUTO to verify. */
static bool set_rsa(EVP_PKEY_CTX *ctx, const struct sign_how *how, int salt)
{
    bool pss = how->padding == SIGN_PSS;
    return EVP_PKEY_CTX_set_rsa_padding(ctx, pss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING) > 0 &&
           EVP_PKEY_CTX_set_signature_md(ctx, md_of(how->digest)) > 0 &&
           (!pss || EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, salt) > 0);
}

static int make_ed25519(const struct pkey *k, struct str input, struct buf *out, struct err *err)
{
    AUTO(md_ctx_drop) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t sig[64];
    size_t n = sizeof sig;
    if (ctx == NULL || EVP_DigestSignInit(ctx, NULL, NULL, NULL, pkey_evp(k)) <= 0 ||
        EVP_DigestSign(ctx, sig, &n, (const uint8_t *)input.p, input.n) <= 0)
        return failed(err, "signature could not be computed");
    buf_add(out, str_mem(sig, n));
    return buf_check(out, err);
}

/* EVP_PKEY_sign for RSA, and for ECDSA in ASN.1. */
static int make_hashed(const struct pkey *k, const struct sign_how *how, struct str input,
                       struct buf *out, struct err *err)
{
    AUTO(ctx_drop) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey_evp(k), NULL);
    size_t n = (size_t)EVP_PKEY_get_size(pkey_evp(k));

    if (ctx == NULL || EVP_PKEY_sign_init(ctx) <= 0 ||
        (pkey_kind(k) == PKEY_RSA && !set_rsa(ctx, how, RSA_PSS_SALTLEN_MAX)))
        return failed(err, "signature could not be computed");
    if (buf_reserve(out, n) < 0)
        return buf_check(out, err);
    if (EVP_PKEY_sign(ctx, (uint8_t *)out->p + out->n, &n, (const uint8_t *)input.p, input.n) <= 0)
        return failed(err, "signature could not be computed");
    out->n += n;
    return 0;
}

static int make_raw(const struct pkey *k, const struct sign_how *how, struct str input,
                    struct buf *out, struct err *err)
{
    AUTO(buf_free) struct buf der = { 0 };
    TRY(make_hashed(k, how, input, &der, err));

    const uint8_t *p = (const uint8_t *)der.p;
    AUTO(ecdsa_drop) ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)der.n);
    uint8_t both[2 * 66];
    int half = (int)pkey_size(k);
    if (sig == NULL || BN_bn2binpad(ECDSA_SIG_get0_r(sig), both, half) < 0 ||
        BN_bn2binpad(ECDSA_SIG_get0_s(sig), both + half, half) < 0)
        return failed(err, "signature could not be computed");
    buf_add(out, str_mem(both, 2 * (size_t)half));
    return buf_check(out, err);
}

int sign_make(const struct pkey *k, const struct sign_how *how, struct str input, struct buf *out,
              struct err *err)
{
    switch (pkey_kind(k)) {
    case PKEY_ED25519:
        return make_ed25519(k, input, out, err);
    case PKEY_P256:
    case PKEY_P384:
    case PKEY_P521:
        return how->raw ? make_raw(k, how, input, out, err) : make_hashed(k, how, input, out, err);
    case PKEY_RSA:
        break;
    }
    if (input.n != digest_len(how->digest))
        return err_set(err, ERR_INTERNAL, "crypto/rsa: input must be hashed message");
    return make_hashed(k, how, input, out, err);
}

static int check_ed25519(const struct pkey *k, struct str input, struct str sig, struct err *err)
{
    AUTO(md_ctx_drop) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (ctx == NULL || EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey_evp(k)) <= 0)
        return failed(err, "signature could not be verified");
    int good = EVP_DigestVerify(ctx, (const uint8_t *)sig.p, sig.n, (const uint8_t *)input.p,
                                input.n);
    ERR_clear_error();
    return good == 1;
}

static int check_hashed(const struct pkey *k, const struct sign_how *how, struct str input,
                        struct str sig, struct err *err)
{
    AUTO(ctx_drop) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey_evp(k), NULL);
    if (ctx == NULL || EVP_PKEY_verify_init(ctx) <= 0 ||
        (pkey_kind(k) == PKEY_RSA && !set_rsa(ctx, how, RSA_PSS_SALTLEN_AUTO)))
        return failed(err, "signature could not be verified");
    int good = EVP_PKEY_verify(ctx, (const uint8_t *)sig.p, sig.n, (const uint8_t *)input.p,
                               input.n);
    ERR_clear_error();
    return good == 1;
}

/* Step into a DER element of ${tag}; false when there is none, or its length is not minimal. */
static bool der_enter(struct str *rest, uint8_t tag, struct str *inside)
{
    const uint8_t *p = (const uint8_t *)rest->p;
    size_t head = 2, n;
    if (rest->n < 2 || p[0] != tag)
        return false;
    n = p[1];
    if (n == 0x81 && rest->n >= 3 && p[2] >= 0x80) {
        n = p[2];
        head = 3;
    } else if (n >= 0x80) {
        return false; /* no signature is longer than 255 bytes */
    }
    if (rest->n - head < n)
        return false;
    *inside = str_mem(p + head, n);
    *rest = str_from(*rest, head + n);
    return true;
}

/* A DER integer in its shortest form; a negative one counts as 0, which no signature holds. */
static bool der_integer(struct str *rest, struct str *magnitude)
{
    struct str v;
    if (!der_enter(rest, 0x02, &v) || v.n == 0)
        return false;
    const uint8_t *p = (const uint8_t *)v.p;
    if (v.n > 1 && ((p[0] == 0x00 && p[1] < 0x80) || (p[0] == 0xff && p[1] >= 0x80)))
        return false;
    *magnitude = p[0] >= 0x80 ? str_mem("", 0) : v;
    return true;
}

/* As Go's decoder: bytes after s inside the sequence are let pass, after the sequence not. */
static int split_der(struct str sig, struct str *r, struct str *s, struct err *err)
{
    struct str body;
    if (!der_enter(&sig, 0x30, &body) || !der_integer(&body, r) || !der_integer(&body, s))
        return err_set(err, ERR_BAD_REQUEST, "supplied signature is invalid");
    if (sig.n > 0)
        return err_set(err, ERR_BAD_REQUEST, "supplied signature contains extra data");
    return 0;
}

static int check_ecdsa(const struct pkey *k, const struct sign_how *how, struct str input,
                       struct str sig, struct err *err)
{
    struct str r = str_head(sig, sig.n / 2), s = str_from(sig, sig.n / 2);
    if (!how->raw)
        TRY(split_der(sig, &r, &s, err));
    if (r.n > 2 * 66 || s.n > 2 * 66)
        return 0; /* larger than any curve's order */

    /* Both forms are written anew as ASN.1, the only one that OpenSSL verifies. */
    AUTO(ecdsa_drop) ECDSA_SIG *both = ECDSA_SIG_new();
    BIGNUM *br = BN_bin2bn((const uint8_t *)r.p, (int)r.n, NULL);
    BIGNUM *bs = BN_bin2bn((const uint8_t *)s.p, (int)s.n, NULL);
    if (both == NULL || br == NULL || bs == NULL || !ECDSA_SIG_set0(both, br, bs)) {
        BN_free(br);
        BN_free(bs);
        return err_set(err, ERR_NOMEM, "out of memory for a signature");
    }
    uint8_t der[2 * (2 * 66 + 6) + 6], *end = der;
    int n = i2d_ECDSA_SIG(both, &end);
    if (n <= 0)
        return failed(err, "signature could not be verified");
    return check_hashed(k, how, input, str_mem(der, (size_t)n), err);
}

int sign_check(const struct pkey *k, const struct sign_how *how, struct str input, struct str sig,
               struct err *err)
{
    switch (pkey_kind(k)) {
    case PKEY_ED25519:
        return check_ed25519(k, input, sig, err);
    case PKEY_P256:
    case PKEY_P384:
    case PKEY_P521:
        return check_ecdsa(k, how, input, sig, err);
    case PKEY_RSA:
        break;
    }
    if (input.n != digest_len(how->digest))
        return 0;
    return check_hashed(k, how, input, sig, err);
}
