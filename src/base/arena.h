/* Arena: memory that lives as long as one request, is wiped and released as a whole. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct arena; /* one thread at a time */

/* NULL when out of memory. */
struct arena *arena_new(void) MUST_USE;
void arena_free(struct arena *a);

/* Wipe everything handed out; keeps the first chunk for the next request. */
void arena_reset(struct arena *a);

/* Zeroed, aligned for any type; NULL when out of memory, which the arena remembers. */
void *arena_alloc(struct arena *a, size_t n) MUST_USE;

/* The same for an array; an overflow of the product is a lack of memory. */
void *arena_array(struct arena *a, size_t count, size_t size) MUST_USE;

/* Not zeroed, not aligned: for bytes about to be overwritten. */
char *arena_bytes(struct arena *a, size_t n) MUST_USE;

/* Copies; on lack of memory the result has a NULL pointer, no bytes, and arena_failed is true. */
struct str arena_dup(struct arena *a, struct str s);
struct str arena_cat(struct arena *a, struct str first, struct str second);
struct str arena_printf(struct arena *a, const char *format, ...) PRINTF_LIKE(2, 3);
/* NUL-terminated copy, for library calls; NULL also when ${s} holds a NUL. */
char *arena_cstr(struct arena *a, struct str s);

/*
 * Take over the bytes of ${b}, which is { 0 } afterwards, uncopied; wiped and released with the
 * rest.  Without memory (also when ${b} ran out of it) as the copies above.
 */
struct str arena_take(struct arena *a, struct buf *b);

/* True once any allocation failed; builders check this once, at their end. */
bool arena_failed(const struct arena *a);
/* -1 with ERR_NOMEM when one did. */
int arena_check(const struct arena *a, struct err *err) MUST_USE;

/* For AUTO(arena_drop) struct arena *a = arena_new(). */
void arena_drop(struct arena **a);

#endif
