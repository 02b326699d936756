/* Serve1: HTTP/1.1 spoken on a connection: one request after the other, answers in order. */
#ifndef NET_SERVE1_H
#define NET_SERVE1_H

#include "net/conn.h"

/*
 * For site->established.  A client that opens with HTTP/2's preface is handed to serve2.
 * Closes the connection when out of memory.
 */
void serve1_open(struct conn *c);

#endif
