/* Snapshot: an archive of the store as it is at one moment, in pieces, for whoever keeps it. */
#ifndef CORE_SNAPSHOT_H
#define CORE_SNAPSHOT_H

#include <stdatomic.h>

#include "storage/raft/archive.h"
#include "storage/raft/raftstore.h"

/* All is borrowed for the call. */
struct snapshot_parts {
    struct raftstore *raft;
    const char *spool_dir;  /* room for as much as the entries take */
    archive_seal_fn *seal;  /* with the seal's key, which all members can open */
    void *seal_ctx;
    archive_sink_fn *sink;
    void *sink_ctx;
    const atomic_bool *end; /* give up when it becomes true; NULL: never */
};

/* Blocks; writes go on meanwhile.  -1: as archive_write; ERR_STANDBY: told to give up. */
int snapshot_write(const struct snapshot_parts *p, struct err *err) MUST_USE;

#endif
