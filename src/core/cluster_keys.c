/* core/raft/tls: {"keys":[{"id","key_type","applied_index","cluster_cert","cluster_key_params",
 * "created_time"}],"applied_index","term","active_key_id"}, as storage-layout.md section 4 has it. */
#include "core/cluster_keys.h"

#include "base/log.h"
#include "base/random.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "codec/timefmt.h"
#include "crypto/cluster_cert.h"

static const struct log lg = { "core.cluster-keys" };

#define KEY STR("core/raft/tls")

static const int64_t day_s = 86400, second_ns = 1000000000;

enum {
    NEXT_DAYS = 30,    /* age of the newest authority at which the next one is made */
    /* Age at which one is dropped.  A member that was down for KEEP - NEXT days still knows one of
     * those that count, and is known by it. */
    KEEP_DAYS = 120,
    VALID_DAYS = 3650, /* a cluster may lie asleep for years */
};

int cluster_keys_read(struct storage *plain, struct buf *out, struct err *err)
{
    return storage_get(plain, KEY, out, err);
}

/* ---- reading ---- */

static int parse(struct arena *a, struct str text, struct json **out, struct json **keys,
                 struct err *err)
{
    TRY(json_parse(a, text, out, NULL, err));
    *keys = json_member(*out, "keys");
    if (json_first(*keys) == NULL)
        return err_set(err, ERR_CORRUPT, "core/raft/tls: no keys");
    return 0;
}

static struct str number_text(const struct json *object, const char *name)
{
    const struct json *v = json_member(object, name);
    return json_is(v, JSON_NUMBER) ? v->text : STR("");
}

static int authority_of(struct arena *a, const struct json *key, struct cluster_authority *out,
                        struct err *err)
{
    const struct json *params = json_member(key, "cluster_key_params");
    TRY(base64_decode(a, json_get_str(key, "cluster_cert"), &out->cert_der, err));
    out->x = number_text(params, "x");
    out->y = number_text(params, "y");
    out->d = number_text(params, "d");
    return arena_check(a, err);
}

static int64_t created_s(const struct json *key)
{
    int64_t ns = 0;
    struct err err = { 0 };
    if (time_parse(json_get_str(key, "created_time"), &ns, &err) < 0)
        return 0;
    return ns / second_ns;
}

static int64_t newest_s(const struct json *keys)
{
    int64_t newest = 0;
    for (const struct json *k = json_first(keys); k != NULL; k = k->next)
        newest = created_s(k) > newest ? created_s(k) : newest;
    return newest;
}

/* The one to issue with: the oldest, for every member has heard of it, also one that was away. */
static const struct json *oldest(const struct json *keys)
{
    const struct json *best = json_first(keys);
    for (const struct json *k = best; k != NULL; k = k->next)
        if (created_s(k) < created_s(best))
            best = k;
    return best;
}

int cluster_keys_use(struct str text, struct str node_id, int64_t now_s, struct link_creds *creds,
                     struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct json *o, *keys;
    struct cluster_authority authority;
    struct link_identity id = { 0 };
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    TRY(parse(a, text, &o, &keys, err));
    for (const struct json *k = json_first(keys); k != NULL; k = k->next) {
        struct str der;
        TRY(base64_decode(a, json_get_str(k, "cluster_cert"), &der, err));
        strs_add(a, &id.authorities_der, der);
    }
    TRY(authority_of(a, oldest(keys), &authority, err));
    TRY(cluster_cert_issue(a, &authority, node_id, now_s, CLUSTER_KEYS_VALID_S, &id.cert_der,
                           &id.key_der, err));
    TRY(arena_check(a, err));
    return link_creds_set(creds, &id, err);
}

/* ---- keeping ---- */

static int make(struct arena *a, int64_t now_s, struct json **out, struct err *err)
{
    struct cluster_authority authority;
    char uuid[37];
    random_uuid(uuid);
    struct str name = arena_printf(a, "fw-%s", uuid);
    TRY(cluster_authority_make(a, name, now_s, VALID_DAYS * day_s, &authority, err));
    struct json *key = json_object(a), *params = json_object(a);
    json_put_str(key, "id", arena_printf(a, "raft-%s", uuid));
    json_put_text(key, "key_type", "p521");
    json_put_int(key, "applied_index", 0);
    json_put_str(key, "cluster_cert", base64_encode(a, authority.cert_der));
    json_put_text(params, "type", "p521");
    json_put(params, "x", json_number(a, authority.x));
    json_put(params, "y", json_number(a, authority.y));
    json_put(params, "d", json_number(a, authority.d));
    json_put(key, "cluster_key_params", params);
    json_put_str(key, "created_time", time_format(a, now_s * second_ns));
    *out = key;
    return arena_check(a, err);
}

static int write(struct storage *plain, struct arena *a, const struct json *kept,
                 struct json *fresh, int64_t now_s, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    struct json *o = json_object(a);
    struct json *keys = json_put_array(o, "keys");
    int64_t newest = newest_s(kept);
    /* The one before the fresh one stays however old: a restored store's members know no other. */
    for (const struct json *k = json_first(kept); k != NULL; k = k->next)
        if (created_s(k) == newest || now_s - created_s(k) < KEEP_DAYS * day_s)
            json_add(keys, json_copy(a, k));
    json_add(keys, fresh);
    json_put_int(o, "applied_index", 0);
    json_put_int(o, "term", 0);
    json_put_str(o, "active_key_id", json_get_str(json_first(keys), "id"));
    TRY(arena_check(a, err));
    json_print(o, &text);
    TRY(buf_check(&text, err));
    return storage_put(plain, KEY, buf_str(&text), err);
}

int cluster_keys_keep(struct storage *plain, int64_t now_s, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf text = { 0 };
    struct json *o, *keys = NULL, *fresh;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    int found = cluster_keys_read(plain, &text, err);
    if (found < 0)
        return -1;
    if (found > 0) {
        TRY(parse(a, buf_str(&text), &o, &keys, err));
        if (now_s - newest_s(keys) < NEXT_DAYS * day_s)
            return 0;
    }
    TRY(make(a, now_s, &fresh, err));
    TRY(write(plain, a, keys, fresh, now_s, err));
    LOG(&lg, INFO, "made an authority for the cluster's certificates");
    return 1;
}
