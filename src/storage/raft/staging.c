/* Staging: fills a fresh store in batches and swaps it in. */
#include "storage/raft/staging.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/keyclass.h"

enum { BATCH_BYTES = 2 << 20 };

struct staging {
    char dir[PATH_MAX], file[PATH_MAX];
    struct storage *store; /* NULL once it is closed for the swap */
    struct buf text;       /* the batch that is being collected, as an entry's payload */
    struct buf mark;       /* what stands as the mark while it is filled */
};

static int io_failed(const char *what, const char *path, struct err *err)
{
    return err_set(err, ERR_IO, "raft: %s %s: %s", what, path, strerror(errno));
}

static int path_in(char out[PATH_MAX], const char *dir, const char *name, struct err *err)
{
    int n = snprintf(out, PATH_MAX, "%s/%s", dir, name);
    return n > 0 && n < PATH_MAX ? 0 : err_set(err, ERR_IO, "raft: a path is too long");
}

/* A folder of files, and at most one level of folders in it. */
static void remove_folder(const char *dir, int depth)
{
    char path[PATH_MAX];
    struct err err;
    DIR *d = opendir(dir);
    if (d == NULL)
        return;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            path_in(path, dir, e->d_name, &err) < 0)
            continue;
        if (unlink(path) < 0 && depth > 0)
            remove_folder(path, depth - 1);
    }
    closedir(d);
    rmdir(dir);
}

void staging_sweep(const char *dir)
{
    remove_folder(dir, 1);
}

static int make_folder(const char *dir, struct err *err)
{
    return mkdir(dir, 0700) == 0 || errno == EEXIST ? 0 : io_failed("mkdir", dir, err);
}

static int staging_open(struct staging *s, const char *dir, const char *name, struct err *err)
{
    struct lmdb_state_options o = { .lazy = true };
    const struct mark filling = { .invalid = true };
    TRY(path_in(s->dir, dir, name, err));
    TRY(path_in(s->file, s->dir, "vault.db", err));
    remove_folder(s->dir, 0);
    TRY(make_folder(dir, err));
    TRY(make_folder(s->dir, err));
    TRY(mark_encode(&filling, &s->mark, err));
    o.file = str_of(s->file);
    return lmdb_state_open(&o, &s->store, err);
}

int staging_new(const char *dir, const char *name, struct staging **out, struct err *err)
{
    struct staging *s = calloc(1, sizeof *s);
    if (s == NULL)
        return err_set(err, ERR_NOMEM, "raft: out of memory");
    if (staging_open(s, dir, name, err) < 0) {
        staging_free(s);
        return -1;
    }
    *out = s;
    return 0;
}

void staging_free(struct staging *s)
{
    if (s == NULL)
        return;
    storage_close(s->store);
    remove_folder(s->dir, 0);
    buf_free(&s->text);
    buf_free(&s->mark);
    free(s);
}

static int flush(struct staging *s, struct err *err)
{
    struct entry_batches b = { 0 };
    if (s->text.n == 0)
        return 0;
    TRY(buf_check(&s->text, err));
    int rc = entry_read(buf_str(&s->text), &b, err);
    entry_link(&b);
    if (rc == 0)
        rc = lmdb_state_apply(s->store, b.v, b.n, buf_str(&s->mark), err);
    entry_free(&b);
    if (rc == 0)
        buf_clear(&s->text);
    return rc;
}

static void collect(struct staging *s, const struct storage_op *op)
{
    if (s->text.n == 0)
        buf_byte(&s->text, ENTRY_BATCHES);
    entry_add_batch(&s->text, op, 1);
}

int staging_put(struct staging *s, struct str key, struct str value, struct err *err)
{
    struct storage_op op = { STORAGE_PUT, key, value };
    if (keyclass_of(key) == KEYCLASS_NODE)
        return 0;
    collect(s, &op);
    return s->text.n < BATCH_BYTES ? 0 : flush(s, err);
}

int staging_add(struct staging *s, const struct entry_batches *b, struct err *err)
{
    for (size_t i = 0; i < b->n_ops; i++)
        if (keyclass_of(b->ops[i].key) != KEYCLASS_NODE)
            collect(s, &b->ops[i]);
    return flush(s, err);
}

static int keep_own(struct staging *s, struct storage *state, struct err *err)
{
    struct lmdb_view *view;
    AUTO(buf_free) struct buf mark = { 0 };
    struct str key, value;
    TRY(lmdb_view_open(state, &mark, &view, err));
    int more = 0;
    while ((more = lmdb_view_next(view, &key, &value, err)) > 0) {
        struct storage_op op = { STORAGE_PUT, key, value };
        if (keyclass_of(key) == KEYCLASS_NODE)
            collect(s, &op);
        if (s->text.n >= BATCH_BYTES && (more = flush(s, err)) < 0)
            break;
    }
    lmdb_view_close(view);
    TRY(more);
    return flush(s, err);
}

static int complete(struct staging *s, struct storage *state, const struct mark *mark,
                    struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    TRY(flush(s, err));
    TRY(keep_own(s, state, err));
    TRY(mark_encode(mark, &text, err));
    TRY(lmdb_state_apply(s->store, NULL, 0, buf_str(&text), err));
    return lmdb_state_sync(s->store, err);
}

int staging_swap(struct staging *s, struct storage *state, const struct mark *mark,
                 struct err *err)
{
    if (s->store != NULL) {
        TRY(complete(s, state, mark, err));
        storage_close(s->store);
        s->store = NULL;
    }
    return lmdb_state_replace(state, s->file, err);
}
