/* Buf: owned bytes that grow; wiped when they move and when they are released. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

/* Starts as { 0 }. Owned by whoever declared it; one thread at a time. */
struct buf {
    char *p;
    size_t n, cap;
    bool failed; /* an append ran out of memory: everything after it was dropped */
};

/* Make room for ${more} bytes beyond n. -1: ERR_NOMEM (also remembered in failed). */
int buf_reserve(struct buf *b, size_t more);

/* Append; on lack of memory sets b->failed, which the writer checks once at the end. */
void buf_add(struct buf *b, struct str s);
void buf_byte(struct buf *b, char c);
void buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);

/* -1 with ERR_NOMEM when an append failed. */
int buf_check(const struct buf *b, struct err *err) MUST_USE;

static inline struct str buf_str(const struct buf *b)
{
    return (struct str){ b->p, b->n };
}

/* Wipe the content, keep the memory. */
void buf_clear(struct buf *b);

/* Wipe and release; b is { 0 } afterwards. */
void buf_free(struct buf *b);

/* Hand over: returns the content, leaves { 0 } behind. */
struct buf buf_take(struct buf *b);

#endif
