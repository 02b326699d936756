/* Mounts: the tables of secrets engines and auth methods, and the map from a path to its mount. */
#ifndef CORE_MOUNTS_H
#define CORE_MOUNTS_H

#include "barrier/barrier.h"
#include "base/clock.h"
#include "core/mount.h"
#include "logical/engine.h"

struct mounts; /* any thread; readers take no lock */

/* System-wide defaults and where engines come from; borrowed. */
struct mounts_parts {
    struct barrier *barrier;
    const struct engine *const *engines; /* all that exist, NULL at the end */
    void *inner_state;                   /* state of the engines "system" and "token" */
    int64_t default_ttl_s, max_ttl_s;
    const struct clock *clock;
    int (*password)(void *ctx, struct str policy, struct buf *out, struct err *err);
    void *password_ctx;
};

/* Load the tables (make them on a new store), open every mount. */
int mounts_new(const struct mounts_parts *parts, struct mounts **out, struct err *err) MUST_USE;
void mounts_free(struct mounts *m);

/*
 * The mount that serves ${path} ("secret/data/a"), by the longest prefix; NULL when none does.
 * ${path} may lack the last slash ("secret").  Valid within the caller's epoch section.
 */
const struct mount *mounts_find(struct mounts *m, struct str path);
/* By its exact full path with slash. */
const struct mount *mounts_at(struct mounts *m, struct str full_path);
const struct mount *mounts_by_uuid(struct mounts *m, struct str uuid);
const struct mount *mounts_by_accessor(struct mounts *m, struct str accessor);
/* All mounts in order of their paths; the array is in ${a}, the mounts in the epoch. */
int mounts_list(struct mounts *m, struct arena *a, bool auth, const struct mount ***out, size_t *n,
                struct err *err) MUST_USE;

/*
 * Enable.  ${want} says type, path, description, options, config, local, seal_wrap; the rest is
 * made.  -1: ERR_BAD_REQUEST with Vault's texts ("path is already in use at a/").
 */
int mounts_enable(struct mounts *m, const struct mount *want, struct err *err) MUST_USE;
/*
 * Disable in two steps, so that the caller can revoke leases between them: the tainted mount takes
 * no more requests but revocations; remove deletes its data.  taint: 0 also when absent.
 */
int mounts_taint(struct mounts *m, struct str full_path, struct err *err) MUST_USE;
int mounts_remove(struct mounts *m, struct str full_path, struct err *err) MUST_USE;
/* Would a remount be refused?  To be asked before the mount's leases are ended for it. */
int mounts_may_remount(struct mounts *m, struct str from, struct str to, struct err *err) MUST_USE;
int mounts_remount(struct mounts *m, struct str from, struct str to, struct err *err) MUST_USE;

/* Change a mount's tunable part: ${change} gets a copy in ${a} to edit. */
int mounts_tune(struct mounts *m, struct str full_path,
                int (*change)(void *ctx, struct arena *a, struct mount *mount, struct err *err),
                void *ctx, struct err *err) MUST_USE;

/* Effective TTLs of a mount. */
void mounts_ttls(const struct mounts *m, const struct mount *mount, int64_t *default_s,
                 int64_t *max_s);

#endif
