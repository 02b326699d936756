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

struct browser;
struct seal;
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
    struct str api_addr, cluster_addr;
    const struct telemetry *telemetry;
    bool raw_endpoint, introspection_endpoint, enable_ui, log_requests;
};

/* Valid within an epoch section; NULL from lifecycle_active means sealed or standby. */
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
    struct keylock *locks;   /* for read-change-write in sys/ */
    struct str cluster_id, cluster_name;
};

#endif
