/* What a token may do. */
#include "core/rights.h"

int rights_of(const struct active *on, struct arena *a, const struct token_entry *e,
              const struct policy_acl **out, struct err *err)
{
    const struct policy_facts *facts = NULL;
    struct strs all = strs_copy(a, &e->policies);
    if (e->entity_id.n > 0) {
        int found = identity_of_token(on->identity, a, e->entity_id, &all, &facts, err);
        if (found <= 0)
            return found;
    }
    TRY(arena_check(a, err));
    return policy_store_acl(on->policies, &all, facts, out, err) < 0 ? -1 : 1;
}
