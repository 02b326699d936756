/* Cachesize: the stored setting of how many keys a mount's cache holds. */
#ifndef ENGINES_TRANSIT_CACHESIZE_H
#define ENGINES_TRANSIT_CACHESIZE_H

#include "storage/storage.h"

/* 0 when none was set: no limit. */
int transit_cachesize_load(struct storage *s, int64_t *out, struct err *err) MUST_USE;

#endif
