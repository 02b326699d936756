/*
 * Storage "lmdb": the embedded store.  One environment, written by one thread that commits all
 * waiting batches together.
 */
#include "storage/driver.h"

#include <pthread.h>
#include <stdlib.h>

#include "storage/commitq.h"
#include "storage/lmdb_store.h"
#include "storage/lmdb_write.h"

enum { RETENTION = 16384 };

struct lmdb_storage {
    struct lmdb_store store; /* first */
    struct commitq *queue;
    struct lmdb_write *write; /* owned by the writer thread */
    pthread_t writer;
};

struct request {
    struct commitq_item item; /* first */
    struct lmdb_ready ready;
};

/* ---- the writer thread ---- */

static int commit_items(struct lmdb_storage *l, struct commitq_item *items, struct err *err)
{
    struct lmdb_ready *first = NULL, **end = &first;
    for (struct commitq_item *item = items; item != NULL; item = item->next) {
        *end = &((struct request *)item)->ready;
        end = &(*end)->next;
    }
    *end = NULL;
    return lmdb_write_batches(l->write, first, NULL, err);
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

/* ---- the caller's side ---- */

static int lmdb_commit(struct storage *s, const struct storage_op *ops, size_t n, struct err *err)
{
    struct lmdb_storage *l = (struct lmdb_storage *)s;
    struct request r;
    if (n == 0)
        return 0;
    TRY(lmdb_ready_make(&r.ready, ops, n, err));
    int rc = commitq_submit(l->queue, &r.item, err);
    lmdb_ready_free(&r.ready);
    return rc;
}

/* ---- opening and closing ---- */

static void lmdb_free(struct lmdb_storage *l)
{
    lmdb_write_free(l->write);
    commitq_free(l->queue);
    lmdb_env_close(l->store.env);
    free(l);
}

static void lmdb_close(struct storage *s)
{
    struct lmdb_storage *l = (struct lmdb_storage *)s;
    commitq_close(l->queue);
    pthread_join(l->writer, NULL);
    lmdb_free(l);
}

static const struct storage_ops lmdb_ops = { lmdb_store_get, lmdb_commit, lmdb_store_list,
                                             lmdb_close };

struct settings {
    struct lmdb_env_options env;
    uint64_t retention;
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
    uint64_t map_size = 0;
    *out = (struct settings){ .retention = RETENTION };
    for (size_t i = 0; i < n; i++) {
        if (str_is(o[i].name, "path"))
            out->env.path = o[i].value;
        else if (str_is(o[i].name, "map_size"))
            TRY(read_number(&o[i], &map_size, err));
        else if (str_is(o[i].name, "log_retention"))
            TRY(read_number(&o[i], &out->retention, err));
    }
    out->env.map_size = map_size;
    return 0;
}

static int start(struct lmdb_storage *l, const struct settings *settings, struct err *err)
{
    TRY(lmdb_env_open(&settings->env, &l->store.env, err));
    TRY(lmdb_write_new(l->store.env, settings->retention, &l->write, err));
    l->queue = commitq_new();
    if (l->queue == NULL)
        return err_set(err, ERR_NOMEM, "lmdb: out of memory");
    int rc = pthread_create(&l->writer, NULL, write_groups, l);
    return rc == 0 ? 0 : lmdb_val_failed(err, "thread", rc);
}

static int lmdb_open(const struct storage_option *options, size_t n, struct storage **out,
                     struct err *err)
{
    struct settings settings;
    TRY(read_options(options, n, &settings, err));
    struct lmdb_storage *l = calloc(1, sizeof *l);
    if (l == NULL)
        return err_set(err, ERR_NOMEM, "lmdb: out of memory");
    l->store.base = (struct storage){ .ops = &lmdb_ops, .writes_block = true };
    if (start(l, &settings, err) < 0) {
        lmdb_free(l);
        return -1;
    }
    *out = &l->store.base;
    return 0;
}

const struct storage_driver storage_lmdb = { "lmdb", lmdb_open };
