/*
 * Advert: the active node's addresses, written where its standbys find them: core/lock names the
 * entry core/leader/<uuid> (storage-layout.md section 4).
 */
#ifndef CORE_ADVERT_H
#define CORE_ADVERT_H

#include "storage/ha.h"
#include "storage/storage.h"

struct advert {
    char id[HA_NAME_MAX]; /* node id */
    char api_addr[HA_NAME_MAX], cluster_addr[HA_NAME_MAX];
};

void advert_fill(struct advert *out, struct str id, struct str api_addr, struct str cluster_addr);
/*
 * ${plain} is the barrier's storage, ${physical} what lies beneath: core/lock stands there in the
 * clear.  1, 0 nobody has written one, -1.
 */
int advert_read(struct storage *plain, struct storage *physical, struct advert *out,
                struct err *err) MUST_USE;
/* In place of all earlier ones. */
int advert_write(struct storage *plain, struct storage *physical, const struct advert *mine,
                 struct err *err) MUST_USE;

#endif
