/* Kv2/policy: the stored key policy ("policy/metadata") whose keys encrypt the names. */
#include "engines/kv2/policy.h"

#include <stdlib.h>

#include "base/random.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "codec/timefmt.h"

enum { KEY_LEN = 32, TYPE_AES256_GCM96 = 0, KDF_HKDF_SHA256 = 1, CONVERGENT_VERSION = 3 };

void kv2_policy_free(struct kv2_policy *p)
{
    for (size_t i = 0; i < p->n; i++)
        secret_free(&p->keys[i].key);
    free(p->keys);
    *p = (struct kv2_policy){ 0 };
}

const struct kv2_policy_key *kv2_policy_key(const struct kv2_policy *p, uint32_t version)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->keys[i].version == version)
            return &p->keys[i];
    return NULL;
}

static int parse_key(struct arena *a, const struct json *v, int64_t of_policy,
                     struct kv2_policy_key *out, struct err *err)
{
    uint64_t version;
    struct str bytes;
    int64_t convergent =
        of_policy == -1 ? json_get_int(v, "convergent_version", 0) : of_policy;

    if (!str_to_u64(v->key, &version) || version == 0 || version > UINT32_MAX)
        return err_set(err, ERR_CORRUPT, "kv: key policy: bad key version");
    if (convergent != CONVERGENT_VERSION)
        return err_set(err, ERR_CORRUPT, "kv: key policy: unknown convergent version");
    if (base64_decode(a, json_get_str(v, "key"), &bytes, err) < 0 || bytes.n != KEY_LEN)
        return err_set(err, ERR_CORRUPT, "kv: key policy: bad key");
    out->version = (uint32_t)version;
    return secret_set(&out->key, bytes, err);
}

static int parse(struct arena *a, const struct json *v, struct kv2_policy *out, struct err *err)
{
    const struct json *keys = json_member(v, "keys");
    int64_t convergent = json_get_int(v, "convergent_version", 0);
    int64_t latest = json_get_int(v, "latest_version", 0);

    if (json_get_int(v, "type", -1) != TYPE_AES256_GCM96 ||
        json_get_int(v, "kdf", -1) != KDF_HKDF_SHA256 || !json_get_bool(v, "derived", false) ||
        !json_get_bool(v, "convergent_encryption", false))
        return err_set(err, ERR_CORRUPT, "kv: key policy: not a policy for names");
    out->keys = calloc(keys == NULL ? 1 : keys->count + 1, sizeof *out->keys);
    if (out->keys == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    for (const struct json *k = json_first(keys); k != NULL; k = k->next) {
        TRY(parse_key(a, k, convergent, &out->keys[out->n], err));
        out->n++;
    }
    out->latest = latest < 0 || latest > UINT32_MAX ? 0 : (uint32_t)latest;
    if (kv2_policy_key(out, out->latest) == NULL)
        return err_set(err, ERR_CORRUPT, "kv: key policy: its latest key is not there");
    return 0;
}

int kv2_policy_parse(struct str json, struct kv2_policy *out, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct json *v;

    *out = (struct kv2_policy){ 0 };
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (json_parse_all(a, json, &v, err) < 0)
        return err_set(err, ERR_CORRUPT, "kv: key policy: not JSON");
    if (parse(a, v, out, err) == 0)
        return 0;
    kv2_policy_free(out);
    return -1;
}

/* An empty key is the archive's version 0. */
static struct json *key_entry(struct arena *a, struct str key, struct str hmac, int64_t now_ns)
{
    static const char *const absent[] = { "ec_x", "ec_y", "ec_d", "rsa_key" };
    struct json *v = json_object(a);

    if (v == NULL)
        return NULL;
    v->keep_order = true;
    json_put(v, "key", key.n == 0 ? json_null(a) : json_str(a, key));
    json_put(v, "hmac_key", key.n == 0 ? json_null(a) : json_str(a, hmac));
    json_put_str(v, "time", key.n == 0 ? STR("0001-01-01T00:00:00Z") : time_format(a, now_ns));
    for (size_t i = 0; i < ARRAY_LEN(absent); i++)
        json_put_null(v, absent[i]);
    json_put_text(v, "public_key", "");
    json_put_int(v, "convergent_version", key.n == 0 ? 0 : CONVERGENT_VERSION);
    json_put_int(v, "creation_time", key.n == 0 ? 0 : now_ns / 1000000000);
    return v;
}

static struct json *policy_entry(struct arena *a, struct json *key, struct str storage_prefix)
{
    struct json *v = json_object(a);

    if (v == NULL)
        return NULL;
    v->keep_order = true;
    json_put_text(v, "name", "metadata");
    json_put(json_put_object(v, "keys"), "1", key);
    json_put_bool(v, "derived", true);
    json_put_int(v, "kdf", KDF_HKDF_SHA256);
    json_put_bool(v, "convergent_encryption", true);
    json_put_bool(v, "exportable", false);
    json_put_int(v, "min_decryption_version", 1);
    json_put_int(v, "min_encryption_version", 0);
    json_put_int(v, "latest_version", 1);
    json_put_int(v, "archive_version", 1);
    json_put_int(v, "archive_min_version", 0);
    json_put_int(v, "min_available_version", 0);
    json_put_bool(v, "deletion_allowed", false);
    json_put_int(v, "convergent_version", -1);
    json_put_int(v, "type", TYPE_AES256_GCM96);
    json_put_null(v, "backup_info");
    json_put_null(v, "restore_info");
    json_put_bool(v, "allow_plaintext_backup", false);
    json_put_text(v, "version_template", "{{version}}:");
    json_put_str(v, "storage_prefix", storage_prefix);
    return v;
}

/* ${a} is wiped with its owner; the bytes on the stack here. */
static struct str random_base64(struct arena *a)
{
    uint8_t bytes[KEY_LEN];

    random_fill(bytes, sizeof bytes);
    struct str text = base64_encode(a, str_mem(bytes, sizeof bytes));
    explicit_bzero(bytes, sizeof bytes);
    return text;
}

int kv2_policy_make(struct arena *a, struct str storage_prefix, int64_t now_ns, struct buf *policy,
                    struct buf *archive, struct err *err)
{
    struct str key = random_base64(a), hmac = random_base64(a);
    struct json *archived = json_object(a), *list = json_put_array(archived, "keys");

    json_add(list, key_entry(a, STR(""), STR(""), 0));
    json_add(list, key_entry(a, key, hmac, now_ns));
    struct json *whole = policy_entry(a, key_entry(a, key, hmac, now_ns), storage_prefix);
    TRY(arena_check(a, err));
    json_print(whole, policy);
    json_print(archived, archive);
    TRY(buf_check(policy, err));
    return buf_check(archive, err);
}
