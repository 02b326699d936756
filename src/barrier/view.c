/* View: keys get the prefix on their way down; names come up as they are, below the prefix. */
#include "barrier/view.h"

#include <stdlib.h>


enum { KEY_NEAR = 512, BATCH_NEAR = 8 };

/* Immutable after view_new, so any thread. */
struct view {
    struct storage base;
    struct storage *under;
    struct str prefix; /* owned */
};

static struct view *view_of(struct storage *s)
{
    return (struct view *)s;
}

/* A ".." segment would leave the prefix in a driver that keeps files. */
static int check_key(struct str key, struct err *err)
{
    struct str rest = key, part;

    while (str_next(&rest, '/', &part))
        if (str_is(part, ".."))
            return err_set(err, ERR_BAD_REQUEST, "relative paths not supported");
    return 0;
}

/* A key below the prefix: on the stack when it is short, as nearly all are. */
struct full_key {
    char near[KEY_NEAR];
    char *far;
    struct str key;
};

static void full_key_free(struct full_key *f)
{
    free(f->far);
}

static int full_key_make(const struct view *v, struct str key, struct full_key *out,
                         struct err *err)
{
    char *p = out->near;

    out->far = NULL;
    TRY(check_key(key, err));
    if (v->prefix.n + key.n > KEY_NEAR) {
        p = out->far = malloc(v->prefix.n + key.n);
        if (p == NULL)
            return err_set(err, ERR_NOMEM, "out of memory for a key");
    }
    memcpy(p, v->prefix.p, v->prefix.n);
    if (key.n > 0)
        memcpy(p + v->prefix.n, key.p, key.n);
    out->key = str_mem(p, v->prefix.n + key.n);
    return 0;
}

static int view_get(struct storage *s, struct str key, struct buf *out, struct err *err)
{
    struct view *v = view_of(s);
    AUTO(full_key_free) struct full_key full;

    TRY(full_key_make(v, key, &full, err));
    return storage_get(v->under, full.key, out, err);
}

/* The operations of a batch with their full keys, in one piece of memory. */
struct batch {
    struct storage_op near[BATCH_NEAR];
    struct storage_op *ops;
    char *keys;
};

static void batch_free(struct batch *b)
{
    if (b->ops != b->near)
        free(b->ops);
    free(b->keys);
}

static int batch_make(const struct view *v, const struct storage_op *ops, size_t n,
                      struct batch *b, struct err *err)
{
    size_t bytes = 0;

    *b = (struct batch){ .ops = b->near };
    for (size_t i = 0; i < n; i++) {
        TRY(check_key(ops[i].key, err));
        bytes += v->prefix.n + ops[i].key.n;
    }
    if (n > BATCH_NEAR)
        b->ops = calloc(n, sizeof *b->ops);
    b->keys = malloc(bytes + 1);
    if (b->ops == NULL || b->keys == NULL)
        return err_set(err, ERR_NOMEM, "out of memory for a batch");
    char *p = b->keys;
    for (size_t i = 0; i < n; i++) {
        struct str key = ops[i].key;
        b->ops[i] = ops[i];
        b->ops[i].key = str_mem(p, v->prefix.n + key.n);
        memcpy(p, v->prefix.p, v->prefix.n);
        if (key.n > 0)
            memcpy(p + v->prefix.n, key.p, key.n);
        p += v->prefix.n + key.n;
    }
    return 0;
}

static int view_commit(struct storage *s, const struct storage_op *ops, size_t n, struct err *err)
{
    struct view *v = view_of(s);
    AUTO(batch_free) struct batch b;

    TRY(batch_make(v, ops, n, &b, err));
    return storage_commit(v->under, b.ops, n, err);
}

static int view_list(struct storage *s, struct str prefix, struct str after, storage_name_fn *each,
                     void *ctx, struct err *err)
{
    struct view *v = view_of(s);
    AUTO(full_key_free) struct full_key full;

    TRY(full_key_make(v, prefix, &full, err));
    return storage_list(v->under, full.key, after, each, ctx, err);
}

static void view_close(struct storage *s)
{
    struct view *v = view_of(s);

    free((char *)v->prefix.p);
    free(v);
}

static const struct storage_ops view_ops = {
    .get = view_get,
    .commit = view_commit,
    .list = view_list,
    .close = view_close,
};

int view_new(struct storage *under, struct str prefix, struct storage **out, struct err *err)
{
    struct view *v = calloc(1, sizeof *v);
    char *p = malloc(prefix.n + 1);

    if (v == NULL || p == NULL) {
        free(v);
        free(p);
        return err_set(err, ERR_NOMEM, "out of memory for a view");
    }
    if (prefix.n > 0)
        memcpy(p, prefix.p, prefix.n);
    v->base = (struct storage){ &view_ops, under->reads_block, under->writes_block };
    v->under = under;
    v->prefix = str_mem(p, prefix.n);
    *out = &v->base;
    return 0;
}
