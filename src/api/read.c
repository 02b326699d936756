/* What an HTTP request means: operation, fields, token, wrapping. */
#include <stdlib.h>

#include "api/call.h"
#include "api/peer.h"
#include "base/clock.h"
#include "base/epoch.h"
#include "base/random.h"
#include "codec/timefmt.h"
#include "core/handle.h"

struct str read_token(const struct http_request *h)
{
    struct str token = http_header(h, "X-Vault-Token", NULL);
    if (token.n > 0)
        return token;
    struct str authorization = http_header(h, "Authorization", NULL);
    return str_starts(authorization, STR("Bearer ")) ? str_trim(str_from(authorization, 7))
                                                     : (struct str){ NULL, 0 };
}

/* Go's strconv.ParseBool. */
static int go_bool(struct str s)
{
    static const char *const yes[] = { "1", "t", "T", "TRUE", "true", "True" };
    static const char *const no[] = { "0", "f", "F", "FALSE", "false", "False" };
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        if (str_is(s, yes[i]))
            return 1;
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        if (str_is(s, no[i]))
            return 0;
    return -1;
}

/* By name; pairs of one name stay in their order. */
static int pair_cmp(const void *a, const void *b)
{
    const struct url_pair *const *x = a, *const *y = b;
    int order = str_cmp((*x)->name, (*y)->name);
    return order != 0 ? order : (*x > *y) - (*x < *y);
}

/* A value for the ${n} pairs of one name: a text, or a list when there are several. */
static struct json *pairs_value(struct arena *a, const struct url_pair **pairs, size_t n)
{
    if (n == 1)
        return json_str(a, pairs[0]->value);
    struct json *list = json_array(a);
    for (size_t i = 0; i < n; i++)
        json_add_str(list, pairs[i]->value);
    return list;
}

/*
 * Query parameters are fields; a repeated one is a list.  They are sorted rather than looked for
 * one by one: strangers send as many as a body holds.
 */
static struct json *query_fields(struct call *c)
{
    struct json *o = json_object(c->arena);
    const struct url_query *q = &c->query;
    const struct url_pair **sorted = arena_array(c->arena, q->n, sizeof(struct url_pair *));
    if (sorted == NULL)
        return o;
    for (size_t i = 0; i < q->n; i++)
        sorted[i] = &q->v[i];
    if (q->n > 0)
        qsort(sorted, q->n, sizeof(struct url_pair *), pair_cmp);
    for (size_t i = 0, n; i < q->n; i += n) {
        for (n = 1; i + n < q->n && str_eq(sorted[i + n]->name, sorted[i]->name);)
            n++;
        json_append(o, sorted[i]->name, pairs_value(c->arena, sorted + i, n));
    }
    return o;
}

static struct json *form_fields(struct call *c)
{
    struct call form = *c;
    form.query = url_parse_query(c->arena, c->x->req.body);
    return query_fields(&form);
}

static bool is_form(const struct http_request *h)
{
    struct str type = http_header(h, "Content-Type", NULL);
    ptrdiff_t end = str_find_byte(type, ';');
    struct str body = str_trim(h->body);
    /* Clients like curl say "form" of JSON too: what begins like JSON is JSON. */
    if (body.n > 0 && (body.p[0] == '{' || body.p[0] == '['))
        return false;
    return str_eq_nocase(str_trim(end < 0 ? type : str_head(type, (size_t)end)),
                         STR("application/x-www-form-urlencoded"));
}

static int body_fields(struct call *c, struct json **out, int *status, struct err *err)
{
    const struct http_request *h = &c->x->req;
    if (h->body_too_large) {
        *status = 413;
        return err_set(err, ERR_TOO_LARGE, "error parsing JSON");
    }
    if (is_form(h)) {
        *out = form_fields(c);
        return arena_check(c->arena, err);
    }
    if (str_trim(h->body).n == 0) {
        *out = json_object(c->arena);
        return arena_check(c->arena, err);
    }
    if (json_parse(c->arena, h->body, out, NULL, err) < 0
        || ((*out)->type != JSON_OBJECT && (*out)->type != JSON_NULL)) {
        *status = 400;
        return err_set(err, ERR_BAD_REQUEST, "error parsing JSON");
    }
    if ((*out)->type == JSON_NULL)
        *out = json_object(c->arena);
    return arena_check(c->arena, err);
}

/* 1, 0; -1: a value that is no boolean, which Vault answers with 400 and no text. */
static int wants_list(const struct call *c)
{
    struct str value;
    if (url_query_get(&c->query, STR("list"), &value) <= 0 || value.n == 0)
        return 0;
    return go_bool(value);
}

static void drop_query(struct call *c, const char *name)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->query.n; i++)
        if (!str_is(c->query.v[i].name, name))
            c->query.v[kept++] = c->query.v[i];
    c->query.n = kept;
}

/* Method to operation; fills the fields too. */
static int read_operation(struct call *c, struct request *req, int *status, struct err *err)
{
    struct str method = c->x->req.method;
    struct str help;
    if (str_is(method, "GET") || str_is(method, "LIST")) {
        int list = str_is(method, "LIST") ? 1 : wants_list(c);
        if (list < 0) {
            *status = 400;
            return err_set(err, ERR_BAD_REQUEST, "%s", "");
        }
        drop_query(c, "list");
        req->op = list > 0 ? OP_LIST : OP_READ;
        if (list == 0 && url_query_get(&c->query, STR("help"), &help) > 0 && go_bool(help) == 1)
            req->op = OP_HELP;
        req->data = query_fields(c);
        if (list > 0 && !str_ends(c->path, STR("/")))
            req->path = arena_cat(c->arena, c->path, STR("/"));
    } else if (str_is(method, "DELETE")) {
        req->op = OP_DELETE;
        req->data = query_fields(c);
    } else if (str_is(method, "POST") || str_is(method, "PUT")) {
        req->op = OP_UPDATE;
        req->raw_body = c->x->req.body;
        TRY(body_fields(c, &req->data, status, err));
    } else if (str_is(method, "OPTIONS")) {
        *status = 400;
        return err_set(err, ERR_NO_TOKEN, "missing client token");
    } else {
        *status = 405;
        return err_set(err, ERR_UNSUPPORTED, "%s", "");
    }
    return arena_check(c->arena, err);
}

static int read_wrapping(const struct http_request *h, struct request *req, int *status,
                         struct err *err)
{
    struct err reason = { 0 };
    int64_t ns = 0;
    struct str ttl = http_header(h, "X-Vault-Wrap-TTL", NULL);
    req->wrap_jwt = str_is(http_header(h, "X-Vault-Wrap-Format", NULL), "jwt");
    if (ttl.n == 0)
        return 0;
    *status = 400;
    if (duration_parse(ttl, false, &ns, &reason) < 0)
        return err_set(err, ERR_BAD_REQUEST, "error parsing X-Vault-Wrap-TTL header: %s",
                       reason.msg);
    if (ns < 0)
        return err_set(err, ERR_BAD_REQUEST, "error parsing X-Vault-Wrap-TTL header: "
                                             "requested wrap ttl cannot be negative");
    req->wrap_ttl_s = ns / 1000000000;
    return 0;
}

static int check_override(const struct http_request *h, int *status, struct err *err)
{
    struct str value = http_header(h, "X-Vault-Policy-Override", NULL);
    if (value.n == 0 || go_bool(value) >= 0)
        return 0;
    *status = 400;
    return err_set(err, ERR_BAD_REQUEST,
                   "failed to parse X-Vault-Policy-Override header: cannot parse '' as bool: "
                   "strconv.ParseBool: parsing \"" STR_FMT "\": invalid syntax",
                   STR_ARG(value));
}

int64_t read_deadline_ns(const struct call *c)
{
    const struct api_listener *rules = http_listener_user(c->x->req.listener);
    int64_t deadline;
    if (rules == NULL || rules->max_request_ns == 0
        || __builtin_add_overflow(c->x->seen_ns, rules->max_request_ns, &deadline))
        return 0;
    return deadline;
}

int read_request(struct call *c, struct request **out, int *status, struct err *err)
{
    const struct http_request *h = &c->x->req;
    struct request *req = arena_alloc(c->arena, sizeof *req);
    struct peer *peer = arena_alloc(c->arena, sizeof *peer);
    char *id = arena_bytes(c->arena, 37);
    *status = 500;
    if (req == NULL || peer == NULL || id == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    random_uuid(id);
    if (peer_of(c->arena, h, peer, err) < 0) {
        *status = status_of(err->code);
        return -1;
    }
    *req = (struct request){
        .arena = c->arena,
        .id = str_mem(id, 36),
        .path = c->path,
        .token = read_token(h),
        .peer = peer,
        .now_ns = clock_now_ns(c->api->settings.core->clock),
        .deadline_ns = read_deadline_ns(c),
        .may_block = !c->on_loop,
        .sure = c->sure,
        .headers = (const struct request_header *)h->headers,
        .n_headers = h->n_headers,
    };
    TRY(read_operation(c, req, status, err));
    TRY(check_override(h, status, err));
    TRY(read_wrapping(h, req, status, err));
    *out = req;
    return 0;
}

/* Request headers are handed down as they are. */
_Static_assert(sizeof(struct http_header) == sizeof(struct request_header), "same shape");

int read_object(struct call *c, struct json **out, struct err *err)
{
    struct err reason = { 0 };
    struct str body = c->x->req.body;
    if (c->x->req.body_too_large)
        return err_set(err, ERR_TOO_LARGE, "failed to parse JSON input: http: request body too large");
    if (str_trim(body).n == 0)
        return err_set(err, ERR_BAD_REQUEST, "failed to parse JSON input: EOF");
    if (json_parse(c->arena, body, out, NULL, &reason) < 0)
        return err_set(err, ERR_BAD_REQUEST, "failed to parse JSON input: %s", reason.msg);
    if ((*out)->type == JSON_NULL)
        *out = json_object(c->arena);
    else if ((*out)->type != JSON_OBJECT)
        return err_set(err, ERR_BAD_REQUEST,
                       "failed to parse JSON input: json: cannot unmarshal into an object");
    return arena_check(c->arena, err);
}

bool read_authorized(struct call *c, bool *sealed)
{
    struct err err = { 0 };
    struct request *req;
    int status, result;
    *sealed = false;
    if (read_request(c, &req, &status, &err) < 0) {
        answer_error(c, status, err_text(&err));
        return false;
    }
    epoch_enter();
    const struct active *on = lifecycle_active(c->api->settings.lifecycle);
    *sealed = on == NULL;
    result = on == NULL ? 0 : handle_authorize(on, req);
    epoch_leave();
    if (result == 0)
        return true;
    /* Unlike the pipeline, here a missing token is an internal error, as in Vault. */
    if (req->err.code == ERR_NO_TOKEN)
        answer_error(c, 500, STR("1 error occurred:\n\t* missing client token\n\n"));
    else
        answer_failure(c, &req->err);
    return false;
}
