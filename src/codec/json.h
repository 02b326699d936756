/* Json: text to a tree in an arena and back.  Numbers keep their exact text. */
#ifndef CODEC_JSON_H
#define CODEC_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "base/strs.h"

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT, JSON_RAW };

/* A value.  Lives in its arena; one thread at a time.  Read the fields, change by functions. */
struct json {
    enum json_type type;
    bool truth;          /* JSON_BOOL */
    bool keep_order;     /* JSON_OBJECT: print members as they were put, not sorted */
    struct str key;      /* the member's name, when the parent is an object */
    struct str text;     /* JSON_STRING: its bytes (UTF-8); JSON_NUMBER, JSON_RAW: its text */
    struct arena *arena; /* of containers */
    struct json *first, *last; /* children of JSON_ARRAY, JSON_OBJECT */
    struct json *next;         /* sibling */
    size_t count;              /* number of children */
};

/*
 * Parse the first value of ${text}; ${used} (may be NULL) gets the number of bytes read, white
 * space before the value included, or on failure the offset of what is wrong.  As Go's decoder: a
 * repeated member's last value wins; lone surrogates and bytes that are not UTF-8 become U+FFFD;
 * nesting beyond 10,000 is refused.  The strings are copied to the arena or borrowed from ${text},
 * which must live as long as the tree.
 * -1: ERR_BAD_REQUEST with the text of Go's decoder ("EOF" when there is no value, "unexpected
 * EOF" when it is cut short), ERR_NOMEM.
 */
int json_parse(struct arena *a, struct str text, struct json **out, size_t *used,
               struct err *err) MUST_USE;

/* The same, and nothing but white space may follow; texts as Go's json.Unmarshal. */
int json_parse_all(struct arena *a, struct str text, struct json **out, struct err *err) MUST_USE;

/*
 * Append the text: object members sorted by name (unless keep_order), and '<', '>', '&', U+2028,
 * U+2029 escaped as Go's encoder does, so that the bytes are Vault's own.
 */
void json_print(const struct json *v, struct buf *out);
/* The same with line ends and an indent of ${indent} spaces, characters unescaped (command line). */
void json_print_pretty(const struct json *v, int indent, struct buf *out);
/* A string with its quotes and escapes, as json_print writes it. */
void json_print_string(struct str s, struct buf *out);

/*
 * Making.  On lack of memory these return NULL and the arena remembers; NULL containers and NULL
 * values are accepted and ignored, so the builder checks the arena once at its end.  Strings are
 * borrowed: they must live as long as the arena.
 */
struct json *json_null(struct arena *a);
struct json *json_bool(struct arena *a, bool v);
struct json *json_int(struct arena *a, int64_t v);
struct json *json_uint(struct arena *a, uint64_t v);
struct json *json_number(struct arena *a, struct str text);
struct json *json_str(struct arena *a, struct str s);
struct json *json_raw(struct arena *a, struct str text); /* finished JSON text, printed as it is */
struct json *json_array(struct arena *a);
struct json *json_object(struct arena *a);
/* A deep copy into ${a}, strings included. */
struct json *json_copy(struct arena *a, const struct json *v);

/* Put a member; a member of that name is replaced in its place.  ${v} becomes the object's. */
void json_set(struct json *object, struct str key, struct json *v);
/* Put a member known to be new: no search. */
void json_append(struct json *object, struct str key, struct json *v);
void json_put_null(struct json *object, const char *key);
void json_put_bool(struct json *object, const char *key, bool v);
void json_put_int(struct json *object, const char *key, int64_t v);
void json_put_str(struct json *object, const char *key, struct str v);
void json_put_text(struct json *object, const char *key, const char *v);
void json_put(struct json *object, const char *key, struct json *v);
/* A list of texts; the second puts null for an empty one, as Go prints a nil slice. */
void json_put_strs(struct json *object, const char *key, const struct strs *list);
void json_put_strs_or_null(struct json *object, const char *key, const struct strs *list);
/* A new, empty child; returned. */
struct json *json_put_object(struct json *object, const char *key);
struct json *json_put_array(struct json *object, const char *key);
/* Take a member out; NULL when absent. */
struct json *json_remove(struct json *object, struct str key);

void json_add(struct json *array, struct json *v);
void json_add_str(struct json *array, struct str v);
struct json *json_add_object(struct json *array);

/* Reading.  All accept NULL and a value of another type, and then say "absent". */
struct json *json_get(const struct json *object, struct str key);
struct json *json_member(const struct json *object, const char *key);
/* The texts of an array's strings, and its numbers as text; borrowed from the tree. */
struct strs json_strs(struct arena *a, const struct json *array);
/* Member as text; empty when absent or no string. */
struct str json_get_str(const struct json *object, const char *key);
/* Member as a whole number; ${otherwise} when absent, no number, or not whole. */
int64_t json_get_int(const struct json *object, const char *key, int64_t otherwise);
bool json_get_bool(const struct json *object, const char *key, bool otherwise);
/*
 * The value of a number, false when it is none or does not fit.  As Go's json.Number.Int64, a
 * whole number has neither fraction nor exponent: 5.0 and 1e3 are none.
 */
bool json_to_i64(const struct json *v, int64_t *out);
bool json_to_double(const struct json *v, double *out);
bool json_is(const struct json *v, enum json_type type);
bool json_equal(const struct json *a, const struct json *b);

/* for (v = json_first(container); v != NULL; v = v->next) */
static inline struct json *json_first(const struct json *container)
{
    return container == NULL ? NULL : container->first;
}

#endif
