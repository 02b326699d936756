/* Applier: the thread that carries committed entries into the store, many in one transaction. */
#ifndef STORAGE_RAFT_APPLIER_H
#define STORAGE_RAFT_APPLIER_H

#include "storage/raft/mark.h"
#include "storage/raft/staging.h"
#include "storage/raft/tail.h"
#include "storage/raft/wal.h"

struct applier; /* any thread, but where said */

/* Called by the applier's thread, in the order of the log; may take their time. */
struct applier_calls {
    void *ctx;
    /* Does somebody here wait for that entry?  Then the caller knows what it changed. */
    bool (*is_own)(void *ctx, uint64_t index, uint64_t term);
    void (*keys_changed)(void *ctx, const struct str *keys, size_t n);
    void (*store_replaced)(void *ctx);
    /* The entry of that index was of that term; once for each, before applied() of it. */
    void (*decided)(void *ctx, uint64_t index, uint64_t term);
    /* All up to the mark is in the store; the mark is borrowed. */
    void (*applied)(void *ctx, const struct mark *mark);
    /* The store is durable up to the mark, as applier_sync asked. */
    void (*synced)(void *ctx, const struct mark *mark);
    /* The store that applier_install was given is in place. */
    void (*installed)(void *ctx, const struct mark *mark);
    /* An entry that was committed makes no sense: nothing more is applied. */
    void (*broken)(void *ctx, const struct err *err);
};

struct applier_options {
    struct storage *state; /* borrowed, as all below */
    struct wal *wal;
    struct tail *tail;
    const char *dir;       /* of what is being made: raft/snapshots */
    struct applier_calls calls;
};

/* ${mark}: where the store is; index 0 when it is empty. */
int applier_new(const struct applier_options *options, const struct mark *mark,
                struct applier **out, struct err *err) MUST_USE;
/* Ends after the transaction that it is at. */
void applier_free(struct applier *a);

/* All up to ${index} is committed. */
void applier_commit(struct applier *a, uint64_t index);
/* Make the store durable, then call synced. */
void applier_sync(struct applier *a);
/*
 * Take over ${s}: it replaces the store, which then is at ${mark} (copied); what is committed below
 * it is skipped.  One at a time.  NULL: the store stays but counts as void, which ${mark} says;
 * nothing counts as committed any more.
 */
int applier_install(struct applier *a, struct staging *s, const struct mark *mark,
                    struct err *err) MUST_USE;

#endif
