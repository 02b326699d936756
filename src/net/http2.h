/* Http2: HTTP/2 spoken on a connection (nghttp2): many requests at once, each its own exchange. */
#ifndef NET_HTTP2_H
#define NET_HTTP2_H

#include "net/conn.h"

/*
 * For site->established, and for a plain connection that began with HTTP/2's preface; ${begun} is
 * what was read of it already.  Closes the connection when out of memory.
 */
void http2_open(struct conn *c, struct str begun);

#endif
