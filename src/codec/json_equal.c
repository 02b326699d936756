/* Whether two trees say the same; the order of members says nothing. */
#include <stdlib.h>

#include "codec/json.h"
#include "codec/members.h"

static bool children_equal(const struct json *a, const struct json *b)
{
    const struct json *y = b->first;
    for (const struct json *x = a->first; x != NULL; x = x->next, y = y->next)
        if (!json_equal(x, y))
            return false;
    return true;
}

static bool same_order(const struct json *a, const struct json *b)
{
    const struct json *y = b->first;
    for (const struct json *x = a->first; x != NULL; x = x->next, y = y->next)
        if (!str_eq(x->key, y->key))
            return false;
    return true;
}

/* Both have the same number of members. */
static bool objects_equal(const struct json *a, const struct json *b)
{
    if (same_order(a, b))
        return children_equal(a, b);
    size_t n = a->count;
    struct member *x = calloc(n, 3 * sizeof *x);
    if (x == NULL)
        return false;
    struct member *y = x + n, *scratch = y + n;
    members_list(a, x);
    members_list(b, y);
    members_sort(x, scratch, n);
    members_sort(y, scratch, n);
    bool equal = true;
    for (size_t i = 0; equal && i < n; i++)
        equal = members_cmp(&x[i], &y[i]) == 0 && json_equal(x[i].json, y[i].json);
    explicit_bzero(x, n * 3 * sizeof *x);
    free(x);
    return equal;
}

bool json_equal(const struct json *a, const struct json *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    if (a->type != b->type || a->count != b->count)
        return false;
    switch (a->type) {
    case JSON_NULL:
        return true;
    case JSON_BOOL:
        return a->truth == b->truth;
    case JSON_NUMBER:
    case JSON_STRING:
    case JSON_RAW:
        return str_eq(a->text, b->text);
    case JSON_ARRAY:
        return children_equal(a, b);
    case JSON_OBJECT:
        return objects_equal(a, b);
    }
    return false;
}
