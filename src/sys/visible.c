/* sys/internal/ui: what of the mounts a caller, or nobody, may see. */
#include "core/rights.h"
#include "logical/cidr.h"
#include "sys/system.h"

/* The caller's compiled policies; NULL without a valid token. */
static int caller_acl(struct request *req, const struct policy_acl **acl)
{
    const struct active *on = active_of(req);
    const struct token_entry *e;
    *acl = NULL;
    if (req->token.n == 0)
        return 0;
    int found = token_lookup(on->tokens, req->token, &e, &req->err);
    if (found <= 0)
        return found;
    /* From another address than it is bound to, a token is none. */
    if (e->bound_cidrs.n > 0
        && (req->peer == NULL || !cidr_allows(&e->bound_cidrs, req->peer->addr)))
        return 0;
    return rights_of(on, req->arena, e, acl, &req->err);
}

static void put_visible(struct request *req, struct json *to, const struct mount *m,
                        const struct policy_acl *acl)
{
    bool reaches = acl != NULL && policy_acl_reaches(acl, m->full_path);
    if (reaches) {
        json_append(to, m->path, mounts_describe(req->arena, m));
    } else if (str_is(m->listing_visibility, "unauth")) {
        struct json *o = json_object(req->arena);
        json_put_str(o, "type", m->type);
        json_put_str(o, "description", m->description);
        json_put(o, "options",
                 m->options == NULL ? json_null(req->arena) : json_copy(req->arena, m->options));
        json_append(to, m->path, o);
    }
}

int ui_mounts_read(struct request *req, struct response *resp)
{
    const struct policy_acl *acl;
    TRY(caller_acl(req, &acl));
    for (int auth = 0; auth < 2; auth++) {
        const struct mount **list;
        size_t n;
        struct json *to = json_put_object(response_data(resp), auth ? "auth" : "secret");
        TRY(mounts_list(active_of(req)->mounts, req->arena, auth, &list, &n, &req->err));
        for (size_t i = 0; i < n; i++)
            put_visible(req, to, list[i], acl);
    }
    return 1;
}

int ui_mount_read(struct request *req, struct response *resp)
{
    const struct policy_acl *acl;
    struct str path = system_mount_path(req->arena, field_str(req, "path"));
    const struct mount *m = mounts_find(active_of(req)->mounts, path);
    TRY(caller_acl(req, &acl));
    if (m == NULL || acl == NULL || !policy_acl_reaches(acl, m->full_path))
        return err_set(&req->err, ERR_DENIED,
                       "preflight capability check returned 403, please ensure client's policies "
                       "grant access to path \"" STR_FMT "\"",
                       STR_ARG(path));
    resp->data = mounts_describe(req->arena, m);
    json_put_str(resp->data, "path", m->full_path);
    return 1;
}

static void put_rule(struct json *to, const struct policy_acl_rule *rule)
{
    const char *names[POLICY_ACL_CAPS_MAX];
    size_t n = policy_acl_cap_names(rule->caps, names);
    struct json *o = json_object(to->arena);
    struct json *list = json_put_array(o, "capabilities");
    for (size_t i = 0; i < n; i++)
        json_add_str(list, str_of(names[i]));
    json_set(to, rule->path, o);
}

int ui_acl_read(struct request *req, struct response *resp)
{
    const struct policy_acl *acl;
    struct policy_acl_rule rule;
    size_t at = 0;
    int alive = rights_of(active_of(req), req->arena, req->caller, &acl, &req->err);
    if (alive <= 0)
        return alive;
    struct json *data = response_data(resp);
    if (policy_acl_is_root(acl)) {
        json_put_bool(data, "root", true);
        return 1;
    }
    struct json *exact = json_put_object(data, "exact_paths");
    struct json *glob = json_put_object(data, "glob_paths");
    TRY(arena_check(req->arena, &req->err));
    while (policy_acl_next(acl, &at, &rule))
        put_rule(rule.match == POLICY_EXACT ? exact : glob, &rule);
    json_put_bool(data, "root", false);
    return 1;
}
