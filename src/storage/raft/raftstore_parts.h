/* Raftstore_parts: what the raftstore_*.c files share; nobody else includes it. */
#ifndef STORAGE_RAFT_RAFTSTORE_PARTS_H
#define STORAGE_RAFT_RAFTSTORE_PARTS_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "storage/lmdb_state.h"
#include "storage/raft/node.h"
#include "storage/raft/raftstore.h"
#include "storage/raft/wal.h"

struct raftstore {
    struct storage base; /* first */
    struct ha ha;

    /* Immutable once opened. */
    char path[PATH_MAX], raft_dir[PATH_MAX], snapshots[PATH_MAX];
    char id[HA_NAME_MAX];
    unsigned multiplier;
    uint64_t trailing, threshold;
    size_t max_entry;
    struct storage *state;
    struct wal *wal;

    char addr[HA_NAME_MAX];   /* until start */
    struct link_creds *creds; /* borrowed */

    struct node_gauge gauge;
    atomic_bool is_void, removed;

    pthread_mutex_t mu;      /* starting, stopping, and writing while stopped */
    bool joining, forced;    /* under mu, as all below */
    bool alone;              /* what the log had is applied, and the term is ours */
    struct mark mark;        /* of the store, while alone */

    /* Shared by whoever uses the node; exclusive while it is put there or taken away. */
    pthread_rwlock_t using;
    struct node *node;       /* NULL while stopped */
};

/* The node, until raftstore_leave; NULL and nothing to leave: it is stopped. */
struct node *raftstore_enter(struct raftstore *r);
void raftstore_leave(struct raftstore *r);
int raftstore_stopped(struct err *err);

/* ---- raftstore_members.c ---- */

/* The members as of the mark. */
int raftstore_describe(const struct raftstore *r, const struct mark *m, struct arena *a,
                       struct raft_members *out, struct err *err) MUST_USE;

/* ---- raftstore_alone.c: writing while stopped; under mu ---- */

/* The store's mark: 1, 0 there is none. */
int raftstore_read_mark(struct raftstore *r, struct mark *out, struct err *err) MUST_USE;
/* Log and mark agree, whatever a crash has left. */
int raftstore_check_log(struct raftstore *r, struct err *err) MUST_USE;
/* A batch (entry_add_batch), as the one node that decides. */
int raftstore_commit_alone(struct raftstore *r, const struct storage_op *ops, size_t n,
                           struct err *err) MUST_USE;
/* An entry of that type, likewise. */
int raftstore_append_alone(struct raftstore *r, uint8_t type, struct str payload,
                           const struct lmdb_batch *batch, struct err *err) MUST_USE;
/* Before start: a new term when nobody else votes; a file peers.json is carried out. */
int raftstore_prepare_start(struct raftstore *r, struct err *err) MUST_USE;

/* ---- raftstore_open.c ---- */

int raftstore_read_options(struct raftstore *r, const struct storage_option *options, size_t n,
                           struct err *err) MUST_USE;
/* Their names alone. */
int raftstore_name_folders(struct raftstore *r, struct err *err) MUST_USE;
/* The id that is configured or stands in raft/node_id, where a new one is kept if it ${may_make} it;
 * else empty. */
int raftstore_find_id(struct raftstore *r, bool may_make, struct err *err) MUST_USE;
/* Folders and the node's id. */
int raftstore_make_folders(struct raftstore *r, struct err *err) MUST_USE;
/* Read raft/peers.json: 1 and a configuration, 0 there is none. */
int raftstore_read_peers(struct raftstore *r, struct raft_configuration *out,
                         struct err *err) MUST_USE;
/* It has been carried out: rename it to peers.info. */
int raftstore_shelve_peers(struct raftstore *r, struct err *err) MUST_USE;
/* Remember that this node has been removed. */
void raftstore_note_removed(struct raftstore *r);
bool raftstore_was_removed(struct raftstore *r);

#endif
