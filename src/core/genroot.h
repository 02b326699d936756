/* Genroot: a new root token, made when enough holders of unseal shares agree. */
#ifndef CORE_GENROOT_H
#define CORE_GENROOT_H

#include "core/lifecycle.h"

struct genroot; /* any thread; at most one operation is in progress */

/* Characters of the one-time pad: as many as a token has. */
enum { GENROOT_OTP_LEN = 26 };

struct recovery;
/*
 * ${l} is borrowed for ever.  With ${recovery} (else NULL) what is made is its token, on a server
 * where nothing else runs.
 */
int genroot_new(struct lifecycle *l, struct recovery *recovery, struct genroot **out,
                struct err *err) MUST_USE;
void genroot_free(struct genroot *g);

/*
 * All calls: -1 with ERR_SEALED while sealed, ERR_BAD_REQUEST with Vault's texts, ERR_DENIED when
 * the shares do not open the store.  A seal ends the operation.
 */

struct genroot_state {
    bool started;
    char nonce[37];
    int64_t progress, required;
    struct str fingerprint; /* of the PGP key, in the caller's arena */
};
int genroot_state(struct genroot *g, struct arena *a, struct genroot_state *out,
                  struct err *err) MUST_USE;

/* One of the two is given: a pad of GENROOT_OTP_LEN characters, or a PGP key in base64. */
int genroot_start(struct genroot *g, struct str otp, struct str pgp_key, struct err *err) MUST_USE;
int genroot_cancel(struct genroot *g, struct err *err) MUST_USE;

struct genroot_result {
    int64_t progress, required;
    /* Once complete: base64 of the token under the pad (no padding) or of the PGP message. */
    struct str encoded;
    struct str fingerprint;
};
/* Give a share.  Texts in ${a}. */
int genroot_update(struct genroot *g, struct arena *a, struct str share, struct str nonce,
                   struct genroot_result *out, struct err *err) MUST_USE;

#endif
