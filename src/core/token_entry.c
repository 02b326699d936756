/* Token entries to and from bytes (storage-layout: "Tokens and leases"). */
#include "core/token_entry.h"

#include "codec/protobuf.h"

static const int64_t SECOND = 1000000000;

static bool holds_root(const struct token_entry *e)
{
    return strs_has(&e->policies, STR("root"));
}

int token_entry_parse(struct arena *a, struct str text, struct token_entry *out, struct err *err)
{
    struct json *o;
    if (json_parse(a, text, &o, NULL, err) < 0)
        return err_set(err, ERR_CORRUPT, "token entry: %s", err->msg);
    *out = (struct token_entry){
        .type = json_get_int(o, "type", TOKEN_SERVICE) == TOKEN_BATCH ? TOKEN_BATCH : TOKEN_SERVICE,
        .id = json_get_str(o, "id"),
        .accessor = json_get_str(o, "accessor"),
        .parent = json_get_str(o, "parent"),
        .path = json_get_str(o, "path"),
        .display_name = json_get_str(o, "display_name"),
        .role = json_get_str(o, "role"),
        .entity_id = json_get_str(o, "entity_id"),
        .cubbyhole_id = json_get_str(o, "cubbyhole_id"),
        .policies = json_strs(a, json_member(o, "policies")),
        .bound_cidrs = json_strs(a, json_member(o, "bound_cidrs")),
        .num_uses = json_get_int(o, "num_uses", 0),
        .created_s = json_get_int(o, "creation_time", 0),
        .ttl_s = json_get_int(o, "ttl", 0) / SECOND,
        .explicit_max_ttl_s = json_get_int(o, "explicit_max_ttl", 0) / SECOND,
        .period_s = json_get_int(o, "period", 0) / SECOND,
    };
    out->meta = json_is(json_member(o, "meta"), JSON_OBJECT) ? json_member(o, "meta") : NULL;
    out->root = holds_root(out);
    if (out->id.n == 0)
        return err_set(err, ERR_CORRUPT, "token entry: no id");
    return arena_check(a, err);
}

int token_entry_print(struct arena *a, const struct token_entry *e, struct buf *out,
                      struct err *err)
{
    struct json *o = json_object(a);
    if (o != NULL)
        o->keep_order = true;
    json_put_int(o, "type", e->type);
    json_put_str(o, "id", e->id);
    json_put_str(o, "accessor", e->accessor);
    json_put_str(o, "parent", e->parent);
    json_put_strs_or_null(o, "policies", &e->policies);
    json_put_str(o, "path", e->path);
    json_put(o, "meta", e->meta == NULL ? json_null(a) : json_copy(a, e->meta));
    json_put_str(o, "display_name", e->display_name);
    json_put_int(o, "num_uses", e->num_uses);
    json_put_int(o, "creation_time", e->created_s);
    json_put_int(o, "ttl", e->ttl_s * SECOND);
    json_put_int(o, "explicit_max_ttl", e->explicit_max_ttl_s * SECOND);
    json_put_str(o, "role", e->role);
    json_put_int(o, "period", e->period_s * SECOND);
    /* Names of Vault's first versions, always written empty. */
    json_put_text(o, "DisplayName", "");
    json_put_int(o, "NumUses", 0);
    json_put_int(o, "CreationTime", 0);
    json_put_int(o, "ExplicitMaxTTL", 0);
    json_put_str(o, "entity_id", e->entity_id);
    json_put_strs_or_null(o, "bound_cidrs", &e->bound_cidrs);
    json_put_text(o, "namespace_id", "root");
    json_put_str(o, "cubbyhole_id", e->cubbyhole_id);
    TRY(arena_check(a, err));
    json_print(o, out);
    buf_byte(out, '\n');
    return buf_check(out, err);
}

enum { PB_PARENT = 3, PB_POLICIES = 4, PB_PATH = 5, PB_META = 6, PB_DISPLAY_NAME = 7,
       PB_CREATED = 9, PB_TTL = 10, PB_EXPLICIT_MAX = 11, PB_ROLE = 12, PB_PERIOD = 13,
       PB_ENTITY = 14, PB_CIDRS = 15, PB_NAMESPACE = 16, PB_TYPE = 18 };

int token_entry_pack(const struct token_entry *e, struct buf *out, struct err *err)
{
    protobuf_put_bytes(out, PB_PARENT, e->parent);
    for (size_t i = 0; i < e->policies.n; i++)
        protobuf_add_bytes(out, PB_POLICIES, e->policies.v[i]);
    protobuf_put_bytes(out, PB_PATH, e->path);
    for (const struct json *m = json_first(e->meta); m != NULL; m = m->next)
        protobuf_add_pair(out, PB_META, m->key, m->text);
    protobuf_put_bytes(out, PB_DISPLAY_NAME, e->display_name);
    protobuf_put_int(out, PB_CREATED, e->created_s);
    protobuf_put_int(out, PB_TTL, e->ttl_s * SECOND);
    protobuf_put_int(out, PB_EXPLICIT_MAX, e->explicit_max_ttl_s * SECOND);
    protobuf_put_bytes(out, PB_ROLE, e->role);
    protobuf_put_int(out, PB_PERIOD, e->period_s * SECOND);
    protobuf_put_bytes(out, PB_ENTITY, e->entity_id);
    for (size_t i = 0; i < e->bound_cidrs.n; i++)
        protobuf_add_bytes(out, PB_CIDRS, e->bound_cidrs.v[i]);
    protobuf_put_bytes(out, PB_NAMESPACE, STR("root"));
    protobuf_put_int(out, PB_TYPE, TOKEN_BATCH);
    return buf_check(out, err);
}

static int unpack_field(struct arena *a, const struct protobuf_field *f, struct token_entry *e,
                        struct err *err)
{
    struct str key, value;
    switch (f->number) {
    case PB_PARENT: e->parent = f->bytes; break;
    case PB_POLICIES: strs_add(a, &e->policies, f->bytes); break;
    case PB_PATH: e->path = f->bytes; break;
    case PB_DISPLAY_NAME: e->display_name = f->bytes; break;
    case PB_CREATED: e->created_s = (int64_t)f->value; break;
    case PB_TTL: e->ttl_s = (int64_t)f->value / SECOND; break;
    case PB_EXPLICIT_MAX: e->explicit_max_ttl_s = (int64_t)f->value / SECOND; break;
    case PB_ROLE: e->role = f->bytes; break;
    case PB_PERIOD: e->period_s = (int64_t)f->value / SECOND; break;
    case PB_ENTITY: e->entity_id = f->bytes; break;
    case PB_CIDRS: strs_add(a, &e->bound_cidrs, f->bytes); break;
    case PB_META:
        if (e->meta == NULL)
            e->meta = json_object(a);
        TRY(protobuf_pair(f->bytes, &key, &value, err));
        json_set(e->meta, key, json_str(a, value));
        break;
    default: break;
    }
    return 0;
}

int token_entry_unpack(struct arena *a, struct str bytes, struct token_entry *out, struct err *err)
{
    struct protobuf_field f;
    int found;
    *out = (struct token_entry){ .type = TOKEN_BATCH };
    while ((found = protobuf_next(&bytes, &f, err)) > 0)
        TRY(unpack_field(a, &f, out, err));
    TRY(found);
    out->root = holds_root(out);
    return arena_check(a, err);
}
