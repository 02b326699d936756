/*
 * Forget: the one table that says, for a key that another node has changed, who keeps something of
 * it in memory and must let it go.
 */
#ifndef CORE_FORGET_H
#define CORE_FORGET_H

#include "core/active.h"

/* What is left for the caller to do after forget_keys. */
enum forget_more {
    FORGET_KEYRING = 1, /* barrier_follow */
    FORGET_ALL = 2,     /* make everything anew: tables of mounts, audit devices */
    FORGET_LEADER = 4,  /* who is active has written its addresses */
    FORGET_LINKS = 8,   /* the cluster's certificates are new */
};

/* ${on} may be NULL (nothing is kept). Returns bits of forget_more. Inside an epoch section. */
unsigned forget_keys(const struct active *on, const struct str *keys, size_t n);

/* True when some row of the table speaks for ${key}; for the test that none is forgotten. */
bool forget_knows(struct str key);

#endif
