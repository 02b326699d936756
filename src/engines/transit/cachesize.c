/* cache-config: how many parsed keys the mount keeps, from its next opening on. */
#include "engines/transit/cachesize.h"

#include "codec/json.h"
#include "engines/transit/routes.h"
#include "engines/transit/store.h"

int transit_cachesize_load(struct storage *s, int64_t *out, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    AUTO(arena_drop) struct arena *a = arena_new();
    struct json *v;

    *out = 0;
    int found = storage_get(s, STR("config/cache"), &text, err);
    if (found <= 0)
        return found;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (json_parse(a, buf_str(&text), &v, NULL, err) < 0)
        return err_set(err, ERR_CORRUPT, "the stored cache size is not JSON");
    *out = json_get_int(v, "size", 0);
    return 0;
}

int transit_cachesize_read(struct request *req, struct response *resp)
{
    int64_t stored;

    TRY(transit_cachesize_load(req->storage, &stored, &req->err));
    json_put_int(response_data(resp), "size", stored);
    if (stored != (int64_t)transit_cache_limit(transit_of(req)->cache))
        response_warn(resp, "This cache size will not be applied until the transit mount is "
                            "reloaded");
    return 1;
}

int transit_cachesize_write(struct request *req, struct response *resp)
{
    int64_t size = field_int(req, "size");

    if (size < 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "size must be greater or equal to 0");
    struct str text = arena_printf(req->arena, "{\"size\":%lld}\n", (long long)size);
    TRY(arena_check(req->arena, &req->err));
    TRY(storage_put(req->storage, STR("config/cache"), text, &req->err));
    response_warn(resp, "cache configurations will be applied when this backend is restarted");
    resp->empty_envelope = true;
    return 1;
}
