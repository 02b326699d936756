/* What is left of dynamic keys: registered private keys, and leases of an older Vault's store. */
#include "crypto/sshprivate.h"
#include "engines/ssh/routes.h"
#include "engines/ssh/store.h"

static struct str key_of(struct request *req)
{
    return arena_cat(req->arena, STR("keys/"), field_str(req, "key_name"));
}

int ssh_hostkey_write(struct request *req, struct response *resp)
{
    struct str text = field_str(req, "key"), key = key_of(req);
    struct json *o = json_object(req->arena);
    AUTO(pkey_drop) struct pkey *k = NULL;

    if (sshprivate_parse(req->arena, text, &k, &req->err) < 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "Invalid key");
    json_put_str(o, "key", text);
    struct str value = ssh_store_text(req->arena, o);
    TRY(arena_check(req->arena, &req->err));
    return storage_put(req->storage, key, value, &req->err) < 0 ? -1 : 1;
}

int ssh_hostkey_delete(struct request *req, struct response *resp)
{
    struct str key = key_of(req);

    TRY(arena_check(req->arena, &req->err));
    return storage_delete(req->storage, key, &req->err) < 0 ? -1 : 1;
}

/* The key on the host has no end of its own: a renewal only moves the lease's. */
int ssh_hostkey_renew(struct request *req, struct response *resp)
{
    return 1;
}

/* Failing keeps the lease in the book, so that nobody believes the key gone from its host. */
int ssh_hostkey_revoke(struct request *req, struct response *resp)
{
    return err_set(&req->err, ERR_INTERNAL,
                   "dynamic keys are not supported: take the key of \"" STR_FMT
                   "\" off host " STR_FMT ", then revoke the lease with revoke-force",
                   STR_ARG(json_get_str(req->lease_data, "username")),
                   STR_ARG(json_get_str(req->lease_data, "ip")));
}
