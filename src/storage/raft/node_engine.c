/* Node_engine: starting the engine, and what becomes of a node whose engine cannot go on. */
#include "storage/raft/node_parts.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/random.h"

enum { MAX_INFLIGHT = 512 };

static const struct log lg = { "storage.raft" };

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
    staging_free(n->arrived);
    n->arrived = NULL;
    n->installing = false;
    n->visible = 0;
    n->o.voided(n->o.ctx, true);
    atomic_store(&n->o.gauge->applied, 0);
    if (journal_reset(n->journal, 1, &err) < 0 ||
        applier_install(n->applier, NULL, &void_mark, &err) < 0 ||
        node_start_engine(n, NULL, &err) < 0)
        LOG(&lg, ERROR, "this node takes no part any more: restart it: error=%s", err.msg);
}

void node_fail(struct node *n, const struct err *why)
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

void node_check(struct node *n, int rc, const struct err *err)
{
    if (rc < 0)
        node_fail(n, err);
}

/* ---- members ---- */

struct node_peer *node_peer_of(struct node *n, uint64_t number)
{
    for (size_t i = 0; i < n->n_peers; i++)
        if (n->peers[i].number == number)
            return &n->peers[i];
    if (n->n_peers == NODE_PEERS)
        n->n_peers = 0;
    n->peers[n->n_peers] = (struct node_peer){ .number = number };
    return &n->peers[n->n_peers++];
}

uint64_t node_term_of(void *ctx, uint64_t index)
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
                                .max_inflight = MAX_INFLIGHT, .term_of = node_term_of, .ctx = n };
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
