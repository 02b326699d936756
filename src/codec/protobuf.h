/*
 * Protobuf: the wire format of Protocol Buffers 3, read field by field out of borrowed bytes and
 * written field by field into a buffer.  Messages have no schema here: each module that stores one
 * knows its numbers.
 */
#ifndef CODEC_PROTOBUF_H
#define CODEC_PROTOBUF_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* Wire types; groups (3 and 4) are refused. */
enum protobuf_wire {
    PROTOBUF_VARINT = 0,
    PROTOBUF_FIXED64 = 1,
    PROTOBUF_BYTES = 2,
    PROTOBUF_FIXED32 = 5,
};

struct protobuf_field {
    uint32_t number;
    enum protobuf_wire wire;
    uint64_t value;   /* the three numeric wire types */
    struct str bytes; /* PROTOBUF_BYTES; borrowed from the message */
};

/*
 * Cut the first field off ${rest}, which starts as the whole message:
 *
 *     while ((found = protobuf_next(&rest, &f, err)) > 0)
 *         if (protobuf_is(&f, 3, PROTOBUF_BYTES)) ...
 *     TRY(found);
 *
 * 1: a field; 0: the end; -1: ERR_CORRUPT.  What no branch asks for is thereby skipped; of a
 * field that occurs twice the last one counts, as everywhere with protobuf.
 */
int protobuf_next(struct str *rest, struct protobuf_field *out, struct err *err) MUST_USE;

/* The field has this number and wire type (one of another type counts as unknown). */
static inline bool protobuf_is(const struct protobuf_field *f, uint32_t number,
                               enum protobuf_wire wire)
{
    return f->number == number && f->wire == wire;
}

/* Cut a varint off ${rest} (packed lists). 1, 0 at the end, -1: ERR_CORRUPT. */
int protobuf_next_varint(struct str *rest, uint64_t *out, struct err *err) MUST_USE;

/* The fields 1 and 2 of a map<string, string> entry; what is missing is empty. -1: ERR_CORRUPT. */
int protobuf_pair(struct str entry, struct str *key, struct str *value,
                  struct err *err) MUST_USE;

/*
 * google.protobuf.Timestamp as nanoseconds from the Unix epoch; what does not fit is clamped, so
 * that the year 1 reads as INT64_MIN (TIME_ZERO). -1: ERR_CORRUPT.
 */
int protobuf_timestamp(struct str message, int64_t *unix_ns, struct err *err) MUST_USE;
/* google.protobuf.Duration as nanoseconds, clamped. -1: ERR_CORRUPT. */
int protobuf_duration(struct str message, int64_t *ns, struct err *err) MUST_USE;

/*
 * Writing.  As proto3 has it, zero, false and the empty text leave nothing behind, but for the
 * elements of lists and maps and for messages.  A lack of memory is remembered by the buffer.
 */
void protobuf_put_uint(struct buf *b, uint32_t number, uint64_t v);
void protobuf_put_int(struct buf *b, uint32_t number, int64_t v); /* int32, int64, enum */
void protobuf_put_bool(struct buf *b, uint32_t number, bool v);
void protobuf_put_bytes(struct buf *b, uint32_t number, struct str v);
/* One element of a repeated field, or a finished message: written when empty too. */
void protobuf_add_bytes(struct buf *b, uint32_t number, struct str v);
/* A varint without a tag (packed lists). */
void protobuf_add_varint(struct buf *b, uint64_t v);
/* One entry of a map<string, string>. */
void protobuf_add_pair(struct buf *b, uint32_t number, struct str key, struct str value);
/* Always written, INT64_MIN as the year 1. */
void protobuf_add_timestamp(struct buf *b, uint32_t number, int64_t unix_ns);
void protobuf_add_duration(struct buf *b, uint32_t number, int64_t ns);

/*
 * A message inside: everything put between open and close belongs to it; nests.
 *
 *     size_t mark = protobuf_open(b, 2);
 *     protobuf_put_uint(b, 1, version);
 *     protobuf_close(b, mark);
 */
size_t protobuf_open(struct buf *b, uint32_t number) MUST_USE;
void protobuf_close(struct buf *b, size_t mark);

#endif
