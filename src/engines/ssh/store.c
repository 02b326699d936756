/* Stored JSON objects of the ssh engine. */
#include "engines/ssh/store.h"

int ssh_store_get(struct request *req, struct str folder, struct str name, struct json **out)
{
    AUTO(buf_free) struct buf text = { 0 };
    struct str key = arena_cat(req->arena, folder, name);

    TRY(arena_check(req->arena, &req->err));
    int found = storage_get(req->storage, key, &text, &req->err);
    if (found <= 0)
        return found;
    struct str kept = arena_dup(req->arena, buf_str(&text));
    TRY(arena_check(req->arena, &req->err));
    if (json_parse(req->arena, kept, out, NULL, &req->err) < 0 || !json_is(*out, JSON_OBJECT))
        return err_set(&req->err, ERR_CORRUPT, "stored entry does not parse: " STR_FMT,
                       STR_ARG(key));
    return 1;
}

struct str ssh_store_text(struct arena *a, const struct json *v)
{
    AUTO(buf_free) struct buf text = { 0 };

    json_print(v, &text);
    buf_byte(&text, '\n');
    if (text.failed)
        return STR("");
    return arena_dup(a, buf_str(&text));
}

int ssh_store_hold(struct request *req, struct str key, struct keyhold *out)
{
    const struct ssh *mount = req->backend;
    return keylock_hold(mount->locks, key, out, &req->err);
}

struct str ssh_store_quoted(struct request *req, struct str s)
{
    AUTO(buf_free) struct buf b = { 0 };

    buf_byte(&b, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\')
            buf_printf(&b, "\\%c", c);
        else if (c == '\n' || c == '\t' || c == '\r')
            buf_add(&b, c == '\n' ? STR("\\n") : c == '\t' ? STR("\\t") : STR("\\r"));
        else if (c < 0x20 || c == 0x7f)
            buf_printf(&b, "\\x%02x", c);
        else
            buf_byte(&b, (char)c);
    }
    buf_byte(&b, '"');
    return arena_dup(req->arena, buf_str(&b));
}
