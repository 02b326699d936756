/* Wrapkey: the key that signs wrapping tokens of JWT shape (core/wrapping/jwtkey, ES512). */
#ifndef CORE_WRAPKEY_H
#define CORE_WRAPKEY_H

#include "base/arena.h"
#include "storage/storage.h"

struct wrapkey; /* immutable; any thread */

/* Load the key from the barrier's storage, or make it. */
int wrapkey_new(struct storage *s, struct wrapkey **out, struct err *err) MUST_USE;
void wrapkey_free(struct wrapkey *k);

/* What a token says. */
struct wrapkey_claims {
    struct str token;    /* the wrapping token inside: "jti" */
    struct str accessor; /* of a wrapped login, else empty */
    struct str addr;     /* the server's address for clients */
    int64_t issued_s, ttl_s;
};

/* The token as a JWS in compact form, in ${a}. */
int wrapkey_sign(const struct wrapkey *k, struct arena *a, const struct wrapkey_claims *claims,
                 struct str *out, struct err *err) MUST_USE;

/* Three parts, as a JWS has; tokens of our own kinds ("s.", "b.") never do. */
bool wrapkey_looks_like(struct str token);

/*
 * The wrapping token inside of ${jwt}, in ${a}.  1; 0: not signed by this key, expired, not yet
 * valid, or no wrapping token.  -1: ERR_NOMEM, ERR_INTERNAL.  Takes a millisecond of computing.
 */
int wrapkey_open(const struct wrapkey *k, struct arena *a, struct str jwt, int64_t now_s,
                 struct str *token, struct err *err) MUST_USE;

#endif
