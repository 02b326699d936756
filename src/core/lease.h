/* Lease: what expires, when, and what must be done then.  Survives restarts; a million are fine. */
#ifndef CORE_LEASE_H
#define CORE_LEASE_H

#include "base/clock.h"
#include "core/lease_entry.h"
#include "logical/auth.h"
#include "logical/request.h"
#include "logical/response.h"
#include "storage/storage.h"

struct lease_book; /* any thread */

/* What the book needs of the core; called on workers, never under a lock of the book. */
struct lease_calls {
    void *ctx;
    /* Revoke or renew a secret at its engine: an internal request through the router. */
    int (*revoke_secret)(void *ctx, const struct lease *l, struct err *err);
    int (*renew_secret)(void *ctx, struct arena *a, const struct lease *l, int64_t increment_s,
                        struct lease_terms **out, struct err *err);
    /* Ask a login's method whether it may be renewed; fills ${out}. */
    int (*renew_login)(void *ctx, struct arena *a, const struct lease *l, int64_t increment_s,
                       struct auth **out, struct err *err);
    /* End the token whose salted id it is, with its children. */
    int (*revoke_token)(void *ctx, struct str sid, struct err *err);
    /* Salted id, in ${a}, of the token that a token's leases are found under: its own, a batch
     * token's parent's, or empty (a batch token without parent). */
    int (*token_sid)(void *ctx, struct arena *a, struct str token, struct str *sid,
                     struct err *err);
    /* Is the token still stored? 1, 0, -1. */
    int (*token_stored)(void *ctx, struct str token, struct err *err);
    /* Default and maximum TTL of the mount that serves ${path}, in seconds. */
    void (*mount_ttls)(void *ctx, struct str path, int64_t *default_s, int64_t *max_s);
};

/*
 * ${sys}: the barrier's storage below "sys/".  Loads the index of all leases (in the background
 * when there are many).  Nothing is revoked before lease_book_start.
 */
int lease_book_new(struct storage *sys, const struct clock *clock, const struct lease_calls *calls,
                   struct lease_book **out, struct err *err) MUST_USE;
/*
 * Start the one thread that waits for the next lease to expire (no polling); expired ones are
 * revoked by a few workers, with retries that back off.
 */
int lease_book_start(struct lease_book *b, struct err *err) MUST_USE;
/* End the threads; what they were doing is finished first, nothing else is revoked. */
void lease_book_stop(struct lease_book *b);
void lease_book_free(struct lease_book *b);

/*
 * Lease for a secret that ${req} got in ${resp}->lease: checks and caps the TTL by the mount's and
 * a batch token's own, stores, fills resp->lease->lease_id and ttl_s.  When that fails, the secret
 * is revoked: nothing would ever end it.
 */
int lease_register(struct lease_book *b, struct request *req, struct response *resp,
                   struct err *err) MUST_USE;

/*
 * The stored form of a token's own lease, to be committed together with the token: ${key} (below
 * sys/) and ${value} in ${a}.  lease_token_committed puts it on the clock afterwards.
 */
int lease_prepare_token(struct lease_book *b, struct arena *a, struct str sid, struct str path,
                        const struct auth *auth, struct str *key, struct str *value,
                        struct err *err) MUST_USE;
int lease_token_committed(struct lease_book *b, struct str sid, struct str path,
                          int64_t expires_ns, struct err *err) MUST_USE;

/* When the token's lease ends; 1, 0 no such lease (the token is dead), -1.  No storage is read
 * once the book is loaded: the request path asks this for each request. */
int lease_token_expiry(struct lease_book *b, struct str sid, struct str path, int64_t *expires_ns,
                       struct err *err) MUST_USE;

/* 1, 0, -1; ${out} in ${a}. */
int lease_load(struct lease_book *b, struct arena *a, struct str id, struct lease **out,
               struct err *err) MUST_USE;

/*
 * Renew by ${increment_s} (0: as issued).  ${resp} gets the new terms (lease or auth), the secret's
 * data, and a warning when the maximum cut them.  -1: ERR_BAD_REQUEST with "lease not found",
 * "lease is not renewable", "lease expired" ...
 */
int lease_renew(struct lease_book *b, struct arena *a, struct str id, int64_t increment_s,
                struct response *resp, struct err *err) MUST_USE;
/* Renew a token's own lease: fills resp->auth. */
int lease_renew_token(struct lease_book *b, struct arena *a, struct str sid, struct str path,
                      int64_t increment_s, struct response *resp, struct err *err) MUST_USE;

/* Revoke one; ${force} goes on when the engine fails.  0 also when there is none. */
int lease_revoke(struct lease_book *b, struct str id, bool force, struct err *err) MUST_USE;
/* All below a path prefix. */
int lease_revoke_prefix(struct lease_book *b, struct str prefix, bool force,
                        struct err *err) MUST_USE;
/* All secrets that a token got, then the token's own lease entry (not the token). */
int lease_revoke_by_token(struct lease_book *b, struct str sid, struct str path,
                          struct err *err) MUST_USE;

/* Names directly below a prefix (sys/leases/lookup), in order. */
int lease_list(struct lease_book *b, struct arena *a, struct str prefix, struct strs *out,
               struct err *err) MUST_USE;
int lease_tidy(struct lease_book *b, struct err *err) MUST_USE;
size_t lease_count(struct lease_book *b);

#endif
