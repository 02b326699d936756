/* Measure what every request pays: AES-256-GCM and HMAC of short texts, a read of the barrier. */
#include <stdio.h>
#include <stdlib.h>

#include "barrier/barrier.h"
#include "base/clock.h"
#include "crypto/aead.h"
#include "crypto/digest.h"
#include "storage/driver.h"

enum { TEXT = 300, ROUNDS = 1000000 };

struct bench {
    struct aead *aead;
    struct barrier *barrier;
    struct buf sealed, out;
};

static const uint8_t nonce[AEAD_NONCE];
static const char text[TEXT];

static void must(int result, const struct err *err)
{
    if (result < 0) {
        (void)fprintf(stderr, "%s\n", err->msg);
        exit(1);
    }
}

static void seal(struct bench *b)
{
    struct err err;

    b->out.n = 0;
    must(aead_seal(b->aead, nonce, STR("logical/x/app/db"), str_mem(text, TEXT), &b->out, &err),
         &err);
}

static void open_sealed(struct bench *b)
{
    struct err err;

    b->out.n = 0;
    must(aead_open(b->aead, nonce, STR("logical/x/app/db"), buf_str(&b->sealed), &b->out, &err),
         &err);
}

static void hash(struct bench *b)
{
    uint8_t out[DIGEST_MAX];
    struct err err;

    must(digest_of(DIGEST_SHA256, STR("s.0123456789abcdefghijklmn"), out, &err), &err);
}

static void hmac(struct bench *b)
{
    uint8_t out[DIGEST_MAX];
    struct err err;

    must(digest_hmac(DIGEST_SHA256, STR("27e65266-445b-bbc6-643a-2fdb4192d270"),
                     STR("s.0123456789abcdefghijklmn"), out, &err), &err);
}

static void barrier_read(struct bench *b)
{
    struct err err;

    b->out.n = 0;
    must(storage_get(barrier_storage(b->barrier), STR("logical/x/app/db"), &b->out, &err), &err);
}

static void barrier_write(struct bench *b)
{
    struct err err;

    must(storage_put(barrier_storage(b->barrier), STR("logical/x/app/db"), str_mem(text, TEXT),
                     &err), &err);
}

static void measure(struct bench *b, const char *what, void (*one)(struct bench *))
{
    for (int i = 0; i < ROUNDS / 10; i++)
        one(b);
    int64_t start_ns = clock_mono_ns(&clock_system);
    for (int i = 0; i < ROUNDS; i++)
        one(b);
    int64_t ns = clock_mono_ns(&clock_system) - start_ns;
    (void)printf("%-32s %6lld ns\n", what, (long long)(ns / ROUNDS));
}

int main(void)
{
    static const struct str key = STR_INIT("0123456789abcdef0123456789abcdef");
    struct bench b = { 0 };
    struct storage *inmem;
    struct err err = { 0 };

    must(aead_new(AEAD_AES256_GCM, key, &b.aead, &err), &err);
    must(storage_inmem.open(NULL, 0, &inmem, &err), &err);
    must(barrier_new(inmem, &b.barrier, &err), &err);
    must(barrier_init(b.barrier, key, 0, &err), &err);
    must(barrier_unseal(b.barrier, key, &err), &err);
    barrier_write(&b);
    seal(&b);
    b.sealed = buf_take(&b.out);

    measure(&b, "aead_seal 300 bytes", seal);
    measure(&b, "aead_open 300 bytes", open_sealed);
    measure(&b, "digest_of 26 bytes", hash);
    measure(&b, "digest_hmac 26 bytes", hmac);
    measure(&b, "barrier get 300 bytes, inmem", barrier_read);
    measure(&b, "barrier put 300 bytes, inmem", barrier_write);

    buf_free(&b.sealed);
    buf_free(&b.out);
    barrier_free(b.barrier);
    storage_close(inmem);
    aead_free(b.aead);
    return 0;
}
