/* Reading of HAProxy's PROXY protocol (its specification, sections 2.1 and 2.2). */
#include "net/proxyproto.h"

#include <arpa/inet.h>
#include <stdint.h>

enum { V1_MAX = 107, V2_HEAD = 16 };

static const char v2_signature[] = "\r\n\r\n\0\r\nQUIT\n";

/* Whether ${in}, as far as it goes, is the start of ${text}. */
static bool may_start(struct str in, struct str text)
{
    return in.n > 0 && memcmp(in.p, text.p, in.n < text.n ? in.n : text.n) == 0;
}

static int take_v1_addr(int family, struct str addr, struct str port, struct proxyproto *out)
{
    uint64_t n;
    char bytes[16];
    if (addr.n >= sizeof out->addr || !str_to_u64(port, &n) || n > 65535)
        return -1;
    memcpy(out->addr, addr.p, addr.n);
    out->addr[addr.n] = 0;
    if (inet_pton(family, out->addr, bytes) != 1)
        return -1;
    out->port = (int)n;
    out->known = true;
    return 0;
}

/* "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n" */
static int parse_v1(struct str in, struct proxyproto *out)
{
    ptrdiff_t lf = str_find_byte(str_head(in, V1_MAX), '\n');
    if (lf < 0)
        return in.n < V1_MAX ? PROXYPROTO_MORE : -1;
    if (lf < 6 || in.p[lf - 1] != '\r')
        return -1;
    struct str line = { in.p + 6, (size_t)lf - 7 }, word[5];
    int n = 0;
    while (n < 5 && str_next(&line, ' ', &word[n]))
        n++;
    if (n > 0 && str_is(word[0], "UNKNOWN"))
        return (int)lf + 1;
    if (n != 5 || line.p != NULL)
        return -1;
    bool v4 = str_is(word[0], "TCP4");
    if (!v4 && !str_is(word[0], "TCP6"))
        return -1;
    if (take_v1_addr(v4 ? AF_INET : AF_INET6, word[1], word[3], out) < 0)
        return -1;
    return (int)lf + 1;
}

static int parse_v2(struct str in, struct proxyproto *out)
{
    const unsigned char *p = (const unsigned char *)in.p;
    if (in.n < V2_HEAD)
        return PROXYPROTO_MORE;
    size_t length = (size_t)p[14] << 8 | p[15];
    if ((p[12] >> 4) != 2 || (p[12] & 15) > 1 || V2_HEAD + length > PROXYPROTO_MAX)
        return -1;
    if (in.n < V2_HEAD + length)
        return PROXYPROTO_MORE;
    bool local = (p[12] & 15) == 0;
    const unsigned char *addr = p + V2_HEAD;
    if (!local && p[13] == 0x11) {
        if (length < 12)
            return -1;
        inet_ntop(AF_INET, addr, out->addr, sizeof out->addr);
        out->port = addr[8] << 8 | addr[9];
        out->known = true;
    } else if (!local && p[13] == 0x21) {
        if (length < 36)
            return -1;
        inet_ntop(AF_INET6, addr, out->addr, sizeof out->addr);
        out->port = addr[32] << 8 | addr[33];
        out->known = true;
    }
    return (int)(V2_HEAD + length);
}

int proxyproto_parse(struct str in, struct proxyproto *out)
{
    struct str v1 = STR("PROXY "), v2 = str_mem(v2_signature, 12);
    *out = (struct proxyproto){ 0 };
    if (may_start(in, v2))
        return in.n < v2.n ? PROXYPROTO_MORE : parse_v2(in, out);
    if (may_start(in, v1))
        return in.n < v1.n ? PROXYPROTO_MORE : parse_v1(in, out);
    return 0;
}
