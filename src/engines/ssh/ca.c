/* The CA's key pair: generated or taken over, told of, deleted. */
#include "engines/ssh/ca.h"

#include "crypto/sshkey.h"
#include "crypto/sshprivate.h"
#include "engines/ssh/pubkey.h"
#include "engines/ssh/routes.h"
#include "engines/ssh/store.h"

enum { CA_BITS = 4096 };

/*
 * Where a half is stored: as {"key": text}.  A store that Vault before 0.7.1 wrote has the bare
 * text at an older place; it is read from there and moves when the key is set anew.
 */
struct half {
    struct str key, older;
};

static const struct half public_half = { STR_INIT("config/ca_public_key"), STR_INIT("public_key") };
static const struct half private_half = { STR_INIT("config/ca_private_key"),
                                          STR_INIT("config/ca_bundle") };

/* 1: the text, which may be empty; 0, -1. */
static int half_load(struct request *req, const struct half *h, struct str *out)
{
    AUTO(buf_free) struct buf text = { 0 };
    struct json *stored;
    int found = ssh_store_get(req, STR(""), h->key, &stored);

    if (found > 0)
        *out = json_get_str(stored, "key");
    if (found != 0)
        return found;
    found = storage_get(req->storage, h->older, &text, &req->err);
    if (found <= 0)
        return found;
    *out = arena_dup(req->arena, buf_str(&text));
    TRY(arena_check(req->arena, &req->err));
    return 1;
}

int ca_load(struct request *req, struct pkey **out)
{
    struct str text = { 0 };

    if (half_load(req, &private_half, &text) < 0)
        return err_prefix(&req->err, "failed to read CA private key");
    if (text.n == 0)
        return err_set(&req->err, ERR_INTERNAL, "failed to read CA private key");
    if (sshprivate_parse(req->arena, text, out, &req->err) == 0)
        return 0;
    req->err.code = ERR_CORRUPT;
    return err_prefix(&req->err, "failed to parse stored CA private key");
}

int ssh_ca_read(struct request *req, struct response *resp)
{
    struct str key;
    int found = half_load(req, &public_half, &key);

    if (found < 0)
        return err_prefix(&req->err, "failed to read CA public key");
    if (found == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "keys haven't been configured yet");
    json_put_str(response_data(resp), "public_key", key);
    return 1;
}

int ssh_ca_public(struct request *req, struct response *resp)
{
    struct str key = { 0 };

    TRY(half_load(req, &public_half, &key));
    if (key.n == 0)
        return 0;
    resp->has_raw = true;
    resp->raw = key;
    resp->content_type = STR("text/plain");
    return 1;
}

int ssh_ca_delete(struct request *req, struct response *resp)
{
    const struct storage_op ops[] = {
        { .kind = STORAGE_DELETE, .key = private_half.key },
        { .kind = STORAGE_DELETE, .key = public_half.key },
        { .kind = STORAGE_DELETE, .key = private_half.older },
        { .kind = STORAGE_DELETE, .key = public_half.older },
    };
    AUTO(keylock_release) struct keyhold hold = { 0 };

    TRY(ssh_store_hold(req, private_half.key, &hold));
    return storage_commit(req->storage, ops, ARRAY_LEN(ops), &req->err) < 0 ? -1 : 1;
}

/* ---- write ---- */

static int refuse(struct request *req, const char *why)
{
    return err_set(&req->err, ERR_BAD_REQUEST, "%s", why);
}

/* Shall a key be made (1), or taken from the request (0)? */
static int shall_generate(struct request *req, struct str public, struct str private)
{
    bool said = field_given(req, "generate_signing_key");

    if (said && field_bool(req, "generate_signing_key"))
        return public.n == 0 && private.n == 0
                   ? 1
                   : refuse(req, "public_key and private_key must not be set when "
                                 "generate_signing_key is set to true");
    if (!said && public.n == 0 && private.n == 0)
        return 1;
    if (!said && (public.n == 0 || private.n == 0))
        return refuse(req, "only one of public_key and private_key set; both must be set to use, "
                           "or both must be blank to auto-generate");
    if (public.n == 0)
        return refuse(req, "missing public_key");
    return private.n == 0 ? refuse(req, "missing private_key") : 0;
}

static int check_given(struct request *req, struct str public, struct str private)
{
    AUTO(pkey_drop) struct pkey *k = NULL;
    struct sshkey key;

    if (sshprivate_parse(req->arena, private, &k, &req->err) < 0 ||
        sshprivate_check(k, &req->err) < 0)
        return err_prefix(&req->err, "Unable to parse private_key as an SSH private key");
    if (pubkey_parse(req, public, &key) < 0)
        return err_prefix(&req->err, "Unable to parse public_key as an SSH public key");
    return 0;
}

static int check_absent(struct request *req)
{
    struct str public = { 0 }, private = { 0 };

    TRY(half_load(req, &public_half, &public));
    TRY(half_load(req, &private_half, &private));
    if (public.n > 0 || private.n > 0)
        return refuse(req, "keys are already configured; delete them before reconfiguring");
    return 0;
}

static int generate(struct request *req, struct str *public, struct str *private)
{
    AUTO(pkey_drop) struct pkey *k = NULL;
    AUTO(buf_free) struct buf pem = { 0 };
    struct sshkey key;

    TRY(pkey_generate(PKEY_RSA, CA_BITS, &k, &req->err));
    TRY(pkey_private_pem(k, &pem, &req->err));
    TRY(sshkey_of(req->arena, k, &key, &req->err));
    *private = arena_dup(req->arena, buf_str(&pem));
    *public = sshkey_line(req->arena, key.type, key.blob);
    return arena_check(req->arena, &req->err);
}

static struct str half_text(struct request *req, struct str key)
{
    struct json *o = json_object(req->arena);

    json_put_str(o, "key", key);
    return ssh_store_text(req->arena, o);
}

static int store(struct request *req, struct str public, struct str private)
{
    const struct storage_op ops[] = {
        { STORAGE_PUT, public_half.key, half_text(req, public) },
        { STORAGE_PUT, private_half.key, half_text(req, private) },
    };

    TRY(arena_check(req->arena, &req->err));
    return storage_commit(req->storage, ops, ARRAY_LEN(ops), &req->err);
}

int ssh_ca_write(struct request *req, struct response *resp)
{
    struct str public = field_str(req, "public_key"), private = field_str(req, "private_key");
    AUTO(keylock_release) struct keyhold hold = { 0 };

    int make = shall_generate(req, public, private);
    if (make < 0)
        return -1;
    if (make == 0)
        TRY(check_given(req, public, private));
    TRY(ssh_store_hold(req, private_half.key, &hold));
    TRY(check_absent(req));
    if (make > 0)
        TRY(generate(req, &public, &private));
    TRY(store(req, public, private));
    if (make > 0)
        json_put_str(response_data(resp), "public_key", public);
    return 1;
}
