/* Proxyproto: the line or header that HAProxy puts before a connection, versions 1 and 2. */
#ifndef NET_PROXYPROTO_H
#define NET_PROXYPROTO_H

#include <netinet/in.h>

#include "base/attr.h"
#include "base/str.h"

enum { PROXYPROTO_MAX = 4096, PROXYPROTO_MORE = -2 };

/* Who the proxy says the client is. */
struct proxyproto {
    bool known; /* false: the proxy's own check, or an address of another kind */
    char addr[INET6_ADDRSTRLEN];
    int port;
};

/*
 * Bytes that the header takes; 0: there is none, the client speaks itself; PROXYPROTO_MORE: more
 * bytes are needed; -1: malformed.
 */
int proxyproto_parse(struct str in, struct proxyproto *out) MUST_USE;

#endif
