/* Wal_entry: one entry of the raft log. */
#ifndef STORAGE_RAFT_WAL_ENTRY_H
#define STORAGE_RAFT_WAL_ENTRY_H

#include "base/attr.h"
#include "base/str.h"

struct wal_entry {
    uint64_t index, term;
    uint8_t type;
    struct str data;
};

#endif
