/* Autosnap: on the active node: takes snapshots on schedule (Vault docs:
 * enterprise/automated-integrated-storage-snapshots). */
#ifndef CORE_AUTOSNAP_H
#define CORE_AUTOSNAP_H

#include "base/clock.h"
#include "storage/raft/archive.h"
#include "storage/raft/raftstore.h"

struct autosnap; /* any thread */

/* ${plain} is the barrier's storage; all is borrowed. */
struct autosnap_parts {
    struct storage *plain;
    struct raftstore *raft;
    const struct clock *clock;
    const char *spool_dir;
    archive_seal_fn *seal; /* see struct snapshot_parts */
    void *seal_ctx;
};

/* Its thread starts. */
int autosnap_new(const struct autosnap_parts *parts, struct autosnap **out,
                 struct err *err) MUST_USE;
/* A snapshot that is being taken is given up. */
void autosnap_free(struct autosnap *p);
/* A configuration has changed: look now.  NULL is fine. */
void autosnap_wake(struct autosnap *p);

#endif
