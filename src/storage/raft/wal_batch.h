/*
 * Wal_batch: the entries of one append on their way to the disk: written behind the records of the
 * newest segment and into new ones, without a change to what others see.
 */
#ifndef STORAGE_RAFT_WAL_BATCH_H
#define STORAGE_RAFT_WAL_BATCH_H

#include "storage/raft/wal_recent.h"
#include "storage/raft/wal_segment.h"

/* What goes to one segment. */
struct wal_piece {
    struct wal_segment *segment; /* borrowed; ours when fresh */
    struct wal_chunk *chunk;     /* its bytes; ours */
    uint64_t at, first_at, end;  /* of the bytes, of the first entry's record, where they end */
    uint32_t crc;                /* at the end */
    size_t n;                    /* entries */
    bool fresh;
};

/* The first fields are the caller's to set. One thread. */
struct wal_batch {
    int dir;
    const uint8_t *id;
    struct wal_segment *last; /* the newest segment, or NULL; borrowed */
    bool mark;                /* behind its end may stand records of another time */
    uint32_t next_counter;    /* of a new segment; counted on */

    struct wal_piece *v;
    size_t n, cap;
    const struct wal_entry *entries; /* not written yet */
    size_t left;
};

void wal_batch_free(struct wal_batch *b);
/* -1: ERR_IO, ERR_NOMEM; then wal_batch_undo. */
int wal_batch_write(struct wal_batch *b, const struct wal_entry *entries, size_t n,
                    struct err *err) MUST_USE;
/* Make as if none of it had been written; the next batch needs a mark. */
void wal_batch_undo(struct wal_batch *b);

#endif
