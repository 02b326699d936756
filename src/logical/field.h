/* Field: the parameters that a route takes, their types, and how a request's are read. */
#ifndef LOGICAL_FIELD_H
#define LOGICAL_FIELD_H

#include "base/strs.h"
#include "codec/json.h"

struct request;

enum field_type {
    FIELD_STRING,       /* a number is taken as its text, a boolean as "1" or "0" */
    FIELD_LOWER,        /* a string, lowered (ASCII) */
    FIELD_INT,          /* number, or its text */
    FIELD_BOOL,         /* boolean, "true", "1", ... */
    FIELD_SECONDS,      /* duration: number or text; read as whole seconds; negative refused */
    FIELD_SIGNED_SECONDS,
    FIELD_MAP,          /* object */
    FIELD_KV_PAIRS,     /* object of texts, or list of "k=v" */
    FIELD_STRINGS,      /* list of texts, trimmed; a single text is a list of one, "" of none */
    FIELD_COMMA_STRINGS, /* the same, and a text is split at commas; empty items stay, as in Vault */
    FIELD_COMMA_INTS,
    FIELD_ANY,
};

/* One row of a route's table. */
struct field {
    const char *name;
    enum field_type type;
    const char *fallback; /* text of the default, or NULL for the type's zero */
    const char *help;
};

/*
 * Check all fields given against their types (the first stage of every routed request), -1 with
 * req->err: ERR_INTERNAL and Vault's text "error converting input ... for field ...".
 */
int field_check_all(struct request *req) MUST_USE;

/* True when the client sent it (null counts as not sent). */
bool field_given(const struct request *req, const char *name);
/* The value as sent, or NULL. */
struct json *field_raw(const struct request *req, const char *name);

/*
 * The value, else the route's default.  To be called after field_check_all passed; a name that the
 * route does not declare reads as sent, with the type that the function names.
 */
struct str field_str(const struct request *req, const char *name);
int64_t field_int(const struct request *req, const char *name);
bool field_bool(const struct request *req, const char *name);
int64_t field_seconds(const struct request *req, const char *name);
struct strs field_strs(const struct request *req, const char *name);
/* Of FIELD_COMMA_INTS; in the request's arena. */
int64_t *field_ints(const struct request *req, const char *name, size_t *n);
/* Values that no field names: as FIELD_INT and FIELD_SIGNED_SECONDS; false when they are none. */
bool field_weak_int(const struct json *v, int64_t *out) MUST_USE;
bool field_weak_seconds(const struct json *v, int64_t *out) MUST_USE;
/* Object; NULL when not given. FIELD_KV_PAIRS gives an object whose values are strings. */
struct json *field_map(const struct request *req, const char *name);

#endif
