/* Diagnose: what would keep a server from starting, looked for without starting it. */
#ifndef SERVER_DIAGNOSE_H
#define SERVER_DIAGNOSE_H

#include "server/diagnosis.h"

struct diagnose_request {
    struct strs config_paths;
    bool skip_listener, skip_storage, skip_autounseal;
};

/*
 * Run all checks.  NULL: out of memory.  ${complete} is false when one failed that the others need.
 * Writes, reads and deletes one entry of the storage (of storage "raft" nothing is written,
 * but other members are connected to); binds the listeners' addresses for a moment;
 * has the seal encrypt and decrypt some bytes.
 */
struct diagnosis *diagnose_run(struct arena *a, const struct diagnose_request *request,
                              bool *complete);

#endif
