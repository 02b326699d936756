/* Reading HTTP/1.1 answers. */
#include "net/answer1.h"

#include <ctype.h>

enum { MAX_HEAD = 1024 * 1024 };

static int malformed(struct answer1 *a, const char *what)
{
    return err_set(a->err, ERR_UPSTREAM, "malformed HTTP response: %s", what);
}

static int ended_early(struct answer1 *a)
{
    return err_set(a->err, ERR_UPSTREAM, "unexpected EOF");
}

/* What is received and not used up. */
static struct str rest(const struct answer1 *a)
{
    return a->in->n == 0 ? STR("") : str_from(buf_str(a->in), a->at);
}

/* Wipe what is used up and move the rest to the front. */
static void compact(struct answer1 *a)
{
    struct buf *in = a->in;
    if (a->at == 0)
        return;
    memmove(in->p, in->p + a->at, in->n - a->at);
    explicit_bzero(in->p + in->n - a->at, a->at);
    in->n -= a->at;
    a->at = 0;
}

static void use_up(struct answer1 *a, size_t n)
{
    a->at += n;
    if (a->at == a->in->n)
        compact(a);
}

static int read_more(struct answer1 *a)
{
    compact(a);
    return a->more(a->ctx, a->in, a->err);
}

/* One line without its end, borrowed until the next read; use_up(line->n + 2) steps over it. */
static int read_line(struct answer1 *a, struct str *line)
{
    for (;;) {
        struct str held = rest(a);
        ptrdiff_t end = held.n == 0 ? -1 : str_find(held, STR("\r\n"));
        if (end >= 0) {
            *line = str_head(held, (size_t)end);
            return 0;
        }
        if (held.n > MAX_HEAD)
            return malformed(a, "line too long");
        int got = read_more(a);
        if (got <= 0)
            return got < 0 ? -1 : ended_early(a);
    }
}

static int read_status(struct answer1 *a)
{
    struct str line;
    int64_t status;
    TRY(read_line(a, &line));
    if (!str_starts(line, STR("HTTP/1.")) || line.n < 12 || line.p[8] != ' ' ||
        !str_to_i64(str_mem(line.p + 9, 3), &status) || status < 100)
        return malformed(a, "status line");
    a->keep = line.p[7] == '1';
    a->status = (int)status;
    use_up(a, line.n + 2);
    return 0;
}

bool answer1_next_header(struct str *head, struct str *name, struct str *value)
{
    struct str line;
    while (str_next(head, '\n', &line)) {
        ptrdiff_t colon = str_find_byte(line, ':');
        if (colon <= 0)
            continue;
        *name = str_head(line, (size_t)colon);
        *value = str_trim(str_from(line, (size_t)colon + 1));
        return true;
    }
    return false;
}

static int take_length(struct answer1 *a, struct str value)
{
    uint64_t n;
    if (!str_to_u64(value, &n) || (a->framing == ANSWER1_LENGTH && a->length != n))
        return malformed(a, "content length");
    a->framing = ANSWER1_LENGTH;
    a->length = n;
    return 0;
}

/* How long the body is, by the headers. */
static int read_framing(struct answer1 *a, struct str head)
{
    struct str name, value;
    bool chunked = false;
    a->framing = ANSWER1_UNTIL_CLOSE;
    while (answer1_next_header(&head, &name, &value)) {
        if (str_eq_nocase(name, STR("Connection")) && str_eq_nocase(value, STR("close")))
            a->keep = false;
        if (str_eq_nocase(name, STR("Content-Length")))
            TRY(take_length(a, value));
        if (!str_eq_nocase(name, STR("Transfer-Encoding")))
            continue;
        if (chunked || !str_eq_nocase(value, STR("chunked")))
            return malformed(a, "transfer encoding");
        chunked = true;
    }
    if (a->head_only || a->status == 204 || a->status == 304) {
        a->framing = ANSWER1_NONE;
        return 0;
    }
    if (chunked && a->framing == ANSWER1_LENGTH)
        return malformed(a, "transfer encoding");
    if (chunked)
        a->framing = ANSWER1_CHUNKED;
    return 0;
}

int answer1_head(struct answer1 *a, struct buf *head)
{
    do {
        TRY(read_status(a));
        buf_clear(head);
        for (;;) {
            struct str line;
            TRY(read_line(a, &line));
            size_t n = line.n;
            buf_add(head, line);
            buf_add(head, n > 0 ? STR("\r\n") : STR(""));
            use_up(a, n + 2);
            if (n == 0)
                break;
            if (head->n > MAX_HEAD)
                return malformed(a, "headers too long");
        }
    } while (a->status < 200);
    TRY(buf_check(head, a->err));
    return read_framing(a, buf_str(head));
}

/* Where a body goes. */
struct sink {
    int (*fn)(void *ctx, struct str part, struct err *err);
    void *ctx;
};

static int read_exactly(struct answer1 *a, uint64_t length, const struct sink *sink)
{
    while (length > 0) {
        struct str held = rest(a);
        if (held.n == 0) {
            int got = read_more(a);
            if (got <= 0)
                return got < 0 ? -1 : ended_early(a);
            continue;
        }
        size_t n = held.n < length ? held.n : (size_t)length;
        TRY(sink->fn(sink->ctx, str_head(held, n), a->err));
        use_up(a, n);
        length -= n;
    }
    return 0;
}

static int chunk_size(struct answer1 *a, struct str line, uint64_t *size)
{
    ptrdiff_t extension = str_find_byte(line, ';');
    struct str digits = str_trim(extension < 0 ? line : str_head(line, (size_t)extension));
    uint64_t v = 0;
    if (digits.n == 0 || digits.n > 15)
        return malformed(a, "chunk size");
    for (size_t i = 0; i < digits.n; i++) {
        int c = tolower((unsigned char)digits.p[i]);
        if (!isxdigit(c))
            return malformed(a, "chunk size");
        v = v * 16 + (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *size = v;
    return 0;
}

static int read_chunks(struct answer1 *a, const struct sink *sink)
{
    uint64_t size = 0;
    struct str line;
    do {
        TRY(read_line(a, &line));
        TRY(chunk_size(a, line, &size));
        use_up(a, line.n + 2);
        TRY(read_exactly(a, size, sink));
        if (size > 0) {
            TRY(read_line(a, &line));
            if (line.n != 0)
                return malformed(a, "chunk end");
            use_up(a, 2);
        }
    } while (size > 0);
    size_t n;
    do { /* trailers are of no use to us */
        TRY(read_line(a, &line));
        n = line.n;
        use_up(a, n + 2);
    } while (n > 0);
    return 0;
}

static int read_until_close(struct answer1 *a, const struct sink *sink)
{
    a->keep = false;
    for (;;) {
        struct str held = rest(a);
        if (held.n > 0) {
            TRY(sink->fn(sink->ctx, held, a->err));
            use_up(a, held.n);
        }
        int got = read_more(a);
        if (got <= 0)
            return got;
    }
}

static int read_body(struct answer1 *a, const struct sink *sink)
{
    switch (a->framing) {
    case ANSWER1_NONE:
        return 0;
    case ANSWER1_LENGTH:
        return read_exactly(a, a->length, sink);
    case ANSWER1_CHUNKED:
        return read_chunks(a, sink);
    case ANSWER1_UNTIL_CLOSE:
        return read_until_close(a, sink);
    }
    return 0;
}

int answer1_body(struct answer1 *a, int (*sink)(void *ctx, struct str part, struct err *err),
                 void *sink_ctx)
{
    struct sink to = { sink, sink_ctx };
    int rc = read_body(a, &to);
    compact(a);
    a->keep &= rc == 0 && a->in->n == 0; /* what follows was not asked for */
    return rc;
}
