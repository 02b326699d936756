/*
 * Hashes over OpenSSL.  Each algorithm is fetched once a process, each context made once a thread:
 * the look-ups and allocations that this saves cost more than the hash of a short text.
 */
#include "crypto/digest.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>

enum { KINDS = DIGEST_SHA3_512 + 1, BLOCK_MAX = 144 };

/* Block lengths are HMAC's (RFC 2104, FIPS 202 §7). */
static const struct {
    const char *name;
    size_t len, block;
} kinds[KINDS] = {
    [DIGEST_SHA1] = { "SHA1", 20, 64 },
    [DIGEST_SHA224] = { "SHA2-224", 28, 64 },
    [DIGEST_SHA256] = { "SHA2-256", 32, 64 },
    [DIGEST_SHA384] = { "SHA2-384", 48, 128 },
    [DIGEST_SHA512] = { "SHA2-512", 64, 128 },
    [DIGEST_MD5] = { "MD5", 16, 64 },
    [DIGEST_SHA3_224] = { "SHA3-224", 28, 144 },
    [DIGEST_SHA3_256] = { "SHA3-256", 32, 136 },
    [DIGEST_SHA3_384] = { "SHA3-384", 48, 104 },
    [DIGEST_SHA3_512] = { "SHA3-512", 64, 72 },
};

/* What a thread keeps. */
struct contexts {
    EVP_MD_CTX *of[KINDS]; /* made when first asked for */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *algorithms[KINDS]; /* written under once; NULL: this OpenSSL has it not */
static pthread_key_t thread_end;
static _Thread_local struct contexts *mine;

static void contexts_free(void *p)
{
    struct contexts *c = p;

    for (size_t i = 0; i < KINDS; i++)
        EVP_MD_CTX_free(c->of[i]);
    free(c);
    mine = NULL;
}

static void fetch_all(void)
{
    for (size_t i = 0; i < KINDS; i++)
        algorithms[i] = EVP_MD_fetch(NULL, kinds[i].name, NULL);
    ERR_clear_error();
    (void)pthread_key_create(&thread_end, contexts_free);
}

static int context_make(enum digest d, EVP_MD_CTX **out, struct err *err)
{
    pthread_once(&once, fetch_all);
    if (algorithms[d] == NULL)
        return err_set(err, ERR_INTERNAL, "OpenSSL does not provide %s", kinds[d].name);
    if (mine == NULL) {
        mine = calloc(1, sizeof *mine);
        if (mine == NULL)
            return err_set(err, ERR_NOMEM, "out of memory for a hash");
        (void)pthread_setspecific(thread_end, mine);
    }
    *out = mine->of[d] = EVP_MD_CTX_new();
    if (*out == NULL)
        return err_set(err, ERR_NOMEM, "out of memory for a hash");
    return 0;
}

static int context_of(enum digest d, EVP_MD_CTX **out, struct err *err)
{
    if (mine != NULL && mine->of[d] != NULL) {
        *out = mine->of[d];
        return 0;
    }
    return context_make(d, out, err);
}

/* The hash of two texts one after the other. */
static int hash_two(EVP_MD_CTX *ctx, enum digest d, struct str first, struct str second,
                    uint8_t *out, struct err *err)
{
    if (EVP_DigestInit_ex2(ctx, algorithms[d], NULL) != 1 ||
        EVP_DigestUpdate(ctx, first.p, first.n) != 1 ||
        (second.n > 0 && EVP_DigestUpdate(ctx, second.p, second.n) != 1) ||
        EVP_DigestFinal_ex(ctx, out, NULL) != 1) {
        ERR_clear_error();
        return err_set(err, ERR_INTERNAL, "OpenSSL failed to compute %s", kinds[d].name);
    }
    return 0;
}

size_t digest_len(enum digest d)
{
    return kinds[d].len;
}

int digest_of(enum digest d, struct str bytes, uint8_t out[DIGEST_MAX], struct err *err)
{
    EVP_MD_CTX *ctx;

    TRY(context_of(d, &ctx, err));
    return hash_two(ctx, d, bytes, (struct str){ 0 }, out, err);
}

struct digest_run {
    enum digest kind;
    EVP_MD_CTX *ctx;
};

static int run_failed(enum digest d, struct err *err)
{
    ERR_clear_error();
    return err_set(err, ERR_INTERNAL, "OpenSSL failed to compute %s", kinds[d].name);
}

int digest_run_new(enum digest d, struct digest_run **out, struct err *err)
{
    AUTO(digest_run_drop) struct digest_run *r = calloc(1, sizeof *r);

    pthread_once(&once, fetch_all);
    if (algorithms[d] == NULL)
        return err_set(err, ERR_INTERNAL, "OpenSSL does not provide %s", kinds[d].name);
    if (r == NULL || (r->ctx = EVP_MD_CTX_new()) == NULL)
        return err_set(err, ERR_NOMEM, "out of memory for a hash");
    r->kind = d;
    if (EVP_DigestInit_ex2(r->ctx, algorithms[d], NULL) != 1)
        return run_failed(d, err);
    *out = r;
    r = NULL;
    return 0;
}

int digest_run_add(struct digest_run *r, struct str bytes, struct err *err)
{
    if (bytes.n > 0 && EVP_DigestUpdate(r->ctx, bytes.p, bytes.n) != 1)
        return run_failed(r->kind, err);
    return 0;
}

int digest_run_end(struct digest_run *r, uint8_t out[DIGEST_MAX], struct err *err)
{
    return EVP_DigestFinal_ex(r->ctx, out, NULL) == 1 ? 0 : run_failed(r->kind, err);
}

void digest_run_free(struct digest_run *r)
{
    if (r == NULL)
        return;
    EVP_MD_CTX_free(r->ctx);
    free(r);
}

void digest_run_drop(struct digest_run **r)
{
    digest_run_free(*r);
}

/* HMAC's two padded keys and the inner hash; wiped when they go out of scope. */
struct pads {
    uint8_t inner[BLOCK_MAX], outer[BLOCK_MAX], hash[DIGEST_MAX];
};

static void pads_wipe(struct pads *p)
{
    explicit_bzero(p, sizeof *p);
}

/*
 * RFC 2104, on the hash contexts.  EVP_MAC is no faster and would keep the key in the thread's
 * context until the next call, in memory that is not locked.
 */
int digest_hmac(enum digest d, struct str key, struct str bytes, uint8_t out[DIGEST_MAX],
                struct err *err)
{
    AUTO(pads_wipe) struct pads pads = { 0 };
    size_t block = kinds[d].block, len = kinds[d].len;
    EVP_MD_CTX *ctx;

    TRY(context_of(d, &ctx, err));
    if (key.n > block)
        TRY(hash_two(ctx, d, key, (struct str){ 0 }, pads.inner, err));
    else if (key.n > 0)
        memcpy(pads.inner, key.p, key.n);
    for (size_t i = 0; i < block; i++) {
        pads.outer[i] = pads.inner[i] ^ 0x5c;
        pads.inner[i] ^= 0x36;
    }
    TRY(hash_two(ctx, d, str_mem(pads.inner, block), bytes, pads.hash, err));
    return hash_two(ctx, d, str_mem(pads.outer, block), str_mem(pads.hash, len), out, err);
}

/* What HKDF holds between its rounds. */
struct hkdf {
    uint8_t prk[DIGEST_MAX], round[DIGEST_MAX];
    char *text; /* previous round, info, counter */
    size_t text_n;
};

static void hkdf_wipe(struct hkdf *h)
{
    if (h->text != NULL)
        explicit_bzero(h->text, h->text_n);
    free(h->text);
    explicit_bzero(h, sizeof *h);
}

int digest_hkdf(struct str key, struct str salt, struct str info, uint8_t *out, size_t n,
                struct err *err)
{
    enum { HASH = 32, ROUNDS_MAX = 255 };
    static const uint8_t no_salt[HASH];
    AUTO(hkdf_wipe) struct hkdf h = { .text_n = HASH + info.n + 1 };

    if (n > (size_t)ROUNDS_MAX * HASH)
        return err_set(err, ERR_INTERNAL, "hkdf: %zu bytes are too many", n);
    if (salt.n == 0)
        salt = str_mem(no_salt, HASH);
    TRY(digest_hmac(DIGEST_SHA256, salt, key, h.prk, err));
    h.text = malloc(h.text_n);
    if (h.text == NULL)
        return err_set(err, ERR_NOMEM, "out of memory for a derived key");
    if (info.n > 0)
        memcpy(h.text + HASH, info.p, info.n);
    for (size_t done = 0, round = 1; done < n; round++) {
        size_t skip = round == 1 ? HASH : 0, part = n - done < HASH ? n - done : HASH;
        memcpy(h.text, h.round, HASH);
        h.text[h.text_n - 1] = (char)round;
        struct str text = str_from(str_mem(h.text, h.text_n), skip);
        TRY(digest_hmac(DIGEST_SHA256, str_mem(h.prk, HASH), text, h.round, err));
        memcpy(out + done, h.round, part);
        done += part;
    }
    return 0;
}
