/* Token: the store of service tokens, the batch tokens that are stored nowhere, and their roles. */
#ifndef CORE_TOKEN_H
#define CORE_TOKEN_H

#include "barrier/barrier.h"
#include "base/clock.h"
#include "core/lease.h"
#include "core/token_entry.h"
#include "logical/auth.h"
#include "storage/storage.h"

struct token_store; /* any thread */

struct token_parts {
    struct storage *sys;      /* the barrier's storage below "sys/" */
    struct barrier *barrier;  /* batch tokens */
    struct lease_book *leases;
    struct storage *cubbyhole; /* view of the cubbyhole mount: a dead token's drawer is emptied */
    const struct clock *clock;
};

/* Reads or makes the salt.  The parts are borrowed. */
int token_store_new(const struct token_parts *parts, struct token_store **out,
                    struct err *err) MUST_USE;
void token_store_free(struct token_store *t);
/* Somebody else changed the stored key ("token/id/...", below sys/): forget what is cached. */
void token_store_invalidate(struct token_store *t, struct str key);

/*
 * Find a living token: 1 and ${out}, 0 unknown, expired or being revoked, -1.  Must be called inside
 * an epoch section.  Answers from a bounded cache when it can: the request path lives on this.
 */
int token_lookup(struct token_store *t, struct str token, const struct token_entry **out,
                 struct err *err) MUST_USE;
/* The same, but finds a token too that is in its last use (it may still look at itself). */
int token_lookup_pending(struct token_store *t, struct str token, const struct token_entry **out,
                         struct err *err) MUST_USE;
/* By accessor: 1, 0, -1. */
int token_lookup_accessor(struct token_store *t, struct str accessor,
                          const struct token_entry **out, struct err *err) MUST_USE;

/*
 * Count one use of a token with a limit.  Writes: workers only.  1: goes on (${last} tells that it
 * was the last use: the caller revokes the token after the request), 0: used up.
 */
int token_use(struct token_store *t, const struct token_entry *e, bool *last,
              struct err *err) MUST_USE;

/*
 * Make a token of ${e} (id, accessor, cubbyhole_id, created_s are made when empty or 0) and, unless
 * it is a root token of init or generate-root, its lease from ${auth}; one commit.  Fills auth->client_token and accessor, whose
 * strings live in ${a}.  ${e} of type TOKEN_BATCH is sealed into the token and stored nowhere.
 * -1: ERR_BAD_REQUEST when a custom id is taken ("cannot create a token with a duplicate ID").
 */
int token_create(struct token_store *t, struct arena *a, struct token_entry *e, struct auth *auth,
                 struct err *err) MUST_USE;

/* Revoke a token, its leases, its drawer and all its children.  0 also when it is gone already. */
int token_revoke_tree(struct token_store *t, struct str token, struct err *err) MUST_USE;
/* Revoke it alone; its children become orphans. */
int token_revoke_orphan(struct token_store *t, struct str token, struct err *err) MUST_USE;
/* The same by salted id: how the lease book ends a token. */
int token_revoke_sid(struct token_store *t, struct str sid, struct err *err) MUST_USE;

/* Salted id of a token, in ${a}. */
int token_sid(struct token_store *t, struct arena *a, struct str token, struct str *out,
              struct err *err) MUST_USE;

/* The same, but of the token that answers for ${token}'s leases: see struct lease_calls. */
int token_owner_sid(struct token_store *t, struct arena *a, struct str token, struct str *out,
                    struct err *err) MUST_USE;

/* Every accessor, in no order. */
int token_accessors(struct token_store *t, struct arena *a, struct strs *out,
                    struct err *err) MUST_USE;

/* Remove what points to nothing (parent index, accessors, leases of tokens that are gone). */
int token_tidy(struct token_store *t, struct err *err) MUST_USE;

#endif
