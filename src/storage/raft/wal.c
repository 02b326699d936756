/* Wal: one who appends, one who syncs, any who read; the mutex guards what they share in memory. */
#include "storage/raft/wal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/raft/votefile.h"
#include "storage/raft/wal_batch.h"
#include "storage/raft/wal_files.h"
#include "storage/raft/wal_recent.h"

#define RECENT_BYTES ((size_t)8 << 20)

struct wal {
    int dir; /* locked against other processes */

    /* of the appending thread */
    uint32_t next_counter;
    bool mark; /* behind the end stand bytes of another time: a mark goes before the next entry */

    pthread_mutex_t vote_mu; /* held by one who writes the vote, over that */
    struct votefile votes;

    pthread_mutex_t mu; /* a leaf; never over the disk */
    struct wal_files files;
    struct wal_index index;
    struct wal_recent recent;
    struct wal_point durable; /* all before it is on disk for good */
    uint64_t term, voted_for;
    bool failed;
};

static int failed(struct err *err, const char *what)
{
    return err_set(err, ERR_IO, "raft log: %s: %s", what, strerror(errno));
}

/* After this nobody knows what the disk holds: asking it again would be answered with a lie. */
static int lost(struct wal *w, struct err *err)
{
    pthread_mutex_lock(&w->mu);
    w->failed = true;
    pthread_mutex_unlock(&w->mu);
    return err_prefix(err, "the raft log stops, check the disk and start this server again");
}

static int check_usable(struct wal *w, struct err *err)
{
    pthread_mutex_lock(&w->mu);
    bool bad = w->failed;
    pthread_mutex_unlock(&w->mu);
    return bad ? err_set(err, ERR_IO,
                         "raft log: stopped since its disk failed to keep what was written: check "
                         "the disk and start this server again")
               : 0;
}

/* ---- opening ---- */

static int sync_parent(const char *path, struct err *err)
{
    char copy[PATH_MAX];
    if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy) {
        errno = ENAMETOOLONG;
        return failed(err, "make directory");
    }
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return failed(err, "open the directory above");
    int rc = fsync(fd);
    if (rc < 0)
        failed(err, "fsync the directory above");
    close(fd);
    return rc;
}

static int open_dir(struct wal *w, const char *path, struct err *err)
{
    if (mkdir(path, 0700) == 0)
        TRY(sync_parent(path, err));
    else if (errno != EEXIST)
        return failed(err, "make directory");
    w->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (w->dir < 0)
        return failed(err, "open directory");
    if (flock(w->dir, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK
                   ? err_set(err, ERR_IO, "raft log: another process is using it")
                   : failed(err, "lock");
    return 0;
}

/* What a crash left in the page cache only is durable after this. */
static int sync_loaded(struct wal *w, struct err *err)
{
    struct wal_segment *last = wal_files_last(&w->files);
    if (last == NULL)
        return 0;
    if (fdatasync(last->fd) < 0 || fsync(w->dir) < 0)
        return failed(err, "fsync");
    w->durable = (struct wal_point){ last->counter, last->end };
    w->next_counter = last->counter + 1;
    w->mark = true;
    return 0;
}

static int load(struct wal *w, const char *path, struct err *err)
{
    TRY(open_dir(w, path, err));
    int any = wal_files_any(w->dir, err);
    TRY(any);
    TRY(votefile_open(w->dir, any == 0, &w->votes, err));
    w->term = w->votes.term;
    w->voted_for = w->votes.voted_for;
    TRY(wal_files_load(w->dir, w->votes.id, &w->files, &w->index, err));
    return sync_loaded(w, err);
}

static void drop_wal(struct wal **w)
{
    wal_close(*w);
}

int wal_open(const char *path, struct wal **out, struct err *err)
{
    AUTO(drop_wal) struct wal *w = calloc(1, sizeof *w);
    if (w == NULL)
        return err_set(err, ERR_NOMEM, "raft log: out of memory");
    w->dir = w->votes.fd = -1;
    w->next_counter = 1;
    pthread_mutex_init(&w->vote_mu, NULL);
    pthread_mutex_init(&w->mu, NULL);
    if (load(w, path, err) < 0)
        return err_prefix(err, "%s", path);
    *out = w;
    w = NULL;
    return 0;
}

void wal_close(struct wal *w)
{
    if (w == NULL)
        return;
    wal_recent_clear(&w->recent);
    wal_index_free(&w->index);
    wal_files_free(&w->files);
    votefile_close(&w->votes);
    if (w->dir >= 0)
        close(w->dir);
    pthread_mutex_destroy(&w->mu);
    pthread_mutex_destroy(&w->vote_mu);
    free(w);
}

/* ---- looking ---- */

uint64_t wal_first(struct wal *w)
{
    pthread_mutex_lock(&w->mu);
    uint64_t first = w->index.first;
    pthread_mutex_unlock(&w->mu);
    return first;
}

uint64_t wal_last(struct wal *w)
{
    pthread_mutex_lock(&w->mu);
    uint64_t last = w->index.next - 1;
    pthread_mutex_unlock(&w->mu);
    return last;
}

uint64_t wal_term_of(struct wal *w, uint64_t index)
{
    pthread_mutex_lock(&w->mu);
    uint64_t term = wal_index_term(&w->index, index);
    pthread_mutex_unlock(&w->mu);
    return term;
}

/* Where an entry is to be had; one of the two is held. */
struct source {
    struct wal_segment *segment;
    struct wal_chunk *chunk;
    uint64_t at; /* in the segment, or in the chunk */
    uint64_t term;
    uint32_t n;
};

static void source_drop(struct source *s)
{
    wal_segment_unref(s->segment);
    wal_chunk_unref(s->chunk);
}

static bool find(struct wal *w, uint64_t index, struct source *s)
{
    const struct wal_place *p = wal_index_place(&w->index, index);
    if (p == NULL)
        return false;
    struct wal_point at = { p->segment, (uint64_t)p->at8 * 8 };
    struct wal_chunk *c = wal_recent_find(&w->recent, at);
    s->term = wal_index_term(&w->index, index);
    s->n = p->n;
    if (c != NULL) {
        s->chunk = wal_chunk_ref(c);
        s->at = at.at - c->from.at;
    } else {
        s->segment = wal_segment_ref(wal_files_find(&w->files, p->segment));
        s->at = at.at;
    }
    return true;
}

static int copy_recent(const struct source *s, struct wal_record *r, struct buf *data,
                       struct err *err)
{
    const char *p = s->chunk->bytes + s->at;
    if (buf_reserve(data, (size_t)s->n + 1) < 0)
        return err_set(err, ERR_NOMEM, "raft log: out of memory");
    *r = wal_record_head(p);
    buf_add(data, str_mem(p + WAL_RECORD_HEAD, s->n));
    return 0;
}

int wal_read(struct wal *w, uint64_t index, struct wal_entry *out, struct buf *data,
             struct err *err)
{
    AUTO(source_drop) struct source s = { 0 };
    struct wal_record r;
    size_t before = data->n;

    pthread_mutex_lock(&w->mu);
    bool held = find(w, index, &s);
    pthread_mutex_unlock(&w->mu);
    if (!held)
        return 0;
    if (s.chunk != NULL)
        TRY(copy_recent(&s, &r, data, err));
    else
        TRY(wal_segment_read(s.segment, s.at, s.n, &r, data, err));
    if (r.index != index || r.term != s.term) {
        data->n = before;
        return err_set(err, ERR_CORRUPT, "raft log: entry %" PRIu64 " has become another", index);
    }
    *out = (struct wal_entry){ index, r.term, r.type, { data->p + before, s.n } };
    return 1;
}

/* ---- appending ---- */

static int check_entries(struct wal *w, const struct wal_entry *e, size_t n, struct err *err)
{
    uint64_t next = wal_last(w) + 1;
    if (e[0].index == 0 || e[0].index > next || n > UINT64_MAX - e[0].index)
        return err_set(err, ERR_INTERNAL, "raft log: entry %" PRIu64 " cannot follow %" PRIu64,
                       e[0].index, next - 1);
    for (size_t i = 0; i < n; i++) {
        if (e[i].index != e[0].index + i)
            return err_set(err, ERR_INTERNAL, "raft log: entry %" PRIu64 " cannot follow %" PRIu64,
                           e[i].index, e[i - 1].index);
        if (e[i].data.n > WAL_RECORD_DATA_MAX)
            return err_set(err, ERR_TOO_LARGE, "raft log: entry %" PRIu64 " has %zu bytes",
                           e[i].index, e[i].data.n);
    }
    return 0;
}

static size_t term_changes(const struct wal_entry *e, size_t n)
{
    size_t changes = 1;
    for (size_t i = 1; i < n; i++)
        changes += e[i].term != e[i - 1].term;
    return changes;
}

static int reserve(struct wal *w, const struct wal_batch *b, const struct wal_entry *entries,
                   size_t n, struct err *err)
{
    TRY(wal_files_reserve(&w->files, b->n, err));
    TRY(wal_recent_reserve(&w->recent, b->n, err));
    return wal_index_reserve(&w->index, n, term_changes(entries, n), err);
}

static void publish_piece(struct wal *w, const struct wal_piece *p,
                          const struct wal_entry *entries)
{
    uint64_t at = p->first_at;
    for (size_t i = 0; i < p->n; i++) {
        const struct wal_entry *e = &entries[i];
        wal_index_put(&w->index, e->index, e->term,
                      (struct wal_place){ p->segment->counter, (uint32_t)(at / 8),
                                          (uint32_t)e->data.n });
        at += wal_record_space(e->data.n);
    }
    p->segment->end = p->end;
    p->segment->crc = p->crc;
    if (p->fresh)
        wal_files_add(&w->files, wal_segment_ref(p->segment));
    wal_recent_add(&w->recent, wal_chunk_ref(p->chunk));
}

static int publish(struct wal *w, const struct wal_batch *b, const struct wal_entry *entries,
                   size_t n, struct err *err)
{
    pthread_mutex_lock(&w->mu);
    int rc = reserve(w, b, entries, n, err);
    for (size_t i = 0; rc == 0 && i < b->n; i++) {
        publish_piece(w, &b->v[i], entries);
        entries += b->v[i].n;
    }
    wal_recent_trim(&w->recent, RECENT_BYTES, w->durable);
    pthread_mutex_unlock(&w->mu);
    return rc;
}

int wal_append(struct wal *w, const struct wal_entry *entries, size_t n, struct err *err)
{
    AUTO(wal_batch_free) struct wal_batch b = { .dir = w->dir, .id = w->votes.id };
    if (n == 0)
        return 0;
    TRY(check_usable(w, err));
    TRY(check_entries(w, entries, n, err));
    b.last = wal_files_last(&w->files);
    b.mark = w->mark;
    b.next_counter = w->next_counter;
    if (wal_batch_write(&b, entries, n, err) < 0 || publish(w, &b, entries, n, err) < 0) {
        wal_batch_undo(&b);
        w->mark = true;
        return -1;
    }
    w->next_counter = b.next_counter;
    w->mark = false;
    return 0;
}

/* ---- syncing ---- */

static int flush(struct wal *w, struct wal_segment *s, struct err *err)
{
    bool fresh = !s->begun;
    if (fresh)
        TRY(wal_segment_begin(s, err));
    if (fdatasync(s->fd) < 0) {
        err_set(err, ERR_IO, "fdatasync %s: %s", s->name, strerror(errno));
        return lost(w, err);
    }
    if (fresh && fsync(w->dir) < 0) {
        failed(err, "fsync directory");
        return lost(w, err);
    }
    return 0;
}

/* The first segment with bytes that are not durable yet and stand before ${goal}; held. */
static struct wal_segment *next_to_sync(struct wal *w, struct wal_point goal, struct wal_point *to)
{
    struct wal_segment *s = NULL;
    pthread_mutex_lock(&w->mu);
    if (wal_point_before(w->durable, goal)) {
        s = wal_files_find(&w->files, w->durable.segment);
        if (s == NULL || s->end <= w->durable.at)
            s = wal_files_find(&w->files, w->durable.segment + 1);
        if (s == NULL) /* the first of all */
            s = w->files.v[0];
        wal_segment_ref(s);
        *to = (struct wal_point){ s->counter, s->end };
    }
    pthread_mutex_unlock(&w->mu);
    return s;
}

static void set_durable(struct wal *w, struct wal_point to)
{
    pthread_mutex_lock(&w->mu);
    if (wal_point_before(w->durable, to))
        w->durable = to;
    wal_recent_trim(&w->recent, RECENT_BYTES, w->durable);
    pthread_mutex_unlock(&w->mu);
}

int wal_sync(struct wal *w, struct err *err)
{
    struct wal_point goal = { 0 }, to;
    struct wal_segment *s;
    TRY(check_usable(w, err));
    pthread_mutex_lock(&w->mu);
    struct wal_segment *last = wal_files_last(&w->files);
    if (last != NULL)
        goal = (struct wal_point){ last->counter, last->end };
    pthread_mutex_unlock(&w->mu);
    while ((s = next_to_sync(w, goal, &to)) != NULL) {
        int rc = flush(w, s, err);
        wal_segment_unref(s);
        TRY(rc);
        set_durable(w, to);
    }
    return 0;
}

/* ---- letting go ---- */

/* How many segments can go: none of them holds the newest entry that is durable. */
static size_t forgettable(struct wal *w, uint64_t upto)
{
    const struct wal_index *x = &w->index;
    uint64_t keep = upto < x->next - 1 ? upto + 1 : x->next - 1;
    size_t n = 0;
    for (; keep > x->first; keep--) {
        const struct wal_place *p = wal_index_place(x, keep);
        struct wal_point at = { p->segment, (uint64_t)p->at8 * 8 };
        if (wal_point_before(at, w->durable))
            break;
    }
    const struct wal_place *p = wal_index_place(x, keep);
    while (p != NULL && n < w->files.n && w->files.v[n]->counter < p->segment)
        n++;
    return n;
}

static int remove_file(struct wal *w, const struct wal_segment *s, struct err *err)
{
    if (unlinkat(w->dir, s->name, 0) < 0 && errno != ENOENT)
        return err_set(err, ERR_IO, "raft log: remove %s: %s", s->name, strerror(errno));
    if (fsync(w->dir) == 0)
        return 0;
    failed(err, "fsync directory");
    return lost(w, err);
}

int wal_forget(struct wal *w, uint64_t upto, struct err *err)
{
    TRY(check_usable(w, err));
    pthread_mutex_lock(&w->mu);
    size_t n = forgettable(w, upto), done = 0;
    pthread_mutex_unlock(&w->mu);
    /* Oldest first, each for good before the next: a crash never leaves a gap. */
    int rc = 0;
    while (done < n && (rc = remove_file(w, w->files.v[done], err)) == 0)
        done++;
    pthread_mutex_lock(&w->mu);
    wal_files_drop(&w->files, done);
    if (done > 0)
        wal_index_forget_before(&w->index, w->files.v[0]->counter);
    pthread_mutex_unlock(&w->mu);
    return rc;
}

/* A segment that says: what stands before me does not count. On disk for good. */
static int begin_anew(struct wal *w, uint64_t next, struct wal_segment **out, struct err *err)
{
    struct wal_segment_plan plan = {
        .counter = w->next_counter, .base = next, .size = WAL_SEGMENT_SIZE, .reset = true
    };
    struct wal_segment *s;
    TRY(wal_segment_new(w->dir, w->votes.id, &plan, &s, err));
    if (wal_segment_begin(s, err) < 0) {
        unlinkat(w->dir, s->name, 0);
        wal_segment_unref(s);
        return -1;
    }
    if (fdatasync(s->fd) < 0 || fsync(w->dir) < 0) {
        err_set(err, ERR_IO, "fsync %s: %s", s->name, strerror(errno));
        wal_segment_unref(s);
        return lost(w, err);
    }
    *out = s;
    return 0;
}

int wal_reset(struct wal *w, uint64_t next, struct err *err)
{
    struct wal_files old;
    struct wal_files fresh = { 0 };
    struct wal_segment *s = NULL;
    if (next == 0)
        return err_set(err, ERR_INTERNAL, "raft log: entries count from 1");
    TRY(check_usable(w, err));
    TRY(wal_files_reserve(&fresh, 1, err));
    if (begin_anew(w, next, &s, err) < 0) {
        wal_files_free(&fresh);
        return -1;
    }
    wal_files_add(&fresh, s);
    w->next_counter++;
    w->mark = false;

    pthread_mutex_lock(&w->mu);
    old = w->files;
    w->files = fresh;
    w->durable = (struct wal_point){ s->counter, s->end };
    wal_index_reset(&w->index, next);
    wal_recent_clear(&w->recent);
    pthread_mutex_unlock(&w->mu);
    /* What cannot be removed now is removed at the next start. */
    for (size_t i = 0; i < old.n; i++)
        unlinkat(w->dir, old.v[i]->name, 0);
    wal_files_free(&old);
    return 0;
}

/* ---- the vote ---- */

int wal_set_vote(struct wal *w, uint64_t term, uint64_t voted_for, struct err *err)
{
    bool gone = false;
    TRY(check_usable(w, err));
    pthread_mutex_lock(&w->vote_mu);
    int rc = votefile_set(&w->votes, term, voted_for, &gone, err);
    if (rc == 0) {
        pthread_mutex_lock(&w->mu);
        w->term = term;
        w->voted_for = voted_for;
        pthread_mutex_unlock(&w->mu);
    }
    pthread_mutex_unlock(&w->vote_mu);
    return gone ? lost(w, err) : rc;
}

void wal_vote(struct wal *w, uint64_t *term, uint64_t *voted_for)
{
    pthread_mutex_lock(&w->mu);
    *term = w->term;
    *voted_for = w->voted_for;
    pthread_mutex_unlock(&w->mu);
}
