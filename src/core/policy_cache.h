/* Policy_cache: compiled sets of policies by their names; readers take no lock. */
#ifndef CORE_POLICY_CACHE_H
#define CORE_POLICY_CACHE_H

#include "core/policy_acl.h"

/* A policy that several sets and the store share.  Immutable; counted. */
struct policy_held;
/* Takes over ${p}; the count is one.  NULL (and ${p} released) when out of memory. */
struct policy_held *policy_held_new(struct policy *p) MUST_USE;
struct policy_held *policy_held_ref(struct policy_held *h);
void policy_held_unref(struct policy_held *h);
const struct policy *policy_held_policy(const struct policy_held *h);

/*
 * What is known of a list of names, or of a list of names for one caller.  Immutable once it is in
 * the cache; owned by it then.
 */
struct policy_set {
    struct str key;
    struct strs names;             /* sanitised, also of policies that do not exist */
    struct policy_held **policies; /* those that exist */
    size_t n_policies;
    bool templated; /* then acl is NULL: it depends on the caller */
    struct policy_acl *acl;
    struct arena *arena; /* of all above but acl */
    bool used;           /* asked for since the last sweep; atomic access */
};
/* Empty, with its arena; NULL when out of memory. */
struct policy_set *policy_set_new(void) MUST_USE;
void policy_set_free(struct policy_set *set);

struct policy_cache; /* any thread */

/* At most ${limit} sets; then those not asked for lately go. */
struct policy_cache *policy_cache_new(size_t limit) MUST_USE;
/* No reader may be left. */
void policy_cache_free(struct policy_cache *c);

/* The set of that key, or NULL; valid until the caller's epoch section ends. */
const struct policy_set *policy_cache_find(struct policy_cache *c, struct str key);

/* To be asked for before the storage is read for a new set. */
uint64_t policy_cache_generation(struct policy_cache *c);
/*
 * Take over ${set}, made of what was read since ${generation} was asked for.  When something
 * changed meanwhile it is not kept, yet stays valid until the caller's epoch section ends.
 */
void policy_cache_put(struct policy_cache *c, struct policy_set *set, uint64_t generation);

/* Forget all sets with that name among theirs; an empty name: all sets. */
void policy_cache_drop(struct policy_cache *c, struct str name);

#endif
