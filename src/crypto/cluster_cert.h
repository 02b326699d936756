/*
 * Cluster_cert: the certificates with which members of a cluster know each other: an authority
 * whose key all members hold behind their barrier, and what each issues for itself with it.
 */
#ifndef CRYPTO_CLUSTER_CERT_H
#define CRYPTO_CLUSTER_CERT_H

#include <stdint.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

/* In an arena.  The key's numbers are decimal texts, as core/raft/tls has them. */
struct cluster_authority {
    struct str cert_der;
    struct str x, y, d; /* P-521 */
};

/* A self-signed certificate on a fresh P-521 key, common name ${name}, valid from a day before
 * ${now_s} for ${valid_s} seconds after it. */
int cluster_authority_make(struct arena *a, struct str name, int64_t now_s, int64_t valid_s,
                           struct cluster_authority *out, struct err *err) MUST_USE;

/* A fresh P-256 key (PKCS #8) and a certificate on it for TLS client and server, common name ${id},
 * issued by ${by}, valid from a day before ${now_s} for ${valid_s} seconds after it.
 * -1 also: ERR_CORRUPT: ${by} is damaged; ERR_BAD_REQUEST: an id that is empty or holds a NUL. */
int cluster_cert_issue(struct arena *a, const struct cluster_authority *by, struct str id,
                       int64_t now_s, int64_t valid_s, struct str *cert_der, struct str *key_der,
                       struct err *err) MUST_USE;

/* When the certificate's time ends, Unix seconds; -1: not a certificate. */
int64_t cluster_cert_expires_s(struct str cert_der);

#endif
