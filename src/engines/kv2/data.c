/* Kv2/data: data/..., reading, writing and deleting the newest version. */
#include "engines/kv2/data.h"

#include "engines/kv2/entry.h"
#include "engines/kv2/float.h"

int kv2_data_exists(struct request *req)
{
    AUTO(kv2_entry_end) struct kv2_entry e = { 0 };

    return kv2_entry_open(req, &e);
}

/* ---- reading ---- */

/* The JSON of a version; null when null was written. */
static int load_data(struct kv2_entry *e, uint64_t number, struct json **out)
{
    AUTO(buf_free) struct buf stored = { 0 };
    struct request *req = e->req;
    struct kv2_record record;
    struct str key;

    TRY(kv2_names_version(e->names, req->arena, e->meta.key, number, &key, &req->err));
    int found = storage_get(req->storage, key, &stored, &req->err);
    TRY(found);
    if (found == 0)
        return err_set(&req->err, ERR_INTERNAL, "could not find version data");
    TRY(kv2_record_decode(buf_str(&stored), &record, &req->err));
    /* The tree borrows its texts, so they have to live in the arena. */
    struct str text = arena_dup(req->arena, record.data);
    TRY(arena_check(req->arena, &req->err));
    if (json_parse_all(req->arena, text, out, &req->err) < 0)
        return err_set(&req->err, ERR_CORRUPT, "kv: a version's data is not JSON");
    return kv2_float_numbers(req->arena, *out, &req->err);
}

int kv2_data_read(struct request *req, struct response *resp)
{
    AUTO(kv2_entry_end) struct kv2_entry e = { 0 };
    struct json *data = NULL;

    int found = kv2_entry_open(req, &e);
    if (found <= 0)
        return found;
    int64_t asked = field_int(req, "version");
    const struct kv2_version *v =
        kv2_meta_find(&e.meta, asked > 0 ? (uint64_t)asked : e.meta.current);
    if (v == NULL)
        return 0;
    if (kv2_version_readable(v, req->now_ns))
        TRY(load_data(&e, v->number, &data));
    else
        resp->status = 404; /* as Vault: not found, yet with its metadata */
    json_put(response_data(resp), "data", data != NULL ? data : json_null(req->arena));
    struct json *metadata = response_object(resp, "metadata");
    kv2_entry_show_version(v, metadata);
    json_put(metadata, "version", json_uint(req->arena, v->number));
    TRY(arena_check(req->arena, &req->err));
    return 1;
}

/* ---- writing ---- */

static int check_cas(struct request *req, const struct kv2_config *config,
                     const struct kv2_meta *meta)
{
    const struct json *cas = json_member(field_map(req, "options"), "cas");
    int64_t number;

    if (cas == NULL && (config->cas_required || meta->cas_required))
        return err_set(&req->err, ERR_BAD_REQUEST,
                       "check-and-set parameter required for this call");
    if (cas == NULL)
        return 0;
    if (!field_weak_int(cas, &number))
        return err_set(&req->err, ERR_BAD_REQUEST, "error parsing check-and-set parameter");
    if ((uint64_t)number != meta->current)
        return err_set(&req->err, ERR_BAD_REQUEST,
                       "check-and-set parameter did not match the current version");
    return 0;
}

/* The data as it will be stored: numbers as they were sent; null stays null. */
static int given_data(struct request *req, struct buf *out)
{
    if (field_raw(req, "data") == NULL)
        return err_set(&req->err, ERR_BAD_REQUEST, "no data provided");
    const struct json *data = field_map(req, "data");
    if (data == NULL)
        buf_add(out, STR("null"));
    else
        json_print(data, out);
    return buf_check(out, &req->err);
}

/* The new version, and the removal of those that are no longer kept, go into the batch. */
static int add_version(struct kv2_entry *e, const struct kv2_config *config, struct str data,
                       struct buf *record_bytes)
{
    struct request *req = e->req;
    struct kv2_record record = { data, req->now_ns, KV2_NEVER };
    struct kv2_version *cut;
    struct str key;
    size_t n_cut;

    record.deletion_ns = kv2_meta_deletion(config, &e->meta, req->now_ns);
    TRY(kv2_meta_add_version(req->arena, &e->meta, record.created_ns, record.deletion_ns,
                             config->max_versions, &cut, &n_cut, &req->err));
    for (size_t i = 0; i < n_cut; i++)
        TRY(kv2_entry_delete_version(e, cut[i].number));
    kv2_record_encode(&record, record_bytes);
    TRY(buf_check(record_bytes, &req->err));
    TRY(kv2_names_version(e->names, req->arena, e->meta.key, e->meta.current, &key, &req->err));
    kv2_entry_put(e, key, buf_str(record_bytes));
    return 0;
}

int kv2_data_write(struct request *req, struct response *resp)
{
    AUTO(kv2_entry_end) struct kv2_entry e = { 0 };
    AUTO(buf_free) struct buf data = { 0 }, record = { 0 };
    struct kv2_config config;

    TRY(kv2_entry_change(req, &e));
    if (str_ends(e.key, STR("/")))
        return err_set(&req->err, ERR_BAD_REQUEST, "missing path");
    TRY(given_data(req, &data));
    TRY(kv2_state_config(e.k, &config, &req->err));
    TRY(check_cas(req, &config, &e.meta));
    TRY(add_version(&e, &config, buf_str(&data), &record));
    TRY(kv2_entry_save(&e));
    kv2_entry_show_version(kv2_meta_find(&e.meta, e.meta.current), response_data(resp));
    json_put(response_data(resp), "version", json_uint(req->arena, e.meta.current));
    TRY(arena_check(req->arena, &req->err));
    return 1;
}

int kv2_data_delete(struct request *req, struct response *resp)
{
    AUTO(kv2_entry_end) struct kv2_entry e = { 0 };

    int found = kv2_entry_change(req, &e);
    if (found <= 0)
        return found < 0 ? -1 : 1;
    struct kv2_version *newest = kv2_meta_find(&e.meta, e.meta.current);
    if (newest == NULL || !kv2_version_readable(newest, req->now_ns))
        return 1;
    newest->deletion_ns = req->now_ns;
    TRY(kv2_entry_save(&e));
    return 1;
}
