/*
 * Node_step: what the node's thread does: it takes what has come, lets the engine make of it what
 * it will, and carries that out, in passes.
 */
#include "storage/raft/node_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"

enum { ASK_MS = 2000, LONG_MS = 3600000 };

static const struct log lg = { "storage.raft" };

uint64_t node_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000 + 1;
}

struct timespec node_time_of(uint64_t ms)
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
    bool never = until_ms > UINT64_MAX / 4;
    struct timespec until = node_time_of(never ? n->now_ms + LONG_MS : until_ms);
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
        node_fail(n, &err);
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
    if (atomic_load(&n->open_term) != v.term) {
        waiters_fail_queued(n->waiters, ERR_STANDBY, "this node does not serve yet");
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
        n->reader = (struct lease_reader){ 0 };
        LOG(&lg, INFO, "this node leads the cluster: term=%llu", (unsigned long long)v->term);
    }
    if (!leads && n->was_leader) {
        lease_follow(&n->lease);
        n->transfer_to = 0;
        n->visible = 0;
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
    if (open != 0 && open != n->aborted && node_term_of(n, open) != v->term) {
        n->aborted = open;
        buf_byte(&payload, ENTRY_RESTORE_ABORT);
        for (int shift = 56; shift >= 0; shift -= 8)
            buf_byte(&payload, (char)(open >> shift));
        struct entry *e = entry_new(0, 0, RAFT_COMMAND, buf_str(&payload));
        if (e != NULL)
            node_check(n, engine_submit(n->engine, n->now_ms, e, &n->todo, &err), &err);
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
    bool serves = settled && atomic_load(&n->open_term) == v->term;
    atomic_store(&n->o.gauge->read_until, leads ? serves ? until : 0 : n->reader.until);
    atomic_store(&n->o.gauge->committed, v->committed);
    atomic_store(&n->conf_index, v->conf_index);
    if (n->watchers > 0)
        pthread_cond_broadcast(&n->changed);
    pthread_mutex_unlock(&n->mu);
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
    node_carry_out(n);
    give_up_waiting(n, applied);
    if (n->engine == NULL) {
        publish_nothing(n);
        return;
    }
    engine_look(n->engine, &v);
    change_role(n, &v);
    hand_over(n, &v);
    make_visible(n, &v);
    node_tell_commit(n, &v);
    publish(n, &v, lease_until(&n->lease, v.conf, n->number, n->now_ms));
    compact(n);
    /* What tidy and hand_over have asked for. */
    node_carry_out(n);
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
        node_check(n, engine_persisted(n->engine, n->now_ms, in->stored, &n->todo, &err), &err);
    for (struct node_event *next, *e = in->first; e != NULL; e = next) {
        next = e->next;
        e->run(n, e);
    }
    if (n->engine != NULL && n->now_ms >= engine_due_ms(n->engine))
        node_check(n, engine_timeout(n->engine, n->now_ms, &n->todo, &err), &err);
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
