/* The protobuf wire format: varints, tags, lengths. */
#include "codec/protobuf.h"

enum { VARINT_MAX = 10, NUMBER_MAX = 536870911 };

static const int64_t second_ns = 1000000000;
/* 0001-01-01T00:00:00Z, Go's zero time, in seconds of the Unix epoch. */
static const int64_t year_one_s = -62135596800;

static int truncated(struct err *err)
{
    return err_set(err, ERR_CORRUPT, "protobuf: the message ends within a field");
}

int protobuf_next_varint(struct str *rest, uint64_t *out, struct err *err)
{
    uint64_t v = 0;

    if (rest->n == 0)
        return 0;
    for (size_t i = 0; i < rest->n && i < VARINT_MAX; i++) {
        uint8_t c = (uint8_t)rest->p[i];
        if (i == VARINT_MAX - 1 && c > 1)
            break;
        v |= (uint64_t)(c & 0x7f) << (7 * i);
        if (c < 0x80) {
            *rest = str_from(*rest, i + 1);
            *out = v;
            return 1;
        }
    }
    if (rest->n < VARINT_MAX)
        return truncated(err);
    return err_set(err, ERR_CORRUPT, "protobuf: a number exceeds 64 bits");
}

/* A little-endian number of ${n} bytes. */
static int next_fixed(struct str *rest, size_t n, uint64_t *out, struct err *err)
{
    uint64_t v = 0;

    if (rest->n < n)
        return truncated(err);
    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)(uint8_t)rest->p[i] << (8 * i);
    *rest = str_from(*rest, n);
    *out = v;
    return 0;
}

static int next_bytes(struct str *rest, struct str *out, struct err *err)
{
    uint64_t n;
    int found = protobuf_next_varint(rest, &n, err);

    if (found < 0)
        return -1;
    if (found == 0 || n > rest->n)
        return truncated(err);
    *out = str_head(*rest, (size_t)n);
    *rest = str_from(*rest, (size_t)n);
    return 0;
}

int protobuf_next(struct str *rest, struct protobuf_field *out, struct err *err)
{
    uint64_t tag;
    int found = protobuf_next_varint(rest, &tag, err);

    if (found <= 0)
        return found;
    if (tag >> 3 == 0 || tag >> 3 > NUMBER_MAX)
        return err_set(err, ERR_CORRUPT, "protobuf: bad field number");
    *out = (struct protobuf_field){ .number = (uint32_t)(tag >> 3) };
    switch (tag & 7) {
    case PROTOBUF_VARINT:
        out->wire = PROTOBUF_VARINT;
        found = protobuf_next_varint(rest, &out->value, err);
        return found != 0 ? found : truncated(err);
    case PROTOBUF_FIXED64:
        out->wire = PROTOBUF_FIXED64;
        TRY(next_fixed(rest, 8, &out->value, err));
        return 1;
    case PROTOBUF_BYTES:
        out->wire = PROTOBUF_BYTES;
        TRY(next_bytes(rest, &out->bytes, err));
        return 1;
    case PROTOBUF_FIXED32:
        out->wire = PROTOBUF_FIXED32;
        TRY(next_fixed(rest, 4, &out->value, err));
        return 1;
    }
    return err_set(err, ERR_CORRUPT, "protobuf: unknown wire type %d", (int)(tag & 7));
}

int protobuf_pair(struct str entry, struct str *key, struct str *value, struct err *err)
{
    struct protobuf_field f;
    int found;

    *key = *value = (struct str){ 0 };
    while ((found = protobuf_next(&entry, &f, err)) > 0) {
        if (protobuf_is(&f, 1, PROTOBUF_BYTES))
            *key = f.bytes;
        else if (protobuf_is(&f, 2, PROTOBUF_BYTES))
            *value = f.bytes;
    }
    return found;
}

/* Timestamp and Duration are both {1 seconds, 2 nanos}. */
static int seconds_and_nanos(struct str message, int64_t *s, int64_t *ns, struct err *err)
{
    struct protobuf_field f;
    int found;

    *s = *ns = 0;
    while ((found = protobuf_next(&message, &f, err)) > 0) {
        if (protobuf_is(&f, 1, PROTOBUF_VARINT))
            *s = (int64_t)f.value;
        else if (protobuf_is(&f, 2, PROTOBUF_VARINT))
            *ns = (int32_t)(uint32_t)f.value;
    }
    return found;
}

static int64_t clamped_ns(int64_t s, int64_t ns)
{
    int64_t v;

    if (__builtin_mul_overflow(s, second_ns, &v) || __builtin_add_overflow(v, ns, &v))
        return s < 0 ? INT64_MIN : INT64_MAX;
    return v;
}

int protobuf_timestamp(struct str message, int64_t *unix_ns, struct err *err)
{
    int64_t s, ns;

    TRY(seconds_and_nanos(message, &s, &ns, err));
    *unix_ns = clamped_ns(s, ns);
    return 0;
}

int protobuf_duration(struct str message, int64_t *out, struct err *err)
{
    int64_t s, ns;

    TRY(seconds_and_nanos(message, &s, &ns, err));
    *out = clamped_ns(s, ns);
    return 0;
}

static size_t varint_write(uint8_t out[VARINT_MAX], uint64_t v)
{
    size_t n = 0;

    for (; v >= 0x80; v >>= 7)
        out[n++] = (uint8_t)(v | 0x80);
    out[n++] = (uint8_t)v;
    return n;
}

void protobuf_add_varint(struct buf *b, uint64_t v)
{
    uint8_t bytes[VARINT_MAX];
    size_t n = varint_write(bytes, v);

    buf_add(b, str_mem(bytes, n));
}

static void put_tag(struct buf *b, uint32_t number, enum protobuf_wire wire)
{
    protobuf_add_varint(b, (uint64_t)number << 3 | (uint64_t)wire);
}

void protobuf_put_uint(struct buf *b, uint32_t number, uint64_t v)
{
    if (v == 0)
        return;
    put_tag(b, number, PROTOBUF_VARINT);
    protobuf_add_varint(b, v);
}

void protobuf_put_int(struct buf *b, uint32_t number, int64_t v)
{
    protobuf_put_uint(b, number, (uint64_t)v);
}

void protobuf_put_bool(struct buf *b, uint32_t number, bool v)
{
    protobuf_put_uint(b, number, v ? 1 : 0);
}

void protobuf_add_bytes(struct buf *b, uint32_t number, struct str v)
{
    put_tag(b, number, PROTOBUF_BYTES);
    protobuf_add_varint(b, v.n);
    buf_add(b, v);
}

void protobuf_put_bytes(struct buf *b, uint32_t number, struct str v)
{
    if (v.n > 0)
        protobuf_add_bytes(b, number, v);
}

void protobuf_add_pair(struct buf *b, uint32_t number, struct str key, struct str value)
{
    size_t mark = protobuf_open(b, number);

    protobuf_add_bytes(b, 1, key);
    protobuf_add_bytes(b, 2, value);
    protobuf_close(b, mark);
}

static void add_seconds_and_nanos(struct buf *b, uint32_t number, int64_t s, int64_t ns)
{
    size_t mark = protobuf_open(b, number);

    protobuf_put_int(b, 1, s);
    protobuf_put_int(b, 2, ns);
    protobuf_close(b, mark);
}

void protobuf_add_timestamp(struct buf *b, uint32_t number, int64_t unix_ns)
{
    int64_t s = unix_ns / second_ns, ns = unix_ns % second_ns;

    if (unix_ns == INT64_MIN) {
        s = year_one_s;
        ns = 0;
    } else if (ns < 0) { /* nanos count forward, in years before 1970 too */
        s--;
        ns += second_ns;
    }
    add_seconds_and_nanos(b, number, s, ns);
}

void protobuf_add_duration(struct buf *b, uint32_t number, int64_t ns)
{
    add_seconds_and_nanos(b, number, ns / second_ns, ns % second_ns);
}

size_t protobuf_open(struct buf *b, uint32_t number)
{
    put_tag(b, number, PROTOBUF_BYTES);
    return b->n;
}

void protobuf_close(struct buf *b, size_t mark)
{
    uint8_t head[VARINT_MAX];

    if (b->failed)
        return;
    size_t inside = b->n - mark, n = varint_write(head, inside);
    buf_add(b, str_mem(head, n));
    if (b->failed)
        return;
    memmove(b->p + mark + n, b->p + mark, inside);
    memcpy(b->p + mark, head, n);
}
