/* Kv1: the key/value secrets engine without versions (types "kv" and "generic"). */
#include "engines/kv1.h"

#include "engines/drawer.h"

/*
 * How long a reader should keep the secret: its own field "ttl" or, older, "lease"; what does not
 * parse gives the mount's default.
 */
static int64_t lease_seconds(const struct request *req, const struct json *data)
{
    int64_t mine;
    const struct json *ttl = json_member(data, "ttl");

    if (ttl == NULL)
        ttl = json_member(data, "lease");
    if (ttl != NULL && field_weak_seconds(ttl, &mine))
        return mine;
    return req->sys->default_ttl_s(req->sys);
}

static int kv1_exists(struct request *req)
{
    return drawer_exists(req, req->rel);
}

static int kv1_read(struct request *req, struct response *resp)
{
    int found = drawer_read(req, req->rel, &resp->data);
    if (found <= 0)
        return found;
    resp->lease = arena_alloc(req->arena, sizeof *resp->lease);
    TRY(arena_check(req->arena, &req->err));
    resp->lease->ttl_s = lease_seconds(req, resp->data);
    return 1;
}

static int kv1_write(struct request *req, struct response *resp)
{
    if (req->rel.n == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "missing path");
    if (req->data->count == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "missing data fields");
    return drawer_write(req, req->rel);
}

static int kv1_delete(struct request *req, struct response *resp)
{
    return drawer_delete(req, req->rel);
}

static int kv1_list(struct request *req, struct response *resp)
{
    return drawer_list(req, req->rel, resp);
}

static const struct route routes[] = {
    { .pattern = "{...}",
      .read = kv1_read,
      .list = kv1_list,
      .write = kv1_write,
      .del = kv1_delete,
      .exists = kv1_exists,
      .summary = "Secrets as they were written, one JSON object a path.",
      .details = "A field \"ttl\" of a secret tells its readers how long they may keep it; the\n"
                 "secret itself stays until it is overwritten or deleted." },
};

const struct engine engine_kv1 = {
    .type = "kv",
    .version = 1,
    .help = "The kv engine keeps secrets encrypted in the server's storage and gives them back\n"
            "as they were written.",
    ROUTES(routes),
};
