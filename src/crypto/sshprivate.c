/* SSH private keys out of PEM: OpenSSH's own form is read here, the others by OpenSSL. */
#include "crypto/sshprivate.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "codec/base64.h"
#include "crypto/sshkey.h"
#include "crypto/sshwire.h"

static void bio_drop(BIO **bio)
{
    BIO_free(*bio);
}

static void ctx_drop(EVP_PKEY_CTX **ctx)
{
    EVP_PKEY_CTX_free(*ctx);
}

static void bn_drop(BIGNUM **n)
{
    BN_clear_free(*n);
}

static int refuse(struct err *err, const char *why)
{
    ERR_clear_error();
    return err_set(err, ERR_BAD_REQUEST, "%s", why);
}

static int malformed(struct err *err)
{
    return refuse(err, "ssh: malformed OpenSSH key");
}

/* ---- the PEM armour ---- */

/* What stands between "-----BEGIN " and "-----". */
static bool label_of(struct str text, struct str *label, struct str *body)
{
    ptrdiff_t at = str_find(text, STR("-----BEGIN "));
    if (at < 0)
        return false;
    struct str rest = str_from(text, (size_t)at + STR("-----BEGIN ").n);
    ptrdiff_t end = str_find(rest, STR("-----"));
    if (end < 0)
        return false;
    *label = str_head(rest, (size_t)end);
    *body = str_from(rest, (size_t)end + STR("-----").n);
    end = str_find(*body, STR("-----END "));
    if (end < 0)
        return false;
    *body = str_head(*body, (size_t)end);
    return true;
}

/* ---- OpenSSH's form ---- */

/* A big-endian number as the decimal text that pkey takes. */
static int decimal(struct arena *a, struct str magnitude, struct str *out, struct err *err)
{
    AUTO(bn_drop) BIGNUM *n = NULL;

    if (magnitude.n > 2048)
        return malformed(err);
    n = BN_bin2bn((const uint8_t *)magnitude.p, (int)magnitude.n, NULL);
    char *text = n == NULL ? NULL : BN_bn2dec(n);
    if (text == NULL)
        return err_set(err, ERR_NOMEM, "out of memory for a key");
    *out = arena_dup(a, str_of(text));
    OPENSSL_clear_free(text, strlen(text));
    return arena_check(a, err);
}

static int take_numbers(struct arena *a, struct str *rest, struct str *const *to, size_t count,
                        struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        struct str magnitude;
        if (!sshwire_get_mpint(rest, &magnitude))
            return malformed(err);
        TRY(decimal(a, magnitude, to[i], err));
    }
    return 0;
}

static int open_rsa(struct arena *a, struct str *rest, struct pkey **out, struct err *err)
{
    struct pkey_rsa n = { 0 };
    struct str qinv; /* recomputed, with the two exponents that this form leaves out */
    struct str *const to[] = { &n.n, &n.e, &n.d, &qinv, &n.p, &n.q };

    TRY(take_numbers(a, rest, to, ARRAY_LEN(to), err));
    return pkey_from_rsa(&n, out, err) < 0 ? refuse(err, "ssh: not an RSA key") : 0;
}

static int open_ec(struct arena *a, struct str type, struct str *rest, struct pkey **out,
                   struct err *err)
{
    static const struct { const char *curve; enum pkey_kind kind; size_t size; } curves[] = {
        { "nistp256", PKEY_P256, 32 }, { "nistp384", PKEY_P384, 48 }, { "nistp521", PKEY_P521, 66 },
    };
    struct str curve, point;
    struct pkey_ec n;
    struct str *const d[] = { &n.d };

    if (!sshwire_get_str(rest, &curve) || !sshwire_get_str(rest, &point))
        return malformed(err);
    for (size_t i = 0; i < ARRAY_LEN(curves); i++) {
        size_t size = curves[i].size;
        if (!str_is(curve, curves[i].curve) || !str_ends(type, curve))
            continue;
        if (point.n != 1 + 2 * size || point.p[0] != 4)
            return malformed(err);
        TRY(decimal(a, str_head(str_from(point, 1), size), &n.x, err));
        TRY(decimal(a, str_from(point, 1 + size), &n.y, err));
        TRY(take_numbers(a, rest, d, ARRAY_LEN(d), err));
        return pkey_from_ec(curves[i].kind, &n, out, err) < 0 ? refuse(err, "ssh: not an EC key")
                                                              : 0;
    }
    return refuse(err, "ssh: unhandled elliptic curve");
}

static int open_ed25519(struct str *rest, struct pkey **out, struct err *err)
{
    struct str public, private;

    if (!sshwire_get_str(rest, &public) || !sshwire_get_str(rest, &private) ||
        public.n != PKEY_ED25519_PUBLIC || private.n != 64)
        return malformed(err);
    if (!str_eq(str_from(private, PKEY_ED25519_SEED), public))
        return malformed(err);
    return pkey_from_ed25519(str_head(private, PKEY_ED25519_SEED), out, err);
}

/* "1, 2, 3, ..." up to the end. */
static bool padding_fits(struct str rest)
{
    for (size_t i = 0; i < rest.n; i++)
        if ((uint8_t)rest.p[i] != (uint8_t)(i + 1))
            return false;
    return true;
}

static int open_private(struct arena *a, struct str section, struct pkey **out, struct err *err)
{
    uint32_t check1, check2;
    struct str type, comment;
    struct pkey *k = NULL;

    if (!sshwire_get_u32(&section, &check1) || !sshwire_get_u32(&section, &check2) ||
        check1 != check2 || !sshwire_get_str(&section, &type))
        return malformed(err);
    if (str_is(type, "ssh-rsa"))
        TRY(open_rsa(a, &section, &k, err));
    else if (str_is(type, "ssh-ed25519"))
        TRY(open_ed25519(&section, &k, err));
    else if (str_starts(type, STR("ecdsa-sha2-")))
        TRY(open_ec(a, type, &section, &k, err));
    else
        return refuse(err, "ssh: unhandled key type");
    if (!sshwire_get_str(&section, &comment) || !padding_fits(section)) {
        pkey_free(k);
        return malformed(err);
    }
    *out = k;
    return 0;
}

static int open_openssh(struct arena *a, struct str body, struct pkey **out, struct err *err)
{
    static const struct str magic = { "openssh-key-v1", sizeof "openssh-key-v1" };
    struct str bytes, cipher, kdf, options, public, section;
    uint32_t count;

    if (base64_decode(a, body, &bytes, err) < 0)
        return malformed(err);
    if (!str_starts(bytes, magic))
        return refuse(err, "ssh: invalid openssh private key format");
    bytes = str_from(bytes, magic.n);
    if (!sshwire_get_str(&bytes, &cipher) || !sshwire_get_str(&bytes, &kdf) ||
        !sshwire_get_str(&bytes, &options) || !sshwire_get_u32(&bytes, &count))
        return malformed(err);
    if (!str_is(cipher, "none") || !str_is(kdf, "none"))
        return refuse(err, "ssh: this private key is passphrase protected");
    if (count != 1)
        return refuse(err, "ssh: multi-key files are not supported");
    if (!sshwire_get_str(&bytes, &public) || !sshwire_get_str(&bytes, &section) || bytes.n > 0)
        return malformed(err);
    return open_private(a, section, out, err);
}

/* ---- OpenSSL's forms ---- */

/* Never asks at a terminal. */
static int no_passphrase(char *out, int size, int writing, void *ctx)
{
    return -1;
}

static int open_pem(struct str text, struct pkey **out, struct err *err)
{
    if (text.n > INT32_MAX)
        return refuse(err, "ssh: no key found");
    AUTO(bio_drop) BIO *bio = BIO_new_mem_buf(text.p, (int)text.n);
    EVP_PKEY *evp = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    if (evp == NULL)
        return refuse(err, "ssh: the private key does not parse");
    ERR_clear_error();
    return pkey_take_evp(evp, out, err);
}

int sshprivate_parse(struct arena *a, struct str text, struct pkey **out, struct err *err)
{
    struct str label, body;

    if (!label_of(text, &label, &body))
        return refuse(err, "ssh: no key found");
    if (str_find(body, STR("Proc-Type: 4,ENCRYPTED")) >= 0 ||
        str_is(label, "ENCRYPTED PRIVATE KEY"))
        return refuse(err, "ssh: this private key is passphrase protected");
    if (str_is(label, "OPENSSH PRIVATE KEY"))
        return open_openssh(a, body, out, err);
    if (str_is(label, "RSA PRIVATE KEY") || str_is(label, "EC PRIVATE KEY") ||
        str_is(label, "PRIVATE KEY"))
        return open_pem(text, out, err);
    return err_set(err, ERR_BAD_REQUEST, "ssh: unsupported key type \"" STR_FMT "\"",
                   STR_ARG(str_head(label, 60)));
}

int sshprivate_check(const struct pkey *k, struct err *err)
{
    AUTO(ctx_drop) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey_evp(k), NULL);

    if (ctx == NULL || EVP_PKEY_pairwise_check(ctx) <= 0)
        return refuse(err, "ssh: the two halves of the key do not belong together");
    return 0;
}
