/*
 * Entry: one entry of the log in memory, and what its content says: batches of changes to the
 * store, or a step of a restore.
 */
#ifndef STORAGE_RAFT_ENTRY_H
#define STORAGE_RAFT_ENTRY_H

#include <stdatomic.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "storage/lmdb_state.h"

/* Immutable but for its count of users. */
struct entry {
    atomic_uint users;
    uint64_t index, term;
    uint8_t type; /* enum raft_entry_type */
    size_t n;
    char data[];
};

/* A copy of ${data} with one user; NULL without memory. */
struct entry *entry_new(uint64_t index, uint64_t term, uint8_t type, struct str data);
struct entry *entry_hold(struct entry *e);
/* Wiped and released when nobody uses it any more; NULL is fine. */
void entry_drop(struct entry *e);

static inline struct str entry_data(const struct entry *e)
{
    return str_mem(e->data, e->n);
}

/* First byte of a RAFT_COMMAND. */
enum entry_kind {
    ENTRY_BATCHES = 1, /* batches, one after another */
    ENTRY_RESTORE_BEGIN = 2,
    ENTRY_RESTORE_CHUNK = 3, /* batches, for the store that is being made */
    ENTRY_RESTORE_COMMIT = 4,
    ENTRY_RESTORE_ABORT = 5,
};

/* 0 when it is none of these. */
enum entry_kind entry_kind_of(struct str payload);

/* Append one batch, to stand behind the kind. */
void entry_add_batch(struct buf *out, const struct storage_op *ops, size_t n);

/* Batches of one or more entries; keys and values are borrowed from their payloads. */
struct entry_batches {
    struct lmdb_batch *v;
    size_t n;
    struct storage_op *ops;
    size_t n_ops;
    size_t cap, cap_ops;
    size_t bytes; /* of keys and values */
};

/* Add those of a payload (its kind included).  -1: ERR_CORRUPT, ERR_NOMEM; none is added then. */
int entry_read(struct str payload, struct entry_batches *b, struct err *err) MUST_USE;
/* To be called before ${b}->v is used: from here on nothing is added before entry_reset. */
void entry_link(struct entry_batches *b);
void entry_reset(struct entry_batches *b);
void entry_free(struct entry_batches *b);

#endif
