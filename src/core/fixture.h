/* Fixture: an unsealed server over a store in memory, for the unit tests of core/ alone. */
#ifndef CORE_FIXTURE_H
#define CORE_FIXTURE_H

#include "core/handle.h"

/* The store; tests let it fail. */
struct fixture_disk {
    struct storage base; /* first */
    struct storage *under;
    _Atomic int commits_left; /* below 0: no limit */
};

/* State of the engine "vending", mounted at vending/: it leases a thing for an hour. */
struct fixture_vending {
    int issued, ended;
    bool stuck; /* revocations fail */
};

/* One thread.  auth/door/login lets everybody in, with the policies that the field names. */
struct fixture {
    struct fixture_disk disk;
    struct clock clock; /* stands still */
    _Atomic int64_t now_ns;
    struct core_settings settings;
    struct lifecycle *lifecycle;
    struct arena *arena;
    struct str share, root; /* unseal key, root token */
    struct peer peer;
    struct request req;     /* of the last call */
    struct response resp;
    struct buf text;        /* its answer, as the client gets it */
};

/* Initialised and unsealed, or the test fails. */
void fixture_open(struct fixture *f);
void fixture_close(struct fixture *f);
/* Only the store and a sealed server on it that nobody initialised. */
void fixture_open_empty(struct fixture *f);

const struct active *fixture_on(struct fixture *f);
struct fixture_vending *fixture_vending(struct fixture *f);

/* A request through the pipeline: what handle returned; the rest is in f->req.err and f->text. */
int fixture_call(struct fixture *f, enum op op, const char *path, struct str token,
                 const char *json);

/* A policy that allows everything is "all". A token with it; ${parent} may be empty. */
struct str fixture_token(struct fixture *f, struct str parent, enum token_type type,
                         int64_t ttl_s);
/* May the token still do something? */
bool fixture_alive(struct fixture *f, struct str token);

#endif
