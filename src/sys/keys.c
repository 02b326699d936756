/* sys/key-status, sys/rotate, sys/rekey/backup: the encryption key and its shares' backup. */
#include "codec/base64.h"
#include "codec/timefmt.h"
#include "sys/system.h"

static const int64_t SECOND = 1000000000;

/* Which of the two a path means. */
static struct str backup_key(const struct request *req)
{
    return str_is(req->rel, "rekey/recovery-key-backup") ? STR("core/recovery-keys-backup")
                                                          : STR("core/unseal-keys-backup");
}

int key_status_read(struct request *req, struct response *resp)
{
    struct barrier_key_status s;
    TRY(barrier_key_status(active_of(req)->barrier, &s, &req->err));
    struct json *data = response_data(resp);
    json_put_int(data, "term", s.term);
    json_put_str(data, "install_time", time_format(req->arena, s.installed_ns));
    json_put_int(data, "encryptions", s.encryptions);
    return system_twice(resp);
}

int rotate_write(struct request *req, struct response *resp)
{
    uint32_t term;
    return barrier_rotate(active_of(req)->barrier, req->now_ns, &term, &req->err) < 0 ? -1 : 1;
}

int rotate_config_read(struct request *req, struct response *resp)
{
    struct barrier_rotation r;
    TRY(barrier_rotation(active_of(req)->barrier, &r, &req->err));
    struct json *data = response_data(resp);
    json_put_bool(data, "enabled", r.enabled);
    json_put_int(data, "max_operations", r.max_operations);
    if (r.interval_ns > 0)
        json_put_str(data, "interval", duration_format(req->arena, r.interval_ns));
    else
        json_put_int(data, "interval", 0);
    return 1;
}

static int check_rotation(const struct barrier_rotation *r, struct err *err)
{
    if (r->interval_ns != 0 && r->interval_ns < KEYRING_INTERVAL_MIN_NS)
        return err_set(err, ERR_BAD_REQUEST, "interval must be greater or equal to 24h0m0s");
    if (r->max_operations < KEYRING_OPERATIONS_MIN || r->max_operations > KEYRING_OPERATIONS_MAX)
        return err_set(err, ERR_BAD_REQUEST, "max_operations must be in the range [%lld,%lld]",
                       (long long)KEYRING_OPERATIONS_MIN, (long long)KEYRING_OPERATIONS_MAX);
    return 0;
}

int rotate_config_write(struct request *req, struct response *resp)
{
    struct barrier *b = active_of(req)->barrier;
    struct barrier_rotation was, now;
    TRY(barrier_rotation(b, &was, &req->err));
    now = was;
    if (field_given(req, "max_operations"))
        now.max_operations = field_int(req, "max_operations");
    if (field_given(req, "interval")
        && __builtin_mul_overflow(field_seconds(req, "interval"), SECOND, &now.interval_ns))
        now.interval_ns = INT64_MAX;
    if (field_given(req, "enabled"))
        now.enabled = field_bool(req, "enabled");
    TRY(check_rotation(&now, &req->err));
    /* As Vault: "enabled" alone is no change. */
    if (now.max_operations == was.max_operations && now.interval_ns == was.interval_ns)
        return 1;
    return barrier_set_rotation(b, &now, &req->err) < 0 ? -1 : 1;
}

/* The stored shares are hex; both ways of writing them are answered. */
static int both_ways(struct request *req, const struct json *keys, struct json *base64)
{
    for (const struct json *list = json_first(keys); list != NULL; list = list->next) {
        struct json *out = json_array(req->arena);
        for (const struct json *v = json_first(list); v != NULL; v = v->next) {
            struct str bytes;
            if (hex_decode(req->arena, v->text, &bytes, &req->err) < 0)
                return err_set(&req->err, ERR_CORRUPT, "error decoding hex-encoded backup key");
            json_add_str(out, base64_encode(req->arena, bytes));
        }
        json_set(base64, list->key, out);
    }
    return arena_check(req->arena, &req->err);
}

int rekey_backup_read(struct request *req, struct response *resp)
{
    AUTO(buf_free) struct buf text = { 0 };
    struct json *o;
    int found = storage_get(active_of(req)->settings->physical, backup_key(req), &text, &req->err);
    if (found < 0)
        return -1;
    if (found == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "no backed-up keys found");
    TRY(json_parse(req->arena, arena_dup(req->arena, buf_str(&text)), &o, NULL, &req->err));
    struct json *data = response_data(resp);
    json_put_str(data, "nonce", json_get_str(o, "Nonce"));
    json_put(data, "keys", json_copy(req->arena, json_member(o, "Keys")));
    TRY(both_ways(req, json_member(o, "Keys"), json_put_object(data, "keys_base64")));
    return system_twice(resp);
}

int rekey_backup_delete(struct request *req, struct response *resp)
{
    return storage_delete(active_of(req)->settings->physical, backup_key(req), &req->err) < 0 ? -1 : 1;
}
