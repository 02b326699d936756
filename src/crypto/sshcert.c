/* OpenSSH certificates: laid out, and signed by the CA's key. */
#include "crypto/sshcert.h"

#include <stdlib.h>

#include "base/random.h"
#include "crypto/sign.h"
#include "crypto/sshwire.h"

enum { NONCE_LEN = 32, CERT_USER = 1, CERT_HOST = 2 };

/* How a key signs: the algorithm's name, the hash, and what OpenSSL must be told. */
struct signing {
    struct str name;
    struct sign_how how;
};

/* "sk-ssh-ed25519@openssh.com" -> "sk-ssh-ed25519-cert-v01@openssh.com" */
static struct str cert_type(struct arena *a, struct str type)
{
    if (str_ends(type, STR("@openssh.com")))
        type.n -= STR("@openssh.com").n;
    return arena_cat(a, type, STR("-cert-v01@openssh.com"));
}

static int by_name(const void *a, const void *b)
{
    const struct sshcert_option *left = a, *right = b;
    return str_cmp(left->name, right->name);
}

/* One string that holds all options, sorted by name as readers demand. */
static int put_options(struct arena *a, const struct sshcert_option *options, size_t n,
                       struct buf *out, struct err *err)
{
    AUTO(buf_free) struct buf all = { 0 };
    struct sshcert_option *sorted = arena_array(a, n + 1, sizeof *sorted);

    TRY(arena_check(a, err));
    for (size_t i = 0; i < n; i++)
        sorted[i] = options[i];
    qsort(sorted, n, sizeof *sorted, by_name);
    for (size_t i = 0; i < n; i++) {
        AUTO(buf_free) struct buf value = { 0 };
        if (sorted[i].value.n > 0)
            sshwire_str(&value, sorted[i].value);
        TRY(buf_check(&value, err));
        sshwire_str(&all, sorted[i].name);
        sshwire_str(&all, buf_str(&value));
    }
    TRY(buf_check(&all, err));
    sshwire_str(out, buf_str(&all));
    return 0;
}

static int put_principals(const struct strs *principals, struct buf *out, struct err *err)
{
    AUTO(buf_free) struct buf all = { 0 };

    for (size_t i = 0; i < principals->n; i++)
        sshwire_str(&all, principals->v[i]);
    TRY(buf_check(&all, err));
    sshwire_str(out, buf_str(&all));
    return 0;
}

/* Everything that is signed. */
static int put_cert(struct arena *a, const struct sshcert *c, const struct sshkey *key,
                    const struct sshkey *ca, struct buf *out, struct err *err)
{
    uint8_t nonce[NONCE_LEN];

    random_fill(nonce, sizeof nonce);
    sshwire_str(out, cert_type(a, key->type));
    sshwire_str(out, str_mem(nonce, sizeof nonce));
    buf_add(out, key->body);
    sshwire_u64(out, c->serial);
    sshwire_u32(out, c->host ? CERT_HOST : CERT_USER);
    sshwire_str(out, c->key_id);
    TRY(put_principals(&c->principals, out, err));
    sshwire_u64(out, c->valid_after);
    sshwire_u64(out, c->valid_before);
    TRY(put_options(a, c->critical, c->n_critical, out, err));
    TRY(put_options(a, c->extensions, c->n_extensions, out, err));
    sshwire_str(out, STR("")); /* reserved */
    sshwire_str(out, ca->blob);
    return buf_check(out, err);
}

static int signing_of(const struct sshkey *ca, struct str algorithm, struct signing *out,
                      struct err *err)
{
    static const struct { struct str name; enum digest digest; } known[] = {
        { STR_INIT("ssh-rsa"), DIGEST_SHA1 },
        { STR_INIT("rsa-sha2-256"), DIGEST_SHA256 },
        { STR_INIT("rsa-sha2-512"), DIGEST_SHA512 },
        { STR_INIT("ecdsa-sha2-nistp256"), DIGEST_SHA256 },
        { STR_INIT("ecdsa-sha2-nistp384"), DIGEST_SHA384 },
        { STR_INIT("ecdsa-sha2-nistp521"), DIGEST_SHA512 },
        { STR_INIT("ssh-ed25519"), DIGEST_SHA512 },
    };
    struct str name = algorithm.n == 0 ? ca->type : algorithm;
    bool fits = str_eq(name, ca->type) ||
                (ca->kind == SSHKEY_RSA && str_starts(name, STR("rsa-sha2-")));

    for (size_t i = 0; fits && i < ARRAY_LEN(known); i++) {
        if (!str_eq(name, known[i].name))
            continue;
        *out = (struct signing){
            known[i].name,
            { .digest = known[i].digest, .padding = SIGN_PKCS1V15, .raw = true },
        };
        return 0;
    }
    return err_set(err, ERR_INTERNAL, "ssh: unsupported signature algorithm " STR_FMT,
                   STR_ARG(str_head(algorithm, 60)));
}

/* Append the signature's string: its algorithm and its bytes (RFC 4253 §6.6, RFC 5656 §3.1.2). */
static int put_signature(const struct pkey *ca, const struct signing *s, struct buf *cert,
                         struct err *err)
{
    AUTO(buf_free) struct buf raw = { 0 }, body = { 0 }, whole = { 0 };
    uint8_t hash[DIGEST_MAX];
    struct str input = buf_str(cert);

    if (pkey_kind(ca) != PKEY_ED25519) {
        TRY(digest_of(s->how.digest, input, hash, err));
        input = str_mem(hash, digest_len(s->how.digest));
    }
    TRY(sign_make(ca, &s->how, input, &raw, err));
    if (pkey_kind(ca) == PKEY_RSA || pkey_kind(ca) == PKEY_ED25519) {
        buf_add(&body, buf_str(&raw));
    } else {
        sshwire_mpint(&body, str_head(buf_str(&raw), raw.n / 2));
        sshwire_mpint(&body, str_from(buf_str(&raw), raw.n / 2));
    }
    sshwire_str(&whole, s->name);
    sshwire_str(&whole, buf_str(&body));
    TRY(buf_check(&body, err));
    TRY(buf_check(&whole, err));
    sshwire_str(cert, buf_str(&whole));
    return buf_check(cert, err);
}

int sshcert_sign(struct arena *a, const struct sshcert *cert, const struct sshkey *key,
                 const struct pkey *ca, struct str algorithm, struct str *type, struct str *blob,
                 struct err *err)
{
    AUTO(buf_free) struct buf out = { 0 };
    struct sshkey ca_key;
    struct signing s;

    TRY(sshkey_of(a, ca, &ca_key, err));
    TRY(signing_of(&ca_key, algorithm, &s, err));
    TRY(put_cert(a, cert, key, &ca_key, &out, err));
    TRY(put_signature(ca, &s, &out, err));
    *type = cert_type(a, key->type);
    *blob = arena_dup(a, buf_str(&out));
    return arena_check(a, err);
}
