/* sys/raw: stored entries as they are behind the barrier; only with raw_storage_endpoint. */
#include "codec/compress.h"
#include "sys/system.h"

/* Without the setting the paths are not there at all, not even for root. */
static int enabled(struct request *req)
{
    if (active_of(req)->settings->raw_endpoint)
        return 0;
    return err_set(&req->err, ERR_UNSUPPORTED_PATH, "unsupported path");
}

/* The keyring, and what tells this cluster from others. */
static bool is_protected(struct str path)
{
    return str_starts(path, STR("core/keyring"))
           || str_starts(path, STR("core/cluster/local/info"));
}

static int refuse(struct request *req, const char *what, struct str path)
{
    return err_set(&req->err, ERR_BAD_REQUEST, "cannot %s '" STR_FMT "'", what, STR_ARG(path));
}

int raw_read(struct request *req, struct response *resp)
{
    AUTO(buf_free) struct buf stored = { 0 };
    AUTO(buf_free) struct buf text = { 0 };
    struct err why = { 0 };
    struct str path = field_str(req, "path");
    TRY(enabled(req));
    if (is_protected(path))
        return refuse(req, "read", path);
    int found = storage_get(active_of(req)->storage, path, &stored, &why);
    if (found == 0)
        return 0;
    /* What is not encrypted does not decrypt: the client's mistake, as Vault has it. */
    if (found < 0)
        return err_set(&req->err, why.code == ERR_CORRUPT ? ERR_BAD_REQUEST : why.code, "%s",
                       why.msg);
    if (decompress(buf_str(&stored), &text, &why) < 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "%s", why.msg);
    json_put_str(response_data(resp), "value", arena_dup(req->arena, buf_str(&text)));
    return 1;
}

int raw_list(struct request *req, struct response *resp)
{
    struct strs keys = { 0 };
    struct strs_collect collect = { req->arena, &keys };
    struct str path = field_str(req, "path");
    TRY(enabled(req));
    if (path.n > 0 && !str_ends(path, STR("/")))
        path = arena_cat(req->arena, path, STR("/"));
    TRY(storage_list(active_of(req)->storage, path, STR(""), strs_collect_name, &collect,
                     &req->err));
    return response_keys(resp, &keys);
}

int raw_write(struct request *req, struct response *resp)
{
    struct str path = field_str(req, "path");
    TRY(enabled(req));
    if (is_protected(path))
        return refuse(req, "write", path);
    TRY(storage_put(active_of(req)->storage, path, field_str(req, "value"), &req->err));
    return 1;
}

int raw_delete(struct request *req, struct response *resp)
{
    struct str path = field_str(req, "path");
    TRY(enabled(req));
    if (is_protected(path))
        return refuse(req, "delete", path);
    TRY(storage_delete(active_of(req)->storage, path, &req->err));
    return 1;
}
