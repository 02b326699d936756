/* Log and tree of an embedded store, read for replication. */
#include "storage/lmdb_log.h"

#include <stdlib.h>

#include "storage/lmdb_store.h"

static int begin(struct storage *s, struct lmdb_store **l, struct lmdb_read *r, struct err *err)
{
    *l = lmdb_store_of(s);
    if (*l == NULL)
        return err_set(err, ERR_UNSUPPORTED, "this storage keeps no log");
    return lmdb_env_read((*l)->env, r, err);
}

/* The committed leaf sums and sequence. An LMDB code. */
static int read_state(const struct lmdb_read *r, struct hashtree *sums, uint64_t *applied)
{
    int rc = lmdb_tables_sums(r->tables, r->txn, sums);
    return rc == 0 ? lmdb_tables_applied(r->tables, r->txn, applied) : rc;
}

int lmdb_log_leaves(struct storage *s, struct hashtree *out, uint64_t *applied, struct err *err)
{
    struct lmdb_store *l;
    struct lmdb_read r;
    TRY(begin(s, &l, &r, err));
    int rc = read_state(&r, out, applied);
    lmdb_env_read_end(l->env, &r);
    return rc == 0 ? 0 : lmdb_val_failed(err, "leaves", rc);
}

int lmdb_log_applied(struct storage *s, uint64_t *out, struct err *err)
{
    struct lmdb_store *l;
    struct lmdb_read r;
    TRY(begin(s, &l, &r, err));
    int rc = lmdb_tables_applied(r.tables, r.txn, out);
    lmdb_env_read_end(l->env, &r);
    return rc == 0 ? 0 : lmdb_val_failed(err, "applied", rc);
}

/* ---- the log ---- */

/* Some entries of the log, copied out: length (a size_t), sequence, stored value. */
struct log_page {
    struct buf text;
    uint64_t from; /* the next sequence */
    bool end;
};

enum { LOG_PAGE_BYTES = 256 << 10 };

static void log_page_free(struct log_page *p)
{
    buf_free(&p->text);
}

static void log_copy(struct log_page *page, const MDB_val *k, const MDB_val *v)
{
    size_t n = v->mv_size;
    buf_add(&page->text, str_mem(&n, sizeof n));
    buf_add(&page->text, lmdb_val_str(k));
    buf_add(&page->text, lmdb_val_str(v));
    page->from = lmdb_val_load64(k->mv_data) + 1;
}

static int log_fill(MDB_cursor *at, struct log_page *page, uint64_t applied, struct err *err)
{
    char sequence[LMDB_VAL_64];
    page->end = page->from == applied + 1;
    if (page->end)
        return 0;
    lmdb_val_store64(page->from, sequence);
    MDB_val k = { sizeof sequence, sequence }, v;
    int rc = mdb_cursor_get(at, &k, &v, MDB_SET_KEY);
    if (rc == MDB_NOTFOUND)
        return err_set(err, ERR_NOT_FOUND, "lmdb: the log does not hold sequence %llu",
                       (unsigned long long)page->from);
    while (rc == 0 && page->text.n < LOG_PAGE_BYTES) {
        if (k.mv_size != LMDB_VAL_64 || v.mv_size < LMDB_LOG_HEAD)
            return lmdb_val_failed(err, "log", MDB_CORRUPTED);
        log_copy(page, &k, &v);
        rc = mdb_cursor_get(at, &k, &v, MDB_NEXT);
    }
    TRY(buf_check(&page->text, err));
    return rc == 0 || rc == MDB_NOTFOUND ? 0 : lmdb_val_failed(err, "log", rc);
}

static int log_fetch(struct storage *s, struct log_page *page, struct err *err)
{
    struct lmdb_store *l;
    struct lmdb_read r;
    MDB_cursor *at = NULL;
    uint64_t applied;
    buf_clear(&page->text);
    TRY(begin(s, &l, &r, err));
    int rc = lmdb_tables_applied(r.tables, r.txn, &applied);
    if (rc == 0)
        rc = mdb_cursor_open(r.txn, r.tables->log, &at);
    rc = rc != 0 ? lmdb_val_failed(err, "log", rc) : log_fill(at, page, applied, err);
    if (at != NULL)
        mdb_cursor_close(at);
    lmdb_env_read_end(l->env, &r);
    return rc;
}

static int log_hand_out(const struct log_page *page, lmdb_log_fn *each, void *ctx)
{
    for (size_t at = 0; at < page->text.n;) {
        const char *p = page->text.p + at;
        struct lmdb_log_entry e = { 0 };
        size_t n;
        memcpy(&n, p, sizeof n);
        e.sequence = lmdb_val_load64(p + sizeof n);
        p += sizeof n + LMDB_VAL_64;
        e.kind = p[0] & LMDB_LOG_DELETE ? STORAGE_DELETE : STORAGE_PUT;
        e.last = (p[0] & LMDB_LOG_LAST) != 0;
        e.keyclass = (enum keyclass)p[1];
        memcpy(e.hash, p + 2, sizeof e.hash);
        e.key = str_mem(p + LMDB_LOG_HEAD, n - LMDB_LOG_HEAD);
        if (each(ctx, &e) != 0)
            return 1;
        at += sizeof n + LMDB_VAL_64 + n;
    }
    return 0;
}

int lmdb_log_each(struct storage *s, uint64_t from, lmdb_log_fn *each, void *ctx, struct err *err)
{
    AUTO(log_page_free) struct log_page page = { .from = from };
    while (!page.end) {
        TRY(log_fetch(s, &page, err));
        if (log_hand_out(&page, each, ctx) != 0)
            return 0;
    }
    return 0;
}

/* ---- comparing all that is there with the tree ---- */

/* What a scan has open. */
struct scan {
    const struct lmdb_tables *t;
    MDB_cursor *data, *inner, *prefix;
    size_t met; /* entries of the table `inner` */
    struct buf key;
    struct hashtree *sums;
};

static int sum_entry(struct scan *s, MDB_txn *txn, struct str key, const MDB_val *v,
                     struct err *err)
{
    struct hashtree_entry e;
    struct str number, value;
    if (longkey_is_stored_long(key))
        TRY(longkey_split(lmdb_val_str(v), &key, &number, err));
    TRY(lmdb_tables_number(key, v, &number, err));
    int rc = lmdb_tables_value(s->t, txn, number, &value);
    if (rc != 0)
        return lmdb_val_failed(err, "verify", rc);
    TRY(hashtree_hash(key, value, &e, err));
    hashtree_add(s->sums, &e);
    return 0;
}

static void scan_close(struct scan *s)
{
    if (s->data != NULL)
        mdb_cursor_close(s->data);
    if (s->inner != NULL)
        mdb_cursor_close(s->inner);
    if (s->prefix != NULL)
        mdb_cursor_close(s->prefix);
    buf_free(&s->key);
}

static int scan_open(struct scan *s, MDB_txn *txn)
{
    const struct lmdb_prefix_tables *t = &s->t->keys;
    int rc = mdb_cursor_open(txn, t->data, &s->data);
    if (rc == 0)
        rc = mdb_cursor_open(txn, t->inner, &s->inner);
    return rc == 0 ? mdb_cursor_open(txn, t->prefix, &s->prefix) : rc;
}

static int sum_under(struct scan *s, struct str prefix, const MDB_val *number, struct err *err)
{
    MDB_val k = *number, v;
    size_t before = s->met;
    int rc = number->mv_size == LMDB_PREFIX_N ? 0 : MDB_CORRUPTED;
    if (rc == 0)
        rc = mdb_cursor_get(s->inner, &k, &v, MDB_SET_RANGE);
    for (; rc == 0 && lmdb_prefix_has(lmdb_val_str(&k), number->mv_data); s->met++) {
        buf_clear(&s->key);
        buf_add(&s->key, prefix);
        buf_add(&s->key, str_from(lmdb_val_str(&k), LMDB_PREFIX_N));
        TRY(buf_check(&s->key, err));
        TRY(sum_entry(s, mdb_cursor_txn(s->inner), buf_str(&s->key), &v, err));
        rc = mdb_cursor_get(s->inner, &k, &v, MDB_NEXT);
    }
    if (rc != 0 && rc != MDB_NOTFOUND)
        return lmdb_val_failed(err, "verify", rc);
    return s->met > before ? 0 : err_set(err, ERR_CORRUPT, "lmdb: a prefix has no key");
}

static int sum_plain(struct scan *s, struct err *err)
{
    MDB_val k, v;
    int rc = mdb_cursor_get(s->data, &k, &v, MDB_FIRST);
    for (; rc == 0; rc = mdb_cursor_get(s->data, &k, &v, MDB_NEXT))
        TRY(sum_entry(s, mdb_cursor_txn(s->data), lmdb_val_str(&k), &v, err));
    return rc == MDB_NOTFOUND ? 0 : lmdb_val_failed(err, "verify", rc);
}

static int sum_prefixes(struct scan *s, struct err *err)
{
    MDB_val k, v;
    MDB_stat stat;
    int rc = mdb_cursor_get(s->prefix, &k, &v, MDB_FIRST);
    for (; rc == 0; rc = mdb_cursor_get(s->prefix, &k, &v, MDB_NEXT))
        TRY(sum_under(s, lmdb_val_str(&k), &v, err));
    if (rc == MDB_NOTFOUND)
        rc = mdb_stat(mdb_cursor_txn(s->inner), s->t->keys.inner, &stat);
    if (rc != 0)
        return lmdb_val_failed(err, "verify", rc);
    return s->met == stat.ms_entries ? 0
                                     : err_set(err, ERR_CORRUPT, "lmdb: a key has no prefix");
}

/* sums[0]: as kept; sums[1]: as counted. */
static int verify_in(const struct lmdb_read *r, struct hashtree sums[2], struct err *err)
{
    AUTO(scan_close) struct scan scan = { .t = r->tables, .sums = &sums[1] };
    uint64_t applied;
    int rc = read_state(r, &sums[0], &applied);
    if (rc == 0)
        rc = scan_open(&scan, r->txn);
    if (rc != 0)
        return lmdb_val_failed(err, "verify", rc);
    TRY(sum_plain(&scan, err));
    TRY(sum_prefixes(&scan, err));
    for (size_t i = 0; i < HASHTREE_LEAVES; i++)
        if (memcmp(&sums[0].leaf[i], &sums[1].leaf[i], sizeof sums[0].leaf[i]) != 0)
            return err_set(err, ERR_CORRUPT, "lmdb: leaf %zu of the hash tree is wrong", i);
    return 0;
}

int lmdb_log_verify(struct storage *s, struct err *err)
{
    struct lmdb_store *l;
    struct lmdb_read r;
    TRY(begin(s, &l, &r, err));
    struct hashtree *sums = calloc(2, sizeof *sums);
    int rc = sums == NULL ? err_set(err, ERR_NOMEM, "lmdb: out of memory")
                          : verify_in(&r, sums, err);
    free(sums);
    lmdb_env_read_end(l->env, &r);
    return rc;
}
