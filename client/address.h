/* Address: Vault addresses and request paths turned into URLs, encoded as Go's net/url does. */
#ifndef CLIENT_ADDRESS_H
#define CLIENT_ADDRESS_H

#include "base/buf.h"
#include "base/err.h"
#include "coffer.h"

/*
 * "https://host:port/base" or "unix:///path" into the base URL without a slash at its end
 * ("http://localhost" for a socket, whose path goes to ${unix_path}). -1: ERR_BAD_REQUEST.
 */
int address_split(const char *address, struct buf *base, struct buf *unix_path,
                  struct err *err) MUST_USE;

/*
 * Append "/v1/" and the path: "//", "." and ".." resolved, no slash at the end, encoded; then the
 * query with its names sorted. ${base} is not touched.
 */
void address_add_path(struct buf *url, const char *path);
void address_add_query(struct buf *url, const struct coffer_pair *query, size_t n);

/*
 * Look the host's record _http._tcp up when ${base} has no port; 1 and the new base, or 0 when
 * there is none.
 */
int address_by_srv(struct str base, struct buf *out);

#endif
