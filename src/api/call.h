/* Call: one HTTP exchange inside this folder, from the parsed target to its answer. */
#ifndef API_CALL_H
#define API_CALL_H

#include "api/settings.h"
#include "codec/json.h"
#include "logical/request.h"
#include "logical/response.h"
#include "net/url.h"

struct lobby;
struct monitor;

struct api {
    struct api_settings settings;
    struct monitor *monitor;
    struct lobby *lobby; /* NULL: there are no other nodes */
};

struct call {
    struct api *api;
    struct http_exchange *x;
    struct arena *arena;
    struct str path;        /* below /v1/, decoded */
    struct url_query query;
    struct str origin;      /* to be told in the answer: the request crosses origins */
    bool on_loop;           /* must not wait */
    bool sure;              /* see struct request */
    bool wrote;             /* the answer tells how far the store is */
};

/* ---- answer.c ---- */

/* Send ${body} (JSON, or another type) with a status. */
void answer_send(struct call *c, int status, const char *content_type, struct str body);
/* {"errors":[text]}; an empty text gives an empty list. */
void answer_error(struct call *c, int status, struct str text);
/* By the kind of the failure, see status.c. */
void answer_failure(struct call *c, const struct err *err);
/* A tree as the whole answer, status 200. */
void answer_json(struct call *c, int status, const struct json *v);
void answer_empty(struct call *c, int status);
/* Only a status, as for what is no request to the API at all. */
void answer_bare(struct call *c, int status);
void answer_redirect(struct call *c, int status, struct str location);
/* What the pipeline returned. */
void answer_logical(struct call *c, struct request *req, struct response *resp, int result);

/* The headers of every answer into ${out}, which has room for ANSWER_HEADERS; their number. */
enum { ANSWER_HEADERS = 4 };
size_t answer_headers(const struct call *c, struct http_header *out);

/* ---- cors.c ---- */

/* True when the request was answered: a preflight, or an origin that may not call. */
bool cors_answers(struct call *c) MUST_USE;

/* ---- index.c ---- */

enum index_here { INDEX_HERE, INDEX_LATER, INDEX_ELSEWHERE, INDEX_REFUSED };
/*
 * Has this node what the request's X-Vault-Index headers ask for?  A worker waits for it a little;
 * LATER: that is to be done.  ELSEWHERE: the active node will have it.  REFUSED: answered.
 */
enum index_here index_required(struct call *c);
/* The header that tells how far the store is, of an answer to what may have written. */
bool index_header(const struct call *c, struct http_header *out);

/* ---- forward.c ---- */

/*
 * Have the active node do it all, or redirect the client there; on a worker, outside an epoch.
 * While there is none, it waits in the lobby: the exchange is answered, or not the caller's any
 * more.
 */
void forward_call(struct call *c);
/* The same, once its wait in the lobby is over. */
void forward_resume(void *api, struct http_exchange *x);

/* ---- api.c ---- */

/* The whole call once more, on this node: 0 answered, 1: the active node must do it after all. */
int call_again(struct call *c) MUST_USE;

/* ---- status.c ---- */
int status_of(enum err_code code);
/* True when the client sees only the status. */
bool status_hides_text(enum err_code code);

/* ---- read.c ---- */

/* The token that the headers carry, or empty. */
struct str read_token(const struct http_request *h);
/*
 * Unix time at which the listener's max_request_duration is over, the wait for a worker counted in;
 * 0: never.
 */
int64_t read_deadline_ns(const struct call *c);
/*
 * The request that the exchange means; -1: ${status} and err->msg are the answer.
 */
int read_request(struct call *c, struct request **out, int *status, struct err *err) MUST_USE;
/*
 * The body as an object, for handlers outside the pipeline.  -1: ERR_BAD_REQUEST,
 * "failed to parse JSON input: ...".
 */
int read_object(struct call *c, struct json **out, struct err *err) MUST_USE;

/*
 * May the caller do this?  For handlers outside the pipeline; answers itself when not.  ${sealed}
 * tells that nobody could be asked.
 */
bool read_authorized(struct call *c, bool *sealed) MUST_USE;

/* ---- fixed.c ---- */

typedef void fixed_fn(struct call *c);
struct fixed {
    const char *path;
    fixed_fn *get, *put, *del; /* put also serves POST */
    unsigned flags;
};
enum fixed_flags {
    FIXED_HEAD = 1,   /* get serves HEAD too */
    FIXED_QUICK = 2,  /* never waits: may run on the loop */
    FIXED_ACTIVE = 4, /* a standby hands it on to the active node */
};
/* The row of a path, or NULL. */
const struct fixed *fixed_find(struct str path);

/* The same on a server that only mends. */
const struct fixed *recovery_fixed_find(struct str path);

/* True for sys/metrics on a listener where it needs no token. */
bool metrics_are_open(const struct call *c);

/* Handlers, by file: seal.c, health.c, metrics.c, logstream.c, raft.c. */
fixed_fn health_get, leader_get;
fixed_fn metrics_get, monitor_get;
fixed_fn init_get, init_put, seal_status_get, unseal_put, seal_put, step_down_put;
fixed_fn rekey_get, rekey_put, rekey_del, rekey_update_put;
fixed_fn rekey_verify_get, rekey_verify_put, rekey_verify_del;
fixed_fn raft_join_put, snapshot_get, snapshot_put, snapshot_force_put;
fixed_fn genroot_get, genroot_put, genroot_del, genroot_update_put;

#endif
