/* Spool: a nameless file that a request's body is written to as it arrives. */
#ifndef NET_SPOOL_H
#define NET_SPOOL_H

#include "base/str.h"

/* Open for reading and writing, mode 0600, in no folder any more.  -1: errno. */
int spool_open(const char *dir) MUST_USE;
/* Append all.  -1: errno. */
int spool_write(int fd, struct str bytes) MUST_USE;

/* What to answer when it failed with that errno: 507 when there is no room, else 500. */
int spool_status(int number);
/* And the words. */
const char *spool_why(int number);

#endif
