/*
 * Fuzz target: a directory with one or two segments of anyone's making.  It opens or is refused as
 * a whole; what opens can be read, takes entries, and opens again with them.
 *
 * Byte 0: 1 the sums are put right, so that what stands behind them is looked at; 2 the second
 * segment names the first one's end; 4 both belong to this log; 8 there is room behind the last.
 * Bytes 1-2: the length of the first segment; the rest is the second.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "storage/raft/wal.h"
#include "storage/raft/wal_bytes.h"
#include "storage/raft/wal_segment.h"

#define CRC_AT (WAL_SEGMENT_HEAD - 4)

enum { SUM_UP = 1, CHAIN = 2, OWN = 4, ROOM = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[64];
static char id[WAL_ID];

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void path_of(char out[128], const char *name)
{
    snprintf(out, 128, "%s/%s", dir, name);
}

static void remove_dir(void)
{
    char path[128];
    path_of(path, "raft.db");
    unlink(path);
    rmdir(dir);
}

/* A log of its own, whose id the segments get. */
static void make_dir(void)
{
    struct wal *w;
    char path[128];
    snprintf(dir, sizeof dir, "/dev/shm/coffer-wal-fuzz-XXXXXX");
    if (mkdtemp(dir) == NULL) {
        snprintf(dir, sizeof dir, "/tmp/coffer-wal-fuzz-XXXXXX");
        must(mkdtemp(dir) != NULL);
    }
    atexit(remove_dir);
    must(wal_open(dir, &w, NULL) == 0);
    wal_close(w);
    path_of(path, "raft.db");
    int fd = open(path, O_RDONLY);
    must(fd >= 0 && pread(fd, id, sizeof id, 16) == sizeof id);
    close(fd);
}

/* Where one segment ends, for the next. */
struct end {
    uint64_t at;
    uint32_t crc;
};

static struct end sum_up(char *p, size_t n)
{
    struct end e = { WAL_SEGMENT_HEAD, crc32c(0, str_mem(p, CRC_AT)) };
    wal_put32(p + CRC_AT, e.crc);
    while (n - e.at >= WAL_RECORD_HEAD) {
        char *r = p + e.at;
        uint64_t used = WAL_RECORD_HEAD + (uint64_t)wal_get32(r + 8);
        if (wal_record_space(used - WAL_RECORD_HEAD) > n - e.at)
            break;
        wal_put32(r + 4, e.crc);
        e.crc = crc32c(0, str_mem(r + 4, used - 4));
        wal_put32(r, e.crc);
        e.at += wal_record_space(used - WAL_RECORD_HEAD);
    }
    return e;
}

/* Under the name that its head says, so that it is looked at. */
static void write_segment(struct str bytes, int flags, struct end *before)
{
    AUTO(buf_free) struct buf b = { 0 };
    char file[64], name[128];
    if (bytes.n < WAL_SEGMENT_HEAD)
        return;
    buf_add(&b, bytes);
    if ((flags & OWN) != 0)
        memcpy(b.p + 16, id, sizeof id);
    if ((flags & CHAIN) != 0 && before->at > 0) {
        wal_put64(b.p + 64, before->at);
        wal_put32(b.p + 72, before->crc);
    }
    if ((flags & SUM_UP) != 0)
        *before = sum_up(b.p, b.n);
    snprintf(file, sizeof file, "%020" PRIu64 "-%010" PRIu64 ".log", wal_get64(b.p + 56),
             wal_get64(b.p + 48));
    path_of(name, file);
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    must(fd >= 0 && write(fd, b.p, b.n) == (ssize_t)b.n);
    if ((flags & ROOM) != 0)
        must(ftruncate(fd, (off_t)b.n + 512) == 0);
    close(fd);
}

static void check_entries(struct wal *w)
{
    uint64_t first = wal_first(w), last = wal_last(w);
    must(first > 0 && first <= last + 1);
    for (uint64_t i = first; i <= last; i++) {
        AUTO(buf_free) struct buf b = { 0 };
        struct wal_entry e;
        must(wal_read(w, i, &e, &b, NULL) == 1);
        must(e.index == i && e.term == wal_term_of(w, i) && e.data.n == b.n);
    }
}

static void check(int flags)
{
    struct wal *w;
    struct err err = { 0 };
    if (wal_open(dir, &w, &err) < 0) {
        must(err.code == ERR_CORRUPT);
        return;
    }
    check_entries(w);
    uint64_t first = wal_first(w), last = wal_last(w);
    struct wal_entry e = { last + 1, 9, 1, STR("one more") };
    bool add = (flags & ROOM) != 0 && last < UINT64_MAX - 1;
    must(!add || (wal_append(w, &e, 1, &err) == 0 && wal_sync(w, &err) == 0));
    wal_close(w);

    must(wal_open(dir, &w, &err) == 0);
    must(wal_first(w) == first && wal_last(w) == last + add);
    check_entries(w);
    wal_close(w);
}

/* Those of the log's own making too. */
static void remove_segments(void)
{
    DIR *d = opendir(dir);
    must(d != NULL);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (str_ends(str_of(e->d_name), STR(".log")))
            must(unlinkat(dirfd(d), e->d_name, 0) == 0);
    closedir(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    if (dir[0] == 0)
        make_dir();
    struct str rest = str_from(str_mem(data, size), 3);
    struct str first = str_head(rest, (size_t)data[1] << 8 | data[2]);
    struct end before = { 0 };
    write_segment(first, data[0], &before);
    write_segment(str_from(rest, first.n), data[0], &before);
    check(data[0]);
    remove_segments();
    return 0;
}
