/* Identity_table: stored entities by a key, in memory; readers take no lock. */
#ifndef CORE_IDENTITY_TABLE_H
#define CORE_IDENTITY_TABLE_H

#include "base/err.h"
#include "base/str.h"

/* An entity's stored bytes (a protobuf message); immutable. */
struct identity_record {
    size_t n;
    char bytes[];
};

struct identity_table;

struct identity_table *identity_table_new(void) MUST_USE;
/* ${release} (may be NULL) is called for every record. */
void identity_table_free(struct identity_table *t, void (*release)(void *record));

/* Within an epoch section, in which the record stays valid.  NULL: absent. */
const struct identity_record *identity_table_get(struct identity_table *t, uint64_t hash,
                                                 struct str key);
/* One writer at a time.  ${old} (may be NULL) gets the record that was there. -1: ERR_NOMEM. */
int identity_table_put(struct identity_table *t, uint64_t hash, struct str key,
                       struct identity_record *record, struct identity_record **old,
                       struct err *err) MUST_USE;

#endif
