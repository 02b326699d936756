/*
 * Archive: a snapshot as Vault ships it: a gzipped tar of meta.json, state.bin, SHA256SUMS and
 * SHA256SUMS.sealed (storage-layout.md section 9), written and read as a stream.
 */
#ifndef STORAGE_RAFT_ARCHIVE_H
#define STORAGE_RAFT_ARCHIVE_H

#include <stdint.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/strs.h"

struct archive_server {
    struct str id, address;
    bool voter;
};

struct archive_meta {
    int64_t version; /* 1 */
    struct str id;   /* "bolt-snapshot" */
    uint64_t index, term, configuration_index;
    struct archive_server *servers;
    size_t n_servers;
    uint64_t size; /* of state.bin */
};

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
 * before its content: state.bin is spooled, compressed, to an unlinked temporary file in ${dir},
 * where there is room, or entries are walked twice; see archive.c.  ${meta}->size is found out.
 */
int archive_write(const struct archive_meta *meta, const struct archive_calls *calls,
                  const char *dir, struct err *err) MUST_USE;

/*
 * Check the archive in the open file ${fd} from its beginning to its end: form, checksums, and
 * unless ${open} is NULL that SHA256SUMS.sealed opens to SHA256SUMS.  Entries are well-formed and in
 * order.  ${meta} in ${a}.  -1: ERR_BAD_REQUEST says what is wrong with it; ERR_DENIED: sealed
 * with another key.
 */
int archive_check(int fd, struct arena *a, archive_seal_fn *open, void *open_ctx,
                  struct archive_meta *meta, struct err *err) MUST_USE;

/* Hand out the entries of an archive that archive_check has passed. */
typedef int archive_put_fn(void *ctx, struct str key, struct str value, struct err *err);
int archive_entries(int fd, archive_put_fn *put, void *ctx, struct err *err) MUST_USE;

#endif
