/* Reading an embedded store. */
#include "storage/lmdb_store.h"

#include "storage/lmdb_page.h"
#include "storage/names.h"

struct lmdb_store *lmdb_store_of(struct storage *s)
{
    return s->ops->get == lmdb_store_get ? (struct lmdb_store *)s : NULL;
}

int lmdb_store_get(struct storage *s, struct str key, struct buf *out, struct err *err)
{
    struct lmdb_env *env = ((struct lmdb_store *)s)->env;
    struct lmdb_read r;
    struct str value;
    if (key.n == 0)
        return 0;
    TRY(lmdb_env_read(env, &r, err));
    int rc = lmdb_tables_get(r.tables, r.txn, key, &value, err);
    if (rc == 1)
        buf_add(out, value);
    lmdb_env_read_end(env, &r);
    TRY(buf_check(out, err));
    return rc;
}

static int fetch_page(struct storage *s, struct str prefix, struct names_page *page,
                      struct err *err)
{
    struct lmdb_env *env = ((struct lmdb_store *)s)->env;
    struct lmdb_read r;
    TRY(lmdb_env_read(env, &r, err));
    int rc = lmdb_page_collect(&r.tables->keys, r.txn, prefix, page, err);
    lmdb_env_read_end(env, &r);
    return rc;
}

int lmdb_store_list(struct storage *s, struct str prefix, struct str after, storage_name_fn *each,
                    void *ctx, struct err *err)
{
    return names_list(s, prefix, after, fetch_page, each, ctx, err);
}
