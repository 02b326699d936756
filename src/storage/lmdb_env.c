/* The environment of a store: one process, a gate for readers, and its replacement. */
#include "storage/lmdb_env.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "storage/folder.h"

#define DIRECTORY_DATA "/data.mdb"
#define DIRECTORY_LOCK "/coffer.lock"
#define FILE_LMDB_LOCK "-lock"
#define FILE_LOCK "-owner"

enum {
    RESIDENT_BYTES = 8 << 20, /* of the map; looked at once in so many reads: */
    READS_A_LOOK = 256,
};

static const size_t map_largest = (size_t)1 << 40;

struct lmdb_env {
    char *path; /* as LMDB is given it; owned, as all names */
    char *data, *lock_name;
    unsigned flags;
    int dir, lock; /* descriptors; owned */
    struct gate *gate; /* reads; shut while the handle is replaced */
    struct lmdb_handle *now; /* replaced by the owner alone, while the gate is shut */
    size_t map_size;
};

/* ---- reading ---- */

static void drop_txn(void *txn)
{
    mdb_txn_abort(txn);
}

int lmdb_env_read(struct lmdb_env *e, struct lmdb_read *r, struct err *err)
{
    gate_enter(e->gate, &r->pass);
    if (e->now == NULL) {
        gate_leave(e->gate, &r->pass);
        return err_set(err, ERR_IO, "lmdb: %s could not be opened again", e->path);
    }
    int rc = r->pass.handle != NULL
                 ? mdb_txn_renew(r->pass.handle)
                 : mdb_txn_begin(e->now->env, NULL, MDB_RDONLY, (MDB_txn **)&r->pass.handle);
    r->txn = r->pass.handle;
    r->tables = &e->now->tables;
    if (rc == 0)
        return 0;
    lmdb_env_read_end(e, r);
    return lmdb_val_failed(err, "begin", rc);
}

void lmdb_env_read_end(struct lmdb_env *e, struct lmdb_read *r)
{
    if (r->pass.handle != NULL)
        mdb_txn_reset(r->pass.handle);
    if (r->pass.number % READS_A_LOOK == 0)
        lmdb_env_trim(e);
    gate_leave(e->gate, &r->pass);
}

int lmdb_env_pin(struct lmdb_env *e, struct lmdb_pin *pin, void (*lose)(struct lmdb_pin *pin),
                 struct err *err)
{
    struct gate_pass pass;
    gate_enter(e->gate, &pass);
    int rc = e->now != NULL
                 ? lmdb_pin_open(pin, e->now, lose, err)
                 : err_set(err, ERR_IO, "lmdb: %s could not be opened again", e->path);
    gate_leave(e->gate, &pass);
    return rc;
}

/* ---- the owner's ---- */

struct lmdb_handle *lmdb_env_handle(struct lmdb_env *e)
{
    return e->now;
}

void lmdb_env_trim(struct lmdb_env *e)
{
    if (e->now != NULL)
        resident_check(&e->now->resident, RESIDENT_BYTES);
}

int lmdb_env_sync(struct lmdb_env *e, struct err *err)
{
    if (e->now == NULL)
        return err_set(err, ERR_IO, "lmdb: %s could not be opened again", e->path);
    int rc = mdb_env_sync(e->now->env, 1);
    return rc == 0 ? 0 : lmdb_val_failed(err, "sync", rc);
}

static int open_handle(struct lmdb_env *e, size_t size, struct err *err)
{
    TRY(lmdb_handle_open(e->path, e->flags, size, &e->now, err));
    e->map_size = e->now->map_size;
    return 0;
}

static int replace_handle(struct lmdb_env *e, size_t size, struct err *err)
{
    gate_shut(e->gate);
    lmdb_handle_close(e->now);
    e->now = NULL;
    int rc = open_handle(e, size, err);
    gate_open(e->gate);
    return rc;
}

int lmdb_env_reopen(struct lmdb_env *e, struct err *err)
{
    return replace_handle(e, e->map_size, err);
}

bool lmdb_env_grow(struct lmdb_env *e, struct err *err)
{
    size_t was = e->map_size;
    return was <= SIZE_MAX / 2 && replace_handle(e, was * 2, err) == 0 && e->map_size > was;
}

/* ---- another store in place of this one ---- */

static int rename_beside(const char *from, const char *to, const char *ending, struct err *err)
{
    AUTO(buf_free) struct buf a = { 0 }, b = { 0 };
    buf_printf(&a, "%s%s%c", from, ending, 0);
    buf_printf(&b, "%s%s%c", to, ending, 0);
    TRY(buf_check(&a, err));
    TRY(buf_check(&b, err));
    return rename(a.p, b.p) == 0 ? 0 : lmdb_val_failed(err, to, errno);
}

static int sync_folders(const struct lmdb_env *e, const struct lmdb_env *other, struct err *err)
{
    if (fsync(e->dir) < 0 || fsync(other->dir) < 0)
        return lmdb_val_failed(err, "fsync directory", errno);
    return 0;
}

/*
 * LMDB holds both files by descriptor, so the one that is open may be renamed.  Its lock file goes
 * with it, for each handle needs one of its own, as long as pins keep the old one open; a crash
 * between the two is harmless, for the first to open resets that file.
 */
int lmdb_env_take(struct lmdb_env *e, struct lmdb_env **other, struct err *err)
{
    struct lmdb_env *o = *other;
    TRY(lmdb_env_sync(o, err));
    TRY(rename_beside(o->path, e->path, "", err));
    int rc = rename_beside(o->path, e->path, FILE_LMDB_LOCK, err);
    if (sync_folders(e, o, err) < 0)
        rc = -1;
    gate_shut(e->gate);
    struct lmdb_handle *old = e->now;
    e->now = o->now;
    e->map_size = o->map_size;
    gate_open(e->gate);
    o->now = NULL;
    lmdb_handle_retire(old);
    unlink(o->lock_name);
    lmdb_env_close(o);
    *other = NULL;
    return rc;
}

/* ---- opening and closing ---- */

void lmdb_env_close(struct lmdb_env *e)
{
    if (e == NULL)
        return;
    gate_free(e->gate);
    lmdb_handle_close(e->now);
    folder_close(&e->dir);
    folder_close(&e->lock); /* the last one: another process may open now */
    free(e->path);
    free(e->data);
    free(e->lock_name);
    free(e);
}

static char *joined(struct str path, const char *ending)
{
    size_t n = strlen(ending);
    char *z = malloc(path.n + n + 1);
    if (z == NULL)
        return NULL;
    memcpy(z, path.p, path.n);
    memcpy(z + path.n, ending, n + 1);
    return z;
}

static struct lmdb_env *new_env(const struct lmdb_env_options *o)
{
    struct lmdb_env *e = calloc(1, sizeof *e);
    if (e == NULL)
        return NULL;
    e->dir = e->lock = -1;
    e->flags = (o->file ? MDB_NOSUBDIR : 0) | (o->lazy ? MDB_NOMETASYNC : 0);
    e->path = joined(o->path, "");
    e->data = joined(o->path, o->file ? "" : DIRECTORY_DATA);
    e->lock_name = joined(o->path, o->file ? FILE_LOCK : DIRECTORY_LOCK);
    e->gate = gate_new(drop_txn);
    if (e->path != NULL && e->data != NULL && e->lock_name != NULL && e->gate != NULL)
        return e;
    lmdb_env_close(e);
    return NULL;
}

static int open_folder(struct lmdb_env *e, bool file, struct err *err)
{
    struct str path = str_of(e->path);
    if (file) {
        ptrdiff_t slash = str_rfind_byte(path, '/');
        path = slash < 0 ? STR(".") : str_head(path, slash == 0 ? 1 : (size_t)slash);
    }
    AUTO(buf_free) struct buf z = { 0 };
    buf_add(&z, path);
    buf_byte(&z, 0);
    TRY(buf_check(&z, err));
    return folder_open_root(z.p, &e->dir, err);
}

static int is_locked(const char *path, struct err *err)
{
    return err_set(err, ERR_CONFLICT, "lmdb: %s is in use by another process: stop that one, or "
                   "give this one a path of its own", path);
}

static int take_lock(struct lmdb_env *e, struct err *err)
{
    e->lock = open(e->lock_name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (e->lock < 0)
        return lmdb_val_failed(err, "open lock", errno);
    if (flock(e->lock, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return is_locked(e->path, err);
    return lmdb_val_failed(err, "lock", errno);
}

int lmdb_env_hold(const char *file, int *out, struct err *err)
{
    AUTO(buf_free) struct buf name = { 0 };
    buf_printf(&name, "%s%s%c", file, FILE_LOCK, 0);
    TRY(buf_check(&name, err));
    *out = open(name.p, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (*out < 0)
        return errno == ENOENT ? 0 : lmdb_val_failed(err, "open lock", errno);
    if (flock(*out, LOCK_SH | LOCK_NB) == 0)
        return 0;
    int rc = errno == EWOULDBLOCK ? is_locked(file, err) : lmdb_val_failed(err, "lock", errno);
    folder_close(out);
    return rc;
}

void lmdb_env_unhold(int fd)
{
    folder_close(&fd);
}

/* In a file of LMDB or of bbolt a header of 16 bytes precedes the magic number. */
enum { MAGIC_AT = 16, MAGIC_N = 4, MAGIC_LMDB = (int)0xBEEFC0DE, MAGIC_BOLT = (int)0xED0CDAED };

static int32_t load_magic(const uint8_t *p)
{
    return (int32_t)((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
                     (uint32_t)p[3] << 24);
}

/* What is there must look like LMDB's, or be absent or empty. */
int lmdb_env_look(const char *data, bool must_exist, struct err *err)
{
    uint8_t head[MAGIC_AT + MAGIC_N];
    AUTO(folder_close) int fd = open(data, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && !must_exist)
        return 0;
    if (fd < 0)
        return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "lmdb: open %s: %s", data,
                       strerror(errno));
    ssize_t n = pread(fd, head, sizeof head, 0);
    if (n < 0)
        return err_set(err, ERR_IO, "lmdb: read %s: %s", data, strerror(errno));
    int32_t magic = n == (ssize_t)sizeof head ? load_magic(head + MAGIC_AT) : 0;
    if (magic == MAGIC_LMDB || (n == 0 && !must_exist))
        return 0;
    if (magic == MAGIC_BOLT)
        return err_set(err, ERR_CORRUPT,
                       "lmdb: %s is a BoltDB file, as Vault writes it, which cannot be read here; "
                       "move it away, and bring its content over with a snapshot or a migration",
                       data);
    return err_set(err, ERR_CORRUPT,
                   "lmdb: %s is no LMDB database (it does not begin like one); move it away or "
                   "restore it from a snapshot", data);
}

static int start(struct lmdb_env *e, const struct lmdb_env_options *o, struct err *err)
{
    TRY(open_folder(e, o->file, err));
    if (o->must_exist)
        TRY(lmdb_env_look(e->data, true, err)); /* before a lock is left beside nothing */
    TRY(take_lock(e, err));
    TRY(lmdb_env_look(e->data, o->must_exist, err));
    TRY(open_handle(e, o->map_size != 0 ? o->map_size : map_largest, err));
    if (fsync(e->dir) < 0) /* the files' names must last too */
        return lmdb_val_failed(err, "fsync directory", errno);
    return 0;
}

int lmdb_env_open(const struct lmdb_env_options *options, struct lmdb_env **out, struct err *err)
{
    if (options->path.n == 0 || str_find_byte(options->path, 0) >= 0)
        return err_set(err, ERR_BAD_REQUEST, "'path' must be set");
    struct lmdb_env *e = new_env(options);
    if (e == NULL)
        return err_set(err, ERR_NOMEM, "lmdb: out of memory");
    if (start(e, options, err) < 0) {
        lmdb_env_close(e);
        return -1;
    }
    *out = e;
    return 0;
}
