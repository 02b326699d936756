/* Identity: entities, the people and machines behind logins, found by their aliases. */
#ifndef CORE_IDENTITY_H
#define CORE_IDENTITY_H

#include "base/arena.h"
#include "core/policy.h"
#include "storage/storage.h"

struct identity; /* any thread; readers take no lock */

/* ${view} is the identity mount's view. Loads all buckets. */
int identity_new(struct storage *view, struct identity **out, struct err *err) MUST_USE;
void identity_free(struct identity *i);

/*
 * Another node changed the stored ${key} (below the view): read it again.  True when that is not
 * enough and all is to be made anew.
 */
bool identity_invalidate(struct identity *i, struct str key);

/* Who logs in. */
struct identity_alias {
    struct str mount_accessor, mount_type, mount_path, name;
    struct json *metadata; /* object of texts, or NULL */
};

/*
 * The entity of this alias, made when there is none (one commit).  ${entity_id} in ${a}.
 * -1: ERR_DENIED when the entity is disabled.
 */
int identity_login(struct identity *i, struct arena *a, const struct identity_alias *alias,
                   struct str *entity_id, struct err *err) MUST_USE;

/*
 * What a token's entity adds: its policies, and the facts for policy templates.  1, 0 when there is
 * no such entity any more or it is disabled, -1.  Within the caller's epoch section.
 */
int identity_of_token(struct identity *i, struct arena *a, struct str entity_id,
                      struct strs *policies, const struct policy_facts **facts,
                      struct err *err) MUST_USE;

#endif
