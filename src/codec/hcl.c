/* The HCL parser: a descent over tokens, and the ways to read its tree. */
#include "codec/hcl.h"

#include <errno.h>
#include <stdlib.h>

#include "codec/hcl_scan.h"

#define DEPTH_MAX  100
#define LABELS_MAX 16
/* JSON objects are folded into labels up to here; deeper ones stay nested (bounds memory). */
#define FOLD_MAX 4

struct parser {
    struct hcl_scan scan;
    int depth;
};

static int parse_value(struct parser *p, struct hcl **out);

static struct hcl *value_new(struct parser *p, enum hcl_type type)
{
    struct hcl *v = arena_alloc(p->scan.arena, sizeof *v);
    if (v != NULL) {
        v->type = type;
        v->pos = p->scan.tok.pos;
    }
    return v;
}

static void add_item(struct hcl *object, struct hcl_item *item)
{
    if (object->items_end == NULL)
        object->items = item;
    else
        object->items_end->next = item;
    object->items_end = item;
    object->count++;
}

static void add_element(struct hcl *list, struct hcl *v)
{
    if (list->last == NULL)
        list->first = v;
    else
        list->last->next = v;
    list->last = v;
    list->count++;
}

static bool all_objects(const struct hcl *v)
{
    if (v->count == 0)
        return false;
    if (v->type == HCL_LIST) {
        for (const struct hcl *e = v->first; e != NULL; e = e->next)
            if (e->type != HCL_OBJECT)
                return false;
        return true;
    }
    if (v->type != HCL_OBJECT)
        return false;
    for (const struct hcl_item *i = v->items; i != NULL; i = i->next)
        if (i->value->type != HCL_OBJECT)
            return false;
    return true;
}

/* A new item with the keys of both; NULL when out of memory. */
static struct hcl_item *item_join(struct arena *a, const struct hcl_item *head,
                                  const struct hcl_item *tail, size_t tail_from)
{
    struct hcl_item *item = arena_alloc(a, sizeof *item);
    size_t n_tail = tail == NULL ? 0 : tail->n_keys - tail_from;
    struct hcl_key *keys = arena_array(a, head->n_keys + n_tail, sizeof *keys);
    if (item == NULL || keys == NULL)
        return NULL;
    memcpy(keys, head->keys, head->n_keys * sizeof *keys);
    if (n_tail > 0)
        memcpy(keys + head->n_keys, tail->keys + tail_from, n_tail * sizeof *keys);
    *item = (struct hcl_item){ keys, head->n_keys + n_tail, head->assign_line,
                               tail == NULL ? head->value : tail->value, NULL };
    return item;
}

/* The widest key of an object's items: how many labels folding would add. */
static size_t widest(const struct hcl *object)
{
    size_t n = 0;
    for (const struct hcl_item *i = object->items; i != NULL; i = i->next)
        n = i->n_keys > n ? i->n_keys : n;
    return n;
}

/* JSON: add ${item}, lists of objects as repeated keys and objects of objects as labels. */
static int add_folded(struct parser *p, struct hcl *object, struct hcl_item *item)
{
    struct hcl *v = item->value;
    if (all_objects(v) && v->type == HCL_LIST) {
        for (struct hcl *e = v->first; e != NULL; e = e->next) {
            struct hcl_item *one = item_join(p->scan.arena, item, NULL, 0);
            if (one == NULL)
                return arena_check(p->scan.arena, p->scan.err);
            one->value = e;
            TRY(add_folded(p, object, one));
        }
        return 0;
    }
    if (all_objects(v) && v->type == HCL_OBJECT && item->n_keys + widest(v) <= FOLD_MAX) {
        for (struct hcl_item *sub = v->items; sub != NULL; sub = sub->next) {
            struct hcl_item *one = item_join(p->scan.arena, item, sub, 0);
            if (one == NULL)
                return arena_check(p->scan.arena, p->scan.err);
            add_item(object, one);
        }
        return 0;
    }
    add_item(object, item);
    return 0;
}

/* Read keys up to '=', ':' or '{', which stays the present token. */
static int parse_keys(struct parser *p, struct hcl_item *item)
{
    struct hcl_key keys[LABELS_MAX];
    size_t n = 0;
    while (p->scan.tok.type == TOK_STRING || (!p->scan.json && p->scan.tok.type == TOK_IDENT)) {
        if (n == ARRAY_LEN(keys))
            return hcl_pos_error(p->scan.err, p->scan.tok.pos, "LBRACE expected: too many labels");
        keys[n++] = (struct hcl_key){ arena_dup(p->scan.arena, p->scan.tok.text), p->scan.tok.pos };
        TRY(hcl_scan_next(&p->scan));
        if (p->scan.json)
            break;
    }
    const char *got = hcl_scan_name(p->scan.tok.type);
    if (n == 0)
        return hcl_pos_error(p->scan.err, p->scan.tok.pos, "object key expected (STRING%s) got: %s",
                             p->scan.json ? "" : " or IDENT", got);
    if (p->scan.json && p->scan.tok.type != TOK_COLON)
        return hcl_pos_error(p->scan.err, p->scan.tok.pos, "COLON expected after a key, got: %s",
                             got);
    if (n > 1 && p->scan.tok.type != TOK_LBRACE)
        return hcl_pos_error(p->scan.err, p->scan.tok.pos, "nested object expected: LBRACE got: %s",
                             got);
    if (!p->scan.json && p->scan.tok.type == TOK_EOF)
        return hcl_pos_error(p->scan.err, p->scan.tok.pos,
                             "key '" STR_FMT "' expected start of object ('{') or "
                             "assignment ('=')",
                             STR_ARG(keys[0].text));
    if (!p->scan.json && p->scan.tok.type != TOK_ASSIGN && p->scan.tok.type != TOK_LBRACE)
        return hcl_pos_error(p->scan.err, p->scan.tok.pos,
                             "ASSIGN or LBRACE expected after key '" STR_FMT "', got: %s",
                             STR_ARG(keys[0].text), got);
    item->n_keys = n;
    item->keys = arena_array(p->scan.arena, n, sizeof *item->keys);
    TRY(arena_check(p->scan.arena, p->scan.err));
    memcpy(item->keys, keys, n * sizeof *keys);
    return 0;
}

static int parse_item(struct parser *p, struct hcl *object)
{
    struct hcl_item *item = arena_alloc(p->scan.arena, sizeof *item);
    if (item == NULL)
        return arena_check(p->scan.arena, p->scan.err);
    TRY(parse_keys(p, item));
    if (p->scan.tok.type == TOK_ASSIGN || p->scan.tok.type == TOK_COLON) {
        item->assign_line = p->scan.tok.pos.line;
        TRY(hcl_scan_next(&p->scan));
    }
    TRY(parse_value(p, &item->value));
    if (p->scan.json)
        return add_folded(p, object, item);
    add_item(object, item);
    return 0;
}

/* Items up to ${end}, which stays the present token. */
static int parse_items(struct parser *p, struct hcl *object, enum hcl_token_type end)
{
    bool comma = false;
    while (p->scan.tok.type != end || (p->scan.json && comma)) {
        if (p->scan.tok.type == TOK_EOF)
            return hcl_pos_error(p->scan.err, p->scan.tok.pos,
                                 "object expected closing RBRACE got: EOF");
        if (p->scan.json && !comma && object->count > 0)
            return hcl_pos_error(p->scan.err, p->scan.tok.pos, "COMMA or RBRACE expected, got: %s",
                                 hcl_scan_name(p->scan.tok.type));
        TRY(parse_item(p, object));
        comma = p->scan.tok.type == TOK_COMMA;
        if (comma)
            TRY(hcl_scan_next(&p->scan));
    }
    return 0;
}

static int parse_object(struct parser *p, struct hcl **out)
{
    struct hcl *v = value_new(p, HCL_OBJECT);
    if (v == NULL)
        return arena_check(p->scan.arena, p->scan.err);
    TRY(hcl_scan_next(&p->scan));
    TRY(parse_items(p, v, TOK_RBRACE));
    TRY(hcl_scan_next(&p->scan));
    *out = v;
    return 0;
}

static int parse_list(struct parser *p, struct hcl **out)
{
    struct hcl *v = value_new(p, HCL_LIST);
    if (v == NULL)
        return arena_check(p->scan.arena, p->scan.err);
    bool comma = true;
    TRY(hcl_scan_next(&p->scan));
    while (p->scan.tok.type != TOK_RBRACK) {
        if (!comma)
            return hcl_pos_error(p->scan.err, p->scan.tok.pos,
                                 "COMMA or RBRACK expected in a list, got: %s",
                                 hcl_scan_name(p->scan.tok.type));
        struct hcl *e;
        TRY(parse_value(p, &e));
        add_element(v, e);
        comma = p->scan.tok.type == TOK_COMMA;
        if (comma)
            TRY(hcl_scan_next(&p->scan));
        if (comma && p->scan.json && p->scan.tok.type == TOK_RBRACK)
            return hcl_pos_error(p->scan.err, p->scan.tok.pos,
                                 "value expected after COMMA, got: RBRACK");
    }
    TRY(hcl_scan_next(&p->scan));
    *out = v;
    return 0;
}

static int parse_literal(struct parser *p, struct hcl **out)
{
    struct hcl *v = value_new(p, p->scan.tok.type == TOK_NUMBER ? HCL_NUMBER : HCL_STRING);
    if (v == NULL)
        return arena_check(p->scan.arena, p->scan.err);
    if (p->scan.tok.type == TOK_IDENT) {
        v->truth = str_is(p->scan.tok.text, "true");
        bool null = p->scan.json && str_is(p->scan.tok.text, "null");
        if (!v->truth && !null && !str_is(p->scan.tok.text, "false"))
            return hcl_pos_error(p->scan.err, p->scan.tok.pos,
                                 "value expected, got: IDENT " STR_FMT,
                                 STR_ARG(str_head(p->scan.tok.text, 64)));
        v->type = null ? HCL_STRING : HCL_BOOL;
    } else {
        v->text = p->scan.tok.type == TOK_NUMBER ? arena_dup(p->scan.arena, p->scan.tok.text)
                                                 : p->scan.tok.text;
    }
    *out = v;
    TRY(arena_check(p->scan.arena, p->scan.err));
    return hcl_scan_next(&p->scan);
}

static int parse_value(struct parser *p, struct hcl **out)
{
    if (p->depth >= DEPTH_MAX)
        return hcl_pos_error(p->scan.err, p->scan.tok.pos, "nesting of at most %d expected",
                             DEPTH_MAX);
    p->depth++;
    int rc;
    if (p->scan.tok.type == TOK_LBRACE)
        rc = parse_object(p, out);
    else if (p->scan.tok.type == TOK_LBRACK)
        rc = parse_list(p, out);
    else if (p->scan.tok.type == TOK_STRING || p->scan.tok.type == TOK_NUMBER ||
             p->scan.tok.type == TOK_IDENT)
        rc = parse_literal(p, out);
    else
        rc = hcl_pos_error(p->scan.err, p->scan.tok.pos, "value expected, got: %s",
                           hcl_scan_name(p->scan.tok.type));
    p->depth--;
    return rc;
}

int hcl_parse(struct arena *a, struct str file, struct str text, struct hcl **out, struct err *err)
{
    struct parser p = { 0 };
    TRY(hcl_scan_open(&p.scan, a, file.n > 0 ? arena_cstr(a, file) : NULL, text, err));
    struct hcl *root = value_new(&p, HCL_OBJECT);
    if (root == NULL)
        return arena_check(a, err);
    TRY(p.scan.json ? parse_object(&p, &root) : parse_items(&p, root, TOK_EOF));
    if (p.scan.tok.type != TOK_EOF)
        return hcl_pos_error(err, p.scan.tok.pos, "EOF expected, got: %s",
                             hcl_scan_name(p.scan.tok.type));
    *out = root;
    return arena_check(a, err);
}

/* ---- reading the tree ---- */

const struct hcl *hcl_get(const struct hcl *object, struct str key)
{
    const struct hcl *found = NULL;
    if (object == NULL || object->type != HCL_OBJECT)
        return NULL;
    for (const struct hcl_item *i = object->items; i != NULL; i = i->next)
        if (i->n_keys == 1 && str_eq(i->keys[0].text, key))
            found = i->value;
    return found;
}

bool hcl_to_i64(const struct hcl *v, int64_t *out)
{
    char text[32], *end;
    if (v == NULL || v->type != HCL_NUMBER || v->text.n == 0 || v->text.n >= sizeof text)
        return false;
    memcpy(text, v->text.p, v->text.n);
    text[v->text.n] = 0;
    errno = 0;
    long long n = strtoll(text, &end, 0);
    if (errno != 0 || *end != 0)
        return false;
    *out = n;
    return true;
}

bool hcl_to_double(const struct hcl *v, double *out)
{
    int64_t whole;
    if (hcl_to_i64(v, &whole)) {
        *out = (double)whole;
        return true;
    }
    char text[400], *end;
    if (v == NULL || v->type != HCL_NUMBER || v->text.n == 0 || v->text.n >= sizeof text)
        return false;
    memcpy(text, v->text.p, v->text.n);
    text[v->text.n] = 0;
    *out = strtod(text, &end);
    return *end == 0;
}

struct json *hcl_to_json(struct arena *a, const struct hcl *v)
{
    int64_t whole;
    struct json *out = NULL;
    switch (v->type) {
    case HCL_STRING:
        return json_str(a, arena_dup(a, v->text));
    case HCL_NUMBER:
        return hcl_to_i64(v, &whole) ? json_int(a, whole) : json_number(a, arena_dup(a, v->text));
    case HCL_BOOL:
        return json_bool(a, v->truth);
    case HCL_LIST:
        out = json_array(a);
        for (const struct hcl *e = v->first; e != NULL; e = e->next)
            json_add(out, hcl_to_json(a, e));
        return out;
    case HCL_OBJECT:
        out = json_object(a);
        for (const struct hcl_item *i = v->items; i != NULL; i = i->next)
            json_set(out, arena_dup(a, i->keys[0].text), hcl_to_json(a, i->value));
        return out;
    }
    return out;
}

const char *hcl_type_name(enum hcl_type type)
{
    static const char *const names[] = { "string", "number", "boolean", "list", "object" };
    return names[type];
}

struct collector {
    struct arena *arena;
    size_t want;
    struct hcl_block *first, **end;
};

/* The value with the item's keys from ${from} on wrapped around it as nested objects. */
static const struct hcl *nest(struct arena *a, const struct hcl_item *item, size_t from)
{
    if (from >= item->n_keys)
        return item->value;
    struct hcl *object = arena_alloc(a, sizeof *object);
    struct hcl_item *inner = arena_alloc(a, sizeof *inner);
    if (object == NULL || inner == NULL)
        return item->value;
    *inner = (struct hcl_item){ item->keys + from, item->n_keys - from, item->assign_line,
                                item->value, NULL };
    *object = (struct hcl){ .type = HCL_OBJECT, .pos = item->keys[from].pos };
    add_item(object, inner);
    return object;
}

static void collect(struct collector *c, const struct hcl_item *item)
{
    const struct hcl *v = item->value;
    size_t labels = item->n_keys - 1;
    if (v->type == HCL_LIST && all_objects(v)) {
        for (struct hcl *e = v->first; e != NULL; e = e->next) {
            struct hcl_item one = *item;
            one.value = e;
            collect(c, &one);
        }
        return;
    }
    if (labels < c->want && v->type == HCL_OBJECT) {
        for (const struct hcl_item *sub = v->items; sub != NULL; sub = sub->next) {
            struct hcl_item *one = item_join(c->arena, item, sub, 0);
            if (one == NULL)
                return;
            one->assign_line = sub->assign_line;
            collect(c, one);
        }
        return;
    }
    struct hcl_block *b = arena_alloc(c->arena, sizeof *b);
    if (b == NULL)
        return;
    b->n_labels = labels < c->want ? labels : c->want;
    b->key = item->keys[0];
    for (size_t i = 0; i < b->n_labels; i++)
        b->labels[i] = item->keys[i + 1];
    b->assign_line = item->assign_line;
    b->value = nest(c->arena, item, 1 + b->n_labels);
    *c->end = b;
    c->end = &b->next;
}

struct hcl_block *hcl_blocks(struct arena *a, const struct hcl *object, struct str key,
                             size_t n_labels)
{
    struct collector c = { .arena = a,
                           .want = n_labels < HCL_LABELS_MAX ? n_labels : HCL_LABELS_MAX };
    c.end = &c.first;
    if (object == NULL || object->type != HCL_OBJECT)
        return NULL;
    for (const struct hcl_item *i = object->items; i != NULL; i = i->next)
        if (str_eq(i->keys[0].text, key))
            collect(&c, i);
    return c.first;
}
