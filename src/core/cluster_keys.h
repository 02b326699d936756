/*
 * Cluster_keys: the authority behind the certificates of a cluster's members, kept in core/raft/tls
 * behind the barrier; each node issues its own short-lived certificate with it.
 */
#ifndef CORE_CLUSTER_KEYS_H
#define CORE_CLUSTER_KEYS_H

#include "base/clock.h"
#include "net/link.h"
#include "storage/storage.h"

/* How long a node's certificate counts, and after how long it makes itself a new one. */
enum { CLUSTER_KEYS_VALID_S = 2 * 86400, CLUSTER_KEYS_RENEW_S = 43200 };

/* The stored text: 1, 0 there is none yet, -1. */
int cluster_keys_read(struct storage *plain, struct buf *out, struct err *err) MUST_USE;

/* Issue a certificate for ${node_id} with what ${text} holds, and let ${creds} have it. */
int cluster_keys_use(struct str text, struct str node_id, int64_t now_s, struct link_creds *creds,
                     struct err *err) MUST_USE;

/*
 * The active node: make the authority when there is none; begin the next one when the newest is old
 * (it counts beside the old one, which goes when it is older still). 1 when something was written.
 */
int cluster_keys_keep(struct storage *plain, int64_t now_s, struct err *err) MUST_USE;

#endif
