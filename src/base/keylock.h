/*
 * Keylock: one writer at a time per key, any number of keys at once. For read-change-write of a
 * stored entry; the only lock that may be held over a storage call (by a worker, never a loop).
 */
#ifndef BASE_KEYLOCK_H
#define BASE_KEYLOCK_H

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct keylock; /* any thread */

struct keylock *keylock_new(void) MUST_USE;
void keylock_free(struct keylock *k);

/* A held key; starts as { 0 }. Give it up with keylock_release (fine on { 0 }). */
struct keyhold {
    struct keylock *lock;
    struct str key; /* owned copy */
};

/* Wait for the key and hold it. -1: ERR_NOMEM. Not recursive. */
int keylock_hold(struct keylock *k, struct str key, struct keyhold *out, struct err *err) MUST_USE;
void keylock_release(struct keyhold *h);

#endif
