/* datakey: a random key for the client, encrypted with a named key, and plain if it asks so. */
#include "base/random.h"
#include "codec/base64.h"
#include "engines/transit/cipher.h"
#include "engines/transit/routes.h"
#include "engines/transit/store.h"

static int decode(struct request *req, const char *field, struct str *out)
{
    struct err ignored = { 0 };
    if (base64_decode(req->arena, field_str(req, field), out, &ignored) == 0)
        return 0;
    return err_set(&req->err, ERR_BAD_REQUEST, "failed to base64-decode %s", field);
}

/* Random bytes in the arena, which wipes them. */
static int make_bytes(struct request *req, struct str *out)
{
    int64_t bits = field_int(req, "bits");
    if (bits != 128 && bits != 256 && bits != 512)
        return err_set(&req->err, ERR_BAD_REQUEST, "invalid bit length");
    char *p = arena_bytes(req->arena, (size_t)bits / 8);
    if (p == NULL)
        return arena_check(req->arena, &req->err);
    random_fill(p, (size_t)bits / 8);
    *out = str_mem(p, (size_t)bits / 8);
    return 0;
}

int transit_datakey(struct request *req, struct response *resp)
{
    AUTO(transit_use_end) struct transit_use use = { 0 };
    struct str kind = field_str(req, "plaintext"), key, sealed;
    int64_t version = field_int(req, "key_version");
    struct transit_aux aux;

    if (!str_is(kind, "plaintext") && !str_is(kind, "wrapped"))
        return err_set(&req->err, ERR_BAD_REQUEST,
                       "Invalid path, must be 'plaintext' or 'wrapped'");
    TRY(decode(req, "context", &aux.context));
    TRY(decode(req, "nonce", &aux.nonce));
    int found = transit_use(req, field_str(req, "name"), &use);
    if (found <= 0)
        return found < 0 ? -1 : err_set(&req->err, ERR_BAD_REQUEST, "encryption key not found");
    TRY(make_bytes(req, &key));
    TRY(transit_cipher_pick(use.key, "encryption", &version, &req->err));
    TRY(transit_cipher_encrypt(req->arena, use.key, version, &aux, key, &sealed, &req->err));

    struct json *data = response_data(resp);
    json_put_str(data, "ciphertext", sealed);
    json_put_int(data, "key_version", version);
    if (str_is(kind, "plaintext"))
        json_put_str(data, "plaintext", base64_encode(req->arena, key));
    TRY(arena_check(req->arena, &req->err));
    return 1;
}
