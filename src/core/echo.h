/*
 * Echo: a standby tells the active node who it is, when it finds one and every few seconds from
 * then on, over a link of its own to the cluster port.
 */
#ifndef CORE_ECHO_H
#define CORE_ECHO_H

#include "core/active.h"

/* What only members may ask; the body is an object: hostname, api_address, cluster_address (without
 * scheme), version. */
#define ECHO_PATH "sys/ha-echo"
enum { ECHO_PERIOD_MS = 5000 };

struct echo; /* any thread */

/* ${settings} is borrowed.  Its thread starts; nobody is told anything yet. */
int echo_new(const struct core_settings *settings, struct echo **out, struct err *err) MUST_USE;
void echo_free(struct echo *e);
/* Who is active: host:port of its cluster port; empty: nobody else.  Does not wait. */
void echo_tell(struct echo *e, struct str cluster_addr);

#endif
