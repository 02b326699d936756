/*
 * Wal_record: one entry as bytes of a segment: 32 bytes of head, the data, zeros up to the next
 * multiple of 8.  Each names the checksum of the record before it and covers that name with its
 * own, so that bytes of another time or place do not go on from what stands before them.
 */
#ifndef STORAGE_RAFT_WAL_RECORD_H
#define STORAGE_RAFT_WAL_RECORD_H

#include "storage/raft/wal_entry.h"

#define WAL_RECORD_HEAD 32
#define WAL_RECORD_DATA_MAX (UINT32_MAX - 64)

enum wal_record_kind {
    WAL_RECORD_ENTRY = 1,
    WAL_RECORD_MARK = 2, /* random data: what stands behind it from before is no sequel to it */
};

/* Bytes that a record with ${n} bytes of data takes. */
static inline uint64_t wal_record_space(uint64_t n)
{
    return (WAL_RECORD_HEAD + n + 7) & ~(uint64_t)7;
}

/* Head of a record; ${crc} is that of the whole. */
struct wal_record {
    uint32_t crc, before;
    uint32_t n; /* of the data */
    uint8_t kind, type;
    uint64_t index, term;
};

/* Write the whole record, zeros behind included; returns its checksum. */
uint32_t wal_record_put(char *to, enum wal_record_kind kind, uint32_t before,
                        const struct wal_entry *e);
struct wal_record wal_record_head(const char from[WAL_RECORD_HEAD]);
/* Do head and the r.n bytes of ${data} belong together, and is the head one of ours? */
bool wal_record_sound(const char head[WAL_RECORD_HEAD], const char *data);

#endif
