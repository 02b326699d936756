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

/* How members tell each other of the client whose request they hand on. */
#define PEER_HEADER_ADDR "X-Coffer-Peer" /* "address port tls|plain"; the address may be empty */
#define PEER_HEADER_CERT "X-Coffer-Peer-Certificate" /* base64 of DER, leaf first */
struct str peer_print(struct arena *a, const struct peer *p);

#endif
