/* Heads of HTTP/1 answers, written by hand into the request's arena. */
#include "net/reply1.h"

#include "net/http1.h"

enum {
    TLS_RECORD = 16384, /* head and body up to this leave as one record */
    HEAD_TAIL = 96,     /* room in a head for what the loop adds: date, connection, end */
};

/* Headers may not break out of their line: as Go, a line end becomes a space. */
static char *put_value(char *p, struct str v)
{
    for (size_t i = 0; i < v.n; i++)
        *p++ = v.p[i] == '\r' || v.p[i] == '\n' || v.p[i] == 0 ? ' ' : v.p[i];
    return p;
}

static char *put(char *p, struct str s)
{
    memcpy(p, s.p, s.n);
    return p + s.n;
}

static char *put_number(char *p, uint64_t v)
{
    char digits[20];
    size_t n = 0;
    do {
        digits[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    while (n > 0)
        *p++ = digits[--n];
    return p;
}

bool reply1_has_no_body(int status)
{
    return status == 204 || status == 304 || (status >= 100 && status < 200);
}

static char *put_status_line(char *p, int status)
{
    const char *reason = http1_reason(status);
    p = put(p, STR("HTTP/1.1 "));
    p = put_number(p, status < 0 ? 500 : (uint64_t)status);
    *p++ = ' ';
    if (reason != NULL) {
        p = put(p, str_of(reason));
    } else {
        p = put(p, STR("status code "));
        p = put_number(p, status < 0 ? 500 : (uint64_t)status);
    }
    return put(p, STR("\r\n"));
}

/* The line that says where the body ends. */
static char *put_framing(char *p, struct exchange *x, const struct http_reply *reply, bool http10)
{
    bool own_length = false;
    for (size_t i = 0; i < reply->n_headers; i++)
        own_length |= str_eq_nocase(reply->headers[i].name, STR("Content-Length"));
    if (own_length || reply1_has_no_body(x->status))
        return p;
    if (x->stream == NULL) {
        p = put(p, STR("Content-Length: "));
        p = put_number(p, x->reply_body.n);
        return put(p, STR("\r\n"));
    }
    x->chunked = !http10;
    return x->chunked ? put(p, STR("Transfer-Encoding: chunked\r\n")) : p;
}

void reply1_prepare(struct exchange *x, const struct http_reply *reply, bool http10)
{
    size_t size = 128 + HEAD_TAIL;
    for (size_t i = 0; i < reply->n_headers; i++)
        size += reply->headers[i].name.n + reply->headers[i].value.n + 4;
    bool head_only = str_is(x->pub.req.method, "HEAD") || reply1_has_no_body(x->status);
    size_t body = head_only ? 0 : x->reply_body.n;
    /* One TLS record carries both when they fit; a plain socket gathers them itself. */
    bool joined = x->pub.req.tls && body > 0 && size + body <= TLS_RECORD;
    x->head = arena_bytes(x->arena, size + (joined ? body : 0));
    if (x->head == NULL)
        return;
    char *p = put_status_line(x->head, x->status);
    for (size_t i = 0; i < reply->n_headers; i++) {
        p = put_value(p, reply->headers[i].name);
        p = put(p, STR(": "));
        p = put_value(p, reply->headers[i].value);
        p = put(p, STR("\r\n"));
    }
    p = put_framing(p, x, reply, http10);
    x->head_n = (size_t)(p - x->head);
    x->joined = joined;
    if (head_only)
        x->reply_body = STR("");
}

void reply1_complete(struct exchange *x, const char *date, bool close, bool http10)
{
    char *p = x->head + x->head_n;
    p = put(p, STR("Date: "));
    p = put(p, str_mem(date, LOOP_DATE_LEN));
    if (close)
        p = put(p, STR("\r\nConnection: close\r\n\r\n"));
    else if (http10)
        p = put(p, STR("\r\nConnection: keep-alive\r\n\r\n"));
    else
        p = put(p, STR("\r\n\r\n"));
    if (x->joined) {
        p = put(p, x->reply_body);
        x->reply_body = STR("");
    }
    x->head_n = (size_t)(p - x->head);
}
