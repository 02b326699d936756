/* SSH public keys: parsed, checked, and written from OpenSSL's. */
#include "crypto/sshkey.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "codec/base64.h"
#include "crypto/sshwire.h"

enum { MAX_POINT = 1 + 2 * 66, MAX_RSA_BITS = 16384 };

static const char short_read[] = "ssh: short read";

struct curve {
    struct str name;
    const char *openssl;
    enum pkey_kind kind;
    int bits;
};

static const struct curve curves[] = {
    { STR_INIT("nistp256"), "P-256", PKEY_P256, 256 },
    { STR_INIT("nistp384"), "P-384", PKEY_P384, 384 },
    { STR_INIT("nistp521"), "P-521", PKEY_P521, 521 },
};

/* The numbers of a key on their way into the canonical form. */
struct parsing {
    struct str rest; /* of the blob, behind the type */
    struct buf body;
    struct sshkey *key;
    struct err *err;
};

static void parsing_drop(struct parsing *p)
{
    buf_free(&p->body);
}

static void key_drop(EVP_PKEY **k)
{
    EVP_PKEY_free(*k);
}

static void ctx_drop(EVP_PKEY_CTX **ctx)
{
    EVP_PKEY_CTX_free(*ctx);
}

static void bn_drop(BIGNUM **n)
{
    BN_free(*n);
}

static int refuse(struct parsing *p, const char *why)
{
    return err_set(p->err, ERR_BAD_REQUEST, "%s", why);
}

/* Of a magnitude without leading zeros. */
static int bits_of(struct str magnitude)
{
    int bits = (int)magnitude.n * 8;
    if (magnitude.n > 0)
        bits -= __builtin_clz((unsigned)(uint8_t)magnitude.p[0]) - 24;
    return bits;
}

/* As Go: at most 24 bits, odd, at least 3. */
static int check_exponent(struct parsing *p, struct str e)
{
    if (bits_of(e) > 24)
        return refuse(p, "ssh: exponent too large");
    if (e.n == 0 || ((uint8_t)e.p[e.n - 1] & 1) == 0 || (e.n == 1 && e.p[0] == 1))
        return refuse(p, "ssh: incorrect exponent");
    return 0;
}

static int parse_rsa(struct parsing *p)
{
    struct str e, n;

    if (!sshwire_get_mpint(&p->rest, &e) || !sshwire_get_mpint(&p->rest, &n))
        return refuse(p, short_read);
    TRY(check_exponent(p, e));
    /* A bound, so that nobody makes the server carry numbers that no client could use. */
    if (n.n == 0 || n.n > MAX_RSA_BITS / 8)
        return refuse(p, "ssh: unsupported RSA key size");
    p->key->bits = bits_of(n);
    sshwire_mpint(&p->body, e);
    sshwire_mpint(&p->body, n);
    return 0;
}

static int parse_dsa(struct parsing *p)
{
    struct str number[4]; /* p, q, g, y */

    for (size_t i = 0; i < ARRAY_LEN(number); i++)
        if (!sshwire_get_mpint(&p->rest, &number[i]))
            return refuse(p, short_read);
    p->key->bits = bits_of(number[0]);
    if (p->key->bits != 1024 || bits_of(number[1]) > 160 || bits_of(number[2]) > 1024 ||
        bits_of(number[3]) > 1024)
        return err_set(p->err, ERR_BAD_REQUEST, "ssh: unsupported DSA key size %d", p->key->bits);
    for (size_t i = 0; i < ARRAY_LEN(number); i++)
        sshwire_mpint(&p->body, number[i]);
    return 0;
}

/* An uncompressed point of the curve. OpenSSL checks that it lies on it. */
static bool point_fits(const struct curve *c, struct str point)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)c->openssl, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)point.p, point.n),
        OSSL_PARAM_construct_end(),
    };
    AUTO(key_drop) EVP_PKEY *k = NULL;
    AUTO(ctx_drop) EVP_PKEY_CTX *ctx = NULL;

    if (point.n == 0 || point.n > MAX_POINT || point.p[0] != 4)
        return false;
    ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    bool fits = ctx != NULL && EVP_PKEY_fromdata_init(ctx) > 0 &&
                EVP_PKEY_fromdata(ctx, &k, EVP_PKEY_PUBLIC_KEY, params) > 0;
    ERR_clear_error();
    return fits;
}

static int parse_ecdsa(struct parsing *p)
{
    struct str name, point;
    const struct curve *c = NULL;

    if (!sshwire_get_str(&p->rest, &name) || !sshwire_get_str(&p->rest, &point))
        return refuse(p, short_read);
    for (size_t i = 0; i < ARRAY_LEN(curves); i++)
        if (str_eq(name, curves[i].name) && str_find(p->key->type, name) >= 0)
            c = &curves[i];
    if (c == NULL)
        return refuse(p, "ssh: unsupported curve");
    if (!point_fits(c, point))
        return refuse(p, "ssh: invalid curve point");
    p->key->bits = c->bits;
    sshwire_str(&p->body, name);
    sshwire_str(&p->body, point);
    return 0;
}

static int parse_ed25519(struct parsing *p)
{
    struct str public;

    if (!sshwire_get_str(&p->rest, &public))
        return refuse(p, short_read);
    if (public.n != PKEY_ED25519_PUBLIC)
        return err_set(p->err, ERR_BAD_REQUEST, "invalid size %zu for Ed25519 public key",
                       public.n);
    p->key->bits = 256;
    sshwire_str(&p->body, public);
    return 0;
}

/* A security key's public key ends with the application that it was made for. */
static int parse_application(struct parsing *p)
{
    struct str application;

    if (!sshwire_get_str(&p->rest, &application))
        return refuse(p, short_read);
    sshwire_str(&p->body, application);
    return 0;
}

static int parse_sk_ecdsa(struct parsing *p)
{
    TRY(parse_ecdsa(p));
    return parse_application(p);
}

static int parse_sk_ed25519(struct parsing *p)
{
    TRY(parse_ed25519(p));
    return parse_application(p);
}

static const struct { struct str type; enum sshkey_kind kind; int (*parse)(struct parsing *p); }
types[] = {
    { STR_INIT("ssh-rsa"), SSHKEY_RSA, parse_rsa },
    { STR_INIT("ssh-dss"), SSHKEY_DSA, parse_dsa },
    { STR_INIT("ecdsa-sha2-nistp256"), SSHKEY_ECDSA, parse_ecdsa },
    { STR_INIT("ecdsa-sha2-nistp384"), SSHKEY_ECDSA, parse_ecdsa },
    { STR_INIT("ecdsa-sha2-nistp521"), SSHKEY_ECDSA, parse_ecdsa },
    { STR_INIT("ssh-ed25519"), SSHKEY_ED25519, parse_ed25519 },
    { STR_INIT("sk-ecdsa-sha2-nistp256@openssh.com"), SSHKEY_SK_ECDSA, parse_sk_ecdsa },
    { STR_INIT("sk-ssh-ed25519@openssh.com"), SSHKEY_SK_ED25519, parse_sk_ed25519 },
};

/* Join type and body to the blob. */
static int finish(struct arena *a, const struct buf *body, struct sshkey *key, struct err *err)
{
    AUTO(buf_free) struct buf blob = { 0 };

    sshwire_str(&blob, key->type);
    buf_add(&blob, buf_str(body));
    TRY(buf_check(body, err));
    TRY(buf_check(&blob, err));
    key->blob = arena_dup(a, buf_str(&blob));
    key->body = str_from(key->blob, key->blob.n - body->n);
    return arena_check(a, err);
}

int sshkey_parse(struct arena *a, struct str blob, struct sshkey *out, struct err *err)
{
    AUTO(parsing_drop) struct parsing p = { .rest = blob, .key = out, .err = err };
    struct str type;

    *out = (struct sshkey){ 0 };
    if (!sshwire_get_str(&p.rest, &type))
        return refuse(&p, short_read);
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (!str_eq(type, types[i].type))
            continue;
        out->type = types[i].type;
        out->kind = types[i].kind;
        TRY(types[i].parse(&p));
        if (p.rest.n > 0)
            return refuse(&p, "ssh: trailing junk in public key");
        return finish(a, &p.body, out, err);
    }
    return err_set(err, ERR_BAD_REQUEST, "ssh: unknown key algorithm: " STR_FMT,
                   STR_ARG(str_head(type, 100)));
}

/* ---- from a key pair ---- */

static int no_number(struct err *err)
{
    ERR_clear_error();
    return err_set(err, ERR_INTERNAL, "the key has no such number");
}

static int put_number(const struct pkey *k, const char *name, int *bits, struct buf *body,
                      struct err *err)
{
    AUTO(bn_drop) BIGNUM *n = NULL;

    if (!EVP_PKEY_get_bn_param(pkey_evp(k), name, &n))
        return no_number(err);
    size_t len = (size_t)BN_num_bytes(n);
    AUTO(buf_free) struct buf bytes = { 0 };
    if (buf_reserve(&bytes, len) < 0)
        return buf_check(&bytes, err);
    BN_bn2bin(n, (uint8_t *)bytes.p);
    bytes.n = len;
    sshwire_mpint(body, buf_str(&bytes));
    *bits = BN_num_bits(n);
    return 0;
}

static int put_point(const struct pkey *k, const struct curve *c, struct buf *body,
                     struct err *err)
{
    AUTO(bn_drop) BIGNUM *x = NULL, *y = NULL;
    uint8_t point[MAX_POINT] = { 4 };
    int size = (int)pkey_size(k);

    if (!EVP_PKEY_get_bn_param(pkey_evp(k), OSSL_PKEY_PARAM_EC_PUB_X, &x) ||
        !EVP_PKEY_get_bn_param(pkey_evp(k), OSSL_PKEY_PARAM_EC_PUB_Y, &y) ||
        BN_bn2binpad(x, point + 1, size) < 0 || BN_bn2binpad(y, point + 1 + size, size) < 0)
        return no_number(err);
    sshwire_str(body, c->name);
    sshwire_str(body, str_mem(point, 1 + 2 * (size_t)size));
    return 0;
}

static int put_ed25519(const struct pkey *k, struct buf *body, struct err *err)
{
    uint8_t public[PKEY_ED25519_PUBLIC];
    size_t n = sizeof public;

    if (!EVP_PKEY_get_raw_public_key(pkey_evp(k), public, &n))
        return no_number(err);
    sshwire_str(body, str_mem(public, n));
    return 0;
}

static int put_body(struct arena *a, const struct pkey *k, struct sshkey *out, struct buf *body,
                    struct err *err)
{
    int bits;

    switch (pkey_kind(k)) {
    case PKEY_RSA:
        *out = (struct sshkey){ .kind = SSHKEY_RSA, .type = STR("ssh-rsa") };
        TRY(put_number(k, OSSL_PKEY_PARAM_RSA_E, &bits, body, err));
        return put_number(k, OSSL_PKEY_PARAM_RSA_N, &out->bits, body, err);
    case PKEY_ED25519:
        *out = (struct sshkey){ .kind = SSHKEY_ED25519, .bits = 256, .type = STR("ssh-ed25519") };
        return put_ed25519(k, body, err);
    case PKEY_P256:
    case PKEY_P384:
    case PKEY_P521:
        break;
    }
    const struct curve *c = curves;
    while (c->kind != pkey_kind(k))
        c++;
    *out = (struct sshkey){ .kind = SSHKEY_ECDSA,
                            .bits = c->bits,
                            .type = arena_cat(a, STR("ecdsa-sha2-"), c->name) };
    return put_point(k, c, body, err);
}

int sshkey_of(struct arena *a, const struct pkey *k, struct sshkey *out, struct err *err)
{
    AUTO(buf_free) struct buf body = { 0 };

    TRY(put_body(a, k, out, &body, err));
    return finish(a, &body, out, err);
}

struct str sshkey_line(struct arena *a, struct str type, struct str blob)
{
    return arena_printf(a, STR_FMT " " STR_FMT "\n", STR_ARG(type),
                        STR_ARG(base64_encode(a, blob)));
}
