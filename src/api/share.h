/* Share: the key share that a body carries. */
#ifndef API_SHARE_H
#define API_SHARE_H

#include "api/call.h"

/*
 * Member "key" as bytes: hex of either case when it has a share's length, or else base64; and
 * member "nonce".  -1: ERR_BAD_REQUEST with Vault's text.
 */
int share_read(struct call *c, struct str *share, struct str *nonce, struct err *err) MUST_USE;

/* A list of texts, or null when there are none. */
void share_put_list(struct json *o, const char *key, const struct strs *list);

#endif
