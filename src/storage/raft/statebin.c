/* The coding of state.bin; whole entries are read where they lie, only torn ones are copied. */
#include "storage/raft/statebin.h"

#include "codec/protobuf.h"

enum { FIELD_KEY = 1, FIELD_VALUE = 2, VARINT_MAX = 10, LENGTH_MAX = 5, KEEP_MAX = 1 << 20 };

void statebin_fini(struct statebin *s)
{
    buf_free(&s->last);
    buf_free(&s->part);
}

static size_t varint_len(uint64_t v)
{
    size_t n = 1;
    for (; v >= 0x80; v >>= 7)
        n++;
    return n;
}

/* Keys come in order, each once. */
static int check_key(struct statebin *s, struct str key, enum err_code code, struct err *err)
{
    unsigned long long nth = s->n + 1;

    if (key.n == 0)
        return err_set(err, code, "entry %llu has no key", nth);
    if (key.n > STATEBIN_KEY_MAX)
        return err_set(err, code, "entry %llu has a key of %zu bytes", nth, key.n);
    if (s->n > 0 && str_cmp(buf_str(&s->last), key) >= 0)
        return err_set(err, code, "entry %llu is not in key order", nth);
    buf_clear(&s->last);
    buf_add(&s->last, key);
    s->n++;
    return buf_check(&s->last, err);
}

int statebin_head(struct statebin *s, struct str key, size_t value_n, struct buf *out,
                  struct err *err)
{
    if (value_n > STATEBIN_ENTRY_MAX - STATEBIN_KEY_MAX - 4 * VARINT_MAX)
        return err_set(err, ERR_CORRUPT, "an entry of %zu bytes is too large", value_n);
    TRY(check_key(s, key, ERR_CORRUPT, err));
    size_t n = 1 + varint_len(key.n) + key.n;
    if (value_n > 0)
        n += 1 + varint_len(value_n) + value_n;
    protobuf_add_varint(out, n);
    protobuf_add_bytes(out, FIELD_KEY, key);
    if (value_n > 0) {
        protobuf_add_varint(out, FIELD_VALUE << 3 | PROTOBUF_BYTES);
        protobuf_add_varint(out, value_n);
    }
    return 0;
}

/* The length before an entry: 1, 0 when it is not all there. */
static int entry_length(const struct statebin *s, struct str bytes, size_t *head, size_t *body,
                        struct err *err)
{
    uint64_t v = 0;

    for (size_t i = 0; i < bytes.n; i++) {
        v |= (uint64_t)(bytes.p[i] & 0x7f) << 7 * i;
        if (v > STATEBIN_ENTRY_MAX || i >= LENGTH_MAX)
            return err_set(err, ERR_BAD_REQUEST, "entry %llu is too large",
                           (unsigned long long)s->n + 1);
        if ((bytes.p[i] & 0x80) == 0) {
            *head = i + 1;
            *body = (size_t)v;
            return 1;
        }
    }
    return 0;
}

static int entry_give(struct statebin *s, struct str message, struct err *err)
{
    struct str key = { 0 }, value = { 0 };
    struct protobuf_field f;
    struct err why = { 0 };
    int found;

    while ((found = protobuf_next(&message, &f, &why)) > 0) {
        if (protobuf_is(&f, FIELD_KEY, PROTOBUF_BYTES))
            key = f.bytes;
        else if (protobuf_is(&f, FIELD_VALUE, PROTOBUF_BYTES))
            value = f.bytes;
    }
    if (found < 0)
        return err_set(err, ERR_BAD_REQUEST, "entry %llu: %s", (unsigned long long)s->n + 1,
                       why.msg);
    TRY(check_key(s, key, ERR_BAD_REQUEST, err));
    return s->put == NULL ? 0 : s->put(s->ctx, key, value, err);
}

/* Bytes that the torn entry still lacks, as far as is known; 0: it is whole. */
static int part_lacks(const struct statebin *s, size_t *lacks, struct err *err)
{
    size_t head = 0, body = 0;
    int known = entry_length(s, buf_str(&s->part), &head, &body, err);

    TRY(known);
    *lacks = known == 0 ? 1 : head + body - s->part.n;
    return 0;
}

static int part_give(struct statebin *s, struct err *err)
{
    size_t head = 0, body = 0;

    TRY(entry_length(s, buf_str(&s->part), &head, &body, err));
    TRY(entry_give(s, str_from(buf_str(&s->part), head), err));
    if (s->part.cap > KEEP_MAX)
        buf_free(&s->part);
    buf_clear(&s->part);
    return 0;
}

/* Go on with the torn entry, if there is one. */
static int feed_part(struct statebin *s, struct str *bytes, struct err *err)
{
    size_t lacks;

    while (s->part.n > 0) {
        TRY(part_lacks(s, &lacks, err));
        if (lacks == 0)
            return part_give(s, err);
        if (bytes->n == 0)
            return 0;
        struct str more = str_head(*bytes, lacks);
        buf_add(&s->part, more);
        TRY(buf_check(&s->part, err));
        *bytes = str_from(*bytes, more.n);
    }
    return 0;
}

int statebin_feed(struct statebin *s, struct str bytes, struct err *err)
{
    size_t head = 0, body = 0;

    TRY(feed_part(s, &bytes, err));
    while (bytes.n > 0) {
        int known = entry_length(s, bytes, &head, &body, err);
        TRY(known);
        if (known == 0 || bytes.n - head < body)
            break;
        TRY(entry_give(s, str_head(str_from(bytes, head), body), err));
        bytes = str_from(bytes, head + body);
    }
    buf_add(&s->part, bytes);
    return buf_check(&s->part, err);
}

int statebin_end(const struct statebin *s, struct err *err)
{
    if (s->part.n > 0)
        return err_set(err, ERR_BAD_REQUEST, "entry %llu is cut short",
                       (unsigned long long)s->n + 1);
    return 0;
}
