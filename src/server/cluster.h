/*
 * Cluster: this node's place among others, as the configuration has it: its addresses, its
 * credentials for the cluster port, whom it asks to be let in.
 */
#ifndef SERVER_CLUSTER_H
#define SERVER_CLUSTER_H

#include "api/settings.h"
#include "core/active.h"
#include "core/join.h"
#include "core/lifecycle.h"
#include "net/forwarder.h"
#include "server/config.h"
#include "storage/raft/raftstore.h"

struct cluster; /* owned by the main thread; a NULL one is a server without others */

/*
 * For a storage that several nodes share: ${out}, else NULL in it.  Strings live in ${a}.
 * -1: ERR_BAD_REQUEST: an address is missing, and which.
 */
int cluster_new(const struct config *config, struct arena *a, struct storage *physical,
                struct cluster **out, struct err *err) MUST_USE;
void cluster_free(struct cluster *c);

/* What the core and the API are to know of it. */
void cluster_fill(struct cluster *c, struct core_settings *core);
struct forwarder *cluster_forwarder(struct cluster *c);

/* Open the cluster ports, beside the listeners' own. */
int cluster_listen(struct cluster *c, struct http_server *http, const struct api_listener *rules,
                   struct err *err) MUST_USE;
/* Whether the body of a request may be of any size, and where it is kept. */
void cluster_spool(struct cluster *c, struct http_listener_config *listener);

/* Ask the members of retry_join, until one lets this node in; in the background. */
int cluster_join(struct cluster *c, struct lifecycle *l, struct err *err) MUST_USE;

/* "https://host:port" or empty, for people. */
struct str cluster_shown_addr(const struct cluster *c);
/* host:port of a URL, or of an address that is one already. */
struct str cluster_host_port(struct str addr);
/* Where a listener takes other nodes: cluster_address, else the port after its own. */
struct str cluster_listener_addr(struct arena *a, const struct config_listener *l);
/* Everybody's address, which is nobody's: 0.0.0.0, [::], no host. */
bool cluster_is_wildcard(struct str addr);

/*
 * Where clients (a URL, may be empty) and other nodes (host:port) reach this node, as configured or
 * as follows from the first listener.  -1: ERR_BAD_REQUEST says what must be set.
 */
int cluster_addresses(const struct config *config, struct arena *a, struct str *api,
                      struct str *addr, struct err *err) MUST_USE;
/* The members of retry_join, in ${a}; none is fine. */
int cluster_targets(const struct config *config, struct arena *a, struct join_target **out,
                    size_t *n, struct err *err) MUST_USE;

#endif
