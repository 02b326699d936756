/*
 * Frame: what members send each other over a link: a length, a type, fields in network order.  A
 * link is written by who dialled it.  What is read comes from another machine and is believed only
 * as far as it is well-formed.
 */
#ifndef STORAGE_RAFT_FRAME_H
#define STORAGE_RAFT_FRAME_H

#include "storage/raft/engine.h"

enum {
    FRAME_HEAD = 4,             /* the length of what follows, big endian */
    FRAME_MAX = 64 << 20,
    FRAME_VERSION = 1,
};

enum frame_type {
    FRAME_HELLO = 1,    /* the first on every link */
    FRAME_MESSAGE = 2,  /* of raft */
    FRAME_REMOVED = 3,  /* you are no member any more */
    FRAME_ASK = 4,      /* the leader's committed index */
    FRAME_ANSWER = 5,
    FRAME_SNAPSHOT = 6, /* a whole store begins: the leader's term as id, its mark in bytes */
    FRAME_ENTRIES = 7,  /* of it: batches, as a payload */
    FRAME_LEAVE = 9,    /* take me out of the cluster */
    FRAME_END = 8,      /* of it: the number of entries, as id */
};

enum frame_flag {
    FRAME_FIRM = 1,  /* engine_firm */
    FRAME_BACK = 2,  /* a read grant is taken back */
    FRAME_FAILED = 4,  /* FRAME_ANSWER: it cannot tell */
};

struct frame {
    enum frame_type type;
    uint8_t flags;
    /* FRAME_HELLO: "id<tab>address" in m.peer, and the index of its newest configuration. */
    uint64_t conf_index;
    /* FRAME_MESSAGE; from whom is known from the link. */
    struct engine_message m;
    uint64_t sent;   /* the sender's time */
    uint64_t echo;   /* newest time of the receiver's that the sender has seen */
    uint64_t grant;  /* ms; lease.h */
    uint64_t last, last_term, applied; /* the sender's log and store */
    /* FRAME_ASK, FRAME_ANSWER, FRAME_REMOVED, FRAME_LEAVE, FRAME_SNAPSHOT, FRAME_END */
    uint64_t id, index;
    struct str bytes; /* borrowed */
};

void frame_clear(struct frame *f);

/*
 * Append the whole frame.  Of RAFT_APPEND_ENTRIES the ${n} entries given are written, whatever the
 * message says.
 */
int frame_write(const struct frame *f, struct entry *const *entries, size_t n, struct buf *out,
                struct err *err) MUST_USE;
/* Length of what follows these FRAME_HEAD bytes. -1: ERR_CORRUPT. */
int frame_length(const char head[FRAME_HEAD], size_t *out, struct err *err) MUST_USE;
/* ${out} is released with frame_clear.  -1: ERR_CORRUPT, ERR_NOMEM. */
int frame_read(struct str body, struct frame *out, struct err *err) MUST_USE;

#endif
