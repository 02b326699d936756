/* X-Forwarded-For (Vault docs: configuration/listener/tcp). */
#include "api/peer.h"

#include "codec/base64.h"
#include "logical/cidr.h"

/* All addresses of all such headers, first hop first. */
static struct strs chain_of(struct arena *a, const struct http_request *h)
{
    struct strs chain = { 0 };
    for (size_t i = 0; i < h->n_headers; i++) {
        struct str rest = h->headers[i].value, part;
        if (!str_eq_nocase(h->headers[i].name, STR("X-Forwarded-For")))
            continue;
        while (str_next(&rest, ',', &part))
            strs_add(a, &chain, str_trim(part));
    }
    return chain;
}

struct str peer_print(struct arena *a, const struct peer *p)
{
    return arena_printf(a, STR_FMT " %d %s", STR_ARG(p->addr), p->port, p->tls ? "tls" : "plain");
}

/* "address port tls|plain", and nothing else. */
static int parse_peer(struct str text, struct peer *out, struct err *err)
{
    struct str addr, port, kind, rest = text;
    int64_t n;
    bool whole = str_next(&rest, ' ', &addr) && str_next(&rest, ' ', &port)
                 && str_next(&rest, ' ', &kind) && rest.p == NULL;
    bool tls = whole && str_is(kind, "tls");
    if (!whole || !(tls || str_is(kind, "plain")) || !str_to_i64(port, &n) || n < 0 || n > 65535)
        return err_set(err, ERR_BAD_REQUEST, "malformed " PEER_HEADER_ADDR " header");
    *out = (struct peer){ .addr = addr, .port = (int)n, .tls = tls };
    return 0;
}

/* The client of whom another member tells. */
static int peer_told(struct arena *a, const struct http_request *h, struct peer *out,
                     struct err *err)
{
    TRY(parse_peer(http_header(h, PEER_HEADER_ADDR, NULL), out, err));
    for (size_t i = 0; i < h->n_headers; i++) {
        struct str der;
        if (!str_eq_nocase(h->headers[i].name, STR(PEER_HEADER_CERT)))
            continue;
        if (base64_decode(a, h->headers[i].value, &der, err) < 0)
            return err_set(err, ERR_BAD_REQUEST, "malformed " PEER_HEADER_CERT " header");
        strs_add(a, &out->certs_der, der);
    }
    return arena_check(a, err);
}

int peer_of(struct arena *a, const struct http_request *h, struct peer *out, struct err *err)
{
    const struct api_listener *rules = http_listener_user(h->listener);
    if (h->member.n > 0)
        return peer_told(a, h, out, err);
    *out = (struct peer){ h->peer_addr, h->peer_port, h->tls, h->peer_certs_der };
    if (rules == NULL || rules->authorized.n == 0)
        return 0;
    struct strs chain = chain_of(a, h);
    if (chain.n == 0)
        return !rules->reject_not_present
                   ? 0
                   : err_set(err, ERR_BAD_REQUEST, "missing x-forwarded-for header and configured "
                                                   "to reject when not present");
    if (!cidr_allows(&rules->authorized, h->peer_addr))
        return !rules->reject_not_authorized
                   ? 0
                   : err_set(err, ERR_BAD_REQUEST, "client address not authorized for "
                                                   "x-forwarded-for and configured to reject "
                                                   "connection");
    if ((int64_t)chain.n - 1 - rules->hop_skips < 0)
        return err_set(err, ERR_BAD_REQUEST,
                       "malformed x-forwarded-for configuration or request, hops to skip (%lld) "
                       "would skip before earliest chain link (chain length %zu)",
                       (long long)rules->hop_skips, chain.n);
    out->addr = chain.v[chain.n - 1 - (size_t)rules->hop_skips];
    return arena_check(a, err);
}
