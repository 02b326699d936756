/* From a proven identity to a token. */
#include "core/login.h"

#include "codec/timefmt.h"
#include "core/ttl.h"

static struct str lower(struct arena *a, struct str s)
{
    char *p = arena_bytes(a, s.n);
    if (p == NULL)
        return (struct str){ NULL, 0 };
    for (size_t i = 0; i < s.n; i++)
        p[i] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] + 32 : s.p[i]);
    return str_mem(p, s.n);
}

struct strs login_policies(struct arena *a, const struct strs *names, bool no_default)
{
    struct strs out = { 0 };
    for (size_t i = 0; i < names->n; i++) {
        struct str name = lower(a, str_trim(names->v[i]));
        if (name.n > 0)
            strs_add(a, &out, name);
    }
    if (strs_has(&out, STR("root"))) {
        out.n = 0;
        strs_add(a, &out, STR("root"));
        return out;
    }
    if (!no_default)
        strs_add(a, &out, STR("default"));
    strs_sort(&out);
    strs_unique(&out);
    return out;
}

void login_settle_ttl(const struct active *on, struct request *req, struct response *resp,
                      int64_t increment_s)
{
    struct auth *auth = resp->auth;
    const int64_t second = 1000000000;
    enum ttl_cap cap;
    int64_t max;
    struct ttl_terms terms = {
        .increment = increment_s,
        .backend = auth->ttl_s,
        .period = auth->period_s,
        .backend_max = auth->max_ttl_s,
        .explicit_max = auth->explicit_max_ttl_s,
        .now = req->now_ns / second,
    };
    mounts_ttls(on->mounts, req->mount, &terms.mount_default, &terms.mount_max);
    int64_t asked = auth->period_s > 0 ? auth->period_s
                    : increment_s > 0  ? increment_s
                    : auth->ttl_s > 0  ? auth->ttl_s
                                       : terms.mount_default;
    auth->ttl_s = ttl_calculate(&terms, &cap, &max);
    if (cap == TTL_FITS)
        return;
    struct str was = ttl_text(req->arena, asked), limit = ttl_text(req->arena, max);
    if (cap == TTL_PERIOD_CAPPED)
        response_warn(resp,
                      "period of \"" STR_FMT "\" exceeded the effective max_ttl of \"" STR_FMT
                      "\"; period value is capped accordingly",
                      STR_ARG(was), STR_ARG(limit));
    else
        response_warn(resp,
                      "TTL of \"" STR_FMT "\" exceeded the effective max_ttl of \"" STR_FMT
                      "\"; TTL value is capped accordingly",
                      STR_ARG(was), STR_ARG(limit));
}

/* What kind of token the method asked for, bounded by what its mount allows. */
static int settle_type(struct request *req, struct auth *auth)
{
    const struct mount *m = req->mount;
    enum token_type tuned = m->token_type;
    if (tuned == TOKEN_SERVICE || tuned == TOKEN_BATCH)
        auth->type = tuned;
    else if (auth->type == TOKEN_DEFAULT || auth->type == TOKEN_DEFAULT_SERVICE
             || auth->type == TOKEN_DEFAULT_BATCH)
        auth->type = tuned == TOKEN_DEFAULT_BATCH || auth->type == TOKEN_DEFAULT_BATCH
                         ? TOKEN_BATCH
                         : TOKEN_SERVICE;
    if (auth->type == TOKEN_BATCH && auth->num_uses != 0)
        return err_set(&req->err, ERR_BAD_REQUEST,
                       "batch tokens cannot have a limited use count");
    return 0;
}

static int find_entity(const struct active *on, struct request *req, struct auth *auth)
{
    if (auth->alias_name.n == 0)
        return 0;
    struct identity_alias alias = {
        .mount_accessor = req->mount_accessor,
        .mount_type = req->mount_type,
        .mount_path = req->mount_path,
        .name = auth->alias_name,
        .metadata = auth->alias_metadata,
    };
    TRY(identity_login(on->identity, req->arena, &alias, &auth->entity_id, &req->err));
    struct strs more = { 0 };
    const struct policy_facts *facts;
    int found = identity_of_token(on->identity, req->arena, auth->entity_id, &more, &facts,
                                  &req->err);
    if (found < 0)
        return -1;
    auth->identity_policies = more;
    return 0;
}

static struct strs all_policies(struct arena *a, const struct auth *auth)
{
    struct strs all = strs_copy(a, &auth->token_policies);
    for (size_t i = 0; i < auth->identity_policies.n; i++)
        strs_add(a, &all, auth->identity_policies.v[i]);
    strs_sort(&all);
    strs_unique(&all);
    return all;
}

static struct str login_display_name(struct request *req, const struct auth *auth)
{
    /* "userpass-bob": the mount's path without its slash, then what the method says. */
    struct str mount = str_from(req->mount_path, strlen("auth/"));
    if (mount.n > 0)
        mount.n--;
    struct str name = auth->display_name.n == 0
                          ? arena_dup(req->arena, mount)
                          : arena_printf(req->arena, STR_FMT "-" STR_FMT, STR_ARG(mount),
                                         STR_ARG(auth->display_name));
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] == '/')
            ((char *)name.p)[i] = '-';
    return name;
}

/* What no login may give, by the method or by way of the entity and its groups. */
static int check_policies(const struct strs *all, struct err *err)
{
    static const char *const internal[] = { "response-wrapping", "control-group" };
    if (strs_has(all, STR("root")))
        return err_set(err, ERR_BAD_REQUEST, "auth methods cannot create root tokens");
    for (size_t i = 0; i < ARRAY_LEN(internal); i++)
        if (strs_has(all, str_of(internal[i])))
            return err_set(err, ERR_BAD_REQUEST, "cannot assign policy \"%s\"", internal[i]);
    return 0;
}

int login_finish(const struct active *on, struct request *req, struct response *resp)
{
    struct auth *auth = resp->auth;
    if (auth->token_policies.n == 0)
        auth->token_policies = auth->policies;
    auth->token_policies =
        login_policies(req->arena, &auth->token_policies, auth->no_default_policy);
    TRY(check_policies(&auth->token_policies, &req->err));
    TRY(settle_type(req, auth));
    TRY(find_entity(on, req, auth));
    auth->policies = all_policies(req->arena, auth);
    TRY(check_policies(&auth->policies, &req->err));
    login_settle_ttl(on, req, resp, 0);
    auth->display_name = login_display_name(req, auth);
    auth->creation_path = req->path;
    auth->orphan = true;
    if (auth->type == TOKEN_BATCH)
        auth->renewable = false;

    struct token_entry e = {
        .type = auth->type,
        .path = req->path,
        .display_name = auth->display_name,
        .entity_id = auth->entity_id,
        .policies = auth->token_policies,
        .bound_cidrs = auth->bound_cidrs,
        .meta = auth->metadata,
        .num_uses = auth->num_uses,
        .ttl_s = auth->ttl_s,
        .explicit_max_ttl_s = auth->explicit_max_ttl_s,
        .period_s = auth->period_s,
    };
    TRY(arena_check(req->arena, &req->err));
    TRY(token_create(on->tokens, req->arena, &e, auth, &req->err));
    return 1;
}
