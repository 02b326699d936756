/*
 * Storage "inmem": an ordered map in memory.  A B+tree that writers copy on the way down (one
 * writer at a time); readers follow whichever root they find and wait for nobody.
 */
#include "storage/driver.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/epoch.h"
#include "storage/names.h"

enum { FANOUT = 32, SPARSE = FANOUT / 4, MAX_DEPTH = 64 };

/* A key and its value; immutable. */
struct entry {
    uint32_t key_n, value_n;
    char bytes[]; /* key, then value */
};

/* Immutable once its transaction is over. */
struct node {
    uint64_t made_in; /* the transaction that may still change it */
    uint32_t n;       /* entries or children */
    bool leaf;
    union {
        struct entry *entry[FANOUT];
        struct node *child[FANOUT];
    };
    /* Inner nodes: sep[i] is above all of child[i - 1], not above any of child[i]; no [0]. */
    struct entry *sep[];
};

struct pointers {
    void **v;
    size_t n, cap;
};

struct inmem {
    struct storage base;
    _Atomic(struct node *) root; /* NULL: empty */
    pthread_mutex_t mu;          /* one writer at a time */
    uint64_t last_txn;           /* under mu */
};

/* A change of the tree that nobody sees before its end. */
struct txn {
    uint64_t id;
    struct node *root;
    struct pointers fresh; /* made here: released when it fails */
    struct pointers stale; /* no longer part of the tree: retired when it succeeds */
};

static struct str entry_key(const struct entry *e)
{
    return (struct str){ e->bytes, e->key_n };
}

static struct str entry_value(const struct entry *e)
{
    return (struct str){ e->bytes + e->key_n, e->value_n };
}

/* ---- finding ---- */

/* Index of the first entry not below ${key}. */
static uint32_t leaf_search(const struct node *leaf, struct str key)
{
    uint32_t low = 0, high = leaf->n;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (str_cmp(entry_key(leaf->entry[mid]), key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Index of the child that holds ${key} if any does. */
static uint32_t inner_search(const struct node *inner, struct str key)
{
    uint32_t low = 1, high = inner->n;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (str_cmp(entry_key(inner->sep[mid]), key) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low - 1;
}

static const struct entry *find(const struct node *node, struct str key)
{
    if (node == NULL)
        return NULL;
    while (!node->leaf)
        node = node->child[inner_search(node, key)];
    uint32_t i = leaf_search(node, key);
    bool same = i < node->n && str_eq(entry_key(node->entry[i]), key);
    return same ? node->entry[i] : NULL;
}

static int inmem_get(struct storage *s, struct str key, struct buf *out, struct err *err)
{
    struct inmem *m = (struct inmem *)s;
    epoch_enter();
    const struct entry *e = find(atomic_load_explicit(&m->root, memory_order_acquire), key);
    if (e != NULL)
        buf_add(out, entry_value(e));
    epoch_leave();
    TRY(buf_check(out, err));
    return e != NULL;
}

/* ---- listing ---- */

/* A place in one version of the tree; valid inside one reading section. */
struct cursor {
    const struct node *root, *leaf; /* leaf NULL: past the end */
    uint32_t at, depth;
    struct {
        const struct node *node;
        uint32_t at;
    } above[MAX_DEPTH]; /* the way to the leaf */
};

/* The entries lie all over the heap: have them come while the first ones are looked at. */
static void cursor_fetch(const struct cursor *c)
{
    for (uint32_t i = c->at; i < c->leaf->n; i++)
        __builtin_prefetch(c->leaf->entry[i]);
}

/* To the first entry of the next leaf. */
static void cursor_turn(struct cursor *c)
{
    const struct node *node = NULL;
    while (c->depth > 0 && node == NULL) {
        c->depth--;
        if (++c->above[c->depth].at < c->above[c->depth].node->n)
            node = c->above[c->depth].node->child[c->above[c->depth].at];
    }
    if (node != NULL)
        c->depth++;
    for (; node != NULL && !node->leaf; node = node->child[0]) {
        c->above[c->depth].node = node;
        c->above[c->depth++].at = 0;
    }
    c->leaf = node; /* no leaf is empty */
    c->at = 0;
}

/* Stand on the first entry not below ${from}, or past the end. */
static void cursor_seek(struct cursor *c, struct str from)
{
    const struct node *node = c->root;
    c->depth = 0;
    while (node != NULL && !node->leaf) {
        uint32_t i = inner_search(node, from);
        c->above[c->depth].node = node;
        c->above[c->depth++].at = i;
        node = node->child[i];
    }
    c->leaf = node;
    c->at = node == NULL ? 0 : leaf_search(node, from);
    if (node != NULL && c->at == node->n)
        cursor_turn(c);
}

/* names_seek_fn */
static int cursor_from(void *ctx, struct str from, struct str *key, struct err *err)
{
    struct cursor *c = ctx;
    /* Most often it is the neighbour. */
    bool near = c->leaf != NULL && c->at + 1 < c->leaf->n &&
                str_cmp(entry_key(c->leaf->entry[c->at + 1]), from) >= 0;
    if (near)
        c->at++;
    else
        cursor_seek(c, from);
    if (c->leaf == NULL)
        return 0;
    *key = entry_key(c->leaf->entry[c->at]);
    return 1;
}

/* names_run_fn */
static int cursor_run(void *ctx, struct str *keys, int max, struct err *err)
{
    struct cursor *c = ctx;
    int n = 0;
    while (n < max && c->leaf != NULL) {
        if (++c->at == c->leaf->n)
            cursor_turn(c);
        if (c->leaf == NULL)
            break;
        if (n == 0 || c->at == 0)
            cursor_fetch(c);
        keys[n++] = entry_key(c->leaf->entry[c->at]);
    }
    return n;
}

static const struct names_walk cursor_walk = { cursor_from, cursor_run };

static int fetch_page(struct storage *s, struct str prefix, struct names_page *page,
                      struct err *err)
{
    struct inmem *m = (struct inmem *)s;
    epoch_enter();
    struct cursor c;
    c.root = atomic_load_explicit(&m->root, memory_order_acquire);
    c.leaf = NULL;
    int rc = names_collect(page, prefix, &cursor_walk, &c, err);
    epoch_leave();
    return rc;
}

static int inmem_list(struct storage *s, struct str prefix, struct str after,
                      storage_name_fn *each, void *ctx, struct err *err)
{
    return names_list(s, prefix, after, fetch_page, each, ctx, err);
}

/* ---- changing ---- */

static int no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "inmem: out of memory");
}

static int pointers_add(struct pointers *list, void *p, struct err *err)
{
    if (list->n == list->cap) {
        size_t cap = list->cap < 16 ? 16 : list->cap * 2;
        void **v = reallocarray(list->v, cap, sizeof *v);
        if (v == NULL)
            return no_memory(err);
        list->v = v;
        list->cap = cap;
    }
    list->v[list->n++] = p;
    return 0;
}

/* Memory that goes away again should the transaction fail. */
static void *fresh(struct txn *t, size_t size, struct err *err)
{
    void *p = malloc(size);
    if (p == NULL) {
        no_memory(err);
        return NULL;
    }
    if (pointers_add(&t->fresh, p, err) < 0) {
        free(p);
        return NULL;
    }
    return p;
}

static int drop(struct txn *t, void *p, struct err *err)
{
    return pointers_add(&t->stale, p, err);
}

static struct entry *entry_new(struct txn *t, struct str key, struct str value, struct err *err)
{
    struct entry *e = fresh(t, sizeof *e + key.n + value.n, err);
    if (e == NULL)
        return NULL;
    e->key_n = (uint32_t)key.n;
    e->value_n = (uint32_t)value.n;
    memcpy(e->bytes, key.p, key.n);
    if (value.n > 0)
        memcpy(e->bytes + key.n, value.p, value.n);
    return e;
}

static size_t node_size(bool leaf)
{
    return sizeof(struct node) + (leaf ? 0 : FANOUT * sizeof(struct entry *));
}

static struct node *node_new(struct txn *t, bool leaf, struct err *err)
{
    struct node *node = fresh(t, node_size(leaf), err);
    if (node == NULL)
        return NULL;
    node->made_in = t->id;
    node->n = 0;
    node->leaf = leaf;
    return node;
}

/* Make *${at} a node that this transaction may change. */
static int own(struct txn *t, struct node **at, struct err *err)
{
    struct node *old = *at;
    if (old->made_in == t->id)
        return 0;
    struct node *copy = node_new(t, old->leaf, err);
    if (copy == NULL)
        return -1;
    TRY(drop(t, old, err));
    copy->n = old->n;
    memcpy(copy->child, old->child, old->n * sizeof *old->child);
    if (!old->leaf)
        memcpy(copy->sep, old->sep, old->n * sizeof *old->sep);
    *at = copy;
    return 0;
}

/* The shortest key that is above ${left} and not above ${right}. */
static struct str between(struct str left, struct str right)
{
    size_t same = 0;
    while (same < left.n && left.p[same] == right.p[same])
        same++;
    return str_head(right, same + 1);
}

/* Cut a full node in two; ${sep} is what divides it from ${right}. */
static int split(struct txn *t, struct node *left, struct node **right, struct entry **sep,
                 struct err *err)
{
    uint32_t keep = FANOUT / 2, moved = left->n - keep;
    struct node *node = node_new(t, left->leaf, err);
    if (node == NULL)
        return -1;
    if (left->leaf) {
        struct str cut = between(entry_key(left->entry[keep - 1]), entry_key(left->entry[keep]));
        *sep = entry_new(t, cut, (struct str){ 0 }, err);
        if (*sep == NULL)
            return -1;
    } else {
        *sep = left->sep[keep];
        memcpy(node->sep, left->sep + keep, moved * sizeof *node->sep);
    }
    memcpy(node->child, left->child + keep, moved * sizeof *node->child);
    node->n = moved;
    left->n = keep;
    *right = node;
    return 0;
}

static void open_gap(struct node *node, uint32_t at)
{
    memmove(node->child + at + 1, node->child + at, (node->n - at) * sizeof *node->child);
    if (!node->leaf)
        memmove(node->sep + at + 1, node->sep + at, (node->n - at) * sizeof *node->sep);
    node->n++;
}

static void close_gap(struct node *node, uint32_t at)
{
    node->n--;
    memmove(node->child + at, node->child + at + 1, (node->n - at) * sizeof *node->child);
    if (!node->leaf)
        memmove(node->sep + at, node->sep + at + 1, (node->n - at) * sizeof *node->sep);
}

/* Split child ${i} of an owned node with room, when it is full. */
static int make_room(struct txn *t, struct node *node, uint32_t i, struct err *err)
{
    if (node->child[i]->n < FANOUT)
        return 0;
    struct node *right;
    struct entry *sep;
    TRY(own(t, &node->child[i], err));
    TRY(split(t, node->child[i], &right, &sep, err));
    open_gap(node, i + 1);
    node->child[i + 1] = right;
    node->sep[i + 1] = sep;
    return 0;
}

static int grow_root(struct txn *t, struct err *err)
{
    bool first = t->root == NULL;
    if (!first && t->root->n < FANOUT)
        return own(t, &t->root, err);
    struct node *root = node_new(t, first, err);
    if (root == NULL)
        return -1;
    if (!first) {
        root->child[0] = t->root;
        root->sep[0] = NULL;
        root->n = 1;
    }
    t->root = root;
    return first ? 0 : make_room(t, root, 0, err);
}

/* Full nodes are split on the way down, so that there is room on the way. */
static int put(struct txn *t, struct str key, struct str value, struct err *err)
{
    struct entry *e = entry_new(t, key, value, err);
    if (e == NULL)
        return -1;
    TRY(grow_root(t, err));
    struct node *node = t->root;
    while (!node->leaf) {
        TRY(make_room(t, node, inner_search(node, key), err));
        uint32_t i = inner_search(node, key);
        TRY(own(t, &node->child[i], err));
        node = node->child[i];
    }
    uint32_t at = leaf_search(node, key);
    if (at < node->n && str_eq(entry_key(node->entry[at]), key))
        TRY(drop(t, node->entry[at], err));
    else
        open_gap(node, at);
    node->entry[at] = e;
    return 0;
}

/* Take child ${i} and the separator beside it out of an owned node. */
static int remove_child(struct txn *t, struct node *node, uint32_t i, struct err *err)
{
    uint32_t s = i == 0 ? 1 : i; /* without its left end, the separator on its right is void */
    if (node->n > 1)
        TRY(drop(t, node->sep[s], err));
    TRY(drop(t, node->child[i], err));
    if (i == 0 && node->n > 1)
        node->sep[1] = NULL;
    close_gap(node, i);
    return 0;
}

/* Join children ${i} and ${i} + 1 when together they are not too full. */
static int join(struct txn *t, struct node *node, uint32_t i, struct err *err)
{
    if (i + 1 >= node->n || node->child[i]->n + node->child[i + 1]->n > FANOUT * 3 / 4)
        return 0;
    TRY(own(t, &node->child[i], err));
    struct node *left = node->child[i], *right = node->child[i + 1];
    memcpy(left->child + left->n, right->child, right->n * sizeof *left->child);
    if (!left->leaf) {
        memcpy(left->sep + left->n, right->sep, right->n * sizeof *left->sep);
        left->sep[left->n] = node->sep[i + 1];
    } else {
        TRY(drop(t, node->sep[i + 1], err));
    }
    left->n += right->n;
    TRY(drop(t, right, err));
    close_gap(node, i + 1);
    return 0;
}

/* After a child lost something. */
static int tidy(struct txn *t, struct node *node, uint32_t i, struct err *err)
{
    if (node->child[i]->n == 0)
        return remove_child(t, node, i, err);
    if (node->child[i]->n >= SPARSE)
        return 0;
    TRY(join(t, node, i, err));
    return i == 0 ? 0 : join(t, node, i - 1, err);
}

static int shrink_root(struct txn *t, struct err *err)
{
    while (t->root != NULL && (t->root->n == 0 || (!t->root->leaf && t->root->n == 1))) {
        struct node *old = t->root;
        TRY(drop(t, old, err));
        t->root = old->n == 0 ? NULL : old->child[0];
    }
    return 0;
}

static int del(struct txn *t, struct str key, struct err *err)
{
    struct node *path[MAX_DEPTH];
    uint32_t taken[MAX_DEPTH], depth = 0;
    if (find(t->root, key) == NULL)
        return 0;
    TRY(own(t, &t->root, err));
    struct node *node = t->root;
    while (!node->leaf) {
        uint32_t i = inner_search(node, key);
        path[depth] = node;
        taken[depth++] = i;
        TRY(own(t, &node->child[i], err));
        node = node->child[i];
    }
    uint32_t at = leaf_search(node, key);
    TRY(drop(t, node->entry[at], err));
    close_gap(node, at);
    while (depth-- > 0)
        TRY(tidy(t, path[depth], taken[depth], err));
    return shrink_root(t, err);
}

static void release_pointers(void *p)
{
    struct pointers *list = p;
    for (size_t i = 0; i < list->n; i++)
        free(list->v[i]);
    free(list->v);
    free(list);
}

static int check(const struct storage_op *op, struct err *err)
{
    if (op->key.n == 0)
        return err_set(err, ERR_BAD_REQUEST, "inmem: empty key");
    if (op->key.n > UINT32_MAX || op->value.n > UINT32_MAX)
        return err_set(err, ERR_TOO_LARGE, "inmem: entry too large");
    return 0;
}

static int apply(struct txn *t, const struct storage_op *ops, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (ops[i].kind == STORAGE_PUT)
            TRY(put(t, ops[i].key, ops[i].value, err));
        else
            TRY(del(t, ops[i].key, err));
    }
    return 0;
}

static void txn_abort(struct txn *t)
{
    for (size_t i = 0; i < t->fresh.n; i++)
        free(t->fresh.v[i]);
    free(t->fresh.v);
    free(t->stale.v);
}

static int inmem_commit(struct storage *s, const struct storage_op *ops, size_t n, struct err *err)
{
    struct inmem *m = (struct inmem *)s;
    for (size_t i = 0; i < n; i++)
        TRY(check(&ops[i], err));
    struct pointers *stale = malloc(sizeof *stale);
    if (stale == NULL)
        return no_memory(err);

    pthread_mutex_lock(&m->mu);
    struct txn t = { .id = ++m->last_txn, .root = atomic_load(&m->root) };
    int rc = apply(&t, ops, n, err);
    if (rc == 0)
        atomic_store(&m->root, t.root);
    pthread_mutex_unlock(&m->mu);

    if (rc < 0) {
        txn_abort(&t);
        free(stale);
        return -1;
    }
    free(t.fresh.v);
    *stale = t.stale;
    epoch_retire(stale, release_pointers);
    return 0;
}

static void node_free(struct node *node)
{
    if (node == NULL)
        return;
    for (uint32_t i = 0; i < node->n; i++) {
        if (node->leaf) {
            free(node->entry[i]);
            continue;
        }
        if (i > 0)
            free(node->sep[i]);
        node_free(node->child[i]);
    }
    free(node);
}

static void inmem_close(struct storage *s)
{
    struct inmem *m = (struct inmem *)s;
    epoch_wait(); /* what was retired goes before what is left */
    node_free(atomic_load(&m->root));
    pthread_mutex_destroy(&m->mu);
    free(m);
}

static const struct storage_ops inmem_ops = { inmem_get, inmem_commit, inmem_list, inmem_close };

static int inmem_open(const struct storage_option *options, size_t n, struct storage **out,
                      struct err *err)
{
    struct inmem *m = calloc(1, sizeof *m);
    if (m == NULL)
        return no_memory(err);
    m->base = (struct storage){ .ops = &inmem_ops };
    pthread_mutex_init(&m->mu, NULL);
    *out = &m->base;
    return 0;
}

const struct storage_driver storage_inmem = { "inmem", inmem_open };
