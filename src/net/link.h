/*
 * Link: a blocking connection between members of a cluster: TLS 1.3, both sides show a certificate
 * of the cluster's own authority, and agree on what they speak by ALPN.  No name is checked: who
 * holds a certificate of the authority is a member; its id is the certificate's common name.
 * Who accepts says one byte first, so that who dials knows that its certificate was believed.
 * The process ignores SIGPIPE.
 */
#ifndef NET_LINK_H
#define NET_LINK_H

#include <stdint.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/err.h"
#include "base/strs.h"

/* Who we are, and whom we believe; any thread.  Starts empty: no handshake succeeds. */
struct link_creds;

struct link_identity {
    struct strs authorities_der; /* certificates of the cluster's authority, any of them counts */
    struct str cert_der, key_der; /* our own, issued by one of them; key as PKCS #8 */
};

int link_creds_new(struct link_creds **out, struct err *err) MUST_USE;
void link_creds_free(struct link_creds *c);
/* From now on; links that are open stay.  NULL: empty again.  -1: ERR_BAD_REQUEST. */
int link_creds_set(struct link_creds *c, const struct link_identity *id, struct err *err) MUST_USE;

struct link; /* one thread at a time, but link_shut: any */

/*
 * Connect to host:port within ${timeout_ms}.  -1: ERR_UPSTREAM says what failed and what to do:
 * refused, unknown host, certificate not of this cluster, expired or not yet valid (whose clock?),
 * ALPN refused.  The look-up of a name is the system's and has its own time.
 */
int link_dial(struct link_creds *c, struct str addr, const char *alpn, int timeout_ms,
              struct link **out, struct err *err) MUST_USE;
void link_free(struct link *l);

/* Fail reads and writes that stand still for longer; 0: never. */
void link_set_timeout(struct link *l, int ms);
/* Up to ${n} bytes: count, 0 at the end, -1: ERR_UPSTREAM, ERR_TIMEOUT. */
long link_read(struct link *l, void *p, size_t n, struct err *err);
/* Exactly ${n} bytes: 1, 0 when the end came before the first, -1. */
int link_read_full(struct link *l, void *p, size_t n, struct err *err) MUST_USE;
/* All of it. */
int link_write(struct link *l, const void *p, size_t n, struct err *err) MUST_USE;
/* Nothing has come that was not read, not even an end: as far as is known, it is open. */
bool link_is_quiet(const struct link *l);
/* Wake whoever reads or writes: the link is over.  Any thread. */
void link_shut(struct link *l);

/* Common name of the other side's certificate; lives as long as the link. */
struct str link_peer_id(const struct link *l);
struct str link_peer_addr(const struct link *l); /* IP:port as text */
/* What both agreed to speak; lives as long as the link. */
struct str link_alpn(const struct link *l);

/*
 * The accepting side, for cluster ports: the handshake is run by the port's loop as that of any TLS
 * connection.  ${alpns} is the list in ALPN's own form (a byte of length before each), ours first;
 * borrowed until the handshake is over.  NULL: no credentials are set, which ${empty} tells, or no
 * memory.
 */
struct tls;
struct tls *link_greet(struct link_creds *c, struct str alpns, int fd, bool *empty) MUST_USE;
/* Why the handshake failed; empty: not known.  As long as ${t}. */
struct str link_greet_why(const struct tls *t);
/*
 * The handshake is done: tell the other side so.  What they speak (as long as ${t}) and who it is
 * (the caller's to free).  -1: no protocol was agreed on, the other one has no id, or is gone.
 */
int link_greet_done(struct tls *t, struct str *alpn, char **member) MUST_USE;
/* A link of it, which owns ${t}, ${fd} (non-blocking) and ${member}.  NULL: no memory; they are
 * released. */
struct link *link_of(struct tls *t, int fd, char *member, struct str peer_ip,
                     int peer_port) MUST_USE;

#endif
