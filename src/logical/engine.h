/* Engine: a secrets engine or auth method as the core sees it; one const table each. */
#ifndef LOGICAL_ENGINE_H
#define LOGICAL_ENGINE_H

#include "base/log.h"
#include "logical/route.h"
#include "logical/sysview.h"

/* What a mount's state is made from; borrowed, and valid until close. */
struct engine_ctx {
    struct storage *storage;      /* the mount's view */
    const struct sysview *sys;
    struct str mount_path, accessor;
    struct str uuid, backend_uuid; /* mount entry's uuid and backend_aware_uuid */
    const struct json *options;    /* object or NULL: {"version":"2"} */
};

/* A kind of secret that an engine leases out. */
struct secret_kind {
    const char *name;
    route_fn *renew;  /* OP_RENEW; req->lease_data; answers with resp->lease. NULL: not renewable */
    route_fn *revoke; /* OP_REVOKE; must be repeatable */
};

struct engine {
    const char *type;
    int version;   /* of engines with an option "version" (kv); 0 otherwise */
    bool is_auth;
    const char *help;
    const struct route *routes;
    size_t n_routes;
    const struct secret_kind *secrets;
    size_t n_secrets;
    /* Make the mount's state (may be NULL for none); reads the store, may write to set itself up. */
    int (*open)(const struct engine_ctx *ctx, void **state, struct err *err);
    void (*close)(void *state);
    /* A stored key below the view was changed by somebody else: forget what was cached of it. */
    void (*invalidate)(void *state, struct str key);
    /* Auth methods: may this login be renewed? Fills resp->auth from req->lease_auth. */
    route_fn *renew_login;
    /* Housekeeping, about once a minute, on a worker. */
    int (*tick)(void *state, struct request *req);
};

#define ROUTES(table) .routes = (table), .n_routes = ARRAY_LEN(table)

#endif
