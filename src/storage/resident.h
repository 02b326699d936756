/*
 * Resident: bounds how much of a mapped file counts as this process's memory.  Pages given back
 * stay in the system's page cache; the next access maps them again.
 */
#ifndef STORAGE_RESIDENT_H
#define STORAGE_RESIDENT_H

#include <stdatomic.h>
#include <stddef.h>

#include "base/attr.h"

/* Any thread after resident_find. */
struct resident {
    void *map; /* NULL: not found, nothing will be given back */
    size_t size;
    atomic_size_t other_bytes; /* file pages of the process beside the map, when last known */
};

/* Find the shared mapping of the file that ${fd} is open on; it is not locked in memory any more. */
void resident_find(struct resident *r, int fd);

/*
 * Give all pages of the map back if it holds more than about ${limit_bytes}: if the process's file
 * pages are that much above what they were without it.  A few microseconds when they are not: to
 * be called now and then.
 */
void resident_check(struct resident *r, size_t limit_bytes);

#endif
