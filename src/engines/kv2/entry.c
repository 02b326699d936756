/* Kv2/entry: reads a secret's entries and writes what changed as one batch. */
#include "engines/kv2/entry.h"

static int load(struct kv2_entry *e)
{
    AUTO(buf_free) struct buf stored = { 0 };
    struct request *req = e->req;

    e->meta = (struct kv2_meta){
        .key = e->path, .created_ns = KV2_NEVER, .updated_ns = KV2_NEVER
    };
    /* The root of all names is no secret. */
    if (str_ends(e->key, STR("/")))
        return 0;
    int found = storage_get(req->storage, e->key, &stored, &req->err);
    if (found <= 0)
        return found;
    struct str bytes = arena_dup(req->arena, buf_str(&stored));
    TRY(arena_check(req->arena, &req->err));
    TRY(kv2_meta_decode(req->arena, bytes, &e->meta, &req->err));
    return 1;
}

static int name(struct request *req, struct kv2_entry *e)
{
    *e = (struct kv2_entry){ .req = req };
    TRY(kv2_state_enter(req, &e->k, &e->names));
    e->path = field_str(req, "path");
    return kv2_names_metadata(e->names, req->arena, e->path, &e->key, &req->err);
}

int kv2_entry_open(struct request *req, struct kv2_entry *e)
{
    TRY(name(req, e));
    return load(e);
}

int kv2_entry_change(struct request *req, struct kv2_entry *e)
{
    TRY(name(req, e));
    /* Held by its place, not by its name: "a" and "a/" are one. */
    TRY(keylock_hold(e->k->locks, e->key, &e->hold, &req->err));
    return load(e);
}

void kv2_entry_end(struct kv2_entry *e)
{
    keylock_release(&e->hold);
}

static void add_op(struct kv2_entry *e, struct storage_op op)
{
    if (e->n_ops == e->cap_ops) {
        size_t cap = e->cap_ops == 0 ? 8 : e->cap_ops * 2;
        struct storage_op *more = arena_array(e->req->arena, cap, sizeof *more);
        if (more == NULL)
            return;
        if (e->n_ops > 0)
            memcpy(more, e->ops, e->n_ops * sizeof *more);
        e->ops = more;
        e->cap_ops = cap;
    }
    e->ops[e->n_ops++] = op;
}

void kv2_entry_put(struct kv2_entry *e, struct str key, struct str value)
{
    add_op(e, (struct storage_op){ STORAGE_PUT, key, value });
}

void kv2_entry_delete(struct kv2_entry *e, struct str key)
{
    add_op(e, (struct storage_op){ STORAGE_DELETE, key, { NULL, 0 } });
}

int kv2_entry_delete_version(struct kv2_entry *e, uint64_t number)
{
    struct str key;

    TRY(kv2_names_version(e->names, e->req->arena, e->meta.key, number, &key, &e->req->err));
    kv2_entry_delete(e, key);
    return 0;
}

int kv2_entry_commit(struct kv2_entry *e)
{
    TRY(arena_check(e->req->arena, &e->req->err));
    return storage_commit(e->req->storage, e->ops, e->n_ops, &e->req->err);
}

int kv2_entry_save(struct kv2_entry *e)
{
    AUTO(buf_free) struct buf bytes = { 0 };

    kv2_meta_encode(&e->meta, &bytes);
    TRY(buf_check(&bytes, &e->req->err));
    kv2_entry_put(e, e->key, buf_str(&bytes));
    return kv2_entry_commit(e);
}

struct str kv2_entry_time(struct arena *a, int64_t ns)
{
    return ns == KV2_NEVER ? STR("") : time_format(a, ns);
}

void kv2_entry_show_version(const struct kv2_version *v, struct json *out)
{
    if (out == NULL)
        return;
    json_put_str(out, "created_time", kv2_entry_time(out->arena, v->created_ns));
    json_put_str(out, "deletion_time", kv2_entry_time(out->arena, v->deletion_ns));
    json_put_bool(out, "destroyed", v->destroyed);
}
