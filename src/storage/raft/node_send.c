/* Node_send: carrying out what the engine wants done: disk, messages, a store to install. */
#include "storage/raft/node_parts.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"

enum { RETRY_MS = 1000 };

static const struct log lg = { "storage.raft" };

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
    f.last_term = node_term_of(n, v->last);
    if (m->m.type == RAFT_INSTALL_SNAPSHOT) {
        shipment_send(n->shipment, m->peer, v->term);
        return;
    }
    if (m->m.type == RAFT_APPEND_ENTRIES) {
        /* What others may show, we show already (lease.h). */
        if (a->leader_commit > f.applied)
            a->leader_commit = f.applied;
        node_peer_of(n, number)->told = a->leader_commit;
        add_leader_fields(n, &f, number, v);
    } else if (m->m.type == RAFT_APPEND_ENTRIES_RESULT) {
        f.echo = n->reader.leader == number ? n->reader.sent : 0;
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
    a->prev_log_term = node_term_of(n, match);
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
void node_tell_commit(struct node *n, const struct engine_view *v)
{
    uint64_t applied = atomic_load(&n->o.gauge->applied);
    if (v->state != RAFT_LEADER || waiters_flying(n->waiters) > 0)
        return;
    for (unsigned i = 0; i < v->conf->n; i++) {
        const struct raft_server *s = &v->conf->servers[i];
        uint64_t match = engine_match(n->engine, s->id);
        if (s->id != n->number && match >= applied && node_peer_of(n, s->id)->told < applied)
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
        struct timespec until = node_time_of(node_now_ms() + RETRY_MS);
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
        node_fail(n, &err);
}

void node_carry_out(struct node *n)
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
    node_check(n, rc, &err);
    if (installs && n->engine != NULL)
        install(n);
}
