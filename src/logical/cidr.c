/* Cidr: blocks of IP addresses that tokens and roles may be bound to. */
#include "logical/cidr.h"

#include <arpa/inet.h>

static bool addr_parse(struct str s, struct cidr *out)
{
    char text[INET6_ADDRSTRLEN];

    if (s.n == 0 || s.n >= sizeof text || memchr(s.p, '\0', s.n) != NULL)
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    out->v6 = str_find_byte(s, ':') >= 0;
    out->bits = out->v6 ? 128 : 32;
    return inet_pton(out->v6 ? AF_INET6 : AF_INET, text, out->addr) == 1;
}

static bool number_parse(struct str s, int most, int *out)
{
    uint64_t n;

    if (s.n > 5 || !str_to_u64(s, &n) || n > (uint64_t)most)
        return false;
    *out = (int)n;
    return true;
}

/* "a.b.c.d:port" or "[v6]:port". */
static bool host_port_parse(struct str s, struct cidr *out)
{
    ptrdiff_t colon = str_rfind_byte(s, ':');

    if (colon < 0 || !number_parse(str_from(s, (size_t)colon + 1), 65535, &out->port))
        return false;
    struct str host = str_head(s, (size_t)colon);
    if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        return addr_parse(str_head(str_from(host, 1), host.n - 2), out) && out->v6;
    return addr_parse(host, out) && !out->v6;
}

static bool parse(struct str s, struct cidr *out)
{
    ptrdiff_t slash = str_find_byte(s, '/');

    *out = (struct cidr){ 0 };
    if (slash >= 0)
        return addr_parse(str_head(s, (size_t)slash), out) &&
               number_parse(str_from(s, (size_t)slash + 1), out->v6 ? 128 : 32, &out->bits);
    return addr_parse(s, out) || host_port_parse(s, out);
}

int cidr_parse(struct str s, struct cidr *out, struct err *err)
{
    if (parse(s, out))
        return 0;
    return err_set(err, ERR_INVALID,
                   "Unable to convert \"" STR_FMT
                   "\" to an IPv4 or IPv6 address, or a UNIX Socket",
                   STR_ARG(s));
}

struct str cidr_format(struct arena *a, const struct cidr *c)
{
    char text[INET6_ADDRSTRLEN];

    if (inet_ntop(c->v6 ? AF_INET6 : AF_INET, c->addr, text, sizeof text) == NULL)
        return STR("");
    if (c->port > 0)
        return arena_printf(a, c->v6 ? "[%s]:%d" : "%s:%d", text, c->port);
    if (c->bits == (c->v6 ? 128 : 32))
        return arena_dup(a, str_of(text));
    return arena_printf(a, "%s/%d", text, c->bits);
}

/* ::ffff:a.b.c.d becomes a.b.c.d. */
static void unmap(struct cidr *c)
{
    static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

    if (c->v6 && memcmp(c->addr, mapped, sizeof mapped) == 0) {
        memmove(c->addr, c->addr + 12, 4);
        c->v6 = false;
    }
}

static bool same_bits(const uint8_t *a, const uint8_t *b, int bits)
{
    int whole = bits / 8, rest = bits % 8;

    if (memcmp(a, b, (size_t)whole) != 0)
        return false;
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

bool cidr_contains(const struct cidr *c, struct str addr)
{
    struct cidr one = { 0 };

    if (!addr_parse(addr, &one))
        return false;
    unmap(&one);
    return one.v6 == c->v6 && same_bits(one.addr, c->addr, c->bits);
}

int cidr_list(struct arena *a, const struct strs *items, struct strs *out, struct err *err)
{
    *out = (struct strs){ 0 };
    for (size_t i = 0; i < items->n; i++) {
        struct cidr c;
        if (cidr_parse(items->v[i], &c, err) < 0)
            return err_prefix(err, "error parsing address \"" STR_FMT "\"",
                              STR_ARG(items->v[i]));
        strs_add(a, out, cidr_format(a, &c));
    }
    return arena_check(a, err);
}

bool cidr_allows(const struct strs *blocks, struct str addr)
{
    for (size_t i = 0; i < blocks->n; i++) {
        struct cidr c;
        if (parse(blocks->v[i], &c) && cidr_contains(&c, addr))
            return true;
    }
    return blocks->n == 0;
}
