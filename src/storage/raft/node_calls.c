/* Node_calls: a node is made and ended here; and what other threads ask of it. */
#include "storage/raft/node_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"

static const struct log lg = { "storage.raft" };

enum { LOOK_MS = 100 }; /* at what is no event: that an entry of members is committed */

/* ---- making ---- */

static uint64_t conf_index_of(void *ctx)
{
    struct node *n = ctx;
    return atomic_load(&n->conf_index);
}

static void store_comes(void *ctx, struct link *l, const struct frame *head)
{
    struct node *n = ctx;
    shipment_receive(n->shipment, l, head);
}

static void keys_changed(void *ctx, const struct str *keys, size_t count)
{
    struct node *n = ctx;
    if (n->o.events.keys_changed != NULL)
        n->o.events.keys_changed(n->o.events.ctx, keys, count);
}

static void store_replaced(void *ctx)
{
    struct node *n = ctx;
    if (n->o.events.store_replaced != NULL)
        n->o.events.store_replaced(n->o.events.ctx);
}

static int make_parts(struct node *n, const struct mark *mark, struct err *err)
{
    const struct mark nowhere = { .invalid = true };
    const struct journal_calls journal = { n, node_on_stored, node_on_reset };
    const struct applier_options applier = {
        n->o.state, n->o.wal, n->tail, n->o.dir,
        { n, node_on_is_own, keys_changed, store_replaced, node_on_decided, node_on_applied,
          node_on_synced, node_on_installed, node_on_broken }
    };
    const struct transport_options transport = {
        n->o.creds, n->o.alpn, n->self, n->o.wal, n->tail,
        { n, node_on_frame, store_comes, conf_index_of }
    };
    TRY(journal_new(n->o.wal, n->tail, &journal, &n->journal, err));
    TRY(transport_new(&transport, &n->transport, err));
    const struct shipment_options shipment = { n->o.state, n->o.dir, n->transport, n,
                                               node_on_store };
    TRY(shipment_new(&shipment, &n->shipment, err));
    return applier_new(&applier, mark != NULL ? mark : &nowhere, &n->applier, err);
}

static void init_locks(struct node *n)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&n->mu, NULL);
    pthread_cond_init(&n->wake, &attr);
    pthread_cond_init(&n->room, &attr);
    pthread_cond_init(&n->changed, &attr);
    pthread_condattr_destroy(&attr);
    n->end = &n->first;
}

static int prepare(struct node *n, const struct mark *mark, struct err *err)
{
    TRY(member_text(n->o.id, n->o.addr, n->self, err));
    n->number = member_number(n->o.id);
    n->tail = tail_new();
    n->waiters = waiters_new();
    if (n->tail == NULL || n->waiters == NULL)
        return err_set(err, ERR_NOMEM, "raft: out of memory");
    n->lease.election_ms = n->o.election_ms;
    n->lease.grant_ms = n->o.election_ms * 2 / 3;
    n->changed_role = n->changed_conf = true;
    n->compacted = wal_first(n->o.wal) - 1;
    if (mark != NULL) {
        atomic_store(&n->o.gauge->applied, mark->index);
        n->applied_index = mark->index;
        n->applied_term = mark->term;
        n->restore_open = mark->restore;
    }
    TRY(make_parts(n, mark, err));
    return node_start_engine(n, mark, err);
}

static void release(struct node *n)
{
    transport_free(n->transport);
    shipment_free(n->shipment);
    applier_free(n->applier);
    journal_free(n->journal);
    engine_todo_clear(&n->todo);
    engine_free(n->engine);
    lease_fini(&n->lease);
    waiters_free(n->waiters);
    tail_free(n->tail);
    staging_free(n->arrived);
    mark_clear(&n->arrived_mark);
    member_clear(&n->conf);
    pthread_cond_destroy(&n->changed);
    pthread_cond_destroy(&n->room);
    pthread_cond_destroy(&n->wake);
    pthread_mutex_destroy(&n->mu);
    free(n);
}

/* The parts' threads, those first that call into the others. */
static void end_parts(struct node *n)
{
    transport_close(n->transport);
    shipment_free(n->shipment);
    applier_free(n->applier);
    journal_free(n->journal);
    n->shipment = NULL;
    n->applier = NULL;
    n->journal = NULL;
}

int node_new(const struct node_options *options, const struct mark *mark, struct node **out,
             struct err *err)
{
    struct node *n = calloc(1, sizeof *n);
    if (n == NULL)
        return err_set(err, ERR_NOMEM, "raft: out of memory");
    n->o = *options;
    init_locks(n);
    int rc = prepare(n, mark, err);
    if (rc == 0 && pthread_create(&n->thread, NULL, node_run, n) != 0)
        rc = err_set(err, ERR_NOMEM, "raft: no thread for the node");
    if (rc < 0) {
        n->ended = n->closing = true;
        end_parts(n);
        release(n);
        return -1;
    }
    *out = n;
    return 0;
}

static void drop_events(struct node *n)
{
    pthread_mutex_lock(&n->mu);
    n->ended = true;
    struct node_event *first = n->first;
    n->first = NULL;
    n->end = &n->first;
    pthread_cond_broadcast(&n->changed);
    pthread_mutex_unlock(&n->mu);
    for (struct node_event *next; first != NULL; first = next) {
        next = first->next;
        first->drop(first);
    }
}

void node_stop(struct node *n)
{
    pthread_mutex_lock(&n->mu);
    n->closing = true;
    pthread_cond_signal(&n->wake);
    pthread_cond_broadcast(&n->room);
    pthread_cond_broadcast(&n->changed);
    pthread_mutex_unlock(&n->mu);
    pthread_join(n->thread, NULL);
    drop_events(n);
    waiters_fail_queued(n->waiters, ERR_STANDBY, "this node has left the cluster's contest");
    end_parts(n);
    atomic_store(&n->o.gauge->read_until, 0);
}

void node_free(struct node *n)
{
    if (n != NULL)
        release(n);
}

/* ---- writing ---- */

int node_commit(struct node *n, struct str payload, struct err *err)
{
    struct waiter x;
    pthread_mutex_lock(&n->mu);
    bool closing = n->closing;
    if (!closing) {
        waiters_init(&x, payload, err);
        if (waiters_queue(n->waiters, &x)) {
            n->nudged = true;
            pthread_cond_signal(&n->wake);
        }
    }
    pthread_mutex_unlock(&n->mu);
    if (closing)
        return err_set(err, ERR_STANDBY, "this node has left the cluster's contest");
    return waiters_wait(&x);
}

/* ---- looking ---- */

void node_leader(struct node *n, struct ha_leader *out)
{
    pthread_mutex_lock(&n->mu);
    *out = n->leader;
    pthread_mutex_unlock(&n->mu);
}

bool node_may_read(const struct node_gauge *g)
{
    return atomic_load(&g->read_until) > node_now_ms() &&
           atomic_load(&g->applied) >= atomic_load(&g->need);
}

void node_index(struct node *n, uint64_t *committed, uint64_t *applied)
{
    *committed = atomic_load(&n->o.gauge->committed);
    *applied = atomic_load(&n->o.gauge->applied);
}

void node_status(struct node *n, struct raftstore_status *out)
{
    pthread_mutex_lock(&n->mu);
    *out = (struct raftstore_status){ .term = n->term, .last_index = n->last };
    pthread_mutex_unlock(&n->mu);
    struct entry *e = tail_get(n->tail, out->last_index);
    out->last_term = e != NULL ? e->term : wal_term_of(n->o.wal, out->last_index);
    entry_drop(e);
    if (out->last_term == 0)
        out->last_term = out->term;
    node_index(n, &out->committed, &out->applied);
}

/* Wait for a change of what is under mu, until then. False: it is later, or the node ends. */
static bool wait_changed(struct node *n, uint64_t until_ms)
{
    struct timespec until = { (time_t)((until_ms - 1) / 1000),
                              (long)((until_ms - 1) % 1000) * 1000000 };
    n->watchers++;
    int rc = pthread_cond_timedwait(&n->changed, &n->mu, &until);
    n->watchers--;
    return rc != ETIMEDOUT && !n->closing;
}

bool node_wait_change(struct node *n, uint64_t until_ms)
{
    uint64_t soon = node_now_ms() + LOOK_MS;
    pthread_mutex_lock(&n->mu);
    bool again = wait_changed(n, soon < until_ms ? soon : until_ms) || !n->closing;
    pthread_mutex_unlock(&n->mu);
    return again && node_now_ms() < until_ms;
}

static uint64_t after(int ms)
{
    return node_now_ms() + (uint64_t)(ms > 0 ? ms : 0);
}

int node_wait_applied(struct node *n, uint64_t index, int ms, struct err *err)
{
    uint64_t until = after(ms);
    if (atomic_load(&n->o.gauge->applied) >= index)
        return 0;
    pthread_mutex_lock(&n->mu);
    while (n->applied_index < index && wait_changed(n, until))
        ;
    bool done = n->applied_index >= index;
    pthread_mutex_unlock(&n->mu);
    return done ? 0 : err_set(err, ERR_TIMEOUT, "this node has not come as far in time");
}

static int not_leading(struct err *err)
{
    return err_set(err, ERR_STANDBY, "this node does not lead the cluster");
}

int node_settle(struct node *n, struct err *err)
{
    pthread_mutex_lock(&n->mu);
    while (n->leads && !n->settled && !n->closing)
        wait_changed(n, after(1000));
    bool settled = n->leads && n->settled;
    if (settled) {
        atomic_store(&n->open_term, n->term);
        atomic_store(&n->o.gauge->read_until, n->lead_until); /* before publish says so */
    }
    pthread_mutex_unlock(&n->mu);
    return settled ? 0 : not_leading(err);
}

/* It leads, serves in this term, and nobody else does. Under mu. */
static bool is_sure(const struct node *n)
{
    return n->settled && atomic_load(&n->open_term) == n->term && n->lead_until > node_now_ms();
}

/* The leader itself: it must be sure that it leads. */
static int confirm(struct node *n, uint64_t until, struct err *err)
{
    pthread_mutex_lock(&n->mu);
    while (n->leads && !is_sure(n) && wait_changed(n, until))
        ;
    bool leads = n->leads, sure = leads && is_sure(n);
    pthread_mutex_unlock(&n->mu);
    if (sure)
        return 0;
    return leads ? err_set(err, ERR_TIMEOUT, "the cluster has no quorum") : not_leading(err);
}

static bool take_answer(struct node *n, uint64_t id, uint64_t *index)
{
    for (size_t i = 0; i < n->n_answered; i++) {
        if (n->answered[i][0] != id)
            continue;
        *index = n->answered[i][1];
        n->n_answered--;
        n->answered[i][0] = n->answered[n->n_answered][0];
        n->answered[i][1] = n->answered[n->n_answered][1];
        return true;
    }
    return false;
}

enum { ASK_AGAIN_MS = 150, LEAVE_MS = 10000 };

/* 1: the leader's answer; 0: none in time. Under mu. */
static int await_answer(struct node *n, uint64_t id, uint64_t until, uint64_t *index)
{
    while (!take_answer(n, id, index))
        if (!wait_changed(n, until))
            return take_answer(n, id, index);
    return 1;
}

static int ask_once(struct node *n, uint64_t until, uint64_t *index, struct err *err)
{
    struct frame f = { .type = FRAME_ASK };
    pthread_mutex_lock(&n->mu);
    struct ha_leader leader = n->leader;
    f.id = ++n->asked;
    pthread_mutex_unlock(&n->mu);
    if (!leader.known || leader.self)
        return err_set(err, ERR_STANDBY, "the cluster has no leader at the moment");
    TRY(member_text(str_of(leader.id), str_of(leader.cluster_addr), f.m.peer, err));
    transport_send(n->transport, &f);
    pthread_mutex_lock(&n->mu);
    int found = await_answer(n, f.id, until, index);
    bool closing = n->closing;
    pthread_mutex_unlock(&n->mu);
    return closing ? err_set(err, ERR_STANDBY, "this node has left the cluster's contest") : found;
}

int node_catch_up(struct node *n, int ms, struct err *err)
{
    uint64_t until = after(ms), index = 0;
    pthread_mutex_lock(&n->mu);
    bool leads = n->leads;
    pthread_mutex_unlock(&n->mu);
    if (leads)
        return confirm(n, until, err);
    for (int found = 0; found == 0;) {
        uint64_t now = node_now_ms();
        if (now >= until)
            return err_set(err, ERR_TIMEOUT, "the leader did not say in time how far it is");
        uint64_t once = now + ASK_AGAIN_MS;
        found = ask_once(n, once < until ? once : until, &index, err);
        TRY(found);
    }
    if (index == 0)
        return err_set(err, ERR_STANDBY, "the cluster has no leader at the moment");
    uint64_t now = node_now_ms();
    return node_wait_applied(n, index, now < until ? (int)(until - now) : 0, err);
}

void node_accept(struct node *n, struct link *l)
{
    transport_accept(n->transport, l);
}

static void describe(struct node *n, const struct raft_server *s, struct raft_member *out)
{
    struct str id, addr;
    uint64_t now = node_now_ms();
    member_parts(s->address, &id, &addr);
    *out = (struct raft_member){ .voter = s->role == RAFT_VOTER, .self = s->id == n->number };
    memcpy(out->id, id.p, id.n < HA_NAME_MAX ? id.n : HA_NAME_MAX - 1);
    memcpy(out->addr, addr.p, addr.n < HA_NAME_MAX ? addr.n : HA_NAME_MAX - 1);
    out->leader = n->leader.known && strcmp(n->leader.id, out->id) == 0;
    out->last_contact_ms = -1;
    if (!n->leads)
        return;
    if (out->self) {
        out->alive = true;
        out->last_index = n->last;
        out->last_term = n->term;
        out->last_contact_ms = 0;
    }
    for (size_t i = 0; i < n->n_known; i++) {
        const struct node_peer *p = &n->known[i];
        if (p->number != s->id || p->heard_ms == 0)
            continue;
        out->last_contact_ms = now > p->heard_ms ? (int64_t)(now - p->heard_ms) : 0;
        out->alive = out->last_contact_ms < (int64_t)(3 * n->o.election_ms);
        out->last_index = p->last;
        out->last_term = p->last_term;
    }
}

int node_members(struct node *n, struct arena *a, struct raft_members *out, struct err *err)
{
    pthread_mutex_lock(&n->mu);
    *out = (struct raft_members){ arena_array(a, n->conf.n, sizeof *out->v), 0, n->members_index };
    for (unsigned i = 0; i < n->conf.n && out->v != NULL; i++)
        describe(n, &n->conf.servers[i], &out->v[out->n++]);
    pthread_mutex_unlock(&n->mu);
    return arena_check(a, err);
}

/*
 * A leader that is to go hands over first; then it asks whoever leads to take it out, until it
 * hears that it is no member any more.
 */
int node_leave(struct node *n, struct err *err)
{
    uint64_t until = after(LEAVE_MS);
    TRY(node_step_down(n, err));
    while (!atomic_load(&n->removed) && node_now_ms() < until) {
        struct frame f = { .type = FRAME_LEAVE };
        pthread_mutex_lock(&n->mu);
        struct ha_leader leader = n->leader;
        pthread_mutex_unlock(&n->mu);
        if (leader.known && !leader.self &&
            member_text(str_of(leader.id), str_of(leader.cluster_addr), f.m.peer, err) == 0)
            transport_send(n->transport, &f);
        pthread_mutex_lock(&n->mu);
        uint64_t again = after(ASK_AGAIN_MS);
        while (!atomic_load(&n->removed) && wait_changed(n, again))
            ;
        bool closing = n->closing;
        pthread_mutex_unlock(&n->mu);
        if (closing)
            break;
    }
    return atomic_load(&n->removed)
               ? 0
               : err_set(err, ERR_TIMEOUT, "the new leader did not take this node out in time");
}

int node_step_down(struct node *n, struct err *err)
{
    TRY(node_hand_over(n, err));
    uint64_t until = after((int)(4 * n->o.election_ms));
    pthread_mutex_lock(&n->mu);
    while ((n->leads ? n->handing_over : !n->leader.known) && wait_changed(n, until))
        ;
    bool over = !n->leads && n->leader.known;
    pthread_mutex_unlock(&n->mu);
    if (over)
        return 0;
    LOG(&lg, WARN, "no other node took the leadership over in time");
    return err_set(err, ERR_TIMEOUT, "no other node took the leadership over in time");
}
