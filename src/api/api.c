/* From an exchange to whoever answers it: a fixed handler, the pipeline, the web interface. */
#include "api/api.h"

#include <stdlib.h>

#include "api/call.h"
#include "api/lobby.h"
#include "api/monitor.h"
#include "api/ui.h"
#include "base/epoch.h"
#include "core/handle.h"
#include "core/recovery.h"
#include "core/service.h"

int api_new(const struct api_settings *settings, struct api **out, struct err *err)
{
    struct api *a = malloc(sizeof *a);
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    *a = (struct api){ .settings = *settings };
    if (monitor_new(&a->monitor, err) < 0
        || (settings->core->ha != NULL
            && lobby_new(lifecycle_service(settings->lifecycle), settings->forwarder,
                         forward_resume, a, &a->lobby, err) < 0)) {
        api_free(a);
        return -1;
    }
    *out = a;
    return 0;
}

void api_end_streams(struct api *a)
{
    monitor_end(a->monitor);
    lobby_end(a->lobby);
}

void api_free(struct api *a)
{
    if (a == NULL)
        return;
    lobby_free(a->lobby);
    monitor_free(a->monitor);
    free(a);
}

static void on_worker(void *ctx, struct http_exchange *x);

/* It is the active node's.  Waiting for that one is for a worker. */
static void forward(struct call *c)
{
    if (c->on_loop)
        http_offload(c->x, forward_resume, c->api);
    else
        forward_call(c);
}

/*
 * The pipeline.  On the loop it may turn out that the request must wait: a worker starts over.
 * 1: it is the active node's; nothing is answered.
 */
static int logical(struct call *c)
{
    struct err err = { 0 };
    struct request *req;
    int status;
    switch (index_required(c)) {
    case INDEX_REFUSED: return 0;
    case INDEX_ELSEWHERE: return 1;
    case INDEX_LATER: http_offload(c->x, on_worker, c->api); return 0;
    case INDEX_HERE: break;
    }
    if (read_request(c, &req, &status, &err) < 0) {
        answer_error(c, status, err_text(&err));
        return 0;
    }
    struct response resp = { .arena = c->arena };
    epoch_enter();
    int result = handle(c->api->settings.lifecycle, req, &resp);
    bool elsewhere = result < 0 && req->err.code == ERR_STANDBY && req->elsewhere;
    c->wrote = req->wrote;
    if (elsewhere)
        ;
    else if (result < 0 && req->err.code == ERR_MUST_WAIT && c->on_loop)
        http_offload(c->x, on_worker, c->api);
    else
        answer_logical(c, req, &resp, result);
    epoch_leave();
    return elsewhere;
}

static bool is_standby(const struct call *c)
{
    enum service_mode mode = service_mode(lifecycle_service(c->api->settings.lifecycle));
    return mode == SERVICE_STANDBY || mode == SERVICE_TURNING;
}

static int fixed(struct call *c, const struct fixed *f)
{
    struct str method = c->x->req.method;
    fixed_fn *fn = str_is(method, "GET")                             ? f->get
                   : str_is(method, "PUT") || str_is(method, "POST") ? f->put
                   : str_is(method, "DELETE")                        ? f->del
                   : str_is(method, "HEAD") && (f->flags & FIXED_HEAD)               ? f->get
                                                                     : NULL;
    if (fn == NULL)
        answer_error(c, 405, STR(""));
    else if ((f->flags & FIXED_ACTIVE) && is_standby(c))
        return 1;
    else if (c->on_loop && !(f->flags & FIXED_QUICK))
        http_offload(c->x, on_worker, c->api);
    else {
        c->wrote = (f->flags & FIXED_ACTIVE) && fn != f->get;
        fn(c);
    }
    return 0;
}

/* A server that only mends: its token's way, and sys/raw. */
static int recovery(struct call *c)
{
    struct err err = { 0 };
    struct request *req;
    int status;
    const struct fixed *f = recovery_fixed_find(c->path);
    if (f != NULL)
        return fixed(c, f);
    if (c->on_loop) {
        http_offload(c->x, on_worker, c->api);
        return 0;
    }
    if (read_request(c, &req, &status, &err) < 0) {
        answer_error(c, status, err_text(&err));
        return 0;
    }
    struct response resp = { .arena = c->arena };
    int result = recovery_handle(c->api->settings.recovery, req, &resp);
    answer_logical(c, req, &resp, result);
    return 0;
}

static bool has_control(struct str path)
{
    for (size_t i = 0; i < path.n; i++)
        if ((unsigned char)path.p[i] < 0x20 || path.p[i] == 0x7f)
            return true;
    return false;
}

/* 1: it is the active node's; nothing is answered. */
static int answer_here(struct call *c)
{
    struct str decoded, cleaned;
    if (cors_answers(c))
        return 0;
    if (url_decode_path(c->arena, c->x->req.path, &decoded) < 0) {
        answer_error(c, 400, STR(""));
        return 0;
    }
    if (url_clean_path(c->arena, decoded, &cleaned) || str_is(decoded, "/v1/sys")) {
        struct str to = str_is(cleaned, "/v1/sys") ? STR("/v1/sys/") : cleaned;
        struct str query = c->x->req.query;
        to = url_encode_path(c->arena, to);
        answer_redirect(c, 301, query.n == 0 ? to
                                             : arena_printf(c->arena, STR_FMT "?" STR_FMT,
                                                            STR_ARG(to), STR_ARG(query)));
        return 0;
    }
    if (!str_starts(decoded, STR("/v1/"))) {
        ui_answer(c, decoded);
        return 0;
    }
    if (has_control(decoded)) {
        answer_bare(c, 400);
        return 0;
    }
    c->path = str_from(decoded, 4);
    c->query = url_parse_query(c->arena, c->x->req.query);
    if (c->api->settings.recovery != NULL)
        return recovery(c);
    const struct fixed *f = fixed_find(c->path);
    if (f != NULL)
        return fixed(c, f);
    if (!metrics_are_open(c))
        return logical(c);
    if (c->on_loop)
        http_offload(c->x, on_worker, c->api);
    else
        metrics_get(c);
    return 0;
}

int call_again(struct call *c)
{
    return answer_here(c);
}

static void on_worker(void *ctx, struct http_exchange *x)
{
    struct call c = { .api = ctx, .x = x, .arena = x->req.arena };
    struct err late = { ERR_TIMEOUT, "context deadline exceeded" };
    int64_t deadline = read_deadline_ns(&c);
    /* It waited for a worker for so long that nobody may wait for its answer any more. */
    if (deadline != 0 && clock_now_ns(c.api->settings.core->clock) > deadline)
        answer_failure(&c, &late);
    else if (answer_here(&c) > 0)
        forward(&c);
}

void api_handle(void *ctx, struct http_exchange *x)
{
    struct call c = { .api = ctx, .x = x, .arena = x->req.arena, .on_loop = true };
    x->seen_ns = clock_now_ns(c.api->settings.core->clock);
    if (answer_here(&c) > 0)
        forward(&c);
}
