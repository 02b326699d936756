/* Wal_files: the segments of a log in order, and how a start finds them and their entries. */
#ifndef STORAGE_RAFT_WAL_FILES_H
#define STORAGE_RAFT_WAL_FILES_H

#include "storage/raft/wal_index.h"
#include "storage/raft/wal_segment.h"

/* Starts as { 0 }; counters without a gap; holds a reference to each. */
struct wal_files {
    struct wal_segment **v;
    size_t n, cap;
};

void wal_files_free(struct wal_files *f);
int wal_files_reserve(struct wal_files *f, size_t n, struct err *err) MUST_USE;
/* The reference is taken over; room is reserved. */
void wal_files_add(struct wal_files *f, struct wal_segment *s);
/* Let go of the first ${n}. */
void wal_files_drop(struct wal_files *f, size_t n);
/* Borrowed, or NULL. */
struct wal_segment *wal_files_find(const struct wal_files *f, uint32_t counter);
/* Borrowed, or NULL when there is none. */
struct wal_segment *wal_files_last(const struct wal_files *f);

/* Does the directory hold any? 1, 0, -1: ERR_IO, ERR_CORRUPT for a *.log that is not one. */
int wal_files_any(int dir, struct err *err) MUST_USE;
/*
 * Open all, remove those that do not count, and replay their records into ${x}.
 * -1: ERR_CORRUPT, ERR_IO, ERR_NOMEM.
 */
int wal_files_load(int dir, const uint8_t id[WAL_ID], struct wal_files *f, struct wal_index *x,
                   struct err *err) MUST_USE;

#endif
