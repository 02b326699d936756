/* Clusterport: what a listener for other members adds to one for clients; knows no connections. */
#ifndef NET_CLUSTERPORT_H
#define NET_CLUSTERPORT_H

#include "net/http.h"
#include "net/tls.h"

struct clusterport; /* immutable but for what it has said in the log; any thread */

/* -1: ERR_BAD_REQUEST: protocols that cannot be named; ERR_NOMEM. */
int clusterport_new(const struct http_listener_config *config, struct clusterport **out,
                    struct err *err) MUST_USE;
void clusterport_free(struct clusterport *p);

/* Begin a handshake.  NULL: the other side has been told that it cannot be; close gently. */
struct tls *clusterport_greet(struct clusterport *p, int fd, struct str peer_ip) MUST_USE;
/* The handshake failed: let the operator know. */
void clusterport_failed(struct clusterport *p, const struct tls *t, struct str peer_ip);

enum clusterport_way { CLUSTERPORT_REFUSED, CLUSTERPORT_HTTP, CLUSTERPORT_LINK };
/* The handshake is done: which way the connection goes, and whose it is (the caller's to free). */
enum clusterport_way clusterport_done(struct clusterport *p, struct tls *t, char **member) MUST_USE;
/* CLUSTERPORT_LINK: give the connection away; ${t}, ${fd} and ${member} are taken over. */
void clusterport_give(struct clusterport *p, struct tls *t, int fd, char *member,
                      struct str peer_ip, int peer_port);

#endif
