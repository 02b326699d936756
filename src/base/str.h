/* Str: borrowed bytes with a length, perhaps with NULs in them; passed by value. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <string.h>

#include "base/attr.h"

struct str {
    const char *p;
    size_t n;
};

/* A literal as a str: STR("x"); usable in static initialisers. */
#define STR(literal) ((struct str){ "" literal, sizeof(literal) - 1 })
/* The same where a constant expression is wanted (static tables). */
#define STR_INIT(literal) { "" literal, sizeof(literal) - 1 }

#define STR_FMT "%.*s"
#define STR_ARG(s) (int)(s).n, (s).p != NULL ? (s).p : ""

/* The bytes of a NUL-terminated text; NULL reads as empty. */
static inline struct str str_of(const char *z)
{
    return (struct str){ z, z != NULL ? strlen(z) : 0 };
}

static inline struct str str_mem(const void *p, size_t n)
{
    return (struct str){ p, n };
}

/* Equality of public bytes; secrets are compared with secret_eq. */
static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_is(struct str a, const char *z)
{
    return str_eq(a, str_of(z));
}

/* Byte order, shorter first: <0, 0, >0. */
int str_cmp(struct str a, struct str b);

/* Equality without regard to ASCII case. */
bool str_eq_nocase(struct str a, struct str b);

static inline bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

static inline bool str_ends(struct str s, struct str suffix)
{
    return s.n >= suffix.n && (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

/* The bytes from ${from} on; past the end: empty. */
static inline struct str str_from(struct str s, size_t from)
{
    return from >= s.n ? (struct str){ s.p + s.n, 0 } : (struct str){ s.p + from, s.n - from };
}

/* The first ${n} bytes, or all. */
static inline struct str str_head(struct str s, size_t n)
{
    return (struct str){ s.p, n < s.n ? n : s.n };
}

/* Index of the first (last) ${c}, or -1. */
ptrdiff_t str_find_byte(struct str s, char c);
ptrdiff_t str_rfind_byte(struct str s, char c);

/* Index of the first ${needle}, or -1. */
ptrdiff_t str_find(struct str s, struct str needle);

/* Without ASCII white space at both ends. */
struct str str_trim(struct str s);

/*
 * Cut off the part before the first ${sep} into ${part} and step past it; false when nothing
 * is left (${rest} then has a NULL pointer). "a,,b" gives "a", "", "b"; "" gives "" once.
 */
bool str_next(struct str *rest, char sep, struct str *part);

/* Whole decimal number, optional minus; false on anything else or overflow. */
bool str_to_i64(struct str s, int64_t *out) MUST_USE;
bool str_to_u64(struct str s, uint64_t *out) MUST_USE;

/* FNV-1a; for tables whose keys no client chooses. */
uint64_t str_hash(struct str s);

#endif
