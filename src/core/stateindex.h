/*
 * Stateindex: how far the store was when a request was answered, told to the client in a header
 * that it may send back later (Vault docs: enterprise/consistency).  Signed, so that nobody can
 * ask for a state that there never was.
 */
#ifndef CORE_STATEINDEX_H
#define CORE_STATEINDEX_H

#include "base/arena.h"
#include "storage/storage.h"

#define STATEINDEX_HEADER "X-Vault-Index"

struct stateindex; /* the key; immutable, any thread */

/*
 * Load core/index-header-hmac-key from the barrier's storage; ${make}: when there is none, make it.
 * ${out} is NULL when there is none and none is made.
 */
int stateindex_new(struct storage *plain, bool make, struct stateindex **out,
                   struct err *err) MUST_USE;
void stateindex_free(struct stateindex *k);

/* What a header says. */
struct stateindex_value {
    struct str cluster_id;
    uint64_t local;      /* index of this cluster's log */
    uint64_t replicated; /* of the log that secondaries follow */
};

/* As a header's value, in ${a}. */
int stateindex_print(const struct stateindex *k, struct arena *a,
                     const struct stateindex_value *v, struct str *out, struct err *err) MUST_USE;
/* -1: ERR_BAD_REQUEST: malformed, or not signed by this key. */
int stateindex_parse(const struct stateindex *k, struct arena *a, struct str text,
                     struct stateindex_value *out, struct err *err) MUST_USE;

#endif
