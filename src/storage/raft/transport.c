/* Transport: a writer for each member, which dials it, and a reader for each link accepted. */
#include "storage/raft/transport.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/random.h"

enum {
    QUEUE_MAX = 1024,        /* frames that wait for one member; the oldest are dropped */
    FRAME_BYTES = 1 << 20,   /* of entries, more or less, in one frame */
    DIAL_MS = 1000,
    WRITE_MS = 5000,
    BACKOFF_MS = 50,         /* first pause after a failure; doubles up to: */
    BACKOFF_MAX_MS = 1000,
    STEADY_MS = 1000,        /* a link that lasted so long counts as working */
    STALE_MS = 2000,         /* what waited longer for a link is not sent any more */
    IDLE_MS = 120000,        /* a writer with nothing to say hangs up */
    SILENT_MS = 300000,      /* so a link that is silent for longer is dead */
    PEERS_MAX = 1024,
    READERS_MAX = 4096,
};

static const struct log lg = { "storage.raft" };

struct item {
    struct item *next;
    uint64_t at_ms;
    struct frame frame; /* holds no entries */
};

struct writer {
    struct writer *next;
    struct transport *t;
    pthread_t thread;
    char peer[MEMBER_TEXT_MAX];

    pthread_mutex_t mu;
    pthread_cond_t more;
    struct item *first, **end; /* under mu, as all below */
    size_t n;
    bool closing, idle;
    struct link *link;

    /* The thread's own. */
    struct buf out;
    uint64_t backoff_ms, linked_ms;
    bool complained;
};

struct reader {
    struct reader *next;
    struct transport *t;
    pthread_t thread;
    struct link *link;
    bool done; /* under t->mu */
};

struct transport {
    struct transport_options o;
    pthread_mutex_t mu;
    struct writer *writers; /* under mu, as all below */
    struct reader *readers;
    size_t n_writers, n_readers;
    bool closing;
};

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool wait_until(pthread_cond_t *cond, pthread_mutex_t *mu, uint64_t ms)
{
    struct timespec until = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };
    return pthread_cond_timedwait(cond, mu, &until) != ETIMEDOUT;
}

bool transport_closing(struct transport *t)
{
    pthread_mutex_lock(&t->mu);
    bool closing = t->closing;
    pthread_mutex_unlock(&t->mu);
    return closing;
}

/* ---- dialling ---- */

static int say_hello(struct transport *t, struct link *l, struct err *err)
{
    AUTO(buf_free) struct buf out = { 0 };
    struct frame f = { .type = FRAME_HELLO, .conf_index = t->o.calls.conf_index(t->o.calls.ctx) };
    memcpy(f.m.peer, t->o.self, strnlen(t->o.self, MEMBER_TEXT_MAX - 1));
    TRY(frame_write(&f, NULL, 0, &out, err));
    return link_write(l, out.p, out.n, err);
}

int transport_dial(struct transport *t, const char *peer, struct link **out, struct err *err)
{
    struct str id, addr;
    struct link *l;
    member_parts(peer, &id, &addr);
    if (t->o.creds == NULL || addr.n == 0)
        return err_set(err, ERR_UPSTREAM, "there is no address for it");
    TRY(link_dial(t->o.creds, addr, t->o.alpn, DIAL_MS, &l, err));
    link_set_timeout(l, WRITE_MS);
    int rc = str_eq(link_peer_id(l), id)
                 ? say_hello(t, l, err)
                 : err_set(err, ERR_UPSTREAM,
                           "node " STR_FMT " answers there: is the address right?",
                           STR_ARG(link_peer_id(l)));
    if (rc < 0) {
        link_free(l);
        return -1;
    }
    *out = l;
    return 0;
}

static void complain(struct writer *w, const struct err *err)
{
    if (!w->complained)
        LOG(&lg, WARN, "a member cannot be reached, it is tried again: " MEMBER_FMT " error=%s",
            MEMBER_ARG(w->peer), err->msg);
    w->complained = true;
}

static void set_link(struct writer *w, struct link *l)
{
    pthread_mutex_lock(&w->mu);
    struct link *old = w->link;
    w->link = l;
    if (l != NULL && w->closing)
        link_shut(l);
    pthread_mutex_unlock(&w->mu);
    link_free(old);
}

/* False while there is none: wait before the next try. */
static bool have_link(struct writer *w)
{
    struct err err = { 0 };
    struct link *l;
    if (w->link != NULL)
        return true;
    if (transport_dial(w->t, w->peer, &l, &err) < 0) {
        complain(w, &err);
        return false;
    }
    w->linked_ms = now_ms();
    set_link(w, l);
    return true;
}

/* A port that takes links and drops them at once is not a member that works. */
static void note_steady(struct writer *w)
{
    if (now_ms() - w->linked_ms < STEADY_MS)
        return;
    if (w->complained)
        LOG(&lg, INFO, "a member is reached again: " MEMBER_FMT, MEMBER_ARG(w->peer));
    w->complained = false;
    w->backoff_ms = BACKOFF_MS;
}

static void lose_link(struct writer *w, const struct err *err)
{
    complain(w, err);
    set_link(w, NULL);
}

/* ---- writing ---- */

static struct entry *entry_at(struct transport *t, uint64_t index, uint64_t term)
{
    AUTO(buf_free) struct buf data = { 0 };
    struct wal_entry row;
    struct err err = { 0 };
    struct entry *e = tail_get(t->o.tail, index);
    if (e == NULL && wal_read(t->o.wal, index, &row, &data, &err) > 0 && !data.failed)
        e = entry_new(index, row.term, row.type, buf_str(&data));
    /* The log has changed since: whoever leads now will say what stands there. */
    if (e != NULL && e->term > term) {
        entry_drop(e);
        e = NULL;
    }
    return e;
}

static int write_frame(struct writer *w, const struct frame *f, struct entry *const *entries,
                       size_t n, struct err *err)
{
    buf_clear(&w->out);
    TRY(frame_write(f, entries, n, &w->out, err));
    return link_write(w->link, w->out.p, w->out.n, err);
}

enum { PART_MAX = 512 };

/* A range of the log, in frames of bounded size. */
static int write_append(struct writer *w, const struct frame *f, struct err *err)
{
    struct frame part = *f;
    struct raft_append_entries *a = &part.m.m.append_entries;
    unsigned left = a->n_entries;
    int rc = 0;
    bool gone = false;
    do {
        struct entry *v[PART_MAX];
        size_t n = 0, bytes = 0;
        while (n < left && n < PART_MAX && (n == 0 || bytes < FRAME_BYTES) && !gone) {
            v[n] = entry_at(w->t, a->prev_log_index + 1 + n, a->term);
            gone = v[n] == NULL;
            bytes += gone ? 0 : v[n]->n;
            n += !gone;
        }
        if (n > 0 || left == 0)
            rc = write_frame(w, &part, v, n, err);
        if (n > 0) {
            a->prev_log_index = v[n - 1]->index;
            a->prev_log_term = v[n - 1]->term;
        }
        for (size_t i = 0; i < n; i++)
            entry_drop(v[i]);
        left -= (unsigned)n;
    } while (left > 0 && rc == 0 && !gone);
    return rc;
}

static int write_item(struct writer *w, const struct frame *f, struct err *err)
{
    if (f->type == FRAME_MESSAGE && f->m.m.type == RAFT_APPEND_ENTRIES)
        return write_append(w, f, err);
    return write_frame(w, f, NULL, 0, err);
}

static struct item *take_item(struct writer *w)
{
    pthread_mutex_lock(&w->mu);
    uint64_t until = now_ms() + IDLE_MS;
    while (w->first == NULL && !w->closing)
        if (!wait_until(&w->more, &w->mu, until)) {
            w->idle = true;
            break;
        }
    struct item *item = w->closing ? NULL : w->first;
    if (item != NULL) {
        w->idle = false;
        w->first = item->next;
        w->n--;
        if (w->first == NULL)
            w->end = &w->first;
    }
    pthread_mutex_unlock(&w->mu);
    return item;
}

/* Some time more after each failure, and not in step with others. False: it is closing. */
static bool pause_after_failure(struct writer *w)
{
    uint64_t until = now_ms() + w->backoff_ms + random_below((uint32_t)w->backoff_ms);
    w->backoff_ms = w->backoff_ms * 2 < BACKOFF_MAX_MS ? w->backoff_ms * 2 : BACKOFF_MAX_MS;
    pthread_mutex_lock(&w->mu);
    while (!w->closing && wait_until(&w->more, &w->mu, until))
        ;
    bool closing = w->closing;
    pthread_mutex_unlock(&w->mu);
    return !closing;
}

static void *write_run(void *arg)
{
    struct writer *w = arg;
    w->backoff_ms = BACKOFF_MS;
    for (;;) {
        struct err err = { 0 };
        struct item *item = take_item(w);
        if (item == NULL && !w->idle)
            break;
        if (item == NULL) {
            set_link(w, NULL);
            continue;
        }
        bool linked = have_link(w);
        if (linked && now_ms() - item->at_ms < STALE_MS) {
            linked = write_item(w, &item->frame, &err) == 0;
            if (linked)
                note_steady(w);
            else
                lose_link(w, &err);
        }
        free(item);
        if (!linked && !pause_after_failure(w))
            break;
    }
    set_link(w, NULL);
    return NULL;
}

/* ---- writers ---- */

static struct writer *writer_new(struct transport *t, const char *peer)
{
    struct writer *w = calloc(1, sizeof *w);
    pthread_condattr_t attr;
    if (w == NULL)
        return NULL;
    w->t = t;
    memcpy(w->peer, peer, strnlen(peer, MEMBER_TEXT_MAX - 1));
    w->end = &w->first;
    pthread_mutex_init(&w->mu, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->more, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&w->thread, NULL, write_run, w) != 0) {
        free(w);
        return NULL;
    }
    return w;
}

static void writer_free(struct writer *w)
{
    pthread_mutex_lock(&w->mu);
    w->closing = true;
    if (w->link != NULL)
        link_shut(w->link);
    pthread_cond_broadcast(&w->more);
    pthread_mutex_unlock(&w->mu);
    pthread_join(w->thread, NULL);
    for (struct item *next; w->first != NULL; w->first = next) {
        next = w->first->next;
        free(w->first);
    }
    buf_free(&w->out);
    pthread_cond_destroy(&w->more);
    pthread_mutex_destroy(&w->mu);
    free(w);
}

/* Under t->mu. */
static struct writer *writer_of(struct transport *t, const char *peer)
{
    for (struct writer *w = t->writers; w != NULL; w = w->next)
        if (strcmp(w->peer, peer) == 0)
            return w;
    if (t->closing || t->n_writers >= PEERS_MAX)
        return NULL;
    struct writer *w = writer_new(t, peer);
    if (w != NULL) {
        w->next = t->writers;
        t->writers = w;
        t->n_writers++;
    }
    return w;
}

static struct item *push(struct writer *w, struct item *item)
{
    struct item *dropped = NULL;
    pthread_mutex_lock(&w->mu);
    if (w->n >= QUEUE_MAX) {
        dropped = w->first;
        w->first = dropped->next;
        w->n--;
    }
    *w->end = item;
    w->end = &item->next;
    w->n++;
    if (w->first == item)
        pthread_cond_signal(&w->more);
    pthread_mutex_unlock(&w->mu);
    return dropped;
}

void transport_send(struct transport *t, const struct frame *f)
{
    struct item *item = calloc(1, sizeof *item);
    if (item == NULL)
        return;
    item->frame = *f;
    item->frame.m.entries = NULL;
    item->frame.bytes = STR("");
    item->at_ms = now_ms();
    pthread_mutex_lock(&t->mu);
    struct writer *w = t->o.creds == NULL ? NULL : writer_of(t, f->m.peer);
    if (w != NULL)
        item = push(w, item);
    pthread_mutex_unlock(&t->mu);
    free(item);
}

/* ---- readers ---- */

/* 1: a frame; 0: the end. */
static int read_frame(struct link *l, struct buf *body, struct frame *f, struct err *err)
{
    char head[FRAME_HEAD];
    size_t n;
    int more = link_read_full(l, head, sizeof head, err);
    if (more <= 0)
        return more;
    TRY(frame_length(head, &n, err));
    buf_clear(body);
    if (buf_reserve(body, n) < 0)
        return buf_check(body, err);
    more = link_read_full(l, body->p, n, err);
    if (more <= 0)
        return more < 0 ? -1 : err_set(err, ERR_UPSTREAM, "it was cut off");
    body->n = n;
    TRY(frame_read(buf_str(body), f, err));
    return 1;
}

static int read_hello(struct reader *r, struct buf *body, char peer[MEMBER_TEXT_MAX],
                      struct err *err)
{
    struct frame f;
    struct str id, addr;
    int more = read_frame(r->link, body, &f, err);
    if (more <= 0)
        return more;
    memcpy(peer, f.m.peer, MEMBER_TEXT_MAX);
    member_parts(peer, &id, &addr);
    if (f.type != FRAME_HELLO || !str_eq(id, link_peer_id(r->link))) {
        frame_clear(&f);
        return err_set(err, ERR_UPSTREAM, "it says that it is " STR_FMT ", its certificate is of "
                       STR_FMT, STR_ARG(id), STR_ARG(link_peer_id(r->link)));
    }
    r->t->o.calls.received(r->t->o.calls.ctx, &f);
    return 1;
}

static int read_all(struct reader *r, struct err *err)
{
    AUTO(buf_free) struct buf body = { 0 };
    char peer[MEMBER_TEXT_MAX];
    int more = read_hello(r, &body, peer, err);
    while (more > 0) {
        struct frame f;
        more = read_frame(r->link, &body, &f, err);
        if (more <= 0)
            break;
        memcpy(f.m.peer, peer, sizeof f.m.peer);
        if (f.type == FRAME_SNAPSHOT) {
            r->t->o.calls.store_comes(r->t->o.calls.ctx, r->link, &f);
            return 0;
        }
        f.bytes = STR("");
        r->t->o.calls.received(r->t->o.calls.ctx, &f);
    }
    return more;
}

static void *read_run(void *arg)
{
    struct reader *r = arg;
    struct err err = { 0 };
    link_set_timeout(r->link, SILENT_MS);
    if (read_all(r, &err) < 0 && !transport_closing(r->t))
        LOG(&lg, DEBUG, "a link to this node has ended: from=" STR_FMT " error=%s",
            STR_ARG(link_peer_id(r->link)), err.msg);
    pthread_mutex_lock(&r->t->mu);
    r->done = true;
    pthread_mutex_unlock(&r->t->mu);
    return NULL;
}

static void reader_free(struct reader *r)
{
    pthread_join(r->thread, NULL);
    link_free(r->link);
    free(r);
}

/* Those that have ended, taken out; under t->mu. */
static struct reader *take_done(struct transport *t)
{
    struct reader *done = NULL;
    for (struct reader **at = &t->readers; *at != NULL;) {
        struct reader *r = *at;
        if (!r->done) {
            at = &r->next;
            continue;
        }
        *at = r->next;
        r->next = done;
        done = r;
        t->n_readers--;
    }
    return done;
}

static void free_readers(struct reader *list)
{
    for (struct reader *next; list != NULL; list = next) {
        next = list->next;
        reader_free(list);
    }
}

void transport_accept(struct transport *t, struct link *l)
{
    struct reader *r = calloc(1, sizeof *r);
    pthread_mutex_lock(&t->mu);
    struct reader *done = take_done(t);
    bool taken = r != NULL && !t->closing && t->n_readers < READERS_MAX;
    if (taken) {
        *r = (struct reader){ .t = t, .link = l, .next = t->readers };
        taken = pthread_create(&r->thread, NULL, read_run, r) == 0;
    }
    if (taken) {
        t->readers = r;
        t->n_readers++;
    }
    pthread_mutex_unlock(&t->mu);
    free_readers(done);
    if (taken)
        return;
    link_free(l);
    free(r);
}

/* ---- making ---- */

int transport_new(const struct transport_options *options, struct transport **out,
                  struct err *err)
{
    struct transport *t = calloc(1, sizeof *t);
    if (t == NULL)
        return err_set(err, ERR_NOMEM, "raft: out of memory");
    t->o = *options;
    pthread_mutex_init(&t->mu, NULL);
    *out = t;
    return 0;
}

void transport_close(struct transport *t)
{
    if (t == NULL)
        return;
    pthread_mutex_lock(&t->mu);
    t->closing = true;
    struct writer *writers = t->writers;
    struct reader *readers = t->readers;
    t->writers = NULL;
    t->readers = NULL;
    for (struct reader *r = readers; r != NULL; r = r->next)
        link_shut(r->link);
    pthread_mutex_unlock(&t->mu);
    for (struct writer *next; writers != NULL; writers = next) {
        next = writers->next;
        writer_free(writers);
    }
    free_readers(readers);
}

void transport_free(struct transport *t)
{
    if (t == NULL)
        return;
    transport_close(t);
    pthread_mutex_destroy(&t->mu);
    free(t);
}
