/* Lifecycle: initialised or not, sealed or not; makes and undoes everything in between in order. */
#ifndef CORE_LIFECYCLE_H
#define CORE_LIFECYCLE_H

#include "core/active.h"
#include "core/service.h"
#include "codec/base64.h"
#include "core/init.h"
#include "seal/seal.h"

struct lifecycle; /* any thread */

/* ${settings} is borrowed for ever.  Nothing is unsealed. */
int lifecycle_new(const struct core_settings *settings, struct lifecycle **out,
                  struct err *err) MUST_USE;
/* Seals first when need be. */
void lifecycle_free(struct lifecycle *l);

/* What serves (see service_active), or NULL.  Call within an epoch section; valid until it ends. */
const struct active *lifecycle_active(struct lifecycle *l);
struct service *lifecycle_service(struct lifecycle *l);
const struct core_settings *lifecycle_settings(struct lifecycle *l);
struct barrier *lifecycle_barrier(struct lifecycle *l);

/* 1, 0, -1. */
int lifecycle_initialised(struct lifecycle *l, struct err *err) MUST_USE;

/*
 * -1: ERR_BAD_REQUEST ("Vault is already initialized" ...).  Stays sealed, but with a seal that
 * needs nobody's shares: then it goes active, or will when the seal can be used.
 */
int lifecycle_init(struct lifecycle *l, struct arena *a, const struct init_request *want,
                   struct init_result *out, struct err *err) MUST_USE;

/* sys/unseal: give one share; when the threshold is reached the server goes active. */
struct unseal_status {
    bool initialised, sealed;
    bool recovery_seal; /* the seal needs nobody: shares are those of the recovery key */
    bool migration;     /* to another seal is pending */
    int64_t threshold, shares, progress;
    char nonce[37];
    char type[16]; /* of what the people hold; before init: of the seal */
};
int lifecycle_status(struct lifecycle *l, struct unseal_status *out, struct err *err) MUST_USE;
/* -1: ERR_BAD_REQUEST for a share of the wrong form, ERR_DENIED/ERR_INTERNAL when they do not open. */
int lifecycle_unseal(struct lifecycle *l, struct str share, struct err *err) MUST_USE;
/* The same, and then change the store's seal to the configured one. */
int lifecycle_unseal_migrate(struct lifecycle *l, struct str share, struct err *err) MUST_USE;
void lifecycle_unseal_reset(struct lifecycle *l);

/*
 * By the seal alone, when it needs nobody's shares (else, or when active, nothing happens); may
 * wait for another server. -1: ERR_UNINITIALISED, ERR_CONFLICT while a migration is pending,
 * ERR_UPSTREAM.
 */
int lifecycle_unseal_stored(struct lifecycle *l, struct err *err) MUST_USE;
/*
 * The same from a thread, again and again until it succeeds: at start, and when a store came to
 * this node by itself.  Nothing where people hold the shares.
 */
void lifecycle_unseal_by_itself(struct lifecycle *l);

/* Whether the configured seals fit the store, for the start. -1: ERR_BAD_REQUEST. */
int lifecycle_check_seal(struct lifecycle *l, struct err *err) MUST_USE;

/* Stop all, forget all keys.  Waits for requests in flight; must not be called in an epoch. */
int lifecycle_seal(struct lifecycle *l, struct err *err) MUST_USE;

/* ---- the seal's key, for what must be readable by every member: snapshots, joining ---- */

/*
 * Encrypt as an EncryptedBlobInfo, appended, and back.  With shares the key-encryption key is used:
 * -1: ERR_SEALED while sealed.  A seal that needs nobody works sealed too: -1: as seal_encrypt.
 */
int lifecycle_seal_encrypt(struct lifecycle *l, struct str text, struct buf *out,
                           struct err *err) MUST_USE;
int lifecycle_seal_decrypt(struct lifecycle *l, struct str entry, struct buf *out,
                           struct err *err) MUST_USE;
/* core/seal-config as text in ${a}: 1, 0 not initialised, -1. */
int lifecycle_seal_config_text(struct lifecycle *l, struct arena *a, struct str *out,
                               struct err *err) MUST_USE;

/* ---- for rekey and generate-root ---- */

/* Present configuration of the seal: 1, 0 not initialised, -1. */
int lifecycle_seal_config(struct lifecycle *l, struct arena *a, struct seal_config *out,
                          struct err *err) MUST_USE;
/* How many people must agree: of the seal's shares, or of those of the recovery key. */
int lifecycle_people(struct lifecycle *l, struct arena *a, struct seal_config *out,
                     struct err *err) MUST_USE;
bool lifecycle_seal_is_automatic(struct lifecycle *l);
/* Is it the recovery key? -1: ERR_DENIED; as seal_decrypt. */
int lifecycle_check_recovery_key(struct lifecycle *l, struct str key, struct err *err) MUST_USE;
/* The root key under the key-encryption key. -1: ERR_DENIED when ${kek} is wrong. */
int lifecycle_open_root_key(struct lifecycle *l, struct str kek, struct secret *root_key,
                            struct err *err) MUST_USE;
/*
 * Put a fresh root key under ${kek} (or under a seal that needs nobody) and the store under both,
 * with the seal configuration ${config}, in one commit: at every moment either the old shares
 * unseal or the new ones.  -1: ERR_SEALED.
 */
int lifecycle_rekey(struct lifecycle *l, struct str kek, const struct seal_config *config,
                    struct err *err) MUST_USE;
/*
 * For recovery: open the barrier, and nothing else, with what the shares made (with a seal that
 * needs nobody: the recovery key).  -1: ERR_DENIED and the like: it is the wrong key.
 */
int lifecycle_open_barrier(struct lifecycle *l, struct str combined, struct err *err) MUST_USE;

struct join_target;
/*
 * sys/storage/raft/join: let this empty node become a member of the cluster that one of ${n}
 * targets belongs to.  With a seal that opens by itself it is a member when this returns; with
 * shares it becomes one when they are given.  0 also when it belongs to a cluster already.
 * ${retry}: go on trying, return at once.
 */
int lifecycle_join(struct lifecycle *l, const struct join_target *targets, size_t n,
                   bool non_voter, bool retry, struct err *err) MUST_USE;

/* ${key} becomes the recovery key, in one commit. -1: ERR_SEALED. */
int lifecycle_rekey_recovery(struct lifecycle *l, struct str key, const struct seal_config *config,
                             struct err *err) MUST_USE;
/* How often the server has become active: what was begun in an earlier life is void. */
uint64_t lifecycle_lives(struct lifecycle *l);

#endif
