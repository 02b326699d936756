/* Node_hear: what other members send, and what the node's own parts have done. */
#include "storage/raft/node_parts.h"

#include <stdlib.h>

#include "base/log.h"

enum { IN_BYTES_MAX = 64 << 20, LOSS_MS = 500 };

static const struct log lg = { "storage.raft" };

/* ---- what has come ---- */

static void hear_leader(struct node *n, const struct frame *f, uint64_t number)
{
    struct engine_view v;
    if (n->engine == NULL)
        return;
    engine_look(n->engine, &v);
    if (v.leader != number || v.term != f->m.m.append_entries.term || v.state == RAFT_LEADER)
        return;
    const struct lease_frame heard = {
        number, f->sent, { f->echo, f->grant, (f->flags & FRAME_BACK) != 0 }
    };
    lease_take(&n->reader, &heard);
    if (f->sent == n->reader.sent)
        engine_firm(n->engine, (f->flags & FRAME_FIRM) != 0);
}

/*
 * A member that has less than it once confirmed has lost its log (its disk was replaced, or it
 * began anew).  libraft counts on what was confirmed: only a store that is as new brings it back.
 */
static void look_for_loss(struct node *n, const struct frame *f, struct node_peer *p)
{
    struct engine_view v;
    if (n->engine == NULL || f->last >= engine_match(n->engine, p->number)) {
        p->lost_ms = 0;
        return;
    }
    if (p->lost_ms == 0)
        p->lost_ms = n->now_ms;
    if (n->now_ms - p->lost_ms < LOSS_MS)
        return;
    engine_look(n->engine, &v);
    const struct raft_server *s = member_of(v.conf, p->number);
    if (s != NULL && v.state == RAFT_LEADER)
        shipment_send(n->shipment, s->address, v.term);
}

static void hear_follower(struct node *n, const struct frame *f, uint64_t number)
{
    struct err err = { 0 };
    struct node_peer *p = node_peer_of(n, number);
    p->heard_ms = n->now_ms;
    p->last = f->last;
    p->last_term = f->last_term;
    p->applied = f->applied;
    look_for_loss(n, f, p);
    node_check(n, lease_heard(&n->lease, number, f->echo, f->sent, &err), &err);
}

/* Whoever is in no configuration of ours, and has an older one, has been removed. */
static bool tell_removed(struct node *n, const struct frame *f, uint64_t number, uint64_t theirs)
{
    struct engine_view v;
    engine_look(n->engine, &v);
    if (v.conf->n == 0 || v.conf_pending || member_of(v.conf, number) != NULL ||
        theirs >= v.conf_index || member_of(v.conf, n->number) == NULL)
        return false;
    struct frame answer = { .type = FRAME_REMOVED, .index = v.conf_index };
    memcpy(answer.m.peer, f->m.peer, sizeof answer.m.peer);
    transport_send(n->transport, &answer);
    return true;
}

static void take_message(struct node *n, struct frame *f, uint64_t number)
{
    struct err err = { 0 };
    struct engine_message *m = &f->m;
    m->m.server_id = number;
    if (m->m.type == RAFT_REQUEST_VOTE) {
        m->m.request_vote.candidate_id = number;
        if (tell_removed(n, f, number, f->last))
            return;
    }
    if (m->m.type == RAFT_APPEND_ENTRIES_RESULT)
        hear_follower(n, f, number);
    if (n->engine == NULL)
        return;
    node_check(n, engine_receive(n->engine, n->now_ms, m, &n->todo, &err), &err);
    if (m->m.type == RAFT_APPEND_ENTRIES)
        hear_leader(n, f, number);
}

static void be_removed(struct node *n, const struct frame *f, uint64_t number)
{
    struct engine_view v;
    engine_look(n->engine, &v);
    if (member_of(v.conf, number) == NULL || f->index <= v.conf_index ||
        atomic_exchange(&n->removed, true))
        return;
    LOG(&lg, ERROR, "this node has been removed from its cluster and takes no part any more: to "
                    "let it join again, remove what is in its path: told by " MEMBER_FMT,
        MEMBER_ARG(f->m.peer));
    n->o.removed(n->o.ctx);
    engine_free(n->engine);
    n->engine = NULL;
    n->changed_role = true;
}

static void take_answer(struct node *n, const struct frame *f)
{
    pthread_mutex_lock(&n->mu);
    if (n->n_answered == NODE_ASKERS)
        n->n_answered = 0;
    n->answered[n->n_answered][0] = f->id;
    n->answered[n->n_answered++][1] = f->flags & FRAME_FAILED ? 0 : f->index;
    pthread_cond_broadcast(&n->changed);
    pthread_mutex_unlock(&n->mu);
}

static void take_asker(struct node *n, const struct frame *f)
{
    if (n->n_askers == NODE_ASKERS)
        return;
    struct node_asker *a = &n->askers[n->n_askers++];
    *a = (struct node_asker){ .id = f->id, .at_ms = n->now_ms };
    memcpy(a->peer, f->m.peer, sizeof a->peer);
}

/* A leader that has handed over to us. */
static void let_go(struct node *n, uint64_t number)
{
    AUTO(buf_free) struct buf text = { 0 };
    AUTO(member_clear) struct raft_configuration c = { 0 };
    struct err err = { 0 };
    struct engine_view v;
    engine_look(n->engine, &v);
    if (v.state != RAFT_LEADER || v.conf_pending || member_of(v.conf, number) == NULL ||
        member_without(v.conf, number, &c, &err) < 0 || member_encode(&c, &text, &err) < 0)
        return;
    struct entry *e = entry_new(0, 0, RAFT_CHANGE, buf_str(&text));
    if (e != NULL && engine_submit(n->engine, n->now_ms, e, &n->todo, &err) < 0)
        LOG(&lg, WARN, "a node that wants to leave could not be taken out: error=%s", err.msg);
}

/* A member that has come back at another address says so when it dials; its leader tells all. */
static void learn_address(struct node *n, const struct frame *f, uint64_t number)
{
    AUTO(buf_free) struct buf text = { 0 };
    AUTO(member_clear) struct raft_configuration c = { 0 };
    struct err err = { 0 };
    struct engine_view v;
    struct str id, addr;
    engine_look(n->engine, &v);
    const struct raft_server *s = member_of(v.conf, number);
    if (v.state != RAFT_LEADER || v.conf_pending || s == NULL || number == n->number ||
        strcmp(s->address, f->m.peer) == 0)
        return;
    member_parts(f->m.peer, &id, &addr);
    if (member_with(v.conf, id, addr, s->role, &c, &err) < 0 || member_encode(&c, &text, &err) < 0)
        return;
    LOG(&lg, INFO, "a member has another address now: " MEMBER_FMT, MEMBER_ARG(f->m.peer));
    struct entry *e = entry_new(0, 0, RAFT_CHANGE, buf_str(&text));
    if (e != NULL && engine_submit(n->engine, n->now_ms, e, &n->todo, &err) < 0)
        LOG(&lg, WARN, "its new address could not be told: error=%s", err.msg);
}

static void take_frame(struct node *n, struct frame *f)
{
    uint64_t number = member_number_of_text(f->m.peer);
    if (n->engine == NULL)
        return;
    switch (f->type) {
    case FRAME_HELLO:
        if (!tell_removed(n, f, number, f->conf_index))
            learn_address(n, f, number);
        break;
    case FRAME_MESSAGE:
        take_message(n, f, number);
        break;
    case FRAME_REMOVED:
        be_removed(n, f, number);
        break;
    case FRAME_ASK:
        take_asker(n, f);
        break;
    case FRAME_ANSWER:
        take_answer(n, f);
        break;
    case FRAME_LEAVE:
        if (!tell_removed(n, f, number, 0))
            let_go(n, number);
        break;
    case FRAME_SNAPSHOT:
    case FRAME_ENTRIES:
    case FRAME_END:
        break;
    }
}

struct frame_event {
    struct node_event event;
    struct node *node;
    struct frame frame;
    size_t bytes;
};

static void frame_done(struct frame_event *e)
{
    struct node *n = e->node;
    pthread_mutex_lock(&n->mu);
    n->bytes_in -= e->bytes;
    pthread_cond_broadcast(&n->room);
    pthread_mutex_unlock(&n->mu);
    frame_clear(&e->frame);
    free(e);
}

static void frame_run(struct node *n, struct node_event *event)
{
    struct frame_event *e = (struct frame_event *)event;
    take_frame(n, &e->frame);
    frame_done(e);
}

static void frame_drop(struct node_event *event)
{
    frame_done((struct frame_event *)event);
}

static size_t bytes_of(const struct frame *f)
{
    size_t bytes = sizeof(struct frame_event);
    if (f->m.entries != NULL)
        for (unsigned i = 0; i < f->m.m.append_entries.n_entries; i++)
            bytes += f->m.entries[i]->n + sizeof(struct entry);
    return bytes;
}

void node_on_frame(void *ctx, struct frame *f)
{
    struct node *n = ctx;
    struct frame_event *e = calloc(1, sizeof *e);
    if (e == NULL) {
        frame_clear(f);
        return;
    }
    *e = (struct frame_event){ { NULL, frame_run, frame_drop }, n, *f, bytes_of(f) };
    *f = (struct frame){ 0 };
    pthread_mutex_lock(&n->mu);
    while (n->bytes_in > IN_BYTES_MAX && !n->closing)
        pthread_cond_wait(&n->room, &n->mu);
    n->bytes_in += e->bytes;
    pthread_mutex_unlock(&n->mu);
    node_post(n, &e->event);
}

/* ---- marks: of stores that came in, of what is durable ---- */

struct mark_event {
    struct node_event event;
    struct mark mark;
    struct staging *staging;
    uint64_t term;
    char peer[MEMBER_TEXT_MAX];
};

static void mark_drop(struct node_event *event)
{
    struct mark_event *e = (struct mark_event *)event;
    mark_clear(&e->mark);
    staging_free(e->staging);
    free(e);
}

static void post_mark(struct node *n, void (*run)(struct node *, struct node_event *),
                      const struct mark *mark, struct staging *s, const char *peer, uint64_t term)
{
    struct err err = { 0 };
    struct mark_event *e = calloc(1, sizeof *e);
    if (e == NULL || mark_copy(mark, &e->mark, &err) < 0) {
        LOG(&lg, ERROR, "out of memory");
        staging_free(s);
        free(e);
        return;
    }
    e->event = (struct node_event){ NULL, run, mark_drop };
    e->staging = s;
    e->term = term;
    memcpy(e->peer, peer, strnlen(peer, MEMBER_TEXT_MAX - 1));
    node_post(n, &e->event);
}

/* A whole store has come: the engine says whether it is wanted. */
static void store_run(struct node *n, struct node_event *event)
{
    struct mark_event *e = (struct mark_event *)event;
    struct err err = { 0 };
    struct engine_message m = { .m.type = RAFT_INSTALL_SNAPSHOT };
    struct raft_install_snapshot *s = &m.m.install_snapshot;
    if (n->engine == NULL || n->arrived != NULL || n->installing) {
        mark_drop(event);
        return;
    }
    m.m.server_id = member_number_of_text(e->peer);
    memcpy(m.peer, e->peer, sizeof m.peer);
    s->term = e->term;
    s->last_index = e->mark.index;
    s->last_term = e->mark.term;
    s->conf_index = e->mark.conf_index;
    int rc = member_copy(&e->mark.conf, &m.conf, &err);
    if (rc == 0)
        rc = engine_receive(n->engine, n->now_ms, &m, &n->todo, &err);
    engine_message_clear(&m);
    if (rc == 0 && n->todo.install) {
        n->installing = true;
        n->arrived = e->staging;
        mark_clear(&n->arrived_mark);
        n->arrived_mark = e->mark;
        e->staging = NULL;
        e->mark = (struct mark){ 0 };
    }
    mark_drop(event);
    node_check(n, rc, &err);
}

void node_on_store(void *ctx, struct staging *s, const struct mark *mark, const char *peer,
                   uint64_t term)
{
    post_mark(ctx, store_run, mark, s, peer, term);
}

/* The store is in place: the log begins behind it. */
static void installed_run(struct node *n, struct node_event *event)
{
    struct mark_event *e = (struct mark_event *)event;
    struct err err = { 0 };
    mark_clear(&n->arrived_mark);
    n->arrived_mark = e->mark;
    e->mark = (struct mark){ 0 };
    mark_drop(event);
    node_check(n, journal_reset(n->journal, n->arrived_mark.index + 1, &err), &err);
}

void node_on_installed(void *ctx, const struct mark *mark)
{
    struct node *n = ctx;
    n->o.voided(n->o.ctx, false);
    waiters_skipped(n->waiters, mark->index);
    node_on_applied(n, mark);
    post_mark(n, installed_run, mark, NULL, "", 0);
}

struct plain_event {
    struct node_event event;
    struct err err;
};

static void plain_drop(struct node_event *event)
{
    free(event);
}

static void reset_run(struct node *n, struct node_event *event)
{
    struct err err = { 0 };
    free(event);
    if (n->engine == NULL || !n->installing)
        return;
    n->installing = false;
    LOG(&lg, INFO, "a snapshot of the whole store has been installed: index=%llu",
        (unsigned long long)n->arrived_mark.index);
    n->compacted = n->arrived_mark.index;
    node_check(n, engine_installed(n->engine, n->now_ms, &n->arrived_mark, &n->todo, &err), &err);
}

void node_on_reset(void *ctx)
{
    struct plain_event *e = calloc(1, sizeof *e);
    if (e == NULL)
        return;
    e->event = (struct node_event){ NULL, reset_run, plain_drop };
    node_post(ctx, &e->event);
}

static void broken_run(struct node *n, struct node_event *event)
{
    node_fail(n, &((struct plain_event *)event)->err);
    n->changed_role = true;
    free(event);
}

void node_on_broken(void *ctx, const struct err *err)
{
    struct plain_event *e = calloc(1, sizeof *e);
    if (e == NULL)
        return;
    *e = (struct plain_event){ { NULL, broken_run, plain_drop }, *err };
    e->err.code = ERR_CORRUPT;
    node_post(ctx, &e->event);
}

static void synced_run(struct node *n, struct node_event *event)
{
    struct mark_event *e = (struct mark_event *)event;
    struct err err = { 0 };
    uint64_t index = e->mark.index, trailing = n->o.trailing;
    n->syncing = false;
    if (n->engine != NULL && e->mark.restore == 0 && !e->mark.invalid && !n->installing) {
        n->compacted = index;
        int rc = engine_compact(n->engine, n->now_ms, &e->mark, (unsigned)trailing, &n->todo, &err);
        node_check(n, rc, &err);
        if (index > trailing)
            node_check(n, journal_forget(n->journal, index - trailing, &err), &err);
    }
    mark_drop(event);
}

void node_on_synced(void *ctx, const struct mark *mark)
{
    post_mark(ctx, synced_run, mark, NULL, "", 0);
}
