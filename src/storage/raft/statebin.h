/*
 * Statebin: a snapshot's state.bin: all entries in key order, each a varint with its length and a
 * protobuf message {1 key, 2 value} (storage-layout.md section 9).
 */
#ifndef STORAGE_RAFT_STATEBIN_H
#define STORAGE_RAFT_STATEBIN_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "storage/longkey.h"

enum {
    STATEBIN_KEY_MAX = LONGKEY_MAX,
    STATEBIN_ENTRY_MAX = 256 << 20, /* of one message: far above any max_entry_size */
};

/* Borrowed until it returns; -1 ends the reading. */
typedef int statebin_put_fn(void *ctx, struct str key, struct str value, struct err *err);

/* Starts as { 0 }, for reading with put (may be NULL) and its ctx.  One thread at a time. */
struct statebin {
    statebin_put_fn *put;
    void *ctx;
    uint64_t n;      /* entries so far */
    struct buf last; /* the key of the last one */
    struct buf part; /* the beginning of one that is not yet whole */
};

void statebin_fini(struct statebin *s);

/*
 * Writing: append to ${out} what stands before the ${value_n} bytes of an entry's value.
 * -1: ERR_CORRUPT when the key is empty, too long or not above the last one, or the entry too
 * large; nothing is appended then.  A lack of memory is remembered by the buffer.
 */
int statebin_head(struct statebin *s, struct str key, size_t value_n, struct buf *out,
                  struct err *err) MUST_USE;

/*
 * Reading: the next bytes, in pieces of any size.  Memory is taken for what has come, never for
 * what a length announces.  -1: ERR_BAD_REQUEST, ERR_NOMEM, or what put said.
 */
int statebin_feed(struct statebin *s, struct str bytes, struct err *err) MUST_USE;
/* All bytes were given: -1 ERR_BAD_REQUEST within an entry. */
int statebin_end(const struct statebin *s, struct err *err) MUST_USE;

#endif
