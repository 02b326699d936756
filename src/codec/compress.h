/* Compress: values that Vault stores compressed; the first byte tells how. */
#ifndef CODEC_COMPRESS_H
#define CODEC_COMPRESS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* What decompress gives at most: more than any entry of a store, less than a bomb. */
enum { COMPRESS_OUT_MAX = 256 << 20 };

/* Append 'G' and the gzip stream of ${plain}, as Vault writes mount tables. Any thread. */
int compress_gzip(struct str plain, struct buf *out, struct err *err) MUST_USE;

/* Append 'S' and a framed snappy stream of ${plain}, as Vault writes identity buckets. */
int compress_snappy(struct str plain, struct buf *out, struct err *err) MUST_USE;

/*
 * Append the plain value of ${stored}: 'G' gzip and 'S' framed snappy are undone, everything else
 * is plain already and copied.  -1: ERR_CORRUPT (also for 'L' LZW and '4' LZ4, which no version of
 * Vault writes by itself), ERR_TOO_LARGE beyond COMPRESS_OUT_MAX; nothing is appended then.
 */
int decompress(struct str stored, struct buf *out, struct err *err) MUST_USE;

#endif
