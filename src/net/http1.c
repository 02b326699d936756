/* Parser of HTTP/1.1 heads and chunked bodies: strict, in place, one pass a head. */
#include "net/http1.h"

enum { MAX_HEADERS = 4096, MAX_CHUNK_LINE = 4096, MAX_TRAILERS = 16384 };

/* What a byte may be part of. */
enum { TOKEN = 1, TARGET = 2, VALUE = 4, HOST = 8 };

#define T TOKEN | TARGET | VALUE
static const unsigned char kinds[256] = {
    ['\t'] = VALUE, [' '] = VALUE,
    ['!'] = T | HOST, ['"'] = TARGET | VALUE, ['#'] = T, ['$'] = T | HOST, ['%'] = T | HOST,
    ['&'] = T | HOST, ['\''] = T | HOST, ['('] = TARGET | VALUE | HOST,
    [')'] = TARGET | VALUE | HOST, ['*'] = T | HOST, ['+'] = T | HOST,
    [','] = TARGET | VALUE | HOST, ['-'] = T | HOST, ['.'] = T | HOST,
    ['/'] = TARGET | VALUE, ['0' ... '9'] = T | HOST, [':'] = TARGET | VALUE | HOST,
    [';'] = TARGET | VALUE | HOST, ['<'] = TARGET | VALUE, ['='] = TARGET | VALUE | HOST,
    ['>'] = TARGET | VALUE, ['?'] = TARGET | VALUE, ['@'] = TARGET | VALUE,
    ['A' ... 'Z'] = T | HOST, ['['] = TARGET | VALUE | HOST, ['\\'] = TARGET | VALUE,
    [']'] = TARGET | VALUE | HOST, ['^'] = T, ['_'] = T | HOST, ['`'] = T,
    ['a' ... 'z'] = T | HOST, ['{'] = TARGET | VALUE, ['|'] = T, ['}'] = TARGET | VALUE,
    ['~'] = T | HOST, [0x80 ... 0xff] = TARGET | VALUE,
};
#undef T

static bool all_of(struct str s, unsigned kind)
{
    for (size_t i = 0; i < s.n; i++)
        if ((kinds[(unsigned char)s.p[i]] & kind) == 0)
            return false;
    return true;
}

static int refuse(struct http1_refusal *r, int status, const char *why)
{
    *r = (struct http1_refusal){ status, why };
    return -1;
}

int http1_find_end(struct http1_scan *scan, struct str in)
{
    while (scan->at < in.n) {
        const char *lf = memchr(in.p + scan->at, '\n', in.n - scan->at);
        if (lf == NULL) {
            scan->at = in.n;
            return 0;
        }
        size_t at = (size_t)(lf - in.p), length = at - scan->line_start;
        if (length == 0 || in.p[at - 1] != '\r')
            return -1;
        scan->at = scan->line_start = at + 1;
        if (length == 1 && scan->lines > 0)
            return 1;
        /* An empty line before the request is let pass (RFC 9112 §2.2); the parser skips it. */
        if (length > 1)
            scan->lines++;
    }
    return 0;
}

/* Cut a line off; the caller knows that its CR LF is there. */
static struct str cut_line(struct str *rest)
{
    size_t n = (size_t)str_find_byte(*rest, '\n');
    struct str line = str_head(*rest, n - 1);
    *rest = str_from(*rest, n + 1);
    return line;
}

static struct str trim_blanks(struct str s)
{
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

/* Path and query out of the target: origin-form, absolute-form, "*" or CONNECT's host and port. */
static int split_target(struct http1_head *h, struct http1_refusal *r)
{
    struct str t = h->target;
    if (t.n == 0 || !all_of(t, TARGET))
        return refuse(r, 400, "malformed request target");
    if (t.p[0] != '/') {
        bool http = t.n > 7 && str_eq_nocase(str_head(t, 7), STR("http://"));
        bool https = t.n > 8 && str_eq_nocase(str_head(t, 8), STR("https://"));
        if (http || https) {
            t = str_from(t, http ? 7 : 8);
            size_t n = 0;
            while (n < t.n && t.p[n] != '/' && t.p[n] != '?')
                n++;
            if (n == 0)
                return refuse(r, 400, "malformed request target");
            t = str_from(t, n);
        } else if (str_is(h->method, "CONNECT")) {
            t = STR("");
        } else if (!(str_is(t, "*") && str_is(h->method, "OPTIONS"))) {
            return refuse(r, 400, "malformed request target");
        }
    }
    ptrdiff_t q = str_find_byte(t, '?');
    h->path = q < 0 ? t : str_head(t, (size_t)q);
    h->query = q < 0 ? STR("") : str_from(t, (size_t)q + 1);
    if (h->path.n == 0)
        h->path = STR("/");
    return 0;
}

static int parse_request_line(struct str line, struct http1_head *h, struct http1_refusal *r)
{
    ptrdiff_t first = str_find_byte(line, ' '), last = str_rfind_byte(line, ' ');
    if (first < 1 || last <= first)
        return refuse(r, 400, "malformed request line");
    h->method = str_head(line, (size_t)first);
    h->target = (struct str){ line.p + first + 1, (size_t)(last - first - 1) };
    struct str version = str_from(line, (size_t)last + 1);
    if (!all_of(h->method, TOKEN))
        return refuse(r, 400, "malformed method");
    if (version.n != 8 || memcmp(version.p, "HTTP/", 5) != 0 || version.p[6] != '.' ||
        version.p[5] < '0' || version.p[5] > '9' || version.p[7] < '0' || version.p[7] > '9')
        return refuse(r, 400, "malformed HTTP version");
    if (version.p[5] != '1' || version.p[7] > '1')
        return refuse(r, 505, "unsupported HTTP version");
    h->minor = version.p[7] - '0';
    return split_target(h, r);
}

/* What the headers that frame the message said so far. */
struct framing {
    int hosts, codings;
    bool close, keep_alive;
};

static int take_length(struct http1_head *h, struct str value, struct http1_refusal *r)
{
    uint64_t n = 0;
    bool bad = value.n == 0;
    for (size_t i = 0; i < value.n; i++) {
        bad |= value.p[i] < '0' || value.p[i] > '9' || __builtin_mul_overflow(n, 10, &n) ||
               __builtin_add_overflow(n, (uint64_t)(value.p[i] - '0'), &n);
    }
    if (bad || n > INT64_MAX)
        return refuse(r, 400, "bad Content-Length");
    if (h->has_length && h->content_length != n)
        return refuse(r, 400, "differing Content-Length headers");
    h->has_length = true;
    h->content_length = n;
    return 0;
}

static void take_connection(struct framing *f, struct str value)
{
    struct str part;
    while (value.n > 0 && str_next(&value, ',', &part)) {
        part = trim_blanks(part);
        f->close |= str_eq_nocase(part, STR("close"));
        f->keep_alive |= str_eq_nocase(part, STR("keep-alive"));
    }
}

/* Headers that decide how the message is framed; told apart by their length first. */
static int take_special(struct http1_head *h, struct framing *f, const struct http_header *header,
                        struct http1_refusal *r)
{
    struct str name = header->name, value = header->value;
    switch (name.n) {
    case 4:
        if (!str_eq_nocase(name, STR("Host")))
            return 0;
        if (f->hosts++ > 0)
            return refuse(r, 400, "too many Host headers");
        return all_of(value, HOST) ? 0 : refuse(r, 400, "malformed Host header");
    case 6:
        if (!str_eq_nocase(name, STR("Expect")))
            return 0;
        if (!str_eq_nocase(value, STR("100-continue")))
            return refuse(r, 417, "unknown expectation");
        h->expect_continue = true;
        return 0;
    case 10:
        if (str_eq_nocase(name, STR("Connection")))
            take_connection(f, value);
        return 0;
    case 14:
        return str_eq_nocase(name, STR("Content-Length")) ? take_length(h, value, r) : 0;
    case 17:
        if (!str_eq_nocase(name, STR("Transfer-Encoding")))
            return 0;
        if (f->codings++ > 0)
            return refuse(r, 400, "too many transfer encodings");
        if (!str_eq_nocase(value, STR("chunked")))
            return refuse(r, 501, "unsupported transfer encoding");
        h->chunked = true;
        return 0;
    default:
        return 0;
    }
}

static int parse_header(struct str line, struct http_header *out, struct http1_refusal *r)
{
    size_t n = 0;
    while (n < line.n && (kinds[(unsigned char)line.p[n]] & TOKEN) != 0)
        n++;
    if (n == 0 || n == line.n || line.p[n] != ':')
        return refuse(r, 400, "malformed header");
    out->name = str_head(line, n);
    out->value = trim_blanks(str_from(line, n + 1));
    return all_of(out->value, VALUE) ? 0 : refuse(r, 400, "malformed header value");
}

static int check_framing(struct http1_head *h, const struct framing *f, struct http1_refusal *r)
{
    if (h->chunked && h->has_length)
        return refuse(r, 400, "both Content-Length and Transfer-Encoding");
    if (h->chunked && h->minor == 0)
        return refuse(r, 400, "Transfer-Encoding in HTTP/1.0");
    if (f->hosts == 0 && h->minor > 0)
        return refuse(r, 400, "missing required Host header");
    h->keep_alive = h->minor > 0 ? !f->close : f->keep_alive && !f->close;
    if (h->minor == 0)
        h->expect_continue = false;
    return 0;
}

int http1_parse_head(struct arena *a, struct str head, size_t lines, struct http1_head *out,
                     struct http1_refusal *refusal)
{
    *out = (struct http1_head){ 0 };
    struct framing framing = { 0 };
    while (head.n > 1 && head.p[0] == '\r' && head.p[1] == '\n')
        head = str_from(head, 2);
    if (lines > MAX_HEADERS)
        return refuse(refusal, 431, "too many headers");
    struct http_header *headers = arena_array(a, lines, sizeof *headers);
    if (headers == NULL)
        return refuse(refusal, 431, "out of memory");
    out->headers = headers;
    TRY(parse_request_line(cut_line(&head), out, refusal));
    for (struct str line = cut_line(&head); line.n > 0; line = cut_line(&head)) {
        struct http_header *header = &headers[out->n_headers++];
        TRY(parse_header(line, header, refusal));
        TRY(take_special(out, &framing, header, refusal));
    }
    return check_framing(out, &framing, refusal);
}

/* Where in a chunked body we are. */
enum {
    SIZE_FIRST, /* the first digit of a size */
    SIZE,
    EXTENSION,  /* after ';', up to the CR */
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER,    /* the first byte of a trailer line, or the last CR */
    TRAILER_IN,
    TRAILER_LF,
    LAST_LF,
    OVER,
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A byte of "1A;ext=1\r": the next state, or -1. */
static int size_byte(struct http1_chunked *c, char byte)
{
    if (++c->line_bytes > MAX_CHUNK_LINE)
        return -1;
    if (c->state == EXTENSION) {
        if (byte == '\r')
            return SIZE_LF;
        return (kinds[(unsigned char)byte] & VALUE) != 0 ? EXTENSION : -1;
    }
    int digit = hex_digit(byte);
    if (digit >= 0) {
        if (c->left >> 59 != 0)
            return -1;
        c->left = c->left << 4 | (unsigned)digit;
        return SIZE;
    }
    if (c->state == SIZE_FIRST)
        return -1;
    if (byte == '\r')
        return SIZE_LF;
    return byte == ';' ? EXTENSION : -1;
}

/* A byte after the last chunk: trailers are read over, nobody needs them. */
static int trailer_byte(struct http1_chunked *c, char byte)
{
    if (++c->line_bytes > MAX_TRAILERS)
        return -1;
    if (c->state == TRAILER) {
        if (byte == '\r')
            return LAST_LF;
        return (kinds[(unsigned char)byte] & TOKEN) != 0 ? TRAILER_IN : -1;
    }
    if (byte == '\r')
        return TRAILER_LF;
    return (kinds[(unsigned char)byte] & VALUE) != 0 ? TRAILER_IN : -1;
}

/* Any byte that is not data: the next state, or -1. */
static int frame_byte(struct http1_chunked *c, char byte)
{
    switch (c->state) {
    case SIZE_FIRST:
    case SIZE:
    case EXTENSION:
        return size_byte(c, byte);
    case SIZE_LF:
        c->line_bytes = 0;
        if (byte != '\n')
            return -1;
        return c->left > 0 ? DATA : TRAILER;
    case DATA_CR:
        return byte == '\r' ? DATA_LF : -1;
    case DATA_LF:
        return byte == '\n' ? SIZE_FIRST : -1;
    case TRAILER:
    case TRAILER_IN:
        return trailer_byte(c, byte);
    case TRAILER_LF:
        return byte == '\n' ? TRAILER : -1;
    case LAST_LF:
        return byte == '\n' ? OVER : -1;
    default:
        return -1;
    }
}

enum http1_piece http1_chunk_next(struct http1_chunked *c, struct str *in, struct str *data)
{
    while (c->state != OVER) {
        if (in->n == 0)
            return HTTP1_MORE;
        if (c->state == DATA) {
            *data = str_head(*in, c->left < in->n ? (size_t)c->left : in->n);
            *in = str_from(*in, data->n);
            c->left -= data->n;
            if (c->left == 0)
                c->state = DATA_CR;
            return HTTP1_DATA;
        }
        int next = frame_byte(c, in->p[0]);
        if (next < 0)
            return HTTP1_BAD;
        c->state = next;
        *in = str_from(*in, 1);
    }
    return HTTP1_END;
}

const char *http1_reason(int status)
{
    static const char *const names[] = {
        [100] = "Continue", [101] = "Switching Protocols", [200] = "OK", [201] = "Created",
        [202] = "Accepted", [203] = "Non-Authoritative Information", [204] = "No Content",
        [205] = "Reset Content", [206] = "Partial Content", [300] = "Multiple Choices",
        [301] = "Moved Permanently", [302] = "Found", [303] = "See Other",
        [304] = "Not Modified", [307] = "Temporary Redirect", [308] = "Permanent Redirect",
        [400] = "Bad Request", [401] = "Unauthorized", [402] = "Payment Required",
        [403] = "Forbidden", [404] = "Not Found", [405] = "Method Not Allowed",
        [406] = "Not Acceptable", [408] = "Request Timeout", [409] = "Conflict", [410] = "Gone",
        [411] = "Length Required", [412] = "Precondition Failed",
        [413] = "Request Entity Too Large", [414] = "Request URI Too Long",
        [415] = "Unsupported Media Type", [416] = "Requested Range Not Satisfiable",
        [417] = "Expectation Failed", [418] = "I'm a teapot", [421] = "Misdirected Request",
        [422] = "Unprocessable Entity", [426] = "Upgrade Required",
        [428] = "Precondition Required", [429] = "Too Many Requests",
        [431] = "Request Header Fields Too Large", [500] = "Internal Server Error",
        [501] = "Not Implemented", [502] = "Bad Gateway", [503] = "Service Unavailable",
        [504] = "Gateway Timeout", [505] = "HTTP Version Not Supported",
        [507] = "Insufficient Storage",
    };
    return status >= 0 && (size_t)status < ARRAY_LEN(names) ? names[status] : NULL;
}
