/* Tls: certificates of a listener, and the encrypted side of a connection (OpenSSL). */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <sys/types.h>

#include "net/http.h"

struct tls_site; /* what the connections of a listener share; any thread */

/*
 * Read the files that ${config} names and keep their names for tls_site_reload.
 * -1: ERR_BAD_REQUEST with what is wrong with which file.
 */
int tls_site_new(const struct http_listener_config *config, struct tls_site **out,
                 struct err *err) MUST_USE;
void tls_site_free(struct tls_site *s);
/* Unix time at which the server's certificate ends to be valid; -1: it does not say. */
int64_t tls_site_expires_s(struct tls_site *s);

/*
 * Read the files anew; what they say waits for tls_site_swap.  -1: ERR_BAD_REQUEST as above.
 */
int tls_site_read(struct tls_site *s, struct err *err) MUST_USE;
/* With ${use} new connections have from now on what was read; else it is dropped. */
void tls_site_swap(struct tls_site *s, bool use);

struct tls; /* one connection; owned by its loop's thread */

/* Results of reading and writing besides a count of bytes. */
enum { TLS_EOF = 0, TLS_WANT_READ = -1, TLS_WANT_WRITE = -2, TLS_BROKEN = -3 };

/* Server side over ${fd}, which is borrowed.  NULL: out of memory. */
struct tls *tls_new(struct tls_site *s, int fd) MUST_USE;
void tls_free(struct tls *t);

/*
 * For links: ${ssl} with its descriptor, taken over, and ${own} (may be NULL), which lives as long.
 * NULL: out of memory, nothing was taken over.
 */
struct ssl_st; /* OpenSSL's SSL */
struct tls *tls_wrap(struct ssl_st *ssl, void *own) MUST_USE;
struct ssl_st *tls_ssl(const struct tls *t);
void *tls_own(const struct tls *t);
/* Give OpenSSL's part back, release the rest. */
struct ssl_st *tls_unwrap(struct tls *t) MUST_USE;

/* 1: established; TLS_WANT_READ, TLS_WANT_WRITE: call again then; TLS_BROKEN. */
int tls_handshake(struct tls *t);
ssize_t tls_read(struct tls *t, void *p, size_t n);
ssize_t tls_write(struct tls *t, const void *p, size_t n);
/* Bytes were received that tls_read has not been asked for: no event will tell. */
bool tls_has_pending(const struct tls *t);
/* Say goodbye, as far as the socket takes it. */
void tls_bye(struct tls *t);

/* Whether the client and we agreed on HTTP/2. */
bool tls_is_http2(const struct tls *t);
/* The client's certificates as DER, leaf first, allocated in ${a}; empty when it sent none. */
struct strs tls_peer_chain(const struct tls *t, struct arena *a);

#endif
