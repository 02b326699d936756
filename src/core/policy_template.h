/* Policy_template: paths of policies that name the caller, as in "kv/{{identity.entity.id}}/x". */
#ifndef CORE_POLICY_TEMPLATE_H
#define CORE_POLICY_TEMPLATE_H

#include "base/arena.h"
#include "codec/json.h"

struct policy_alias {
    struct str mount_accessor, id, name;
    const struct json *metadata; /* object of texts, or NULL */
};

struct policy_group {
    struct str id, name;
    const struct json *metadata;
};

/* What is known of the caller.  All borrowed.  Groups are the direct and the inherited ones. */
struct policy_facts {
    struct str entity_id, entity_name;
    const struct json *entity_metadata;
    const struct policy_alias *aliases;
    size_t n_aliases;
    const struct policy_group *groups;
    size_t n_groups;
};

/* Is there a directive in ${path}?  -1: ERR_BAD_REQUEST "unbalanced templating characters". */
int policy_template_check(struct str path, bool *templated, struct err *err) MUST_USE;

/* Receives the rendered text; what does not fit is counted in n, not stored. */
struct policy_template_out {
    char *p;
    size_t n, cap;
};

/*
 * Append ${path} with its directives replaced.  ${facts} is NULL for a caller without an entity.
 * False when a directive has no value: such a path grants nothing, as in Vault.  ${out} then holds
 * a part of it.  Does not allocate.
 */
bool policy_template_render(struct str path, const struct policy_facts *facts,
                            struct policy_template_out *out) MUST_USE;

#endif
