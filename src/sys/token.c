/* auth/token/: tokens looked up, renewed, revoked; token_make.c and token_roles.c do the rest. */
#include "codec/timefmt.h"
#include "core/handle.h"
#include "sys/system.h"
#include "sys/token_make.h"
#include "sys/token_roles.h"

static const int64_t SECOND = 1000000000;

static int refuse(struct request *req, const char *why)
{
    return err_set(&req->err, ERR_BAD_REQUEST, "%s", why);
}

/* The token that the field names; empty: 400. */
static int named(struct request *req, struct str *out)
{
    *out = field_str(req, "token");
    return out->n > 0 ? 0 : refuse(req, "missing token ID");
}

/* The token of the accessor that the field names. */
static int by_accessor(struct request *req, const struct token_entry **out)
{
    struct str accessor = field_str(req, "accessor");
    if (accessor.n == 0)
        return err_set(&req->err, ERR_INVALID, "missing accessor");
    int found = token_lookup_accessor(active_of(req)->tokens, accessor, out, &req->err);
    if (found < 0)
        return -1;
    return found > 0 ? 0 : err_set(&req->err, ERR_INVALID, "invalid accessor");
}

/* ---- look-up ---- */

static void put_expiry(struct request *req, struct json *data, int64_t issued_ns,
                       int64_t expires_ns, bool renewable)
{
    json_put_str(data, "issue_time", time_format(req->arena, issued_ns));
    json_put_bool(data, "renewable", renewable);
    if (expires_ns == TIME_ZERO)
        return;
    json_put_str(data, "expire_time", time_format(req->arena, expires_ns));
    json_put_int(data, "ttl", (expires_ns - req->now_ns + SECOND / 2) / SECOND);
}

/* When it began and ends: its lease tells, of a batch token the token itself. */
static int put_times(struct request *req, const struct token_entry *e, struct json *data)
{
    struct lease *l;
    json_put_null(data, "expire_time");
    json_put_int(data, "ttl", 0);
    if (e->type == TOKEN_BATCH) {
        put_expiry(req, data, e->created_s * SECOND,
                   e->ttl_s == 0 ? TIME_ZERO : (e->created_s + e->ttl_s) * SECOND, false);
        return 0;
    }
    struct str id = arena_printf(req->arena, STR_FMT "/" STR_FMT, STR_ARG(e->path),
                                 STR_ARG(e->sid));
    TRY(arena_check(req->arena, &req->err));
    int found = lease_load(active_of(req)->leases, req->arena, id, &l, &req->err);
    if (found <= 0)
        return found;
    bool alive = l->expires_ns != TIME_ZERO && l->expires_ns > req->now_ns;
    put_expiry(req, data, l->issued_ns, l->expires_ns,
               alive && !l->irrevocable && l->auth != NULL && l->auth->renewable);
    if (l->renewed_ns != TIME_ZERO) {
        json_put_int(data, "last_renewal_time", l->renewed_ns / SECOND);
        json_put_str(data, "last_renewal", time_format(req->arena, l->renewed_ns));
    }
    return 0;
}

static int put_identity(struct request *req, const struct token_entry *e, struct json *data)
{
    struct strs policies = { 0 };
    const struct policy_facts *facts;
    if (e->entity_id.n == 0)
        return 0;
    TRY(identity_of_token(active_of(req)->identity, req->arena, e->entity_id, &policies, &facts,
                          &req->err));
    if (policies.n == 0)
        return 0;
    json_put_strs(data, "identity_policies", &policies);
    json_put_object(data, "external_namespace_policies");
    return 0;
}

/* All but the parent: that would hand out its power. */
static int describe(struct request *req, struct response *resp, const struct token_entry *e)
{
    struct json *data = response_data(resp);
    json_put_str(data, "id", e->id);
    json_put_str(data, "accessor", e->accessor);
    json_put_strs(data, "policies", &e->policies);
    json_put_str(data, "path", e->path);
    json_put(data, "meta",
             e->meta == NULL ? json_null(req->arena) : json_copy(req->arena, e->meta));
    json_put_str(data, "display_name", e->display_name);
    json_put_int(data, "num_uses", e->num_uses);
    json_put_bool(data, "orphan", e->parent.n == 0);
    json_put_int(data, "creation_time", e->created_s);
    json_put_int(data, "creation_ttl", e->ttl_s);
    json_put_int(data, "explicit_max_ttl", e->explicit_max_ttl_s);
    json_put_str(data, "entity_id", e->entity_id);
    json_put_text(data, "type", e->type == TOKEN_BATCH ? "batch" : "service");
    if (e->role.n > 0)
        json_put_str(data, "role", e->role);
    if (e->period_s != 0)
        json_put_int(data, "period", e->period_s);
    if (e->bound_cidrs.n > 0)
        json_put_strs(data, "bound_cidrs", &e->bound_cidrs);
    TRY(put_times(req, e, data));
    TRY(put_identity(req, e, data));
    return 1;
}

static int lookup(struct request *req, struct response *resp, struct str token)
{
    const struct token_entry *e;
    int found = token_lookup_pending(active_of(req)->tokens, token, &e, &req->err);
    if (found < 0)
        return -1;
    return found > 0 ? describe(req, resp, e) : err_set(&req->err, ERR_DENIED, "bad token");
}

static int lookup_handle(struct request *req, struct response *resp)
{
    struct str token = field_str(req, "token");
    return lookup(req, resp, token.n > 0 ? token : req->token);
}

static int lookup_self(struct request *req, struct response *resp)
{
    return lookup(req, resp, req->token);
}

static int lookup_accessor_write(struct request *req, struct response *resp)
{
    const struct token_entry *e;
    TRY(by_accessor(req, &e));
    TRY(describe(req, resp, e));
    json_put_text(response_data(resp), "id", "");
    return 1;
}

static int accessors_list(struct request *req, struct response *resp)
{
    struct strs accessors = { 0 };
    TRY(token_accessors(active_of(req)->tokens, req->arena, &accessors, &req->err));
    return response_keys(resp, &accessors);
}

/* ---- renewal ---- */

static int renew(struct request *req, struct response *resp, struct str token)
{
    const struct active *on = active_of(req);
    const struct token_entry *e;
    int found = token_lookup(on->tokens, token, &e, &req->err);
    if (found < 0)
        return -1;
    if (found == 0)
        return refuse(req, "token not found");
    if (e->type == TOKEN_BATCH)
        return refuse(req, "batch tokens cannot be renewed");
    if (e->ttl_s == 0)
        return refuse(req, str_is(e->path, "auth/token/root") ? "invalid lease ID"
                                                              : "lease is not renewable");
    TRY(lease_renew_token(on->leases, req->arena, e->sid, e->path, field_seconds(req, "increment"),
                          resp, &req->err));
    return 1;
}

static int renew_write(struct request *req, struct response *resp)
{
    struct str token;
    TRY(named(req, &token));
    return renew(req, resp, token);
}

static int renew_self_write(struct request *req, struct response *resp)
{
    return renew(req, resp, req->token);
}

static int renew_accessor_write(struct request *req, struct response *resp)
{
    const struct token_entry *e;
    TRY(by_accessor(req, &e));
    int result = renew(req, resp, e->id);
    if (result > 0 && resp->auth != NULL)
        resp->auth->client_token = STR("");
    return result;
}

/* The lease book asks: by what terms may a token be renewed?  Those of its role as it is now. */
static int renew_login(struct request *req, struct response *resp)
{
    const struct token_entry *e;
    struct token_role role;
    struct auth *auth = req->lease_auth;
    int found = token_lookup(active_of(req)->tokens, auth->client_token, &e, &req->err);
    if (found < 0)
        return -1;
    if (found == 0)
        return err_set(&req->err, ERR_INTERNAL, "no token entry found during lookup");
    resp->auth = auth;
    if (e->role.n == 0) {
        auth->period_s = e->period_s;
        auth->explicit_max_ttl_s = e->explicit_max_ttl_s;
        return 1;
    }
    found = token_roles_load(req, e->role, &role);
    if (found < 0)
        return -1;
    if (found == 0)
        return err_set(&req->err, ERR_INTERNAL,
                       "original token role \"" STR_FMT "\" could not be found, not renewing",
                       STR_ARG(e->role));
    auth->period_s = role.params.period_s;
    auth->explicit_max_ttl_s = role.params.explicit_max_ttl_s;
    return 1;
}

/* ---- revocation ---- */

static int revoke(struct request *req, struct str token)
{
    const struct token_entry *e;
    int found = token_lookup_pending(active_of(req)->tokens, token, &e, &req->err);
    if (found < 0)
        return -1;
    if (found > 0 && e->type == TOKEN_BATCH)
        return refuse(req, "batch tokens cannot be revoked");
    /* One that is not alive may have been left half revoked: this goes on with it. */
    return token_revoke_tree(active_of(req)->tokens, token, &req->err) < 0 ? -1 : 1;
}

static int revoke_write(struct request *req, struct response *resp)
{
    struct str token;
    TRY(named(req, &token));
    return revoke(req, token);
}

static int revoke_self_write(struct request *req, struct response *resp)
{
    return revoke(req, req->token);
}

static int revoke_accessor_write(struct request *req, struct response *resp)
{
    const struct token_entry *e;
    TRY(by_accessor(req, &e));
    return token_revoke_tree(active_of(req)->tokens, e->id, &req->err) < 0 ? -1 : 1;
}

/* Its children live on.  The route does not say ROUTE_SUDO: as in Vault the refusal is a 400. */
static int revoke_orphan_write(struct request *req, struct response *resp)
{
    const struct active *on = active_of(req);
    const struct token_entry *e;
    struct str token;
    TRY(named(req, &token));
    int sudo = handle_is_sudo(on, req);
    if (sudo < 0)
        return -1;
    if (sudo == 0)
        return refuse(req, "root or sudo privileges required to revoke and orphan");
    int found = token_lookup(on->tokens, token, &e, &req->err);
    if (found < 0)
        return -1;
    if (found == 0)
        return refuse(req, "token to revoke not found");
    if (e->type == TOKEN_BATCH)
        return refuse(req, "batch tokens cannot be revoked");
    return token_revoke_orphan(on->tokens, token, &req->err) < 0 ? -1 : 1;
}

/* Vault does this behind the answer's back; here the answer comes when it is done. */
static int tidy_write(struct request *req, struct response *resp)
{
    const struct active *on = active_of(req);
    AUTO(keylock_release) struct keyhold hold = { 0 };
    TRY(keylock_hold(on->locks, STR("token/tidy"), &hold, &req->err));
    TRY(token_tidy(on->tokens, &req->err));
    response_warn(resp, "Tidy operation successfully started. Any information from the operation "
                        "will be printed to Vault's server logs.");
    resp->status = 202;
    return 1;
}

/* ---- table ---- */

static const struct field token_fields[] = {
    { "token", FIELD_STRING, NULL, "The token in question." },
};
static const struct field accessor_fields[] = {
    { "accessor", FIELD_STRING, NULL, "Accessor of the token in question." },
};
static const struct field renew_fields[] = {
    { "token", FIELD_STRING, NULL, "The token to renew." },
    { "increment", FIELD_SECONDS, "0", "For how long; 0: as long as at first." },
};
static const struct field renew_accessor_fields[] = {
    { "accessor", FIELD_STRING, NULL, "Accessor of the token to renew." },
    { "increment", FIELD_SECONDS, "0", "For how long; 0: as long as at first." },
};
static const struct field create_role_fields[] = {
    { "role_name", FIELD_STRING, NULL, "The role that the token is made by." },
};

static const struct route routes[] = {
    { "roles/?", .list = token_roles_list, .summary = "The names of all token roles." },
    { "accessors/?", .flags = ROUTE_SUDO | ROUTE_SLOW, .list = accessors_list,
      .summary = "The accessors of all tokens." },
    { "create-orphan", .write = token_make_orphan_write,
      .summary = "Make a token without a parent." },
    { "create/{role_name}", FIELDS(create_role_fields), .write = token_make_role_write,
      .summary = "Make a token as a role says." },
    { "create", .write = token_make_write, .summary = "Make a token." },
    { "lookup", FIELDS(token_fields), .flags = ROUTE_NO_COMMIT, .read = lookup_handle,
      .write = lookup_handle, .summary = "What a token is and may do." },
    { "lookup-accessor", FIELDS(accessor_fields), .flags = ROUTE_NO_COMMIT,
      .write = lookup_accessor_write, .summary = "The same by its accessor, without the token." },
    { "lookup-self", FIELDS(token_fields), .flags = ROUTE_NO_COMMIT, .read = lookup_self,
      .write = lookup_self, .summary = "What the caller's own token is and may do." },
    { "revoke-accessor", FIELDS(accessor_fields), .write = revoke_accessor_write,
      .summary = "End a token, with its children, by its accessor." },
    { "revoke-self", .write = revoke_self_write,
      .summary = "End the caller's own token, with its children." },
    { "revoke", FIELDS(token_fields), .write = revoke_write,
      .summary = "End a token, with its children." },
    { "revoke-orphan", FIELDS(token_fields), .write = revoke_orphan_write,
      .summary = "End a token; its children become orphans." },
    { "renew-accessor", FIELDS(renew_accessor_fields), .write = renew_accessor_write,
      .summary = "Renew a token by its accessor." },
    { "renew-self", FIELDS(renew_fields), .write = renew_self_write,
      .summary = "Renew the caller's own token." },
    { "renew", FIELDS(renew_fields), .write = renew_write, .summary = "Renew a token." },
    { "tidy", .write = tidy_write, .summary = "Remove what belongs to no token any more." },
    { "roles/{role_name}", .fields = token_roles_fields, .n_fields = TOKEN_ROLES_N_FIELDS,
      .read = token_roles_read, .write = token_roles_write, .del = token_roles_delete,
      .exists = token_roles_exists, .summary = "A role: what tokens made by it are like." },
};

const struct engine engine_token = {
    .type = "token",
    .is_auth = true,
    .help = "Tokens: make, look up, renew and revoke them.",
    ROUTES(routes),
    .renew_login = renew_login,
};
