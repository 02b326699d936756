/*
 * Votefile: raft.db, the term and the vote of this node, and the id of its log.  Two slots, written
 * in turn, so that a torn write leaves the one before.
 */
#ifndef STORAGE_RAFT_VOTEFILE_H
#define STORAGE_RAFT_VOTEFILE_H

#include "base/attr.h"
#include "base/err.h"

#define VOTEFILE_NAME "raft.db"
#define VOTEFILE_ID 16

/* Starts with fd -1. One thread at a time. */
struct votefile {
    int fd;
    uint8_t id[VOTEFILE_ID];
    uint64_t counter, term, voted_for;
};

/* Made when absent and ${may_make}. -1: ERR_IO, ERR_CORRUPT. */
int votefile_open(int dir, bool may_make, struct votefile *v, struct err *err) MUST_USE;
void votefile_close(struct votefile *v);
/* Durable on return.  At a failure *lost tells that the disk does not hold what it was given. */
int votefile_set(struct votefile *v, uint64_t term, uint64_t voted_for, bool *lost,
                 struct err *err) MUST_USE;

#endif
