/*
 * Fuzz target: what the core keeps in the store, read from any bytes.  The first byte says as what:
 * a token, a lease, a row of a mount table, the inside of a batch token, an entity, a group, a
 * bucket of entities.  What was read and written once reads and writes the same from then on.
 */
#include <stdlib.h>

#include "core/identity_entity.h"
#include "core/lease_entry.h"
#include "core/mount_entry.h"
#include "core/token_entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* Reads ${text} and appends it as it is stored; -1: refused. */
typedef int through_fn(struct arena *a, struct str text, struct buf *out, struct err *err);

static int token(struct arena *a, struct str text, struct buf *out, struct err *err)
{
    struct token_entry e;
    TRY(token_entry_parse(a, text, &e, err));
    return token_entry_print(a, &e, out, err);
}

static int batch(struct arena *a, struct str text, struct buf *out, struct err *err)
{
    struct token_entry e;
    TRY(token_entry_unpack(a, text, &e, err));
    return token_entry_pack(&e, out, err);
}

static int lease(struct arena *a, struct str text, struct buf *out, struct err *err)
{
    struct lease l;
    TRY(lease_entry_parse(a, text, &l, err));
    return lease_entry_print(a, &l, out, err);
}

static int mount(struct arena *a, struct str text, struct buf *out, struct err *err)
{
    struct json *row;
    struct mount m;
    TRY(json_parse_all(a, text, &row, err));
    TRY(mount_entry_parse(a, row, false, &m, err));
    struct mount copy = mount_entry_copy(a, &m);
    json_print(mount_entry_print(a, &copy), out);
    return arena_check(a, err);
}

static int entity(struct arena *a, struct str text, struct buf *out, struct err *err)
{
    struct identity_entity e;
    TRY(identity_entity_parse(a, text, &e, err));
    return identity_entity_print(&e, out, err);
}

static int group(struct arena *a, struct str text, struct buf *out, struct err *err)
{
    struct identity_group g;
    buf_add(out, text);
    return identity_entity_group_parse(a, text, &g, err);
}

static int count(void *ctx, struct str message, struct err *err)
{
    (void)message;
    (void)err;
    ++*(int *)ctx;
    return 0;
}

static int bucket(struct arena *a, struct str text, struct buf *out, struct err *err)
{
    int before = 0, after = 0;
    (void)a;
    TRY(identity_entity_bucket_walk(text, count, &before, err));
    TRY(identity_entity_bucket_put(text, STR("packer/buckets/7"), STR("id"), STR(""), out, err));
    must(identity_entity_bucket_walk(buf_str(out), count, &after, err) == 0 && after > 0);
    return 0;
}

static through_fn *const through[] = { token, lease, mount, batch, entity, group, bucket };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf once = { 0 };
    AUTO(buf_free) struct buf twice = { 0 };
    struct err err = { 0 };
    if (size == 0)
        return 0;
    through_fn *fn = through[data[0] % ARRAY_LEN(through)];
    if (fn(a, str_mem(data + 1, size - 1), &once, &err) < 0) {
        must(err.code == ERR_CORRUPT || err.code == ERR_BAD_REQUEST);
        return 0;
    }
    must(fn(a, buf_str(&once), &twice, &err) == 0);
    must(fn == bucket || str_eq(buf_str(&once), buf_str(&twice)));
    return 0;
}
