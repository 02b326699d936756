/*
 * Base62: bytes as one big-endian whole number written with the digits 0-9, a-z, A-Z (the order
 * of Go's big.Int), which keeps encrypted names short and free of slashes.
 */
#ifndef CODEC_BASE62_H
#define CODEC_BASE62_H

#include "base/arena.h"

/* Leading zero bytes are lost, as a number has none; no bytes give "0". */
struct str base62_encode(struct arena *a, struct str bytes);

/* -1: ERR_BAD_REQUEST on an empty text or another character; ERR_NOMEM. "0" gives no bytes. */
int base62_decode(struct arena *a, struct str text, struct str *out, struct err *err) MUST_USE;

#endif
