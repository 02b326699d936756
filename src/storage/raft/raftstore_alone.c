/*
 * Raftstore_alone: what a node decides by itself while it is not started: the first commit of a
 * cluster, commits of a cluster of one, and after a lost quorum what an operator orders.
 */
#include "storage/raft/raftstore_parts.h"

#include <semaphore.h>
#include <stdlib.h>

#include "base/log.h"
#include "storage/raft/applier.h"
#include "storage/raft/entry.h"

/*
 * The first commit is not entry 1, which is for the configuration and not written.  libraft
 * takes a mark at 1 for "holds entry 1" and then never sends a snapshot to a new member.  Vault
 * writes a new store entry by entry: beginning there, the indexes that its users see
 * after an init are the same.
 */
enum { FIRST_INDEX = 24, FIRST_TERM = 1 };

static const struct log lg = { "storage.raft" };

int raftstore_read_mark(struct raftstore *r, struct mark *out, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    *out = (struct mark){ 0 };
    int found = lmdb_state_mark(r->state, &text, err);
    if (found <= 0)
        return found;
    TRY(mark_decode(buf_str(&text), out, err));
    return 1;
}

/* ---- log and mark ---- */

/* Does the log go on where the store is? */
static bool log_fits(struct raftstore *r, const struct mark *m)
{
    uint64_t first = wal_first(r->wal), last = wal_last(r->wal);
    if (last < m->index || first > m->index + 1)
        return false;
    return first == m->index + 1 || wal_term_of(r->wal, m->index) == m->term;
}

static uint64_t highest_term(struct raftstore *r, const struct mark *m)
{
    uint64_t last = wal_term_of(r->wal, wal_last(r->wal));
    return last > m->term ? last : m->term;
}

int raftstore_check_log(struct raftstore *r, struct err *err)
{
    AUTO(mark_clear) struct mark m = { 0 };
    uint64_t term, voted;
    int found = raftstore_read_mark(r, &m, err);
    TRY(found);
    atomic_store(&r->is_void, found > 0 && m.invalid);
    if (found == 0 || m.invalid)
        return wal_last(r->wal) == 0 ? 0 : wal_reset(r->wal, 1, err);
    if (!log_fits(r, &m)) {
        if (wal_last(r->wal) >= wal_first(r->wal))
            LOG(&lg, WARN, "the raft log does not go on where the store is, and begins anew: "
                           "store=%llu log=%llu-%llu", (unsigned long long)m.index,
                (unsigned long long)wal_first(r->wal), (unsigned long long)wal_last(r->wal));
        TRY(wal_reset(r->wal, m.index + 1, err));
    }
    wal_vote(r->wal, &term, &voted);
    uint64_t least = highest_term(r, &m);
    return term >= least ? 0 : wal_set_vote(r->wal, least, member_number(str_of(r->id)), err);
}

/* ---- applying what the log has ---- */

struct replay {
    sem_t moved;
    uint64_t upto;
    bool broken;
    struct err err;
};

static bool never_own(void *ctx, uint64_t index, uint64_t term)
{
    return true;
}
static void no_keys(void *ctx, const struct str *keys, size_t n)
{
}
static void no_event(void *ctx)
{
}
static void no_decision(void *ctx, uint64_t index, uint64_t term)
{
}
static void no_mark(void *ctx, const struct mark *mark)
{
}

static void replay_applied(void *ctx, const struct mark *mark)
{
    struct replay *x = ctx;
    if (mark->index >= x->upto)
        sem_post(&x->moved);
}

static void replay_broken(void *ctx, const struct err *err)
{
    struct replay *x = ctx;
    x->broken = true;
    x->err = *err;
    sem_post(&x->moved);
}

static int replay(struct raftstore *r, const struct mark *from, struct err *err)
{
    struct replay x = { .upto = wal_last(r->wal) };
    struct tail *tail = tail_new();
    struct applier *a = NULL;
    struct applier_options o = { r->state, r->wal, tail, r->snapshots,
                                 { &x, never_own, no_keys, no_event, no_decision, replay_applied,
                                   no_mark, no_mark, replay_broken } };
    if (tail == NULL)
        return err_set(err, ERR_NOMEM, "raft: out of memory");
    sem_init(&x.moved, 0, 0);
    int rc = applier_new(&o, from, &a, err);
    if (rc == 0) {
        applier_commit(a, x.upto);
        while (sem_wait(&x.moved) < 0)
            ;
    }
    applier_free(a);
    tail_free(tail);
    sem_destroy(&x.moved);
    if (rc == 0 && x.broken)
        return err_set(err, x.err.code, "%s", x.err.msg);
    return rc;
}

/* Everything in the log counts as committed: nobody else has a say. */
static int take_over(struct raftstore *r, struct err *err)
{
    uint64_t term, voted;
    TRY(raftstore_check_log(r, err));
    mark_clear(&r->mark);
    TRY(raftstore_read_mark(r, &r->mark, err));
    if (wal_last(r->wal) > r->mark.index) {
        TRY(replay(r, &r->mark, err));
        mark_clear(&r->mark);
        TRY(raftstore_read_mark(r, &r->mark, err));
    }
    wal_vote(r->wal, &term, &voted);
    TRY(wal_set_vote(r->wal, term + 1, member_number(str_of(r->id)), err));
    r->alone = true;
    return 0;
}

/* The newest configuration, committed or not. */
static int newest_conf(struct raftstore *r, const struct mark *m, struct raft_configuration *out,
                       struct err *err)
{
    TRY(member_copy(&m->conf, out, err));
    for (uint64_t i = m->index + 1; i <= wal_last(r->wal); i++) {
        AUTO(buf_free) struct buf data = { 0 };
        struct wal_entry row;
        int found = wal_read(r->wal, i, &row, &data, err);
        if (found > 0 && row.type == RAFT_CHANGE) {
            member_clear(out);
            found = member_decode(row.data, out, err);
        }
        if (found < 0) {
            member_clear(out);
            return -1;
        }
    }
    return 0;
}

/* ---- committing ---- */

static int found_cluster(struct raftstore *r, const struct storage_op *ops, size_t n,
                         struct err *err)
{
    AUTO(mark_clear) struct mark m = { .index = FIRST_INDEX, .term = FIRST_TERM, .conf_index = 1 };
    AUTO(buf_free) struct buf text = { 0 };
    char member[MEMBER_TEXT_MAX];
    uint64_t number = member_number(str_of(r->id));
    struct lmdb_batch batch = { ops, n };
    TRY(member_text(str_of(r->id), str_of(r->addr), member, err));
    if (raft_configuration_add(&m.conf, number, member, RAFT_VOTER) != 0)
        return err_set(err, ERR_NOMEM, "raft: out of memory");
    TRY(mark_encode(&m, &text, err));
    TRY(lmdb_state_apply(r->state, &batch, 1, buf_str(&text), err));
    TRY(lmdb_state_sync(r->state, err));
    TRY(raftstore_check_log(r, err));
    LOG(&lg, INFO, "a new cluster has been made: node_id=%s", r->id);
    return 0;
}

int raftstore_append_alone(struct raftstore *r, uint8_t type, struct str payload,
                           const struct lmdb_batch *batch, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    struct mark to = r->mark; /* borrows the configuration */
    uint64_t term, voted;
    wal_vote(r->wal, &term, &voted);
    to.index = wal_last(r->wal) + 1;
    to.term = term;
    if (type == RAFT_CHANGE)
        to.conf_index = to.index;
    struct wal_entry e = { to.index, term, type, payload };
    TRY(mark_encode(&to, &text, err));
    TRY(wal_append(r->wal, &e, 1, err));
    r->alone = false; /* should the next fail, the log is ahead of the store */
    TRY(wal_sync(r->wal, err));
    TRY(lmdb_state_apply(r->state, batch, batch != NULL, buf_str(&text), err));
    r->mark = to;
    r->alone = true;
    return 0;
}

static int may_decide(struct raftstore *r, const struct mark *m, struct err *err)
{
    AUTO(member_clear) struct raft_configuration c = { 0 };
    if (m->invalid)
        return err_set(err, ERR_SEALED, "raft: this node waits for the leader's store");
    if (r->forced)
        return 0;
    TRY(newest_conf(r, m, &c, err));
    if (c.n == 1 && c.servers[0].id == member_number(str_of(r->id)))
        return 0;
    return err_set(err, ERR_SEALED, "raft: this node is a member of a cluster of %u and has not "
                   "been started", c.n);
}

int raftstore_commit_alone(struct raftstore *r, const struct storage_op *ops, size_t n,
                           struct err *err)
{
    AUTO(buf_free) struct buf payload = { 0 };
    struct lmdb_batch batch = { ops, n };
    if (!r->alone) {
        AUTO(mark_clear) struct mark m = { 0 };
        int found = raftstore_read_mark(r, &m, err);
        TRY(found);
        if (found == 0 && r->joining)
            return err_set(err, ERR_SEALED, "raft: this node waits for the leader's store");
        if (found == 0)
            return found_cluster(r, ops, n, err);
        TRY(may_decide(r, &m, err));
        TRY(take_over(r, err));
    }
    buf_byte(&payload, ENTRY_BATCHES);
    entry_add_batch(&payload, ops, n);
    TRY(buf_check(&payload, err));
    return raftstore_append_alone(r, RAFT_COMMAND, buf_str(&payload), &batch, err);
}

/* ---- before start ---- */

static int carry_out_peers(struct raftstore *r, struct err *err)
{
    AUTO(member_clear) struct raft_configuration c = { 0 };
    AUTO(buf_free) struct buf payload = { 0 };
    int found = raftstore_read_peers(r, &c, err);
    if (found <= 0)
        return found;
    TRY(take_over(r, err));
    member_clear(&r->mark.conf);
    r->mark.conf = c;
    c = (struct raft_configuration){ 0 };
    TRY(member_encode(&r->mark.conf, &payload, err));
    TRY(raftstore_append_alone(r, RAFT_CHANGE, buf_str(&payload), NULL, err));
    TRY(lmdb_state_sync(r->state, err));
    TRY(raftstore_shelve_peers(r, err));
    LOG(&lg, WARN, "the members of the cluster are those of peers.json now: members=%u",
        r->mark.conf.n);
    return 0;
}

/* A node that is its own majority leads at once, and each time in a term of its own. */
static int claim_term(struct raftstore *r, struct err *err)
{
    AUTO(mark_clear) struct mark m = { 0 };
    AUTO(member_clear) struct raft_configuration c = { 0 };
    uint64_t term, voted, me = member_number(str_of(r->id));
    TRY(raftstore_read_mark(r, &m, err));
    TRY(newest_conf(r, &m, &c, err));
    const struct raft_server *s = member_of(&c, me);
    if (s == NULL || s->role != RAFT_VOTER || member_voters(&c) > 1)
        return 0;
    wal_vote(r->wal, &term, &voted);
    return wal_set_vote(r->wal, term + 1, me, err);
}

int raftstore_prepare_start(struct raftstore *r, struct err *err)
{
    AUTO(mark_clear) struct mark m = { 0 };
    TRY(raftstore_check_log(r, err));
    int found = raftstore_read_mark(r, &m, err);
    TRY(found);
    if (found == 0 && !r->joining)
        return err_set(err, ERR_UNINITIALISED, "raft: this node belongs to no cluster yet");
    if (found == 0 || m.invalid)
        return 0;
    TRY(carry_out_peers(r, err));
    return claim_term(r, err);
}
