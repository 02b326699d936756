/*
 * Wal_segment: magic 8, version 4, flags 4, id of the log 16, random 16, counter 8, base 8, end of
 * the one before 8, its last checksum 4, zeros, checksum 4.
 */
#include "storage/raft/wal_segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/random.h"
#include "storage/raft/wal_bytes.h"

#define VERSION 1
#define RESET 1
#define CRC_AT (WAL_SEGMENT_HEAD - 4)
#define WINDOW ((size_t)1 << 20)

static const char magic[8] = { 'C', 'o', 'f', 'f', 'e', 'r', 'W', 'L' };

static int failed(const struct wal_segment *s, const char *what, struct err *err)
{
    return err_set(err, ERR_IO, "raft log: %s %s: %s", what, s->name, strerror(errno));
}

static int corrupt(const struct wal_segment *s, const char *what, struct err *err)
{
    return err_set(err, ERR_CORRUPT, "raft log: %s: %s" WAL_ADVICE, s->name, what);
}

static struct wal_segment *new_segment(void)
{
    struct wal_segment *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    s->fd = -1;
    atomic_init(&s->refs, 1);
    return s;
}

struct wal_segment *wal_segment_ref(struct wal_segment *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void wal_segment_unref(struct wal_segment *s)
{
    if (s == NULL || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (s->fd >= 0)
        close(s->fd);
    free(s);
}

static void drop(struct wal_segment **s)
{
    wal_segment_unref(*s);
}

bool wal_segment_named(const char *name, uint64_t *base, uint32_t *counter)
{
    uint64_t c;
    struct str rest = str_of(name), first, second;
    if (!str_next(&rest, '-', &first) || first.n != 20 || !str_next(&rest, '.', &second)
        || second.n != 10 || !str_is(rest, "log"))
        return false;
    if (!str_to_u64(first, base) || *base == UINT64_MAX || !str_to_u64(second, &c) || c >= UINT32_MAX)
        return false;
    *counter = (uint32_t)c;
    return true;
}

/* ---- the head ---- */

static void encode_head(struct wal_segment *s, const uint8_t id[WAL_ID])
{
    char *h = s->head;
    memcpy(h, magic, sizeof magic);
    wal_put32(h + 8, VERSION);
    wal_put32(h + 12, s->reset ? RESET : 0);
    memcpy(h + 16, id, WAL_ID);
    random_fill(h + 32, 16);
    wal_put64(h + 48, s->counter);
    wal_put64(h + 56, s->base);
    wal_put64(h + 64, s->prev_end);
    wal_put32(h + 72, s->prev_crc);
    s->crc = crc32c(0, str_mem(h, CRC_AT));
    wal_put32(h + CRC_AT, s->crc);
    s->end = WAL_SEGMENT_HEAD;
}

static int decode_head(struct wal_segment *s, const uint8_t id[WAL_ID], struct err *err)
{
    const char *h = s->head;
    uint64_t base = s->base, counter = s->counter;
    if (memcmp(h, magic, sizeof magic) != 0)
        return corrupt(s, "not a segment of this server's", err);
    if (wal_get32(h + 8) != VERSION)
        return err_set(err, ERR_CORRUPT,
                       "raft log: %s: its version is %" PRIu32 ", known is %d: start the server "
                       "that wrote it, or" WAL_ADVICE,
                       s->name, wal_get32(h + 8), VERSION);
    s->crc = crc32c(0, str_mem(h, CRC_AT));
    if (s->crc != wal_get32(h + CRC_AT))
        return corrupt(s, "its head is damaged", err);
    if (memcmp(h + 16, id, WAL_ID) != 0)
        return corrupt(s, "it belongs to another log than raft.db and was copied here", err);
    if (wal_get64(h + 48) != counter || wal_get64(h + 56) != base)
        return corrupt(s, "it has been renamed", err);
    s->reset = (wal_get32(h + 12) & RESET) != 0;
    s->prev_end = wal_get64(h + 64);
    s->prev_crc = wal_get32(h + 72);
    s->end = WAL_SEGMENT_HEAD;
    s->begun = true;
    return 0;
}

/* ---- files ---- */

static int reserve_space(struct wal_segment *s, struct err *err)
{
    int rc;
    do
        rc = fallocate(s->fd, 0, 0, (off_t)s->size);
    while (rc < 0 && errno == EINTR);
    if (rc < 0 && errno == EOPNOTSUPP) /* then a full disk shows at a write */
        rc = ftruncate(s->fd, (off_t)s->size);
    return rc < 0 ? failed(s, "reserve space for", err) : 0;
}

int wal_segment_new(int dir, const uint8_t id[WAL_ID], const struct wal_segment_plan *plan,
                    struct wal_segment **out, struct err *err)
{
    AUTO(drop) struct wal_segment *s = new_segment();
    if (s == NULL)
        return err_set(err, ERR_NOMEM, "raft log: out of memory");
    s->counter = plan->counter;
    s->base = plan->base;
    s->size = plan->size;
    s->reset = plan->reset;
    s->prev_end = plan->prev_end;
    s->prev_crc = plan->prev_crc;
    encode_head(s, id);
    snprintf(s->name, sizeof s->name, "%020" PRIu64 "-%010" PRIu32 ".log", s->base, s->counter);

    /* One of that name was never begun: counters of those that were are in use. */
    s->fd = openat(dir, s->name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->fd < 0)
        return failed(s, "make", err);
    if (reserve_space(s, err) < 0) {
        unlinkat(dir, s->name, 0);
        return -1;
    }
    *out = s;
    s = NULL;
    return 0;
}

/* Read ${n} bytes, fewer only at the end of the file. */
static ssize_t read_at(const struct wal_segment *s, char *to, size_t n, uint64_t at,
                       struct err *err)
{
    size_t got = 0;
    while (got < n) {
        ssize_t r = pread(s->fd, to + got, n - got, (off_t)(at + got));
        if (r == 0)
            break;
        if (r < 0 && errno != EINTR)
            return failed(s, "read", err);
        got += r > 0 ? (size_t)r : 0;
    }
    return (ssize_t)got;
}

static bool all_zero(const char *p, size_t n)
{
    return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

static int open_file(struct wal_segment *s, int dir, struct err *err)
{
    struct stat st;
    s->fd = openat(dir, s->name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (s->fd < 0)
        return failed(s, "open", err);
    if (fstat(s->fd, &st) < 0)
        return failed(s, "stat", err);
    if (!S_ISREG(st.st_mode))
        return corrupt(s, "not a regular file", err);
    s->size = (uint64_t)st.st_size;
    return 0;
}

int wal_segment_open(int dir, const char *name, const uint8_t id[WAL_ID], struct wal_segment **out,
                     struct err *err)
{
    AUTO(drop) struct wal_segment *s = new_segment();
    if (s == NULL)
        return err_set(err, ERR_NOMEM, "raft log: out of memory");
    snprintf(s->name, sizeof s->name, "%s", name);
    if (!wal_segment_named(s->name, &s->base, &s->counter))
        return corrupt(s, "not a segment's name", err);
    TRY(open_file(s, dir, err));
    ssize_t got = read_at(s, s->head, sizeof s->head, 0, err);
    if (got < 0)
        return -1;
    if (all_zero(s->head, (size_t)got))
        return 0;
    if (got < WAL_SEGMENT_HEAD)
        return corrupt(s, "its head is cut off", err);
    TRY(decode_head(s, id, err));
    *out = s;
    s = NULL;
    return 1;
}

int wal_segment_write(struct wal_segment *s, uint64_t at, struct str bytes, struct err *err)
{
    while (bytes.n > 0) {
        ssize_t n = pwrite(s->fd, bytes.p, bytes.n, (off_t)at);
        if (n < 0 && errno != EINTR)
            return failed(s, "write", err);
        if (n > 0) {
            bytes = str_from(bytes, (size_t)n);
            at += (uint64_t)n;
        }
    }
    return 0;
}

int wal_segment_begin(struct wal_segment *s, struct err *err)
{
    TRY(wal_segment_write(s, 0, str_mem(s->head, sizeof s->head), err));
    s->begun = true;
    return 0;
}

int wal_segment_read(struct wal_segment *s, uint64_t at, uint32_t n, struct wal_record *out,
                     struct buf *data, struct err *err)
{
    char head[WAL_RECORD_HEAD];
    if (buf_reserve(data, (size_t)n + 1) < 0)
        return err_set(err, ERR_NOMEM, "raft log: out of memory");
    struct iovec v[2] = { { head, sizeof head }, { data->p + data->n, n } };
    ssize_t got = preadv(s->fd, v, n > 0 ? 2 : 1, (off_t)at);
    if (got != (ssize_t)(sizeof head + n)) { /* cut short: once more, piece by piece */
        if ((got = read_at(s, head, sizeof head, at, err)) < 0)
            return -1;
        if (got == sizeof head && n > 0
            && (got = read_at(s, v[1].iov_base, n, at + sizeof head, err)) < 0)
            return -1;
        if (got != (ssize_t)(n > 0 ? n : sizeof head))
            return corrupt(s, "it has been cut off", err);
    }
    *out = wal_record_head(head);
    if (out->n != n || !wal_record_sound(head, v[1].iov_base))
        return corrupt(s, "an entry is damaged", err);
    data->n += n;
    return 0;
}

/* ---- going through ---- */

void wal_scan_init(struct wal_scan *c, struct wal_segment *s, uint64_t limit)
{
    *c = (struct wal_scan){ .s = s,
                            .limit = limit < s->size ? limit : s->size,
                            .at = WAL_SEGMENT_HEAD,
                            .crc = wal_get32(s->head + CRC_AT),
                            .window_at = WAL_SEGMENT_HEAD };
}

void wal_scan_fini(struct wal_scan *c)
{
    free(c->window);
}

static int grow(struct wal_scan *c, size_t n, struct err *err)
{
    size_t cap = n > WINDOW ? n : WINDOW;
    if (c->cap >= cap)
        return 0;
    char *more = realloc(c->window, cap);
    if (more == NULL)
        return err_set(err, ERR_NOMEM, "raft log: out of memory");
    c->window = more;
    c->cap = cap;
    return 0;
}

/* Have ${n} bytes from c->at on in the window: 1, 0 there are not that many, -1. */
static int have_bytes(struct wal_scan *c, uint64_t n, struct err *err)
{
    if (c->at > c->limit || n > c->limit - c->at)
        return 0;
    if (c->at + n <= c->window_at + c->have)
        return 1;
    TRY(grow(c, n, err));
    size_t done = (size_t)(c->at - c->window_at);
    memmove(c->window, c->window + done, c->have - done);
    c->have -= done;
    c->window_at = c->at;
    uint64_t left = c->limit - (c->at + c->have), room = c->cap - c->have;
    ssize_t got = read_at(c->s, c->window + c->have, left < room ? left : room, c->at + c->have,
                          err);
    if (got < 0)
        return -1;
    c->have += (size_t)got;
    return c->have >= n;
}

int wal_scan_next(struct wal_scan *c, struct wal_record *out, uint64_t *at, struct err *err)
{
    int rc = have_bytes(c, WAL_RECORD_HEAD, err);
    if (rc <= 0)
        return rc;
    *out = wal_record_head(c->window + (c->at - c->window_at));
    if (out->before != c->crc)
        return 0;
    if ((rc = have_bytes(c, wal_record_space(out->n), err)) <= 0)
        return rc;
    const char *p = c->window + (c->at - c->window_at);
    if (!wal_record_sound(p, p + WAL_RECORD_HEAD))
        return 0;
    *at = c->at;
    c->at += wal_record_space(out->n);
    c->crc = out->crc;
    return 1;
}
