/*
 * Engine: libraft's step function with what it leaves to its caller put right.  Events go in; what
 * is to be done comes out.  It touches no clock, disk, socket or thread, so that tests drive a
 * whole cluster in simulated time.
 */
#ifndef STORAGE_RAFT_ENGINE_H
#define STORAGE_RAFT_ENGINE_H

#include "storage/raft/entry.h"
#include "storage/raft/mark.h"

struct engine; /* one thread at a time */

struct engine_options {
    struct str id, addr;
    unsigned heartbeat_ms, election_ms, seed;
    unsigned max_inflight; /* entries that a follower may be sent beyond those it confirmed */
    /* The term of an entry of the local log (0: not held), those just handed out included. */
    uint64_t (*term_of)(void *ctx, uint64_t index);
    void *ctx;
};

/* What a node has on disk. */
struct engine_start {
    uint64_t term, voted_for;
    const struct mark *mark;     /* NULL: nothing yet */
    uint64_t first;              /* of the log; at most 1 + the mark's index */
    const uint64_t *terms;       /* of its entries */
    struct entry *const *later;  /* those of them that stand behind the mark */
    size_t n_terms, n_later;
};

/* A message, to or from the member ${peer}. */
struct engine_message {
    struct raft_message m;       /* server_id, server_address: the member */
    char peer[MEMBER_TEXT_MAX];
    struct entry **entries;      /* RAFT_APPEND_ENTRIES that came in: owned */
    struct raft_configuration conf; /* RAFT_INSTALL_SNAPSHOT that came in: owned */
};
void engine_message_clear(struct engine_message *m);

/* Entries to append at ${index}, in place of whatever stands there and behind it. */
struct engine_piece {
    struct entry **v; /* owned */
    size_t n;
};

/*
 * To be done, in this order: make term and vote durable; append the pieces and have them made
 * durable, then engine_persisted with ${seq}; send the messages (the range of an outgoing
 * RAFT_APPEND_ENTRIES is to be filled from the log, pieces included); see what else has changed.
 * Starts as { 0 }; several events may add to it.
 */
struct engine_todo {
    bool vote;
    uint64_t term, voted_for;
    struct engine_piece *pieces;
    size_t n_pieces;
    uint64_t seq;
    struct engine_message *messages;
    size_t n_messages, cap_messages;
    bool install;        /* the store that was received takes the place of ours */
    bool role_changed, conf_changed;
};
void engine_todo_clear(struct engine_todo *t);

int engine_new(const struct engine_options *options, struct engine **out,
               struct err *err) MUST_USE;
void engine_free(struct engine *e);

/*
 * Events; ${now_ms} never goes back.  -1: the engine is broken and must not be used any more:
 * ERR_CONFLICT when the leader's log contradicts what was committed here, else ERR_NOMEM,
 * ERR_INTERNAL.
 */
int engine_start(struct engine *e, uint64_t now_ms, const struct engine_start *start,
                 struct engine_todo *todo, struct err *err) MUST_USE;
int engine_timeout(struct engine *e, uint64_t now_ms, struct engine_todo *todo,
                   struct err *err) MUST_USE;
/* A message that makes no sense is dropped. */
int engine_receive(struct engine *e, uint64_t now_ms, struct engine_message *m,
                   struct engine_todo *todo, struct err *err) MUST_USE;
/* All pieces up to ${seq} are durable. */
int engine_persisted(struct engine *e, uint64_t now_ms, uint64_t seq, struct engine_todo *todo,
                     struct err *err) MUST_USE;
/* After todo->install: store and log are in place. */
int engine_installed(struct engine *e, uint64_t now_ms, const struct mark *mark,
                     struct engine_todo *todo, struct err *err) MUST_USE;
/* Forget the log up to ${trailing} entries before the mark, which is durable. */
int engine_compact(struct engine *e, uint64_t now_ms, const struct mark *mark, unsigned trailing,
                   struct engine_todo *todo, struct err *err) MUST_USE;

/*
 * Requests; ${err} tells why not, and the engine goes on: ERR_STANDBY (does not lead), ERR_CONFLICT
 * (another change of members is under way).
 * Take over an entry; its index and term are filled in.
 */
int engine_submit(struct engine *e, uint64_t now_ms, struct entry *entry, struct engine_todo *todo,
                  struct err *err) MUST_USE;
int engine_transfer(struct engine *e, uint64_t now_ms, uint64_t to, struct engine_todo *todo,
                    struct err *err) MUST_USE;

/*
 * While the leader of this term says so, votes that would break the promise to it are refused, a
 * transfer's too (lease.h).
 */
void engine_firm(struct engine *e, bool firm);

/* When engine_timeout is due. */
uint64_t engine_due_ms(const struct engine *e);

struct engine_view {
    enum raft_state state;
    uint64_t term, voted_for, last, stored, committed;
    uint64_t leader;         /* 0: unknown */
    const char *leader_text; /* borrowed until the next event */
    bool transferring;
    const struct raft_configuration *conf; /* the newest; borrowed likewise */
    uint64_t conf_index;
    bool conf_pending; /* it is not committed yet */
    uint64_t snapshot; /* index of the last mark that it was told of */
};
void engine_look(const struct engine *e, struct engine_view *out);
/* What the leader knows of a member's log: 0 when it does not lead or knows nothing. */
uint64_t engine_match(const struct engine *e, uint64_t member);

#endif
