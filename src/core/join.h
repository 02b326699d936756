/*
 * Join: how an empty node becomes a member of a cluster with integrated storage: it asks a member
 * for a challenge, opens it with the unseal key or the seal, and is let in.
 */
#ifndef CORE_JOIN_H
#define CORE_JOIN_H

#include "base/strs.h"
#include "core/active.h"
#include "seal/seal.h"

struct join; /* any thread */

/* A member to ask.  Certificates and keys are PEM texts or files; empty: none. */
struct join_target {
    struct str api_addr;
    struct str ca_cert, client_cert, client_key;
    struct str ca_cert_file, client_cert_file, client_key_file;
    struct str server_name;
};

/* Decrypts what a member sealed: with the seal, or with the key that the shares made. */
typedef int join_open_fn(void *ctx, struct str sealed, struct buf *out, struct err *err);

int join_new(const struct core_settings *settings, struct join **out, struct err *err) MUST_USE;
/* Ends a retry that is under way. */
void join_free(struct join *j);

/*
 * Find a member among ${n} targets that gives a challenge; ${non_voter} is remembered with it.  The
 * targets are copied.  1: one was found, the node is to be unsealed into the cluster (join_finish);
 * 0: this node belongs to a cluster already.
 * -1: ERR_UPSTREAM "failed to join any raft leader node", the log tells why for each.
 */
int join_ask(struct join *j, const struct join_target *targets, size_t n, bool non_voter,
             struct err *err) MUST_USE;
/* The same over and over, in a thread, with growing pauses, until it succeeds and ${found}, which is
 * called then, returns 0. */
int join_ask_until(struct join *j, const struct join_target *targets, size_t n, bool non_voter,
                   int (*found)(void *ctx), void *ctx, struct err *err) MUST_USE;

/* Was a member found, and is the node not in yet?  The seal's configuration of its cluster, in
 * ${a}. 1, 0, -1. */
int join_pending(struct join *j, struct arena *a, struct seal_config *out,
                 struct err *err) MUST_USE;

/*
 * Answer the challenge, wait until the cluster's store is here.  Nothing runs when it returns: the
 * node is unsealed like any other now.
 * -1: ERR_DENIED: the key is not the cluster's; ERR_UPSTREAM, ERR_TIMEOUT.
 */
int join_finish(struct join *j, join_open_fn *open, void *ctx, struct err *err) MUST_USE;

#endif
