/* LMDB's codes as errors. */
#include "storage/lmdb_val.h"

#include <errno.h>

static bool disk_full(int rc)
{
    return rc == ENOSPC || rc == EDQUOT || rc == EFBIG;
}

int lmdb_val_failed(struct err *err, const char *what, int rc)
{
    bool corrupt = rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND || rc == MDB_INVALID ||
                   rc == MDB_VERSION_MISMATCH;
    enum err_code code = rc == ENOMEM ? ERR_NOMEM : corrupt ? ERR_CORRUPT : ERR_IO;
    /* LMDB says EIO of a write that a full disk cut short. */
    return err_set(err, code, "lmdb: %s: %s", what,
                   disk_full(rc) ? "no space left for the data"
                   : rc == EIO   ? "a write failed or was cut short (is the disk full?)"
                                 : mdb_strerror(rc));
}
