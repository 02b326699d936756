/* Keys between cache, store and handlers. */
#include "engines/transit/store.h"

#include "base/epoch.h"

struct transit *transit_of(const struct request *req)
{
    return req->backend;
}

int transit_may_wait(struct request *req)
{
    if (req->may_block)
        return 0;
    return err_set(&req->err, ERR_MUST_WAIT, "transit: to be run on a worker");
}

static struct str policy_path(struct arena *a, struct str name)
{
    return arena_cat(a, STR("policy/"), name);
}

static struct str archive_path(struct arena *a, struct str name)
{
    return arena_cat(a, STR("archive/"), name);
}

/* ---- changing ---- */

static int record_read(struct request *req, struct str name, struct transit_record *out)
{
    AUTO(buf_free) struct buf policy = { 0 }, archive = { 0 };
    struct arena *a = req->arena;

    int found = storage_get(req->storage, policy_path(a, name), &policy, &req->err);
    if (found <= 0)
        return found;
    TRY(storage_get(req->storage, archive_path(a, name), &archive, &req->err));
    /* The tree may borrow from its text, and must live as long as the request. */
    struct str policy_text = arena_dup(a, buf_str(&policy));
    struct str archive_text = arena_dup(a, buf_str(&archive));
    TRY(arena_check(a, &req->err));
    TRY(transit_record_parse(a, policy_text, archive_text, out, &req->err));
    TRY(transit_record_upgrade(out, req->now_ns, &req->err));
    return 1;
}

int transit_edit(struct request *req, struct str name, struct transit_edit *edit)
{
    struct transit *t = transit_of(req);

    TRY(transit_may_wait(req));
    TRY(keylock_hold(t->locks, name, &edit->hold, &req->err));
    edit->name = name;
    edit->era = transit_cache_era(t->cache);
    return record_read(req, name, &edit->record);
}

void transit_edit_end(struct transit_edit *edit)
{
    keylock_release(&edit->hold);
}

static int store_write(struct request *req, struct str name, const struct transit_record *r)
{
    AUTO(buf_free) struct buf policy = { 0 }, archive = { 0 };
    struct storage_op ops[2] = { { .kind = STORAGE_PUT, .key = policy_path(req->arena, name) } };
    size_t n = 1;

    json_print(r->policy, &policy);
    TRY(buf_check(&policy, &req->err));
    ops[0].value = buf_str(&policy);
    if (r->archive_changed) {
        json_print(r->archive, &archive);
        TRY(buf_check(&archive, &req->err));
        ops[n++] = (struct storage_op){ STORAGE_PUT, archive_path(req->arena, name),
                                        buf_str(&archive) };
    }
    TRY(arena_check(req->arena, &req->err));
    return storage_commit(req->storage, ops, n, &req->err);
}

/* Retired at once when the cache does not take it: it then lives until the reader leaves. */
static void publish(struct transit *t, struct transit_key *key, uint64_t era)
{
    if (!transit_cache_put(t->cache, key, era))
        epoch_retire(key, transit_key_free);
}

int transit_edit_commit(struct request *req, struct transit_edit *edit)
{
    struct transit *t = transit_of(req);
    struct transit_key *key = NULL;

    TRY(transit_record_settle(&edit->record, &req->err));
    /* Parsed before it is stored: what could not be used must not get there. */
    TRY(transit_key_new(req->arena, edit->record.policy, &key, &req->err));
    if (store_write(req, edit->name, &edit->record) < 0) {
        transit_key_free(key);
        return -1;
    }
    publish(t, key, edit->era);
    return 0;
}

int transit_edit_delete(struct request *req, struct transit_edit *edit)
{
    struct storage_op ops[2] = {
        { .kind = STORAGE_DELETE, .key = policy_path(req->arena, edit->name) },
        { .kind = STORAGE_DELETE, .key = archive_path(req->arena, edit->name) },
    };
    TRY(arena_check(req->arena, &req->err));
    TRY(storage_commit(req->storage, ops, ARRAY_LEN(ops), &req->err));
    transit_cache_forget(transit_of(req)->cache, edit->name);
    return 0;
}

int transit_create(struct request *req, const struct transit_spec *spec)
{
    AUTO(transit_edit_end) struct transit_edit edit = { 0 };

    int found = transit_edit(req, spec->name, &edit);
    if (found != 0)
        return found < 0 ? -1 : 0;
    TRY(transit_spec_check(spec, &req->err));
    transit_record_make(req->arena, spec, &edit.record);
    TRY(transit_record_rotate(&edit.record, req->now_ns, &req->err));
    TRY(transit_edit_commit(req, &edit));
    return 1;
}

/* ---- using ---- */

static bool from_cache(struct transit *t, struct str name, struct transit_use *use)
{
    epoch_enter();
    use->reading = true;
    use->key = transit_cache_get(t->cache, name);
    if (use->key == NULL)
        transit_use_end(use);
    return use->key != NULL;
}

/* With the lock of the name held. A record that an old Vault wrote is stored anew. */
static int from_store(struct request *req, struct transit_edit *edit, struct transit_use *use)
{
    struct transit_key *key;
    bool upgraded = edit->record.policy_changed;

    if (upgraded)
        TRY(transit_record_settle(&edit->record, &req->err));
    TRY(transit_key_new(req->arena, edit->record.policy, &key, &req->err));
    if (upgraded && store_write(req, edit->name, &edit->record) < 0) {
        transit_key_free(key);
        return -1;
    }
    epoch_enter();
    use->reading = true;
    use->key = key;
    publish(transit_of(req), key, edit->era);
    return 1;
}

int transit_use(struct request *req, struct str name, struct transit_use *use)
{
    if (from_cache(transit_of(req), name, use))
        return 1;
    AUTO(transit_edit_end) struct transit_edit edit = { 0 };
    int found = transit_edit(req, name, &edit);
    if (found <= 0)
        return found;
    /* Another thread may have loaded it while this one waited for the lock. */
    if (from_cache(transit_of(req), name, use))
        return 1;
    return from_store(req, &edit, use);
}

void transit_use_end(struct transit_use *use)
{
    if (use->reading)
        epoch_leave();
    *use = (struct transit_use){ 0 };
}
