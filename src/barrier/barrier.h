/*
 * Barrier: a storage that encrypts every value on its way to the storage beneath.  Vault's
 * envelope: term (4 bytes, big endian), version (2), nonce (12), AES-256-GCM text and tag, with the
 * key path as additional data.
 */
#ifndef BARRIER_BARRIER_H
#define BARRIER_BARRIER_H

#include "barrier/keyring.h"
#include "storage/storage.h"

struct barrier; /* any thread */

/* Wrap ${under}, which is borrowed and must outlive the barrier.  It starts sealed. */
int barrier_new(struct storage *under, struct barrier **out, struct err *err) MUST_USE;
/* Wipe every key, then release; as barrier_seal. NULL is fine. */
void barrier_free(struct barrier *b);

/* The plaintext side: get, commit, list.  ERR_SEALED while sealed. */
struct storage *barrier_storage(struct barrier *b);

/* 1 when core/keyring exists beneath, 0 when not. */
int barrier_initialised(struct barrier *b, struct err *err) MUST_USE;

/*
 * Make a keyring with a first key under the 32-byte ${root_key} and write it.  Stays sealed.
 * -1: ERR_CONFLICT when there is one.
 */
int barrier_init(struct barrier *b, struct str root_key, int64_t now_ns, struct err *err) MUST_USE;

/*
 * Open the stored keyring with the root key; nothing happens when it is open already.
 * -1: ERR_DENIED when the key is wrong, ERR_UNINITIALISED.
 */
int barrier_unseal(struct barrier *b, struct str root_key, struct err *err) MUST_USE;
/*
 * Drop all keys; they are wiped when it returns, for which it waits until every reader has left:
 * not to be called between epoch_enter and epoch_leave.
 */
void barrier_seal(struct barrier *b);
bool barrier_sealed(struct barrier *b);

/*
 * New encryption key, term + 1, stored before it is used; ${term} gets it.
 * Also writes the canary entry and core/master as storage-layout.md has them.
 */
int barrier_rotate(struct barrier *b, int64_t now_ns, uint32_t *term, struct err *err) MUST_USE;
/*
 * For the nodes of an HA store that do not rotate themselves: the newest key under the one before
 * it (core/upgrade/<term - 1>), to be written after a rotation and deleted when all nodes had some
 * minutes to read it.  ${term} is what barrier_rotate gave.
 */
int barrier_put_upgrade(struct barrier *b, uint32_t term, struct err *err) MUST_USE;
int barrier_delete_upgrade(struct barrier *b, uint32_t term, struct err *err) MUST_USE;
/*
 * On such a node, take over what another one wrote: upgrade keys, a new root key (core/master),
 * the keyring.  1 when something is new, 0 when not, -1: ERR_CORRUPT, ERR_DENIED: unseal anew.
 */
int barrier_follow(struct barrier *b, struct err *err) MUST_USE;
/* Put the keyring under another root key (rekey). */
int barrier_set_root_key(struct barrier *b, struct str root_key, struct err *err) MUST_USE;
/*
 * The same in one commit with ${n} puts ${with}: whatever must change together with the root key,
 * so that a crash leaves all old or all new.  Values of keys inside the barrier are encrypted.
 */
int barrier_rekey(struct barrier *b, struct str root_key, const struct storage_op *with, size_t n,
                  struct err *err) MUST_USE;
/* Does ${root_key} open this barrier, sealed or not? 0, or -1: ERR_DENIED. */
int barrier_check_root_key(struct barrier *b, struct str root_key, struct err *err) MUST_USE;
/* A copy of the root key in locked memory; ERR_SEALED. */
int barrier_root_key(struct barrier *b, struct secret *out, struct err *err) MUST_USE;

/* Key in use. */
struct barrier_key_status {
    uint32_t term;
    int64_t installed_ns;
    int64_t encryptions; /* with this key, all restarts together, approximately */
};
/* ERR_SEALED, as the two after it. */
int barrier_key_status(struct barrier *b, struct barrier_key_status *out, struct err *err) MUST_USE;

/* When the key changes by itself. */
struct barrier_rotation {
    bool enabled;
    int64_t max_operations;
    int64_t interval_ns; /* 0: by time never */
};
int barrier_rotation(struct barrier *b, struct barrier_rotation *out, struct err *err) MUST_USE;
/* Stores it; values out of Vault's bounds are moved to the nearest one. */
int barrier_set_rotation(struct barrier *b, const struct barrier_rotation *r,
                         struct err *err) MUST_USE;
/* Rotate if it is time; 1 rotated, 0 not yet. Also stores the count of encryptions. */
int barrier_rotate_if_due(struct barrier *b, int64_t now_ns, struct err *err) MUST_USE;

/* Seal and open a text that is not stored (batch tokens), ${aad} as additional data. */
int barrier_encrypt(struct barrier *b, struct str aad, struct str plain, struct buf *out,
                    struct err *err) MUST_USE;
int barrier_decrypt(struct barrier *b, struct str aad, struct str sealed, struct buf *out,
                    struct err *err) MUST_USE;

/* True for the keys that lie outside the barrier (storage-layout.md section 2). */
bool barrier_is_plain_key(struct str key);

#endif
