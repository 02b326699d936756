/*
 * Lobby: requests that are the active node's while nobody knows which that is.  They wait here
 * without a thread of their own, so that thousands of them leave the workers to others.
 */
#ifndef API_LOBBY_H
#define API_LOBBY_H

#include "core/service.h"
#include "net/forwarder.h"
#include "net/http.h"

struct lobby; /* any thread */

typedef void lobby_resume_fn(void *ctx, struct http_exchange *x);

/*
 * ${resume} gets, on a worker, those whose wait is over.  When the leader is another node, calls to
 * the earlier one that ${forwarder} (may be NULL) still waits for are given up after a while.
 * All is borrowed.
 */
int lobby_new(struct service *service, struct forwarder *forwarder, lobby_resume_fn *resume,
              void *ctx, struct lobby **out, struct err *err) MUST_USE;
void lobby_free(struct lobby *l);

/*
 * Wait until this node is active or another one leads in a later term than ${after}, but ${ms} at
 * most; then ${resume} is called.  False: there is no memory, or the end has come: nothing is.
 */
bool lobby_wait(struct lobby *l, struct http_exchange *x, uint64_t after, int64_t ms);
/* The server ends: nobody waits any more. */
void lobby_end(struct lobby *l);

#endif
