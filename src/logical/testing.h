/* Testing: a mount of one engine over a store in memory, for the engines' unit tests alone. */
#ifndef LOGICAL_TESTING_H
#define LOGICAL_TESTING_H

#include "logical/engine.h"

/* One thread. */
struct testing {
    const struct engine *engine;
    struct storage *storage;
    void *state;
    struct clock clock;
    struct sysview sys;
    int64_t now_ns;      /* what the clock says; tests move it */
    bool read_only;
    struct arena *arena; /* of the last call */
    struct request req;  /* of the last call */
    struct response resp;
    struct peer peer;
    struct str cubbyhole_id;
    struct buf text;     /* of testing_data */
};

/* A new store and a mount in it; fails the test when that fails. */
void testing_open(struct testing *t, const struct engine *engine);
/* Close the mount and open it again over the same store. -1: t->req.err. */
int testing_reopen(struct testing *t, const struct engine *engine);
void testing_close(struct testing *t);

/*
 * One request as the core would make it: ${rel} below the mount, ${json} the body or NULL.  A
 * write becomes a create where the route says that nothing is there.  Returns what the handler
 * returned; answer and error stay in t->resp and t->req.err until the next call.
 */
int testing_call(struct testing *t, enum op op, const char *rel, const char *json);

/* The data of the last answer as JSON; "" when there is none. */
const char *testing_data(struct testing *t);

/* Fail unless the call returns 1 with this data (NULL: any). */
void testing_expect(struct testing *t, enum op op, const char *rel, const char *json,
                    const char *data);
/* Fail unless the call returns -1 with this code and text. */
void testing_refuse(struct testing *t, enum op op, const char *rel, const char *json,
                    enum err_code code, const char *text);
/* Fail unless the call returns 0. */
void testing_absent(struct testing *t, enum op op, const char *rel);

/* Straight into the store, below the mount's view. */
void testing_put(struct testing *t, const char *key, struct str value);
/* 1 and the bytes in ${out}, or 0. */
int testing_get(struct testing *t, const char *key, struct buf *out);
/* Number of entries under a prefix. */
size_t testing_count(struct testing *t, const char *prefix);

#endif
