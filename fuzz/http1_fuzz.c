/*
 * Fuzz target: a stream of requests reads the same whole and in pieces, and all that is handed out
 * lies inside the input.
 */
#include <stdlib.h>

#include "base/buf.h"
#include "net/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static bool inside(struct str part, struct str whole)
{
    return part.n == 0 || ((uintptr_t)part.p >= (uintptr_t)whole.p &&
                           (uintptr_t)part.p + part.n <= (uintptr_t)whole.p + whole.n);
}

/* The end of the head, given ${step} bytes more at a time. Returns as http1_find_end. */
static int find_end(struct str in, size_t step, struct http1_scan *scan)
{
    int found = 0;
    *scan = (struct http1_scan){ 0 };
    for (size_t n = 0; found == 0 && n < in.n;) {
        n = n + step < in.n ? n + step : in.n;
        found = http1_find_end(scan, str_head(in, n));
    }
    return found;
}

/* Decode a chunked body, given ${step} bytes at a time; ${in} is stepped past what was used. */
static enum http1_piece dechunk(struct str *in, size_t step, struct buf *out)
{
    struct http1_chunked c = { 0 };
    enum http1_piece piece = HTTP1_MORE;
    while (piece == HTTP1_MORE && in->n > 0) {
        struct str part = str_head(*in, step), whole = part, data;
        while ((piece = http1_chunk_next(&c, &part, &data)) == HTTP1_DATA) {
            must(data.n > 0 && inside(data, whole));
            buf_add(out, data);
        }
        *in = str_from(*in, whole.n - part.n);
        must(piece != HTTP1_MORE || part.n == 0);
    }
    return piece;
}

static bool take_body(struct str *in, const struct http1_head *head)
{
    if (!head->chunked) {
        if (head->content_length > in->n)
            return false;
        *in = str_from(*in, (size_t)head->content_length);
        return true;
    }
    AUTO(buf_free) struct buf whole = { 0 }, pieces = { 0 };
    struct str a = *in, b = *in;
    enum http1_piece first = dechunk(&a, in->n + 1, &whole), second = dechunk(&b, 3, &pieces);
    must(first == second && a.n == b.n);
    must(str_eq(buf_str(&whole), buf_str(&pieces)));
    *in = a;
    return first == HTTP1_END;
}

static void check_head(struct str text, const struct http1_head *head)
{
    must(head->method.n > 0 && head->target.n > 0 && head->path.n > 0);
    must(inside(head->method, text) && inside(head->target, text) && inside(head->query, text));
    must(!(head->chunked && head->has_length) && (head->minor == 0 || head->minor == 1));
    for (size_t i = 0; i < head->n_headers; i++) {
        struct http_header h = head->headers[i];
        must(h.name.n > 0 && inside(h.name, text) && inside(h.value, text));
        for (size_t j = 0; j < h.value.n; j++)
            must(h.value.p[j] != '\r' && h.value.p[j] != '\n' && h.value.p[j] != 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct str in = str_mem(data, size);
    while (in.n > 0) {
        struct http1_scan scan, again;
        struct http1_head head;
        struct http1_refusal refusal = { 0 };
        int found = find_end(in, in.n, &scan);
        must(find_end(in, 1, &again) == found);
        if (found <= 0)
            break;
        must(scan.at == again.at && scan.lines == again.lines && scan.at <= in.n);
        struct str text = str_head(in, scan.at);
        in = str_from(in, scan.at);
        if (http1_parse_head(a, text, scan.lines, &head, &refusal) < 0) {
            must(refusal.status >= 400 && http1_reason(refusal.status) != NULL);
            break;
        }
        check_head(text, &head);
        if (!take_body(&in, &head))
            break;
    }
    return 0;
}
