/* Reply1: the head of an HTTP/1 answer, in two steps: what the answerer knows, what the loop knows.
 */
#ifndef NET_REPLY1_H
#define NET_REPLY1_H

#include "net/exchange.h"

/* 1xx, 204 and 304: neither body nor Content-Length. */
bool reply1_has_no_body(int status);

/*
 * Write all of the head that does not depend on the connection into x->head, with room for the
 * rest; x->head is NULL when out of memory.  The answer's thread.
 */
void reply1_prepare(struct exchange *x, const struct http_reply *reply, bool http10);

/*
 * Add ${date} (LOOP_DATE_LEN bytes) and what becomes of the connection, and with TLS the body when
 * it fits: x->head and x->reply_body are what is to be sent.  The loop's thread.
 */
void reply1_complete(struct exchange *x, const char *date, bool close, bool http10);

#endif
