/* Keyclass: how far a key's entry travels, decided from its path alone. */
#ifndef STORAGE_KEYCLASS_H
#define STORAGE_KEYCLASS_H

#include "base/str.h"

/* Stored in the replication log: the numbers stay. */
enum keyclass {
    KEYCLASS_REPLICATED = 0, /* to performance and to disaster-recovery secondaries */
    KEYCLASS_DR = 1,         /* to disaster-recovery secondaries only */
    KEYCLASS_CLUSTER = 2,    /* to every node of this cluster only */
    KEYCLASS_NODE = 3,       /* to nobody */
};

/*
 * The class of a key as it stands in the store.  Which mounts are local stands in the mount tables,
 * not in the path: logical/<uuid>/ and auth/<uuid>/ are REPLICATED here, and replication, which
 * knows the tables, lowers those of local mounts (and mounts' local paths) to DR.
 */
enum keyclass keyclass_of(struct str key);

#endif
