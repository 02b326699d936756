/* Lease entry: the stored form of a lease. */
#ifndef CORE_LEASE_ENTRY_H
#define CORE_LEASE_ENTRY_H

#include "core/lease.h"

int lease_entry_parse(struct arena *a, struct str text, struct lease *out, struct err *err) MUST_USE;
int lease_entry_print(struct arena *a, const struct lease *l, struct buf *out,
                      struct err *err) MUST_USE;

#endif
