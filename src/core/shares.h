/* Shares: the key shares given so far towards a threshold; forgotten as soon as they are used. */
#ifndef CORE_SHARES_H
#define CORE_SHARES_H

#include "base/secret.h"

enum { SHARES_MAX = 255 };

/* Starts as { 0 }; under its owner's lock. */
struct shares {
    struct secret v[SHARES_MAX];
    size_t n;
};

/* Is it as long as a share can be?  -1: ERR_BAD_REQUEST. */
int shares_check(struct str share, struct err *err) MUST_USE;
/* Add a copy; ${what} operation it is for, in the text of the refusal of one that is there. */
int shares_add(struct shares *s, struct str share, const char *what, struct err *err) MUST_USE;
/* Wipe them all. */
void shares_forget(struct shares *s);

#endif
