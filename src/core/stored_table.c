/* Tables to and from their stored bytes (storage-layout: "Tables and cluster entries"). */
#include "core/stored_table.h"

#include "codec/compress.h"

int stored_table_read(struct storage *storage, struct arena *a, const char *key,
                      struct json **rows, struct err *err)
{
    AUTO(buf_free) struct buf packed = { 0 };
    AUTO(buf_free) struct buf text = { 0 };
    struct json *root;
    int found = storage_get(storage, str_of(key), &packed, err);
    if (found <= 0)
        return found;
    if (decompress(buf_str(&packed), &text, err) < 0)
        return err_prefix(err, "%s", key);
    struct str kept = arena_dup(a, buf_str(&text));
    TRY(arena_check(a, err));
    if (json_parse(a, kept, &root, NULL, err) < 0)
        return err_prefix(err, "%s", key);
    *rows = json_member(root, "entries");
    return 1;
}

int stored_table_pack(struct arena *a, const char *type, struct json *rows, struct buf *packed,
                      struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    struct json *root = json_object(a);
    json_put_text(root, "type", type);
    json_put(root, "entries", rows);
    TRY(arena_check(a, err));
    json_print(root, &text);
    buf_byte(&text, '\n');
    TRY(buf_check(&text, err));
    return compress_gzip(buf_str(&text), packed, err);
}
