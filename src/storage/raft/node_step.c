/*
 * Node_step: what the node's thread does: it takes what has come, lets the engine make of it what
 * it will, and carries that out, in passes.
 */
#include "storage/raft/node_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/metric.h"
#include "base/random.h"

enum { IN_BYTES_MAX = 64 << 20, ASK_MS = 2000, RETRY_MS = 1000, MAX_INFLIGHT = 512 };

static const struct log lg = { "storage.raft" };

uint64_t node_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000 + 1;
}

static struct timespec time_of(uint64_t ms)
{
    ms -= 1;
    return (struct timespec){ (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };
}

/* ---- the inbox ---- */

void node_post(struct node *n, struct node_event *e)
{
    pthread_mutex_lock(&n->mu);
    bool ended = n->ended;
    if (!ended) {
        e->next = NULL;
        *n->end = e;
        n->end = &e->next;
        pthread_cond_signal(&n->wake);
    }
    pthread_mutex_unlock(&n->mu);
    if (ended)
        e->drop(e);
}

void node_wake(struct node *n)
{
    pthread_mutex_lock(&n->mu);
    n->nudged = true;
    pthread_cond_signal(&n->wake);
    pthread_mutex_unlock(&n->mu);
}

struct inbox {
    struct node_event *first;
    uint64_t stored;
    bool applied, closing;
};

static void wait_inbox(struct node *n, uint64_t until_ms, struct inbox *in)
{
    struct timespec until = time_of(until_ms < UINT64_MAX / 4 ? until_ms : n->now_ms + 3600000);
    pthread_mutex_lock(&n->mu);
    while (n->first == NULL && n->stored_seq == 0 && n->applied_seq == 0 && !n->nudged &&
           !n->closing)
        if (pthread_cond_timedwait(&n->wake, &n->mu, &until) == ETIMEDOUT)
            break;
    *in = (struct inbox){ n->first, n->stored_seq, n->applied_seq != 0, n->closing };
    n->first = NULL;
    n->end = &n->first;
    n->stored_seq = n->applied_seq = 0;
    n->nudged = false;
    pthread_mutex_unlock(&n->mu);
}

void node_on_stored(void *ctx, uint64_t seq)
{
    struct node *n = ctx;
    pthread_mutex_lock(&n->mu);
    n->stored_seq = seq;
    pthread_cond_signal(&n->wake);
    pthread_mutex_unlock(&n->mu);
}

bool node_on_is_own(void *ctx, uint64_t index, uint64_t term)
{
    struct node *n = ctx;
    return waiters_waits(n->waiters, index, term);
}

void node_on_decided(void *ctx, uint64_t index, uint64_t term)
{
    struct node *n = ctx;
    /* Whoever is told may look at once. */
    atomic_store(&n->o.gauge->applied, index);
    waiters_decided(n->waiters, index, term);
}

void node_on_applied(void *ctx, const struct mark *mark)
{
    struct node *n = ctx;
    atomic_store(&n->o.gauge->applied, mark->index);
    pthread_mutex_lock(&n->mu);
    n->applied_index = mark->index;
    n->applied_term = mark->term;
    n->restore_open = mark->restore;
    n->applied_seq = mark->index;
    pthread_cond_signal(&n->wake);
    if (n->watchers > 0)
        pthread_cond_broadcast(&n->changed);
    pthread_mutex_unlock(&n->mu);
}

/* ---- failing ---- */

static const struct mark void_mark = { .invalid = true };

/*
 * What is committed here is not what the cluster has, after an operator has made another node go on
 * alone: this node begins anew, with the term and the vote it has, and waits for a snapshot.
 */
static void begin_anew(struct node *n)
{
    struct err err = { 0 };
    LOG(&lg, ERROR, "this node's store contradicts the leader's log: it is dropped, and fetched "
                    "again from the leader");
    tail_reset(n->tail);
    n->o.voided(n->o.ctx, true);
    atomic_store(&n->o.gauge->applied, 0);
    if (journal_reset(n->journal, 1, &err) < 0 ||
        applier_install(n->applier, NULL, &void_mark, &err) < 0 ||
        node_start_engine(n, NULL, &err) < 0)
        LOG(&lg, ERROR, "this node takes no part any more: restart it: error=%s", err.msg);
}

static void fail(struct node *n, const struct err *why)
{
    if (n->engine == NULL)
        return;
    engine_free(n->engine);
    n->engine = NULL;
    engine_todo_clear(&n->todo);
    waiters_fail_flying(n->waiters, ERR_TIMEOUT, "the outcome of the write is not known");
    if (why->code == ERR_CONFLICT)
        begin_anew(n);
    else
        LOG(&lg, ERROR, "this node takes no part in its cluster any more: restart it: error=%s",
            why->msg);
}

static void check(struct node *n, int rc, const struct err *err)
{
    if (rc < 0)
        fail(n, err);
}

/* ---- members ---- */

static struct node_peer *peer_of(struct node *n, uint64_t number)
{
    for (size_t i = 0; i < n->n_peers; i++)
        if (n->peers[i].number == number)
            return &n->peers[i];
    if (n->n_peers == NODE_PEERS)
        n->n_peers = 0;
    n->peers[n->n_peers] = (struct node_peer){ .number = number };
    return &n->peers[n->n_peers++];
}

static uint64_t term_of(void *ctx, uint64_t index)
{
    struct node *n = ctx;
    if (index == 0)
        return 0;
    struct entry *e = tail_get(n->tail, index);
    uint64_t term = e != NULL ? e->term : wal_term_of(n->o.wal, index);
    entry_drop(e);
    return term;
}

static int read_row(struct node *n, uint64_t index, struct buf *data, struct entry **out,
                    struct err *err)
{
    struct wal_entry row;
    buf_clear(data);
    int found = wal_read(n->o.wal, index, &row, data, err);
    TRY(found);
    if (found == 0)
        return err_set(err, ERR_CORRUPT, "raft: the log does not hold entry %llu",
                       (unsigned long long)index);
    TRY(buf_check(data, err));
    *out = entry_new(index, row.term, row.type, buf_str(data));
    return *out != NULL ? 0 : err_set(err, ERR_NOMEM, "raft: out of memory");
}

int node_start_engine(struct node *n, const struct mark *mark, struct err *err)
{
    struct engine_options o = { .id = n->o.id, .addr = n->o.addr,
                                .heartbeat_ms = n->o.heartbeat_ms,
                                .election_ms = n->o.election_ms,
                                .max_inflight = MAX_INFLIGHT, .term_of = term_of, .ctx = n };
    struct engine_start s = { .mark = mark, .first = 1 };
    AUTO(buf_free) struct buf data = { 0 };
    uint64_t last = mark != NULL ? wal_last(n->o.wal) : 0;
    random_fill(&o.seed, sizeof o.seed);
    TRY(engine_new(&o, &n->engine, err));
    wal_vote(n->o.wal, &s.term, &s.voted_for);
    if (mark != NULL)
        s.first = last >= wal_first(n->o.wal) ? wal_first(n->o.wal) : mark->index + 1;
    size_t n_terms = last >= s.first ? (size_t)(last - s.first + 1) : 0;
    uint64_t *terms = calloc(n_terms + 1, sizeof *terms);
    struct entry **later = calloc(n_terms + 1, sizeof(struct entry *));
    int rc = terms == NULL || later == NULL ? err_set(err, ERR_NOMEM, "raft: out of memory") : 0;
    for (size_t i = 0; i < n_terms && rc == 0; i++) {
        uint64_t index = s.first + i;
        terms[i] = wal_term_of(n->o.wal, index);
        if (index <= mark->index)
            continue;
        rc = read_row(n, index, &data, &later[s.n_later], err);
        s.n_later += rc == 0;
    }
    s.terms = terms;
    s.later = later;
    s.n_terms = n_terms;
    n->now_ms = node_now_ms();
    if (rc == 0)
        rc = engine_start(n->engine, n->now_ms, &s, &n->todo, err);
    for (size_t i = 0; i < s.n_later; i++)
        entry_drop(later[i]);
    free(later);
    free(terms);
    if (rc < 0) {
        engine_free(n->engine);
        n->engine = NULL;
    }
    return rc;
}

/* ---- sending ---- */

static void add_leader_fields(struct node *n, struct frame *f, uint64_t number,
                              const struct engine_view *v)
{
    uint64_t until = lease_until(&n->lease, v->conf, n->number, n->now_ms);
    /* Also of what is committed and waits for it: else a slow member would hold up all for ever. */
    bool covers = engine_match(n->engine, number) >= v->committed;
    struct lease_grant g = lease_give(&n->lease, number, covers, until, n->now_ms);
    f->echo = g.theirs;
    f->grant = g.ms;
    if (g.back)
        f->flags |= FRAME_BACK;
    if (n->lease.resumed != 0 && !n->lease.stopping)
        f->flags |= FRAME_FIRM;
}

static void send_message(struct node *n, const struct engine_message *m,
                         const struct engine_view *v)
{
    struct frame f = { .type = FRAME_MESSAGE, .m = *m, .sent = n->now_ms, .last = v->last,
                       .applied = atomic_load(&n->o.gauge->applied) };
    struct raft_append_entries *a = &f.m.m.append_entries;
    uint64_t number = m->m.server_id;
    f.last_term = term_of(n, v->last);
    if (m->m.type == RAFT_INSTALL_SNAPSHOT) {
        shipment_send(n->shipment, m->peer, v->term);
        return;
    }
    if (m->m.type == RAFT_APPEND_ENTRIES) {
        /* What others may show, we show already (lease.h). */
        if (a->leader_commit > f.applied)
            a->leader_commit = f.applied;
        peer_of(n, number)->told = a->leader_commit;
        add_leader_fields(n, &f, number, v);
    } else if (m->m.type == RAFT_APPEND_ENTRIES_RESULT) {
        f.echo = n->leader_of_sent == number ? n->leader_sent : 0;
    }
    transport_send(n->transport, &f);
}

static void send_plain(struct node *n, const struct raft_server *s, const struct engine_view *v)
{
    uint64_t match = engine_match(n->engine, s->id);
    struct engine_message m = { .m.type = RAFT_APPEND_ENTRIES, .m.server_id = s->id };
    struct raft_append_entries *a = &m.m.append_entries;
    memcpy(m.peer, s->address, strnlen(s->address, MEMBER_TEXT_MAX - 1));
    a->term = v->term;
    a->prev_log_index = match;
    a->prev_log_term = term_of(n, match);
    a->leader_commit = atomic_load(&n->o.gauge->applied);
    if (a->prev_log_term != 0)
        send_message(n, &m, v);
}

void node_tell_members(struct node *n, const struct engine_view *v)
{
    for (unsigned i = 0; i < v->conf->n; i++)
        if (v->conf->servers[i].id != n->number)
            send_plain(n, &v->conf->servers[i], v);
}

/* Followers learn what has become visible with the next entries, or at once when none are due. */
static void tell_commit(struct node *n, const struct engine_view *v)
{
    uint64_t applied = atomic_load(&n->o.gauge->applied);
    if (v->state != RAFT_LEADER || waiters_flying(n->waiters) > 0)
        return;
    for (unsigned i = 0; i < v->conf->n; i++) {
        const struct raft_server *s = &v->conf->servers[i];
        uint64_t match = engine_match(n->engine, s->id);
        if (s->id != n->number && match >= applied && peer_of(n, s->id)->told < applied)
            send_plain(n, s, v);
    }
}

/* ---- carrying out ---- */

/* False when the node is to end before it worked. */
static bool make_vote_durable(struct node *n)
{
    struct err err = { 0 };
    while (wal_set_vote(n->o.wal, n->todo.term, n->todo.voted_for, &err) < 0) {
        LOG(&lg, ERROR, "term and vote cannot be written, this node is deaf until they can: make "
                        "room on its disk or repair it: error=%s", err.msg);
        struct timespec until = time_of(node_now_ms() + RETRY_MS);
        pthread_mutex_lock(&n->mu);
        while (!n->closing && pthread_cond_timedwait(&n->wake, &n->mu, &until) != ETIMEDOUT)
            ;
        bool closing = n->closing;
        pthread_mutex_unlock(&n->mu);
        if (closing)
            return false;
    }
    return true;
}

static int append_piece(struct node *n, const struct engine_piece *p, uint64_t seq,
                        struct err *err)
{
    for (size_t i = 0; i < p->n; i++)
        if (tail_put(n->tail, entry_hold(p->v[i])) < 0)
            return err_set(err, ERR_NOMEM, "raft: out of memory");
    return journal_append(n->journal, p->v, p->n, seq, err);
}

static void install(struct node *n)
{
    struct err err = { 0 };
    struct staging *s = n->arrived;
    n->arrived = NULL;
    atomic_store(&n->o.gauge->need, UINT64_MAX);
    tail_reset(n->tail);
    if (s == NULL)
        err_set(&err, ERR_INTERNAL, "raft: no store to install");
    if (s == NULL || applier_install(n->applier, s, &n->arrived_mark, &err) < 0)
        fail(n, &err);
}

static void carry_out(struct node *n)
{
    struct engine_view v;
    struct err err = { 0 };
    struct engine_todo todo = n->todo;
    if (n->engine == NULL || (todo.vote && !make_vote_durable(n)))
        return;
    n->todo = (struct engine_todo){ 0 };
    engine_look(n->engine, &v);
    if (!todo.install)
        atomic_store(&n->o.gauge->need, v.last);
    int rc = 0;
    for (size_t i = 0; i < todo.n_pieces && rc == 0; i++)
        rc = append_piece(n, &todo.pieces[i], todo.seq - (todo.n_pieces - 1 - i), &err);
    for (size_t i = 0; i < todo.n_messages && rc == 0; i++)
        send_message(n, &todo.messages[i], &v);
    n->changed_role |= todo.role_changed;
    n->changed_conf |= todo.conf_changed;
    bool installs = todo.install;
    engine_todo_clear(&todo);
    check(n, rc, &err);
    if (installs && n->engine != NULL)
        install(n);
}

/* ---- what has come ---- */

static void hear_leader(struct node *n, const struct frame *f, uint64_t number)
{
    struct engine_view v;
    if (n->engine == NULL)
        return;
    engine_look(n->engine, &v);
    if (v.leader != number || v.term != f->m.m.append_entries.term || v.state == RAFT_LEADER)
        return;
    n->leader_sent = n->leader_of_sent == number && n->leader_sent > f->sent ? n->leader_sent
                                                                            : f->sent;
    n->leader_of_sent = number;
    engine_firm(n->engine, (f->flags & FRAME_FIRM) != 0);
    if (f->flags & FRAME_BACK)
        n->granted_until = 0;
    uint64_t until = lease_read_until(f->echo, f->grant);
    if (until > n->granted_until && !(f->flags & FRAME_BACK))
        n->granted_until = until;
}

static void hear_follower(struct node *n, const struct frame *f, uint64_t number)
{
    struct err err = { 0 };
    struct node_peer *p = peer_of(n, number);
    p->heard_ms = n->now_ms;
    p->last = f->last;
    p->last_term = f->last_term;
    p->applied = f->applied;
    check(n, lease_heard(&n->lease, number, f->echo, f->sent, &err), &err);
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
    check(n, engine_receive(n->engine, n->now_ms, m, &n->todo, &err), &err);
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
    LOG(&lg, ERROR, "this node has been removed from its cluster and takes no part any more: to let "
                    "it join again, remove what is in its path: told_by=%s", f->m.peer);
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

static void take_frame(struct node *n, struct frame *f)
{
    uint64_t number = member_number_of_text(f->m.peer);
    if (n->engine == NULL)
        return;
    switch (f->type) {
    case FRAME_HELLO:
        tell_removed(n, f, number, f->conf_index);
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
    check(n, rc, &err);
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
    n->o.voided(n->o.ctx, false);
    check(n, journal_reset(n->journal, n->arrived_mark.index + 1, &err), &err);
}

void node_on_installed(void *ctx, const struct mark *mark)
{
    struct node *n = ctx;
    node_on_applied(n, mark);
    waiters_decided(n->waiters, mark->index, 0);
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
    check(n, engine_installed(n->engine, n->now_ms, &n->arrived_mark, &n->todo, &err), &err);
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
    fail(n, &((struct plain_event *)event)->err);
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
        check(n, engine_compact(n->engine, n->now_ms, &e->mark, (unsigned)trailing, &n->todo, &err),
              &err);
        if (index > trailing)
            check(n, journal_forget(n->journal, index - trailing, &err), &err);
    }
    mark_drop(event);
}

void node_on_synced(void *ctx, const struct mark *mark)
{
    post_mark(ctx, synced_run, mark, NULL, "", 0);
}

/* ---- what follows from it ---- */

static int join_payloads(const struct waiter *list, struct buf *out, struct err *err)
{
    buf_byte(out, ENTRY_BATCHES);
    for (const struct waiter *x = list; x != NULL; x = x->next)
        buf_add(out, x->payload);
    return buf_check(out, err);
}

/* All that wait become one entry. */
static void submit_waiting(struct node *n)
{
    AUTO(buf_free) struct buf payload = { 0 };
    struct err err = { 0 };
    struct engine_view v;
    struct waiter *list = waiters_take(n->waiters, n->o.entry_bytes);
    if (list == NULL)
        return;
    struct entry *e = join_payloads(list, &payload, &err) == 0
                          ? entry_new(0, 0, RAFT_COMMAND, buf_str(&payload))
                          : NULL;
    if (e == NULL) {
        waiters_fail(list, ERR_NOMEM, "raft: out of memory");
        return;
    }
    entry_hold(e);
    bool was_idle = waiters_flying(n->waiters) == 0;
    int rc = engine_submit(n->engine, n->now_ms, e, &n->todo, &err);
    if (e->index == 0)
        waiters_fail(list, err.code, err.msg);
    else
        waiters_fly(n->waiters, list, e->index, e->term);
    entry_drop(e);
    if (was_idle)
        n->progress_ms = n->now_ms;
    engine_look(n->engine, &v);
    if (rc < 0 && v.state == RAFT_LEADER && err.code == ERR_NOMEM)
        fail(n, &err);
}

static void serve_writers(struct node *n)
{
    struct err err = { 0 };
    struct engine_view v;
    if (!waiters_queued(n->waiters))
        return;
    if (n->engine != NULL)
        engine_look(n->engine, &v);
    if (n->engine == NULL || v.state != RAFT_LEADER || v.transferring || n->transfer_to != 0) {
        waiters_fail_queued(n->waiters, ERR_STANDBY, "this node does not lead the cluster");
        return;
    }
    if (journal_trouble(n->journal, &err)) {
        waiters_fail_queued(n->waiters, err.code, err.msg);
        return;
    }
    while (n->engine != NULL && waiters_queued(n->waiters) &&
           waiters_flying(n->waiters) < NODE_OWN_ENTRIES)
        submit_waiting(n);
}

/* Nobody waits for ever: a leader that was cut off may never learn what became of its entries. */
static void give_up_waiting(struct node *n, bool applied)
{
    if (waiters_flying(n->waiters) == 0 || applied)
        n->progress_ms = n->now_ms;
    else if (n->now_ms - n->progress_ms >= NODE_UNKNOWN_MS)
        waiters_fail_flying(n->waiters, ERR_TIMEOUT, "the outcome of the write is not known");
}

static void make_visible(struct node *n, const struct engine_view *v)
{
    uint64_t upto = v->committed;
    if (v->state == RAFT_LEADER)
        for (size_t i = 0; i < n->n_peers; i++) {
            uint64_t number = n->peers[i].number, match;
            if (!lease_holds(&n->lease, number, n->now_ms))
                continue;
            match = engine_match(n->engine, number);
            upto = match < upto ? match : upto;
        }
    if (upto <= n->visible)
        return;
    n->visible = upto;
    applier_commit(n->applier, upto);
}

static void change_role(struct node *n, const struct engine_view *v)
{
    bool leads = v->state == RAFT_LEADER;
    if (leads && (!n->was_leader || n->lease_term != v->term)) {
        lease_lead(&n->lease);
        n->lease_term = v->term;
        n->granted_until = 0;
        metric_count(METRIC_RAFT_STATE_LEADER, 1);
        LOG(&lg, INFO, "this node leads the cluster: term=%llu", (unsigned long long)v->term);
    }
    if (!leads && n->was_leader) {
        lease_follow(&n->lease);
        n->transfer_to = 0;
        n->visible = 0;
        metric_count(METRIC_RAFT_STATE_FOLLOWER, 1);
        LOG(&lg, INFO, "this node leads the cluster no more: term=%llu",
            (unsigned long long)v->term);
    }
    n->was_leader = leads;
}

/* Once no standby reads on a grant of ours, libraft may hand over. */
static void hand_over(struct node *n, const struct engine_view *v)
{
    struct err err = { 0 };
    if (v->state != RAFT_LEADER)
        return;
    if (n->transferring && !v->transferring) {
        n->transferring = false;
        lease_resume(&n->lease, n->now_ms);
        n->changed_role = true;
    }
    if (n->transfer_to == 0 || lease_next(&n->lease, n->now_ms) != UINT64_MAX)
        return;
    n->transferring = engine_transfer(n->engine, n->now_ms, n->transfer_to, &n->todo, &err) == 0;
    n->transfer_to = 0;
    if (!n->transferring) {
        lease_resume(&n->lease, n->now_ms);
        n->changed_role = true;
    }
}

static void answer(struct node *n, const struct node_asker *a, uint64_t index, bool failed)
{
    struct frame f = { .type = FRAME_ANSWER, .id = a->id, .index = index };
    memcpy(f.m.peer, a->peer, sizeof f.m.peer);
    f.flags = failed ? FRAME_FAILED : 0;
    transport_send(n->transport, &f);
}

/* A leader that has heard a quorum since it was asked knows that it led then. */
static void answer_askers(struct node *n, bool settled, uint64_t until)
{
    size_t left = 0;
    for (size_t i = 0; i < n->n_askers; i++) {
        struct node_asker *a = &n->askers[i];
        if (settled && until > n->now_ms)
            answer(n, a, atomic_load(&n->o.gauge->applied), false);
        else if (!n->was_leader)
            answer(n, a, 0, true);
        else if (n->now_ms - a->at_ms < ASK_MS)
            n->askers[left++] = *a;
    }
    n->n_askers = left;
}

/* A restore whose leader is gone will not be finished; our address may be a new one. */
static void tidy(struct node *n, const struct engine_view *v)
{
    AUTO(buf_free) struct buf payload = { 0 };
    AUTO(member_clear) struct raft_configuration c = { 0 };
    struct err err = { 0 };
    uint64_t open = n->restore_seen;
    if (open != 0 && open != n->aborted && term_of(n, open) != v->term) {
        n->aborted = open;
        buf_byte(&payload, ENTRY_RESTORE_ABORT);
        for (int shift = 56; shift >= 0; shift -= 8)
            buf_byte(&payload, (char)(open >> shift));
        struct entry *e = entry_new(0, 0, RAFT_COMMAND, buf_str(&payload));
        if (e != NULL)
            check(n, engine_submit(n->engine, n->now_ms, e, &n->todo, &err), &err);
        return;
    }
    const struct raft_server *me = member_of(v->conf, n->number);
    if (me == NULL || strcmp(me->address, n->self) == 0 || v->conf_pending ||
        n->readdressed == v->term || n->o.addr.n == 0)
        return;
    n->readdressed = v->term;
    if (member_with(v->conf, n->o.id, n->o.addr, me->role, &c, &err) < 0 ||
        member_encode(&c, &payload, &err) < 0)
        return;
    struct entry *e = entry_new(0, 0, RAFT_CHANGE, buf_str(&payload));
    if (e != NULL && engine_submit(n->engine, n->now_ms, e, &n->todo, &err) < 0)
        LOG(&lg, WARN, "this node's new address could not be told: error=%s", err.msg);
}

static void compact(struct node *n)
{
    uint64_t applied = atomic_load(&n->o.gauge->applied);
    if (n->syncing || n->installing || n->restore_seen != 0 ||
        applied < n->compacted + n->o.snapshot_threshold)
        return;
    n->syncing = true;
    applier_sync(n->applier);
}

/* ---- telling the other threads ---- */

static void set_leader(struct node *n, const struct engine_view *v)
{
    struct ha_leader *l = &n->leader;
    struct str id, addr;
    *l = (struct ha_leader){ .term = v->term };
    const struct raft_server *s = member_of(v->conf, v->leader);
    const char *text = s != NULL ? s->address : v->leader_text;
    if (v->leader == 0 || text == NULL)
        return;
    member_parts(text, &id, &addr);
    if (id.n >= sizeof l->id || addr.n >= sizeof l->cluster_addr)
        return;
    memcpy(l->id, id.p, id.n);
    memcpy(l->cluster_addr, addr.p, addr.n);
    l->known = true;
    l->self = v->leader == n->number && n->transfer_to == 0;
    if (v->leader == n->number && n->transfer_to != 0)
        l->known = false;
}

static void publish(struct node *n, const struct engine_view *v, uint64_t until)
{
    struct err err = { 0 };
    bool tell = n->changed_role || n->changed_conf;
    bool leads = v->state == RAFT_LEADER;
    pthread_mutex_lock(&n->mu);
    n->term = v->term;
    n->last = v->last;
    n->leads = leads;
    n->lead_until = until;
    n->handing_over = n->transfer_to != 0 || n->transferring;
    n->settled = leads && n->applied_term == v->term;
    n->restore_seen = n->restore_open;
    if (tell) {
        set_leader(n, v);
        member_clear(&n->conf);
        if (member_copy(v->conf, &n->conf, &err) == 0)
            n->members_index = v->conf_index;
    }
    n->n_known = n->n_peers;
    memcpy(n->known, n->peers, n->n_peers * sizeof *n->peers);
    bool settled = n->settled;
    if (n->watchers > 0)
        pthread_cond_broadcast(&n->changed);
    pthread_mutex_unlock(&n->mu);
    atomic_store(&n->o.gauge->committed, v->committed);
    atomic_store(&n->conf_index, v->conf_index);
    atomic_store(&n->o.gauge->read_until, leads ? settled ? until : 0 : n->granted_until);
    n->changed_role = n->changed_conf = false;
    answer_askers(n, settled, until);
    if (tell && n->o.events.role_changed != NULL)
        n->o.events.role_changed(n->o.events.ctx);
    if (settled)
        tidy(n, v);
}

/* The engine is gone: no leader is known here, nothing is led. */
static void publish_nothing(struct node *n)
{
    bool tell = n->changed_role;
    lease_follow(&n->lease);
    n->was_leader = false;
    atomic_store(&n->o.gauge->read_until, 0);
    pthread_mutex_lock(&n->mu);
    tell |= n->leader.known || n->leads;
    n->leader = (struct ha_leader){ .term = n->term };
    n->leads = n->settled = false;
    if (n->watchers > 0)
        pthread_cond_broadcast(&n->changed);
    pthread_mutex_unlock(&n->mu);
    n->changed_role = false;
    if (tell && n->o.events.role_changed != NULL)
        n->o.events.role_changed(n->o.events.ctx);
}

/* ---- the thread ---- */

static void finish_pass(struct node *n, bool applied)
{
    struct engine_view v;
    serve_writers(n);
    carry_out(n);
    give_up_waiting(n, applied);
    if (n->engine == NULL) {
        publish_nothing(n);
        return;
    }
    engine_look(n->engine, &v);
    change_role(n, &v);
    hand_over(n, &v);
    make_visible(n, &v);
    tell_commit(n, &v);
    publish(n, &v, lease_until(&n->lease, v.conf, n->number, n->now_ms));
    compact(n);
    /* What tidy and hand_over have asked for. */
    carry_out(n);
}

static uint64_t due(const struct node *n)
{
    uint64_t at = n->engine != NULL ? engine_due_ms(n->engine) : UINT64_MAX;
    uint64_t grants = n->was_leader ? lease_next(&n->lease, n->now_ms) : UINT64_MAX;
    uint64_t unknown = waiters_flying(n->waiters) > 0 ? n->progress_ms + NODE_UNKNOWN_MS
                                                      : UINT64_MAX;
    at = grants < at ? grants : at;
    return unknown < at ? unknown : at;
}

static void drop_events(struct node_event *first)
{
    for (struct node_event *next; first != NULL; first = next) {
        next = first->next;
        first->drop(first);
    }
}

static void take_events(struct node *n, const struct inbox *in)
{
    struct err err = { 0 };
    if (in->stored != 0 && n->engine != NULL)
        check(n, engine_persisted(n->engine, n->now_ms, in->stored, &n->todo, &err), &err);
    for (struct node_event *next, *e = in->first; e != NULL; e = next) {
        next = e->next;
        e->run(n, e);
    }
    if (n->engine != NULL && n->now_ms >= engine_due_ms(n->engine))
        check(n, engine_timeout(n->engine, n->now_ms, &n->todo, &err), &err);
}

void *node_run(void *arg)
{
    struct node *n = arg;
    struct inbox in = { 0 };
    while (!in.closing) {
        n->now_ms = node_now_ms();
        take_events(n, &in);
        finish_pass(n, in.applied);
        wait_inbox(n, due(n), &in);
    }
    drop_events(in.first);
    waiters_fail_queued(n->waiters, ERR_STANDBY, "this node has left the cluster's contest");
    waiters_fail_flying(n->waiters, ERR_TIMEOUT, "the outcome of the write is not known");
    return NULL;
}
