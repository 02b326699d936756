/* Reach: does somebody listen there?  For people who look for what is wrong; nothing is said. */
#ifndef NET_REACH_H
#define NET_REACH_H

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

/* The host of host:port has an address.  -1: ERR_BAD_REQUEST: no host:port; ERR_UPSTREAM. */
int reach_resolve(struct str addr, struct err *err) MUST_USE;

/*
 * A TCP connection to host:port is accepted within ${timeout_ms}, and closed again.  The look-up of
 * a name is the system's and has its own time.  -1: as above; ERR_UPSTREAM also tells why not.
 */
int reach_connect(struct str addr, int timeout_ms, struct err *err) MUST_USE;

#endif
