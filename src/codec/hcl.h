/* Hcl: configuration and policy text (HCL 1, or JSON of the same meaning) to a tree in an arena. */
#ifndef CODEC_HCL_H
#define CODEC_HCL_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "codec/hcl_pos.h"
#include "codec/json.h"

enum hcl_type { HCL_STRING, HCL_NUMBER, HCL_BOOL, HCL_LIST, HCL_OBJECT };

struct hcl_key {
    struct str text;
    struct hcl_pos pos;
};

/* A value.  Lives in its arena; immutable once parsed. */
struct hcl {
    enum hcl_type type;
    bool truth; /* HCL_BOOL */
    struct hcl_pos pos;
    struct str text;                    /* HCL_STRING: its bytes; HCL_NUMBER: as written */
    struct hcl *first, *last;           /* HCL_LIST */
    struct hcl *next;                   /* sibling in a list */
    struct hcl_item *items, *items_end; /* HCL_OBJECT, in the order of the text */
    size_t count;                       /* elements or items */
};

/*
 * One item of an object: `key = value`, or `key "label" "label" { }`.  keys[0] is the key, the
 * labels follow.  A key may be repeated.
 */
struct hcl_item {
    struct hcl_key *keys;
    size_t n_keys;
    uint32_t assign_line; /* line of the '=' or ':', 0 when there is none */
    struct hcl *value;
    struct hcl_item *next;
};

/*
 * Parse the whole ${text}; the tree's root is an object.  Text whose first character is '{' is
 * JSON: nested objects there become labels and a list of objects becomes a repeated key, so that
 * it gives the tree that the same thing written in HCL gives; null reads as an empty string.
 * ${file} (may be empty) is for messages.  The tree owns copies: ${text} may go away.
 * -1: ERR_BAD_REQUEST "file:line:column: what was expected" (without a file "At line:column: ..."),
 * also for text over 32 MiB or nested beyond 100; ERR_NOMEM.
 */
int hcl_parse(struct arena *a, struct str file, struct str text, struct hcl **out,
              struct err *err) MUST_USE;

/* The value of the last item of that key without labels; NULL when absent or no object. */
const struct hcl *hcl_get(const struct hcl *object, struct str key);

/* Whole number: decimal, 0x hexadecimal, 0 octal, minus; false otherwise or on overflow. */
bool hcl_to_i64(const struct hcl *v, int64_t *out) MUST_USE;
/* Any number; false for other types. */
bool hcl_to_double(const struct hcl *v, double *out) MUST_USE;
/*
 * The value as JSON in ${a}, strings copied; whole numbers in decimal.  Of repeated keys the last
 * counts.  On lack of memory the arena remembers.
 */
struct json *hcl_to_json(struct arena *a, const struct hcl *v);
/* "string", "number", ... for messages. */
const char *hcl_type_name(enum hcl_type type);

/* A block with its labels, however the text grouped them. */
#define HCL_LABELS_MAX 2
struct hcl_block {
    struct hcl_key key, labels[HCL_LABELS_MAX];
    size_t n_labels; /* fewer than asked for when the text has no more */
    uint32_t assign_line;
    const struct hcl *value;
    struct hcl_block *next;
};

/*
 * All blocks ${key} of ${object} with ${n_labels} labels each, in order.  `path "a" { }`,
 * `path { a { } }`, `path = [{ a = { } }]` and their JSON forms come out the same; labels beyond
 * ${n_labels} become nested objects.  On lack of memory the arena remembers.
 */
struct hcl_block *hcl_blocks(struct arena *a, const struct hcl *object, struct str key,
                             size_t n_labels);

#endif
