/* Blob: Vault's EncryptedBlobInfo, the stored form of what a seal encrypted. */
#ifndef SEAL_BLOB_H
#define SEAL_BLOB_H

#include "base/buf.h"
#include "base/secret.h"

struct seal_blob {
    struct str ciphertext; /* of an AES key: its nonce before it */
    struct str key_id;     /* which key of the seal's */
};

/* Appended. */
void seal_blob_print(struct buf *out, const struct seal_blob *b);
/* Borrowed from ${entry}. -1: ERR_CORRUPT, also without a ciphertext. */
int seal_blob_parse(struct str entry, struct seal_blob *out, struct err *err) MUST_USE;

/* The ciphertext of ${text} under a 32-byte AES key, appended: a random nonce before it. */
int seal_blob_lock(struct str key, struct str text, struct buf *out, struct err *err) MUST_USE;
/* The reverse. -1: ERR_DENIED when the key is another one, ERR_CORRUPT when it is too short. */
int seal_blob_unlock(struct str key, struct str ciphertext, struct buf *out,
                     struct err *err) MUST_USE;

#endif
