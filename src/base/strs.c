/* Lists of texts. */
#include "base/strs.h"

#include <stdlib.h>

void strs_add(struct arena *a, struct strs *list, struct str s)
{
    if (list->n == list->cap) {
        size_t cap = list->cap == 0 ? 8 : list->cap * 2;
        struct str *v = arena_array(a, cap, sizeof *v);
        if (v == NULL)
            return;
        if (list->n > 0)
            memcpy(v, list->v, list->n * sizeof *v);
        list->v = v;
        list->cap = cap;
    }
    list->v[list->n++] = s;
}

bool strs_has(const struct strs *list, struct str s)
{
    for (size_t i = 0; i < list->n; i++)
        if (str_eq(list->v[i], s))
            return true;
    return false;
}

static int by_bytes(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

void strs_sort(struct strs *list)
{
    if (list->n > 1)
        qsort(list->v, list->n, sizeof *list->v, by_bytes);
}

void strs_unique(struct strs *list)
{
    struct strs kept = { list->v, 0, list->cap };
    for (size_t i = 0; i < list->n; i++)
        if (!strs_has(&kept, list->v[i]))
            kept.v[kept.n++] = list->v[i];
    *list = kept;
}

struct strs strs_split(struct arena *a, struct str s, char sep)
{
    struct strs out = { 0 };
    struct str part;
    while (str_next(&s, sep, &part)) {
        part = str_trim(part);
        if (part.n > 0)
            strs_add(a, &out, part);
    }
    return out;
}

struct str strs_join(struct arena *a, const struct strs *list, struct str between)
{
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++)
        n += list->v[i].n + (i > 0 ? between.n : 0);
    char *p = arena_bytes(a, n + 1);
    if (p == NULL)
        return (struct str){ NULL, 0 };
    size_t at = 0;
    for (size_t i = 0; i < list->n; i++) {
        if (i > 0 && between.n > 0) {
            memcpy(p + at, between.p, between.n);
            at += between.n;
        }
        if (list->v[i].n > 0)
            memcpy(p + at, list->v[i].p, list->v[i].n);
        at += list->v[i].n;
    }
    p[n] = 0;
    return (struct str){ p, n };
}

struct strs strs_copy(struct arena *a, const struct strs *list)
{
    struct strs out = { 0 };
    for (size_t i = 0; i < list->n; i++)
        strs_add(a, &out, arena_dup(a, list->v[i]));
    return out;
}

bool strs_equal(const struct strs *a, const struct strs *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!str_eq(a->v[i], b->v[i]))
            return false;
    return true;
}

int strs_collect_name(void *ctx, struct str name)
{
    struct strs_collect *c = ctx;
    strs_add(c->arena, c->list, arena_dup(c->arena, name));
    return arena_failed(c->arena) ? 1 : 0;
}
