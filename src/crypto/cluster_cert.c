/* Certificates of a cluster's authority and of its members, by OpenSSL. */
#include "crypto/cluster_cert.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "crypto/pkey.h"

enum { SERIAL_BITS = 127, BEFORE_S = 24 * 60 * 60 };

/* What a certificate is to say. */
struct wanted {
    struct str name;
    int64_t now_s, valid_s;
    const X509 *issuer;    /* NULL: the certificate itself */
    EVP_PKEY *key, *signer;
    bool authority;
};

static void x509_drop(X509 **cert)
{
    X509_free(*cert);
}

static void pkcs8_drop(PKCS8_PRIV_KEY_INFO **p)
{
    PKCS8_PRIV_KEY_INFO_free(*p); /* wipes the key */
}

static void bn_drop(BIGNUM **n)
{
    BN_free(*n);
}

/* The queue belongs to the thread: leave nothing in it for the next caller. */
static int failed(struct err *err, enum err_code code, const char *what)
{
    ERR_clear_error();
    return err_set(err, code, "%s", what);
}

/* Not by X509_NAME_add_entry_by_NID: it refuses names of more than 64 bytes; nobody else does. */
static bool set_name(X509_NAME *to, struct str name)
{
    X509_NAME_ENTRY *entry =
        X509_NAME_ENTRY_create_by_NID(NULL, NID_commonName, V_ASN1_UTF8STRING,
                                      (const unsigned char *)name.p, (int)name.n);
    bool ok = entry != NULL && X509_NAME_add_entry(to, entry, -1, 0) == 1;
    X509_NAME_ENTRY_free(entry);
    return ok;
}

static bool set_serial(X509 *cert)
{
    AUTO(bn_drop) BIGNUM *n = BN_new();
    return n != NULL && BN_rand(n, SERIAL_BITS, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
           BN_add_word(n, 1) == 1 && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) != NULL;
}

static bool add_extension(X509 *cert, X509V3_CTX *ctx, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, ctx, nid, value);
    bool ok = e != NULL && X509_add_ext(cert, e, -1) == 1;
    X509_EXTENSION_free(e);
    return ok;
}

/* The key identifiers tell apart authorities of the same name. */
static bool set_extensions(X509 *cert, const struct wanted *w)
{
    X509V3_CTX ctx;
    const X509 *issuer = w->issuer != NULL ? w->issuer : cert;
    X509V3_set_ctx(&ctx, (X509 *)issuer, cert, NULL, NULL, 0);
    if (!add_extension(cert, &ctx, NID_subject_key_identifier, "hash"))
        return false;
    if (w->authority)
        return add_extension(cert, &ctx, NID_basic_constraints, "critical,CA:TRUE") &&
               add_extension(cert, &ctx, NID_key_usage, "critical,keyCertSign");
    bool named = X509_get0_subject_key_id((X509 *)issuer) != NULL;
    return (!named || add_extension(cert, &ctx, NID_authority_key_identifier, "keyid")) &&
           add_extension(cert, &ctx, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(cert, &ctx, NID_key_usage, "critical,digitalSignature") &&
           add_extension(cert, &ctx, NID_ext_key_usage, "serverAuth,clientAuth");
}

static bool fill(X509 *cert, const struct wanted *w)
{
    const X509 *issuer = w->issuer != NULL ? w->issuer : cert;
    return X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
           set_name(X509_get_subject_name(cert), w->name) &&
           X509_set_issuer_name(cert, X509_get_subject_name(issuer)) == 1 &&
           ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)(w->now_s - BEFORE_S)) != NULL &&
           ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)(w->now_s + w->valid_s)) != NULL &&
           X509_set_pubkey(cert, w->key) == 1 && set_extensions(cert, w) &&
           X509_sign(cert, w->signer, EVP_sha256()) > 0;
}

static int to_der(struct arena *a, X509 *cert, struct str *out, struct err *err)
{
    int n = i2d_X509(cert, NULL);
    unsigned char *p = n > 0 ? (unsigned char *)arena_bytes(a, (size_t)n) : NULL;
    if (p == NULL)
        return failed(err, ERR_NOMEM, "out of memory for a certificate");
    *out = str_mem(p, (size_t)n);
    (void)i2d_X509(cert, &p);
    return 0;
}

static int make(struct arena *a, const struct wanted *w, struct str *der, struct err *err)
{
    enum { LONGEST = 65536 };
    if (w->name.n == 0 || w->name.n > LONGEST || memchr(w->name.p, 0, w->name.n) != NULL)
        return err_set(err, ERR_BAD_REQUEST, "a member's id must not be empty nor hold a NUL");
    AUTO(x509_drop) X509 *cert = X509_new();
    if (cert == NULL || !fill(cert, w))
        return failed(err, ERR_INTERNAL, "a certificate of the cluster could not be made");
    EVP_PKEY *by = w->issuer != NULL ? X509_get0_pubkey(w->issuer) : w->key;
    if (X509_verify(cert, by) != 1)
        return failed(err, ERR_CORRUPT,
                      "the key of the cluster's authority is not that of its certificate");
    return to_der(a, cert, der, err);
}

int cluster_authority_make(struct arena *a, struct str name, int64_t now_s, int64_t valid_s,
                           struct cluster_authority *out, struct err *err)
{
    AUTO(pkey_drop) struct pkey *key = NULL;
    struct pkey_ec numbers;
    TRY(pkey_generate(PKEY_P521, 0, &key, err));
    struct wanted w = { .name = name, .now_s = now_s, .valid_s = valid_s, .authority = true,
                        .key = pkey_evp(key), .signer = pkey_evp(key) };
    TRY(make(a, &w, &out->cert_der, err));
    TRY(pkey_ec_numbers(key, a, &numbers, err));
    out->x = numbers.x;
    out->y = numbers.y;
    out->d = numbers.d;
    return 0;
}

/* PKCS #8. */
static int key_to_der(struct arena *a, const struct pkey *key, struct str *out, struct err *err)
{
    AUTO(pkcs8_drop) PKCS8_PRIV_KEY_INFO *p8 = EVP_PKEY2PKCS8(pkey_evp(key));
    int n = p8 != NULL ? i2d_PKCS8_PRIV_KEY_INFO(p8, NULL) : 0;
    unsigned char *p = n > 0 ? (unsigned char *)arena_bytes(a, (size_t)n) : NULL;
    if (p == NULL)
        return failed(err, ERR_NOMEM, "out of memory for a key");
    *out = str_mem(p, (size_t)n);
    (void)i2d_PKCS8_PRIV_KEY_INFO(p8, &p);
    return 0;
}

static X509 *parse(struct str der)
{
    const unsigned char *p = (const unsigned char *)der.p;
    X509 *cert = der.n > 0 && der.n <= INT32_MAX ? d2i_X509(NULL, &p, (long)der.n) : NULL;
    if (cert != NULL && (const char *)p != der.p + der.n) {
        X509_free(cert);
        cert = NULL;
    }
    ERR_clear_error();
    return cert;
}

int cluster_cert_issue(struct arena *a, const struct cluster_authority *by, struct str id,
                       int64_t now_s, int64_t valid_s, struct str *cert_der, struct str *key_der,
                       struct err *err)
{
    AUTO(x509_drop) X509 *issuer = parse(by->cert_der);
    AUTO(pkey_drop) struct pkey *signer = NULL;
    AUTO(pkey_drop) struct pkey *key = NULL;
    struct pkey_ec numbers = { by->x, by->y, by->d };
    if (issuer == NULL)
        return err_set(err, ERR_CORRUPT, "the certificate of the cluster's authority is damaged");
    if (pkey_from_ec(PKEY_P521, &numbers, &signer, err) < 0)
        return err_prefix(err, "the key of the cluster's authority");
    TRY(pkey_generate(PKEY_P256, 0, &key, err));
    struct wanted w = { .name = id, .now_s = now_s, .valid_s = valid_s, .issuer = issuer,
                        .key = pkey_evp(key), .signer = pkey_evp(signer) };
    TRY(make(a, &w, cert_der, err));
    return key_to_der(a, key, key_der, err);
}

int64_t cluster_cert_expires_s(struct str cert_der)
{
    AUTO(x509_drop) X509 *cert = parse(cert_der);
    struct tm end;
    if (cert == NULL || ASN1_TIME_to_tm(X509_get0_notAfter(cert), &end) != 1)
        return -1;
    return (int64_t)timegm(&end);
}
