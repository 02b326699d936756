/* Token_roles: auth/token/roles, the templates that auth/token/create/{role} follows. */
#ifndef SYS_TOKEN_ROLES_H
#define SYS_TOKEN_ROLES_H

#include "logical/route.h"
#include "logical/tokenparams.h"

/* Lives in the request's arena; durations in seconds. */
struct token_role {
    struct str name;
    struct tokenparams params;
    struct strs allowed_policies, disallowed_policies;
    struct strs allowed_aliases; /* may hold '*' */
    bool has_aliases;            /* the list was given, be it empty */
    bool orphan, renewable;
    struct str path_suffix;
    /* As given under the older names, shown again as they were given. */
    int64_t period_s, explicit_max_ttl_s;
    struct strs bound_cidrs;
};

/* The stored role.  1, 0 there is none, -1: req->err. */
int token_roles_load(struct request *req, struct str name, struct token_role *out) MUST_USE;

/* May a token of the role be given to the entity alias ${name}?  Case does not count. */
bool token_roles_allow_alias(struct arena *a, const struct token_role *role, struct str name);

/* roles/{role_name} */
extern const struct field token_roles_fields[];
enum { TOKEN_ROLES_N_FIELDS = 16 };
route_fn token_roles_read, token_roles_write, token_roles_delete, token_roles_list;
route_exists_fn token_roles_exists;

#endif
