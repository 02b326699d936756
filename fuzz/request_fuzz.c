/*
 * Fuzz target: an HTTP/1.1 request, read up to what the pipeline gets of it: path, operation,
 * fields, token, wrapping, the peer behind a proxy; and as the body of an unsealing.
 */
#include <stdlib.h>

#include "api/call.h"
#include "api/share.h"
#include "base/clock.h"
#include "net/http1.h"
#include "net/listener.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* The listener trusts every X-Forwarded-For, skipping one hop. */
static struct api_listener rules = { .hop_skips = 1 };
static struct http_listener listener = { .site.user = &rules };
static const struct core_settings core = { .clock = &clock_system };
static struct api api = { .settings = { .core = &core } };

static bool read_http(struct arena *a, struct str in, struct http_request *out)
{
    struct http1_scan scan = { 0 };
    struct http1_head head;
    struct http1_refusal refusal;
    if (http1_find_end(&scan, in) <= 0
        || http1_parse_head(a, str_head(in, scan.at), scan.lines, &head, &refusal) < 0)
        return false;
    *out = (struct http_request){
        .arena = a, .method = head.method, .target = head.target, .path = head.path,
        .query = head.query, .headers = head.headers, .n_headers = head.n_headers,
        .body = str_from(in, scan.at), .peer_addr = STR("127.0.0.1"), .listener = &listener,
    };
    return true;
}

static struct json *print_and_parse(struct arena *a, const struct json *v)
{
    AUTO(buf_free) struct buf text = { 0 };
    struct json *again;
    json_print(v, &text);
    must(json_parse_all(a, arena_dup(a, buf_str(&text)), &again, NULL) == 0);
    return again;
}

/* What all later stages rely on.  Bytes that are not UTF-8 may print as others, but then stay. */
static void check_request(const struct request *req)
{
    must(json_is(req->data, JSON_OBJECT) && req->id.n == 36 && req->peer != NULL);
    must(req->wrap_ttl_s >= 0);
    must(req->op != OP_LIST || str_ends(req->path, STR("/")));
    AUTO(arena_drop) struct arena *a = arena_new();
    struct json *again = print_and_parse(a, req->data);
    must(again->count <= req->data->count);
    must(json_equal(again, print_and_parse(a, again)));
}

static void read_share(struct call *c)
{
    struct str share, nonce;
    struct err err = { 0 };
    if (share_read(c, &share, &nonce, &err) < 0)
        must(err.code == ERR_BAD_REQUEST || err.code == ERR_TOO_LARGE);
    else
        must(share.n <= c->x->req.body.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct str all = STR("0.0.0.0/0"), decoded, cleaned;
    struct http_exchange x;
    struct request *req;
    struct err err = { 0 };
    int status = 0;
    rules.authorized = (struct strs){ .v = &all, .n = 1 };
    if (!read_http(a, str_mem(data, size), &x.req)
        || url_decode_path(a, x.req.path, &decoded) < 0)
        return 0;
    (void)url_clean_path(a, decoded, &cleaned);
    struct call c = { .api = &api, .x = &x, .arena = a, .path = cleaned };
    c.query = url_parse_query(a, x.req.query);
    if (read_request(&c, &req, &status, &err) < 0)
        must(status >= 400 && status < 500);
    else
        check_request(req);
    read_share(&c);
    return 0;
}
