/* One write transaction: data, values, replication log, hash tree, mark. */
#include "storage/lmdb_write.h"

#include <errno.h>
#include <stdlib.h>

#include "storage/keyclass.h"

enum { COMMITS_A_LOOK = 4 };

struct lmdb_write {
    struct lmdb_env *env;
    uint64_t applied, retention;
    unsigned commits;
    bool loaded; /* what is kept here agrees with what is committed */
    struct hashtree *sums, *sums_before; /* of the transaction; as last committed */
    bool touched[HASHTREE_PAGES];
};

/* ---- batches made ready ---- */

static int check(const struct storage_op *op, struct err *err)
{
    if (op->key.n == 0)
        return err_set(err, ERR_BAD_REQUEST, "lmdb: empty key");
    if (op->key.n > LONGKEY_MAX)
        return err_set(err, ERR_BAD_REQUEST, "lmdb: key longer than %d bytes", LONGKEY_MAX);
    if (op->value.n > INT32_MAX)
        return err_set(err, ERR_TOO_LARGE, "lmdb: value too large");
    return 0;
}

static size_t count_long(const struct storage_op *ops, size_t n)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++)
        found += longkey_is_long(ops[i].key);
    return found;
}

/* ${rooms} holds the stored forms of long keys. */
static int make_ready(struct lmdb_change *changes, const struct storage_op *ops, size_t n,
                      char *rooms, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        struct lmdb_change *c = &changes[i];
        c->op = &ops[i];
        c->last = i + 1 == n;
        TRY(longkey_stored(ops[i].key, rooms, &c->stored, err));
        if (longkey_is_long(ops[i].key))
            rooms += LONGKEY_STORED;
        if (ops[i].kind == STORAGE_PUT)
            TRY(hashtree_hash(ops[i].key, ops[i].value, &c->hashed, err));
    }
    return 0;
}

void lmdb_ready_free(struct lmdb_ready *r)
{
    if (r->changes != r->few)
        free(r->changes);
}

int lmdb_ready_make(struct lmdb_ready *r, const struct storage_op *ops, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++)
        TRY(check(&ops[i], err));
    size_t longs = count_long(ops, n);
    r->next = NULL;
    r->n = n;
    r->changes = r->few;
    if (n > ARRAY_LEN(r->few) || longs > 0)
        r->changes = malloc(n * sizeof *r->changes + longs * LONGKEY_STORED);
    if (r->changes == NULL)
        return err_set(err, ERR_NOMEM, "lmdb: out of memory");
    if (make_ready(r->changes, ops, n, (char *)(r->changes + n), err) == 0)
        return 0;
    lmdb_ready_free(r);
    return -1;
}

/* ---- one transaction ---- */

/* Its tables and cursors. */
struct writing {
    struct lmdb_write *l;
    const struct lmdb_tables *t;
    MDB_txn *txn;
    MDB_cursor *data, *inner, *values, *log;
    uint64_t next; /* number for a new value */
    struct str prefix; /* the last one met, as long as it has keys; and its number */
    char prefix_number[LMDB_PREFIX_N];
    struct err *err;
};

static void tree_change(struct lmdb_write *l, const struct hashtree_entry *e, bool add)
{
    if (add)
        hashtree_add(l->sums, e);
    else
        hashtree_sub(l->sums, e);
    l->touched[e->leaf / HASHTREE_PAGE] = true;
}

/*
 * What stood there goes out of the leaf sums; the cursor of values then stands on it. ${found} is
 * what the table of keys has.
 */
static int forget_old(struct writing *w, struct str key, const MDB_val *found)
{
    struct hashtree_entry e;
    struct str number;
    MDB_val v;
    if (lmdb_tables_number(key, found, &number, w->err) <= 0)
        return MDB_CORRUPTED;
    MDB_val k = lmdb_val(number);
    int rc = mdb_cursor_get(w->values, &k, &v, MDB_SET_KEY);
    if (rc != 0)
        return rc == MDB_NOTFOUND ? MDB_CORRUPTED : rc;
    if (hashtree_hash(key, lmdb_val_str(&v), &e, w->err) < 0)
        return MDB_CORRUPTED;
    tree_change(w->l, &e, false);
    return 0;
}

/* Write the value of ${number}: a new one behind all others, or in the place of the old one. */
static int put_value(struct writing *w, char number[LMDB_VAL_64], struct str value, bool is_new)
{
    MDB_val k = { LMDB_VAL_64, number }, v = lmdb_val(value);
    return mdb_cursor_put(w->values, &k, &v, is_new ? MDB_APPEND : MDB_CURRENT);
}

/* Where a key is. */
struct place {
    MDB_cursor *at;
    MDB_val k;
    struct lmdb_prefix_room room;
};

/* MDB_NOTFOUND when nothing can be there (and ${make} is false). */
static int find_place(struct writing *w, const struct lmdb_change *c, bool make, struct place *out)
{
    struct str key = c->op->key;
    size_t n = lmdb_prefix_length(key);
    struct str prefix = str_head(key, n);
    out->at = n > 0 ? w->inner : w->data;
    out->k = lmdb_val(c->stored);
    if (n == 0)
        return 0;
    if (!str_eq(prefix, w->prefix)) {
        int rc = (make ? lmdb_prefix_make : lmdb_prefix_find)(&w->t->keys, w->txn, prefix,
                                                              w->prefix_number);
        if (rc != 0)
            return rc;
        w->prefix = prefix;
    }
    out->k = lmdb_val(lmdb_prefix_join(w->prefix_number, str_from(key, n), &out->room));
    return 0;
}

static int put_one(struct writing *w, const struct lmdb_change *c)
{
    char number[LMDB_VAL_64];
    struct str key = c->op->key;
    size_t head = longkey_head(key);
    struct place p;
    MDB_val v = { head + LMDB_VAL_64, NULL };
    int rc = find_place(w, c, true, &p);
    if (rc != 0)
        return rc;
    rc = mdb_cursor_put(p.at, &p.k, &v, MDB_NOOVERWRITE | MDB_RESERVE);
    bool is_new = rc == 0;
    if (rc == MDB_KEYEXIST) {
        rc = forget_old(w, key, &v);
        if (rc == 0)
            memcpy(number, (char *)v.mv_data + head, LMDB_VAL_64);
    } else if (rc == 0) {
        lmdb_val_store64(w->next++, number);
        if (head > 0)
            longkey_write_head(key, v.mv_data);
        memcpy((char *)v.mv_data + head, number, LMDB_VAL_64);
    }
    if (rc == 0)
        rc = put_value(w, number, c->op->value, is_new);
    if (rc == 0)
        tree_change(w->l, &c->hashed, true);
    return rc;
}

/* After a delete under the prefix last met. */
static int forget_prefix(struct writing *w)
{
    bool dropped;
    int rc = lmdb_prefix_drop_empty(&w->t->keys, w->inner, w->prefix, w->prefix_number, &dropped);
    if (rc == 0 && dropped)
        w->prefix = (struct str){ NULL, 0 };
    return rc;
}

static int delete_one(struct writing *w, const struct lmdb_change *c)
{
    struct place p;
    MDB_val v;
    int rc = find_place(w, c, false, &p);
    if (rc == 0)
        rc = mdb_cursor_get(p.at, &p.k, &v, MDB_SET_KEY);
    if (rc == MDB_NOTFOUND)
        return 0;
    if (rc == 0)
        rc = forget_old(w, c->op->key, &v);
    if (rc == 0)
        rc = mdb_cursor_del(w->values, 0);
    if (rc == 0)
        rc = mdb_cursor_del(p.at, 0);
    return rc == 0 && p.at == w->inner ? forget_prefix(w) : rc;
}

/* The first number that is above all in use. */
static int find_next(struct writing *w)
{
    MDB_val k, v;
    int rc = mdb_cursor_get(w->values, &k, &v, MDB_LAST);
    if (rc == 0 && k.mv_size != LMDB_VAL_64)
        return MDB_CORRUPTED;
    w->next = rc == 0 ? lmdb_val_load64(k.mv_data) + 1 : 0;
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* In key order, so that pages are met one after the other; of one key the last change counts. */
static int write_data(struct writing *w, struct lmdb_change *const *sorted, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i + 1 < n && str_eq(sorted[i]->stored, sorted[i + 1]->stored))
            continue;
        int rc = sorted[i]->op->kind == STORAGE_PUT ? put_one(w, sorted[i])
                                                    : delete_one(w, sorted[i]);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int log_one(struct writing *w, const struct lmdb_change *c)
{
    char sequence[LMDB_VAL_64];
    bool is_put = c->op->kind == STORAGE_PUT;
    lmdb_val_store64(++w->l->applied, sequence);
    if (w->l->retention == 0)
        return 0;
    MDB_val k = { sizeof sequence, sequence }, v = { LMDB_LOG_HEAD + c->op->key.n, NULL };
    int rc = mdb_cursor_put(w->log, &k, &v, MDB_APPEND | MDB_RESERVE);
    if (rc != 0)
        return rc;
    char *p = v.mv_data;
    p[0] = (char)((is_put ? 0 : LMDB_LOG_DELETE) | (c->last ? LMDB_LOG_LAST : 0));
    p[1] = (char)keyclass_of(c->op->key);
    if (is_put)
        memcpy(p + 2, c->hashed.value, HASHTREE_HASH);
    else
        memset(p + 2, 0, HASHTREE_HASH);
    memcpy(p + LMDB_LOG_HEAD, c->op->key.p, c->op->key.n);
    return 0;
}

static int trim_log(struct writing *w)
{
    MDB_val k, v;
    for (;;) {
        int rc = mdb_cursor_get(w->log, &k, &v, MDB_FIRST);
        if (rc == MDB_NOTFOUND)
            return 0;
        if (rc != 0 || w->l->applied - lmdb_val_load64(k.mv_data) < w->l->retention)
            return rc;
        if ((rc = mdb_cursor_del(w->log, 0)) != 0)
            return rc;
    }
}

static int write_sums(struct writing *w)
{
    struct lmdb_write *l = w->l;
    char sequence[LMDB_VAL_64];
    for (size_t i = 0; i < HASHTREE_PAGES; i++) {
        uint8_t number = (uint8_t)i;
        MDB_val k = { 1, &number };
        MDB_val v = { sizeof(struct hashtree_sum) * HASHTREE_PAGE,
                      &l->sums->leaf[i * HASHTREE_PAGE] };
        int rc = l->touched[i] ? mdb_put(w->txn, w->t->tree, &k, &v, 0) : 0;
        if (rc != 0)
            return rc;
    }
    lmdb_val_store64(l->applied, sequence);
    MDB_val k = lmdb_val(STR("applied")), v = { sizeof sequence, sequence };
    return mdb_put(w->txn, w->t->root, &k, &v, 0);
}

static int open_cursors(struct writing *w)
{
    int rc = mdb_cursor_open(w->txn, w->t->keys.data, &w->data);
    if (rc == 0)
        rc = mdb_cursor_open(w->txn, w->t->keys.inner, &w->inner);
    if (rc == 0)
        rc = mdb_cursor_open(w->txn, w->t->values, &w->values);
    return rc == 0 ? mdb_cursor_open(w->txn, w->t->log, &w->log) : rc;
}

static void close_cursors(struct writing *w)
{
    MDB_cursor *const all[] = { w->data, w->inner, w->values, w->log };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (all[i] != NULL)
            mdb_cursor_close(all[i]);
}

/* Batches in their order, and the changes of all of them in the order of keys. */
struct group {
    const struct lmdb_ready *first;
    struct lmdb_change **sorted;
    size_t n;
    const struct str *mark;
};

static int write_all(struct writing *w, const struct group *g)
{
    int rc = open_cursors(w);
    if (rc == 0)
        rc = find_next(w);
    for (const struct lmdb_ready *r = g->first; r != NULL && rc == 0; r = r->next)
        for (size_t i = 0; i < r->n && rc == 0; i++)
            rc = log_one(w, &r->changes[i]);
    if (rc == 0)
        rc = trim_log(w);
    if (rc == 0)
        rc = write_data(w, g->sorted, g->n);
    if (rc == 0 && g->mark != NULL)
        rc = lmdb_tables_set_mark(w->t, w->txn, *g->mark);
    return rc == 0 ? write_sums(w) : rc;
}

/* Bring what the writer keeps in memory back to what is committed, or forward to it. */
static void settle(struct lmdb_write *l, bool committed, uint64_t applied_before)
{
    struct hashtree *from = committed ? l->sums : l->sums_before;
    struct hashtree *to = committed ? l->sums_before : l->sums;
    for (size_t i = 0; i < HASHTREE_PAGES; i++)
        if (l->touched[i])
            memcpy(&to->leaf[i * HASHTREE_PAGE], &from->leaf[i * HASHTREE_PAGE],
                   sizeof to->leaf[0] * HASHTREE_PAGE);
    memset(l->touched, 0, sizeof l->touched);
    if (!committed)
        l->applied = applied_before;
}

/* All of it in one transaction, or nothing. An LMDB or errno code. */
static int try_once(struct lmdb_write *l, const struct group *g, struct err *err)
{
    struct lmdb_handle *h = lmdb_env_handle(l->env);
    struct writing w = { .l = l, .t = &h->tables, .err = err };
    uint64_t before = l->applied;
    int rc = mdb_txn_begin(h->env, NULL, 0, &w.txn);
    if (rc != 0)
        return rc;
    rc = write_all(&w, g);
    close_cursors(&w);
    if (rc == 0)
        rc = mdb_txn_commit(w.txn);
    else
        mdb_txn_abort(w.txn);
    settle(l, rc == 0, before);
    if (++l->commits % COMMITS_A_LOOK == 0)
        lmdb_env_trim(l->env);
    return rc;
}

/* ---- and what may have to be done for it ---- */

/* What the writer keeps in memory, as it is committed. */
static int load(struct lmdb_write *l, struct err *err)
{
    struct lmdb_read r;
    TRY(lmdb_env_read(l->env, &r, err));
    int rc = lmdb_tables_sums(r.tables, r.txn, l->sums);
    if (rc == 0)
        rc = lmdb_tables_applied(r.tables, r.txn, &l->applied);
    lmdb_env_read_end(l->env, &r);
    if (rc != 0)
        return lmdb_val_failed(err, "open tables", rc);
    memcpy(l->sums_before, l->sums, sizeof *l->sums);
    memset(l->touched, 0, sizeof l->touched);
    l->loaded = true;
    return 0;
}

static int reopen(struct lmdb_write *l, struct err *err)
{
    l->loaded = false;
    TRY(lmdb_env_reopen(l->env, err));
    return load(l, err);
}

static bool grow(struct lmdb_write *l, struct err *err)
{
    l->loaded = false;
    return lmdb_env_grow(l->env, err) && load(l, err) == 0;
}

static int try_group(struct lmdb_write *l, const struct group *g, struct err *err)
{
    if (lmdb_env_handle(l->env) == NULL)
        TRY(reopen(l, err));
    if (!l->loaded)
        TRY(load(l, err));
    int rc = try_once(l, g, err);
    while (rc == MDB_MAP_FULL && grow(l, err))
        rc = try_once(l, g, err);
    if (rc == 0)
        return 0;
    lmdb_val_failed(err, "commit", rc);
    if (rc == MDB_PANIC || rc == EIO) {
        /* LMDB trusts this environment no more, or should not: what is on disk is what counts. */
        struct err again = { 0 };
        if (reopen(l, &again) < 0)
            lmdb_val_failed(err, again.msg, rc);
    }
    return -1;
}

static int by_stored_key(const void *a, const void *b)
{
    const struct lmdb_change *x = *(const struct lmdb_change *const *)a;
    const struct lmdb_change *y = *(const struct lmdb_change *const *)b;
    int order = str_cmp(x->stored, y->stored);
    return order != 0 ? order : (x->order > y->order) - (x->order < y->order);
}

int lmdb_write_batches(struct lmdb_write *w, struct lmdb_ready *first, const struct str *mark,
                       struct err *err)
{
    struct group g = { .first = first, .mark = mark };
    size_t at = 0;
    for (struct lmdb_ready *r = first; r != NULL; r = r->next)
        g.n += r->n;
    g.sorted = calloc(g.n + 1, sizeof *g.sorted);
    if (g.sorted == NULL)
        return err_set(err, ERR_NOMEM, "lmdb: out of memory");
    for (struct lmdb_ready *r = first; r != NULL; r = r->next)
        for (size_t i = 0; i < r->n; i++, at++) {
            g.sorted[at] = &r->changes[i];
            g.sorted[at]->order = at;
        }
    qsort(g.sorted, g.n, sizeof *g.sorted, by_stored_key);
    int rc = try_group(w, &g, err);
    free(g.sorted);
    return rc;
}

/* ---- the writer ---- */

void lmdb_write_free(struct lmdb_write *w)
{
    if (w == NULL)
        return;
    free(w->sums);
    free(w->sums_before);
    free(w);
}

int lmdb_write_new(struct lmdb_env *env, uint64_t log_retention, struct lmdb_write **out,
                   struct err *err)
{
    struct lmdb_write *w = calloc(1, sizeof *w);
    if (w == NULL)
        return err_set(err, ERR_NOMEM, "lmdb: out of memory");
    w->env = env;
    w->retention = log_retention;
    w->sums = calloc(1, sizeof *w->sums);
    w->sums_before = calloc(1, sizeof *w->sums_before);
    int rc = w->sums == NULL || w->sums_before == NULL
                 ? err_set(err, ERR_NOMEM, "lmdb: out of memory")
                 : load(w, err);
    if (rc < 0)
        lmdb_write_free(w);
    else
        *out = w;
    return rc;
}

void lmdb_write_move(struct lmdb_write *w, struct lmdb_env *env)
{
    w->env = env;
}
