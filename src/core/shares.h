/* Shares: the key shares given so far towards a threshold; forgotten as soon as they are used. */
#ifndef CORE_SHARES_H
#define CORE_SHARES_H

#include "base/secret.h"
#include "seal/seal.h"

enum { SHARES_MAX = 255 };

/* Starts as { 0 }; under its owner's lock. */
struct shares {
    struct secret v[SHARES_MAX];
    size_t n;
};

/* Is it as long as a share can be?  -1: ERR_BAD_REQUEST. */
int shares_check(struct str share, struct err *err) MUST_USE;
bool shares_hold(const struct shares *s, struct str share);
/* Add a copy; ${what} operation it is for, in the text of the refusal of one that is there. */
int shares_add(struct shares *s, struct str share, const char *what, struct err *err) MUST_USE;
/* The key that they make (a single share is the key). -1: ERR_BAD_REQUEST. */
int shares_combine(const struct shares *s, struct secret *out, struct err *err) MUST_USE;
/* Split ${key} as ${config} says; shares in ${a}, PGP messages where it names keys. */
int shares_split(struct arena *a, struct str key, const struct seal_config *config,
                 struct strs *out, struct err *err) MUST_USE;
/* Wipe them all. */
void shares_forget(struct shares *s);

#endif
