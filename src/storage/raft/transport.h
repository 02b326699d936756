/*
 * Transport: links to the other members: one thread writes to each, one reads from each that has
 * dialled us.  Messages may be lost, late or doubled; raft bears that.
 */
#ifndef STORAGE_RAFT_TRANSPORT_H
#define STORAGE_RAFT_TRANSPORT_H

#include "net/link.h"
#include "storage/raft/frame.h"
#include "storage/raft/tail.h"
#include "storage/raft/wal.h"

struct transport; /* any thread */

/* Called by readers' threads; they may wait. */
struct transport_calls {
    void *ctx;
    /* Take over the frame of the member ${f}->m.peer; FRAME_HELLO included. */
    void (*received)(void *ctx, struct frame *f);
    /* A store begins to come in over ${l}, with that frame; it is over when this returns. */
    void (*store_comes)(void *ctx, struct link *l, const struct frame *head);
    uint64_t (*conf_index)(void *ctx);
};

struct transport_options {
    struct link_creds *creds; /* borrowed, as all below; NULL: no network */
    const char *alpn;
    const char *self; /* "id<tab>address" */
    struct wal *wal;
    struct tail *tail;
    struct transport_calls calls;
};

int transport_new(const struct transport_options *options, struct transport **out,
                  struct err *err) MUST_USE;
/* Ends all links and waits for their threads: no call comes after it, nothing is sent. */
void transport_close(struct transport *t);
void transport_free(struct transport *t);

/*
 * Send to ${f}->m.peer, sooner or later or never.  Of RAFT_APPEND_ENTRIES the entries are taken
 * from the tail or the log when it is sent.
 */
void transport_send(struct transport *t, const struct frame *f);
/* Take over a link that another member has dialled. */
void transport_accept(struct transport *t, struct link *l);
/* A link of its own to that member, its hello sent.  -1: as link_dial. */
int transport_dial(struct transport *t, const char *peer, struct link **out,
                   struct err *err) MUST_USE;
/* The transport is about to end: whoever dialled should give up. */
bool transport_closing(struct transport *t);

#endif
