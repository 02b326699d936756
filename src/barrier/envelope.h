/*
 * Envelope: how one encrypted value lies in the storage: term (4 bytes, big endian), version,
 * nonce (12), ciphertext, tag (16).  storage-layout.md section 2.
 */
#ifndef BARRIER_ENVELOPE_H
#define BARRIER_ENVELOPE_H

#include "base/buf.h"
#include "base/err.h"
#include "crypto/aead.h"

enum {
    ENVELOPE_TERM = 4,
    ENVELOPE_HEAD = ENVELOPE_TERM + 1 + AEAD_NONCE,
    ENVELOPE_EXTRA = ENVELOPE_HEAD + AEAD_TAG, /* bytes more than the text has */
};

/* Append ${text} sealed by the key of ${term}, bound to ${path} (version 2). Any thread. */
int envelope_seal(struct aead *key, uint32_t term, struct str path, struct str text,
                  struct buf *out, struct err *err) MUST_USE;

/* The term of the key that is needed. -1: ERR_CORRUPT: no envelope, or of an unknown version. */
int envelope_term(struct str sealed, uint32_t *term, struct err *err) MUST_USE;

/*
 * Append the text; ${sealed} has passed envelope_term.  Version 1 is not bound to its path.
 * -1: ERR_CORRUPT when it does not authenticate, and nothing is appended.  Any thread.
 */
int envelope_open(struct aead *key, struct str path, struct str sealed, struct buf *out,
                  struct err *err) MUST_USE;

#endif
