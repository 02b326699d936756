/* Shipment: one thread for each store that is being sent; both sides hold one frame at a time. */
#include "storage/raft/shipment.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "storage/keyclass.h"

enum { FRAME_BYTES = 512 << 10, READ_MS = 30000, PAUSE_MS = 1000 };

static const struct log lg = { "storage.raft" };

struct parcel {
    struct parcel *next;
    struct shipment *s;
    pthread_t thread;
    char peer[MEMBER_TEXT_MAX];
    uint64_t term;
    bool done; /* under s->mu, as all below */
    uint64_t done_ms;
    struct link *link;
};

struct shipment {
    struct shipment_options o;
    atomic_uint_fast64_t coming; /* stores that came in: each has a folder */
    pthread_mutex_t mu;
    struct parcel *parcels; /* under mu */
    bool closing;
};

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- sending ---- */

struct sending {
    struct shipment *s;
    struct parcel *p;
    struct link *link;
    struct lmdb_view *view;
    struct buf payload, out;
    uint64_t n;
};

/* So that shipment_free can end it. */
static void show_link(struct parcel *p, struct link *l)
{
    pthread_mutex_lock(&p->s->mu);
    p->link = l;
    if (l != NULL && p->s->closing)
        link_shut(l);
    pthread_mutex_unlock(&p->s->mu);
}

static void sending_end(struct sending *x)
{
    lmdb_view_close(x->view);
    show_link(x->p, NULL);
    link_free(x->link);
    buf_free(&x->payload);
    buf_free(&x->out);
}

static int send_frame(struct sending *x, const struct frame *f, struct err *err)
{
    buf_clear(&x->out);
    TRY(frame_write(f, NULL, 0, &x->out, err));
    return link_write(x->link, x->out.p, x->out.n, err);
}

static int send_entries(struct sending *x, struct err *err)
{
    struct frame f = { .type = FRAME_ENTRIES, .bytes = buf_str(&x->payload) };
    if (x->payload.n == 0)
        return 0;
    if (transport_closing(x->s->o.transport))
        return err_set(err, ERR_STANDBY, "this node leaves");
    TRY(buf_check(&x->payload, err));
    TRY(send_frame(x, &f, err));
    buf_clear(&x->payload);
    return 0;
}

static int send_store(struct sending *x, struct err *err)
{
    struct str key, value;
    int more;
    while ((more = lmdb_view_next(x->view, &key, &value, err)) > 0) {
        struct storage_op op = { STORAGE_PUT, key, value };
        if (keyclass_of(key) == KEYCLASS_NODE)
            continue;
        if (x->payload.n == 0)
            buf_byte(&x->payload, ENTRY_BATCHES);
        entry_add_batch(&x->payload, &op, 1);
        x->n++;
        if (x->payload.n >= FRAME_BYTES)
            TRY(send_entries(x, err));
    }
    TRY(more);
    TRY(send_entries(x, err));
    struct frame end = { .type = FRAME_END, .id = x->n };
    return send_frame(x, &end, err);
}

/* Until the other side has it, or has closed. */
static int await_end(struct sending *x, struct err *err)
{
    char byte;
    link_set_timeout(x->link, READ_MS);
    long n = link_read(x->link, &byte, 1, err);
    return n < 0 ? -1 : 0;
}

static int send_parcel(struct parcel *p, struct err *err)
{
    AUTO(sending_end) struct sending x = { .s = p->s, .p = p };
    AUTO(buf_free) struct buf text = { 0 };
    struct mark mark;
    TRY(lmdb_view_open(p->s->o.state, &text, &x.view, err));
    TRY(mark_decode(buf_str(&text), &mark, err));
    bool open = mark.restore != 0 || mark.invalid;
    mark_clear(&mark);
    /* What is staged is not in the view: it has to wait. */
    if (open)
        return err_set(err, ERR_CONFLICT, "the store is being restored");
    TRY(transport_dial(p->s->o.transport, p->peer, &x.link, err));
    show_link(p, x.link);
    struct frame head = { .type = FRAME_SNAPSHOT, .id = p->term, .bytes = buf_str(&text) };
    TRY(send_frame(&x, &head, err));
    TRY(send_store(&x, err));
    return await_end(&x, err);
}

static void *run(void *arg)
{
    struct parcel *p = arg;
    struct err err = { 0 };
    LOG(&lg, INFO, "sending the whole store to a member: " MEMBER_FMT, MEMBER_ARG(p->peer));
    if (send_parcel(p, &err) < 0)
        LOG(&lg, WARN, "the store could not be sent to a member, it is tried again: "
                       MEMBER_FMT " error=%s", MEMBER_ARG(p->peer), err.msg);
    pthread_mutex_lock(&p->s->mu);
    p->done = true;
    p->done_ms = now_ms();
    pthread_mutex_unlock(&p->s->mu);
    return NULL;
}

static void parcel_free(struct parcel *p)
{
    pthread_join(p->thread, NULL);
    free(p);
}

/*
 * Is one to that member under way, or has one just been?  libraft asks again with each heartbeat
 * until it hears of the result.  Those that ended before are released.  Under s->mu.
 */
static bool under_way(struct shipment *s, const char *peer)
{
    uint64_t now = now_ms();
    for (struct parcel **at = &s->parcels; *at != NULL;) {
        struct parcel *p = *at;
        bool counts = !p->done || now - p->done_ms < PAUSE_MS;
        if (counts && strcmp(p->peer, peer) == 0)
            return true;
        if (counts) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        parcel_free(p);
    }
    return false;
}

void shipment_send(struct shipment *s, const char *peer, uint64_t term)
{
    pthread_mutex_lock(&s->mu);
    struct parcel *p = s->closing || under_way(s, peer) ? NULL : calloc(1, sizeof *p);
    if (p != NULL) {
        *p = (struct parcel){ .s = s, .term = term, .next = s->parcels };
        memcpy(p->peer, peer, strnlen(peer, MEMBER_TEXT_MAX - 1));
        if (pthread_create(&p->thread, NULL, run, p) == 0)
            s->parcels = p;
        else
            free(p);
    }
    pthread_mutex_unlock(&s->mu);
}

/* ---- receiving ---- */

static int read_frame(struct link *l, struct buf *body, struct frame *f, struct err *err)
{
    char head[FRAME_HEAD];
    size_t n;
    int more = link_read_full(l, head, sizeof head, err);
    TRY(more);
    if (more == 0)
        return err_set(err, ERR_UPSTREAM, "it was cut off");
    TRY(frame_length(head, &n, err));
    buf_clear(body);
    if (buf_reserve(body, n) < 0)
        return buf_check(body, err);
    more = link_read_full(l, body->p, n, err);
    TRY(more);
    if (more == 0)
        return err_set(err, ERR_UPSTREAM, "it was cut off");
    body->n = n;
    return frame_read(buf_str(body), f, err);
}

static int add_entries(struct staging *to, struct str payload, uint64_t *n, struct err *err)
{
    struct entry_batches b = { 0 };
    int rc = entry_read(payload, &b, err);
    if (rc == 0)
        rc = staging_add(to, &b, err);
    *n += b.n;
    entry_free(&b);
    return rc;
}

static int receive_store(struct link *l, struct staging *to, struct err *err)
{
    AUTO(buf_free) struct buf body = { 0 };
    uint64_t n = 0;
    link_set_timeout(l, READ_MS);
    for (;;) {
        struct frame f;
        TRY(read_frame(l, &body, &f, err));
        enum frame_type type = f.type;
        uint64_t count = f.id;
        struct str bytes = f.bytes;
        f.bytes = STR("");
        frame_clear(&f);
        if (type == FRAME_END)
            return count == n ? 0 : err_set(err, ERR_CORRUPT, "entries are missing");
        if (type != FRAME_ENTRIES)
            return err_set(err, ERR_CORRUPT, "a message that does not belong there");
        TRY(add_entries(to, bytes, &n, err));
    }
}

static int receive(struct shipment *s, struct link *l, const struct frame *head, struct err *err)
{
    char name[32];
    struct mark mark;
    struct staging *to;
    TRY(mark_decode(head->bytes, &mark, err));
    if (mark.invalid || mark.restore != 0) {
        mark_clear(&mark);
        return err_set(err, ERR_CORRUPT, "its mark makes no sense");
    }
    snprintf(name, sizeof name, "in-%llu",
             (unsigned long long)atomic_fetch_add(&s->coming, 1));
    int rc = staging_new(s->o.dir, name, &to, err);
    if (rc == 0 && (rc = receive_store(l, to, err)) < 0)
        staging_free(to);
    if (rc == 0)
        s->o.came(s->o.ctx, to, &mark, head->m.peer, head->id);
    mark_clear(&mark);
    return rc;
}

void shipment_receive(struct shipment *s, struct link *l, const struct frame *head)
{
    struct err err = { 0 };
    LOG(&lg, INFO, "receiving the whole store: " MEMBER_FMT, MEMBER_ARG(head->m.peer));
    if (receive(s, l, head, &err) < 0)
        LOG(&lg, WARN, "the store did not come in whole, what came is dropped: " MEMBER_FMT
                       " error=%s", MEMBER_ARG(head->m.peer), err.msg);
}

/* ---- making ---- */

int shipment_new(const struct shipment_options *options, struct shipment **out, struct err *err)
{
    struct shipment *s = calloc(1, sizeof *s);
    if (s == NULL)
        return err_set(err, ERR_NOMEM, "raft: out of memory");
    s->o = *options;
    pthread_mutex_init(&s->mu, NULL);
    *out = s;
    return 0;
}

void shipment_free(struct shipment *s)
{
    if (s == NULL)
        return;
    pthread_mutex_lock(&s->mu);
    s->closing = true;
    struct parcel *all = s->parcels;
    s->parcels = NULL;
    for (struct parcel *p = all; p != NULL; p = p->next)
        if (p->link != NULL)
            link_shut(p->link);
    pthread_mutex_unlock(&s->mu);
    for (struct parcel *next; all != NULL; all = next) {
        next = all->next;
        parcel_free(all);
    }
    pthread_mutex_destroy(&s->mu);
    free(s);
}
