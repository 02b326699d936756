/*
 * Node: a member at work: the thread that owns the engine, and what carries out what it says:
 * journal, applier, transport.
 */
#ifndef STORAGE_RAFT_NODE_H
#define STORAGE_RAFT_NODE_H

#include <stdatomic.h>

#include "net/link.h"
#include "storage/ha.h"
#include "storage/raft/mark.h"
#include "storage/raft/raftstore.h"
#include "storage/raft/wal.h"

struct node; /* any thread */

/* What is read without a lock; outlives the node. */
struct node_gauge {
    atomic_uint_fast64_t read_until; /* ms, of node_now_ms */
    atomic_uint_fast64_t need;       /* the store must be as far for that */
    atomic_uint_fast64_t applied, committed;
};
bool node_may_read(const struct node_gauge *g);

struct node_options {
    struct storage *state; /* borrowed, as all below */
    struct wal *wal;
    const char *alpn;
    const char *dir;       /* of stores being received: …/raft/snapshots */
    struct str id, addr;
    struct link_creds *creds; /* NULL: alone */
    unsigned heartbeat_ms, election_ms;
    uint64_t snapshot_threshold, trailing;
    size_t entry_bytes;    /* one entry takes waiting batches up to this */
    struct ha_events events;
    struct node_gauge *gauge;
    /* This node has been removed from the cluster: told once. */
    void (*removed)(void *ctx);
    /* The store is void until a snapshot has come (false: it has come). */
    void (*voided)(void *ctx, bool is_void);
    void *ctx;
};

/* ${mark}: where the store is; NULL: it is empty, and a leader is awaited. */
int node_new(const struct node_options *options, const struct mark *mark, struct node **out,
             struct err *err) MUST_USE;
/* Whoever waits is told that it is over; no event comes after it has returned. */
void node_stop(struct node *n);
/* Nobody may use it any more. */
void node_free(struct node *n);

/* Batches as a payload without its kind (entry_add_batch). */
int node_commit(struct node *n, struct str payload, struct err *err) MUST_USE;

/* As struct ha_ops. */
void node_leader(struct node *n, struct ha_leader *out);
int node_settle(struct node *n, struct err *err) MUST_USE;
int node_step_down(struct node *n, struct err *err) MUST_USE;
void node_index(struct node *n, uint64_t *committed, uint64_t *applied);
int node_wait_applied(struct node *n, uint64_t index, int ms, struct err *err) MUST_USE;
int node_catch_up(struct node *n, int ms, struct err *err) MUST_USE;

void node_accept(struct node *n, struct link *l);
void node_status(struct node *n, struct raftstore_status *out);
int node_members(struct node *n, struct arena *a, struct raft_members *out,
                 struct err *err) MUST_USE;

enum node_change { NODE_ADD, NODE_PROMOTE, NODE_DEMOTE, NODE_REMOVE };
/* As raftstore_add, _promote, _demote, _remove. */
int node_change(struct node *n, enum node_change change, struct str id, struct str addr,
                struct err *err) MUST_USE;

/*
 * Put an entry of that payload in the log and wait until it is applied; its index in ${index} (may
 * be NULL).  ${term} not 0: only in that term; it gets the term of the entry.
 */
int node_put(struct node *n, struct str payload, uint64_t *term, uint64_t *index,
             struct err *err) MUST_USE;

#endif
