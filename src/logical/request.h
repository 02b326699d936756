/* Request: one operation on its way down; every stage adds what it found out. */
#ifndef LOGICAL_REQUEST_H
#define LOGICAL_REQUEST_H

#include "base/arena.h"
#include "base/err.h"
#include "base/strs.h"
#include "codec/json.h"
#include "logical/auth.h"
#include "storage/storage.h"

enum op {
    OP_READ, OP_LIST, OP_CREATE, OP_UPDATE, OP_DELETE, OP_HELP,
    OP_RENEW, OP_REVOKE, OP_ROLLBACK, /* internal: made by the lease book */
};

/* "read", "list", "create", ... as audit entries and messages name it. */
const char *op_name(enum op op);

/* Of the connection that the request came by; NULL for internal requests. */
struct peer {
    struct str addr; /* IP as text, without port: as the listener's forwarding rules say */
    int port;
    bool tls;
    struct strs certs_der; /* the client's certificate chain, leaf first */
};

struct request_header {
    struct str name, value;
};

struct route;
struct sysview;
struct policy_facts;

/* Lives in its arena; one thread at a time. Strings are borrowed from the arena. */
struct request {
    struct arena *arena;
    struct err err; /* why a stage or a handler returned -1 */

    /* Stage 2, api/read.c: what the client said. */
    struct str id;      /* UUID */
    enum op op;
    struct str path;    /* below /v1/, decoded: "secret/data/app" */
    struct json *data;  /* object: fields of the body and of the query; never NULL */
    struct str token;   /* client token as sent, or empty */
    int64_t wrap_ttl_s; /* 0: do not wrap */
    bool wrap_jwt;      /* X-Vault-Wrap-Format: jwt */
    const struct peer *peer;
    const struct request_header *headers;
    size_t n_headers;
    int64_t now_ns;     /* Unix time at which the request was read */
    int64_t deadline_ns; /* Unix time after which nobody waits for the answer; 0: none.  The
                            pipeline begins no stage after it; what waits for others keeps to it */
    bool may_block;     /* false on an event loop: ERR_MUST_WAIT instead of waiting */
    struct str raw_body; /* body as sent, for routes that take it raw */
    bool sure;           /* what the store shows was found to be the latest, when it was asked */
    bool wrote;          /* it may have changed the store (told only in a cluster) */
    bool elsewhere;      /* with ERR_STANDBY: nothing was done, the active node is to do it all */

    /* Stage 5, core/router.c: where it goes. */
    struct str mount_path;     /* "secret/", "auth/userpass/" */
    struct str mount_type, mount_accessor;
    struct str rel;            /* rest of the path: "data/app" */
    struct storage *storage;   /* the mount's view, and nothing else */
    void *backend;             /* state of the mount's engine, from engine->open */
    const struct sysview *sys; /* what the mount may know of the world */
    struct json *path_data;    /* what the route's names matched in the path, or NULL */
    const struct route *route; /* and which of its routes matched */
    bool backend_open;         /* a mount serves the path and takes requests */
    const void *mount;         /* the core's own record of the mount; engines leave it alone */

    /* Stage 6, core/token.c: who asks. */
    struct str token_accessor, display_name, entity_id;
    struct str token_hash;     /* the token's salted id, never the token */
    struct str cubbyhole_id;   /* the caller's own drawer; empty for batch tokens */
    struct strs policies;      /* of the token and its entity */
    int64_t token_uses_left;   /* 0: unlimited */
    bool root;                 /* holds the root policy */
    const struct policy_facts *facts; /* of the entity, for templates; or NULL */
    void *caller;              /* the core's own record of the token; engines leave it alone */

    /* OP_RENEW, OP_REVOKE: of which secret or login. */
    struct json *lease_data;   /* internal_data as the engine gave it */
    struct auth *lease_auth;   /* at renewal of a login */
    int64_t lease_increment_s, lease_issued_s;
};

/* Value of a header, any case; empty when absent. */
struct str request_header(const struct request *req, const char *name);

#endif
