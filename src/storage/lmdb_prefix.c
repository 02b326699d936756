/* Prefixes of keys, kept once. */
#include "storage/lmdb_prefix.h"

enum { UUID_N = 36 };

static bool is_uuid_byte(size_t at, char c)
{
    if (at == 8 || at == 13 || at == 18 || at == 23)
        return c == '-';
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* "<uuid>/" at the beginning. */
static bool starts_with_uuid(struct str s)
{
    if (s.n <= UUID_N || s.p[UUID_N] != '/')
        return false;
    for (size_t i = 0; i < UUID_N; i++)
        if (!is_uuid_byte(i, s.p[i]))
            return false;
    return true;
}

size_t lmdb_prefix_length(struct str key)
{
    size_t n = str_starts(key, STR("logical/")) ? 8 : str_starts(key, STR("auth/")) ? 5 : 0;
    if (n == 0 || longkey_is_long(key) || !starts_with_uuid(str_from(key, n)))
        return 0;
    n += UUID_N + 1;
    return starts_with_uuid(str_from(key, n)) ? n + UUID_N + 1 : n;
}

bool lmdb_prefix_is_inner(struct str prefix)
{
    return prefix.n > 2 * (UUID_N + 1);
}

int lmdb_prefix_find(const struct lmdb_prefix_tables *t, MDB_txn *txn, struct str prefix,
                     char number[LMDB_PREFIX_N])
{
    MDB_val k = lmdb_val(prefix), v;
    int rc = mdb_get(txn, t->prefix, &k, &v);
    if (rc != 0)
        return rc;
    if (v.mv_size != LMDB_PREFIX_N)
        return MDB_CORRUPTED;
    memcpy(number, v.mv_data, LMDB_PREFIX_N);
    return 0;
}

/* One above the highest in use. */
static int next_number(const struct lmdb_prefix_tables *t, MDB_txn *txn,
                       char number[LMDB_PREFIX_N])
{
    MDB_cursor *at;
    MDB_val k, v;
    int rc = mdb_cursor_open(txn, t->inner, &at);
    if (rc != 0)
        return rc;
    rc = mdb_cursor_get(at, &k, &v, MDB_LAST);
    if (rc == 0 && k.mv_size < LMDB_PREFIX_N)
        rc = MDB_CORRUPTED;
    memset(number, 0, LMDB_PREFIX_N);
    if (rc == 0) {
        memcpy(number, k.mv_data, LMDB_PREFIX_N);
        int i = LMDB_PREFIX_N - 1;
        while (i >= 0 && ++number[i] == 0)
            i--;
        rc = i < 0 ? MDB_DBS_FULL : 0; /* a million million times a mount was new */
    }
    mdb_cursor_close(at);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int lmdb_prefix_make(const struct lmdb_prefix_tables *t, MDB_txn *txn, struct str prefix,
                     char number[LMDB_PREFIX_N])
{
    int rc = lmdb_prefix_find(t, txn, prefix, number);
    if (rc != MDB_NOTFOUND)
        return rc;
    if ((rc = next_number(t, txn, number)) != 0)
        return rc;
    MDB_val k = lmdb_val(prefix), v = { LMDB_PREFIX_N, number };
    return mdb_put(txn, t->prefix, &k, &v, MDB_NOOVERWRITE);
}

int lmdb_prefix_drop_empty(const struct lmdb_prefix_tables *t, MDB_cursor *inner,
                           struct str prefix, const char number[LMDB_PREFIX_N], bool *dropped)
{
    MDB_val k = { LMDB_PREFIX_N, (void *)number }, v;
    int rc = mdb_cursor_get(inner, &k, &v, MDB_SET_RANGE);
    *dropped = false;
    if (rc != 0 && rc != MDB_NOTFOUND)
        return rc;
    if (rc == 0 && lmdb_prefix_has(lmdb_val_str(&k), number))
        return 0;
    *dropped = true;
    k = lmdb_val(prefix);
    return mdb_del(mdb_cursor_txn(inner), t->prefix, &k, NULL);
}

struct str lmdb_prefix_join(const char number[LMDB_PREFIX_N], struct str rest,
                            struct lmdb_prefix_room *room)
{
    rest = str_head(rest, LONGKEY_STORED);
    memcpy(room->bytes, number, LMDB_PREFIX_N);
    if (rest.n > 0)
        memcpy(room->bytes + LMDB_PREFIX_N, rest.p, rest.n);
    return str_mem(room->bytes, LMDB_PREFIX_N + rest.n);
}
