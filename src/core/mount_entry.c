/* Rows of the mount tables to and from their stored JSON (storage-layout: "Mount tables"). */
#include "core/mount_entry.h"

static const char *const token_type_names[] = {
    [TOKEN_DEFAULT] = "default",
    [TOKEN_SERVICE] = "service",
    [TOKEN_BATCH] = "batch",
    [TOKEN_DEFAULT_SERVICE] = "default-service",
    [TOKEN_DEFAULT_BATCH] = "default-batch",
};

const char *mount_entry_token_type_name(enum token_type t)
{
    return token_type_names[t];
}

bool mount_entry_token_type_of(struct str name, enum token_type *out)
{
    for (size_t i = 0; i < ARRAY_LEN(token_type_names); i++)
        if (str_is(name, token_type_names[i])) {
            *out = (enum token_type)i;
            return true;
        }
    return false;
}

static struct str text_of(struct arena *a, const struct json *object, const char *key)
{
    return arena_dup(a, json_get_str(object, key));
}

static void parse_config(struct arena *a, const struct json *config, struct mount *m)
{
    const int64_t second = 1000000000;
    int64_t type = json_get_int(config, "token_type", 0);
    m->default_ttl_s = json_get_int(config, "default_lease_ttl", 0) / second;
    m->max_ttl_s = json_get_int(config, "max_lease_ttl", 0) / second;
    m->force_no_cache = json_get_bool(config, "force_no_cache", false);
    m->listing_visibility = text_of(a, config, "listing_visibility");
    m->plugin_name = text_of(a, config, "plugin_name");
    m->token_type = type >= 0 && type <= TOKEN_DEFAULT_BATCH ? (enum token_type)type : TOKEN_DEFAULT;
    m->has_audit_non_hmac_request_keys = json_member(config, "audit_non_hmac_request_keys") != NULL;
    m->has_audit_non_hmac_response_keys = json_member(config, "audit_non_hmac_response_keys") != NULL;
    m->audit_non_hmac_request_keys = json_strs(a, json_member(config, "audit_non_hmac_request_keys"));
    m->audit_non_hmac_response_keys =
        json_strs(a, json_member(config, "audit_non_hmac_response_keys"));
    m->passthrough_request_headers = json_strs(a, json_member(config, "passthrough_request_headers"));
    m->allowed_response_headers = json_strs(a, json_member(config, "allowed_response_headers"));
}

int mount_entry_parse(struct arena *a, const struct json *row, bool is_auth, struct mount *out,
                      struct err *err)
{
    *out = (struct mount){ .is_auth = is_auth };
    out->path = text_of(a, row, "path");
    out->type = text_of(a, row, "type");
    out->description = text_of(a, row, "description");
    out->uuid = text_of(a, row, "uuid");
    out->backend_uuid = text_of(a, row, "backend_aware_uuid");
    out->accessor = text_of(a, row, "accessor");
    out->local = json_get_bool(row, "local", false);
    out->seal_wrap = json_get_bool(row, "seal_wrap", false);
    out->tainted = json_get_bool(row, "tainted", false);
    out->options = json_is(json_member(row, "options"), JSON_OBJECT)
                       ? json_copy(a, json_member(row, "options"))
                       : NULL;
    out->full_path = is_auth ? arena_cat(a, STR("auth/"), out->path) : out->path;
    parse_config(a, json_member(row, "config"), out);
    if (out->path.n == 0 || out->type.n == 0 || out->uuid.n == 0)
        return err_set(err, ERR_CORRUPT, "mount table: a row lacks path, type or uuid");
    return arena_check(a, err);
}

static struct json *print_config(struct json *row, const struct mount *m)
{
    const int64_t second = 1000000000;
    struct json *c = json_put_object(row, "config");
    if (m->default_ttl_s != 0)
        json_put_int(c, "default_lease_ttl", m->default_ttl_s * second);
    if (m->max_ttl_s != 0)
        json_put_int(c, "max_lease_ttl", m->max_ttl_s * second);
    if (m->force_no_cache)
        json_put_bool(c, "force_no_cache", true);
    if (m->has_audit_non_hmac_request_keys)
        json_put_strs(c, "audit_non_hmac_request_keys", &m->audit_non_hmac_request_keys);
    if (m->has_audit_non_hmac_response_keys)
        json_put_strs(c, "audit_non_hmac_response_keys", &m->audit_non_hmac_response_keys);
    if (m->listing_visibility.n > 0)
        json_put_str(c, "listing_visibility", m->listing_visibility);
    if (m->passthrough_request_headers.n > 0)
        json_put_strs(c, "passthrough_request_headers", &m->passthrough_request_headers);
    if (m->allowed_response_headers.n > 0)
        json_put_strs(c, "allowed_response_headers", &m->allowed_response_headers);
    if (m->token_type != TOKEN_DEFAULT)
        json_put_int(c, "token_type", m->token_type);
    if (m->plugin_name.n > 0)
        json_put_str(c, "plugin_name", m->plugin_name);
    return c;
}

struct json *mount_entry_print(struct arena *a, const struct mount *m)
{
    struct json *row = json_object(a);
    json_put_text(row, "table", m->is_auth ? "auth" : "mounts");
    json_put_str(row, "path", m->path);
    json_put_str(row, "type", m->type);
    json_put_str(row, "description", m->description);
    json_put_str(row, "uuid", m->uuid);
    json_put_str(row, "backend_aware_uuid", m->backend_uuid);
    json_put_str(row, "accessor", m->accessor);
    print_config(row, m);
    json_put(row, "options", m->options == NULL ? json_null(a) : json_copy(a, m->options));
    json_put_bool(row, "local", m->local);
    json_put_bool(row, "seal_wrap", m->seal_wrap);
    if (m->tainted)
        json_put_bool(row, "tainted", true);
    json_put_text(row, "namespace_id", "root");
    return row;
}

struct mount mount_entry_copy(struct arena *a, const struct mount *m)
{
    struct mount c = *m;
    c.path = arena_dup(a, m->path);
    c.full_path = m->is_auth ? arena_cat(a, STR("auth/"), m->path) : c.path;
    c.type = arena_dup(a, m->type);
    c.description = arena_dup(a, m->description);
    c.uuid = arena_dup(a, m->uuid);
    c.backend_uuid = arena_dup(a, m->backend_uuid);
    c.accessor = arena_dup(a, m->accessor);
    c.options = m->options == NULL ? NULL : json_copy(a, m->options);
    c.audit_non_hmac_request_keys = strs_copy(a, &m->audit_non_hmac_request_keys);
    c.audit_non_hmac_response_keys = strs_copy(a, &m->audit_non_hmac_response_keys);
    c.passthrough_request_headers = strs_copy(a, &m->passthrough_request_headers);
    c.allowed_response_headers = strs_copy(a, &m->allowed_response_headers);
    c.listing_visibility = arena_dup(a, m->listing_visibility);
    c.plugin_name = arena_dup(a, m->plugin_name);
    return c;
}
