/* Node_parts: what the node_*.c files share of a node; nobody else includes it. */
#ifndef STORAGE_RAFT_NODE_PARTS_H
#define STORAGE_RAFT_NODE_PARTS_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "storage/raft/applier.h"
#include "storage/raft/engine.h"
#include "storage/raft/journal.h"
#include "storage/raft/lease.h"
#include "storage/raft/node.h"
#include "storage/raft/shipment.h"
#include "storage/raft/tail.h"
#include "storage/raft/transport.h"
#include "storage/raft/waiters.h"

enum { NODE_OWN_ENTRIES = 3, NODE_UNKNOWN_MS = 10000 };

/* Something for the node's thread; whoever waits for it sleeps on done. */
struct node_event {
    struct node_event *next;
    void (*run)(struct node *n, struct node_event *e);
    void (*drop)(struct node_event *e); /* instead of run, when the node has ended */
};

/* What the leader knows of a member, from its frames. */
struct node_peer {
    uint64_t number, heard_ms, last, last_term, applied;
    uint64_t told;    /* committed index that it was sent */
    uint64_t lost_ms; /* since when it has less than it had; 0: it has not */
};

/* Somebody asks for the committed index. */
struct node_asker {
    char peer[MEMBER_TEXT_MAX];
    uint64_t id, at_ms;
};

enum { NODE_ASKERS = 256, NODE_PEERS = 1024 };

struct node {
    struct node_options o;
    char self[MEMBER_TEXT_MAX];
    uint64_t number;
    pthread_t thread;
    struct tail *tail;
    struct journal *journal;
    struct applier *applier;
    struct waiters *waiters;
    struct transport *transport;
    struct shipment *shipment;

    /* The thread's own. */
    struct engine *engine;
    struct engine_todo todo;
    struct lease lease;
    struct node_peer peers[NODE_PEERS];
    size_t n_peers;
    struct node_asker askers[NODE_ASKERS];
    size_t n_askers;
    uint64_t now_ms;
    uint64_t progress_ms;     /* when an entry of ours was applied, or the first was made */
    uint64_t visible;         /* committed index that the applier was told of */
    uint64_t transfer_to;     /* waits for grants to end; 0: nobody */
    bool transferring;        /* libraft has been told */
    bool was_leader, changed_role, changed_conf;
    uint64_t lease_term, readdressed; /* terms */
    uint64_t compacted;       /* index of the last mark that the engine was told of */
    bool syncing;             /* the applier makes the store durable for the next one */
    struct staging *arrived;  /* a store that came in, wanted by the engine */
    struct mark arrived_mark;
    bool installing;
    uint64_t restore_seen, aborted; /* index where a restore began; that we have aborted */
    struct lease_reader reader;

    /* Read by any thread. */
    atomic_uint_fast64_t conf_index;
    atomic_uint_fast64_t open_term; /* term for which settle was called: writes are taken in it */
    atomic_bool removed;

    pthread_mutex_t mu;
    pthread_cond_t wake;       /* of the thread */
    struct node_event *first, **end; /* under mu, as all below */
    uint64_t stored_seq, applied_seq;
    bool nudged, closing, ended;
    size_t bytes_in;           /* of received entries that wait in the inbox */
    pthread_cond_t room;       /* bytes_in fell */
    pthread_cond_t changed;    /* what is below */
    size_t watchers;
    struct ha_leader leader;
    bool leads, settled, handing_over;
    uint64_t term, last, applied_index, applied_term, lead_until;
    uint64_t restore_open;     /* of the store's mark */
    struct raft_configuration conf;
    uint64_t members_index;
    struct node_peer known[NODE_PEERS];
    size_t n_known;
    uint64_t asked, answered[NODE_ASKERS][2]; /* id, index */
    size_t n_answered;
};

uint64_t node_now_ms(void);
void node_wake(struct node *n);
/* Give the thread something; dropped when it has ended. */
void node_post(struct node *n, struct node_event *e);

/* ---- node_calls.c ---- */

int node_leave(struct node *n, struct err *err) MUST_USE;
/* Wait a little for a change of role or members.  False: it is later than ${until_ms}, or the end. */
bool node_wait_change(struct node *n, uint64_t until_ms);

/* ---- node_ask.c: work of other threads done by the node's ---- */

/* Begin to hand the leadership over. */
int node_hand_over(struct node *n, struct err *err) MUST_USE;

/* ---- node_step.c: the thread ---- */

void *node_run(void *node);
struct timespec node_time_of(uint64_t ms);
void node_on_stored(void *ctx, uint64_t seq);
bool node_on_is_own(void *ctx, uint64_t index, uint64_t term);
void node_on_decided(void *ctx, uint64_t index, uint64_t term);
void node_on_applied(void *ctx, const struct mark *mark);

/* The rest is for the node's thread, but for the callbacks node_on_*, which are for any. */

/* ---- node_engine.c ---- */

int node_start_engine(struct node *n, const struct mark *mark, struct err *err) MUST_USE;
/* The engine is broken: end it, and begin anew when that helps. */
void node_fail(struct node *n, const struct err *why);
void node_check(struct node *n, int rc, const struct err *err);
struct node_peer *node_peer_of(struct node *n, uint64_t number);
/* Of an entry of the log, as engine_options.term_of. */
uint64_t node_term_of(void *node, uint64_t index);

/* ---- node_send.c ---- */

/* Do what todo says. */
void node_carry_out(struct node *n);
/* Followers learn what has become visible with the next entries, or at once when none are due. */
void node_tell_commit(struct node *n, const struct engine_view *v);
/* A message to every member, with what there is to tell. */
void node_tell_members(struct node *n, const struct engine_view *v);

/* ---- node_hear.c ---- */

void node_on_reset(void *ctx);
void node_on_synced(void *ctx, const struct mark *mark);
void node_on_installed(void *ctx, const struct mark *mark);
void node_on_broken(void *ctx, const struct err *err);
void node_on_frame(void *ctx, struct frame *f);
void node_on_store(void *ctx, struct staging *s, const struct mark *mark, const char *peer,
                   uint64_t term);

#endif
