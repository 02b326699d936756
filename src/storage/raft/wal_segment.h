/*
 * Wal_segment: one file of the log, "<first index>-<counter>.log": a head of 128 bytes, records
 * from there on.  The head is written when all segments before it are on disk for good, and says
 * where the one before ends; so a file without a head never counted, and one with a head proves
 * that the one before is whole.
 */
#ifndef STORAGE_RAFT_WAL_SEGMENT_H
#define STORAGE_RAFT_WAL_SEGMENT_H

#include <stdatomic.h>

#include "base/buf.h"
#include "base/err.h"
#include "storage/raft/wal_record.h"

#define WAL_SEGMENT_HEAD 128
#define WAL_SEGMENT_SIZE ((uint64_t)16 << 20)
#define WAL_SEGMENT_NAME 48
#define WAL_ID 16

struct wal_segment {
    /* immutable once made */
    char name[WAL_SEGMENT_NAME];
    char head[WAL_SEGMENT_HEAD];
    int fd;
    uint32_t counter;
    uint64_t size;     /* of the file: room for records */
    uint64_t base;     /* the index that it was begun for */
    uint64_t prev_end; /* where the segment before ends, and the checksum of its last record */
    uint32_t prev_crc;
    bool reset;        /* what stands before it does not count */
    atomic_uint refs;

    bool begun;        /* head written; of the syncing thread */

    /* under the log's mutex */
    uint64_t end; /* records so far */
    uint32_t crc; /* of the last one; before the first: of the head */
};

/* What a new one is to be. */
struct wal_segment_plan {
    uint32_t counter;
    uint64_t base, size;
    uint64_t prev_end; /* of the segment before; zeros: none that counts */
    uint32_t prev_crc;
    bool reset;
};

/* Where the file stands among others: false when ${name} is not a segment's. */
bool wal_segment_named(const char *name, uint64_t *base, uint32_t *counter) MUST_USE;

/* A file with room for plan->size bytes, its head not yet written. -1: nothing is left of it. */
int wal_segment_new(int dir, const uint8_t id[WAL_ID], const struct wal_segment_plan *plan,
                    struct wal_segment **out, struct err *err) MUST_USE;
/* 1, 0 it was never begun, -1 ERR_CORRUPT, ERR_IO.  ${id} must be that of its log. */
int wal_segment_open(int dir, const char *name, const uint8_t id[WAL_ID], struct wal_segment **out,
                     struct err *err) MUST_USE;
struct wal_segment *wal_segment_ref(struct wal_segment *s);
/* The last one closes it. */
void wal_segment_unref(struct wal_segment *s);

/* Write the head; not yet on disk for good. */
int wal_segment_begin(struct wal_segment *s, struct err *err) MUST_USE;
int wal_segment_write(struct wal_segment *s, uint64_t at, struct str bytes,
                      struct err *err) MUST_USE;
/* Copy the record at ${at}, whose data has ${n} bytes, out: the data is appended to ${data}. */
int wal_segment_read(struct wal_segment *s, uint64_t at, uint32_t n, struct wal_record *out,
                     struct buf *data, struct err *err) MUST_USE;

/* Goes through the records of a segment. */
struct wal_scan {
    struct wal_segment *s;
    uint64_t limit;  /* bytes from here on are not looked at */
    uint64_t at;     /* the next record; at the end: where the records end */
    uint32_t crc;    /* of the last one */
    char *window;    /* bytes of the file from window_at on */
    uint64_t window_at;
    size_t have, cap;
};

void wal_scan_init(struct wal_scan *c, struct wal_segment *s, uint64_t limit);
void wal_scan_fini(struct wal_scan *c);
/* 1 and a record that starts at ${at}, 0 at the first that does not check, -1 ERR_IO, ERR_NOMEM. */
int wal_scan_next(struct wal_scan *c, struct wal_record *out, uint64_t *at,
                  struct err *err) MUST_USE;

#endif
