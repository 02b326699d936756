/*
 * One moment of an embedded store in the order of whole keys: a merge of the keys that stand as
 * they are with those under prefixes kept apart.  Prefixes are met in their order, and at most two
 * have keys to come at a time: one of one uuid, and one of two uuids that lies within it.
 */
#include "storage/lmdb_state.h"

#include <stdlib.h>

#include "storage/lmdb_store.h"
#include "storage/lmdb_walk.h"

enum { NEXTS_A_LOOK = 256, RESIDENT_BYTES = 8 << 20, LEVELS = 2 };

/* The keys under one prefix. */
struct under {
    MDB_cursor *at;
    char number[LMDB_PREFIX_N];
    size_t prefix_n;
    struct buf key; /* whole: the next one, while there is one */
    MDB_val found;
    bool has;
};

struct lmdb_view {
    struct lmdb_pin pin;
    struct lmdb_walk plain;
    struct str plain_key;
    bool plain_has;
    struct under under[LEVELS];
    MDB_cursor *prefixes; /* on the next one to be entered */
    struct str prefix;
    bool prefix_has;
    struct buf key, value; /* what was given out last */
    unsigned given;
};

static void close_cursor(MDB_cursor **at)
{
    if (*at != NULL)
        mdb_cursor_close(*at);
    *at = NULL;
}

static void lose(struct lmdb_pin *pin)
{
    struct lmdb_view *v = (struct lmdb_view *)((char *)pin - offsetof(struct lmdb_view, pin));
    lmdb_walk_close(&v->plain);
    v->plain = (struct lmdb_walk){ 0 };
    close_cursor(&v->prefixes);
    for (size_t i = 0; i < LEVELS; i++)
        close_cursor(&v->under[i].at);
}

/* ---- the sources ---- */

static int plain_from(struct lmdb_view *v, struct str from, struct err *err)
{
    int found = lmdb_walk_seek(&v->plain, from, &v->plain_key, err);
    v->plain_has = found == 1;
    return found < 0 ? -1 : 0;
}

/* ${rc}: of the cursor's move, which gave ${k}. */
static int under_at(struct under *u, int rc, const MDB_val *k, struct err *err)
{
    if (rc != 0 && rc != MDB_NOTFOUND)
        return lmdb_val_failed(err, "view", rc);
    u->has = rc == 0 && lmdb_prefix_has(lmdb_val_str(k), u->number);
    if (!u->has)
        return 0;
    u->key.n = u->prefix_n;
    buf_add(&u->key, str_from(lmdb_val_str(k), LMDB_PREFIX_N));
    return buf_check(&u->key, err);
}

static int under_next(struct under *u, struct err *err)
{
    MDB_val k;
    int rc = mdb_cursor_get(u->at, &k, &u->found, MDB_NEXT);
    return under_at(u, rc, &k, err);
}

static int under_enter(struct under *u, struct str prefix, const char number[LMDB_PREFIX_N],
                       struct err *err)
{
    MDB_val k = { LMDB_PREFIX_N, u->number };
    memcpy(u->number, number, LMDB_PREFIX_N);
    buf_clear(&u->key);
    buf_add(&u->key, prefix);
    u->prefix_n = prefix.n;
    TRY(buf_check(&u->key, err));
    int rc = mdb_cursor_get(u->at, &k, &u->found, MDB_SET_RANGE);
    return under_at(u, rc, &k, err);
}

static int prefix_move(struct lmdb_view *v, MDB_cursor_op op, MDB_val *number, struct err *err)
{
    MDB_val k;
    int rc = mdb_cursor_get(v->prefixes, &k, number, op);
    v->prefix_has = rc == 0;
    if (rc == MDB_NOTFOUND)
        return 0;
    if (rc == 0 && number->mv_size != LMDB_PREFIX_N)
        rc = MDB_CORRUPTED;
    if (rc != 0)
        return lmdb_val_failed(err, "view", rc);
    v->prefix = lmdb_val_str(&k);
    return 0;
}

/* Prefixes of one level exclude each other: the one entered before has no keys left. */
static int enter_prefix(struct lmdb_view *v, struct err *err)
{
    MDB_val number;
    struct under *u = &v->under[lmdb_prefix_is_inner(v->prefix) ? 1 : 0];
    TRY(prefix_move(v, MDB_GET_CURRENT, &number, err));
    TRY(under_enter(u, v->prefix, number.mv_data, err));
    return prefix_move(v, MDB_NEXT, &number, err);
}

/* ---- the merge ---- */

static bool is_first(struct str key, bool has, struct str than, bool than_has)
{
    return has && (!than_has || str_cmp(key, than) < 0);
}

/* -1: the plain key is the next; LEVELS: nothing is left. */
static int next_source(const struct lmdb_view *v, struct str *key)
{
    int best = v->plain_has ? -1 : LEVELS;
    *key = v->plain_key;
    for (int i = 0; i < LEVELS; i++) {
        struct str k = buf_str(&v->under[i].key);
        if (is_first(k, v->under[i].has, *key, best != LEVELS)) {
            best = i;
            *key = k;
        }
    }
    return best;
}

static int give(struct lmdb_view *v, struct str key, struct str value, struct err *err)
{
    buf_clear(&v->key);
    buf_add(&v->key, key);
    buf_clear(&v->value);
    buf_add(&v->value, value);
    TRY(buf_check(&v->key, err));
    return buf_check(&v->value, err);
}

static int give_plain(struct lmdb_view *v, struct err *err)
{
    struct str value;
    int found = lmdb_tables_get(&v->pin.in->tables, v->pin.txn, v->plain_key, &value, err);
    if (found <= 0)
        return found < 0 ? -1 : lmdb_val_failed(err, "view", MDB_CORRUPTED);
    TRY(give(v, v->plain_key, value, err));
    buf_byte(&v->key, 0); /* the smallest key behind it */
    TRY(buf_check(&v->key, err));
    int rc = plain_from(v, buf_str(&v->key), err);
    v->key.n--;
    return rc;
}

static int give_under(struct lmdb_view *v, struct under *u, struct err *err)
{
    struct str value;
    if (u->found.mv_size != LMDB_VAL_64)
        return lmdb_val_failed(err, "view", MDB_CORRUPTED);
    int rc = lmdb_tables_value(&v->pin.in->tables, v->pin.txn, lmdb_val_str(&u->found), &value);
    if (rc != 0)
        return lmdb_val_failed(err, "view", rc);
    TRY(give(v, buf_str(&u->key), value, err));
    return under_next(u, err);
}

static int next_in(struct lmdb_view *v, struct err *err)
{
    struct str key;
    int source = next_source(v, &key);
    while (v->prefix_has && (source == LEVELS || str_cmp(v->prefix, key) <= 0)) {
        TRY(enter_prefix(v, err));
        source = next_source(v, &key);
    }
    if (source == LEVELS)
        return 0;
    TRY(source < 0 ? give_plain(v, err) : give_under(v, &v->under[source], err));
    return 1;
}

int lmdb_view_next(struct lmdb_view *v, struct str *key, struct str *value, struct err *err)
{
    TRY(lmdb_pin_enter(&v->pin, err));
    int rc = next_in(v, err);
    if (++v->given % NEXTS_A_LOOK == 0)
        resident_check(&v->pin.in->resident, RESIDENT_BYTES);
    lmdb_pin_leave(&v->pin);
    *key = buf_str(&v->key);
    *value = buf_str(&v->value);
    return rc;
}

/* ---- opening and closing ---- */

static int open_sources(struct lmdb_view *v, struct err *err)
{
    const struct lmdb_tables *t = &v->pin.in->tables;
    MDB_val number;
    TRY(lmdb_walk_open(&v->plain, v->pin.txn, t->keys.data, err));
    int rc = mdb_cursor_open(v->pin.txn, t->keys.prefix, &v->prefixes);
    for (size_t i = 0; i < LEVELS && rc == 0; i++)
        rc = mdb_cursor_open(v->pin.txn, t->keys.inner, &v->under[i].at);
    if (rc != 0)
        return lmdb_val_failed(err, "view", rc);
    TRY(plain_from(v, STR(""), err));
    return prefix_move(v, MDB_FIRST, &number, err);
}

/* Leaves the pin. */
static int start(struct lmdb_view *v, struct buf *mark, struct err *err)
{
    int rc = lmdb_tables_mark(&v->pin.in->tables, v->pin.txn, mark, err);
    if (rc >= 0)
        rc = open_sources(v, err);
    lmdb_pin_leave(&v->pin);
    return rc;
}

int lmdb_view_open(struct storage *s, struct buf *mark, struct lmdb_view **out, struct err *err)
{
    struct lmdb_view *v = calloc(1, sizeof *v);
    if (v == NULL)
        return err_set(err, ERR_NOMEM, "lmdb: out of memory");
    if (lmdb_env_pin(((struct lmdb_store *)s)->env, &v->pin, lose, err) < 0) {
        free(v);
        return -1;
    }
    if (start(v, mark, err) < 0) {
        lmdb_view_close(v);
        return -1;
    }
    *out = v;
    return 0;
}

void lmdb_view_close(struct lmdb_view *v)
{
    if (v == NULL)
        return;
    lmdb_pin_close(&v->pin);
    for (size_t i = 0; i < LEVELS; i++)
        buf_free(&v->under[i].key);
    buf_free(&v->key);
    buf_free(&v->value);
    free(v);
}
