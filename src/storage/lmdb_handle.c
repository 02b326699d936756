/* An open environment, and the long reads in it. */
#include "storage/lmdb_handle.h"

#include <errno.h>
#include <stdlib.h>

enum { MAX_READERS = 4096 };

static const size_t map_smallest = (size_t)1 << 24;

/* ENOMEM when so much address space is not to be had. */
static int open_env(struct lmdb_handle *h, const char *path, unsigned flags, size_t size)
{
    int rc = mdb_env_create(&h->env);
    if (rc != 0)
        return rc;
    if ((rc = mdb_env_set_mapsize(h->env, size)) == 0 &&
        (rc = mdb_env_set_maxreaders(h->env, MAX_READERS)) == 0 &&
        (rc = mdb_env_set_maxdbs(h->env, LMDB_TABLES_COUNT)) == 0)
        rc = mdb_env_open(h->env, path, flags | MDB_NOTLS | MDB_NORDAHEAD, 0600);
    if (rc != 0)
        mdb_env_close(h->env);
    return rc;
}

/* Address space costs nothing: take much, settle for less where it is limited. */
static int open_largest(struct lmdb_handle *h, const char *path, unsigned flags, size_t size,
                        struct err *err)
{
    int rc;
    while ((rc = open_env(h, path, flags, size)) == ENOMEM && size / 2 >= map_smallest)
        size /= 2;
    return rc == 0 ? 0 : lmdb_val_failed(err, path, rc);
}

static int find_tables(struct lmdb_handle *h, const char *path, struct err *err)
{
    MDB_txn *txn;
    int dead, rc = mdb_reader_check(h->env, &dead);
    if (rc != 0)
        return lmdb_val_failed(err, "reader check", rc);
    if ((rc = mdb_txn_begin(h->env, NULL, 0, &txn)) != 0)
        return lmdb_val_failed(err, "begin", rc);
    if (lmdb_tables_open(&h->tables, txn, path, err) < 0) {
        mdb_txn_abort(txn);
        return -1;
    }
    rc = mdb_txn_commit(txn);
    return rc == 0 ? 0 : lmdb_val_failed(err, "open tables", rc);
}

static void look_at_map(struct lmdb_handle *h)
{
    MDB_envinfo info;
    mdb_filehandle_t fd;
    mdb_env_info(h->env, &info);
    h->map_size = info.me_mapsize;
    if (mdb_env_get_fd(h->env, &fd) == 0)
        resident_find(&h->resident, fd);
}

int lmdb_handle_open(const char *path, unsigned flags, size_t size, struct lmdb_handle **out,
                     struct err *err)
{
    struct lmdb_handle *h = calloc(1, sizeof *h);
    if (h == NULL)
        return err_set(err, ERR_NOMEM, "lmdb: out of memory");
    if (open_largest(h, path, flags, size, err) < 0) {
        free(h);
        return -1;
    }
    if (find_tables(h, path, err) < 0) {
        mdb_env_close(h->env);
        free(h);
        return -1;
    }
    look_at_map(h);
    pthread_mutex_init(&h->mu, NULL);
    h->users = 1;
    *out = h;
    return 0;
}

/* Under h->mu, which is given back; ${h} may be gone afterwards. */
static void let_go(struct lmdb_handle *h)
{
    bool last = --h->users == 0;
    if (h->env != NULL && h->retired && h->pins == NULL) {
        mdb_env_close(h->env);
        h->env = NULL;
    }
    pthread_mutex_unlock(&h->mu);
    if (!last)
        return;
    pthread_mutex_destroy(&h->mu);
    free(h);
}

static void end_pin(struct lmdb_pin *pin)
{
    pthread_mutex_lock(&pin->mu);
    if (pin->txn != NULL) {
        pin->lose(pin);
        mdb_txn_abort(pin->txn);
        pin->txn = NULL;
    }
    pthread_mutex_unlock(&pin->mu);
}

void lmdb_handle_close(struct lmdb_handle *h)
{
    if (h == NULL)
        return;
    pthread_mutex_lock(&h->mu);
    for (struct lmdb_pin *pin = h->pins; pin != NULL; pin = pin->next)
        end_pin(pin);
    mdb_env_close(h->env);
    h->env = NULL;
    let_go(h);
}

void lmdb_handle_retire(struct lmdb_handle *h)
{
    if (h == NULL)
        return;
    pthread_mutex_lock(&h->mu);
    h->retired = true;
    let_go(h);
}

int lmdb_pin_open(struct lmdb_pin *pin, struct lmdb_handle *h,
                  void (*lose)(struct lmdb_pin *pin), struct err *err)
{
    *pin = (struct lmdb_pin){ .in = h, .lose = lose };
    int rc = mdb_txn_begin(h->env, NULL, MDB_RDONLY, &pin->txn);
    if (rc != 0)
        return lmdb_val_failed(err, "begin", rc);
    pthread_mutex_init(&pin->mu, NULL);
    pthread_mutex_lock(&h->mu);
    pin->next = h->pins;
    pin->at = &h->pins;
    if (pin->next != NULL)
        pin->next->at = &pin->next;
    h->pins = pin;
    h->users++;
    pthread_mutex_lock(&pin->mu); /* before anybody can find it */
    pthread_mutex_unlock(&h->mu);
    return 0;
}

int lmdb_pin_enter(struct lmdb_pin *pin, struct err *err)
{
    pthread_mutex_lock(&pin->mu);
    if (pin->txn != NULL)
        return 0;
    pthread_mutex_unlock(&pin->mu);
    return err_set(err, ERR_CONFLICT, "lmdb: the store was opened anew during a long read");
}

void lmdb_pin_leave(struct lmdb_pin *pin)
{
    pthread_mutex_unlock(&pin->mu);
}

void lmdb_pin_close(struct lmdb_pin *pin)
{
    struct lmdb_handle *h = pin->in;
    pthread_mutex_lock(&h->mu);
    end_pin(pin);
    *pin->at = pin->next;
    if (pin->next != NULL)
        pin->next->at = pin->at;
    let_go(h);
    pthread_mutex_destroy(&pin->mu);
}
