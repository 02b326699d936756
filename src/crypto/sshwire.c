/* SSH's data types, written and read. */
#include "crypto/sshwire.h"

static void put_be(struct buf *out, uint64_t v, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--)
        buf_byte(out, (char)(v >> (8 * i)));
}

void sshwire_u32(struct buf *out, uint32_t v)
{
    put_be(out, v, 4);
}

void sshwire_u64(struct buf *out, uint64_t v)
{
    put_be(out, v, 8);
}

void sshwire_str(struct buf *out, struct str s)
{
    if (s.n > UINT32_MAX) {
        out->failed = true;
        return;
    }
    sshwire_u32(out, (uint32_t)s.n);
    buf_add(out, s);
}

static struct str without_zeros(struct str s)
{
    while (s.n > 0 && s.p[0] == '\0')
        s = str_from(s, 1);
    return s;
}

void sshwire_mpint(struct buf *out, struct str magnitude)
{
    struct str m = without_zeros(magnitude);
    bool sign = m.n > 0 && ((uint8_t)m.p[0] & 0x80) != 0;

    sshwire_u32(out, (uint32_t)(m.n + sign));
    if (sign)
        buf_byte(out, '\0');
    buf_add(out, m);
}

bool sshwire_get_u32(struct str *rest, uint32_t *out)
{
    const uint8_t *p = (const uint8_t *)rest->p;

    if (rest->n < 4)
        return false;
    *out = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    *rest = str_from(*rest, 4);
    return true;
}

bool sshwire_get_str(struct str *rest, struct str *out)
{
    struct str s = *rest;
    uint32_t n;

    if (!sshwire_get_u32(&s, &n) || s.n < n)
        return false;
    *out = str_head(s, n);
    *rest = str_from(s, n);
    return true;
}

bool sshwire_get_mpint(struct str *rest, struct str *magnitude)
{
    struct str s = *rest, m;

    if (!sshwire_get_str(&s, &m) || (m.n > 0 && ((uint8_t)m.p[0] & 0x80) != 0))
        return false;
    *magnitude = without_zeros(m);
    *rest = s;
    return true;
}
