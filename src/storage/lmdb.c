/*
 * Storage "lmdb": the embedded store.  One LMDB environment, written by one thread that commits
 * all waiting batches together; beside the data it keeps the replication log and the hash tree.
 */
#include "storage/driver.h"
#include "storage/lmdb_log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "storage/commitq.h"
#include "storage/folder.h"
#include "storage/gate.h"
#include "storage/lmdb_page.h"
#include "storage/lmdb_prefix.h"
#include "storage/lmdb_val.h"
#include "storage/longkey.h"
#include "storage/names.h"
#include "storage/resident.h"

#define LOCK_NAME "coffer.lock"

enum {
    RETENTION = 16384,
    MAX_READERS = 4096,
    FORMAT = 3,
    SEQUENCE_N = 8,
    NUMBER_N = 8,
    RESIDENT_BYTES = 8 << 20, /* of the map; looked at once in so many reads, commits: */
    READS_A_LOOK = 256,
    COMMITS_A_LOOK = 4,
    LOG_HEAD = 2 + HASHTREE_HASH, /* flags, class, hash; then the key */
};

static const size_t map_largest = (size_t)1 << 40, map_smallest = (size_t)1 << 24;

enum { FLAG_DELETE = 1, FLAG_LAST = 2 };

struct lmdb_storage {
    struct storage base;
    char *path;
    int dir, lock; /* descriptors; owned */
    struct gate *gate; /* read transactions; shut while the environment is replaced */
    struct commitq *queue;
    pthread_t writer;

    /* Replaced by the writer alone, while the gate is shut. */
    MDB_env *env;
    struct lmdb_prefix_tables keys;
    MDB_dbi values, log, tree, root;
    size_t map_size;
    struct resident resident;

    /* Owned by the writer thread. */
    uint64_t applied, retention;
    unsigned commits;
    struct hashtree *sums, *sums_before; /* of the transaction; as last committed */
    bool touched[HASHTREE_PAGES];
};

/* One operation, made ready by the thread that wants it, so that the writer only writes. */
struct change {
    const struct storage_op *op;
    struct str stored; /* the key as the table `data` has it */
    struct hashtree_entry hashed;
    size_t order;
    bool last;
};

struct request {
    struct commitq_item item; /* first */
    struct change *changes;
    size_t n;
};

static void store_be64(uint64_t v, char out[SEQUENCE_N])
{
    for (int i = SEQUENCE_N; i-- > 0; v >>= 8)
        out[i] = (char)v;
}

static uint64_t load_be64(const void *p)
{
    uint64_t v = 0;
    for (int i = 0; i < SEQUENCE_N; i++)
        v = v << 8 | ((const uint8_t *)p)[i];
    return v;
}

/* ---- reading ---- */

static void drop_txn(void *txn)
{
    mdb_txn_abort(txn);
}

static void read_end(struct lmdb_storage *l, struct gate_pass *pass)
{
    if (pass->handle != NULL)
        mdb_txn_reset(pass->handle);
    if (pass->number % READS_A_LOOK == 0)
        resident_check(&l->resident, RESIDENT_BYTES);
    gate_leave(l->gate, pass);
}

/* A snapshot; its transaction is pass->handle, given back by read_end, which also follows -1. */
static int read_begin(struct lmdb_storage *l, struct gate_pass *pass, struct err *err)
{
    gate_enter(l->gate, pass);
    if (l->env == NULL)
        return err_set(err, ERR_IO, "lmdb: %s could not be opened again", l->path);
    int rc = pass->handle != NULL
                 ? mdb_txn_renew(pass->handle)
                 : mdb_txn_begin(l->env, NULL, MDB_RDONLY, (MDB_txn **)&pass->handle);
    return rc == 0 ? 0 : lmdb_val_failed(err, "begin", rc);
}

/* The number of an entry's value as found; 0 when it is another long key's. */
static int number_of(struct str key, const MDB_val *found, struct str *number, struct err *err)
{
    struct str whole = key;
    *number = lmdb_val_str(found);
    if (longkey_is_long(key))
        TRY(longkey_split(lmdb_val_str(found), &whole, number, err));
    if (number->n != NUMBER_N)
        return err_set(err, ERR_CORRUPT, "lmdb: an entry's value has no number");
    return str_eq(whole, key);
}

/* The value of that number, borrowed from ${txn}. An LMDB code. */
static int value_at(struct lmdb_storage *l, MDB_txn *txn, struct str number, struct str *value)
{
    MDB_val k = lmdb_val(number), v;
    int rc = mdb_get(txn, l->values, &k, &v);
    if (rc == 0)
        *value = lmdb_val_str(&v);
    return rc == MDB_NOTFOUND ? MDB_CORRUPTED : rc;
}

/* What the tables of keys have for ${key}, borrowed from ${txn}. An LMDB code. */
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

static int get_in(struct lmdb_storage *l, MDB_txn *txn, struct str key, struct buf *out,
                  struct err *err)
{
    char room[LONGKEY_STORED];
    struct str stored, number, value;
    TRY(longkey_stored(key, room, &stored, err));
    MDB_val v;
    int rc = entry_at(&l->keys, txn, key, stored, &v);
    if (rc == MDB_NOTFOUND)
        return 0;
    if (rc != 0)
        return lmdb_val_failed(err, "get", rc);
    int found = number_of(key, &v, &number, err);
    if (found <= 0)
        return found;
    if ((rc = value_at(l, txn, number, &value)) != 0)
        return lmdb_val_failed(err, "get value", rc);
    buf_add(out, value);
    TRY(buf_check(out, err));
    return 1;
}

static int lmdb_get(struct storage *s, struct str key, struct buf *out, struct err *err)
{
    struct lmdb_storage *l = (struct lmdb_storage *)s;
    struct gate_pass pass;
    if (key.n == 0)
        return 0;
    int rc = read_begin(l, &pass, err);
    if (rc == 0)
        rc = get_in(l, pass.handle, key, out, err);
    read_end(l, &pass);
    return rc;
}

/* ---- listing ---- */

static int fetch_page(struct storage *s, struct str prefix, struct names_page *page,
                      struct err *err)
{
    struct lmdb_storage *l = (struct lmdb_storage *)s;
    struct gate_pass pass;
    int rc = read_begin(l, &pass, err);
    if (rc == 0)
        rc = lmdb_page_collect(&l->keys, pass.handle, prefix, page, err);
    read_end(l, &pass);
    return rc;
}

static int lmdb_list(struct storage *s, struct str prefix, struct str after,
                     storage_name_fn *each, void *ctx, struct err *err)
{
    return names_list(s, prefix, after, fetch_page, each, ctx, err);
}

/* ---- one transaction of the writer ---- */

/* The cursors of a write transaction. */
struct writing {
    struct lmdb_storage *l;
    MDB_txn *txn;
    MDB_cursor *data, *inner, *values, *log;
    uint64_t next; /* number for a new value */
    struct str prefix; /* the last one met, as long as it has keys; and its number */
    char prefix_number[LMDB_PREFIX_N];
    struct err *err;
};

static void tree_change(struct lmdb_storage *l, const struct hashtree_entry *e, bool add)
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
    if (number_of(key, found, &number, w->err) <= 0)
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
static int put_value(struct writing *w, char number[NUMBER_N], struct str value, bool is_new)
{
    MDB_val k = { NUMBER_N, number }, v = lmdb_val(value);
    return mdb_cursor_put(w->values, &k, &v, is_new ? MDB_APPEND : MDB_CURRENT);
}

/* Where a key is. */
struct place {
    MDB_cursor *at;
    MDB_val k;
    struct lmdb_prefix_room room;
};

/* MDB_NOTFOUND when nothing can be there (and ${make} is false). */
static int find_place(struct writing *w, const struct change *c, bool make, struct place *out)
{
    struct str key = c->op->key;
    size_t n = lmdb_prefix_length(key);
    struct str prefix = str_head(key, n);
    out->at = n > 0 ? w->inner : w->data;
    out->k = lmdb_val(c->stored);
    if (n == 0)
        return 0;
    if (!str_eq(prefix, w->prefix)) {
        int rc = (make ? lmdb_prefix_make : lmdb_prefix_find)(&w->l->keys, w->txn, prefix,
                                                              w->prefix_number);
        if (rc != 0)
            return rc;
        w->prefix = prefix;
    }
    out->k = lmdb_val(lmdb_prefix_join(w->prefix_number, str_from(key, n), &out->room));
    return 0;
}

static int put_one(struct writing *w, const struct change *c)
{
    char number[NUMBER_N];
    struct str key = c->op->key;
    size_t head = longkey_head(key);
    struct place p;
    MDB_val v = { head + NUMBER_N, NULL };
    int rc = find_place(w, c, true, &p);
    if (rc != 0)
        return rc;
    rc = mdb_cursor_put(p.at, &p.k, &v, MDB_NOOVERWRITE | MDB_RESERVE);
    bool is_new = rc == 0;
    if (rc == MDB_KEYEXIST) {
        rc = forget_old(w, key, &v);
        if (rc == 0)
            memcpy(number, (char *)v.mv_data + head, NUMBER_N);
    } else if (rc == 0) {
        store_be64(w->next++, number);
        if (head > 0)
            longkey_write_head(key, v.mv_data);
        memcpy((char *)v.mv_data + head, number, NUMBER_N);
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
    int rc = lmdb_prefix_drop_empty(&w->l->keys, w->inner, w->prefix, w->prefix_number, &dropped);
    if (rc == 0 && dropped)
        w->prefix = (struct str){ NULL, 0 };
    return rc;
}

static int delete_one(struct writing *w, const struct change *c)
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
    if (rc == 0 && k.mv_size != NUMBER_N)
        return MDB_CORRUPTED;
    w->next = rc == 0 ? load_be64(k.mv_data) + 1 : 0;
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* In key order, so that pages are met one after the other; of one key the last change counts. */
static int write_data(struct writing *w, struct change *const *sorted, size_t n)
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

static int log_one(struct writing *w, const struct change *c)
{
    char sequence[SEQUENCE_N];
    bool is_put = c->op->kind == STORAGE_PUT;
    store_be64(++w->l->applied, sequence);
    if (w->l->retention == 0)
        return 0;
    MDB_val k = { sizeof sequence, sequence }, v = { LOG_HEAD + c->op->key.n, NULL };
    int rc = mdb_cursor_put(w->log, &k, &v, MDB_APPEND | MDB_RESERVE);
    if (rc != 0)
        return rc;
    char *p = v.mv_data;
    p[0] = (char)((is_put ? 0 : FLAG_DELETE) | (c->last ? FLAG_LAST : 0));
    p[1] = (char)keyclass_of(c->op->key);
    if (is_put)
        memcpy(p + 2, c->hashed.value, HASHTREE_HASH);
    else
        memset(p + 2, 0, HASHTREE_HASH);
    memcpy(p + LOG_HEAD, c->op->key.p, c->op->key.n);
    return 0;
}

static int trim_log(struct writing *w)
{
    MDB_val k, v;
    for (;;) {
        int rc = mdb_cursor_get(w->log, &k, &v, MDB_FIRST);
        if (rc == MDB_NOTFOUND)
            return 0;
        if (rc != 0 || w->l->applied - load_be64(k.mv_data) < w->l->retention)
            return rc;
        if ((rc = mdb_cursor_del(w->log, 0)) != 0)
            return rc;
    }
}

static int write_sums(struct writing *w)
{
    struct lmdb_storage *l = w->l;
    char sequence[SEQUENCE_N];
    for (size_t i = 0; i < HASHTREE_PAGES; i++) {
        uint8_t number = (uint8_t)i;
        MDB_val k = { 1, &number };
        MDB_val v = { sizeof(struct hashtree_sum) * HASHTREE_PAGE,
                      &l->sums->leaf[i * HASHTREE_PAGE] };
        int rc = l->touched[i] ? mdb_put(w->txn, l->tree, &k, &v, 0) : 0;
        if (rc != 0)
            return rc;
    }
    store_be64(l->applied, sequence);
    MDB_val k = lmdb_val(STR("applied")), v = { sizeof sequence, sequence };
    return mdb_put(w->txn, l->root, &k, &v, 0);
}

static int write_all(struct writing *w, struct change *const *sorted, struct commitq_item *items)
{
    size_t n = 0;
    int rc = mdb_cursor_open(w->txn, w->l->keys.data, &w->data);
    if (rc == 0)
        rc = mdb_cursor_open(w->txn, w->l->keys.inner, &w->inner);
    if (rc == 0)
        rc = mdb_cursor_open(w->txn, w->l->values, &w->values);
    if (rc == 0)
        rc = find_next(w);
    if (rc == 0)
        rc = mdb_cursor_open(w->txn, w->l->log, &w->log);
    for (struct commitq_item *item = items; item != NULL && rc == 0; item = item->next) {
        const struct request *r = (const struct request *)item;
        for (size_t i = 0; i < r->n && rc == 0; i++)
            rc = log_one(w, &r->changes[i]);
        n += r->n;
    }
    if (rc == 0)
        rc = trim_log(w);
    if (rc == 0)
        rc = write_data(w, sorted, n);
    return rc == 0 ? write_sums(w) : rc;
}

/* Bring what the writer keeps in memory back to what is committed, or forward to it. */
static void settle(struct lmdb_storage *l, bool committed, uint64_t applied_before)
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

/* All of it in one transaction, durable on return; or nothing. An LMDB or errno code. */
static int try_once(struct lmdb_storage *l, struct change *const *sorted,
                    struct commitq_item *items, struct err *err)
{
    struct writing w = { .l = l, .err = err };
    uint64_t before = l->applied;
    int rc = mdb_txn_begin(l->env, NULL, 0, &w.txn);
    if (rc != 0)
        return rc;
    rc = write_all(&w, sorted, items);
    if (w.data != NULL)
        mdb_cursor_close(w.data);
    if (w.inner != NULL)
        mdb_cursor_close(w.inner);
    if (w.values != NULL)
        mdb_cursor_close(w.values);
    if (w.log != NULL)
        mdb_cursor_close(w.log);
    if (rc == 0)
        rc = mdb_txn_commit(w.txn);
    else
        mdb_txn_abort(w.txn);
    settle(l, rc == 0, before);
    if (++l->commits % COMMITS_A_LOOK == 0)
        resident_check(&l->resident, RESIDENT_BYTES);
    return rc;
}

/* ---- the environment ---- */

static void env_close(struct lmdb_storage *l)
{
    if (l->env != NULL)
        mdb_env_close(l->env);
    l->env = NULL;
}

/* Open with a map of ${size}; ENOMEM when so much address space is not to be had. */
static int env_map(struct lmdb_storage *l, size_t size)
{
    int rc = mdb_env_create(&l->env);
    if (rc != 0)
        return rc;
    if ((rc = mdb_env_set_mapsize(l->env, size)) == 0 &&
        (rc = mdb_env_set_maxreaders(l->env, MAX_READERS)) == 0 &&
        (rc = mdb_env_set_maxdbs(l->env, 8)) == 0)
        rc = mdb_env_open(l->env, l->path, MDB_NOTLS | MDB_NORDAHEAD, 0600);
    if (rc != 0)
        env_close(l);
    return rc;
}

/* Address space costs nothing: take much, settle for less where it is limited. */
static int env_open(struct lmdb_storage *l, size_t size, struct err *err)
{
    int dead, rc;
    while ((rc = env_map(l, size)) == ENOMEM && size / 2 >= map_smallest)
        size /= 2;
    if (rc != 0)
        return lmdb_val_failed(err, l->path, rc);
    MDB_envinfo info;
    mdb_env_info(l->env, &info);
    l->map_size = info.me_mapsize;
    mdb_filehandle_t fd;
    if (mdb_env_get_fd(l->env, &fd) == 0)
        resident_find(&l->resident, fd);
    rc = mdb_reader_check(l->env, &dead);
    return rc == 0 ? 0 : lmdb_val_failed(err, "reader check", rc);
}

static int open_tables(struct lmdb_storage *l, MDB_txn *txn)
{
    char format[] = { FORMAT };
    MDB_val k = lmdb_val(STR("format")), v;
    int rc = mdb_dbi_open(txn, NULL, 0, &l->root);
    if (rc == 0)
        rc = mdb_dbi_open(txn, "data", MDB_CREATE, &l->keys.data);
    if (rc == 0)
        rc = mdb_dbi_open(txn, "inner", MDB_CREATE, &l->keys.inner);
    if (rc == 0)
        rc = mdb_dbi_open(txn, "prefix", MDB_CREATE, &l->keys.prefix);
    if (rc == 0)
        rc = mdb_dbi_open(txn, "values", MDB_CREATE, &l->values);
    if (rc == 0)
        rc = mdb_dbi_open(txn, "log", MDB_CREATE, &l->log);
    if (rc == 0)
        rc = mdb_dbi_open(txn, "tree", MDB_CREATE, &l->tree);
    if (rc == 0)
        rc = mdb_get(txn, l->root, &k, &v);
    if (rc == 0)
        return v.mv_size == 1 && *(char *)v.mv_data == FORMAT ? 0 : MDB_VERSION_MISMATCH;
    v = (MDB_val){ sizeof format, format };
    return rc == MDB_NOTFOUND ? mdb_put(txn, l->root, &k, &v, 0) : rc;
}

/* The committed leaf sums and applied index, as this transaction sees them. */
static int read_state(struct lmdb_storage *l, MDB_txn *txn, struct hashtree *sums,
                      uint64_t *applied)
{
    memset(sums, 0, sizeof *sums);
    *applied = 0;
    for (size_t i = 0; i < HASHTREE_PAGES; i++) {
        uint8_t number = (uint8_t)i;
        MDB_val k = { 1, &number }, v;
        int rc = mdb_get(txn, l->tree, &k, &v);
        if (rc == MDB_NOTFOUND)
            continue;
        if (rc == 0 && v.mv_size != sizeof(struct hashtree_sum) * HASHTREE_PAGE)
            rc = MDB_CORRUPTED;
        if (rc != 0)
            return rc;
        memcpy(&sums->leaf[i * HASHTREE_PAGE], v.mv_data, v.mv_size);
    }
    MDB_val k = lmdb_val(STR("applied")), v;
    int rc = mdb_get(txn, l->root, &k, &v);
    if (rc == 0 && v.mv_size == SEQUENCE_N)
        *applied = load_be64(v.mv_data);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Tables and state of an environment just opened. */
static int load(struct lmdb_storage *l, struct err *err)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(l->env, NULL, 0, &txn);
    if (rc != 0)
        return lmdb_val_failed(err, "begin", rc);
    rc = open_tables(l, txn);
    if (rc == 0)
        rc = read_state(l, txn, l->sums, &l->applied);
    if (rc == 0)
        rc = mdb_txn_commit(txn);
    else
        mdb_txn_abort(txn);
    if (rc != 0)
        return lmdb_val_failed(err, "open tables", rc);
    memcpy(l->sums_before, l->sums, sizeof *l->sums);
    memset(l->touched, 0, sizeof l->touched);
    return 0;
}

/* Close and open again: with a larger map, or because a failed write made LMDB give up. */
static int env_replace(struct lmdb_storage *l, size_t size, struct err *err)
{
    gate_shut(l->gate);
    env_close(l);
    int rc = env_open(l, size, err);
    if (rc == 0)
        rc = load(l, err);
    if (rc < 0)
        env_close(l);
    gate_open(l->gate);
    return rc;
}

/* ---- the writer thread ---- */

/* Twice the map; false when no more is to be had. */
static bool grow(struct lmdb_storage *l, struct err *err)
{
    size_t was = l->map_size;
    return was <= SIZE_MAX / 2 && env_replace(l, was * 2, err) == 0 && l->map_size > was;
}

static int try_batches(struct lmdb_storage *l, struct change *const *sorted,
                       struct commitq_item *items, struct err *err)
{
    if (l->env == NULL)
        TRY(env_replace(l, l->map_size, err));
    int rc = try_once(l, sorted, items, err);
    while (rc == MDB_MAP_FULL && grow(l, err))
        rc = try_once(l, sorted, items, err);
    if (rc == 0)
        return 0;
    lmdb_val_failed(err, "commit", rc);
    if (rc == MDB_PANIC || rc == EIO) {
        /* LMDB trusts this environment no more, or should not: what is on disk is what counts. */
        struct err again = { 0 };
        if (env_replace(l, l->map_size, &again) < 0)
            lmdb_val_failed(err, again.msg, rc);
    }
    return -1;
}

static int by_stored_key(const void *a, const void *b)
{
    const struct change *x = *(const struct change *const *)a;
    const struct change *y = *(const struct change *const *)b;
    int order = str_cmp(x->stored, y->stored);
    return order != 0 ? order : (x->order > y->order) - (x->order < y->order);
}

static int commit_items(struct lmdb_storage *l, struct commitq_item *items, struct err *err)
{
    size_t n = 0, at = 0;
    for (struct commitq_item *item = items; item != NULL; item = item->next)
        n += ((struct request *)item)->n;
    struct change **sorted = calloc(n + 1, sizeof *sorted);
    if (sorted == NULL)
        return err_set(err, ERR_NOMEM, "lmdb: out of memory");
    for (struct commitq_item *item = items; item != NULL; item = item->next) {
        struct request *r = (struct request *)item;
        for (size_t i = 0; i < r->n; i++, at++) {
            sorted[at] = &r->changes[i];
            sorted[at]->order = at;
        }
    }
    qsort(sorted, n, sizeof *sorted, by_stored_key);
    int rc = try_batches(l, sorted, items, err);
    free(sorted);
    return rc;
}

static void answer(struct commitq_item *item, int rc, const struct err *err)
{
    if (rc < 0)
        err_set(item->err, err->code, "%s", err->msg);
    commitq_done(item, rc);
}

/* Together, and should that fail each by itself, so that one batch's fault is nobody else's. */
static void commit_group(struct lmdb_storage *l, struct commitq_item *items)
{
    struct err err = { 0 };
    int rc = commit_items(l, items, &err);
    bool alone = rc < 0 && items->next != NULL;
    while (items != NULL) {
        struct commitq_item *item = items;
        items = item->next; /* the item is gone once it is answered */
        item->next = NULL;
        if (alone) {
            err = (struct err){ 0 };
            rc = commit_items(l, item, &err);
        }
        answer(item, rc, &err);
    }
}

static void *write_groups(void *ctx)
{
    struct lmdb_storage *l = ctx;
    for (;;) {
        struct commitq_item *items = commitq_take(l->queue);
        if (items == NULL)
            return NULL;
        commit_group(l, items);
    }
}

/* ---- committing: the caller's side ---- */

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
static int make_ready(struct change *changes, const struct storage_op *ops, size_t n, char *rooms,
                      struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        struct change *c = &changes[i];
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

static int lmdb_commit(struct storage *s, const struct storage_op *ops, size_t n, struct err *err)
{
    struct lmdb_storage *l = (struct lmdb_storage *)s;
    struct change few[4];
    for (size_t i = 0; i < n; i++)
        TRY(check(&ops[i], err));
    if (n == 0)
        return 0;
    size_t longs = count_long(ops, n);
    bool small = n <= ARRAY_LEN(few) && longs == 0;
    struct request r = { .n = n, .changes = few };
    if (!small)
        r.changes = malloc(n * sizeof *r.changes + longs * LONGKEY_STORED);
    if (r.changes == NULL)
        return err_set(err, ERR_NOMEM, "lmdb: out of memory");
    int rc = make_ready(r.changes, ops, n, (char *)(r.changes + n), err);
    if (rc == 0)
        rc = commitq_submit(l->queue, &r.item, err);
    if (!small)
        free(r.changes);
    return rc;
}

/* ---- opening and closing ---- */

static void lmdb_free(struct lmdb_storage *l)
{
    gate_free(l->gate);
    env_close(l);
    commitq_free(l->queue);
    folder_close(&l->dir);
    folder_close(&l->lock); /* the last one: another process may open now */
    free(l->sums);
    free(l->sums_before);
    free(l->path);
    free(l);
}

static void lmdb_close(struct storage *s)
{
    struct lmdb_storage *l = (struct lmdb_storage *)s;
    commitq_close(l->queue);
    pthread_join(l->writer, NULL);
    lmdb_free(l);
}

static const struct storage_ops lmdb_ops = { lmdb_get, lmdb_commit, lmdb_list, lmdb_close };

static int take_lock(struct lmdb_storage *l, struct err *err)
{
    l->lock = openat(l->dir, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (l->lock < 0)
        return lmdb_val_failed(err, "open lock", errno);
    if (flock(l->lock, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return err_set(err, ERR_CONFLICT, "lmdb: %s is in use by another process", l->path);
    return lmdb_val_failed(err, "lock", errno);
}

struct settings {
    struct str path;
    uint64_t map_size, retention;
};

static int read_number(const struct storage_option *o, uint64_t *out, struct err *err)
{
    if (str_to_u64(o->value, out))
        return 0;
    return err_set(err, ERR_BAD_REQUEST, "'" STR_FMT "' must be a whole number", STR_ARG(o->name));
}

static int read_options(const struct storage_option *o, size_t n, struct settings *out,
                        struct err *err)
{
    *out = (struct settings){ .map_size = map_largest, .retention = RETENTION };
    for (size_t i = 0; i < n; i++) {
        if (str_is(o[i].name, "path"))
            out->path = o[i].value;
        else if (str_is(o[i].name, "map_size"))
            TRY(read_number(&o[i], &out->map_size, err));
        else if (str_is(o[i].name, "log_retention"))
            TRY(read_number(&o[i], &out->retention, err));
    }
    if (out->path.n == 0 || str_find_byte(out->path, 0) >= 0)
        return err_set(err, ERR_BAD_REQUEST, "'path' must be set");
    return 0;
}

static struct lmdb_storage *lmdb_new(const struct settings *settings)
{
    struct lmdb_storage *l = calloc(1, sizeof *l);
    if (l == NULL)
        return NULL;
    l->base = (struct storage){ .ops = &lmdb_ops, .writes_block = true };
    l->dir = l->lock = -1;
    l->retention = settings->retention;
    l->path = strndup(settings->path.p, settings->path.n);
    l->gate = gate_new(drop_txn);
    l->queue = commitq_new();
    l->sums = calloc(1, sizeof *l->sums);
    l->sums_before = calloc(1, sizeof *l->sums_before);
    if (l->path != NULL && l->gate != NULL && l->queue != NULL && l->sums != NULL &&
        l->sums_before != NULL)
        return l;
    lmdb_free(l);
    return NULL;
}

static int start(struct lmdb_storage *l, size_t map_size, struct err *err)
{
    TRY(folder_open_root(l->path, &l->dir, err));
    TRY(take_lock(l, err));
    TRY(env_open(l, map_size, err));
    TRY(load(l, err));
    if (fsync(l->dir) < 0) /* the files' names must last too */
        return lmdb_val_failed(err, "fsync directory", errno);
    int rc = pthread_create(&l->writer, NULL, write_groups, l);
    return rc == 0 ? 0 : lmdb_val_failed(err, "thread", rc);
}

static int lmdb_open(const struct storage_option *options, size_t n, struct storage **out,
                     struct err *err)
{
    struct settings settings;
    TRY(read_options(options, n, &settings, err));
    struct lmdb_storage *l = lmdb_new(&settings);
    if (l == NULL)
        return err_set(err, ERR_NOMEM, "lmdb: out of memory");
    if (start(l, settings.map_size, err) < 0) {
        lmdb_free(l);
        return -1;
    }
    *out = &l->base;
    return 0;
}

const struct storage_driver storage_lmdb = { "lmdb", lmdb_open };

/* ---- log and tree, for replication ---- */

static int begin_log(struct storage *s, struct gate_pass *pass, struct err *err)
{
    if (s->ops != &lmdb_ops)
        return err_set(err, ERR_UNSUPPORTED, "this storage keeps no log");
    struct lmdb_storage *l = (struct lmdb_storage *)s;
    if (read_begin(l, pass, err) == 0)
        return 0;
    read_end(l, pass);
    return -1;
}

int lmdb_log_leaves(struct storage *s, struct hashtree *out, uint64_t *applied, struct err *err)
{
    struct lmdb_storage *l = (struct lmdb_storage *)s;
    struct gate_pass pass;
    TRY(begin_log(s, &pass, err));
    int rc = read_state(l, pass.handle, out, applied);
    read_end(l, &pass);
    return rc == 0 ? 0 : lmdb_val_failed(err, "leaves", rc);
}

static int applied_in(struct lmdb_storage *l, MDB_txn *txn, uint64_t *out)
{
    MDB_val k = lmdb_val(STR("applied")), v;
    int rc = mdb_get(txn, l->root, &k, &v);
    *out = rc == 0 ? load_be64(v.mv_data) : 0;
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int lmdb_log_applied(struct storage *s, uint64_t *out, struct err *err)
{
    struct lmdb_storage *l = (struct lmdb_storage *)s;
    struct gate_pass pass;
    TRY(begin_log(s, &pass, err));
    int rc = applied_in(l, pass.handle, out);
    read_end(l, &pass);
    return rc == 0 ? 0 : lmdb_val_failed(err, "applied", rc);
}

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
    page->from = load_be64(k->mv_data) + 1;
}

static int log_fill(MDB_cursor *at, struct log_page *page, uint64_t applied, struct err *err)
{
    char sequence[SEQUENCE_N];
    page->end = page->from == applied + 1;
    if (page->end)
        return 0;
    store_be64(page->from, sequence);
    MDB_val k = { sizeof sequence, sequence }, v;
    int rc = mdb_cursor_get(at, &k, &v, MDB_SET_KEY);
    if (rc == MDB_NOTFOUND)
        return err_set(err, ERR_NOT_FOUND, "lmdb: the log does not hold sequence %llu",
                       (unsigned long long)page->from);
    while (rc == 0 && page->text.n < LOG_PAGE_BYTES) {
        if (k.mv_size != SEQUENCE_N || v.mv_size < LOG_HEAD)
            return lmdb_val_failed(err, "log", MDB_CORRUPTED);
        log_copy(page, &k, &v);
        rc = mdb_cursor_get(at, &k, &v, MDB_NEXT);
    }
    TRY(buf_check(&page->text, err));
    return rc == 0 || rc == MDB_NOTFOUND ? 0 : lmdb_val_failed(err, "log", rc);
}

static int log_fetch(struct lmdb_storage *l, struct log_page *page, struct err *err)
{
    struct gate_pass pass;
    MDB_cursor *at = NULL;
    uint64_t applied;
    buf_clear(&page->text);
    TRY(begin_log(&l->base, &pass, err));
    int rc = applied_in(l, pass.handle, &applied);
    if (rc == 0)
        rc = mdb_cursor_open(pass.handle, l->log, &at);
    rc = rc != 0 ? lmdb_val_failed(err, "log", rc) : log_fill(at, page, applied, err);
    if (at != NULL)
        mdb_cursor_close(at);
    read_end(l, &pass);
    return rc;
}

static int log_hand_out(const struct log_page *page, lmdb_log_fn *each, void *ctx)
{
    for (size_t at = 0; at < page->text.n;) {
        const char *p = page->text.p + at;
        struct lmdb_log_entry e = { 0 };
        size_t n;
        memcpy(&n, p, sizeof n);
        e.sequence = load_be64(p + sizeof n);
        p += sizeof n + SEQUENCE_N;
        e.kind = p[0] & FLAG_DELETE ? STORAGE_DELETE : STORAGE_PUT;
        e.last = (p[0] & FLAG_LAST) != 0;
        e.keyclass = (enum keyclass)p[1];
        memcpy(e.hash, p + 2, sizeof e.hash);
        e.key = str_mem(p + LOG_HEAD, n - LOG_HEAD);
        if (each(ctx, &e) != 0)
            return 1;
        at += sizeof n + SEQUENCE_N + n;
    }
    return 0;
}

int lmdb_log_each(struct storage *s, uint64_t from, lmdb_log_fn *each, void *ctx, struct err *err)
{
    AUTO(log_page_free) struct log_page page = { .from = from };
    if (s->ops != &lmdb_ops)
        return err_set(err, ERR_UNSUPPORTED, "this storage keeps no log");
    while (!page.end) {
        TRY(log_fetch((struct lmdb_storage *)s, &page, err));
        if (log_hand_out(&page, each, ctx) != 0)
            return 0;
    }
    return 0;
}

static int sum_entry(struct lmdb_storage *l, MDB_txn *txn, struct str key, const MDB_val *v,
                     struct hashtree *sums, struct err *err)
{
    struct hashtree_entry e;
    struct str number, value;
    if (longkey_is_stored_long(key))
        TRY(longkey_split(lmdb_val_str(v), &key, &number, err));
    TRY(number_of(key, v, &number, err));
    int rc = value_at(l, txn, number, &value);
    if (rc != 0)
        return lmdb_val_failed(err, "verify", rc);
    TRY(hashtree_hash(key, value, &e, err));
    hashtree_add(sums, &e);
    return 0;
}

/* What a scan has open. */
struct scan {
    struct lmdb_storage *l;
    MDB_cursor *data, *inner, *prefix;
    size_t met; /* entries of the table `inner` */
    struct buf key;
    struct hashtree *sums;
};

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
    const struct lmdb_prefix_tables *t = &s->l->keys;
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
        TRY(sum_entry(s->l, mdb_cursor_txn(s->inner), buf_str(&s->key), &v, s->sums, err));
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
        TRY(sum_entry(s->l, mdb_cursor_txn(s->data), lmdb_val_str(&k), &v, s->sums, err));
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
        rc = mdb_stat(mdb_cursor_txn(s->inner), s->l->keys.inner, &stat);
    if (rc != 0)
        return lmdb_val_failed(err, "verify", rc);
    return s->met == stat.ms_entries ? 0
                                     : err_set(err, ERR_CORRUPT, "lmdb: a key has no prefix");
}

/* sums[0]: as kept; sums[1]: as counted. */
static int verify_in(struct lmdb_storage *l, MDB_txn *txn, struct hashtree sums[2],
                     struct err *err)
{
    AUTO(scan_close) struct scan scan = { .l = l, .sums = &sums[1] };
    uint64_t applied;
    int rc = read_state(l, txn, &sums[0], &applied);
    if (rc == 0)
        rc = scan_open(&scan, txn);
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
    struct lmdb_storage *l = (struct lmdb_storage *)s;
    struct gate_pass pass;
    TRY(begin_log(s, &pass, err));
    struct hashtree *sums = calloc(2, sizeof *sums);
    int rc = sums == NULL ? err_set(err, ERR_NOMEM, "lmdb: out of memory")
                          : verify_in(l, pass.handle, sums, err);
    free(sums);
    read_end(l, &pass);
    return rc;
}
