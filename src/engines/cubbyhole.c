/* Cubbyhole: every token's own drawer. */
#include "engines/cubbyhole.h"

#include "engines/drawer.h"

/* The storage key of the path below the caller's drawer. */
static int own_key(struct request *req, struct str *key)
{
    if (req->cubbyhole_id.n == 0)
        return err_set(&req->err, ERR_BAD_REQUEST,
                       "cubbyhole operations are only supported by \"service\" type tokens");
    *key = arena_cat(req->arena, arena_cat(req->arena, req->cubbyhole_id, STR("/")), req->rel);
    return arena_check(req->arena, &req->err);
}

static int cubbyhole_exists(struct request *req)
{
    struct str key;

    TRY(own_key(req, &key));
    return drawer_exists(req, key);
}

static int cubbyhole_read(struct request *req, struct response *resp)
{
    struct str key;

    TRY(own_key(req, &key));
    int found = drawer_read(req, key, &resp->data);
    if (found > 0 && str_is(req->rel, "response"))
        response_warn(resp, "Reading from 'cubbyhole/response' is deprecated. Please use "
                            "sys/wrapping/unwrap to unwrap responses, as it provides additional "
                            "security checks and other benefits.");
    return found;
}

static int cubbyhole_write(struct request *req, struct response *resp)
{
    struct str key;

    TRY(own_key(req, &key));
    if (req->rel.n == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "missing path");
    /* A 500 in Vault, unlike kv's 400. */
    if (req->data->count == 0)
        return err_set(&req->err, ERR_INTERNAL, "missing data fields");
    return drawer_write(req, key);
}

static int cubbyhole_delete(struct request *req, struct response *resp)
{
    struct str key;

    TRY(own_key(req, &key));
    return drawer_delete(req, key);
}

static int cubbyhole_list(struct request *req, struct response *resp)
{
    struct str key;

    TRY(own_key(req, &key));
    return drawer_list(req, key, resp);
}

static const struct route routes[] = {
    { .pattern = "{...}",
      .read = cubbyhole_read,
      .list = cubbyhole_list,
      .write = cubbyhole_write,
      .del = cubbyhole_delete,
      .exists = cubbyhole_exists,
      .summary = "Secrets of the calling token alone.",
      .details = "No other token, root included, sees what is kept here, and it ends with the\n"
                 "token." },
};

const struct engine engine_cubbyhole = {
    .type = "cubbyhole",
    .help = "The cubbyhole engine keeps secrets that belong to one token and end with it.",
    ROUTES(routes),
};
