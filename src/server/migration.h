/* Migration: copies all entries, encrypted as they are, from one storage to another. */
#ifndef SERVER_MIGRATION_H
#define SERVER_MIGRATION_H

#include "server/config.h"

/*
 * Whether a copy from or to ${s} is under way or was broken off.  -1: ERR_CONFLICT tells since
 * when, and what to do; ERR_IO.
 */
int migration_check(struct storage *s, struct err *err) MUST_USE;
/* Where the lock stands, and what a lock of that text means: -1, as above. */
#define MIGRATION_LOCK STR("core/migration")
int migration_locked(struct str text, struct err *err) MUST_USE;

struct migration {
    const struct config_storage *source, *destination;
    struct str start; /* keys before it are passed over; empty: none */
    /* Asked between batches whether to go on; NULL: always. */
    bool (*go_on)(void *ctx);
    void *ctx;
};

/*
 * Copy in order of the keys, in batches; each copied key is logged.  Both storages carry a lock
 * meanwhile, the destination's stays when the copy is not complete, so that no server starts on it.
 * A source that is one of several members of a cluster cannot be locked: the log says so.
 * Without a start the destination must be empty.  1: done; 0: stopped by go_on; -1: ERR_CONFLICT,
 * ERR_BAD_REQUEST, ERR_IO; the message names the key to start from.
 */
int migration_run(const struct migration *m, struct err *err) MUST_USE;

/* Take the lock of the source away. */
int migration_reset(const struct config_storage *source, struct err *err) MUST_USE;

#endif
