/* Staging: a store in the making, in a folder of its own, to take the place of the node's. */
#ifndef STORAGE_RAFT_STAGING_H
#define STORAGE_RAFT_STAGING_H

#include "storage/raft/entry.h"
#include "storage/raft/mark.h"

struct staging; /* one thread at a time */

/* An empty one in the folder ${dir}/${name}; what is there already is removed. */
int staging_new(const char *dir, const char *name, struct staging **out, struct err *err) MUST_USE;
/* Also removes its folder. */
void staging_free(struct staging *s);

/* Entries of class KEYCLASS_NODE are left out: each node keeps its own. */
int staging_put(struct staging *s, struct str key, struct str value, struct err *err) MUST_USE;
int staging_add(struct staging *s, const struct entry_batches *b, struct err *err) MUST_USE;

/*
 * Put in the node's own entries of ${state}, write ${mark}, make all of it durable, and let it take
 * the place of what ${state} is.  May be called again when it failed.
 */
int staging_swap(struct staging *s, struct storage *state, const struct mark *mark,
                 struct err *err) MUST_USE;

/* Remove everything below ${dir}, which may be absent; best effort. */
void staging_sweep(const char *dir);

#endif
