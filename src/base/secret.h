/* Secret: key material in locked pages that no core dump shows; wiped on release. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

/* Starts as { 0 }. Owned by whoever declared it; one thread at a time. */
struct secret {
    uint8_t *p;
    size_t n;
};

/* ${n} zero bytes in locked memory. -1: ERR_NOMEM. The secret must be empty before. */
int secret_alloc(struct secret *s, size_t n, struct err *err) MUST_USE;
/* A copy of ${bytes}; the source stays for its owner to wipe. */
int secret_set(struct secret *s, struct str bytes, struct err *err) MUST_USE;
/* ${n} random bytes. */
int secret_random(struct secret *s, size_t n, struct err *err) MUST_USE;

/* Wipe and release; s is { 0 } afterwards. */
void secret_free(struct secret *s);
/* Hand over: returns the content, leaves { 0 } behind. */
struct secret secret_take(struct secret *s);

static inline struct str secret_str(const struct secret *s)
{
    return (struct str){ (const char *)s->p, s->n };
}

/* Equality in constant time for a given length (the length itself is not hidden). */
bool secret_eq(struct str a, struct str b);

/*
 * Process-wide: no core dumps, no ptrace by others. With ${lock_all} every page is locked too;
 * -1: ERR_IO with advice (as Vault: give CAP_IPC_LOCK or set disable_mlock).
 */
int secret_harden_process(bool lock_all, struct err *err) MUST_USE;

#endif
