/*
 * Snappy: framed snappy, read and written (framing_format.txt and format_description.txt of google/snappy).
 * The format is frozen and needs only these few lines; libsnappy would bring the C++ run time into
 * every process.
 */
#ifndef CODEC_SNAPPY_H
#define CODEC_SNAPPY_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/*
 * Append the content of ${stream}.  Its checksums are not looked at: what comes from the barrier is
 * authenticated.  -1: ERR_CORRUPT, ERR_TOO_LARGE beyond ${max} bytes; ${out} may have grown.
 */
int snappy_expand(struct str stream, size_t max, struct buf *out, struct err *err) MUST_USE;

/*
 * Append a stream of ${plain} whose chunks are not packed: every reader takes it, and it costs one
 * pass.  A lack of memory is remembered by ${out}.
 */
void snappy_frame(struct str plain, struct buf *out);

#endif
