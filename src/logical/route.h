/* Route: a path that an engine serves, as a table row; help and OpenAPI come from it. */
#ifndef LOGICAL_ROUTE_H
#define LOGICAL_ROUTE_H

#include "logical/field.h"
#include "logical/request.h"
#include "logical/response.h"

/* 1: answered; 0: absent (404 for reads and lists, 204 for writes); -1: req->err. */
typedef int route_fn(struct request *req, struct response *resp);
/* Does what a write would change exist? 1, 0, -1: decides between create and update. */
typedef int route_exists_fn(struct request *req);

enum route_flags {
    ROUTE_NO_TOKEN = 1,   /* callable without a token (logins) */
    ROUTE_SUDO = 2,       /* wants the sudo capability */
    ROUTE_SLOW = 4,       /* reads may wait or compute long: never on an event loop */
    ROUTE_RAW_BODY = 8,   /* the body is not JSON */
    ROUTE_NO_COMMIT = 16, /* a write that does not change the store: may run on the event loop */
    ROUTE_ACTIVE = 32,    /* only the active node can tell, reads too */
};

/*
 * Patterns, matched against the whole rest of the path, first row wins:
 *   literal text;
 *   {name}     one segment of letters, digits, '_', and inside '-' and '.' (Vault's generic name);
 *   {name:any} one or more characters other than '/';
 *   {name...}  everything that is left, perhaps nothing;
 *   {...}      the same, kept from the fields (engines whose data is the client's alone);
 *   {name:+}   everything that is left, at least one character;
 *   {name:at}  one segment as {name} in which '@' too may stand;
 *   (...)      what is in parentheses may be missing;
 *   a '?' after a character: that character may be missing ("keys/?").
 * What a {name} matched becomes the field of that name, over anything the client sent; a name in
 * parentheses that were left out becomes the empty text.
 */
struct route {
    const char *pattern;
    const struct field *fields;
    size_t n_fields;
    unsigned flags;
    route_fn *read, *list, *write, *del; /* write serves create and update */
    route_exists_fn *exists;             /* absent: every write is an update */
    const char *summary, *details;       /* for path-help */
};

#define FIELDS(table) .fields = (table), .n_fields = ARRAY_LEN(table)

/*
 * The first row that matches req->rel; its captures go to req->path_data, req->route is set.
 * 1, or 0 when none does.
 */
int route_match(const struct route *routes, size_t n, struct request *req);

/* Only: does the pattern match? (special paths, help) */
bool route_matches(const char *pattern, struct str rel);

/*
 * Does what the write would change exist?  Checks the fields first; a row without the check says 1
 * (an update).  -1: req->err; ERR_BAD_REQUEST for a field's bad value.
 */
int route_exists(struct request *req) MUST_USE;

/*
 * Call the row's handler for req->op after checking the fields.  -1 with ERR_UNSUPPORTED when the
 * row has none, ERR_UNSUPPORTED_PATH when req->route is NULL; a field's bad value is
 * ERR_BAD_REQUEST in a write to a row with an existence check, else ERR_INTERNAL (as Vault).
 */
int route_call(struct request *req, struct response *resp);

#endif
