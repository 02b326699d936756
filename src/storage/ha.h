/*
 * Ha: which node of a cluster may write, decided by a storage that several nodes share.  A node
 * stands in the contest from ha_start to ha_stop; core/ha.c follows what comes of it.
 */
#ifndef STORAGE_HA_H
#define STORAGE_HA_H

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

enum { HA_NAME_MAX = 256 };

/* What a node knows of the leader now. */
struct ha_leader {
    bool known, self;
    char id[HA_NAME_MAX];           /* its node id */
    char cluster_addr[HA_NAME_MAX]; /* host:port that takes forwarded requests */
    uint64_t term;                  /* grows with every change of leader */
};

/*
 * Called by threads of the storage.  keys_changed and store_replaced may take their time: what they
 * tell of is in the store already, but counts as applied only when they return.
 */
struct ha_events {
    void *ctx;
    /* The role, the known leader, or the membership changed: ask again.  Must not wait. */
    void (*role_changed)(void *ctx);
    /* Another node changed these keys: forget what is cached of them. */
    void (*keys_changed)(void *ctx, const struct str *keys, size_t n);
    /* All of the store is another one now (a snapshot came in, or was restored). */
    void (*store_replaced)(void *ctx);
};

struct ha {
    const struct ha_ops *ops;
};

/* All calls: any thread. */
struct ha_ops {
    /* Enter the contest. -1: ERR_IO, ERR_CORRUPT. */
    int (*start)(struct ha *h, const struct ha_events *events, struct err *err);
    /* Leave it; no event comes after it has returned.  Not from inside an event. */
    void (*stop)(struct ha *h);
    /* Does not wait. */
    void (*leader)(struct ha *h, struct ha_leader *out);
    /* The new leader, before it serves: wait until it sees all that was ever acknowledged.  Until
     * it has called this in its term, commits are ERR_STANDBY and may_read says no: what served an
     * earlier term has ended by then.  -1: ERR_STANDBY, it leads no more. */
    int (*settle)(struct ha *h, struct err *err);
    /* Hand leadership over to another node, and return when it has it.
     * -1: ERR_STANDBY (does not lead), ERR_UNSUPPORTED (nobody can take over). */
    int (*step_down)(struct ha *h, struct err *err);
    /* True while what this node's store shows is not older than anything acknowledged anywhere.
     * A leader that was cut off, or a standby behind its leader, says no.  Does not wait. */
    bool (*may_read)(struct ha *h);
    /* Last index known as committed, and last one this node has applied. Does not wait. */
    void (*index)(struct ha *h, uint64_t *committed, uint64_t *applied);
    /* Wait until this node has applied ${index}; -1: ERR_TIMEOUT after ${ms}. */
    int (*wait_applied)(struct ha *h, uint64_t index, int ms, struct err *err);
    /* Wait until this node has applied all that was acknowledged when the call began: asks the
     * leader.  -1: ERR_TIMEOUT after ${ms}, ERR_STANDBY (no leader). */
    int (*catch_up)(struct ha *h, int ms, struct err *err);
};

#endif
