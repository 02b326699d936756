/* Mark: how far a store has come along the log; kept by lmdb_state in the store itself. */
#ifndef STORAGE_RAFT_MARK_H
#define STORAGE_RAFT_MARK_H

#include "storage/raft/member.h"

struct mark {
    uint64_t index, term;
    struct raft_configuration conf; /* the newest at or before index */
    uint64_t conf_index;
    uint64_t restore; /* where a restore began that has not ended; 0: none */
    bool invalid;     /* the store contradicts the cluster's log: it waits for a snapshot */
};

int mark_encode(const struct mark *m, struct buf *out, struct err *err) MUST_USE;
/* ${out} is released with mark_clear. -1: ERR_CORRUPT, ERR_NOMEM. */
int mark_decode(struct str bytes, struct mark *out, struct err *err) MUST_USE;
int mark_copy(const struct mark *m, struct mark *out, struct err *err) MUST_USE;
void mark_clear(struct mark *m);

#endif
