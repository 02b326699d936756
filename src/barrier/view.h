/* View: the part of a storage below a prefix, as a storage of its own. */
#ifndef BARRIER_VIEW_H
#define BARRIER_VIEW_H

#include "storage/storage.h"

/*
 * Owned view of ${under} (borrowed) below ${prefix} ("logical/<uuid>/").  A key that would leave
 * the prefix (a ".." segment) is refused: ERR_BAD_REQUEST.
 */
int view_new(struct storage *under, struct str prefix, struct storage **out,
             struct err *err) MUST_USE;

#endif
