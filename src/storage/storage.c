/* What every storage gets for free from list and commit: walking a tree and deleting it. */
#include "storage/storage.h"

#include <stdlib.h>

enum { PAGE = 4096, BATCH = 1000 };

/* A folder on the way down: its names are fetched by pages, so that no listing is held twice. */
struct level {
    struct level *up;
    size_t dir_n;     /* length of the folder's path in walk.path */
    struct buf names; /* of this page: length (a size_t) and bytes, one after the other */
    size_t at;        /* next name in names */
    size_t count;     /* names in this page */
    struct buf last;  /* the page's last name: where the next page goes on */
};

struct walk {
    struct storage *store;
    struct buf path; /* prefix, then the folder, then the name */
    size_t prefix_n;
    struct level *top;
};

static void level_free(struct level *l)
{
    buf_free(&l->names);
    buf_free(&l->last);
    free(l);
}

static void walk_fini(struct walk *w)
{
    while (w->top != NULL) {
        struct level *l = w->top;
        w->top = l->up;
        level_free(l);
    }
    buf_free(&w->path);
}

static int add_name(void *ctx, struct str name)
{
    struct level *l = ctx;
    size_t n = name.n;
    buf_add(&l->names, str_mem(&n, sizeof n));
    buf_add(&l->names, name);
    l->count++;
    return l->count == PAGE || l->names.failed;
}

/* Fetch the names after the last one seen. */
static int level_fill(struct walk *w, struct level *l, struct err *err)
{
    buf_clear(&l->names);
    l->at = l->count = 0;
    TRY(storage_list(w->store, str_head(buf_str(&w->path), l->dir_n), buf_str(&l->last), add_name,
                     l, err));
    return buf_check(&l->names, err);
}

/* Go down into the folder that walk.path now names. */
static int level_push(struct walk *w, struct err *err)
{
    struct level *l = calloc(1, sizeof *l);
    if (l == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    l->up = w->top;
    l->dir_n = w->path.n;
    w->top = l;
    return level_fill(w, l, err);
}

/* The next name of the page; false at its end. */
static bool level_next(struct level *l, struct str *name)
{
    if (l->at == l->names.n)
        return false;
    memcpy(&name->n, l->names.p + l->at, sizeof name->n);
    name->p = l->names.p + l->at + sizeof name->n;
    l->at += sizeof name->n + name->n;
    return true;
}

static int level_more(struct walk *w, struct level *l, struct str last, struct err *err)
{
    buf_clear(&l->last);
    buf_add(&l->last, last);
    TRY(buf_check(&l->last, err));
    return level_fill(w, l, err);
}

/* One step: a name is handed out, or a folder is entered or left. 1: stopped by ${each}. */
static int walk_step(struct walk *w, storage_name_fn *each, void *ctx, struct err *err)
{
    struct level *l = w->top;
    struct str name;
    w->path.n = l->dir_n;
    if (!level_next(l, &name)) {
        w->top = l->up;
        level_free(l);
        return 0;
    }
    buf_add(&w->path, name);
    TRY(buf_check(&w->path, err));
    /* A full page may have a successor; it is fetched when its last name has been taken. */
    if (l->at == l->names.n && l->count == PAGE) {
        struct str kept = str_from(buf_str(&w->path), l->dir_n);
        TRY(level_more(w, l, kept, err));
    }
    if (str_ends(buf_str(&w->path), STR("/")) && w->path.n > l->dir_n)
        return level_push(w, err);
    return each(ctx, str_from(buf_str(&w->path), w->prefix_n)) != 0;
}

int storage_walk(struct storage *s, struct str prefix, storage_name_fn *each, void *ctx,
                 struct err *err)
{
    AUTO(walk_fini) struct walk w = { .store = s, .prefix_n = prefix.n };
    buf_add(&w.path, prefix);
    TRY(buf_check(&w.path, err));
    TRY(level_push(&w, err));
    while (w.top != NULL) {
        int rc = walk_step(&w, each, ctx, err);
        if (rc != 0)
            return rc < 0 ? -1 : 0;
    }
    return 0;
}

/* Keys that wait to be deleted in one batch. */
struct doomed {
    struct storage *store;
    struct str prefix;
    struct buf keys; /* one after the other */
    struct storage_op ops[BATCH];
    size_t n;
    struct err *err;
    bool failed;
};

static void doomed_free(struct doomed **d)
{
    if (*d != NULL)
        buf_free(&(*d)->keys);
    free(*d);
}

static int doomed_flush(struct doomed *d)
{
    size_t at = 0;
    for (size_t i = 0; i < d->n; i++) {
        d->ops[i].key.p = d->keys.p + at; /* the buffer may have moved while it grew */
        at += d->ops[i].key.n;
    }
    int rc = d->n == 0 ? 0 : storage_commit(d->store, d->ops, d->n, d->err);
    d->n = 0;
    buf_clear(&d->keys);
    return rc;
}

static int doom(void *ctx, struct str key)
{
    struct doomed *d = ctx;
    buf_add(&d->keys, d->prefix);
    buf_add(&d->keys, key);
    if (buf_check(&d->keys, d->err) < 0) {
        d->failed = true;
        return 1;
    }
    d->ops[d->n++] = (struct storage_op){ .kind = STORAGE_DELETE,
                                          .key = { NULL, d->prefix.n + key.n } };
    d->failed = d->n == BATCH && doomed_flush(d) < 0;
    return d->failed;
}

int storage_delete_tree(struct storage *s, struct str prefix, struct err *err)
{
    AUTO(doomed_free) struct doomed *d = calloc(1, sizeof *d);
    if (d == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    d->store = s;
    d->prefix = prefix;
    d->err = err;
    TRY(storage_walk(s, prefix, doom, d, err));
    return d->failed ? -1 : doomed_flush(d);
}
