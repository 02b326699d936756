/* Kv2/config: config, the mount's settings for all its secrets. */
#include "engines/kv2/config.h"

#include "engines/kv2/metadata.h"
#include "engines/kv2/state.h"

/* What a negative time is stored as: no version of any secret deletes itself. */
static const int64_t SWITCHED_OFF = -1000000000;

int kv2_config_read(struct request *req, struct response *resp)
{
    struct kv2 *k;
    struct kv2_names *names;
    struct kv2_config config;

    TRY(kv2_state_enter(req, &k, &names));
    TRY(kv2_state_config(k, &config, &req->err));
    struct json *data = response_data(resp);
    json_put_int(data, "max_versions", config.max_versions);
    json_put_bool(data, "cas_required", config.cas_required);
    json_put_str(data, "delete_version_after",
                 duration_format(req->arena, config.delete_after_ns));
    TRY(arena_check(req->arena, &req->err));
    return 1;
}

static void apply(const struct kv2_settings *s, struct kv2_config *config)
{
    if (s->has_max)
        config->max_versions = s->max_versions;
    if (s->has_cas)
        config->cas_required = s->cas_required;
    if (s->has_delete_after)
        config->delete_after_ns = s->delete_after_ns < 0 ? SWITCHED_OFF : s->delete_after_ns;
}

int kv2_config_write(struct request *req, struct response *resp)
{
    AUTO(buf_free) struct buf bytes = { 0 };
    AUTO(keylock_release) struct keyhold hold = { 0 };
    struct kv2_settings s = kv2_metadata_settings(req);
    struct kv2_config config;
    struct kv2_names *names;
    struct kv2 *k;

    TRY(kv2_state_enter(req, &k, &names));
    if (!s.has_max && !s.has_cas && !s.has_delete_after)
        return 1;
    TRY(keylock_hold(k->locks, STR(""), &hold, &req->err));
    TRY(kv2_state_config(k, &config, &req->err));
    apply(&s, &config);
    kv2_config_encode(&config, &bytes);
    struct str key = kv2_state_key(k, req->arena, "config");
    TRY(arena_check(req->arena, &req->err));
    TRY(buf_check(&bytes, &req->err));
    TRY(storage_put(req->storage, key, buf_str(&bytes), &req->err));
    kv2_state_set_config(k, &config);
    return 1;
}
