/* Node_ask: requests that need the engine: run by the node's thread while the caller waits. */
#include "storage/raft/node_parts.h"

#include <errno.h>
#include <stdlib.h>

/* Lives on the caller's stack. */
enum { CHANGE_MS = 5000 };

struct ask {
    struct node_event event;
    int (*work)(struct node *n, struct ask *a);
    struct err *err;
    int rc;
    sem_t done;

    enum node_change change;
    struct str id, addr, payload;
    uint64_t *term, *index;
    struct waiter waiter; /* of the entry that came of it; already told when rc < 0 */
    bool flies;
    bool busy; /* refused because another change of members is under way */
};

static void ask_run(struct node *n, struct node_event *event)
{
    struct ask *a = (struct ask *)event;
    a->rc = n->engine == NULL
                ? err_set(a->err, ERR_STANDBY, "this node takes no part in the cluster")
                : a->work(n, a);
    sem_post(&a->done);
}

static void ask_drop(struct node_event *event)
{
    struct ask *a = (struct ask *)event;
    a->rc = err_set(a->err, ERR_STANDBY, "this node has left the cluster's contest");
    sem_post(&a->done);
}

static int ask(struct node *n, struct ask *a, struct err *err)
{
    a->event = (struct node_event){ NULL, ask_run, ask_drop };
    a->err = err;
    waiters_init(&a->waiter, STR(""), err);
    sem_init(&a->done, 0, 0);
    node_post(n, &a->event);
    while (sem_wait(&a->done) < 0 && errno == EINTR)
        ;
    sem_destroy(&a->done);
    if (a->rc == 0 && a->flies)
        return waiters_wait(&a->waiter);
    sem_destroy(&a->waiter.done);
    return a->rc;
}

/* Put an entry in the log; who asked waits for it. */
static int submit(struct node *n, struct ask *a, uint8_t type, struct str payload)
{
    struct entry *e = entry_new(0, 0, type, payload);
    if (e == NULL)
        return err_set(a->err, ERR_NOMEM, "raft: out of memory");
    entry_hold(e);
    if (waiters_flying(n->waiters) == 0)
        n->progress_ms = n->now_ms;
    int rc = engine_submit(n->engine, n->now_ms, e, &n->todo, a->err);
    if (e->index != 0) {
        if (a->term != NULL)
            *a->term = e->term;
        if (a->index != NULL)
            *a->index = e->index;
        a->flies = true;
        waiters_fly(n->waiters, &a->waiter, e->index, e->term);
        rc = 0;
    }
    entry_drop(e);
    return rc;
}

static int put(struct node *n, struct ask *a)
{
    struct engine_view v;
    engine_look(n->engine, &v);
    if (a->term != NULL && *a->term != 0 && *a->term != v.term)
        return err_set(a->err, ERR_STANDBY, "the leadership has changed meanwhile");
    if (journal_trouble(n->journal, a->err))
        return -1;
    return submit(n, a, RAFT_COMMAND, a->payload);
}

int node_put(struct node *n, struct str payload, uint64_t *term, uint64_t *index, struct err *err)
{
    struct ask a = { .work = put, .payload = payload, .term = term, .index = index };
    return ask(n, &a, err);
}

/* ---- members ---- */

static int submit_conf(struct node *n, struct ask *a, const struct raft_configuration *c)
{
    AUTO(buf_free) struct buf text = { 0 };
    TRY(member_encode(c, &text, a->err));
    return submit(n, a, RAFT_CHANGE, buf_str(&text));
}

static int check_address(const struct engine_view *v, const struct ask *a)
{
    for (unsigned i = 0; i < v->conf->n; i++) {
        struct str id, addr;
        member_parts(v->conf->servers[i].address, &id, &addr);
        if (str_eq(addr, a->addr) && !str_eq(id, a->id))
            return err_set(a->err, ERR_CONFLICT,
                           "the cluster address " STR_FMT " is already that of node " STR_FMT,
                           STR_ARG(addr), STR_ARG(id));
        if (v->conf->servers[i].id == member_number(a->id) && !str_eq(id, a->id))
            return err_set(a->err, ERR_CONFLICT, "the node id " STR_FMT " cannot be told from "
                           STR_FMT ": choose another", STR_ARG(a->id), STR_ARG(id));
    }
    return 0;
}

static int add_member(struct node *n, struct ask *a, const struct engine_view *v)
{
    AUTO(member_clear) struct raft_configuration c = { 0 };
    char text[MEMBER_TEXT_MAX];
    const struct raft_server *s = member_of(v->conf, member_number(a->id));
    if (a->addr.n == 0)
        return err_set(a->err, ERR_BAD_REQUEST, "a member needs a cluster address");
    TRY(member_text(a->id, a->addr, text, a->err));
    TRY(check_address(v, a));
    if (s != NULL && strcmp(s->address, text) == 0)
        return 0;
    TRY(member_with(v->conf, a->id, a->addr, s != NULL ? s->role : RAFT_STANDBY, &c, a->err));
    return submit_conf(n, a, &c);
}

enum { CLOSE_ENTRIES = 64 };

/* So near to the end of the log that the rest comes while the change is being committed. */
static bool caught_up(struct node *n, const struct engine_view *v, uint64_t number)
{
    uint64_t match = engine_match(n->engine, number);
    return match > 0 && match + CLOSE_ENTRIES >= v->last;
}

static int give_role(struct node *n, struct ask *a, const struct engine_view *v, int role)
{
    AUTO(member_clear) struct raft_configuration c = { 0 };
    struct str id, addr;
    const struct raft_server *s = member_of(v->conf, member_number(a->id));
    if (s == NULL)
        return err_set(a->err, ERR_BAD_REQUEST, "no member of the cluster has the id " STR_FMT,
                       STR_ARG(a->id));
    if (s->role == role)
        return 0;
    if (role == RAFT_VOTER && !caught_up(n, v, s->id))
        return err_set(a->err, ERR_CONFLICT, "node " STR_FMT " has not caught up with the leader",
                       STR_ARG(a->id));
    if (role != RAFT_VOTER && member_voters(v->conf) < 2)
        return err_set(a->err, ERR_BAD_REQUEST, "the last voter stays one");
    member_parts(s->address, &id, &addr);
    TRY(member_with(v->conf, id, addr, role, &c, a->err));
    return submit_conf(n, a, &c);
}

static int remove_member(struct node *n, struct ask *a, const struct engine_view *v)
{
    AUTO(member_clear) struct raft_configuration c = { 0 };
    const struct raft_server *s = member_of(v->conf, member_number(a->id));
    if (s == NULL)
        return 0;
    if (s->role == RAFT_VOTER && member_voters(v->conf) < 2)
        return err_set(a->err, ERR_BAD_REQUEST, "the last voter cannot be removed");
    TRY(member_without(v->conf, s->id, &c, a->err));
    return submit_conf(n, a, &c);
}

static int change(struct node *n, struct ask *a)
{
    struct engine_view v;
    engine_look(n->engine, &v);
    if (v.state != RAFT_LEADER || v.transferring || n->transfer_to != 0)
        return err_set(a->err, ERR_STANDBY, "this node does not lead the cluster");
    a->busy = v.conf_pending;
    if (v.conf_pending)
        return err_set(a->err, ERR_CONFLICT, "another change of members is under way");
    switch (a->change) {
    case NODE_ADD:
        return add_member(n, a, &v);
    case NODE_PROMOTE:
        return give_role(n, a, &v, RAFT_VOTER);
    case NODE_DEMOTE:
        return give_role(n, a, &v, RAFT_STANDBY);
    case NODE_REMOVE:
        return remove_member(n, a, &v);
    }
    return -1;
}

/* The member's text before it is gone, so that it can be told. */
static bool find_text(struct node *n, struct str id, char out[MEMBER_TEXT_MAX])
{
    pthread_mutex_lock(&n->mu);
    const struct raft_server *s = member_of(&n->conf, member_number(id));
    bool found = s != NULL && strlen(s->address) < MEMBER_TEXT_MAX;
    if (found)
        memcpy(out, s->address, strlen(s->address) + 1);
    pthread_mutex_unlock(&n->mu);
    return found;
}

int node_change(struct node *n, enum node_change kind, struct str id, struct str addr,
                struct err *err)
{
    struct frame gone = { .type = FRAME_REMOVED };
    struct ask a = { .work = change, .change = kind, .id = id, .addr = addr, .index = &gone.index };
    bool self = str_eq(id, n->o.id);
    bool found = kind == NODE_REMOVE && find_text(n, id, gone.m.peer);
    if (found && self)
        return node_leave(n, err);
    /* One change at a time: others wait their turn, but not for ever. */
    uint64_t until = node_now_ms() + CHANGE_MS;
    while (ask(n, &a, err) < 0)
        if (!a.busy || !node_wait_change(n, until))
            return -1;
    if (found && a.flies)
        transport_send(n->transport, &gone);
    return 0;
}

/* ---- handing over ---- */

static uint64_t best_voter(struct node *n, const struct engine_view *v)
{
    uint64_t best = 0, match = 0;
    for (unsigned i = 0; i < v->conf->n; i++) {
        const struct raft_server *s = &v->conf->servers[i];
        uint64_t m = engine_match(n->engine, s->id);
        if (s->role != RAFT_VOTER || s->id == n->number || m == 0 || m < match)
            continue;
        for (size_t k = 0; k < n->n_peers; k++)
            if (n->peers[k].number == s->id &&
                n->now_ms - n->peers[k].heard_ms < n->o.election_ms) {
                best = s->id;
                match = m;
            }
    }
    return best;
}

static int begin_transfer(struct node *n, struct ask *a)
{
    struct engine_view v;
    engine_look(n->engine, &v);
    if (v.state != RAFT_LEADER)
        return err_set(a->err, ERR_STANDBY, "this node does not lead the cluster");
    if (v.transferring || n->transfer_to != 0)
        return 0;
    n->transfer_to = best_voter(n, &v);
    if (n->transfer_to == 0)
        return err_set(a->err, ERR_UNSUPPORTED, "no other voter can take the leadership over");
    lease_stop(&n->lease, n->now_ms);
    n->changed_role = true;
    node_tell_members(n, &v);
    pthread_mutex_lock(&n->mu);
    n->handing_over = true;
    pthread_mutex_unlock(&n->mu);
    return 0;
}

int node_hand_over(struct node *n, struct err *err)
{
    struct ask a = { .work = begin_transfer };
    return ask(n, &a, err);
}
