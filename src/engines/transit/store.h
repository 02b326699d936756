/* Store: how handlers come by keys, to use them and to change them. */
#ifndef ENGINES_TRANSIT_STORE_H
#define ENGINES_TRANSIT_STORE_H

#include "base/keylock.h"
#include "engines/transit/cache.h"
#include "engines/transit/record.h"
#include "logical/engine.h"

/* State of a mount. Any thread. */
struct transit {
    struct transit_cache *cache;
    struct keylock *locks; /* by key name: one writer or loader at a time */
};

/* The mount's state of a request. */
struct transit *transit_of(const struct request *req);

/* A key in use: AUTO(transit_use_end) struct transit_use use = { 0 }. */
struct transit_use {
    const struct transit_key *key;
    bool reading;
};

/*
 * Find a key, in the cache or the store; it stays as it is until transit_use_end.  1, 0, or -1:
 * ERR_MUST_WAIT when it must be read from the store and the caller may not block.
 */
int transit_use(struct request *req, struct str name, struct transit_use *use) MUST_USE;
void transit_use_end(struct transit_use *use);

/* A key being changed, held against other writers: AUTO(transit_edit_end) ... = { 0 }. */
struct transit_edit {
    struct transit_record record;
    struct keyhold hold;
    struct str name;
    uint64_t era;
};

/* Take the lock and read the record afresh. 1, 0 (the lock is held all the same), -1. */
int transit_edit(struct request *req, struct str name, struct transit_edit *edit) MUST_USE;
/*
 * Settle and store policy and archive in one batch, and let readers see the outcome.  Nothing has
 * changed when it fails.
 */
int transit_edit_commit(struct request *req, struct transit_edit *edit) MUST_USE;
/* Delete policy and archive in one batch. */
int transit_edit_delete(struct request *req, struct transit_edit *edit) MUST_USE;
void transit_edit_end(struct transit_edit *edit);

/* Make the key unless it is there. 1: made, 0: it was there, -1. */
int transit_create(struct request *req, const struct transit_spec *spec) MUST_USE;

/* -1 with ERR_MUST_WAIT on an event loop. */
int transit_may_wait(struct request *req) MUST_USE;

#endif
