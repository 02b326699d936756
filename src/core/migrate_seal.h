/* Migrate_seal: is the store's seal another than the configured one; and the change to that. */
#ifndef CORE_MIGRATE_SEAL_H
#define CORE_MIGRATE_SEAL_H

#include "core/active.h"
#include "seal/seal.h"

enum migration {
    MIGRATION_NONE,
    MIGRATION_PENDING, /* unseal with "migrate" */
    MIGRATION_DONE,    /* the configuration still names the seal from before */
    MIGRATION_UNSURE,  /* both seals are of one type: only a try to open tells */
};

/*
 * From what is configured and stored; calls nobody. -1: ERR_BAD_REQUEST when the configuration
 * does not fit the store, with Vault's texts.
 */
int migrate_seal_state(const struct core_settings *settings, enum migration *out,
                       struct err *err) MUST_USE;
/* In place of MIGRATION_UNSURE: which of the two opens the root key.  Calls other servers. */
int migrate_seal_try(const struct core_settings *settings, enum migration *out,
                     struct err *err) MUST_USE;
/* The seal to unseal with while it is pending: NULL: shares of people. */
int migrate_seal_source(const struct core_settings *settings, struct seal **out,
                        struct err *err) MUST_USE;

/*
 * Change the store's seal to the configured one, in one commit.  ${key} is what the people's
 * shares made, checked before; ${b} is open.
 */
int migrate_seal(const struct core_settings *settings, struct barrier *b, struct str key,
                 struct err *err) MUST_USE;

#endif
