/* The embedded store as a state machine. */
#include "storage/lmdb_state.h"

#include <pthread.h>
#include <stdlib.h>

#include "storage/lmdb_store.h"
#include "storage/lmdb_write.h"

struct lmdb_state {
    struct lmdb_store store; /* first */
    struct lmdb_state_options options; /* but for the file's name */
    pthread_mutex_t mu;
    struct lmdb_write *write; /* under mu: who holds it owns the environment */
};

/* ---- writing ---- */

static int write_ready(struct lmdb_state *l, struct lmdb_ready *first, const struct str *mark,
                       struct err *err)
{
    pthread_mutex_lock(&l->mu);
    int rc = lmdb_write_batches(l->write, first, mark, err);
    pthread_mutex_unlock(&l->mu);
    return rc;
}

static int state_commit(struct storage *s, const struct storage_op *ops, size_t n,
                        struct err *err)
{
    struct lmdb_ready ready;
    if (n == 0)
        return 0;
    TRY(lmdb_ready_make(&ready, ops, n, err));
    int rc = write_ready((struct lmdb_state *)s, &ready, NULL, err);
    lmdb_ready_free(&ready);
    return rc;
}

/* Batches made ready, as a list. */
struct many {
    struct lmdb_ready *v, *first;
    size_t n;
};

static void many_free(struct many *m)
{
    for (size_t i = 0; i < m->n; i++)
        lmdb_ready_free(&m->v[i]);
    free(m->v);
}

static int make_many(struct many *m, const struct lmdb_batch *batches, size_t n, struct err *err)
{
    struct lmdb_ready **end = &m->first;
    m->v = calloc(n + 1, sizeof *m->v);
    if (m->v == NULL)
        return err_set(err, ERR_NOMEM, "lmdb: out of memory");
    for (; m->n < n; m->n++) {
        struct lmdb_ready *r = &m->v[m->n];
        TRY(lmdb_ready_make(r, batches[m->n].ops, batches[m->n].n, err));
        *end = r;
        end = &r->next;
    }
    return 0;
}

int lmdb_state_apply(struct storage *s, const struct lmdb_batch *batches, size_t n,
                     struct str mark, struct err *err)
{
    AUTO(many_free) struct many m = { 0 };
    TRY(make_many(&m, batches, n, err));
    return write_ready((struct lmdb_state *)s, m.first, &mark, err);
}

int lmdb_state_mark(struct storage *s, struct buf *out, struct err *err)
{
    struct lmdb_env *env = ((struct lmdb_state *)s)->store.env;
    struct lmdb_read r;
    TRY(lmdb_env_read(env, &r, err));
    int rc = lmdb_tables_mark(r.tables, r.txn, out, err);
    lmdb_env_read_end(env, &r);
    return rc;
}

int lmdb_state_sync(struct storage *s, struct err *err)
{
    struct lmdb_state *l = (struct lmdb_state *)s;
    pthread_mutex_lock(&l->mu);
    int rc = lmdb_env_sync(l->store.env, err);
    pthread_mutex_unlock(&l->mu);
    return rc;
}

/* ---- opening and closing ---- */

static void state_free(struct lmdb_state *l)
{
    lmdb_write_free(l->write);
    lmdb_env_close(l->store.env);
    pthread_mutex_destroy(&l->mu);
    free(l);
}

static void state_close(struct storage *s)
{
    struct lmdb_state *l = (struct lmdb_state *)s;
    if (l->options.lazy)
        (void)!lmdb_env_sync(l->store.env, NULL); /* it may be lost, but need not */
    state_free(l);
}

static const struct storage_ops state_ops = { lmdb_store_get, state_commit, lmdb_store_list,
                                              state_close };

static struct lmdb_env_options env_options(const struct lmdb_state_options *o)
{
    return (struct lmdb_env_options){ .path = o->file, .file = true, .lazy = o->lazy,
                                      .map_size = o->map_size };
}

int lmdb_state_open(const struct lmdb_state_options *options, struct storage **out,
                    struct err *err)
{
    struct lmdb_env_options env = env_options(options);
    struct lmdb_state *l = calloc(1, sizeof *l);
    if (l == NULL)
        return err_set(err, ERR_NOMEM, "lmdb: out of memory");
    l->store.base = (struct storage){ .ops = &state_ops, .writes_block = true };
    l->options = *options;
    l->options.file = STR("");
    pthread_mutex_init(&l->mu, NULL);
    if (lmdb_env_open(&env, &l->store.env, err) < 0 ||
        lmdb_write_new(l->store.env, options->log_retention, &l->write, err) < 0) {
        state_free(l);
        return -1;
    }
    *out = &l->store.base;
    return 0;
}

/* ---- another store in place of this one ---- */

/* Opened, checked and loaded while this one goes on; ${env} stays set unless it was taken. */
static int take_over(struct lmdb_state *l, struct lmdb_env **env, struct err *err)
{
    struct lmdb_write *write;
    TRY(lmdb_write_new(*env, l->options.log_retention, &write, err));
    pthread_mutex_lock(&l->mu);
    int rc = lmdb_env_take(l->store.env, env, err);
    if (*env == NULL) {
        lmdb_write_free(l->write);
        l->write = write;
        lmdb_write_move(write, l->store.env);
    } else {
        lmdb_write_free(write);
    }
    pthread_mutex_unlock(&l->mu);
    return rc;
}

int lmdb_state_replace(struct storage *s, const char *file, struct err *err)
{
    struct lmdb_state *l = (struct lmdb_state *)s;
    struct lmdb_state_options from = l->options;
    from.file = str_of(file);
    struct lmdb_env_options options = env_options(&from);
    options.must_exist = true;
    struct lmdb_env *env;
    TRY(lmdb_env_open(&options, &env, err));
    int rc = take_over(l, &env, err);
    lmdb_env_close(env);
    return rc;
}
