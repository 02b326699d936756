/*
 * Wal_index: where each entry of the log stands on disk (12 bytes each), and the terms, as ranges.
 * One thread at a time.
 */
#ifndef STORAGE_RAFT_WAL_INDEX_H
#define STORAGE_RAFT_WAL_INDEX_H

#include "base/attr.h"
#include "base/err.h"

struct wal_place {
    uint32_t segment; /* its counter */
    uint32_t at8;     /* offset / 8 */
    uint32_t n;       /* bytes of data */
};

struct wal_term {
    uint64_t first, term; /* of the entries from first on, up to the next such */
};

/* Starts by wal_index_reset. Entries first .. next - 1. */
struct wal_index {
    uint64_t first, next;
    struct wal_place *places; /* that of first at places[gone] */
    size_t gone, cap;
    struct wal_term *terms;
    size_t n_terms, cap_terms;
};

void wal_index_free(struct wal_index *x);
/* Nothing is held; the next entry will be ${next}. */
void wal_index_reset(struct wal_index *x, uint64_t next);
/* The next ${n} entries, with ${terms} changes of term, will find memory. */
int wal_index_reserve(struct wal_index *x, size_t n, size_t terms, struct err *err) MUST_USE;
/* Room is reserved; 0 < index <= next. It replaces what is held at and behind ${index}. */
void wal_index_put(struct wal_index *x, uint64_t index, uint64_t term, struct wal_place place);
/* Forget what stands in segments before ${segment}; something is left. */
void wal_index_forget_before(struct wal_index *x, uint32_t segment);

/* NULL: not held. */
const struct wal_place *wal_index_place(const struct wal_index *x, uint64_t index);
/* 0: not held. */
uint64_t wal_index_term(const struct wal_index *x, uint64_t index);

#endif
