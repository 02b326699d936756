/*
 * Raftstore_restore: another store sent through the log in chunks, each applied before the next is
 * sent: every node stages them, and the last entry swaps them in on all.
 */
#include "storage/raft/raftstore_parts.h"

#include <stdlib.h>

#include "storage/longkey.h"
#include "storage/raft/entry.h"

enum { CHUNK_BYTES = 1 << 20 };

struct raftstore_restore {
    struct raftstore *r;
    uint64_t term, begin;
    struct buf chunk;
    bool failed;
};

static void add_head(struct buf *out, enum entry_kind kind, uint64_t begin)
{
    buf_byte(out, (char)kind);
    for (int shift = 56; shift >= 0; shift -= 8)
        buf_byte(out, (char)(begin >> shift));
}

static int put(struct raftstore_restore *x, struct str payload, uint64_t *index, struct err *err)
{
    struct node *node = raftstore_enter(x->r);
    if (node == NULL)
        return raftstore_stopped(err);
    int rc = node_put(node, payload, &x->term, index, err);
    raftstore_leave(x->r);
    x->failed |= rc < 0;
    return rc;
}

int raftstore_restore_begin(struct raftstore *r, struct raftstore_restore **out, struct err *err)
{
    AUTO(buf_free) struct buf payload = { 0 };
    struct raftstore_restore *x = calloc(1, sizeof *x);
    if (x == NULL)
        return err_set(err, ERR_NOMEM, "raft: out of memory");
    x->r = r;
    buf_byte(&payload, ENTRY_RESTORE_BEGIN);
    if (buf_check(&payload, err) < 0 || put(x, buf_str(&payload), &x->begin, err) < 0) {
        free(x);
        return -1;
    }
    *out = x;
    return 0;
}

static int flush(struct raftstore_restore *x, struct err *err)
{
    if (x->chunk.n == 0)
        return 0;
    TRY(buf_check(&x->chunk, err));
    TRY(put(x, buf_str(&x->chunk), NULL, err));
    buf_clear(&x->chunk);
    return 0;
}

int raftstore_restore_put(struct raftstore_restore *x, struct str key, struct str value,
                          struct err *err)
{
    struct storage_op op = { STORAGE_PUT, key, value };
    if (key.n == 0 || key.n > LONGKEY_MAX)
        return err_set(err, ERR_BAD_REQUEST, "raft: a key of %zu bytes", key.n);
    if (x->chunk.n == 0)
        add_head(&x->chunk, ENTRY_RESTORE_CHUNK, x->begin);
    entry_add_batch(&x->chunk, &op, 1);
    return x->chunk.n < CHUNK_BYTES ? 0 : flush(x, err);
}

static int end(struct raftstore_restore *x, enum entry_kind kind, struct err *err)
{
    AUTO(buf_free) struct buf payload = { 0 };
    add_head(&payload, kind, x->begin);
    TRY(buf_check(&payload, err));
    return put(x, buf_str(&payload), NULL, err);
}

static void release(struct raftstore_restore *x)
{
    buf_free(&x->chunk);
    free(x);
}

int raftstore_restore_commit(struct raftstore_restore *x, struct err *err)
{
    int rc = x->failed ? err_set(err, ERR_CONFLICT, "raft: the restore has failed before")
                       : flush(x, err);
    if (rc < 0) {
        raftstore_restore_abort(x);
        return -1;
    }
    rc = end(x, ENTRY_RESTORE_COMMIT, err);
    release(x);
    return rc;
}

void raftstore_restore_abort(struct raftstore_restore *x)
{
    struct err err = { 0 };
    /* When it cannot be said, the next leader says it. */
    if (end(x, ENTRY_RESTORE_ABORT, &err) < 0)
        x->failed = true;
    release(x);
}
