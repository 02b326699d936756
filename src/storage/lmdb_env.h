/*
 * Lmdb_env: the environment of a store, opened by this process alone: reads that pass a gate, a map
 * that grows, and a whole other store that takes the place of this one.
 */
#ifndef STORAGE_LMDB_ENV_H
#define STORAGE_LMDB_ENV_H

#include "storage/gate.h"
#include "storage/lmdb_handle.h"

/* Any thread; what is said to be the owner's: one thread at a time. */
struct lmdb_env;

struct lmdb_env_options {
    struct str path;
    bool file;       /* ${path} is the data file, else the directory that holds it */
    bool must_exist; /* with file */
    bool lazy;       /* a crash may take back the last transactions (MDB_NOMETASYNC) */
    size_t map_size; /* to begin with; 0: as much address space as is to be had */
};

/* -1: ERR_IO, ERR_NOMEM, ERR_CONFLICT (in use), ERR_NOT_FOUND, ERR_CORRUPT says what is there. */
int lmdb_env_open(const struct lmdb_env_options *options, struct lmdb_env **out,
                  struct err *err) MUST_USE;
/* NULL is fine. Pins are lost. */
void lmdb_env_close(struct lmdb_env *e);

/*
 * What is in the data file ${file}: 0 when it is LMDB's, or empty or absent and need not be there.
 * -1: ERR_NOT_FOUND, ERR_IO, ERR_CORRUPT says what it looks like.
 */
int lmdb_env_look(const char *file, bool must_exist, struct err *err) MUST_USE;
/*
 * Keep others from opening the data file ${file} until lmdb_env_unhold, without a trace; nothing to
 * hold is fine.  -1: ERR_CONFLICT (in use), ERR_IO.
 */
int lmdb_env_hold(const char *file, int *out, struct err *err) MUST_USE;
void lmdb_env_unhold(int fd);

/* A short read; lives on the reader's stack. Not one within another. */
struct lmdb_read {
    struct gate_pass pass;
    MDB_txn *txn;
    const struct lmdb_tables *tables;
};
/* A snapshot, given back by lmdb_env_read_end unless -1: ERR_IO, ERR_NOMEM. */
int lmdb_env_read(struct lmdb_env *e, struct lmdb_read *r, struct err *err) MUST_USE;
void lmdb_env_read_end(struct lmdb_env *e, struct lmdb_read *r);

/* A long read, which holds up nobody: see lmdb_handle.h. Entered, when 0 is returned. */
int lmdb_env_pin(struct lmdb_env *e, struct lmdb_pin *pin, void (*lose)(struct lmdb_pin *pin),
                 struct err *err) MUST_USE;

/* ---- the owner's ---- */

/* NULL: could not be opened again; lmdb_env_reopen may. Good until one of the calls below. */
struct lmdb_handle *lmdb_env_handle(struct lmdb_env *e);
/* Give the map's pages back if there are many: to be called now and then. */
void lmdb_env_trim(struct lmdb_env *e);
int lmdb_env_sync(struct lmdb_env *e, struct err *err) MUST_USE;
/* Close and open: what is on disk counts. Pins are lost. */
int lmdb_env_reopen(struct lmdb_env *e, struct err *err) MUST_USE;
/* The same with twice the map; false when no more is to be had. */
bool lmdb_env_grow(struct lmdb_env *e, struct err *err);

/*
 * Both are of option `file`: put the file of ${other} in the place of this one's, durably.  Pins
 * stay as they are.  0, or -1 after the step too, if it may not last: ERR_IO; ${*other} is NULL
 * when it was taken, and as before when nothing happened.
 */
int lmdb_env_take(struct lmdb_env *e, struct lmdb_env **other, struct err *err) MUST_USE;

#endif
