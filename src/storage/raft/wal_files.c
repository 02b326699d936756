/* Wal_files: sorted by counter; a start goes through every record once, in order. */
#include "storage/raft/wal_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "storage/raft/wal_bytes.h"

void wal_files_free(struct wal_files *f)
{
    for (size_t i = 0; i < f->n; i++)
        wal_segment_unref(f->v[i]);
    free(f->v);
    *f = (struct wal_files){ 0 };
}

int wal_files_reserve(struct wal_files *f, size_t n, struct err *err)
{
    if (f->n + n <= f->cap)
        return 0;
    size_t cap = (f->n + n) * 2 + 8;
    struct wal_segment **more = reallocarray(f->v, cap, sizeof *more);
    if (more == NULL)
        return err_set(err, ERR_NOMEM, "raft log: out of memory");
    f->v = more;
    f->cap = cap;
    return 0;
}

void wal_files_add(struct wal_files *f, struct wal_segment *s)
{
    f->v[f->n++] = s;
}

void wal_files_drop(struct wal_files *f, size_t n)
{
    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++)
        wal_segment_unref(f->v[i]);
    f->n -= n;
    memmove(f->v, f->v + n, f->n * sizeof *f->v);
}

struct wal_segment *wal_files_find(const struct wal_files *f, uint32_t counter)
{
    if (f->n == 0 || counter < f->v[0]->counter || counter - f->v[0]->counter >= f->n)
        return NULL;
    return f->v[counter - f->v[0]->counter];
}

struct wal_segment *wal_files_last(const struct wal_files *f)
{
    return f->n > 0 ? f->v[f->n - 1] : NULL;
}

/* ---- finding them ---- */

static void close_dir(DIR **d)
{
    if (*d != NULL)
        closedir(*d);
}

static int open_dir(int dir, DIR **out, struct err *err)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *out = fd < 0 ? NULL : fdopendir(fd);
    if (*out != NULL)
        return 0;
    err_set(err, ERR_IO, "raft log: open directory: %s", strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

/* The next name that ends in ".log": 1, 0 at the end, -1. */
static int next_name(DIR *d, const char **name, struct err *err)
{
    uint64_t base;
    uint32_t counter;
    for (;;) {
        errno = 0;
        struct dirent *e = readdir(d);
        if (e == NULL && errno != 0)
            return err_set(err, ERR_IO, "raft log: read directory: %s", strerror(errno));
        if (e == NULL)
            return 0;
        if (!str_ends(str_of(e->d_name), STR(".log")))
            continue;
        *name = e->d_name;
        if (wal_segment_named(e->d_name, &base, &counter))
            return 1;
        return err_set(err, ERR_CORRUPT,
                       "raft log: %s: not one of the log's segments: move it elsewhere", *name);
    }
}

int wal_files_any(int dir, struct err *err)
{
    AUTO(close_dir) DIR *d = NULL;
    const char *name;
    TRY(open_dir(dir, &d, err));
    return next_name(d, &name, err);
}

/* ---- opening them ---- */

/* Names of files that were never begun. */
struct unbegun {
    char (*v)[WAL_SEGMENT_NAME];
    size_t n;
};

static void unbegun_free(struct unbegun *u)
{
    free(u->v);
}

static int unbegun_add(struct unbegun *u, const char *name, struct err *err)
{
    void *more = reallocarray(u->v, u->n + 1, sizeof *u->v);
    if (more == NULL)
        return err_set(err, ERR_NOMEM, "raft log: out of memory");
    u->v = more;
    snprintf(u->v[u->n++], sizeof *u->v, "%s", name);
    return 0;
}

static int by_counter(const void *a, const void *b)
{
    const struct wal_segment *x = *(struct wal_segment *const *)a;
    const struct wal_segment *y = *(struct wal_segment *const *)b;
    return x->counter < y->counter ? -1 : x->counter > y->counter;
}

static int open_all(int dir, const uint8_t id[WAL_ID], struct wal_files *f, struct unbegun *u,
                    struct err *err)
{
    AUTO(close_dir) DIR *d = NULL;
    const char *name;
    int more;
    TRY(open_dir(dir, &d, err));
    while ((more = next_name(d, &name, err)) > 0) {
        struct wal_segment *s;
        TRY(wal_files_reserve(f, 1, err));
        int rc = wal_segment_open(dir, name, id, &s, err);
        if (rc < 0 || (rc == 0 && unbegun_add(u, name, err) < 0))
            return -1;
        if (rc > 0)
            wal_files_add(f, s);
    }
    if (f->n > 0)
        qsort(f->v, f->n, sizeof *f->v, by_counter);
    return more;
}

/* A file that was never begun can only be the newest (the next is begun after it), or of before a
 * reset. */
static bool may_be_unbegun(const struct wal_files *f, uint32_t counter)
{
    return f->n == 0 || counter >= wal_files_last(f)->counter
           || (f->v[0]->reset && counter < f->v[0]->counter);
}

static int remove_unbegun(int dir, const struct wal_files *f, const struct unbegun *u,
                          struct err *err)
{
    uint64_t base;
    uint32_t counter;
    for (size_t i = 0; i < u->n; i++)
        if (wal_segment_named(u->v[i], &base, &counter) && !may_be_unbegun(f, counter))
            return err_set(err, ERR_CORRUPT, "raft log: %s: its head is gone" WAL_ADVICE,
                           u->v[i]);
    for (size_t i = 0; i < u->n; i++)
        if (unlinkat(dir, u->v[i], 0) < 0)
            return err_set(err, ERR_IO, "raft log: remove %s: %s", u->v[i], strerror(errno));
    return 0;
}

/* What stands before the last reset was to be removed. */
static int remove_before_reset(int dir, struct wal_files *f, struct err *err)
{
    size_t keep = f->n;
    while (keep > 0 && !f->v[keep - 1]->reset)
        keep--;
    if (keep == 0)
        return 0;
    for (size_t i = 0; i < keep - 1; i++)
        if (unlinkat(dir, f->v[i]->name, 0) < 0)
            return err_set(err, ERR_IO, "raft log: remove %s: %s", f->v[i]->name,
                           strerror(errno));
    wal_files_drop(f, keep - 1);
    return 0;
}

static int check_no_gap(const struct wal_files *f, struct err *err)
{
    for (size_t i = 1; i < f->n; i++)
        if (f->v[i]->counter != f->v[i - 1]->counter + 1)
            return err_set(err, ERR_CORRUPT,
                           "raft log: between %s and %s a segment is missing: put it back, "
                           "or" WAL_ADVICE,
                           f->v[i - 1]->name, f->v[i]->name);
    return 0;
}

/* ---- replaying ---- */

static int take(struct wal_segment *s, const struct wal_record *r, uint64_t at, bool any_yet,
                struct wal_index *x, struct err *err)
{
    if (any_yet && r->index > x->next)
        return err_set(err, ERR_CORRUPT,
                       "raft log: %s: entry %" PRIu64 " stands behind %" PRIu64 WAL_ADVICE,
                       s->name, r->index, x->next - 1);
    if (!any_yet)
        wal_index_reset(x, r->index);
    TRY(wal_index_reserve(x, 1, 1, err));
    wal_index_put(x, r->index, r->term,
                  (struct wal_place){ s->counter, (uint32_t)(at / 8), r->n });
    return 0;
}

static int replay(struct wal_segment *s, uint64_t limit, bool *any_yet, struct wal_index *x,
                  struct err *err)
{
    AUTO(wal_scan_fini) struct wal_scan c;
    struct wal_record r;
    uint64_t at;
    int rc;
    wal_scan_init(&c, s, limit);
    while ((rc = wal_scan_next(&c, &r, &at, err)) > 0) {
        if (r.kind != WAL_RECORD_ENTRY)
            continue;
        TRY(take(s, &r, at, *any_yet, x, err));
        *any_yet = true;
    }
    s->end = c.at;
    s->crc = c.crc;
    return rc;
}

static int replay_all(struct wal_files *f, struct wal_index *x, struct err *err)
{
    bool any_yet = false;
    wal_index_reset(x, f->n > 0 && f->v[0]->base > 0 ? f->v[0]->base : 1);
    for (size_t i = 0; i < f->n; i++) {
        struct wal_segment *s = f->v[i], *next = i + 1 < f->n ? f->v[i + 1] : NULL;
        TRY(replay(s, next != NULL ? next->prev_end : UINT64_MAX, &any_yet, x, err));
        if (next != NULL && (s->end != next->prev_end || s->crc != next->prev_crc))
            return err_set(err, ERR_CORRUPT,
                           "raft log: %s: damaged at byte %" PRIu64
                           ", and entries follow in %s" WAL_ADVICE,
                           s->name, s->end, next->name);
    }
    return 0;
}

int wal_files_load(int dir, const uint8_t id[WAL_ID], struct wal_files *f, struct wal_index *x,
                   struct err *err)
{
    AUTO(unbegun_free) struct unbegun u = { 0 };
    TRY(open_all(dir, id, f, &u, err));
    TRY(remove_before_reset(dir, f, err));
    TRY(remove_unbegun(dir, f, &u, err));
    TRY(check_no_gap(f, err));
    return replay_all(f, x, err);
}
