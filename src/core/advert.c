/* core/lock and core/leader/. */
#include "core/advert.h"

#include <stdio.h>

#include "base/random.h"
#include "base/strs.h"
#include "codec/json.h"

#define LOCK STR("core/lock")
#define LEADER "core/leader/"

static void put(char out[HA_NAME_MAX], struct str text)
{
    snprintf(out, HA_NAME_MAX, STR_FMT, STR_ARG(text));
}

void advert_fill(struct advert *out, struct str id, struct str api_addr, struct str cluster_addr)
{
    put(out->id, id);
    put(out->api_addr, api_addr);
    put(out->cluster_addr, cluster_addr);
}

int advert_read(struct storage *plain, struct storage *physical, struct advert *out,
                struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf uuid = { 0 }, text = { 0 };
    struct json *o;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    int found = storage_get(physical, LOCK, &uuid, err);
    if (found <= 0)
        return found;
    struct str key = arena_printf(a, LEADER STR_FMT, STR_ARG(buf_str(&uuid)));
    TRY(arena_check(a, err));
    found = storage_get(plain, key, &text, err);
    if (found <= 0)
        return found;
    TRY(json_parse(a, buf_str(&text), &o, NULL, err));
    advert_fill(out, json_get_str(o, "node_id"), json_get_str(o, "redirect_addr"),
                json_get_str(o, "cluster_addr"));
    return 1;
}

int advert_write(struct storage *plain, struct storage *physical, const struct advert *mine,
                 struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf text = { 0 };
    struct strs old = { 0 };
    struct strs_collect collect = { a, &old };
    char uuid[37];
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    TRY(storage_list(plain, STR(LEADER), STR(""), strs_collect_name, &collect, err));
    random_uuid(uuid);
    struct json *o = json_object(a);
    json_put_text(o, "redirect_addr", mine->api_addr);
    json_put_text(o, "cluster_addr", mine->cluster_addr);
    json_put_text(o, "node_id", mine->id);
    json_print(o, &text);
    struct storage_op *ops = arena_array(a, old.n + 1, sizeof *ops);
    TRY(arena_check(a, err));
    TRY(buf_check(&text, err));
    for (size_t i = 0; i < old.n; i++)
        ops[i] = (struct storage_op){ STORAGE_DELETE, arena_cat(a, STR(LEADER), old.v[i]),
                                      { NULL, 0 } };
    ops[old.n] = (struct storage_op){ STORAGE_PUT, arena_cat(a, STR(LEADER), str_of(uuid)),
                                      buf_str(&text) };
    TRY(arena_check(a, err));
    /* The new one takes the place of all that earlier leaders left; then it is named. */
    TRY(storage_commit(plain, ops, old.n + 1, err));
    return storage_put(physical, LOCK, str_of(uuid), err);
}
