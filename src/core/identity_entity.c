/* Protobuf messages of identity (storage-layout: "Identity bucket"). */
#include "core/identity_entity.h"

#include "codec/compress.h"
#include "codec/protobuf.h"
#include "crypto/digest.h"

#define TYPE_ENTITY "type.googleapis.com/identity.Entity"

enum { E_ALIAS = 1, E_ID, E_NAME, E_METADATA, E_CREATED, E_UPDATED, E_MERGED, E_POLICY,
       E_BUCKET, E_MFA, E_DISABLED, E_NAMESPACE };
enum { A_ID = 1, A_CANONICAL, A_TYPE, A_ACCESSOR, A_PATH, A_METADATA, A_NAME, A_CREATED,
       A_UPDATED, A_MERGED, A_NAMESPACE };
enum { G_ID = 1, G_NAME, G_POLICY, G_PARENT, G_MEMBER, G_METADATA };
enum { B_KEY = 1, B_ITEM, B_ITEM_MAP };

static int add_pair(struct arena *a, struct str entry, struct json **map, struct err *err)
{
    struct str key, value;
    TRY(protobuf_pair(entry, &key, &value, err));
    if (*map == NULL)
        *map = json_object(a);
    json_set(*map, key, json_str(a, value));
    return 0;
}

static int alias_field(struct arena *a, const struct protobuf_field *f,
                       struct identity_entity_alias *x, struct err *err)
{
    switch (f->number) {
    case A_ID: x->id = f->bytes; break;
    case A_CANONICAL: x->canonical_id = f->bytes; break;
    case A_TYPE: x->mount_type = f->bytes; break;
    case A_ACCESSOR: x->mount_accessor = f->bytes; break;
    case A_PATH: x->mount_path = f->bytes; break;
    case A_METADATA: return add_pair(a, f->bytes, &x->metadata, err);
    case A_NAME: x->name = f->bytes; break;
    case A_CREATED: return protobuf_timestamp(f->bytes, &x->created_ns, err);
    case A_UPDATED: return protobuf_timestamp(f->bytes, &x->updated_ns, err);
    case A_MERGED: strs_add(a, &x->merged_from, f->bytes); break;
    case A_NAMESPACE: x->namespace_id = f->bytes; break;
    default: break;
    }
    return 0;
}

static int add_alias(struct arena *a, struct str message, struct identity_entity *e,
                     struct err *err)
{
    struct protobuf_field f;
    int found;
    struct identity_entity_alias *grown = arena_array(a, e->n_aliases + 1, sizeof *grown);
    if (grown == NULL)
        return arena_check(a, err);
    if (e->n_aliases > 0)
        memcpy(grown, e->aliases, e->n_aliases * sizeof *grown);
    e->aliases = grown;
    struct identity_entity_alias *x = &grown[e->n_aliases++];
    while ((found = protobuf_next(&message, &f, err)) > 0)
        if (f.wire == PROTOBUF_BYTES)
            TRY(alias_field(a, &f, x, err));
    return found;
}

static int entity_field(struct arena *a, const struct protobuf_field *f, struct str raw,
                        struct identity_entity *e, struct err *err)
{
    if (protobuf_is(f, E_DISABLED, PROTOBUF_VARINT)) {
        e->disabled = f->value != 0;
        return 0;
    }
    switch (f->wire == PROTOBUF_BYTES ? f->number : 0) {
    case E_ALIAS: return add_alias(a, f->bytes, e, err);
    case E_ID: e->id = f->bytes; break;
    case E_NAME: e->name = f->bytes; break;
    case E_METADATA: return add_pair(a, f->bytes, &e->metadata, err);
    case E_CREATED: return protobuf_timestamp(f->bytes, &e->created_ns, err);
    case E_UPDATED: return protobuf_timestamp(f->bytes, &e->updated_ns, err);
    case E_MERGED: strs_add(a, &e->merged_ids, f->bytes); break;
    case E_POLICY: strs_add(a, &e->policies, f->bytes); break;
    case E_BUCKET: e->bucket_key = f->bytes; break;
    case E_NAMESPACE: e->namespace_id = f->bytes; break;
    default: strs_add(a, &e->others, raw); break;
    }
    return 0;
}

int identity_entity_parse(struct arena *a, struct str message, struct identity_entity *out,
                          struct err *err)
{
    struct protobuf_field f;
    const char *start = message.p;
    int found;
    *out = (struct identity_entity){ 0 };
    while ((found = protobuf_next(&message, &f, err)) > 0) {
        TRY(entity_field(a, &f, str_mem(start, (size_t)(message.p - start)), out, err));
        start = message.p;
    }
    TRY(found);
    if (out->id.n == 0)
        return err_set(err, ERR_CORRUPT, "identity: an entity without an id");
    return arena_check(a, err);
}

static void add_map(struct buf *out, uint32_t number, const struct json *map)
{
    for (const struct json *v = json_first(map); v != NULL; v = v->next)
        protobuf_add_pair(out, number, v->key, v->text);
}

static void add_list(struct buf *out, uint32_t number, const struct strs *list)
{
    for (size_t i = 0; i < list->n; i++)
        protobuf_add_bytes(out, number, list->v[i]);
}

static void print_alias(const struct identity_entity_alias *x, struct buf *out)
{
    size_t mark = protobuf_open(out, E_ALIAS);
    protobuf_put_bytes(out, A_ID, x->id);
    protobuf_put_bytes(out, A_CANONICAL, x->canonical_id);
    protobuf_put_bytes(out, A_TYPE, x->mount_type);
    protobuf_put_bytes(out, A_ACCESSOR, x->mount_accessor);
    protobuf_put_bytes(out, A_PATH, x->mount_path);
    add_map(out, A_METADATA, x->metadata);
    protobuf_put_bytes(out, A_NAME, x->name);
    protobuf_add_timestamp(out, A_CREATED, x->created_ns);
    protobuf_add_timestamp(out, A_UPDATED, x->updated_ns);
    add_list(out, A_MERGED, &x->merged_from);
    protobuf_put_bytes(out, A_NAMESPACE, x->namespace_id);
    protobuf_close(out, mark);
}

int identity_entity_print(const struct identity_entity *e, struct buf *out, struct err *err)
{
    for (size_t i = 0; i < e->n_aliases; i++)
        print_alias(&e->aliases[i], out);
    protobuf_put_bytes(out, E_ID, e->id);
    protobuf_put_bytes(out, E_NAME, e->name);
    add_map(out, E_METADATA, e->metadata);
    protobuf_add_timestamp(out, E_CREATED, e->created_ns);
    protobuf_add_timestamp(out, E_UPDATED, e->updated_ns);
    add_list(out, E_MERGED, &e->merged_ids);
    add_list(out, E_POLICY, &e->policies);
    protobuf_put_bytes(out, E_BUCKET, e->bucket_key);
    protobuf_put_bool(out, E_DISABLED, e->disabled);
    protobuf_put_bytes(out, E_NAMESPACE, e->namespace_id);
    for (size_t i = 0; i < e->others.n; i++)
        buf_add(out, e->others.v[i]);
    return buf_check(out, err);
}

int identity_entity_group_parse(struct arena *a, struct str message, struct identity_group *out,
                                struct err *err)
{
    struct protobuf_field f;
    int found;
    *out = (struct identity_group){ 0 };
    while ((found = protobuf_next(&message, &f, err)) > 0) {
        switch (f.wire == PROTOBUF_BYTES ? f.number : 0) {
        case G_ID: out->id = f.bytes; break;
        case G_NAME: out->name = f.bytes; break;
        case G_POLICY: strs_add(a, &out->policies, f.bytes); break;
        case G_PARENT: strs_add(a, &out->parent_ids, f.bytes); break;
        case G_MEMBER: strs_add(a, &out->member_ids, f.bytes); break;
        case G_METADATA: TRY(add_pair(a, f.bytes, &out->metadata, err)); break;
        default: break;
        }
    }
    TRY(found);
    if (out->id.n == 0)
        return err_set(err, ERR_CORRUPT, "identity: a group without an id");
    return arena_check(a, err);
}

/* ---- buckets ---- */

int identity_entity_bucket(struct arena *a, const char *prefix, struct str id, struct str *out,
                           struct err *err)
{
    uint8_t hash[DIGEST_MAX];
    TRY(digest_of(DIGEST_MD5, id, hash, err));
    *out = arena_printf(a, "%s%u", prefix, hash[0]);
    return arena_check(a, err);
}

/* Id and message of an item: {1 id, 2 Any {1 type, 2 message}}. */
static int open_item(struct str item, struct str *id, struct str *message, struct err *err)
{
    struct str any, type;
    TRY(protobuf_pair(item, id, &any, err));
    return protobuf_pair(any, &type, message, err);
}

static bool is_item(const struct protobuf_field *f)
{
    return protobuf_is(f, B_ITEM, PROTOBUF_BYTES) || protobuf_is(f, B_ITEM_MAP, PROTOBUF_BYTES);
}

int identity_entity_bucket_walk(struct str stored,
                                int (*each)(void *ctx, struct str message, struct err *err),
                                void *ctx, struct err *err)
{
    AUTO(buf_free) struct buf plain = { 0 };
    struct protobuf_field f;
    struct str id, message;
    int found;
    TRY(decompress(stored, &plain, err));
    struct str rest = buf_str(&plain);
    while ((found = protobuf_next(&rest, &f, err)) > 0) {
        if (!is_item(&f))
            continue;
        TRY(open_item(f.bytes, &id, &message, err));
        TRY(each(ctx, message, err));
    }
    return found;
}

/* All fields of the bucket but the item ${id}. */
static int copy_others(struct str bucket, struct str id, struct buf *out, struct err *err)
{
    struct protobuf_field f;
    const char *start = bucket.p;
    struct str item, message;
    int found;
    while ((found = protobuf_next(&bucket, &f, err)) > 0) {
        struct str raw = str_mem(start, (size_t)(bucket.p - start));
        start = bucket.p;
        if (is_item(&f)) {
            TRY(open_item(f.bytes, &item, &message, err));
            if (str_eq(item, id))
                continue;
        }
        buf_add(out, raw);
    }
    return found;
}

int identity_entity_bucket_put(struct str stored, struct str key, struct str id,
                               struct str message, struct buf *out, struct err *err)
{
    AUTO(buf_free) struct buf was = { 0 };
    AUTO(buf_free) struct buf now = { 0 };
    if (stored.n > 0) {
        TRY(decompress(stored, &was, err));
        TRY(copy_others(buf_str(&was), id, &now, err));
    } else {
        protobuf_put_bytes(&now, B_KEY, key);
    }
    size_t item = protobuf_open(&now, B_ITEM);
    protobuf_put_bytes(&now, 1, id);
    size_t any = protobuf_open(&now, 2);
    protobuf_put_bytes(&now, 1, STR(TYPE_ENTITY));
    protobuf_put_bytes(&now, 2, message);
    protobuf_close(&now, any);
    protobuf_close(&now, item);
    TRY(buf_check(&now, err));
    return compress_snappy(buf_str(&now), out, err);
}
