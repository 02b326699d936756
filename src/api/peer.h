/* Peer: which address a request comes from, behind proxies too. */
#ifndef API_PEER_H
#define API_PEER_H

#include "api/settings.h"
#include "logical/request.h"

/*
 * The peer as the listener's x_forwarded_for rules have it.  -1: ERR_BAD_REQUEST, Vault's text.
 */
int peer_of(struct arena *a, const struct http_request *h, struct peer *out,
            struct err *err) MUST_USE;

#endif
