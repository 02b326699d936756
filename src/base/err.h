/* Err: why a call failed; made by the caller, filled where the failure is found. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/attr.h"
#include "base/str.h"

/* Kinds that a caller can act on; api/status.c maps each to its HTTP status. */
enum err_code {
    ERR_NONE = 0,
    ERR_NOMEM,              /* out of memory: 500 */
    ERR_INTERNAL,           /* something of ours went wrong: 500, text shown */
    ERR_IO,                 /* a disk or a socket failed: 500 */
    ERR_CORRUPT,            /* stored or received bytes are not what they must be: 500 */
    ERR_BAD_REQUEST,        /* the client's fault, text meant for the client as it is: 400 */
    ERR_INVALID,            /* Vault's "invalid request" family, text wrapped by the core: 400 */
    ERR_DENIED,             /* "permission denied": 403 */
    ERR_NO_TOKEN,           /* "missing client token": 400 */
    ERR_NOT_FOUND,          /* absent: 404 */
    ERR_NO_ROUTE,           /* "no handler for route 'x'": 404 */
    ERR_UNSUPPORTED_PATH,   /* the mount has no such path: 404 */
    ERR_UNSUPPORTED,        /* the path has no such operation: 405 */
    ERR_TOO_LARGE,          /* 413 */
    ERR_LIMITED,            /* a quota or a limit of ours: 429 */
    ERR_CONFLICT,           /* somebody else changed it meanwhile */
    ERR_SEALED,             /* "Vault is sealed": 503 */
    ERR_STANDBY,            /* not the active node */
    ERR_UNINITIALISED,      /* nothing to unseal yet */
    ERR_UPSTREAM,           /* another server did not answer as it should: 502 */
    ERR_MUST_WAIT,          /* would block where it must not: run again on a worker */
    ERR_READ_ONLY,          /* this store takes no writes */
    ERR_TIMEOUT,
};

struct err {
    enum err_code code;
    char msg[512];
};

/* Fill ${err} (may be NULL) and return -1. A text too long is cut at a UTF-8 boundary. */
int err_set(struct err *err, enum err_code code, const char *format, ...) PRINTF_LIKE(3, 4);

/* Put "${prefix}: " before the text, keep the code; returns -1. */
int err_prefix(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

static inline struct str err_text(const struct err *err)
{
    return str_of(err->msg);
}

#endif
