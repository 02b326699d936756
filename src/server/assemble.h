/* Assemble: make the parts of a server from its configuration, and take them apart again. */
#ifndef SERVER_ASSEMBLE_H
#define SERVER_ASSEMBLE_H

#include "api/api.h"
#include "server/config.h"

struct assembly; /* owned by the main thread */

/*
 * Storage, core, API and listeners, in this order; requests are served when it returns.  ${config}
 * is borrowed.  With ${recovery} it only mends (see core/recovery.h).  -1: what had been made is
 * undone; the message says what to change.
 */
int assemble(const struct config *config, bool recovery, struct assembly **out, struct err *err) MUST_USE;

/* Whether this program has what ${config} asks for.  -1: ERR_BAD_REQUEST names what it lacks. */
int assemble_check(const struct config *config, struct err *err) MUST_USE;
/* What a stanza means to net/; strings live as long as ${l} and ${a}. */
struct http_listener_config assemble_listener(struct arena *a, const struct config_listener *l);

/* Let requests finish, close listeners, seal, close the storage. */
void disassemble(struct assembly *s);

struct lifecycle *assemble_lifecycle(struct assembly *s);
/* Certificates, and the audit devices' files. Failures are logged. */
void assemble_reload(struct assembly *s);
/* The URL of the cluster port as the others reach it; empty: there is none. */
struct str assemble_cluster_address(const struct assembly *s);
/* Rows about the seals for the banner. */
void assemble_describe_seals(const struct assembly *s, struct arena *a, seal_row_fn *row,
                             void *ctx);
/* The address that listener ${i} really has. */
struct str assemble_address(const struct assembly *s, size_t i);

#endif
