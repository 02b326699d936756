/* Kernel randomness through a small buffer per thread, so that an id costs no system call. */
#include "base/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

static void from_kernel(unsigned char *p, size_t n)
{
    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            fputs("coffer: the kernel gives no random bytes\n", stderr);
            abort();
        }
        p += got;
        n -= (size_t)got;
    }
}

void random_fill(void *p, size_t n)
{
    static _Thread_local struct {
        unsigned char bytes[512];
        size_t left;
    } pool;

    if (n > sizeof pool.bytes / 4) {
        from_kernel(p, n);
        return;
    }
    if (n > pool.left) {
        from_kernel(pool.bytes, sizeof pool.bytes);
        pool.left = sizeof pool.bytes;
    }
    /* Used bytes are wiped, so that a key cannot be read back from the pool. */
    pool.left -= n;
    memcpy(p, pool.bytes + pool.left, n);
    explicit_bzero(pool.bytes + pool.left, n);
}

uint32_t random_below(uint32_t bound)
{
    uint32_t limit = UINT32_MAX - UINT32_MAX % bound, v;
    do
        random_fill(&v, sizeof v);
    while (v >= limit);
    return v % bound;
}

void random_uuid(char out[37])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char raw[16];
    size_t at = 0;

    random_fill(raw, sizeof raw);
    for (size_t i = 0; i < sizeof raw; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            out[at++] = '-';
        out[at++] = hex[raw[i] >> 4];
        out[at++] = hex[raw[i] & 15];
    }
    out[at] = 0;
}

void random_base62(char *out, size_t n)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    size_t done = 0;
    while (done < n) {
        unsigned char raw[32];
        random_fill(raw, sizeof raw);
        /* 248 = 4 x 62: larger bytes would favour the first digits. */
        for (size_t i = 0; i < sizeof raw && done < n; i++)
            if (raw[i] < 248)
                out[done++] = digits[raw[i] % 62];
        explicit_bzero(raw, sizeof raw);
    }
    out[n] = 0;
}
