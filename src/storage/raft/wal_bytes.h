/* Wal_bytes: numbers as the log's files hold them, little endian. */
#ifndef STORAGE_RAFT_WAL_BYTES_H
#define STORAGE_RAFT_WAL_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

/* What a file that is not as it must be asks of the operator. */
#define WAL_ADVICE                                                                                 \
    "; set this node's raft data aside and let the node join its cluster again, or restore a "     \
    "snapshot"

static inline void wal_put32(char *to, uint32_t v)
{
    v = htole32(v);
    memcpy(to, &v, sizeof v);
}

static inline void wal_put64(char *to, uint64_t v)
{
    v = htole64(v);
    memcpy(to, &v, sizeof v);
}

static inline uint32_t wal_get32(const char *from)
{
    uint32_t v;
    memcpy(&v, from, sizeof v);
    return le32toh(v);
}

static inline uint64_t wal_get64(const char *from)
{
    uint64_t v;
    memcpy(&v, from, sizeof v);
    return le64toh(v);
}

#endif
