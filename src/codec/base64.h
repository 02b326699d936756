/* Base64 and hex: bytes to text and back. */
#ifndef CODEC_BASE64_H
#define CODEC_BASE64_H

#include "base/arena.h"
#include "base/buf.h"

/* Standard alphabet with padding (RFC 4648 §4). */
struct str base64_encode(struct arena *a, struct str bytes);
/* URL alphabet, no padding (RFC 4648 §5). */
struct str base64url_encode(struct arena *a, struct str bytes);
struct str hex_encode(struct arena *a, struct str bytes);

/* Line ends are skipped.  -1: ERR_BAD_REQUEST as Go's ("illegal base64 data at input byte 4"). */
int base64_decode(struct arena *a, struct str text, struct str *out, struct err *err) MUST_USE;
/* URL alphabet; padding may be there or not. */
int base64url_decode(struct arena *a, struct str text, struct str *out, struct err *err) MUST_USE;
/* Either case. -1: ERR_BAD_REQUEST, text as Go's. */
int hex_decode(struct arena *a, struct str text, struct str *out, struct err *err) MUST_USE;

/* The same, appended to a buffer that wipes itself. */
void base64_add(struct buf *out, struct str bytes);
void hex_add(struct buf *out, struct str bytes);

#endif
