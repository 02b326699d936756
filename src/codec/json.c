/* The tree of JSON values: making, changing, reading. */
#include "codec/json.h"

#include <math.h>
#include <stdlib.h>

/* ------------------------------------------------------------------- making */

static struct json *make(struct arena *a, enum json_type type)
{
    struct json *v = arena_alloc(a, sizeof *v);
    if (v == NULL)
        return NULL;
    v->type = type;
    v->arena = a;
    return v;
}

static struct json *make_text(struct arena *a, enum json_type type, struct str text)
{
    struct json *v = make(a, type);
    if (v != NULL)
        v->text = text;
    return v;
}

struct json *json_null(struct arena *a)
{
    return make(a, JSON_NULL);
}

struct json *json_bool(struct arena *a, bool truth)
{
    struct json *v = make(a, JSON_BOOL);
    if (v != NULL)
        v->truth = truth;
    return v;
}

static struct json *make_decimal(struct arena *a, uint64_t size, bool minus)
{
    char text[20], *p = text + sizeof text;
    do {
        *--p = (char)('0' + size % 10);
        size /= 10;
    } while (size > 0);
    struct str number = { p, (size_t)(text + sizeof text - p) };
    return json_number(a, arena_cat(a, minus ? STR("-") : STR(""), number));
}

struct json *json_int(struct arena *a, int64_t v)
{
    return make_decimal(a, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, v < 0);
}

struct json *json_uint(struct arena *a, uint64_t v)
{
    return make_decimal(a, v, false);
}

struct json *json_number(struct arena *a, struct str text)
{
    return make_text(a, JSON_NUMBER, text);
}

struct json *json_str(struct arena *a, struct str s)
{
    return make_text(a, JSON_STRING, s);
}

struct json *json_raw(struct arena *a, struct str text)
{
    return make_text(a, JSON_RAW, text);
}

struct json *json_array(struct arena *a)
{
    return make(a, JSON_ARRAY);
}

struct json *json_object(struct arena *a)
{
    return make(a, JSON_OBJECT);
}

static void link_last(struct json *container, struct json *v)
{
    v->next = NULL;
    if (container->last == NULL)
        container->first = v;
    else
        container->last->next = v;
    container->last = v;
    container->count++;
}

/* The node without its members. */
static struct json *copy_node(struct arena *a, const struct json *v)
{
    struct json *copy = make(a, v->type);
    if (copy == NULL)
        return NULL;
    copy->truth = v->truth;
    copy->keep_order = v->keep_order;
    copy->text = arena_dup(a, v->text);
    return copy;
}

/* A container under way: its next member, and the copy that receives it. */
struct level {
    const struct json *next;
    struct json *to;
    struct level *above;
};

/* No recursion: clients send trees deeper than a worker's stack. */
struct json *json_copy(struct arena *a, const struct json *v)
{
    struct json *copy = v == NULL ? NULL : copy_node(a, v);
    if (copy == NULL)
        return NULL;
    struct level outermost = { v->first, copy, NULL }, *at = &outermost, *spare = NULL;
    while (at != NULL) {
        const struct json *child = at->next;
        if (child == NULL) {
            struct level *done = at;
            at = done->above;
            if (done != &outermost) {
                done->above = spare;
                spare = done;
            }
            continue;
        }
        at->next = child->next;
        struct json *twin = copy_node(a, child);
        if (twin == NULL)
            return NULL;
        if (at->to->type == JSON_OBJECT)
            twin->key = arena_dup(a, child->key);
        link_last(at->to, twin);
        if (child->first == NULL)
            continue;
        struct level *below = spare != NULL ? spare : arena_alloc(a, sizeof *below);
        if (below == NULL)
            return NULL;
        spare = spare != NULL ? spare->above : NULL;
        *below = (struct level){ child->first, twin, at };
        at = below;
    }
    return copy;
}

/* ----------------------------------------------------------------- changing */

/* The link that points to the member of that name, and the member before it. */
static struct json **find_link(struct json *object, struct str key, struct json **before)
{
    struct json **link = &object->first;
    *before = NULL;
    while (*link != NULL && !str_eq((*link)->key, key)) {
        *before = *link;
        link = &(*link)->next;
    }
    return link;
}

void json_set(struct json *object, struct str key, struct json *v)
{
    if (!json_is(object, JSON_OBJECT) || v == NULL)
        return;
    struct json *before, **link = find_link(object, key, &before), *old = *link;
    if (old == NULL) {
        json_append(object, key, v);
        return;
    }
    if (old == v)
        return;
    v->key = key;
    v->next = old->next;
    *link = v;
    if (object->last == old)
        object->last = v;
    old->next = NULL;
}

void json_append(struct json *object, struct str key, struct json *v)
{
    if (!json_is(object, JSON_OBJECT) || v == NULL)
        return;
    v->key = key;
    link_last(object, v);
}

void json_put(struct json *object, const char *key, struct json *v)
{
    json_set(object, str_of(key), v);
}

void json_put_null(struct json *object, const char *key)
{
    if (object != NULL)
        json_put(object, key, json_null(object->arena));
}

void json_put_bool(struct json *object, const char *key, bool v)
{
    if (object != NULL)
        json_put(object, key, json_bool(object->arena, v));
}

void json_put_int(struct json *object, const char *key, int64_t v)
{
    if (object != NULL)
        json_put(object, key, json_int(object->arena, v));
}

void json_put_str(struct json *object, const char *key, struct str v)
{
    if (object != NULL)
        json_put(object, key, json_str(object->arena, v));
}

void json_put_text(struct json *object, const char *key, const char *v)
{
    json_put_str(object, key, str_of(v));
}

struct json *json_put_object(struct json *object, const char *key)
{
    struct json *v = object == NULL ? NULL : json_object(object->arena);
    json_put(object, key, v);
    return v;
}

struct json *json_put_array(struct json *object, const char *key)
{
    struct json *v = object == NULL ? NULL : json_array(object->arena);
    json_put(object, key, v);
    return v;
}

struct json *json_remove(struct json *object, struct str key)
{
    if (!json_is(object, JSON_OBJECT))
        return NULL;
    struct json *before, **link = find_link(object, key, &before), *old = *link;
    if (old == NULL)
        return NULL;
    *link = old->next;
    if (object->last == old)
        object->last = before;
    object->count--;
    old->next = NULL;
    return old;
}

void json_add(struct json *array, struct json *v)
{
    if (json_is(array, JSON_ARRAY) && v != NULL)
        link_last(array, v);
}

void json_add_str(struct json *array, struct str v)
{
    if (array != NULL)
        json_add(array, json_str(array->arena, v));
}

struct json *json_add_object(struct json *array)
{
    struct json *v = array == NULL ? NULL : json_object(array->arena);
    json_add(array, v);
    return v;
}

/* ------------------------------------------------------------------ reading */

bool json_is(const struct json *v, enum json_type type)
{
    return v != NULL && v->type == type;
}

struct json *json_get(const struct json *object, struct str key)
{
    if (!json_is(object, JSON_OBJECT))
        return NULL;
    for (struct json *m = object->first; m != NULL; m = m->next)
        if (str_eq(m->key, key))
            return m;
    return NULL;
}

struct json *json_member(const struct json *object, const char *key)
{
    return json_get(object, str_of(key));
}

struct str json_get_str(const struct json *object, const char *key)
{
    const struct json *v = json_member(object, key);
    return json_is(v, JSON_STRING) ? v->text : STR("");
}

int64_t json_get_int(const struct json *object, const char *key, int64_t otherwise)
{
    int64_t v;
    return json_to_i64(json_member(object, key), &v) ? v : otherwise;
}

bool json_get_bool(const struct json *object, const char *key, bool otherwise)
{
    const struct json *v = json_member(object, key);
    return json_is(v, JSON_BOOL) ? v->truth : otherwise;
}

bool json_to_i64(const struct json *v, int64_t *out)
{
    return json_is(v, JSON_NUMBER) && str_to_i64(v->text, out);
}

bool json_to_double(const struct json *v, double *out)
{
    if (!json_is(v, JSON_NUMBER))
        return false;
    /* strtod wants an end; a number's text may be of any length. */
    AUTO(buf_free) struct buf text = { 0 };
    buf_add(&text, v->text);
    buf_byte(&text, 0);
    if (text.failed)
        return false;
    char *end;
    double value = strtod(text.p, &end);
    if (end != text.p + v->text.n || v->text.n == 0 || !isfinite(value))
        return false;
    *out = value;
    return true;
}

void json_put_strs(struct json *object, const char *key, const struct strs *list)
{
    struct json *array = json_put_array(object, key);
    for (size_t i = 0; i < list->n; i++)
        json_add_str(array, list->v[i]);
}

void json_put_strs_or_null(struct json *object, const char *key, const struct strs *list)
{
    if (list->n == 0)
        json_put_null(object, key);
    else
        json_put_strs(object, key, list);
}

struct strs json_strs(struct arena *a, const struct json *array)
{
    struct strs out = { 0 };
    for (const struct json *v = json_first(array); v != NULL; v = v->next)
        if (v->type == JSON_STRING || v->type == JSON_NUMBER)
            strs_add(a, &out, v->text);
    return out;
}
