/*
 * Httpc: the one HTTP client: blocking calls over http://, https:// and Unix sockets.  Plain HTTP
 * is spoken by httpc_plain.c; TLS and proxies by libcurl, which is loaded at the first call that
 * needs it, so that neither a short command nor a quiet server pays for it.
 */
#ifndef NET_HTTPC_H
#define NET_HTTPC_H

#include "net/httpc_answer.h"

struct httpc; /* keeps its connection open between calls; one thread at a time */

/* Strings are copied. NULL: the default in brackets. */
struct httpc_config {
    const char *ca_file, *ca_path;      /* [the system's certificates] */
    const char *cert_file, *key_file;   /* client certificate [none] */
    const char *server_name;            /* for SNI and the check of the certificate [URL's host] */
    const char *unix_path;              /* socket to connect to, whatever the URL's host [none] */
    bool skip_verify;
    int64_t timeout_ms;                 /* for a whole call; 0: no limit */
    size_t max_body_bytes;              /* answers beyond it fail; 0: 1 GiB */
};

/* -1: ERR_NOMEM, ERR_BAD_REQUEST. No connection is made yet. */
int httpc_new(const struct httpc_config *config, struct httpc **out, struct err *err) MUST_USE;
void httpc_free(struct httpc *c);
/* Of calls from now on, as in the configuration. */
void httpc_set_timeout(struct httpc *c, int64_t timeout_ms);

/*
 * Make the call and wait. Redirects are not followed. Every status is a success.
 * -1: ERR_UPSTREAM (cannot connect, bad answer, certificate not trusted), ERR_TIMEOUT,
 * ERR_BAD_REQUEST (URL), ERR_TOO_LARGE, ERR_NOMEM.
 */
int httpc_run(struct httpc *c, const struct httpc_call *call, struct httpc_answer *answer,
              struct err *err) MUST_USE;

#endif
