/* Bump allocation in a chain of chunks, wiped when it ends. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_CHUNK = 4096, LARGEST_STEP = 1 << 20, ALIGN = 16 };

struct chunk {
    struct chunk *older;
    size_t used, size;
    _Alignas(16) char bytes[];
};

/* Bytes taken over; itself in a chunk. */
struct taken {
    struct taken *older;
    struct buf bytes;
};

struct arena {
    struct chunk *newest;
    struct taken *taken;
    bool failed;
};

static struct chunk *chunk_new(size_t size)
{
    size_t whole;
    if (__builtin_add_overflow(sizeof(struct chunk), size, &whole))
        return NULL;
    struct chunk *c = malloc(whole);
    if (c != NULL) {
        c->older = NULL;
        c->used = 0;
        c->size = size;
    }
    return c;
}

struct arena *arena_new(void)
{
    struct arena *a = malloc(sizeof *a);
    struct chunk *c = chunk_new(FIRST_CHUNK);
    if (a == NULL || c == NULL) {
        free(a);
        free(c);
        return NULL;
    }
    *a = (struct arena){ .newest = c };
    return a;
}

void arena_reset(struct arena *a)
{
    for (struct taken *t = a->taken; t != NULL; t = t->older)
        buf_free(&t->bytes);
    a->taken = NULL;
    struct chunk *c = a->newest;
    while (c->older != NULL) {
        struct chunk *older = c->older;
        explicit_bzero(c->bytes, c->used);
        free(c);
        c = older;
    }
    explicit_bzero(c->bytes, c->used);
    c->used = 0;
    a->newest = c;
    a->failed = false;
}

void arena_free(struct arena *a)
{
    if (a == NULL)
        return;
    arena_reset(a);
    free(a->newest);
    free(a);
}

void arena_drop(struct arena **a)
{
    arena_free(*a);
    *a = NULL;
}

static char *grab(struct arena *a, size_t n, size_t align)
{
    struct chunk *c = a->newest;
    size_t start = (c->used + align - 1) & ~(align - 1);
    if (start <= c->size && n <= c->size - start) {
        c->used = start + n;
        return c->bytes + start;
    }
    size_t size = c->size * 2 > LARGEST_STEP ? LARGEST_STEP : c->size * 2;
    struct chunk *fresh = chunk_new(n > size ? n : size);
    if (fresh == NULL) {
        a->failed = true;
        return NULL;
    }
    fresh->older = c;
    fresh->used = n;
    a->newest = fresh;
    return fresh->bytes;
}

void *arena_alloc(struct arena *a, size_t n)
{
    char *p = grab(a, n, ALIGN);
    return p == NULL ? NULL : memset(p, 0, n);
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t n;
    if (__builtin_mul_overflow(count, size, &n)) {
        a->failed = true;
        return NULL;
    }
    return arena_alloc(a, n);
}

char *arena_bytes(struct arena *a, size_t n)
{
    return grab(a, n, 1);
}

struct str arena_dup(struct arena *a, struct str s)
{
    return arena_cat(a, s, (struct str){ NULL, 0 });
}

struct str arena_cat(struct arena *a, struct str first, struct str second)
{
    char *p = grab(a, first.n + second.n + 1, 1);
    if (p == NULL)
        return (struct str){ NULL, 0 };
    if (first.n > 0)
        memcpy(p, first.p, first.n);
    if (second.n > 0)
        memcpy(p + first.n, second.p, second.n);
    p[first.n + second.n] = 0;
    return (struct str){ p, first.n + second.n };
}

struct str arena_take(struct arena *a, struct buf *b)
{
    struct taken *t = b->failed ? NULL : arena_alloc(a, sizeof *t);
    if (t == NULL) {
        a->failed = true;
        buf_free(b);
        return (struct str){ NULL, 0 };
    }
    t->older = a->taken;
    t->bytes = buf_take(b);
    a->taken = t;
    return buf_str(&t->bytes);
}

struct str arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *p = n < 0 ? NULL : grab(a, (size_t)n + 1, 1);
    if (p == NULL) {
        a->failed = true;
        return (struct str){ NULL, 0 };
    }
    va_start(args, format);
    vsnprintf(p, (size_t)n + 1, format, args);
    va_end(args);
    return (struct str){ p, (size_t)n };
}

char *arena_cstr(struct arena *a, struct str s)
{
    if (s.n > 0 && memchr(s.p, 0, s.n) != NULL)
        return NULL;
    return (char *)arena_dup(a, s).p;
}

bool arena_failed(const struct arena *a)
{
    return a->failed;
}

int arena_check(const struct arena *a, struct err *err)
{
    return a->failed ? err_set(err, ERR_NOMEM, "out of memory") : 0;
}
