/* Rekey: new unseal or recovery shares, made when enough holders of the present ones agree. */
#ifndef CORE_REKEY_H
#define CORE_REKEY_H

#include "base/strs.h"
#include "core/lifecycle.h"

struct rekey; /* any thread; at most one operation is in progress */

/*
 * What gets new shares.  With a seal that needs nobody's, people hold the recovery key: their
 * shares are asked for in both cases, and new ones come of a rekey of the recovery key only.
 */
enum rekey_target { REKEY_BARRIER, REKEY_RECOVERY };

/* ${l} is borrowed for ever. */
int rekey_new(struct lifecycle *l, enum rekey_target target, struct rekey **out,
              struct err *err) MUST_USE;
void rekey_free(struct rekey *r);

/*
 * All calls: -1 with ERR_STANDBY ("node is not active") while sealed, ERR_BAD_REQUEST with Vault's
 * texts, ERR_INTERNAL when what was given does not open the store.  A seal ends the operation.
 */

struct rekey_state {
    bool started;
    char nonce[37], verification_nonce[37];
    int64_t threshold, shares, progress;
    int64_t required;        /* shares of the present key */
    struct strs fingerprints; /* of the PGP keys, in the caller's arena */
    bool backup, verification_required;
};
int rekey_state(struct rekey *r, struct arena *a, struct rekey_state *out,
                struct err *err) MUST_USE;

/* Says shares, threshold, pgp_keys, backup, verification_required of ${want}; copied. */
int rekey_start(struct rekey *r, const struct seal_config *want, struct err *err) MUST_USE;
int rekey_cancel(struct rekey *r, struct err *err) MUST_USE;

/* The new shares, in clear or PGP messages, in the caller's arena. */
struct rekey_result {
    bool complete;
    struct strs shares, fingerprints;
    bool backup, verification_required;
    char verification_nonce[37];
};
/* Give a present share.  With verification nothing is changed before the new shares came back. */
int rekey_update(struct rekey *r, struct arena *a, struct str share, struct str nonce,
                 struct rekey_result *out, struct err *err) MUST_USE;

struct rekey_verify_state {
    bool started;
    char nonce[37];
    int64_t threshold, shares, progress;
};
int rekey_verify_state(struct rekey *r, struct rekey_verify_state *out, struct err *err) MUST_USE;
/* Forget the shares given back, take a new nonce. */
int rekey_verify_restart(struct rekey *r, struct err *err) MUST_USE;
/* Give a new share back.  ${complete}: all came, the new key is in force. */
int rekey_verify(struct rekey *r, struct str share, struct str nonce, bool *complete,
                 struct err *err) MUST_USE;

#endif
