/* Sysview: the few things that a mount may ask of the rest of the program; read-only. */
#ifndef LOGICAL_SYSVIEW_H
#define LOGICAL_SYSVIEW_H

#include "base/clock.h"
#include "codec/json.h"

struct request;

/* One per mount; any thread; valid as long as the mount is open. */
struct sysview {
    /* The mount's tuned lease times, else the system's. Seconds. */
    int64_t (*default_ttl_s)(const struct sysview *v);
    int64_t (*max_ttl_s)(const struct sysview *v);
    /* A secondary that must send writes to its primary (performance replication). */
    bool (*read_only)(const struct sysview *v);
    /* Password made by a named policy; 1, 0 no such policy, -1. */
    int (*password)(const struct sysview *v, struct str policy, struct buf *out, struct err *err);
    const struct clock *clock;
    /*
     * Fill in the directives of an identity template ("{{identity.entity.name}}") for the caller
     * of ${req}; ${out} in its arena.  -1: ERR_BAD_REQUEST, with Vault's text: no entity, no value.
     */
    int (*render)(const struct sysview *v, const struct request *req, struct str text,
                  struct str *out, struct err *err);
};

#endif
