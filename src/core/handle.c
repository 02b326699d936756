/* The pipeline: every request sinks through these stages once, and its answer rises once. */
#include "core/handle.h"

#include "base/epoch.h"
#include "base/log.h"
#include "base/metric.h"
#include "core/counters.h"
#include "core/login.h"
#include "core/mount.h"
#include "core/router.h"
#include "core/service.h"
#include "core/wrap.h"
#include "logical/cidr.h"
#include "logical/help.h"
#include "storage/ha.h"

static const struct log lg = { "core" };

/* The text that Vault's aggregated errors have; the kind stays. */
static int wrap_error(struct err *err)
{
    char text[sizeof err->msg];
    memcpy(text, err->msg, sizeof text);
    return err_set(err, err->code, "1 error occurred:\n\t* %s\n\n", text);
}

/* Errors meant for the client as they are; all others of an engine are wrapped. */
static bool is_bare(enum err_code code)
{
    return code == ERR_BAD_REQUEST || code == ERR_DENIED || code == ERR_MUST_WAIT
           || code == ERR_NO_ROUTE || code == ERR_NO_TOKEN || code == ERR_SEALED;
}

static int unknown_token(struct request *req)
{
    return err_set(&req->err, ERR_DENIED, "permission denied");
}

/* Stage 6: who asks?  Fills in the caller's part of the request. */
static int identify(const struct active *on, struct request *req, const struct token_entry **out)
{
    const struct policy_facts *facts = NULL;
    if (req->token.n == 0)
        return err_set(&req->err, ERR_NO_TOKEN, "missing client token");
    int found = token_lookup(on->tokens, req->token, out, &req->err);
    if (found < 0)
        return -1;
    if (found == 0 && str_starts(req->path, STR("sys/wrapping/")))
        return err_set(&req->err, ERR_BAD_REQUEST,
                       "wrapping token is not valid or does not exist");
    if (found == 0)
        return unknown_token(req);
    const struct token_entry *e = *out;
    if (e->bound_cidrs.n > 0
        && (req->peer == NULL || !cidr_allows(&e->bound_cidrs, req->peer->addr)))
        return unknown_token(req);
    req->caller = (void *)e;
    req->token_accessor = e->accessor;
    req->display_name = e->display_name;
    req->entity_id = e->entity_id;
    req->token_hash = e->sid;
    req->cubbyhole_id = e->cubbyhole_id;
    req->policies = e->policies;
    req->root = e->root;
    if (e->entity_id.n == 0)
        return 0;
    struct strs all = strs_copy(req->arena, &e->policies);
    found = identity_of_token(on->identity, req->arena, e->entity_id, &all, &facts, &req->err);
    if (found < 0)
        return -1;
    if (found == 0)
        return unknown_token(req);
    req->policies = all;
    req->facts = facts;
    return arena_check(req->arena, &req->err);
}

/* A write creates or updates, which are two capabilities: ask the route. */
static int settle_operation(struct request *req)
{
    if (req->op != OP_UPDATE || req->route == NULL || req->route->exists == NULL)
        return 0;
    int there = route_exists(req);
    if (there < 0)
        return -1;
    if (there == 0)
        req->op = OP_CREATE;
    return 0;
}

/* Stage 7: allowed? */
static int permit(const struct active *on, struct request *req)
{
    const struct policy_acl *acl;
    struct policy_verdict verdict;
    if (req->root)
        return 0;
    TRY(policy_store_acl(on->policies, &req->policies, req->facts, &acl, &req->err));
    bool sudo = req->route != NULL && (req->route->flags & ROUTE_SUDO) != 0;
    policy_acl_check(acl,
                     &(struct policy_question){ .op = req->op,
                                                .path = req->path,
                                                .data = req->data,
                                                .wrap_ttl_s = req->wrap_ttl_s,
                                                .needs_sudo = sudo },
                     &verdict);
    return verdict.allowed ? 0 : err_set(&req->err, ERR_DENIED, "permission denied");
}

int handle_is_sudo(const struct active *on, struct request *req)
{
    const struct policy_acl *acl;
    struct policy_verdict verdict = { 0 };
    if (req->root)
        return 1;
    TRY(policy_store_acl(on->policies, &req->policies, req->facts, &acl, &req->err));
    policy_acl_check(acl,
                     &(struct policy_question){ .op = req->op,
                                                .path = req->path,
                                                .data = req->data,
                                                .wrap_ttl_s = req->wrap_ttl_s,
                                                .needs_sudo = true },
                     &verdict);
    return verdict.sudo;
}

/* A token with limited uses is charged even when the request will be refused. */
static int charge(const struct active *on, struct request *req, const struct token_entry *e,
                  bool *last)
{
    *last = false;
    if (e->num_uses == 0)
        return 0;
    if (!req->may_block)
        return err_set(&req->err, ERR_MUST_WAIT, "a use must be counted");
    req->wrote = true;
    int alive = token_use(on->tokens, e, last, &req->err);
    return alive < 0 ? -1 : alive == 0 ? unknown_token(req) : 0;
}

/* May this wait, where it must not?  Then nothing is done yet, and a worker starts over. */
static int check_patience(const struct active *on, struct request *req)
{
    if (req->may_block)
        return 0;
    bool slow = req->route != NULL && (req->route->flags & ROUTE_SLOW) != 0;
    bool commits = req->op != OP_READ && req->op != OP_LIST && req->op != OP_HELP
                   && !(req->route != NULL && (req->route->flags & ROUTE_NO_COMMIT) != 0);
    if (slow || req->wrap_ttl_s > 0 || (commits && on->storage->writes_block)
        || on->storage->reads_block || broker_active(on->broker))
        return err_set(&req->err, ERR_MUST_WAIT, "may have to wait");
    return 0;
}

/*
 * max_request_duration: is the time over?  A stage that has begun is finished, for half of a write
 * helps nobody.
 */
static int check_time(const struct active *on, struct request *req)
{
    if (req->deadline_ns == 0 || clock_now_ns(on->settings->clock) < req->deadline_ns)
        return 0;
    return err_set(&req->err, ERR_TIMEOUT, "context deadline exceeded");
}

/* The engine's part; ${start_ns} becomes the time of its end. */
static int call_route(const struct active *on, struct request *req, struct response *resp,
                      int64_t *start_ns)
{
    const struct mount *m = req->mount;
    TRY(check_time(on, req));
    int result = req->op == OP_HELP ? help_answer(req, m->engine, resp) : route_call(req, resp);
    if (m != NULL && req->op <= OP_DELETE)
        *start_ns = metric_since(m->metrics[req->op], *start_ns);
    return result;
}

/* Stages 9 and 10 for a request whose caller is known and permitted. */
static int work(const struct active *on, struct request *req, struct response *resp, int64_t *at_ns)
{
    int result = call_route(on, req, resp, at_ns);
    if (result <= 0) {
        if (result < 0 && !is_bare(req->err.code))
            wrap_error(&req->err);
        return result;
    }
    if (resp->lease != NULL && resp->lease->leased) {
        req->wrote = true;
        TRY(lease_register(on->leases, req, resp, &req->err));
    }
    return 1;
}

static int finish(const struct active *on, struct request *req, struct response *resp,
                  const struct token_entry *e, int result)
{
    struct err audit = { 0 };
    const struct err *failure = result < 0 ? &req->err : NULL;
    if (result > 0 && req->wrap_ttl_s > 0 && resp->status == 0 && !resp->has_raw
        && (resp->data != NULL || resp->auth != NULL)
        && wrap_response(on, req, resp, req->wrap_ttl_s) < 0)
        result = -1;
    if (broker_log_response(on->broker, req, e, resp, failure, &audit) < 0)
        return err_set(&req->err, ERR_INTERNAL, "1 error occurred:\n\t* %s\n\n", audit.msg);
    return result;
}

/* A standby found that it would have to write: the active node does it all, and writes it down. */
static bool leaves(const struct active *on, const struct request *req)
{
    return on->standby && req->err.code == ERR_STANDBY;
}

/*
 * Write a refusal down, as a request with its reason and an answer with the aggregated text; the
 * client gets the latter too, but for what concerns the token itself (${bare}).
 */
static int refuse(const struct active *on, struct request *req, const struct token_entry *e,
                  bool bare)
{
    struct err audit = { 0 }, wrapped = req->err;
    struct response none = { .arena = req->arena };
    if (req->err.code == ERR_MUST_WAIT || leaves(on, req))
        return -1;
    wrap_error(&wrapped);
    if (broker_log_request(on->broker, req, e, &req->err, &audit) < 0
        || broker_log_response(on->broker, req, e, &none, &wrapped, &audit) < 0)
        LOG(&lg, ERROR, "failed to audit a refused request: path=" STR_FMT " error=%s",
            STR_ARG(req->path), audit.msg);
    if (!bare)
        req->err = wrapped;
    return -1;
}

/* The caller's stages in order: known, charged, permitted.  ${bare}: see refuse. */
static int admit(const struct active *on, struct request *req, const struct token_entry **e,
                 bool *last, bool *bare)
{
    *bare = true;
    TRY(check_time(on, req));
    TRY(identify(on, req, e));
    if (!req->may_block && (*e)->num_uses != 0)
        return err_set(&req->err, ERR_MUST_WAIT, "a use must be counted");
    TRY(check_patience(on, req));
    struct err exists_failure = { 0 };
    if (req->backend_open && settle_operation(req) < 0)
        exists_failure = req->err;
    TRY(charge(on, req, *e, last));
    *bare = false;
    TRY(permit(on, req));
    if (exists_failure.code == ERR_NONE)
        return 0;
    req->err = exists_failure;
    *bare = is_bare(req->err.code);
    return -1;
}

/* The token's last use is over: it goes, and what it leased would go with it. */
static int end_token(const struct active *on, struct request *req, const struct response *resp,
                     int result)
{
    struct err err = { 0 };
    if (token_revoke_tree(on->tokens, req->token, &err) < 0)
        LOG(&lg, ERROR, "failed to revoke a token after its last use: error=%s", err.msg);
    if (result > 0 && resp->lease != NULL && resp->lease->lease_id.n > 0)
        return err_set(&req->err, ERR_BAD_REQUEST,
                       "Secret cannot be returned; token had one use left, so leased "
                       "credentials were immediately revoked.");
    return result;
}

static int with_token(const struct active *on, struct request *req, struct response *resp)
{
    const struct token_entry *e = NULL;
    struct err audit = { 0 };
    bool last = false, bare;

    /* The clock is read once at each border between stages, for both of them. */
    int64_t start = metric_now_ns(), at = start;
    int result = admit(on, req, &e, &last, &bare);
    if (req->err.code != ERR_MUST_WAIT)
        at = metric_since(METRIC_CORE_CHECK_TOKEN, start);
    if (result < 0) {
        result = refuse(on, req, e, bare);
    } else if (broker_log_request(on->broker, req, e, NULL, &audit) < 0) {
        result = err_set(&req->err, ERR_INTERNAL, "1 error occurred:\n\t* %s\n\n", audit.msg);
    } else {
        if (broker_active(on->broker))
            at = metric_now_ns();
        result = req->backend_open ? work(on, req, resp, &at) : router_refuse(req);
        if (result < 0 && (req->err.code == ERR_MUST_WAIT || leaves(on, req)))
            return -1;
        result = finish(on, req, resp, e, result);
    }
    if (req->wrap_ttl_s > 0 || broker_active(on->broker))
        at = metric_now_ns();
    if (req->err.code != ERR_MUST_WAIT)
        metric_span(METRIC_CORE_HANDLE_REQUEST, start, at);
    return last ? end_token(on, req, resp, result) : result;
}

static int without_token(const struct active *on, struct request *req, struct response *resp)
{
    struct err audit = { 0 };
    int64_t start = metric_now_ns(), at = start;
    TRY(check_patience(on, req));
    if (broker_log_request(on->broker, req, NULL, NULL, &audit) < 0)
        return err_set(&req->err, ERR_INTERNAL, "1 error occurred:\n\t* %s\n\n", audit.msg);
    int result = call_route(on, req, resp, &at);
    if (result < 0 && (req->err.code == ERR_MUST_WAIT || leaves(on, req)))
        return -1;
    if (result > 0 && resp->auth != NULL)
        result = login_finish(on, req, resp);
    result = finish(on, req, resp, NULL, result);
    metric_since(METRIC_CORE_HANDLE_LOGIN, start);
    return result;
}

static int elsewhere(struct request *req)
{
    req->elsewhere = true;
    return err_set(&req->err, ERR_STANDBY, "node is not active");
}

/* Nothing that this request does can change the store. */
static bool only_reads(const struct request *req)
{
    unsigned flags = req->route == NULL ? 0 : req->route->flags;
    bool reads = req->op == OP_READ || req->op == OP_LIST || req->op == OP_HELP;
    return (reads || (flags & ROUTE_NO_COMMIT)) && !(flags & ROUTE_ACTIVE) && req->wrap_ttl_s == 0;
}

/*
 * In a cluster: may this node answer?  A standby what only reads; nobody when what its store shows
 * may be older than what was acknowledged.  That holds for writes too: a commit proves that its
 * node leads, but a refusal (of a check-and-set, say) rests on what was read.
 */
static int check_place(const struct active *on, struct request *req)
{
    struct ha *ha = on->settings->ha;
    if (ha == NULL)
        return 0;
    bool reads = only_reads(req);
    if (on->standby
        && (!reads || on->settings->forward_reads || (!req->backend_open && req->mount != NULL)))
        return elsewhere(req);
    if (!req->sure && !ha->ops->may_read(ha))
        return elsewhere(req);
    req->wrote = !reads;
    return 0;
}

static int sealed(struct lifecycle *l, struct request *req)
{
    if (service_mode(lifecycle_service(l)) != SERVICE_OFF)
        return elsewhere(req);
    return err_set(&req->err, ERR_SEALED, "%sVault is sealed",
                   req->token.n > 0 ? "error performing token check: " : "");
}

int handle(struct lifecycle *l, struct request *req, struct response *resp)
{
    int result;
    epoch_enter();
    const struct active *on = lifecycle_active(l);
    if (on == NULL) {
        result = sealed(l, req);
    } else if (str_starts(req->path, STR("sys/wrapping/")) && wrap_undress(on, req) < 0) {
        result = -1;
    } else {
        router_find(on, req);
        if (on->counters != NULL)
            counters_request(on->counters);
        bool open_to_all = req->route != NULL && (req->route->flags & ROUTE_NO_TOKEN) != 0;
        result = check_place(on, req);
        if (result == 0)
            result = open_to_all ? without_token(on, req, resp) : with_token(on, req, resp);
        /* A standby cannot have done anything: what it may not, the active node does anew. */
        if (result < 0 && on->standby && req->err.code == ERR_STANDBY)
            req->elsewhere = true;
        /* Strings of the caller's token live in the epoch: none may be left behind. */
        req->caller = NULL;
    }
    epoch_leave();
    return result;
}

int handle_authorize(const struct active *on, struct request *req)
{
    const struct token_entry *e = NULL;
    struct err audit = { 0 };
    bool last = false, bare;
    router_find(on, req);
    int result = admit(on, req, &e, &last, &bare);
    if (result < 0)
        result = refuse(on, req, e, bare);
    else if (broker_log_request(on->broker, req, e, NULL, &audit) < 0)
        result = err_set(&req->err, ERR_INTERNAL, "1 error occurred:\n\t* %s\n\n", audit.msg);
    req->caller = NULL;
    return last ? end_token(on, req, &(struct response){ .arena = req->arena }, result) : result;
}

int handle_internal(const struct active *on, struct request *req, struct response *resp)
{
    router_find(on, req);
    if (!req->backend_open)
        return router_refuse(req);
    return route_call(req, resp);
}
