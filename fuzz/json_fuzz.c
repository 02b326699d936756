/* Fuzz target: what parses prints, parses again to the same tree, and prints to the same bytes. */
#include <stdlib.h>

#include "codec/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* The text of ${v} reads back as an equal tree, which has the same text. */
static void check_text(struct arena *a, const struct json *v, bool pretty)
{
    AUTO(buf_free) struct buf once = { 0 }, twice = { 0 };
    struct json *again;
    if (pretty)
        json_print_pretty(v, 2, &once);
    else
        json_print(v, &once);
    must(json_parse_all(a, buf_str(&once), &again, NULL) == 0);
    must(json_equal(v, again));
    if (pretty)
        json_print_pretty(again, 2, &twice);
    else
        json_print(again, &twice);
    must(str_eq(buf_str(&once), buf_str(&twice)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct str text = str_mem(data, size);
    struct json *v, *whole;
    struct err err = { 0 };
    size_t used = 0;
    int found = json_parse(a, text, &v, &used, &err);
    must(used <= size);
    if (found < 0) {
        must(err.code == ERR_BAD_REQUEST && err.msg[0] != 0);
        must(json_parse_all(a, text, &whole, NULL) < 0);
        return 0;
    }
    must(json_parse_all(a, str_head(text, used), &whole, NULL) == 0);
    must(json_equal(v, whole));
    must(json_equal(v, json_copy(a, v)));
    check_text(a, v, false);
    /* An indent of deep text is quadratic by its nature. */
    if (size < 2000)
        check_text(a, v, true);
    return 0;
}
