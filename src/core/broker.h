/* Broker: writes every request and answer to all audit devices before it counts. */
#ifndef CORE_BROKER_H
#define CORE_BROKER_H

#include "base/clock.h"
#include "core/token.h"
#include "logical/device.h"
#include "logical/request.h"
#include "logical/response.h"

struct broker; /* any thread; readers take no lock */

struct broker_parts {
    struct storage *storage;                  /* plaintext side of the barrier */
    const struct device_kind *const *devices; /* all that exist, NULL at the end */
    const struct clock *clock;
    bool log_raw_default;
};

/* Load core/audit and core/local-audit, open the devices (one that fails is logged and skipped
 * only when another one works, as Vault). */
int broker_new(const struct broker_parts *parts, struct broker **out, struct err *err) MUST_USE;
void broker_free(struct broker *b);

/* True when at least one device is enabled: then a request may wait for a disk or a socket. */
bool broker_active(struct broker *b);

/*
 * Write the entry.  ${e} is the caller's token or NULL; ${failure} why the request was refused, or
 * NULL.  0 when no device is enabled or at least one took it; -1: ERR_INTERNAL, and the request
 * must not go on.
 */
int broker_log_request(struct broker *b, const struct request *req, const struct token_entry *e,
                       const struct err *failure, struct err *err) MUST_USE;
/* ${non_hmac_*}: keys of the mount whose values stay readable. */
int broker_log_response(struct broker *b, const struct request *req, const struct token_entry *e,
                        const struct response *resp, const struct err *failure,
                        struct err *err) MUST_USE;

/* A device of the table (storage-layout.md section 4), for sys/audit. */
struct broker_entry {
    struct str path, type, description, uuid, accessor; /* path with slash */
    struct json *options;
    bool local;
};
int broker_list(struct broker *b, struct arena *a, struct broker_entry **out, size_t *n,
                struct err *err) MUST_USE;
/* -1: ERR_BAD_REQUEST with Vault's texts. Writes a test entry first. */
int broker_enable(struct broker *b, const struct broker_entry *want, struct err *err) MUST_USE;
int broker_disable(struct broker *b, struct str path, struct err *err) MUST_USE;
/* HMAC of ${text} with the device's salt ("hmac-sha256:..."): 1, 0 no such device, -1. */
int broker_hash(struct broker *b, struct arena *a, struct str path, struct str text,
                struct str *out, struct err *err) MUST_USE;
/* Reopen files (SIGHUP). */
void broker_reload(struct broker *b);

/* Request headers that are written to the log: sys/config/auditing/request-headers. */
int broker_headers_list(struct broker *b, struct arena *a, struct json **out,
                        struct err *err) MUST_USE; /* {"x-test":{"hmac":true}} */
int broker_header_set(struct broker *b, struct str name, bool hmac, struct err *err) MUST_USE;
int broker_header_remove(struct broker *b, struct str name, struct err *err) MUST_USE;

#endif
