/* Growing bytes that never leave a copy behind. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int buf_reserve(struct buf *b, size_t more)
{
    size_t need, cap = b->cap < 64 ? 64 : b->cap;
    if (b->failed || __builtin_add_overflow(b->n, more, &need)) {
        b->failed = true;
        return -1;
    }
    if (need <= b->cap)
        return 0;
    while (cap < need)
        if (__builtin_mul_overflow(cap, 2, &cap))
            cap = need;
    char *p = malloc(cap);
    if (p == NULL) {
        b->failed = true;
        return -1;
    }
    if (b->n > 0)
        memcpy(p, b->p, b->n);
    if (b->p != NULL) {
        explicit_bzero(b->p, b->n);
        free(b->p);
    }
    b->p = p;
    b->cap = cap;
    return 0;
}

void buf_add(struct buf *b, struct str s)
{
    if (s.n == 0 || buf_reserve(b, s.n) < 0)
        return;
    memcpy(b->p + b->n, s.p, s.n);
    b->n += s.n;
}

void buf_byte(struct buf *b, char c)
{
    if (b->n == b->cap && buf_reserve(b, 1) < 0)
        return;
    b->p[b->n++] = c;
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0 || buf_reserve(b, (size_t)n + 1) < 0) {
        b->failed = true;
        return;
    }
    va_start(args, format);
    vsnprintf(b->p + b->n, (size_t)n + 1, format, args);
    va_end(args);
    b->n += (size_t)n;
}

int buf_check(const struct buf *b, struct err *err)
{
    return b->failed ? err_set(err, ERR_NOMEM, "out of memory") : 0;
}

void buf_clear(struct buf *b)
{
    if (b->p != NULL)
        explicit_bzero(b->p, b->n);
    b->n = 0;
    b->failed = false;
}

void buf_free(struct buf *b)
{
    if (b == NULL)
        return;
    if (b->p != NULL)
        explicit_bzero(b->p, b->n);
    free(b->p);
    *b = (struct buf){ 0 };
}

struct buf buf_take(struct buf *b)
{
    struct buf out = *b;
    *b = (struct buf){ 0 };
    return out;
}
