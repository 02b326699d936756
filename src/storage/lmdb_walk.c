/* A walk over the keys of one table. */
#include "storage/lmdb_walk.h"

#include <stdlib.h>

#include "storage/longkey.h"

void lmdb_walk_close(struct lmdb_walk *w)
{
    if (w->at != NULL)
        mdb_cursor_close(w->at);
    free(w->group);
}

int lmdb_walk_open(struct lmdb_walk *w, MDB_txn *txn, MDB_dbi table, struct err *err)
{
    int rc = mdb_cursor_open(txn, table, &w->at);
    return rc == 0 ? 0 : lmdb_val_failed(err, "list", rc);
}

static int move(struct lmdb_walk *w, MDB_cursor_op op, struct err *err)
{
    int rc = mdb_cursor_get(w->at, &w->k, &w->v, op);
    w->end = rc == MDB_NOTFOUND;
    return rc == 0 || w->end ? 0 : lmdb_val_failed(err, "list", rc);
}

static int move_to(struct lmdb_walk *w, struct str from, struct err *err)
{
    char room[LONGKEY_STORED];
    if (from.n == 0)
        return move(w, MDB_FIRST, err);
    w->k = lmdb_val(longkey_from(from, room));
    return move(w, MDB_SET_RANGE, err);
}

static int compare_keys(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static int group_add(struct lmdb_walk *w, struct err *err)
{
    struct str key, value;
    TRY(longkey_split(lmdb_val_str(&w->v), &key, &value, err));
    if (w->group_n == w->group_cap) {
        size_t cap = w->group_cap == 0 ? 16 : w->group_cap * 2;
        struct str *group = reallocarray(w->group, cap, sizeof *group);
        if (group == NULL)
            return err_set(err, ERR_NOMEM, "lmdb: out of memory");
        w->group = group;
        w->group_cap = cap;
    }
    w->group[w->group_n++] = key; /* in the map, which stands still during the snapshot */
    return 0;
}

/* Read the group that begins here; the cursor ends up behind it. */
static int group_read(struct lmdb_walk *w, struct err *err)
{
    struct str shared = str_mem(w->k.mv_data, LONGKEY_SHORT);
    w->group_n = 0;
    while (!w->end && longkey_is_stored_long(lmdb_val_str(&w->k)) &&
           str_starts(lmdb_val_str(&w->k), shared)) {
        TRY(group_add(w, err));
        TRY(move(w, MDB_NEXT, err));
    }
    qsort(w->group, w->group_n, sizeof *w->group, compare_keys);
    return 0;
}

static bool group_find(const struct lmdb_walk *w, struct str from, struct str *key)
{
    size_t low = 0, high = w->group_n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (str_cmp(w->group[mid], from) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    if (low < w->group_n)
        *key = w->group[low];
    return low < w->group_n;
}

int lmdb_walk_seek(void *ctx, struct str from, struct str *key, struct err *err)
{
    struct lmdb_walk *w = ctx;
    if (group_find(w, from, key))
        return 1;
    w->group_n = 0;
    if (!w->started)
        TRY(move_to(w, from, err));
    else if (!w->end && longkey_before(lmdb_val_str(&w->k), from))
        TRY(move(w, MDB_NEXT, err)); /* most often it is the neighbour */
    if (w->started && !w->end && longkey_before(lmdb_val_str(&w->k), from))
        TRY(move_to(w, from, err));
    w->started = true;
    while (!w->end) {
        if (!longkey_is_stored_long(lmdb_val_str(&w->k))) {
            *key = lmdb_val_str(&w->k);
            return 1;
        }
        TRY(group_read(w, err));
        if (group_find(w, from, key))
            return 1;
    }
    return 0;
}

/* Plain neighbours; a group of long keys is left to lmdb_walk_seek. */
int lmdb_walk_run(void *ctx, struct str *keys, int max, struct err *err)
{
    struct lmdb_walk *w = ctx;
    int n = 0;
    if (w->group_n > 0 || w->end || longkey_is_stored_long(lmdb_val_str(&w->k)))
        return 0;
    while (n < max && !w->end) {
        /* The value is not asked for: a long one lies on pages of its own. */
        int rc = mdb_cursor_get(w->at, &w->k, NULL, MDB_NEXT);
        w->end = rc == MDB_NOTFOUND;
        if (w->end)
            break;
        if (rc != 0)
            return lmdb_val_failed(err, "list", rc);
        if (longkey_is_stored_long(lmdb_val_str(&w->k))) {
            TRY(move(w, MDB_GET_CURRENT, err));
            break;
        }
        keys[n++] = lmdb_val_str(&w->k);
    }
    return n;
}

const struct names_walk lmdb_walk_of_keys = { lmdb_walk_seek, lmdb_walk_run };
