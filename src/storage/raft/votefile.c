/* Votefile: magic 8, version 4, zero 4, id 16, counter 8, term 8, vote 8, zero 4, checksum 4. */
#include "storage/raft/votefile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/random.h"
#include "storage/raft/wal_bytes.h"

#define SLOT 64
#define SLOT_APART 4096 /* a page and a sector of its own each */
#define VERSION 1
#define NEW_NAME VOTEFILE_NAME ".new"

static const char magic[8] = { 'C', 'o', 'f', 'f', 'e', 'r', 'R', 'V' };

static int failed(const char *what, struct err *err)
{
    return err_set(err, ERR_IO, "raft log: %s " VOTEFILE_NAME ": %s", what, strerror(errno));
}

static int write_slot(int fd, const struct votefile *v, struct err *err)
{
    char slot[SLOT] = { 0 };
    memcpy(slot, magic, sizeof magic);
    wal_put32(slot + 8, VERSION);
    memcpy(slot + 16, v->id, VOTEFILE_ID);
    wal_put64(slot + 32, v->counter);
    wal_put64(slot + 40, v->term);
    wal_put64(slot + 48, v->voted_for);
    wal_put32(slot + SLOT - 4, crc32c(0, str_mem(slot, SLOT - 4)));
    ssize_t n = pwrite(fd, slot, SLOT, (off_t)(v->counter % 2 * SLOT_APART));
    if (n >= 0 && n < SLOT)
        errno = ENOSPC;
    return n < SLOT ? failed("write", err) : 0;
}

static bool read_slot(const char slot[SLOT], struct votefile *v)
{
    if (memcmp(slot, magic, sizeof magic) != 0 || wal_get32(slot + 8) != VERSION
        || wal_get32(slot + SLOT - 4) != crc32c(0, str_mem(slot, SLOT - 4)))
        return false;
    memcpy(v->id, slot + 16, VOTEFILE_ID);
    v->counter = wal_get64(slot + 32);
    v->term = wal_get64(slot + 40);
    v->voted_for = wal_get64(slot + 48);
    return true;
}

/* Both slots are there before the file has its name: so two that do not check are never a crash. */
static int make(int dir, struct err *err)
{
    struct votefile v = { 0 };
    AUTO(votefile_close) struct votefile file = { .fd = openat(
        dir, NEW_NAME, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600) };
    if (file.fd < 0)
        return failed("make", err);
    random_fill(v.id, sizeof v.id);
    for (v.counter = 0; v.counter < 2; v.counter++)
        TRY(write_slot(file.fd, &v, err));
    if (fsync(file.fd) < 0)
        return failed("fsync", err);
    if (renameat(dir, NEW_NAME, dir, VOTEFILE_NAME) < 0)
        return failed("rename", err);
    return fsync(dir) < 0 ? failed("fsync the directory of", err) : 0;
}

static int corrupt(const char slots[2][SLOT], struct err *err)
{
    for (int i = 0; i < 2; i++)
        if (memcmp(slots[i], magic, sizeof magic) == 0 && wal_get32(slots[i] + 8) != VERSION)
            return err_set(err, ERR_CORRUPT,
                           "raft log: " VOTEFILE_NAME ": its version is %" PRIu32
                           ", known is %d: start the server that wrote it, or" WAL_ADVICE,
                           wal_get32(slots[i] + 8), VERSION);
    return err_set(err, ERR_CORRUPT,
                   "raft log: " VOTEFILE_NAME ": damaged, or not this server's" WAL_ADVICE);
}

static int load(struct votefile *v, struct err *err)
{
    char slots[2][SLOT] = { 0 };
    struct votefile found[2] = { 0 };
    bool good[2];
    for (int i = 0; i < 2; i++) {
        if (pread(v->fd, slots[i], SLOT, (off_t)i * SLOT_APART) < 0)
            return failed("read", err);
        good[i] = read_slot(slots[i], &found[i]);
    }
    if (!good[0] && !good[1])
        return corrupt(slots, err);
    struct votefile *newest = &found[good[1] && (!good[0] || found[1].counter > found[0].counter)];
    newest->fd = v->fd;
    *v = *newest;
    return 0;
}

int votefile_open(int dir, bool may_make, struct votefile *v, struct err *err)
{
    int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW;
    v->fd = openat(dir, VOTEFILE_NAME, flags);
    if (v->fd < 0 && errno == ENOENT) {
        if (!may_make)
            return err_set(err, ERR_CORRUPT,
                           "raft log: " VOTEFILE_NAME
                           " is missing beside the log's segments" WAL_ADVICE);
        TRY(make(dir, err));
        v->fd = openat(dir, VOTEFILE_NAME, flags);
    }
    if (v->fd < 0)
        return failed("open", err);
    TRY(load(v, err));
    /* One who was killed may have left it in the page cache only. */
    return fdatasync(v->fd) < 0 ? failed("fdatasync", err) : 0;
}

void votefile_close(struct votefile *v)
{
    if (v->fd >= 0)
        close(v->fd);
    v->fd = -1;
}

int votefile_set(struct votefile *v, uint64_t term, uint64_t voted_for, bool *lost,
                 struct err *err)
{
    struct votefile next = *v;
    next.counter++;
    next.term = term;
    next.voted_for = voted_for;
    *lost = false;
    TRY(write_slot(v->fd, &next, err));
    if (fdatasync(v->fd) < 0) {
        *lost = true;
        return failed("fdatasync", err);
    }
    *v = next;
    return 0;
}
