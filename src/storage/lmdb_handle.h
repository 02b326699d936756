/*
 * Lmdb_handle: an LMDB environment as it is open now, and the long reads in it.  LMDB must not have
 * one file open twice in a process, and a map must not go away under a reader: so a long read (a
 * pin) either is ended from outside when the handle closes, or keeps it open once it is retired.
 */
#ifndef STORAGE_LMDB_HANDLE_H
#define STORAGE_LMDB_HANDLE_H

#include <pthread.h>

#include "storage/lmdb_tables.h"
#include "storage/resident.h"

struct lmdb_pin;

/* Fields are immutable after lmdb_handle_open, but for those under mu. */
struct lmdb_handle {
    MDB_env *env;
    struct lmdb_tables tables;
    size_t map_size;
    struct resident resident;
    pthread_mutex_t mu;
    struct lmdb_pin *pins; /* under mu, as all below */
    size_t users;          /* of the memory: the owner and the pins */
    bool retired;
};

/*
 * Open with a map of ${size} or the largest below that is to be had, and its tables.  ${flags} are
 * LMDB's.  -1: ERR_IO, ERR_NOMEM, ERR_CORRUPT.
 */
int lmdb_handle_open(const char *path, unsigned flags, size_t size, struct lmdb_handle **out,
                     struct err *err) MUST_USE;
/* Nobody but pins reads any more: these are lost.  NULL is fine. */
void lmdb_handle_close(struct lmdb_handle *h);
/* The same, but its pins go on, and the last one closes it. Its file is nobody else's by now. */
void lmdb_handle_retire(struct lmdb_handle *h);

/* A snapshot for long; one thread at a time. */
struct lmdb_pin {
    struct lmdb_handle *in;
    void (*lose)(struct lmdb_pin *pin);
    pthread_mutex_t mu;
    MDB_txn *txn; /* under mu; NULL: lost */
    struct lmdb_pin *next, **at;
};

/*
 * Begin, and enter; ${h} must stay open during the call.  ${lose} is called by the thread that closes the
 * handle, or by lmdb_pin_close, before the transaction ends: it closes the cursors.
 */
int lmdb_pin_open(struct lmdb_pin *pin, struct lmdb_handle *h,
                  void (*lose)(struct lmdb_pin *pin), struct err *err) MUST_USE;
/* Until lmdb_pin_leave pin->txn stays. -1: ERR_CONFLICT, it was lost. */
int lmdb_pin_enter(struct lmdb_pin *pin, struct err *err) MUST_USE;
void lmdb_pin_leave(struct lmdb_pin *pin);
void lmdb_pin_close(struct lmdb_pin *pin);

#endif
