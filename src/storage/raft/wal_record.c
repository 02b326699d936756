/* Wal_record: crc 4, crc of the one before 4, length 4, kind 1, type 1, zero 2, index 8, term 8. */
#include "storage/raft/wal_record.h"

#include "base/crc32c.h"
#include "storage/raft/wal_bytes.h"

uint32_t wal_record_put(char *to, enum wal_record_kind kind, uint32_t before,
                        const struct wal_entry *e)
{
    uint64_t used = WAL_RECORD_HEAD + e->data.n;
    wal_put32(to + 4, before);
    wal_put32(to + 8, (uint32_t)e->data.n);
    to[12] = (char)kind;
    to[13] = (char)e->type;
    to[14] = to[15] = 0;
    wal_put64(to + 16, e->index);
    wal_put64(to + 24, e->term);
    if (e->data.n > 0)
        memcpy(to + WAL_RECORD_HEAD, e->data.p, e->data.n);
    memset(to + used, 0, wal_record_space(e->data.n) - used);
    uint32_t crc = crc32c(0, str_mem(to + 4, used - 4));
    wal_put32(to, crc);
    return crc;
}

struct wal_record wal_record_head(const char from[WAL_RECORD_HEAD])
{
    return (struct wal_record){ .crc = wal_get32(from),
                                .before = wal_get32(from + 4),
                                .n = wal_get32(from + 8),
                                .kind = (uint8_t)from[12],
                                .type = (uint8_t)from[13],
                                .index = wal_get64(from + 16),
                                .term = wal_get64(from + 24) };
}

bool wal_record_sound(const char head[WAL_RECORD_HEAD], const char *data)
{
    struct wal_record r = wal_record_head(head);
    bool entry = r.kind == WAL_RECORD_ENTRY && r.index > 0 && r.index < UINT64_MAX;
    if (!entry && r.kind != WAL_RECORD_MARK)
        return false;
    uint32_t crc = crc32c(0, str_mem(head + 4, WAL_RECORD_HEAD - 4));
    return crc32c(crc, str_mem(data, r.n)) == r.crc;
}
