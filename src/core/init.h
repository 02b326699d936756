/* Init: what POST sys/init makes out of an empty store. */
#ifndef CORE_INIT_H
#define CORE_INIT_H

#include "core/active.h"
#include "seal/seal.h"

/* What POST sys/init asks for. */
struct init_request {
    struct seal_config config;
    struct seal_config recovery; /* counts when the seal needs nobody's shares */
    struct str root_token_pgp_key;
};
/* Everything lives in the arena that was handed in; shares are in clear or PGP-encrypted. */
struct init_result {
    struct strs shares; /* bytes, not yet encoded; none when the seal needs nobody's */
    struct strs recovery_shares; /* and then these */
    struct str root_token; /* bytes as they are to be shown */
};

/* Borrowed. */
struct init_parts {
    const struct core_settings *settings;
    struct lifecycle *lifecycle;
    struct barrier *barrier; /* over settings->physical; stays sealed */
};
/*
 * One at a time, for the caller to see to.
 * -1: ERR_BAD_REQUEST ("Vault is already initialized" ...); then nothing is stored.
 */
int init_store(const struct init_parts *parts, struct arena *a, const struct init_request *want,
               struct init_result *out, struct err *err) MUST_USE;

#endif
