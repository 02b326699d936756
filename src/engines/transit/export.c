/* export: the key material of an exportable key. */
#include "codec/base64.h"
#include "engines/transit/routes.h"
#include "engines/transit/store.h"

enum purpose { EXPORT_ENCRYPTION, EXPORT_SIGNING, EXPORT_HMAC };

static int read_purpose(struct request *req, enum purpose *out)
{
    static const char *const names[] = {
        [EXPORT_ENCRYPTION] = "encryption-key",
        [EXPORT_SIGNING] = "signing-key",
        [EXPORT_HMAC] = "hmac-key",
    };
    struct str name = field_str(req, "type");

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_is(name, names[i])) {
            *out = (enum purpose)i;
            return 0;
        }
    }
    return err_set(&req->err, ERR_BAD_REQUEST, "invalid export type: " STR_FMT, STR_ARG(name));
}

static int check_allowed(struct request *req, const struct transit_key *k, enum purpose purpose)
{
    if (!k->exportable)
        return err_set(&req->err, ERR_BAD_REQUEST, "key is not exportable");
    if (purpose == EXPORT_ENCRYPTION && !k->info->encrypts)
        return err_set(&req->err, ERR_BAD_REQUEST, "encryption not supported for the key");
    if (purpose == EXPORT_SIGNING && !k->info->signs)
        return err_set(&req->err, ERR_BAD_REQUEST, "signing not supported for the key");
    return 0;
}

static int put_version(struct request *req, const struct transit_key *k,
                       const struct transit_version *v, enum purpose purpose, struct json *out)
{
    AUTO(buf_free) struct buf pem = { 0 };
    struct arena *a = req->arena;
    struct str text;

    if (purpose == EXPORT_HMAC) {
        text = base64_encode(a, secret_str(&v->hmac_key));
    } else if (v->key.n > 0) {
        text = base64_encode(a, secret_str(&v->key));
    } else {
        TRY(pkey_private_pem(v->pkey, &pem, &req->err));
        text = arena_dup(a, buf_str(&pem));
        if (k->info->pkey != PKEY_RSA)
            text = str_trim(text); /* Vault cuts the line end off this PEM, not off RSA's */
    }
    json_append(out, arena_printf(a, "%lld", (long long)v->number), json_str(a, text));
    return 0;
}

static int pick_version(struct request *req, const struct transit_key *k, struct str text,
                        const struct transit_version **out)
{
    int64_t number = k->latest;

    if (!str_is(text, "latest")) {
        if (str_starts(text, STR("v")))
            text = str_from(text, 1);
        if (!str_to_i64(text, &number))
            return err_set(&req->err, ERR_BAD_REQUEST, "invalid key version");
    }
    if (number < k->min_decryption)
        return err_set(&req->err, ERR_BAD_REQUEST,
                       "version for export is below minimum decryption version");
    *out = transit_key_version(k, number);
    if (*out == NULL)
        return err_set(&req->err, ERR_BAD_REQUEST, "version does not exist or cannot be found");
    return 0;
}

int transit_export(struct request *req, struct response *resp)
{
    AUTO(transit_use_end) struct transit_use use = { 0 };
    struct str wanted = field_str(req, "version");
    const struct transit_version *one = NULL;
    enum purpose purpose = EXPORT_HMAC;

    TRY(read_purpose(req, &purpose));
    int found = transit_use(req, field_str(req, "name"), &use);
    if (found <= 0)
        return found;
    const struct transit_key *k = use.key;
    TRY(check_allowed(req, k, purpose));
    if (wanted.n > 0)
        TRY(pick_version(req, k, wanted, &one));

    struct json *data = response_data(resp);
    json_put_str(data, "name", arena_dup(req->arena, k->name));
    json_put_text(data, "type", k->info->name);
    struct json *keys = json_put_object(data, "keys");
    for (size_t i = 0; i < k->n_versions; i++)
        if (one == NULL || one == &k->versions[i])
            TRY(put_version(req, k, &k->versions[i], purpose, keys));
    TRY(arena_check(req->arena, &req->err));
    return 1;
}
