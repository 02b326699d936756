/* Journal: the thread that writes the log: entries as they come, one sync for all that wait. */
#ifndef STORAGE_RAFT_JOURNAL_H
#define STORAGE_RAFT_JOURNAL_H

#include "storage/raft/tail.h"
#include "storage/raft/wal.h"

struct journal; /* any thread, but where said */

/* Called by the journal's thread. */
struct journal_calls {
    void *ctx;
    /* All entries up to that of ${seq} are durable. */
    void (*stored)(void *ctx, uint64_t seq);
    /* A reset asked for by journal_reset is done. */
    void (*was_reset)(void *ctx);
};

/* ${wal} and ${tail} are borrowed. */
int journal_new(struct wal *wal, struct tail *tail, const struct journal_calls *calls,
                struct journal **out, struct err *err) MUST_USE;
/* Write what waits, as far as the disk lets us, then end. */
void journal_free(struct journal *j);

/* Take one more use of each of ${entries}, which have consecutive indexes; in order of calls. */
int journal_append(struct journal *j, struct entry *const *entries, size_t n, uint64_t seq,
                   struct err *err) MUST_USE;
/* Drop the log behind what was asked for so far: the next entry will be ${next}. */
int journal_reset(struct journal *j, uint64_t next, struct err *err) MUST_USE;
int journal_forget(struct journal *j, uint64_t upto, struct err *err) MUST_USE;

/* Why the log cannot be written at the moment (a full disk): 1 and the reason; 0: it can. */
int journal_trouble(struct journal *j, struct err *out);

#endif
