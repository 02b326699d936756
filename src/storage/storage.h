/*
 * Storage: keys and values, the one interface that drivers, the barrier and every mount's view
 * implement.  A key is a path of segments divided by '/'.
 */
#ifndef STORAGE_STORAGE_H
#define STORAGE_STORAGE_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum storage_op_kind { STORAGE_PUT, STORAGE_DELETE };

/* One change of a batch; key and value are borrowed until storage_commit returns. */
struct storage_op {
    enum storage_op_kind kind;
    struct str key;
    struct str value;
};

/* Receives a name; returns 0 to go on, anything else to stop the walk. */
typedef int storage_name_fn(void *ctx, struct str name);

struct storage {
    const struct storage_ops *ops;
    bool reads_block;  /* a get or list may wait (network, disk queue): not on an event loop */
    bool writes_block; /* a commit may wait: not on an event loop */
};

/*
 * What an implementation fills in.  All calls: any thread.  A decorator passes the call on to the
 * storage beneath it.  Every call may fail with ERR_IO, ERR_NOMEM, ERR_SEALED, ERR_STANDBY,
 * ERR_READ_ONLY.
 */
struct storage_ops {
    int (*get)(struct storage *s, struct str key, struct buf *out, struct err *err);
    int (*commit)(struct storage *s, const struct storage_op *ops, size_t n, struct err *err);
    int (*list)(struct storage *s, struct str prefix, struct str after, storage_name_fn *each,
                void *ctx, struct err *err);
    void (*close)(struct storage *s);
};

/* Append the value to ${out}. 1 found, 0 absent, -1 failed (ERR_CORRUPT: it does not decrypt). */
static inline int storage_get(struct storage *s, struct str key, struct buf *out, struct err *err)
{
    return s->ops->get(s, key, out, err);
}

/*
 * Carry out the whole batch or nothing; when it returns 0 the batch is durable, and visible to
 * every later get.  Later operations of a batch win over earlier ones on the same key.  Deleting
 * what is absent is fine.  -1 also with ERR_TOO_LARGE, ERR_BAD_REQUEST (a key the driver cannot
 * hold: empty, with "..", over-long); then nothing has changed.
 */
static inline int storage_commit(struct storage *s, const struct storage_op *ops, size_t n,
                                 struct err *err)
{
    return s->ops->commit(s, ops, n, err);
}

static inline int storage_put(struct storage *s, struct str key, struct str value, struct err *err)
{
    struct storage_op op = { STORAGE_PUT, key, value };
    return storage_commit(s, &op, 1, err);
}

static inline int storage_delete(struct storage *s, struct str key, struct err *err)
{
    struct storage_op op = { STORAGE_DELETE, key, { NULL, 0 } };
    return storage_commit(s, &op, 1, err);
}

/*
 * Call ${each} for every name directly below ${prefix} (which is empty or ends in '/'), in byte
 * order, each once: "a" for the entry prefix/a, "b/" for a folder.  Only names greater than
 * ${after} (empty: all), so a page goes on where the last one ended.  No lock is held while
 * ${each} runs; it may call the storage.  An entry whose key is ${prefix} itself (a key that ends
 * in '/') has the empty name.  0: done or stopped by ${each}; -1: failed.
 */
static inline int storage_list(struct storage *s, struct str prefix, struct str after,
                               storage_name_fn *each, void *ctx, struct err *err)
{
    return s->ops->list(s, prefix, after, each, ctx, err);
}

/* NULL is fine. */
static inline void storage_close(struct storage *s)
{
    if (s != NULL)
        s->ops->close(s);
}

/*
 * Call ${each} with the full key (below ${prefix}, prefix left off) of every entry under
 * ${prefix}, folders walked through, in order.  As storage_list otherwise.
 */
int storage_walk(struct storage *s, struct str prefix, storage_name_fn *each, void *ctx,
                 struct err *err) MUST_USE;

/* Delete every entry under ${prefix}, in batches of at most 1,000. */
int storage_delete_tree(struct storage *s, struct str prefix, struct err *err) MUST_USE;

#endif
