/* Requests that are the active node's: handed on over the cluster port, or redirected. */
#include "api/call.h"
#include "api/lobby.h"
#include "api/peer.h"
#include "codec/base64.h"
#include "core/service.h"
#include "net/forwarder.h"

enum {
    WAIT_MS = 15000,     /* for a leader, all tries together, from the request's first sight on */
    CONNECT_MS = 2000,
    SURE_MS = 2000,      /* for the proof that this node still leads */
    AGAIN_MS = 100,      /* after a leader that could not be reached, when no other one appears */
};

/* What the active node must know of the client: headers that only members may send. */
struct told {
    struct http_header *v;
    size_t n;
};

static int tell(struct call *c, struct told *out, struct err *err)
{
    struct peer peer;
    TRY(peer_of(c->arena, &c->x->req, &peer, err));
    out->v = arena_array(c->arena, peer.certs_der.n + 1, sizeof *out->v);
    TRY(arena_check(c->arena, err));
    out->n = 0;
    out->v[out->n++] = (struct http_header){ STR(PEER_HEADER_ADDR), peer_print(c->arena, &peer) };
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

/* How long the client may still be kept waiting for a leader. */
static int64_t left_ms(const struct call *c)
{
    int64_t now = clock_now_ns(c->api->settings.core->clock), deadline = read_deadline_ns(c);
    int64_t until = c->x->seen_ns + (int64_t)WAIT_MS * 1000000;
    if (deadline != 0 && deadline < until)
        until = deadline;
    int64_t left = (until - now) / 1000000;
    return left > WAIT_MS ? WAIT_MS : left; /* the clock may have been set back */
}

static void answer_nobody(struct call *c, const struct err *err)
{
    answer_error(c, err->code == ERR_SEALED ? 503 : err->code == ERR_BAD_REQUEST ? 400 : 500,
                 err_text(err));
}

/* Until another leader than that of the term ${useless} is known; the same is tried again soon. */
static void wait_for_leader(struct call *c, uint64_t useless)
{
    struct err err = { 0 };
    int64_t left = left_ms(c);
    err_set(&err, ERR_STANDBY, "local node not active but active cluster node not found");
    if (left <= 0
        || !lobby_wait(c->api->lobby, c->x, useless,
                       useless > 0 && left > AGAIN_MS ? AGAIN_MS : left))
        answer_nobody(c, &err);
}

/*
 * A member handed the request on.  It is done here or not at all: the member finds the active node
 * itself, and what it has given up is not done late by way of this one.
 */
static void do_for_member(struct call *c)
{
    struct ha_leader leader;
    c->api->settings.core->ha->ops->leader(c->api->settings.core->ha, &leader);
    if (!leader.known || !leader.self)
        answer_bare(c, FORWARDER_MISDIRECTED);
    else if (service_mode(lifecycle_service(c->api->settings.lifecycle)) != SERVICE_ACTIVE)
        wait_for_leader(c, 0); /* it is about to be */
    else if (do_here(c) > 0)
        wait_for_leader(c, leader.term);
}

void forward_call(struct call *c)
{
    struct service *s = lifecycle_service(c->api->settings.lifecycle);
    struct err err = { 0 };
    struct told told = { 0 };
    struct service_leader leader;
    uint64_t term = 0;
    if (c->x->req.member.n > 0) {
        do_for_member(c);
        return;
    }
    int result = tell(c, &told, &err);
    if (result == 0 && service_wait_leader(s, 0, 0, &leader, &term, &err) < 0
        && err.code == ERR_STANDBY) {
        wait_for_leader(c, 0);
        return;
    }
    if (err.code != ERR_NONE) {
        answer_nobody(c, &err);
        return;
    }
    if (!leader.self && wants_redirect(c)) {
        redirect(c, &leader);
        return;
    }
    result = leader.self ? do_here(c) : hand_on(c, &leader, &told, &err);
    if (result < 0)
        answer_nobody(c, &err);
    else if (result > 0)
        wait_for_leader(c, term);
}

void forward_resume(void *api, struct http_exchange *x)
{
    struct call c = { .api = api, .x = x, .arena = x->req.arena };
    forward_call(&c);
}
