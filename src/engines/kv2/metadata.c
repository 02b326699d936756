/* Kv2/metadata: metadata/..., what is known of a secret and its versions, and the listing. */
#include "engines/kv2/metadata.h"

#include "engines/kv2/entry.h"

/* An event loop does not decrypt more names than this at a time. */
enum { DECRYPT_ON_LOOP = 256 };

static void show_versions(const struct kv2_meta *meta, struct json *out)
{
    for (size_t i = 0; i < meta->n; i++) {
        const struct kv2_version *v = &meta->versions[i];
        struct str number =
            arena_printf(out->arena, "%llu", (unsigned long long)v->number);
        struct json *shown = json_object(out->arena);
        kv2_entry_show_version(v, shown);
        json_append(out, number, shown);
    }
}

int kv2_metadata_read(struct request *req, struct response *resp)
{
    AUTO(kv2_entry_end) struct kv2_entry e = { 0 };

    int found = kv2_entry_open(req, &e);
    if (found <= 0)
        return found;
    const struct kv2_meta *m = &e.meta;
    struct json *data = response_data(resp), *versions = json_put_object(data, "versions");
    if (versions != NULL)
        show_versions(m, versions);
    json_put(data, "current_version", json_uint(req->arena, m->current));
    json_put(data, "oldest_version", json_uint(req->arena, m->oldest));
    json_put_str(data, "created_time", kv2_entry_time(req->arena, m->created_ns));
    json_put_str(data, "updated_time", kv2_entry_time(req->arena, m->updated_ns));
    json_put_int(data, "max_versions", m->max_versions);
    json_put_bool(data, "cas_required", m->cas_required);
    json_put_str(data, "delete_version_after", duration_format(req->arena, m->delete_after_ns));
    TRY(arena_check(req->arena, &req->err));
    return 1;
}

int kv2_metadata_list(struct request *req, struct response *resp)
{
    struct kv2 *k;
    struct kv2_names *names;
    AUTO(response_names_free) struct response_names list = { 0 };
    struct strs found;

    TRY(kv2_state_enter(req, &k, &names));
    TRY(kv2_names_list(names, req->storage, req->arena, field_str(req, "path"),
                       req->may_block ? SIZE_MAX : DECRYPT_ON_LOOP, &found, &req->err));
    for (size_t i = 0; i < found.n; i++)
        response_name(&list, found.v[i]);
    return response_names_put(resp, &list, &req->err);
}

struct kv2_settings kv2_metadata_settings(const struct request *req)
{
    int64_t seconds = field_seconds(req, "delete_version_after");
    struct kv2_settings s = {
        .has_max = field_raw(req, "max_versions") != NULL,
        .has_cas = field_raw(req, "cas_required") != NULL,
        .has_delete_after = field_given(req, "delete_version_after"),
        .max_versions = (uint32_t)field_int(req, "max_versions"), /* -1 wraps, as in Vault */
        .cas_required = field_bool(req, "cas_required"),
    };

    if (__builtin_mul_overflow(seconds, 1000000000, &s.delete_after_ns))
        s.delete_after_ns = seconds < 0 ? -1000000000 : INT64_MAX;
    return s;
}

static void apply(const struct kv2_settings *s, struct kv2_meta *m)
{
    if (s->has_max)
        m->max_versions = s->max_versions;
    if (s->has_cas)
        m->cas_required = s->cas_required;
    if (s->has_delete_after)
        m->delete_after_ns = s->delete_after_ns;
}

int kv2_metadata_write(struct request *req, struct response *resp)
{
    AUTO(kv2_entry_end) struct kv2_entry e = { 0 };
    struct kv2_settings s = kv2_metadata_settings(req);
    struct kv2_config config;

    TRY(kv2_entry_change(req, &e));
    if (str_ends(e.key, STR("/")))
        return err_set(&req->err, ERR_BAD_REQUEST, "missing path");
    if (!s.has_max && !s.has_cas && !s.has_delete_after)
        return 1;
    TRY(kv2_state_config(e.k, &config, &req->err));
    if (s.has_cas && !s.cas_required && config.cas_required) {
        response_warn(resp, "\"cas_required\" set to false, but is mandated by backend config. "
                            "This value will be ignored.");
        resp->empty_envelope = true;
    }
    if (e.meta.created_ns == KV2_NEVER)
        e.meta.created_ns = req->now_ns;
    e.meta.updated_ns = req->now_ns;
    apply(&s, &e.meta);
    TRY(kv2_entry_save(&e));
    return 1;
}

int kv2_metadata_delete(struct request *req, struct response *resp)
{
    AUTO(kv2_entry_end) struct kv2_entry e = { 0 };

    int found = kv2_entry_change(req, &e);
    if (found <= 0)
        return found < 0 ? -1 : 1;
    for (size_t i = 0; i < e.meta.n; i++)
        TRY(kv2_entry_delete_version(&e, e.meta.versions[i].number));
    kv2_entry_delete(&e, e.key);
    TRY(kv2_entry_commit(&e));
    return 1;
}
