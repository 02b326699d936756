/* Diagnose_raft: what "operator diagnose" looks at of a node of a cluster; nothing is written. */
#ifndef SERVER_DIAGNOSE_RAFT_H
#define SERVER_DIAGNOSE_RAFT_H

#include "server/config.h"
#include "server/diagnosis.h"

/* The address by which the others reach this node. */
void diagnose_raft_addresses(struct arena *a, const struct config *config, struct diagnosis *root);

/*
 * Folder, files, members, peers.json and retry_join, below ${parent}; ${create} is the check
 * whether the storage can be opened.  Connects to the members' cluster ports, seconds for each that
 * is silent.  False: the storage cannot be read.
 */
bool diagnose_raft_storage(struct arena *a, const struct config *config, struct diagnosis *parent,
                           struct diagnosis *create);

#endif
