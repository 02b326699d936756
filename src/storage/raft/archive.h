/*
 * Archive: a snapshot as Vault ships it: a gzipped tar of meta.json, state.bin, SHA256SUMS and
 * SHA256SUMS.sealed (storage-layout.md section 9), written and read as a stream.
 */
#ifndef STORAGE_RAFT_ARCHIVE_H
#define STORAGE_RAFT_ARCHIVE_H

#include "storage/raft/archive_meta.h"

/* Takes bytes; -1 fails the whole. */
typedef int archive_sink_fn(void *ctx, struct str bytes, struct err *err);
/* Gives the next entry in key order: 1, 0 at the end, -1; borrowed until the next call. */
typedef int archive_entry_fn(void *ctx, struct str *key, struct str *value, struct err *err);
/* Seals or unseals the checksums: appends to ${out}. */
typedef int archive_seal_fn(void *ctx, struct str text, struct buf *out, struct err *err);

struct archive_calls {
    archive_entry_fn *next;
    void *next_ctx;
    archive_seal_fn *seal;
    void *seal_ctx;
    archive_sink_fn *sink;
    void *sink_ctx;
};

/*
 * Write an archive to the sink, in memory that does not grow with it.  tar needs a file's size
 * before its content, so state.bin is spooled to an unlinked temporary file in ${dir}: as much room
 * as the entries take.  ${meta}->size is found out.  Blocks on the disk and in the calls, whose
 * errors are returned as they are.  -1 else: ERR_IO, ERR_NOMEM, ERR_CORRUPT (entries not in order).
 */
int archive_write(const struct archive_meta *meta, const struct archive_calls *calls,
                  const char *dir, struct err *err) MUST_USE;

/*
 * Check the archive in the open file ${fd} from its beginning to its end: form, checksums, and
 * unless ${open} is NULL that SHA256SUMS.sealed opens to SHA256SUMS (with NULL it may be missing,
 * as in Vault).  Entries are well-formed and in order.  ${meta} in ${a}.  The file's position is
 * neither used nor changed.  -1: ERR_BAD_REQUEST says what is wrong with it; ERR_DENIED: sealed
 * with another key; what else ${open} says; ERR_IO, ERR_NOMEM.
 */
int archive_check(int fd, struct arena *a, archive_seal_fn *open, void *open_ctx,
                  struct archive_meta *meta, struct err *err) MUST_USE;

/*
 * Hand out the entries of an archive that archive_check has passed.  What was checked must be what
 * is read: ${fd} is a file that nobody else can write, such as an unlinked one.  Form and checksums
 * are checked once more on the way, so that a disk that gives other bytes is noticed: what was put
 * counts only when 0 is returned.
 */
typedef int archive_put_fn(void *ctx, struct str key, struct str value, struct err *err);
int archive_entries(int fd, archive_put_fn *put, void *ctx, struct err *err) MUST_USE;

#endif
