/* Fuzz target: the proxy's header reads the same whole and byte by byte, and stays in its bounds. */
#include <arpa/inet.h>
#include <stdlib.h>

#include "net/proxyproto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check(const struct proxyproto *p)
{
    uint8_t addr[16];
    if (!p->known)
        return;
    must(inet_pton(AF_INET, p->addr, addr) == 1 || inet_pton(AF_INET6, p->addr, addr) == 1);
    must(p->port >= 0 && p->port <= 65535);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxyproto whole = { 0 }, part = { 0 };
    int n = proxyproto_parse(str_mem(data, size), &whole), m = PROXYPROTO_MORE;
    must(n >= PROXYPROTO_MORE && (n < 0 || (size_t)n <= size));
    must(n != PROXYPROTO_MORE || size < PROXYPROTO_MAX);
    /* Each prefix in memory of its own, so that a read past its end is seen. */
    for (size_t i = 0; i < size && i < 600 && m == PROXYPROTO_MORE; i++) {
        char *copy = malloc(i + 1);
        memcpy(copy, data, i + 1);
        m = proxyproto_parse(str_mem(copy, i + 1), &part);
        free(copy);
    }
    must(m == n || size > 600 || (n == 0 && m == PROXYPROTO_MORE));
    if (n > 0)
        check(&whole);
    return 0;
}
