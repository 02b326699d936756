/* Archive_meta: a snapshot's meta.json: which moment of which cluster it holds. */
#ifndef STORAGE_RAFT_ARCHIVE_META_H
#define STORAGE_RAFT_ARCHIVE_META_H

#include "base/arena.h"
#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

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

/* Append the text, as Vault writes it: in one line, with its end. -1: ERR_NOMEM. */
int archive_meta_print(const struct archive_meta *m, struct buf *out, struct err *err) MUST_USE;

/*
 * The text's content in ${a}; what is not known is passed over.  -1: ERR_BAD_REQUEST when it is no
 * JSON, a number is missing or out of range, a server has no id, or the version is not 1.
 */
int archive_meta_parse(struct arena *a, struct str text, struct archive_meta *out,
                       struct err *err) MUST_USE;

#endif
