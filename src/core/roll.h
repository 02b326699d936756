/*
 * Roll: what the other nodes of the cluster have told the active one of themselves, and when; in
 * memory only.
 */
#ifndef CORE_ROLL_H
#define CORE_ROLL_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct roll; /* any thread */

struct roll_entry {
    struct str hostname, api_addr, cluster_addr, version;
    int64_t seen_ns; /* Unix time */
};

int roll_new(struct roll **out, struct err *err) MUST_USE;
void roll_free(struct roll *r);

/* The node ${id} says so; copied.  -1: ERR_NOMEM, ERR_BAD_REQUEST for texts beyond reason. */
int roll_note(struct roll *r, struct str id, const struct roll_entry *e, struct err *err) MUST_USE;
/* In ${a}: 1, 0 it has not said anything, -1. */
int roll_find(struct roll *r, struct arena *a, struct str id, struct roll_entry *out,
              struct err *err) MUST_USE;
/* What was said was said to an earlier active node. */
void roll_clear(struct roll *r);

#endif
