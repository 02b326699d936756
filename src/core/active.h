/* Active: what exists while the server is unsealed; made and undone as a whole by lifecycle.c. */
#ifndef CORE_ACTIVE_H
#define CORE_ACTIVE_H

#include "barrier/barrier.h"
#include "base/keylock.h"
#include "core/broker.h"
#include "core/identity.h"
#include "core/lease.h"
#include "core/mounts.h"
#include "core/policy_store.h"
#include "core/token.h"

struct autopilot;
struct bootstrap;
struct browser;
struct counters;
struct ha;
struct link_creds;
struct raftstore;
struct seal;
struct stateindex;
struct telemetry;
struct wrapkey;

/* What the server was started with; immutable, outlives everything. */
struct core_settings {
    struct storage *physical;                 /* ciphertext side */
    struct seal *seal;     /* that unseals by itself; NULL: people hold shares */
    struct seal *old_seal; /* disabled in the configuration, to migrate from; NULL: none */
    const struct engine *const *engines;      /* NULL at the end */
    const struct device_kind *const *devices; /* NULL at the end */
    const struct clock *clock;
    int64_t default_ttl_s, max_ttl_s;
    struct str cluster_name;                  /* as configured; empty: made */
    struct str storage_type;
    struct str api_addr, cluster_addr;        /* cluster_addr: host:port of this node */
    struct ha *ha;                            /* the contest for leadership; NULL: no other nodes */
    struct raftstore *raft;                   /* ${physical}, when that is its kind */
    struct link_creds *creds;                 /* this node's, for the cluster port; NULL: no port */
    struct str node_id;
    const char *spool_dir;                    /* for snapshots on their way */
    bool forward_reads;                       /* standbys answer nothing themselves */
    const struct telemetry *telemetry;
    bool raw_endpoint, introspection_endpoint, enable_ui, log_requests;
};

/* Valid within an epoch section; NULL from lifecycle_active means sealed, or turning. */
struct active {
    const struct core_settings *settings;
    struct lifecycle *lifecycle;
    struct barrier *barrier;
    struct storage *storage; /* plaintext side */
    struct storage *sys;     /* below "sys/" */
    struct storage *cubbyhole; /* view of the cubbyhole mount */
    struct mounts *mounts;
    struct token_store *tokens;
    struct lease_book *leases;
    struct policy_store *policies;
    struct broker *broker;
    struct identity *identity;
    struct browser *browser;
    struct wrapkey *wrapkey; /* signs wrapping tokens of JWT shape */
    struct stateindex *index; /* signs state indexes; NULL: alone, or there is no key yet */
    struct autopilot *autopilot; /* these two on the active node with storage raft, else NULL */
    struct bootstrap *bootstrap;
    struct counters *counters; /* of requests; NULL on a standby */
    struct keylock *locks;   /* for read-change-write in sys/ */
    struct str cluster_id, cluster_name;
    bool standby;            /* reads only; another node writes */
};

#endif
