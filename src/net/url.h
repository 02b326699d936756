/* Url: percent-coding, path cleaning and query strings, exactly as Go's net/url and ServeMux do. */
#ifndef NET_URL_H
#define NET_URL_H

#include "base/arena.h"
#include "base/attr.h"
#include "base/str.h"

/*
 * Undo the percent-coding of a path ('+' stays a plus).  ${out} is ${raw} itself when it holds no
 * escape.  -1: a bad escape, or out of memory (arena_failed tells).
 */
int url_decode_path(struct arena *a, struct str raw, struct str *out) MUST_USE;

/*
 * The path as ServeMux would have it: "." and ".." resolved, slashes single, a trailing slash kept.
 * True when it differs from ${decoded}, which ServeMux answers with 301 to the clean one.  Without
 * a difference ${cleaned} is ${decoded} itself.
 */
bool url_clean_path(struct arena *a, struct str decoded, struct str *cleaned);

/* For a Location header: everything escaped that Go's URL.EscapedPath escapes. */
struct str url_encode_path(struct arena *a, struct str decoded);

struct url_pair {
    struct str name, value; /* decoded; in the arena or in the query itself */
};

struct url_query {
    struct url_pair *v;
    size_t n;
};

/*
 * Name and value pairs in their order, cut at '&' and ';' (as Go 1.16), '+' read as a space.  A
 * pair with a bad escape is dropped.  Lack of memory is remembered by the arena.
 */
struct url_query url_parse_query(struct arena *a, struct str query);

/* Value of the first pair of that name; 1 found, 0 absent. */
int url_query_get(const struct url_query *q, struct str name, struct str *value);

#endif
