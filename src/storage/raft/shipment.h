/* Shipment: a whole store on its way to a member that lacks more of the log than the leader has. */
#ifndef STORAGE_RAFT_SHIPMENT_H
#define STORAGE_RAFT_SHIPMENT_H

#include "storage/raft/mark.h"
#include "storage/raft/staging.h"
#include "storage/raft/transport.h"

struct shipment; /* any thread */

struct shipment_options {
    struct storage *state; /* borrowed, as all below */
    const char *dir;       /* of what comes in */
    struct transport *transport;
    void *ctx;
    /* One has come in whole: take it over. By a thread of the transport. */
    void (*came)(void *ctx, struct staging *s, const struct mark *mark, const char *peer,
                 uint64_t term);
};

int shipment_new(const struct shipment_options *options, struct shipment **out,
                 struct err *err) MUST_USE;
/* After the transport is closing: waits for what is being sent. */
void shipment_free(struct shipment *s);

/* Send the store to that member, unless it is being sent to it already. */
void shipment_send(struct shipment *s, const char *peer, uint64_t term);
/* A store begins to come in over ${l}; returns when it is over. */
void shipment_receive(struct shipment *s, struct link *l, const struct frame *head);

#endif
