/* Mark: the encoding of how far a store has come. */
#include "storage/raft/mark.h"

enum { FORMAT = 1, HEAD_N = 2 + 4 * 8, FLAG_INVALID = 1 };

static void add_be64(struct buf *out, uint64_t v)
{
    for (int shift = 56; shift >= 0; shift -= 8)
        buf_byte(out, (char)(v >> shift));
}

static uint64_t load_be64(const char *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | (uint8_t)p[i];
    return v;
}

int mark_encode(const struct mark *m, struct buf *out, struct err *err)
{
    buf_byte(out, FORMAT);
    buf_byte(out, m->invalid ? FLAG_INVALID : 0);
    add_be64(out, m->index);
    add_be64(out, m->term);
    add_be64(out, m->conf_index);
    add_be64(out, m->restore);
    if (m->conf.n > 0)
        TRY(member_encode(&m->conf, out, err));
    return buf_check(out, err);
}

int mark_decode(struct str bytes, struct mark *out, struct err *err)
{
    *out = (struct mark){ 0 };
    if (bytes.n < HEAD_N || bytes.p[0] != FORMAT)
        return err_set(err, ERR_CORRUPT, "raft: the store's mark is malformed");
    out->invalid = (bytes.p[1] & FLAG_INVALID) != 0;
    out->index = load_be64(bytes.p + 2);
    out->term = load_be64(bytes.p + 10);
    out->conf_index = load_be64(bytes.p + 18);
    out->restore = load_be64(bytes.p + 26);
    if (bytes.n > HEAD_N)
        TRY(member_decode(str_from(bytes, HEAD_N), &out->conf, err));
    if (!out->invalid && (out->index == 0 || out->term == 0 || out->conf.n == 0 ||
                          out->conf_index > out->index)) {
        mark_clear(out);
        return err_set(err, ERR_CORRUPT, "raft: the store's mark makes no sense");
    }
    return 0;
}

int mark_copy(const struct mark *m, struct mark *out, struct err *err)
{
    *out = *m;
    return member_copy(&m->conf, &out->conf, err);
}

void mark_clear(struct mark *m)
{
    member_clear(&m->conf);
    *m = (struct mark){ 0 };
}
