/* Answers: JSON, errors, redirects, and what the pipeline returned. */
#include "api/call.h"
#include "logical/envelope.h"

#define JSON_TYPE "application/json"

size_t answer_headers(const struct call *c, struct http_header *out)
{
    size_t n = 0;
    out[n++] = (struct http_header){ STR("Cache-Control"), STR("no-store") };
    if (c->origin.n > 0) {
        out[n++] = (struct http_header){ STR("Access-Control-Allow-Origin"), c->origin };
        out[n++] = (struct http_header){ STR("Vary"), STR("Origin") };
    }
    if (c->wrote && index_header(c, &out[n]))
        n++;
    return n;
}

void answer_send(struct call *c, int status, const char *content_type, struct str body)
{
    struct http_header headers[ANSWER_HEADERS + 1];
    size_t n = answer_headers(c, headers);
    headers[n++] = (struct http_header){ STR("Content-Type"), str_of(content_type) };
    struct http_reply reply = {
        .status = status,
        .headers = headers,
        .n_headers = n,
        .body = body,
    };
    http_answer(c->x, &reply);
}

/* The text becomes the exchange's, which wipes it once it is sent. */
static void send_buf(struct call *c, int status, struct buf *text)
{
    struct str body = arena_take(c->arena, text);
    if (body.p == NULL)
        answer_send(c, 500, JSON_TYPE, STR("{\"errors\":[\"out of memory\"]}\n"));
    else
        answer_send(c, status, JSON_TYPE, body);
}

void answer_error(struct call *c, int status, struct str text)
{
    AUTO(buf_free) struct buf b = { 0 };
    buf_add(&b, STR("{\"errors\":["));
    if (text.n > 0)
        json_print_string(text, &b);
    buf_add(&b, STR("]}\n"));
    send_buf(c, status, &b);
}

void answer_failure(struct call *c, const struct err *err)
{
    struct str text = err_text(err);
    answer_error(c, status_of(err->code), status_hides_text(err->code) ? STR("") : text);
}

void answer_json(struct call *c, int status, const struct json *v)
{
    AUTO(buf_free) struct buf b = { 0 };
    if (v == NULL || arena_failed(c->arena)) {
        b.failed = true;
    } else {
        json_print(v, &b);
        buf_byte(&b, '\n');
    }
    send_buf(c, status, &b);
}

void answer_empty(struct call *c, int status)
{
    answer_send(c, status, JSON_TYPE, STR(""));
}

void answer_bare(struct call *c, int status)
{
    struct http_reply reply = { .status = status };
    http_answer(c->x, &reply);
}

void answer_redirect(struct call *c, int status, struct str location)
{
    bool with_body = str_is(c->x->req.method, "GET");
    struct str text = with_body ? arena_printf(c->arena, "<a href=\"" STR_FMT "\">%s</a>.\n\n",
                                               STR_ARG(location),
                                               status == 301 ? "Moved Permanently"
                                                             : "Temporary Redirect")
                                : STR("");
    struct http_header headers[ANSWER_HEADERS + 2];
    size_t n = answer_headers(c, headers);
    headers[n++] = (struct http_header){ STR("Location"), location };
    if (with_body)
        headers[n++] = (struct http_header){ STR("Content-Type"),
                                             STR("text/html; charset=utf-8") };
    struct http_reply reply = {
        .status = status,
        .headers = headers,
        .n_headers = n,
        .body = text,
    };
    http_answer(c->x, &reply);
}

static bool has_content(const struct response *resp)
{
    return resp->data != NULL || resp->auth != NULL || resp->wrap != NULL || resp->top != NULL
           || resp->lease != NULL || resp->warnings != NULL || resp->empty_envelope;
}

static void answer_success(struct call *c, struct request *req, struct response *resp, int status)
{
    AUTO(buf_free) struct buf b = { 0 };
    struct err err = { 0 };
    if (resp->no_envelope) {
        answer_json(c, status, resp->data);
        return;
    }
    if (envelope_print(req, resp, &b, &err) < 0)
        answer_failure(c, &err);
    else
        send_buf(c, status, &b);
}

void answer_logical(struct call *c, struct request *req, struct response *resp, int result)
{
    bool reads = req->op == OP_READ || req->op == OP_LIST || req->op == OP_HELP;
    if (result < 0) {
        answer_failure(c, &req->err);
    } else if (resp->has_raw) {
        char *type = arena_cstr(c->arena, resp->content_type);
        answer_send(c, resp->status != 0 ? resp->status : 200, type != NULL ? type : "",
                    arena_dup(c->arena, resp->raw));
    } else if (result == 0 && !has_content(resp)) {
        if (reads)
            answer_error(c, 404, STR(""));
        else
            answer_empty(c, 204);
    } else if (!has_content(resp)) {
        answer_empty(c, resp->status != 0 ? resp->status : 204);
    } else {
        answer_success(c, req, resp, resp->status != 0 ? resp->status : result == 0 ? 404 : 200);
    }
}
