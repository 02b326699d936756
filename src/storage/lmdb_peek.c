/* Lmdb_peek, by a read-only environment without LMDB's own lock file. */
#include "storage/lmdb_peek.h"

#include <sys/stat.h>

#include "storage/lmdb_env.h"

static void drop_env(MDB_env **env)
{
    if (*env != NULL)
        mdb_env_close(*env);
}

static void drop_txn(MDB_txn **txn)
{
    if (*txn != NULL)
        mdb_txn_abort(*txn);
}

static int read_txn(MDB_txn *txn, const char *file, struct str key, struct buf *mark,
                    struct buf *value, struct err *err)
{
    struct lmdb_tables tables;
    struct str found;
    TRY(lmdb_tables_open(&tables, txn, file, err));
    TRY(lmdb_tables_mark(&tables, txn, mark, err));
    int rc = lmdb_tables_get(&tables, txn, key, &found, err);
    TRY(rc);
    if (rc > 0)
        buf_add(value, found);
    TRY(buf_check(mark, err));
    TRY(buf_check(value, err));
    return 1;
}

static int open_and_read(const char *file, struct str key, struct buf *mark, struct buf *value,
                         struct err *err)
{
    AUTO(drop_env) MDB_env *env = NULL;
    AUTO(drop_txn) MDB_txn *txn = NULL;
    int rc = mdb_env_create(&env);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(env, LMDB_TABLES_COUNT);
    if (rc == 0)
        rc = mdb_env_open(env, file, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS, 0600);
    if (rc == 0)
        rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    return rc == 0 ? read_txn(txn, file, key, mark, value, err) : lmdb_val_failed(err, file, rc);
}

int lmdb_peek(const char *file, struct str key, struct buf *mark, struct buf *value,
              struct err *err)
{
    struct stat st;
    int fd;
    TRY(lmdb_env_look(file, false, err));
    if (stat(file, &st) < 0 || st.st_size == 0)
        return 0;
    TRY(lmdb_env_hold(file, &fd, err));
    int rc = open_and_read(file, key, mark, value, err);
    lmdb_env_unhold(fd);
    return rc;
}
