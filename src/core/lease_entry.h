/* Lease entry: the stored form of a lease. */
#ifndef CORE_LEASE_ENTRY_H
#define CORE_LEASE_ENTRY_H

#include "base/buf.h"
#include "codec/json.h"
#include "logical/auth.h"
#include "logical/response.h"

/* A lease entry as stored (storage-layout.md section 6); lives in the arena it was read into. */
struct lease {
    struct str id;            /* "database/creds/app/<24>", "auth/userpass/login/bob/h<64 hex>" */
    struct str client_token;
    struct str path;
    enum token_type token_type;
    struct json *data;        /* of a secret, or NULL */
    struct lease_terms *secret; /* either this (internal_data included) ... */
    struct auth *auth;        /* ... or this */
    int64_t issued_ns, expires_ns, renewed_ns; /* TIME_ZERO where unset */
    bool irrevocable;
};

int lease_entry_parse(struct arena *a, struct str text, struct lease *out, struct err *err) MUST_USE;
int lease_entry_print(struct arena *a, const struct lease *l, struct buf *out,
                      struct err *err) MUST_USE;

#endif
