/* sys/mounts, sys/auth, sys/remount: enable, list, tune, move, disable. */
#include "codec/timefmt.h"
#include "core/mount_entry.h"
#include "sys/system.h"

static const int64_t SECOND = 1000000000;

int system_twice(struct response *resp)
{
    resp->top = json_copy(resp->arena, response_data(resp));
    return 1;
}

struct str system_mount_path(struct arena *a, struct str path)
{
    while (path.n > 0 && path.p[0] == '/')
        path = str_from(path, 1);
    return str_ends(path, STR("/")) ? path : arena_cat(a, path, STR("/"));
}

/* ---- showing ---- */

/* The tunable rest, as lists and tune reads both show it. */
static void put_tuned(struct json *o, const struct mount *m)
{
    json_put_bool(o, "force_no_cache", m->force_no_cache);
    if (m->has_audit_non_hmac_request_keys)
        json_put_strs(o, "audit_non_hmac_request_keys", &m->audit_non_hmac_request_keys);
    if (m->has_audit_non_hmac_response_keys)
        json_put_strs(o, "audit_non_hmac_response_keys", &m->audit_non_hmac_response_keys);
    if (m->listing_visibility.n > 0)
        json_put_str(o, "listing_visibility", m->listing_visibility);
    if (m->passthrough_request_headers.n > 0)
        json_put_strs(o, "passthrough_request_headers", &m->passthrough_request_headers);
    if (m->allowed_response_headers.n > 0)
        json_put_strs(o, "allowed_response_headers", &m->allowed_response_headers);
    if (m->is_auth)
        json_put_text(o, "token_type",
                      mount_entry_token_type_name(
                          m->token_type == TOKEN_DEFAULT ? TOKEN_DEFAULT_SERVICE : m->token_type));
}

static struct json *describe(struct arena *a, const struct mount *m)
{
    struct json *o = json_object(a);
    json_put_str(o, "accessor", m->accessor);
    struct json *config = json_put_object(o, "config");
    json_put_int(config, "default_lease_ttl", m->default_ttl_s);
    json_put_int(config, "max_lease_ttl", m->max_ttl_s);
    put_tuned(config, m);
    json_put_str(o, "description", m->description);
    json_put_bool(o, "external_entropy_access", false);
    json_put_bool(o, "local", m->local);
    json_put(o, "options", m->options == NULL ? json_null(a) : json_copy(a, m->options));
    json_put_bool(o, "seal_wrap", m->seal_wrap);
    json_put_str(o, "type", m->type);
    json_put_str(o, "uuid", m->uuid);
    return o;
}

struct json *mounts_describe(struct arena *a, const struct mount *m)
{
    return describe(a, m);
}

static int list_all(struct request *req, struct response *resp, bool auth)
{
    const struct mount **list;
    size_t n;
    TRY(mounts_list(active_of(req)->mounts, req->arena, auth, &list, &n, &req->err));
    struct json *data = response_data(resp);
    for (size_t i = 0; i < n; i++)
        json_append(data, list[i]->path, describe(req->arena, list[i]));
    return system_twice(resp);
}

int mounts_read(struct request *req, struct response *resp)
{
    return list_all(req, resp, false);
}

int auths_read(struct request *req, struct response *resp)
{
    return list_all(req, resp, true);
}

/* ---- a mount's configuration, from a request ---- */

static int parse_ttl(const struct json *v, int64_t *out_s, struct err *err)
{
    int64_t ns = 0;
    if (v == NULL || v->type == JSON_NULL || str_is(v->text, "system")) {
        *out_s = 0;
        return 0;
    }
    if (v->type != JSON_NUMBER && v->type != JSON_STRING)
        return err_set(err, ERR_BAD_REQUEST, "a duration must be a number or a text");
    TRY(duration_parse(v->text, false, &ns, err));
    *out_s = ns / SECOND;
    return 0;
}

static int parse_strings(struct arena *a, const struct json *v, struct strs *out)
{
    *out = (struct strs){ 0 };
    if (json_is(v, JSON_STRING))
        *out = strs_split(a, v->text, ',');
    for (const struct json *item = json_first(v); item != NULL; item = item->next)
        strs_add(a, out, item->text);
    return 0;
}

/* The members that enabling (in "config") and tuning (at the top) share. */
static int apply_lists(struct arena *a, const struct json *o, struct mount *m, struct err *err)
{
    struct json *v;
    if ((v = json_member(o, "audit_non_hmac_request_keys")) != NULL) {
        parse_strings(a, v, &m->audit_non_hmac_request_keys);
        m->has_audit_non_hmac_request_keys = true;
    }
    if ((v = json_member(o, "audit_non_hmac_response_keys")) != NULL) {
        parse_strings(a, v, &m->audit_non_hmac_response_keys);
        m->has_audit_non_hmac_response_keys = true;
    }
    if ((v = json_member(o, "passthrough_request_headers")) != NULL)
        parse_strings(a, v, &m->passthrough_request_headers);
    if ((v = json_member(o, "allowed_response_headers")) != NULL)
        parse_strings(a, v, &m->allowed_response_headers);
    if ((v = json_member(o, "listing_visibility")) != NULL) {
        if (!str_is(v->text, "") && !str_is(v->text, "unauth") && !str_is(v->text, "hidden"))
            return err_set(err, ERR_BAD_REQUEST, "invalid listing_visibility " STR_FMT,
                           STR_ARG(v->text));
        m->listing_visibility = v->text;
    }
    return 0;
}

static int apply_token_type(const struct json *o, struct mount *m, struct err *err)
{
    struct json *v = json_member(o, "token_type");
    if (v == NULL || v->text.n == 0 || !m->is_auth)
        return 0;
    if (str_is(m->type, "token"))
        return err_set(err, ERR_BAD_REQUEST,
                       "'token_type' cannot be set for 'token' or 'ns_token' auth mounts");
    if (!mount_entry_token_type_of(v->text, &m->token_type) || m->token_type == TOKEN_DEFAULT)
        return err_set(err, ERR_BAD_REQUEST, "invalid value for 'token_type'");
    return 0;
}

static int enable_config(const struct active *on, struct arena *a, const struct json *config,
                         struct mount *m, struct err *err)
{
    struct err why = { 0 };
    struct json *v = json_member(config, "default_lease_ttl");
    if (parse_ttl(v, &m->default_ttl_s, &why) < 0)
        return err_set(err, ERR_BAD_REQUEST, "unable to parse default TTL of " STR_FMT ": %s",
                       STR_ARG(v->text), why.msg);
    v = json_member(config, "max_lease_ttl");
    if (parse_ttl(v, &m->max_ttl_s, &why) < 0)
        return err_set(err, ERR_BAD_REQUEST, "unable to parse max TTL of " STR_FMT ": %s",
                       STR_ARG(v->text), why.msg);
    if (m->max_ttl_s != 0 && m->default_ttl_s > m->max_ttl_s)
        return err_set(err, ERR_BAD_REQUEST,
                       "given default lease TTL greater than given max lease TTL");
    if (m->max_ttl_s == 0 && m->default_ttl_s > on->settings->max_ttl_s)
        return err_set(err, ERR_BAD_REQUEST,
                       "given default lease TTL greater than system max lease TTL of %lld",
                       (long long)on->settings->max_ttl_s);
    m->force_no_cache = json_get_bool(config, "force_no_cache", false);
    TRY(apply_lists(a, config, m, err));
    return apply_token_type(config, m, err);
}

/* As Vault keeps them: none given is an empty object, null (as its command line sends) is null. */
static struct json *enable_options(struct request *req)
{
    struct json *options = field_map(req, "options");
    if (options == NULL && json_member(req->data, "options") == NULL)
        return json_object(req->arena);
    return options;
}

static int enable(struct request *req, struct str path, bool is_auth)
{
    const struct active *on = active_of(req);
    struct arena *a = req->arena;
    struct mount want = {
        .is_auth = is_auth,
        .path = system_mount_path(a, path),
        .type = field_str(req, "type"),
        .description = field_str(req, "description"),
        .local = field_bool(req, "local"),
        .seal_wrap = field_bool(req, "seal_wrap"),
        .options = enable_options(req),
        .plugin_name = field_str(req, "plugin_name"),
    };
    TRY(enable_config(on, a, field_map(req, "config"), &want, &req->err));
    if (want.type.n == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "backend type must be specified as a string");
    if (str_is(want.type, "plugin") && want.plugin_name.n > 0)
        want.type = want.plugin_name;
    TRY(arena_check(a, &req->err));
    return mounts_enable(on->mounts, &want, &req->err) < 0 ? -1 : 1;
}

/* ---- tune ---- */

struct tuning {
    const struct request *req;
};

static int tune_ttls(const struct json *data, struct mount *m, struct err *err)
{
    struct json *v = json_member(data, "default_lease_ttl");
    int64_t default_s = m->default_ttl_s, max_s = m->max_ttl_s;
    if (v != NULL && v->text.n > 0)
        TRY(parse_ttl(v, &default_s, err));
    v = json_member(data, "max_lease_ttl");
    if (v != NULL && v->text.n > 0)
        TRY(parse_ttl(v, &max_s, err));
    if (default_s != 0 && max_s != 0 && max_s < default_s)
        return err_set(err, ERR_BAD_REQUEST,
                       "backend max lease TTL of %lld would be less than backend default lease "
                       "TTL of %lld",
                       (long long)max_s, (long long)default_s);
    m->default_ttl_s = default_s;
    m->max_ttl_s = max_s;
    return 0;
}

/* Options: kv may go from version 1 to 2, never back. */
static int tune_options(const struct request *req, struct arena *a, struct mount *m,
                        struct err *err)
{
    struct json *given = field_map(req, "options");
    if (given == NULL || given->count == 0)
        return 0;
    struct str was = json_get_str(m->options, "version"), now = json_get_str(given, "version");
    if (now.n > 0 && str_is(m->type, "kv")) {
        if (!str_is(now, "1") && !str_is(now, "2"))
            return err_set(err, ERR_BAD_REQUEST,
                           "unsupported version \"" STR_FMT "\" for type kv", STR_ARG(now));
        if (str_is(was, "2") && str_is(now, "1"))
            return err_set(err, ERR_BAD_REQUEST,
                           "cannot downgrade mount from version 2");
    }
    struct json *merged = m->options == NULL ? json_object(a) : json_copy(a, m->options);
    for (const struct json *v = json_first(given); v != NULL; v = v->next)
        json_set(merged, v->key, json_copy(a, v));
    m->options = merged;
    return arena_check(a, err);
}

static int apply_tuning(void *ctx, struct arena *a, struct mount *m, struct err *err)
{
    const struct request *req = ((struct tuning *)ctx)->req;
    struct json *v = json_member(req->data, "description");
    TRY(tune_ttls(req->data, m, err));
    if (v != NULL)
        m->description = v->text;
    TRY(apply_lists(a, req->data, m, err));
    TRY(apply_token_type(req->data, m, err));
    return tune_options(req, a, m, err);
}

static int tune_write(struct request *req, struct str full_path)
{
    struct tuning tuning = { req };
    if (mounts_tune(active_of(req)->mounts, full_path, apply_tuning, &tuning, &req->err) == 0)
        return 1;
    if (req->err.code == ERR_NOT_FOUND)
        return err_set(&req->err, ERR_BAD_REQUEST,
                       "tune of path \"" STR_FMT "\" failed: no mount entry found",
                       STR_ARG(full_path));
    return -1;
}

static int tune_read(struct request *req, struct response *resp, struct str full_path)
{
    const struct active *on = active_of(req);
    const struct mount *m = mounts_at(on->mounts, full_path);
    int64_t default_s, max_s;
    if (m == NULL)
        return err_set(&req->err, ERR_BAD_REQUEST, "cannot fetch sysview for path \"" STR_FMT "\"",
                       STR_ARG(full_path));
    mounts_ttls(on->mounts, m, &default_s, &max_s);
    struct json *data = response_data(resp);
    json_put_int(data, "default_lease_ttl",
                 m->default_ttl_s != 0 ? m->default_ttl_s : default_s);
    json_put_int(data, "max_lease_ttl", max_s);
    json_put_str(data, "description", m->description);
    put_tuned(data, m);
    if (!m->is_auth && m->options != NULL && m->options->count > 0)
        json_put(data, "options", json_copy(req->arena, m->options));
    return system_twice(resp);
}

/* "a/b/tune" names the tuning of a/b: true, and ${path} without the end. */
static bool cut_tune(struct str *path)
{
    if (!str_ends(*path, STR("/tune")))
        return false;
    path->n -= strlen("/tune");
    return true;
}

static int no_such_operation(struct request *req)
{
    return err_set(&req->err, ERR_UNSUPPORTED, "unsupported operation");
}

/* ---- routes ---- */

int mount_read(struct request *req, struct response *resp)
{
    struct str path = field_str(req, "path");
    if (!cut_tune(&path))
        return no_such_operation(req);
    return tune_read(req, resp, system_mount_path(req->arena, path));
}

int auth_read(struct request *req, struct response *resp)
{
    struct str path = field_str(req, "path");
    if (!cut_tune(&path))
        return no_such_operation(req);
    path = arena_cat(req->arena, STR("auth/"), path);
    return tune_read(req, resp, system_mount_path(req->arena, path));
}

int mount_write(struct request *req, struct response *resp)
{
    struct str path = field_str(req, "path");
    if (cut_tune(&path))
        return tune_write(req, system_mount_path(req->arena, path));
    return enable(req, path, false);
}

int auth_write(struct request *req, struct response *resp)
{
    struct str path = field_str(req, "path");
    if (!cut_tune(&path))
        return enable(req, path, true);
    path = arena_cat(req->arena, STR("auth/"), path);
    return tune_write(req, system_mount_path(req->arena, path));
}

/* No more requests, then the leases go, then the data. */
static int disable(struct request *req, struct str full_path)
{
    const struct active *on = active_of(req);
    if (mounts_at(on->mounts, full_path) == NULL)
        return 1;
    TRY(mounts_taint(on->mounts, full_path, &req->err));
    TRY(lease_revoke_prefix(on->leases, full_path, true, &req->err));
    TRY(mounts_remove(on->mounts, full_path, &req->err));
    return 1;
}

int mount_delete(struct request *req, struct response *resp)
{
    static const char *const kept[] = { "auth/", "sys/", "cubbyhole/", "identity/" };
    struct str path = system_mount_path(req->arena, field_str(req, "path"));
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        if (str_starts(path, str_of(kept[i])))
            return err_set(&req->err, ERR_BAD_REQUEST, "cannot unmount \"" STR_FMT "\"",
                           STR_ARG(path));
    return disable(req, path);
}

int auth_delete(struct request *req, struct response *resp)
{
    struct str path = system_mount_path(req->arena, field_str(req, "path"));
    if (str_is(path, "token/"))
        return err_set(&req->err, ERR_BAD_REQUEST, "token credential backend cannot be disabled");
    return disable(req, arena_cat(req->arena, STR("auth/"), path));
}

int remount_write(struct request *req, struct response *resp)
{
    const struct active *on = active_of(req);
    struct str from = field_str(req, "from"), to = field_str(req, "to");
    if (from.n == 0 || to.n == 0)
        return err_set(&req->err, ERR_BAD_REQUEST,
                       "both 'from' and 'to' path must be specified as a string");
    from = system_mount_path(req->arena, from);
    to = system_mount_path(req->arena, to);
    TRY(arena_check(req->arena, &req->err));
    TRY(mounts_may_remount(on->mounts, from, to, &req->err));
    /* Leases name the old path: they end with it, and no new ones come meanwhile. */
    TRY(mounts_taint(on->mounts, from, &req->err));
    TRY(lease_revoke_prefix(on->leases, from, true, &req->err));
    return mounts_remount(on->mounts, from, to, &req->err) < 0 ? -1 : 1;
}
