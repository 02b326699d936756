/* Drawer: JSON objects stored as they were sent, the work that kv1 and cubbyhole share. */
#include "engines/drawer.h"

/* A folder's path, or the mount's root, names no entry. */
static bool names_entry(struct str key)
{
    return key.n > 0 && !str_ends(key, STR("/"));
}

int drawer_exists(struct request *req, struct str key)
{
    AUTO(buf_free) struct buf found = { 0 };

    return names_entry(key) ? storage_get(req->storage, key, &found, &req->err) : 0;
}

int drawer_read(struct request *req, struct str key, struct json **out)
{
    AUTO(buf_free) struct buf stored = { 0 };

    if (!names_entry(key))
        return 0;
    int found = storage_get(req->storage, key, &stored, &req->err);
    if (found <= 0)
        return found;
    /* The tree borrows its texts, so they have to live in the arena. */
    struct str text = arena_dup(req->arena, buf_str(&stored));
    TRY(arena_check(req->arena, &req->err));
    if (json_parse_all(req->arena, text, out, &req->err) < 0 || !json_is(*out, JSON_OBJECT))
        return err_set(&req->err, ERR_CORRUPT, "json decoding failed: not an object");
    return 1;
}

int drawer_write(struct request *req, struct str key)
{
    AUTO(buf_free) struct buf text = { 0 };

    json_print(req->data, &text);
    TRY(buf_check(&text, &req->err));
    TRY(storage_put(req->storage, key, buf_str(&text), &req->err));
    return 1;
}

int drawer_delete(struct request *req, struct str key)
{
    if (names_entry(key))
        TRY(storage_delete(req->storage, key, &req->err));
    return 1;
}

static int add_name(void *ctx, struct str name)
{
    response_name(ctx, name);
    return 0;
}

int drawer_list(struct request *req, struct str folder, struct response *resp)
{
    AUTO(response_names_free) struct response_names names = { 0 };

    if (names_entry(folder))
        folder = arena_cat(req->arena, folder, STR("/"));
    TRY(arena_check(req->arena, &req->err));
    TRY(storage_list(req->storage, folder, STR(""), add_name, &names, &req->err));
    return response_names_put(resp, &names, &req->err);
}
