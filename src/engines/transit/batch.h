/* Batch: the items of a request, one or a list of them, read and checked alike. */
#ifndef ENGINES_TRANSIT_BATCH_H
#define ENGINES_TRANSIT_BATCH_H

#include "engines/transit/cipher.h"
#include "logical/request.h"

/* One of encrypt, decrypt and rewrap. */
struct transit_item {
    struct str plaintext, ciphertext, context, nonce; /* as sent, in base64 */
    int64_t version;
    struct transit_aux aux; /* decoded */
    struct str error;       /* why this one failed; empty: it did not */
};

struct transit_batch {
    struct transit_item *items;
    size_t n;
    bool listed; /* sent as batch_input: answered as batch_results */
};

/*
 * Read batch_input, else the request's own fields as one item.  -1 with req->err and Vault's
 * texts: not a list of objects, an empty list.
 */
int transit_batch_read(struct request *req, struct transit_batch *out) MUST_USE;

/*
 * Decode contexts and nonces into aux; an item's failure goes into its error.  -1: a context in
 * some items and not in others.
 */
int transit_batch_decode(struct request *req, struct transit_batch *b) MUST_USE;

/* -1 with ERR_MUST_WAIT when the batch is too much for an event loop. */
int transit_batch_weigh(struct request *req, const struct transit_batch *b) MUST_USE;

/*
 * batch_input as a list of objects of texts, of sign, verify and hmac, whose handlers tell an
 * absent member from an empty one: *out is the array, NULL when none was sent.  -1 as above.
 */
int transit_batch_texts(struct request *req, struct json **out) MUST_USE;
/* The text of an item's member; false when it is absent. */
bool transit_batch_text(const struct json *item, const char *name, struct str *out);

/* The failure of an item: its text, if it is the client's fault; -1 if the request fails. */
int transit_batch_fault(struct request *req, struct str *error) MUST_USE;

#endif
