/* The tables of the embedded store. */
#include "storage/lmdb_tables.h"

static int check_format(const struct lmdb_tables *t, MDB_txn *txn, const char *path, bool *empty,
                        struct err *err)
{
    MDB_val k = lmdb_val(STR("format")), v;
    MDB_stat stat;
    unsigned flags;
    int rc = mdb_stat(txn, t->root, &stat);
    if (rc == 0)
        rc = mdb_dbi_flags(txn, t->root, &flags);
    if (rc != 0)
        return lmdb_val_failed(err, "open tables", rc);
    *empty = stat.ms_entries == 0 && flags == 0;
    if (*empty)
        return 0;
    rc = flags == 0 ? mdb_get(txn, t->root, &k, &v) : MDB_NOTFOUND;
    if (rc == MDB_NOTFOUND)
        return err_set(err, ERR_CORRUPT,
                       "lmdb: open tables: %s is an LMDB database of another program (it does not "
                       "name Coffer's format); move it away or choose another path", path);
    if (rc != 0)
        return lmdb_val_failed(err, "open tables", rc);
    if (v.mv_size == 1 && *(char *)v.mv_data == LMDB_TABLES_FORMAT)
        return 0;
    return err_set(err, ERR_CORRUPT,
                   "lmdb: open tables: %s has format %d, and only %d can be read; open it with the "
                   "version of Coffer that wrote it", path,
                   v.mv_size == 1 ? *(unsigned char *)v.mv_data : 0, LMDB_TABLES_FORMAT);
}

static int open_all(struct lmdb_tables *t, MDB_txn *txn, bool is_new)
{
    const struct {
        const char *name;
        MDB_dbi *table;
    } all[] = {
        { "data", &t->keys.data }, { "inner", &t->keys.inner }, { "prefix", &t->keys.prefix },
        { "values", &t->values },  { "log", &t->log },          { "tree", &t->tree },
    };
    char format[] = { LMDB_TABLES_FORMAT };
    MDB_val k = lmdb_val(STR("format")), v = { sizeof format, format };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        int rc = mdb_dbi_open(txn, all[i].name, is_new ? MDB_CREATE : 0, all[i].table);
        if (rc != 0)
            return rc == MDB_NOTFOUND ? MDB_CORRUPTED : rc;
    }
    return is_new ? mdb_put(txn, t->root, &k, &v, 0) : 0;
}

int lmdb_tables_open(struct lmdb_tables *t, MDB_txn *txn, const char *path, struct err *err)
{
    bool empty;
    int rc = mdb_dbi_open(txn, NULL, 0, &t->root);
    if (rc != 0)
        return lmdb_val_failed(err, "open tables", rc);
    TRY(check_format(t, txn, path, &empty, err));
    rc = open_all(t, txn, empty);
    return rc == 0 ? 0 : lmdb_val_failed(err, "open tables", rc);
}

int lmdb_tables_number(struct str key, const MDB_val *found, struct str *number, struct err *err)
{
    struct str whole = key;
    *number = lmdb_val_str(found);
    if (longkey_is_long(key))
        TRY(longkey_split(lmdb_val_str(found), &whole, number, err));
    if (number->n != LMDB_VAL_64)
        return err_set(err, ERR_CORRUPT, "lmdb: an entry's value has no number");
    return str_eq(whole, key);
}

int lmdb_tables_value(const struct lmdb_tables *t, MDB_txn *txn, struct str number,
                      struct str *value)
{
    MDB_val k = lmdb_val(number), v;
    int rc = mdb_get(txn, t->values, &k, &v);
    if (rc == 0)
        *value = lmdb_val_str(&v);
    return rc == MDB_NOTFOUND ? MDB_CORRUPTED : rc;
}

/* What the tables of keys have for ${key}. An LMDB code. */
static int entry_at(const struct lmdb_prefix_tables *t, MDB_txn *txn, struct str key,
                    struct str stored, MDB_val *v)
{
    struct lmdb_prefix_room room;
    char number[LMDB_PREFIX_N];
    size_t n = lmdb_prefix_length(key);
    int rc = n > 0 ? lmdb_prefix_find(t, txn, str_head(key, n), number) : 0;
    if (rc != 0)
        return rc;
    if (n > 0)
        stored = lmdb_prefix_join(number, str_from(key, n), &room);
    MDB_val k = lmdb_val(stored);
    return mdb_get(txn, n > 0 ? t->inner : t->data, &k, v);
}

int lmdb_tables_get(const struct lmdb_tables *t, MDB_txn *txn, struct str key, struct str *value,
                    struct err *err)
{
    char room[LONGKEY_STORED];
    struct str stored, number;
    TRY(longkey_stored(key, room, &stored, err));
    MDB_val v;
    int rc = entry_at(&t->keys, txn, key, stored, &v);
    if (rc == MDB_NOTFOUND)
        return 0;
    if (rc != 0)
        return lmdb_val_failed(err, "get", rc);
    int found = lmdb_tables_number(key, &v, &number, err);
    if (found <= 0)
        return found;
    rc = lmdb_tables_value(t, txn, number, value);
    return rc == 0 ? 1 : lmdb_val_failed(err, "get value", rc);
}

int lmdb_tables_applied(const struct lmdb_tables *t, MDB_txn *txn, uint64_t *out)
{
    MDB_val k = lmdb_val(STR("applied")), v;
    int rc = mdb_get(txn, t->root, &k, &v);
    if (rc == 0 && v.mv_size != LMDB_VAL_64)
        return MDB_CORRUPTED;
    *out = rc == 0 ? lmdb_val_load64(v.mv_data) : 0;
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int lmdb_tables_sums(const struct lmdb_tables *t, MDB_txn *txn, struct hashtree *out)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < HASHTREE_PAGES; i++) {
        uint8_t number = (uint8_t)i;
        MDB_val k = { 1, &number }, v;
        int rc = mdb_get(txn, t->tree, &k, &v);
        if (rc == MDB_NOTFOUND)
            continue;
        if (rc == 0 && v.mv_size != sizeof(struct hashtree_sum) * HASHTREE_PAGE)
            rc = MDB_CORRUPTED;
        if (rc != 0)
            return rc;
        memcpy(&out->leaf[i * HASHTREE_PAGE], v.mv_data, v.mv_size);
    }
    return 0;
}

int lmdb_tables_mark(const struct lmdb_tables *t, MDB_txn *txn, struct buf *out, struct err *err)
{
    MDB_val k = lmdb_val(STR("mark")), v;
    int rc = mdb_get(txn, t->root, &k, &v);
    if (rc == MDB_NOTFOUND)
        return 0;
    if (rc != 0)
        return lmdb_val_failed(err, "mark", rc);
    buf_add(out, lmdb_val_str(&v));
    TRY(buf_check(out, err));
    return 1;
}

int lmdb_tables_set_mark(const struct lmdb_tables *t, MDB_txn *txn, struct str mark)
{
    MDB_val k = lmdb_val(STR("mark")), v = lmdb_val(mark);
    return mdb_put(txn, t->root, &k, &v, 0);
}
