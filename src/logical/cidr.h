/* Cidr: blocks of IP addresses that tokens and roles may be bound to. */
#ifndef LOGICAL_CIDR_H
#define LOGICAL_CIDR_H

#include "base/strs.h"

struct cidr {
    bool v6;
    uint8_t addr[16]; /* network order, host bits as written; IPv4 uses the first four */
    int bits;
    int port; /* 0: any; kept for the text only */
};

/*
 * "10.0.0.0/8", "10.1.2.3", "10.1.2.3:80", "fd00::/8", "[fd00::1]:80".  -1: ERR_INVALID with
 * Vault's text.
 */
int cidr_parse(struct str s, struct cidr *out, struct err *err) MUST_USE;

/* As Vault reads it back: a block of one address loses its "/32" or "/128". */
struct str cidr_format(struct arena *a, const struct cidr *c);

/* Is the address (text, no port) within the block? An IPv4-mapped IPv6 address counts as IPv4. */
bool cidr_contains(const struct cidr *c, struct str addr);

/* Each item parsed and formatted again. -1: ERR_INVALID, "error parsing address ...". */
int cidr_list(struct arena *a, const struct strs *items, struct strs *out,
              struct err *err) MUST_USE;

/* May ${addr} use what is bound to ${blocks}? An empty list binds to nothing: yes. */
bool cidr_allows(const struct strs *blocks, struct str addr);

#endif
