/* Requests that are the active node's: handed on over the cluster port, or redirected. */
#include "api/call.h"
#include "api/peer.h"
#include "codec/base64.h"
#include "core/service.h"
#include "net/forwarder.h"

enum {
    WAIT_MS = 15000,     /* for a leader, all tries together */
    CONNECT_MS = 2000,
    SURE_MS = 2000,      /* for the proof that this node still leads */
    AGAIN_MS = 100,      /* after a leader that could not be reached, when no other one appears */
    HOPS = 4,
};

/* What the active node must know of the client: headers that only members may send. */
struct told {
    struct http_header *v;
    size_t n;
};

static int tell(struct call *c, int hops, struct told *out, struct err *err)
{
    struct peer peer;
    TRY(peer_of(c->arena, &c->x->req, &peer, err));
    out->v = arena_array(c->arena, peer.certs_der.n + 2, sizeof *out->v);
    TRY(arena_check(c->arena, err));
    out->n = 0;
    out->v[out->n++] = (struct http_header){ STR(PEER_HEADER_ADDR), peer_print(c->arena, &peer) };
    out->v[out->n++] = (struct http_header){ STR(PEER_HEADER_HOPS),
                                             arena_printf(c->arena, "%d", hops + 1) };
    for (size_t i = 0; i < peer.certs_der.n; i++)
        out->v[out->n++] = (struct http_header){ STR(PEER_HEADER_CERT),
                                                 base64_encode(c->arena, peer.certs_der.v[i]) };
    return arena_check(c->arena, err);
}

/* 0 answered, 1 nothing was done there: try again, -1. */
static int hand_on(struct call *c, const struct service_leader *leader, const struct told *told,
                   struct err *err)
{
    struct forwarder_call call = {
        .addr = str_of(leader->cluster_addr),
        .extra = told->v,
        .n_extra = told->n,
        .timeout_ms = CONNECT_MS,
    };
    if (forwarder_run(c->api->settings.forwarder, c->x, &call, err) == 0)
        return 0;
    return err->code == ERR_UPSTREAM ? 1 : -1;
}

/* This node is the active one after all, or has to prove that it still is. */
static int do_here(struct call *c)
{
    struct ha *ha = c->api->settings.core->ha;
    struct err err = { 0 };
    c->sure = ha->ops->may_read(ha) || ha->ops->catch_up(ha, SURE_MS, &err) == 0;
    return c->sure ? call_again(c) : 1;
}

static bool wants_redirect(const struct call *c)
{
    bool found;
    (void)http_header(&c->x->req, "X-Vault-No-Request-Forwarding", &found);
    return found || c->api->settings.forwarder == NULL;
}

static void redirect(struct call *c, const struct service_leader *leader)
{
    if (leader->api_addr[0] == 0) {
        answer_error(c, 500, STR("local node not active but active cluster node's address is "
                                 "not known"));
        return;
    }
    struct str to = str_of(leader->api_addr);
    if (str_ends(to, STR("/")))
        to.n--;
    answer_redirect(c, 307, arena_cat(c->arena, to, c->x->req.target));
}

static int64_t now_ms(const struct call *c)
{
    return clock_now_ns(c->api->settings.core->clock) / 1000000;
}

void forward_call(struct call *c)
{
    struct service *s = lifecycle_service(c->api->settings.lifecycle);
    struct err err = { 0 };
    struct told told = { 0 };
    struct service_leader leader;
    uint64_t term = 0;
    int hops = peer_hops(&c->x->req);
    int64_t until = now_ms(c) + WAIT_MS, left;
    int result = hops >= HOPS ? err_set(&err, ERR_STANDBY, "node is not active")
                              : tell(c, hops, &told, &err);
    uint64_t useless = 0;
    while (result == 0 && (left = until - now_ms(c)) > 0) {
        bool again = useless > 0 && left > AGAIN_MS;
        result = service_wait_leader(s, again ? AGAIN_MS : (int)left, useless, &leader, &term,
                                     &err);
        useless = 0;
        if (result < 0 && again && err.code == ERR_STANDBY) {
            result = 0; /* no other one: the same once more */
            continue;
        }
        if (result < 0)
            break;
        if (!leader.self && wants_redirect(c)) {
            redirect(c, &leader);
            return;
        }
        int done = leader.self ? do_here(c) : hand_on(c, &leader, &told, &err);
        if (done == 0)
            return;
        result = done < 0 ? -1 : 0;
        useless = term;
    }
    if (result == 0)
        err_set(&err, ERR_STANDBY, "local node not active but active cluster node not found");
    answer_error(c, err.code == ERR_SEALED ? 503 : err.code == ERR_BAD_REQUEST ? 400 : 500,
                 err_text(&err));
}
