/* Auth: what a login proves, and the token that the core makes of it. */
#ifndef LOGICAL_AUTH_H
#define LOGICAL_AUTH_H

#include "base/strs.h"
#include "codec/json.h"

enum token_type {
    TOKEN_DEFAULT,          /* as the mount or the role says */
    TOKEN_SERVICE,          /* stored, renewable, with accessor and children */
    TOKEN_BATCH,            /* an encrypted blob, nothing stored */
    TOKEN_DEFAULT_SERVICE,  /* service unless the client asks otherwise */
    TOKEN_DEFAULT_BATCH,
};

/* Everything lives in the request's arena. Durations in seconds. */
struct auth {
    struct str client_token, accessor;
    struct strs policies, token_policies, identity_policies;
    struct json *metadata;      /* object of texts, or NULL */
    struct json *internal_data; /* what the method wants back at renewal, or NULL */
    struct str display_name, entity_id, creation_path;
    struct str alias_name;      /* identity: who logged in, as the mount knows it */
    struct json *alias_metadata;
    struct strs group_aliases;
    struct strs bound_cidrs;
    int64_t ttl_s, max_ttl_s, period_s, explicit_max_ttl_s;
    int64_t num_uses; /* 0: unlimited */
    enum token_type type;
    bool renewable, orphan, no_default_policy;
};

#endif
