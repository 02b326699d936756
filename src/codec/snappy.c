/* Framed snappy: chunks of at most 64 KiB, each a list of literals and copies. */
#include "codec/snappy.h"

enum { CHUNK_HEAD = 4, CHECKSUM = 4, BLOCK_MAX = 65536 };
enum { CHUNK_PACKED = 0x00, CHUNK_PLAIN = 0x01, CHUNK_SKIP = 0x80, CHUNK_START = 0xff };

static int corrupt(struct err *err, const char *what)
{
    return err_set(err, ERR_CORRUPT, "snappy: %s", what);
}

/* A number of ${n} bytes, little end first, cut off ${s}, which has them. */
static size_t take_le(struct str *s, size_t n)
{
    size_t v = 0;

    for (size_t i = 0; i < n; i++)
        v |= (size_t)(uint8_t)s->p[i] << (8 * i);
    *s = str_from(*s, n);
    return v;
}

/* The length before the block. */
static int take_length(struct str *s, size_t *out, struct err *err)
{
    size_t v = 0;

    for (unsigned shift = 0; shift < 35 && s->n > 0; shift += 7) {
        uint8_t c = (uint8_t)take_le(s, 1);
        v |= (size_t)(c & 0x7f) << shift;
        if (c < 0x80) {
            *out = v;
            return v <= BLOCK_MAX ? 0 : corrupt(err, "a block is too long");
        }
    }
    return corrupt(err, "a block without a length");
}

static int copy_literal(struct str *s, uint8_t tag, size_t room, struct buf *out, struct err *err)
{
    size_t n = tag >> 2;

    if (n >= 60) {
        size_t extra = n - 59;
        if (s->n < extra)
            return corrupt(err, "a literal is cut off");
        n = take_le(s, extra);
    }
    n++;
    if (n > s->n || n > room)
        return corrupt(err, "a literal is too long");
    buf_add(out, str_head(*s, n));
    *s = str_from(*s, n);
    return 0;
}

/* Bytes again that lie ${back} before the end; they may overlap what they make. */
static int copy_back(size_t back, size_t n, size_t have, size_t room, struct buf *out,
                     struct err *err)
{
    if (back == 0 || back > have)
        return corrupt(err, "a copy from before the block");
    if (n > room)
        return corrupt(err, "a copy is too long");
    for (size_t i = 0; i < n && !out->failed; i++)
        buf_byte(out, out->p[out->n - back]);
    return 0;
}

static int copy_of_tag(struct str *s, uint8_t tag, size_t have, size_t room, struct buf *out,
                       struct err *err)
{
    static const size_t extra_of[] = { 0, 1, 2, 4 };
    size_t kind = tag & 3, extra = extra_of[kind];

    if (s->n < extra)
        return corrupt(err, "a copy is cut off");
    size_t back = take_le(s, extra), n = (size_t)(tag >> 2) + 1;
    if (kind == 1) { /* 3 bits of length, 11 of distance */
        n = (size_t)(tag >> 2 & 7) + 4;
        back |= (size_t)(tag >> 5) << 8;
    }
    return copy_back(back, n, have, room, out, err);
}

static int expand_block(struct str s, struct buf *out, struct err *err)
{
    size_t start = out->n, length = 0;

    TRY(take_length(&s, &length, err));
    if (buf_reserve(out, length) < 0)
        return buf_check(out, err);
    while (s.n > 0) {
        size_t have = out->n - start, room = length - have;
        uint8_t tag = (uint8_t)take_le(&s, 1);
        if ((tag & 3) == 0)
            TRY(copy_literal(&s, tag, room, out, err));
        else
            TRY(copy_of_tag(&s, tag, have, room, out, err));
    }
    return out->n - start == length ? 0 : corrupt(err, "a block is too short");
}

static int expand_chunk(uint8_t kind, struct str body, struct buf *out, struct err *err)
{
    if (kind == CHUNK_START)
        return str_is(body, "sNaPpY") ? 0 : corrupt(err, "a bad stream identifier");
    if (kind >= CHUNK_SKIP)
        return 0;
    if (kind > CHUNK_PLAIN)
        return corrupt(err, "an unknown chunk");
    if (body.n < CHECKSUM)
        return corrupt(err, "a chunk without a checksum");
    body = str_from(body, CHECKSUM);
    if (kind == CHUNK_PACKED)
        return expand_block(body, out, err);
    buf_add(out, body);
    return buf_check(out, err);
}

int snappy_expand(struct str stream, size_t max, struct buf *out, struct err *err)
{
    size_t start = out->n;

    if (stream.n < CHUNK_HEAD || (uint8_t)stream.p[0] != CHUNK_START)
        return corrupt(err, "no stream identifier");
    while (stream.n > 0) {
        if (stream.n < CHUNK_HEAD)
            return corrupt(err, "a chunk is cut off");
        uint8_t kind = (uint8_t)take_le(&stream, 1);
        size_t n = take_le(&stream, 3);
        if (n > stream.n)
            return corrupt(err, "a chunk is cut off");
        TRY(expand_chunk(kind, str_head(stream, n), out, err));
        stream = str_from(stream, n);
        if (out->n - start > max)
            return err_set(err, ERR_TOO_LARGE, "the compressed value is larger than %zu bytes",
                           max);
    }
    return 0;
}

/* ---- writing ---- */

/* CRC-32C (Castagnoli), four bits at a time, masked as framing_format.txt section 3 has it. */
static uint32_t checksum(struct str s)
{
    static const uint32_t table[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    uint32_t crc = 0xffffffff;

    for (size_t i = 0; i < s.n; i++) {
        crc ^= (uint8_t)s.p[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xa282ead8;
}

static void add_le(struct buf *out, size_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_byte(out, (char)(v >> (8 * i)));
}

void snappy_frame(struct str plain, struct buf *out)
{
    buf_add(out, STR("\xff\6\0\0sNaPpY"));
    while (plain.n > 0) {
        struct str part = str_head(plain, BLOCK_MAX);
        buf_byte(out, CHUNK_PLAIN);
        add_le(out, CHECKSUM + part.n, 3);
        add_le(out, checksum(part), CHECKSUM);
        buf_add(out, part);
        plain = str_from(plain, part.n);
    }
}
