/*
 * Raftstore: storage "raft".  Every commit becomes an entry of a replicated log; once a quorum has
 * it on disk it is applied to the node's own LMDB store, from which all reads come.
 *
 * On disk below ${path}:  vault.db       the LMDB store (state, and up to which entry)
 *                         raft/raft.db   term and vote
 *                         raft/….log     segments of the log
 *                         raft/snapshots what is being received
 *                         raft/node_id   the id, when none is configured
 *                         raft/peers.json  read once at a start: the members after a lost quorum
 *
 * Until raftstore_start nothing is sent or voted, reads come from the local store, and
 *   - the first commit of an empty store makes a cluster of this node alone, with that commit;
 *   - a commit to the store of a node that is its own cluster, or after raftstore_force, is applied
 *     at once as a new entry of a new term;
 *   - any other commit is ERR_SEALED.
 * While started, a commit by a node that does not lead is ERR_STANDBY and has no effect.
 */
#ifndef STORAGE_RAFT_RAFTSTORE_H
#define STORAGE_RAFT_RAFTSTORE_H

#include "net/link.h"
#include "storage/driver.h"
#include "storage/ha.h"

/* The ALPN protocol of its links. */
#define RAFTSTORE_ALPN "coffer-raft/1"

struct raftstore; /* any thread */

/*
 * Options: path, node_id, performance_multiplier (0: default, 1-10), trailing_logs,
 * snapshot_threshold, snapshot_interval, max_entry_size; others are left to those who know them
 * (retry_join, autopilot_*, retry_join_as_non_voter).
 */
extern const struct storage_driver storage_raft;

/* ${s} as what storage_raft opened, else NULL. */
struct raftstore *raftstore_of(struct storage *s);
/* ${addr} is the host:port under which the others reach this node's cluster port; before start. */
int raftstore_set_network(struct raftstore *r, struct link_creds *creds, struct str addr,
                          struct err *err) MUST_USE;
struct ha *raftstore_ha(struct raftstore *r);
/* Take over a link that a member dialled with RAFTSTORE_ALPN; owned from here on. */
void raftstore_accept(struct raftstore *r, struct link *link);

struct str raftstore_node_id(const struct raftstore *r);
/* The largest value that a commit may hold; beyond it is ERR_TOO_LARGE. */
size_t raftstore_max_entry(const struct raftstore *r);

/* Does the node belong to a cluster (its own included)?  False: empty, may join one. */
bool raftstore_has_cluster(struct raftstore *r);
/*
 * Before start, of an empty node: there will be a leader that adds it.  Its store stays empty until
 * the leader's snapshot has come.
 */
int raftstore_expect_join(struct raftstore *r, struct err *err) MUST_USE;
/* Wait until a joining node has its store. -1: ERR_TIMEOUT. */
int raftstore_wait_store(struct raftstore *r, int ms, struct err *err) MUST_USE;
/* Without a quorum, while not started: from now on commits are this node's alone to decide. */
int raftstore_force(struct raftstore *r, struct err *err) MUST_USE;

/* ---- members ---- */

struct raft_member {
    char id[HA_NAME_MAX], addr[HA_NAME_MAX];
    bool voter, leader, self;
    /* What the leader knows of it (of itself too); zero elsewhere. */
    bool alive;             /* answers */
    uint64_t last_index, last_term;
    int64_t last_contact_ms; /* since its last answer; -1: never */
};

struct raft_members {
    struct raft_member *v;
    size_t n;
    uint64_t index; /* of the configuration */
};
/* The latest configuration known here, in ${a}. */
int raftstore_members(struct raftstore *r, struct arena *a, struct raft_members *out,
                      struct err *err) MUST_USE;
/*
 * Leader only (else ERR_STANDBY): each returns when the change is committed.  A voter is added
 * as a non-voter first and promoted when it has caught up, by raftstore_promote.
 * A known id with another address gets the new address.
 * -1: ERR_CONFLICT (the address is another node's), ERR_TIMEOUT, ERR_BAD_REQUEST.
 */
int raftstore_add(struct raftstore *r, struct str id, struct str addr, struct err *err) MUST_USE;
/* Fails with ERR_CONFLICT while it has not caught up; fine when it is a voter already. */
int raftstore_promote(struct raftstore *r, struct str id, struct err *err) MUST_USE;
int raftstore_demote(struct raftstore *r, struct str id, struct err *err) MUST_USE;
/* Fine when there is none of that id.  The leader may remove itself: it hands over first. */
int raftstore_remove(struct raftstore *r, struct str id, struct err *err) MUST_USE;
/* This node was a member and has been removed: it takes no part any more. */
bool raftstore_removed(struct raftstore *r);

/* Last entry of the local log, its term; the newest term known. */
struct raftstore_status {
    uint64_t term, last_index, last_term, committed, applied;
};
void raftstore_status(struct raftstore *r, struct raftstore_status *out);

/* ---- looking from outside, while no server runs ---- */

struct raftstore_peek {
    char id[HA_NAME_MAX];         /* the node's; empty: none is configured, and none was made yet */
    bool has_cluster, waits;      /* is a member of one; waits for the leader's store */
    bool removed;                 /* from its cluster */
    struct raft_members members;  /* as of ${applied} */
    uint64_t applied;
    bool has_peers;               /* raft/peers.json is there, and ${peers} are in it */
    struct raft_members peers;
    struct err bad_peers;         /* it is there, and wrong: code is set */
    struct str value;             /* of the key that was asked for; empty: absent */
};
/*
 * Read a node's files and write nothing; strings in ${a}.  1; 0: there is no store yet.
 * -1: ERR_CONFLICT (a server runs on it), ERR_CORRUPT, ERR_IO, ERR_BAD_REQUEST; all but what is in
 * the store is filled in then too.
 */
int raftstore_peek(const struct storage_option *options, size_t n, struct str key,
                   struct arena *a, struct raftstore_peek *out, struct err *err) MUST_USE;

/* ---- whole stores ---- */

/* One moment of the whole store, in key order. */
struct raftstore_view;
struct raftstore_view_info {
    uint64_t index, term, config_index;
    struct raft_members members; /* as of the view, in the arena of the call */
};
int raftstore_view_open(struct raftstore *r, struct arena *a, struct raftstore_view **out,
                        struct raftstore_view_info *info, struct err *err) MUST_USE;
/* 1 and an entry that is borrowed until the next call, 0 at the end, -1. */
int raftstore_view_next(struct raftstore_view *v, struct str *key, struct str *value,
                        struct err *err) MUST_USE;
void raftstore_view_close(struct raftstore_view *v);

/*
 * Put another store in place of this one, on all nodes at one point of the log: entries in any
 * number of puts, then commit.  Leader only.  Nothing is changed before raftstore_restore_commit
 * returns 0; at a failure, or an abort, all nodes drop what they had been sent.
 * The members stay as they are.
 */
struct raftstore_restore;
int raftstore_restore_begin(struct raftstore *r, struct raftstore_restore **out,
                            struct err *err) MUST_USE;
int raftstore_restore_put(struct raftstore_restore *x, struct str key, struct str value,
                          struct err *err) MUST_USE;
/* ${x} is gone afterwards, whatever is returned. */
int raftstore_restore_commit(struct raftstore_restore *x, struct err *err) MUST_USE;
void raftstore_restore_abort(struct raftstore_restore *x);

#endif
