/* Config_raft: what a stanza of storage "raft" may hold; the storage itself reads it later. */
#ifndef SERVER_CONFIG_RAFT_H
#define SERVER_CONFIG_RAFT_H

#include "server/config_table.h"

/*
 * Check the stanza and its retry_join blocks: unknown keys, and those that do nothing here, give a
 * warning.  -1: ERR_BAD_REQUEST with file, line and what was expected.
 */
int config_raft_check(const struct config_reader *r, const struct hcl *stanza) MUST_USE;

#endif
