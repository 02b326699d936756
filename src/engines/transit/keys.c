/* keys: list, create, read and delete named keys. */
#include "codec/base64.h"
#include "codec/timefmt.h"
#include "engines/transit/routes.h"
#include "engines/transit/store.h"

struct names {
    struct arena *arena;
    struct strs list;
};

static int add_name(void *ctx, struct str name)
{
    struct names *n = ctx;
    strs_add(n->arena, &n->list, arena_dup(n->arena, name));
    return 0;
}

int transit_keys_list(struct request *req, struct response *resp)
{
    struct names names = { .arena = req->arena };

    TRY(storage_list(req->storage, STR("policy/"), STR(""), add_name, &names, &req->err));
    TRY(arena_check(req->arena, &req->err));
    return response_keys(resp, &names.list);
}

int transit_keys_write(struct request *req, struct response *resp)
{
    struct str type = field_str(req, "type");
    struct transit_spec spec = {
        .name = field_str(req, "name"),
        .derived = field_bool(req, "derived"),
        .convergent = field_bool(req, "convergent_encryption"),
        .exportable = field_bool(req, "exportable"),
        .plaintext_backup = field_bool(req, "allow_plaintext_backup"),
    };

    if (spec.convergent && !spec.derived)
        return err_set(&req->err, ERR_BAD_REQUEST,
                       "convergent encryption requires derivation to be enabled");
    if (!transit_type_parse(type, &spec.type))
        return err_set(&req->err, ERR_BAD_REQUEST, "unknown key type " STR_FMT, STR_ARG(type));
    /* A key that is there already stays as it is, and is not an error. */
    TRY(transit_create(req, &spec));
    return 1;
}

int transit_keys_delete(struct request *req, struct response *resp)
{
    AUTO(transit_edit_end) struct transit_edit edit = { 0 };
    struct str name = field_str(req, "name");

    int found = transit_edit(req, name, &edit);
    TRY(found);
    if (found == 0)
        return err_set(&req->err, ERR_BAD_REQUEST,
                       "error deleting policy " STR_FMT ": could not delete key; not found",
                       STR_ARG(name));
    if (!transit_record_bool(&edit.record, "deletion_allowed"))
        return err_set(&req->err, ERR_BAD_REQUEST,
                       "error deleting policy " STR_FMT ": deletion is not allowed for this key",
                       STR_ARG(name));
    TRY(transit_edit_delete(req, &edit));
    return 1;
}

/* ---- read ---- */

static void describe_event(struct json *data, const char *name, const struct transit_event *e)
{
    if (e->time.n == 0)
        return;
    struct json *out = json_put_object(data, name);
    if (out == NULL)
        return;
    json_put_str(out, "time", arena_dup(out->arena, e->time));
    json_put_int(out, "version", e->version);
}

static void describe_derivation(struct json *data, const struct transit_key *k)
{
    if (!k->derived)
        return;
    if (k->kdf == TRANSIT_KDF_HKDF) {
        json_put_text(data, "kdf", "hkdf_sha256");
    } else {
        json_put_text(data, "kdf", "hmac-sha256-counter");
        json_put_text(data, "kdf_mode", "hmac-sha256-counter");
    }
    json_put_bool(data, "convergent_encryption", k->convergent);
    if (k->convergent)
        json_put_int(data, "convergent_encryption_version", k->convergent_version);
}

static void describe_key(struct request *req, struct json *data, const struct transit_key *k)
{
    json_put_str(data, "name", arena_dup(req->arena, k->name));
    json_put_text(data, "type", k->info->name);
    json_put_bool(data, "derived", k->derived);
    json_put_bool(data, "deletion_allowed", k->deletion_allowed);
    json_put_int(data, "min_available_version", k->min_available);
    json_put_int(data, "min_decryption_version", k->min_decryption);
    json_put_int(data, "min_encryption_version", k->min_encryption);
    json_put_int(data, "latest_version", k->latest);
    json_put_bool(data, "exportable", k->exportable);
    json_put_bool(data, "allow_plaintext_backup", k->plaintext_backup);
    json_put_bool(data, "supports_encryption", k->info->encrypts);
    json_put_bool(data, "supports_decryption", k->info->encrypts);
    json_put_bool(data, "supports_signing", k->info->signs);
    json_put_bool(data, "supports_derivation", k->info->derives);
    describe_event(data, "backup_info", &k->backup);
    describe_event(data, "restore_info", &k->restore);
    describe_derivation(data, k);
}

static struct str created_text(struct arena *a, const struct transit_version *v)
{
    if (v->created.n > 0 && !str_is(v->created, "0001-01-01T00:00:00Z"))
        return arena_dup(a, v->created);
    return time_format(a, v->created_s * 1000000000);
}

/* The public half of the key that an Ed25519 key derives for a context; empty without one. */
static int derived_public(struct request *req, const struct transit_key *k,
                          const struct transit_version *v, struct str context, struct str *out)
{
    AUTO(secret_free) struct secret seed = { 0 };
    AUTO(pkey_drop) struct pkey *pkey = NULL;
    uint8_t both[64];

    *out = STR("");
    if (context.n == 0)
        return 0;
    if (transit_key_derive(k, v, context, &seed, PKEY_ED25519_SEED, &req->err) < 0)
        return err_set(&req->err, ERR_INTERNAL,
                       "failed to derive key to return public component");
    TRY(pkey_from_ed25519(secret_str(&seed), &pkey, &req->err));
    TRY(pkey_ed25519_bytes(pkey, both, &req->err));
    *out = base64_encode(req->arena, str_mem(both + PKEY_ED25519_SEED, PKEY_ED25519_PUBLIC));
    explicit_bzero(both, sizeof both);
    return 0;
}

static int public_text(struct request *req, const struct transit_key *k,
                       const struct transit_version *v, struct str context, struct str *out)
{
    AUTO(buf_free) struct buf pem = { 0 };

    if (k->derived)
        return derived_public(req, k, v, context, out);
    if (k->info->pkey != PKEY_RSA) {
        *out = arena_dup(req->arena, v->public_key);
        return 0;
    }
    TRY(pkey_public_pem(v->pkey, &pem, &req->err));
    *out = arena_dup(req->arena, buf_str(&pem));
    return 0;
}

/* More public keys than this take too long to write on an event loop. */
enum { LOOP_VERSIONS = 8 };

/* When each version was made, and of asymmetric keys the public half. */
static int describe_versions(struct request *req, struct json *data, const struct transit_key *k,
                             struct str context)
{
    struct json *keys = json_put_object(data, "keys");

    for (size_t i = 0; i < k->n_versions; i++) {
        const struct transit_version *v = &k->versions[i];
        struct str name = arena_printf(req->arena, "%lld", (long long)v->number), public;
        if (k->info->symmetric) {
            json_append(keys, name, json_int(req->arena, v->created_s));
            continue;
        }
        TRY(public_text(req, k, v, context, &public));
        struct json *out = json_object(req->arena);
        json_put_text(out, "name", k->info->curve);
        json_put_str(out, "public_key", public);
        json_put_str(out, "creation_time", created_text(req->arena, v));
        json_append(keys, name, out);
    }
    return arena_check(req->arena, &req->err);
}

int transit_keys_read(struct request *req, struct response *resp)
{
    AUTO(transit_use_end) struct transit_use use = { 0 };
    struct err ignored = { 0 };
    struct str context;

    int found = transit_use(req, field_str(req, "name"), &use);
    if (found <= 0)
        return found;
    if (!use.key->info->symmetric && use.key->n_versions > LOOP_VERSIONS)
        TRY(transit_may_wait(req));
    if (base64_decode(req->arena, field_str(req, "context"), &context, &ignored) < 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "failed to base64-decode context");
    describe_key(req, response_data(resp), use.key);
    TRY(describe_versions(req, response_data(resp), use.key, context));
    return 1;
}
