/* Fuzz target: an answer reads the same whole and byte by byte. */
#include <stdlib.h>

#include "net/answer1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct source {
    struct str left;
    size_t step;
};

static void must(bool holds)
{
    if (!holds)
        abort();
}

static int more(void *ctx, struct buf *in, struct err *err)
{
    struct source *s = ctx;
    struct str part = str_head(s->left, s->step);
    s->left = str_from(s->left, part.n);
    buf_add(in, part);
    return part.n > 0;
}

static int collect(void *ctx, struct str part, struct err *err)
{
    buf_add(ctx, part);
    return 0;
}

/* 0: read whole, -1. */
static int read_all(struct str text, size_t step, bool head_only, struct answer1 *a,
                    struct buf *head, struct buf *body)
{
    AUTO(buf_free) struct buf in = { 0 };
    struct source source = { text, step };
    struct err err = { 0 };
    *a = (struct answer1){ .more = more, .ctx = &source, .in = &in, .err = &err,
                           .head_only = head_only };
    int rc = answer1_head(a, head) < 0 ? -1 : answer1_body(a, collect, body);
    must(rc == 0 || err.code != ERR_NONE);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    bool head_only = (data[0] & 1) != 0;
    struct str text = str_mem(data + 1, size - 1);
    AUTO(buf_free) struct buf head = { 0 }, body = { 0 }, head1 = { 0 }, body1 = { 0 };
    struct answer1 a, b;
    int rc = read_all(text, text.n + 1, head_only, &a, &head, &body);
    must(read_all(text, 1, head_only, &b, &head1, &body1) == rc);
    if (rc < 0)
        return 0;
    must(a.status == b.status && a.framing == b.framing && a.status >= 200);
    must(str_eq(buf_str(&head), buf_str(&head1)) && str_eq(buf_str(&body), buf_str(&body1)));
    must(!head_only || body.n == 0);
    struct str rest = buf_str(&head), name, value;
    while (answer1_next_header(&rest, &name, &value))
        must(name.n > 0 && str_find_byte(value, '\n') < 0);
    return 0;
}
