/* Leases to and from their stored JSON (storage-layout: "Tokens and leases"). */
#include "core/lease_entry.h"

#include "codec/timefmt.h"

static const int64_t SECOND = 1000000000;

static struct strs texts(struct arena *a, const struct json *o, const char *key)
{
    return json_strs(a, json_member(o, key));
}

static struct json *object_or_null(const struct json *o, const char *key)
{
    struct json *v = json_member(o, key);
    return json_is(v, JSON_OBJECT) ? v : NULL;
}

static struct auth *parse_auth(struct arena *a, const struct json *o)
{
    struct auth *auth = arena_alloc(a, sizeof *auth);
    if (auth == NULL)
        return NULL;
    int64_t type = json_get_int(o, "token_type", TOKEN_SERVICE);
    *auth = (struct auth){
        .client_token = json_get_str(o, "client_token"),
        .accessor = json_get_str(o, "accessor"),
        .policies = texts(a, o, "policies"),
        .token_policies = texts(a, o, "token_policies"),
        .identity_policies = texts(a, o, "identity_policies"),
        .metadata = object_or_null(o, "metadata"),
        .internal_data = object_or_null(o, "internal_data"),
        .display_name = json_get_str(o, "display_name"),
        .entity_id = json_get_str(o, "entity_id"),
        .creation_path = json_get_str(o, "creation_path"),
        .alias_name = json_get_str(json_member(o, "alias"), "name"),
        .bound_cidrs = texts(a, o, "bound_cidrs"),
        .ttl_s = json_get_int(o, "lease", 0) / SECOND,
        .max_ttl_s = json_get_int(o, "max_ttl", 0) / SECOND,
        .period_s = json_get_int(o, "period", 0) / SECOND,
        .explicit_max_ttl_s = json_get_int(o, "explicit_max_ttl", 0) / SECOND,
        .num_uses = json_get_int(o, "num_uses", 0),
        .type = type == TOKEN_BATCH ? TOKEN_BATCH : TOKEN_SERVICE,
        .renewable = json_get_bool(o, "renewable", false),
        .orphan = json_get_bool(o, "orphan", false),
        .no_default_policy = json_get_bool(o, "no_default_policy", false),
    };
    return auth;
}

static struct lease_terms *parse_secret(struct arena *a, const struct json *o)
{
    struct lease_terms *t = arena_alloc(a, sizeof *t);
    if (t == NULL)
        return NULL;
    *t = (struct lease_terms){
        .leased = true,
        .renewable = json_get_bool(o, "renewable", false),
        .ttl_s = json_get_int(o, "lease", 0) / SECOND,
        .max_ttl_s = json_get_int(o, "max_ttl", 0) / SECOND,
        .internal_data = object_or_null(o, "internal_data"),
    };
    return t;
}

static int parse_times(const struct json *o, struct lease *l, struct err *err)
{
    const struct { const char *key; int64_t *to; } rows[] = {
        { "issue_time", &l->issued_ns },
        { "expire_time", &l->expires_ns },
        { "last_renewal_time", &l->renewed_ns },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str text = json_get_str(o, rows[i].key);
        *rows[i].to = TIME_ZERO;
        if (text.n > 0)
            TRY(time_parse(text, rows[i].to, err));
    }
    return 0;
}

int lease_entry_parse(struct arena *a, struct str text, struct lease *out, struct err *err)
{
    struct json *o;
    if (json_parse(a, text, &o, NULL, err) < 0)
        return err_set(err, ERR_CORRUPT, "lease entry: %s", err->msg);
    *out = (struct lease){
        .id = json_get_str(o, "lease_id"),
        .client_token = json_get_str(o, "client_token"),
        .path = json_get_str(o, "path"),
        .token_type = json_get_int(o, "token_type", 0) == TOKEN_BATCH ? TOKEN_BATCH : TOKEN_SERVICE,
        .data = object_or_null(o, "data"),
        .irrevocable = json_get_str(o, "revokeErr").n > 0,
    };
    if (object_or_null(o, "auth") != NULL)
        out->auth = parse_auth(a, json_member(o, "auth"));
    if (object_or_null(o, "secret") != NULL)
        out->secret = parse_secret(a, json_member(o, "secret"));
    if (out->secret != NULL)
        out->secret->lease_id = out->id;
    TRY(parse_times(o, out, err));
    return arena_check(a, err);
}

static void put_copy(struct arena *a, struct json *o, const char *key, const struct json *v)
{
    json_put(o, key, v == NULL ? json_null(a) : json_copy(a, v));
}

static struct json *print_auth(struct arena *a, const struct auth *auth)
{
    struct json *o = json_object(a);
    if (o != NULL)
        o->keep_order = true;
    json_put_int(o, "lease", auth->ttl_s * SECOND);
    json_put_int(o, "max_ttl", auth->max_ttl_s * SECOND);
    json_put_bool(o, "renewable", auth->renewable);
    put_copy(a, o, "internal_data", auth->internal_data);
    json_put_str(o, "display_name", auth->display_name);
    json_put_strs_or_null(o, "policies", &auth->policies);
    json_put_strs_or_null(o, "token_policies", &auth->token_policies);
    json_put_strs_or_null(o, "identity_policies", &auth->identity_policies);
    json_put_null(o, "external_namespace_policies");
    json_put_bool(o, "no_default_policy", auth->no_default_policy);
    put_copy(a, o, "metadata", auth->metadata);
    json_put_str(o, "client_token", auth->client_token);
    json_put_str(o, "accessor", auth->accessor);
    json_put_int(o, "period", auth->period_s * SECOND);
    json_put_int(o, "explicit_max_ttl", auth->explicit_max_ttl_s * SECOND);
    json_put_int(o, "num_uses", auth->num_uses);
    json_put_str(o, "entity_id", auth->entity_id);
    if (auth->alias_name.n == 0) {
        json_put_null(o, "alias");
    } else {
        struct json *alias = json_put_object(o, "alias");
        json_put_str(alias, "name", auth->alias_name);
    }
    json_put_null(o, "group_aliases");
    json_put_strs_or_null(o, "bound_cidrs", &auth->bound_cidrs);
    json_put_str(o, "creation_path", auth->creation_path);
    json_put_int(o, "token_type", auth->type);
    json_put_bool(o, "orphan", auth->orphan);
    return o;
}

static struct json *print_secret(struct arena *a, const struct lease_terms *t)
{
    struct json *o = json_object(a);
    if (o != NULL)
        o->keep_order = true;
    json_put_int(o, "lease", t->ttl_s * SECOND);
    json_put_int(o, "max_ttl", t->max_ttl_s * SECOND);
    json_put_bool(o, "renewable", t->renewable);
    put_copy(a, o, "internal_data", t->internal_data);
    json_put_text(o, "LeaseID", "");
    return o;
}

int lease_entry_print(struct arena *a, const struct lease *l, struct buf *out, struct err *err)
{
    struct json *o = json_object(a);
    if (o != NULL)
        o->keep_order = true;
    json_put_str(o, "lease_id", l->id);
    json_put_str(o, "client_token", l->client_token);
    json_put_int(o, "token_type", l->token_type);
    json_put_str(o, "path", l->path);
    put_copy(a, o, "data", l->data);
    json_put(o, "secret", l->secret == NULL ? json_null(a) : print_secret(a, l->secret));
    json_put(o, "auth", l->auth == NULL ? json_null(a) : print_auth(a, l->auth));
    json_put_str(o, "issue_time", time_format(a, l->issued_ns));
    json_put_str(o, "expire_time", time_format(a, l->expires_ns));
    json_put_str(o, "last_renewal_time", time_format(a, l->renewed_ns));
    json_put_int(o, "version", 1);
    json_put_text(o, "revokeErr", l->irrevocable ? "irrevocable" : "");
    TRY(arena_check(a, err));
    json_print(o, out);
    buf_byte(out, '\n');
    return buf_check(out, err);
}
