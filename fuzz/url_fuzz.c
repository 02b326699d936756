/*
 * Fuzz target: a cleaned path is clean, cleaning it again changes nothing, and it is what walking
 * the segments one by one gives; what is encoded decodes to itself; queries split without loss.
 */
#include <stdlib.h>

#include "base/buf.h"
#include "net/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* The same by a stack of segments. */
static void clean_by_stack(struct arena *a, struct str path, struct buf *out)
{
    struct str *stack = arena_array(a, path.n + 1, sizeof *stack), rest = path, part;
    size_t depth = 0;
    while (str_next(&rest, '/', &part)) {
        if (str_is(part, ".."))
            depth -= depth > 0;
        else if (part.n > 0 && !str_is(part, "."))
            stack[depth++] = part;
    }
    for (size_t i = 0; i < depth; i++) {
        buf_add(out, STR("/"));
        buf_add(out, stack[i]);
    }
    if (depth == 0 || str_ends(path, STR("/")))
        buf_add(out, STR("/"));
}

static void check_clean(struct arena *a, struct str path)
{
    struct str clean, again, rest, part;
    AUTO(buf_free) struct buf expected = { 0 };
    bool changed = url_clean_path(a, path, &clean);
    must(changed == !str_eq(path, clean));
    must(str_starts(clean, STR("/")));
    rest = str_from(clean, 1);
    while (str_next(&rest, '/', &part))
        must(!str_is(part, "..") && !str_is(part, ".") && (part.n > 0 || rest.p == NULL));
    must(!url_clean_path(a, clean, &again) && str_eq(clean, again));
    clean_by_stack(a, path, &expected);
    must(str_eq(buf_str(&expected), clean));
}

static void check_query(struct arena *a, struct str query)
{
    struct url_query q = url_parse_query(a, query);
    size_t bytes = 0;
    for (size_t i = 0; i < q.n; i++) {
        struct str value;
        must(url_query_get(&q, q.v[i].name, &value) == 1);
        bytes += q.v[i].name.n + q.v[i].value.n;
    }
    must(bytes <= query.n && !arena_failed(a));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct str raw = str_mem(data, size), decoded, back;
    check_clean(a, raw);
    must(url_decode_path(a, url_encode_path(a, raw), &back) == 0 && str_eq(back, raw));
    if (url_decode_path(a, raw, &decoded) == 0) {
        must(decoded.n <= raw.n);
        check_clean(a, decoded);
    }
    check_query(a, raw);
    return 0;
}
