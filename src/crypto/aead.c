/*
 * Authenticated encryption over OpenSSL.  A keyed context is dear to make (it holds the key
 * schedule), cheap to use again: each aead keeps one a processor, taken and put back by an atomic
 * exchange, so that no thread waits for another and aead_free finds them all.
 */
#include "crypto/aead.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/secret.h"

enum { KINDS = AEAD_CHACHA20_POLY1305 + 1, CACHE_LINE = 64 };

static const struct {
    const char *name;
    size_t key_len;
} kinds[KINDS] = {
    [AEAD_AES128_GCM] = { "AES-128-GCM", 16 },
    [AEAD_AES256_GCM] = { "AES-256-GCM", 32 },
    [AEAD_CHACHA20_POLY1305] = { "ChaCha20-Poly1305", 32 },
};

/* Where a processor's context waits; NULL while it is in use or not yet made. */
struct slot {
    _Alignas(CACHE_LINE) _Atomic(EVP_CIPHER_CTX *) ctx;
};

struct aead {
    enum aead_kind kind;
    struct secret key; /* for contexts yet to be made */
    struct slot *slots;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_CIPHER *ciphers[KINDS]; /* written under once; NULL: this OpenSSL has it not */
static unsigned processors;        /* written under once */

static void fetch_all(void)
{
    long n = sysconf(_SC_NPROCESSORS_CONF);

    processors = n < 1 ? 1 : n > 1024 ? 1024 : (unsigned)n;
    for (size_t i = 0; i < KINDS; i++)
        ciphers[i] = EVP_CIPHER_fetch(NULL, kinds[i].name, NULL);
    ERR_clear_error();
}

static int failed(struct err *err, enum aead_kind kind, const char *what)
{
    ERR_clear_error(); /* what stays queued would be taken for a failure of TLS */
    return err_set(err, ERR_INTERNAL, "OpenSSL failed to %s %s", what, kinds[kind].name);
}

static EVP_CIPHER_CTX *context_make(const struct aead *a)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    if (ctx != NULL && EVP_CipherInit_ex2(ctx, ciphers[a->kind], a->key.p, NULL, 1, NULL) == 1)
        return ctx;
    EVP_CIPHER_CTX_free(ctx);
    return NULL;
}

static struct slot *slot_here(const struct aead *a)
{
    int cpu = sched_getcpu();

    return &a->slots[cpu < 0 ? 0 : (unsigned)cpu % processors];
}

static EVP_CIPHER_CTX *context_take(const struct aead *a)
{
    EVP_CIPHER_CTX *ctx =
        atomic_exchange_explicit(&slot_here(a)->ctx, NULL, memory_order_acquire);

    return ctx != NULL ? ctx : context_make(a);
}

/* Two threads of one processor may have had two: one stays. */
static void context_give(const struct aead *a, EVP_CIPHER_CTX *ctx)
{
    EVP_CIPHER_CTX_free(
        atomic_exchange_explicit(&slot_here(a)->ctx, ctx, memory_order_acq_rel));
}

int aead_new(enum aead_kind kind, struct str key, struct aead **out, struct err *err)
{
    pthread_once(&once, fetch_all);
    if (ciphers[kind] == NULL)
        return err_set(err, ERR_INTERNAL, "OpenSSL does not provide %s", kinds[kind].name);
    if (key.n != kinds[kind].key_len)
        return err_set(err, ERR_INTERNAL, "%s: a key of %zu bytes, not %zu", kinds[kind].name,
                       key.n, kinds[kind].key_len);
    struct aead *a = calloc(1, sizeof *a);
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory for a cipher");
    a->kind = kind;
    a->slots = aligned_alloc(CACHE_LINE, processors * sizeof *a->slots);
    if (a->slots == NULL || secret_set(&a->key, key, err) < 0) {
        free(a->slots);
        free(a);
        return err_set(err, ERR_NOMEM, "out of memory for a cipher");
    }
    for (unsigned i = 0; i < processors; i++)
        atomic_init(&a->slots[i].ctx, NULL);
    *out = a;
    return 0;
}

void aead_free(struct aead *a)
{
    if (a == NULL)
        return;
    for (unsigned i = 0; i < processors; i++)
        EVP_CIPHER_CTX_free(atomic_load(&a->slots[i].ctx)); /* cleanses the key schedule */
    free(a->slots);
    secret_free(&a->key);
    free(a);
}

/* Start a message: nonce, direction, additional data. */
static bool start(EVP_CIPHER_CTX *ctx, int seal, const uint8_t nonce[AEAD_NONCE], struct str aad)
{
    int n;

    return EVP_CipherInit_ex2(ctx, NULL, NULL, nonce, seal, NULL) == 1 &&
           (aad.n == 0 ||
            EVP_CipherUpdate(ctx, NULL, &n, (const uint8_t *)aad.p, (int)aad.n) == 1);
}

static bool text_through(EVP_CIPHER_CTX *ctx, struct str in, uint8_t *out)
{
    int n;

    return in.n == 0 || EVP_CipherUpdate(ctx, out, &n, (const uint8_t *)in.p, (int)in.n) == 1;
}

static bool seal_into(EVP_CIPHER_CTX *ctx, const uint8_t nonce[AEAD_NONCE], struct str aad,
                      struct str text, uint8_t *out)
{
    int n;

    return start(ctx, 1, nonce, aad) && text_through(ctx, text, out) &&
           EVP_CipherFinal_ex(ctx, out + text.n, &n) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG, out + text.n) == 1;
}

/* OpenSSL counts in int. */
static int check_size(size_t n, struct err *err)
{
    if (n > INT_MAX - AEAD_TAG)
        return err_set(err, ERR_TOO_LARGE, "%zu bytes are too many to encrypt as one", n);
    return 0;
}

int aead_seal(struct aead *a, const uint8_t nonce[AEAD_NONCE], struct str aad, struct str text,
              struct buf *out, struct err *err)
{
    TRY(check_size(text.n, err));
    TRY(check_size(aad.n, err));
    if (buf_reserve(out, text.n + AEAD_TAG) < 0)
        return buf_check(out, err);
    EVP_CIPHER_CTX *ctx = context_take(a);
    if (ctx == NULL)
        return failed(err, a->kind, "set up");
    bool ok = seal_into(ctx, nonce, aad, text, (uint8_t *)out->p + out->n);
    context_give(a, ctx);
    if (!ok)
        return failed(err, a->kind, "encrypt with");
    out->n += text.n + AEAD_TAG;
    return 0;
}

/* 1: authentic; 0: not; -1: OpenSSL failed. */
static int open_into(EVP_CIPHER_CTX *ctx, const uint8_t nonce[AEAD_NONCE], struct str aad,
                     struct str sealed, uint8_t *out)
{
    struct str text = str_head(sealed, sealed.n - AEAD_TAG);
    uint8_t tag[AEAD_TAG];
    int n;

    memcpy(tag, sealed.p + text.n, AEAD_TAG);
    if (!start(ctx, 0, nonce, aad) || !text_through(ctx, text, out) ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG, tag) != 1)
        return -1;
    return EVP_CipherFinal_ex(ctx, out + text.n, &n) == 1 ? 1 : 0;
}

int aead_open(struct aead *a, const uint8_t nonce[AEAD_NONCE], struct str aad, struct str sealed,
              struct buf *out, struct err *err)
{
    TRY(check_size(sealed.n, err));
    TRY(check_size(aad.n, err));
    if (sealed.n < AEAD_TAG)
        return err_set(err, ERR_CORRUPT, "the ciphertext is too short");
    /* Room for the tag too, so that an empty text has an address. */
    if (buf_reserve(out, sealed.n) < 0)
        return buf_check(out, err);
    EVP_CIPHER_CTX *ctx = context_take(a);
    if (ctx == NULL)
        return failed(err, a->kind, "set up");
    uint8_t *text = (uint8_t *)out->p + out->n;
    int authentic = open_into(ctx, nonce, aad, sealed, text);
    context_give(a, ctx);
    if (authentic > 0) {
        out->n += sealed.n - AEAD_TAG;
        return 0;
    }
    explicit_bzero(text, sealed.n); /* what decrypted must not be seen unauthenticated */
    if (authentic < 0)
        return failed(err, a->kind, "decrypt with");
    ERR_clear_error();
    return err_set(err, ERR_CORRUPT, "cipher: message authentication failed");
}
