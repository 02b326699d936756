/* HTTP/2 on a connection. */
#include "net/http2.h"

void http2_open(struct conn *c, struct str begun)
{
    conn_close(c);
}
