/* Field: reads a request's parameters the way Vault's field schemas do. */
#include "logical/field.h"

#include <stdlib.h>

#include "codec/timefmt.h"
#include "logical/route.h"

/* One conversion under way: where the result lives and where the reason of a failure goes. */
struct convert {
    const struct request *req;
    struct err *err;
};

/* ---- Go's ways of naming and showing values, for the texts ---- */

static bool from_query(const struct request *req)
{
    return req->op == OP_READ || req->op == OP_LIST || req->op == OP_DELETE;
}

static const char *go_type(const struct convert *c, const struct json *v)
{
    switch (v->type) {
    case JSON_NULL:
        return "<nil>";
    case JSON_BOOL:
        return "bool";
    case JSON_NUMBER:
        return "json.Number";
    case JSON_STRING:
        return "string";
    case JSON_ARRAY:
        return from_query(c->req) ? "[]string" : "[]interface {}";
    case JSON_OBJECT:
    case JSON_RAW:
        return "map[string]interface {}";
    }
    return "";
}

/* A number's kind in Go is string: json.Number. */
static const char *go_kind(const struct json *v)
{
    switch (v->type) {
    case JSON_NULL:
        return "invalid";
    case JSON_BOOL:
        return "bool";
    case JSON_NUMBER:
    case JSON_STRING:
        return "string";
    case JSON_ARRAY:
        return "slice";
    case JSON_OBJECT:
    case JSON_RAW:
        return "map";
    }
    return "";
}

static int by_key(const void *a, const void *b)
{
    const struct json *const *left = a, *const *right = b;

    return str_cmp((*left)->key, (*right)->key);
}

static void show(const struct json *v, struct arena *a, struct buf *out);

static void show_object(const struct json *v, struct arena *a, struct buf *out)
{
    const struct json **sorted = arena_array(a, v->count + 1, sizeof(const struct json *));
    size_t n = 0;

    if (sorted == NULL)
        return;
    for (const struct json *m = json_first(v); m != NULL; m = m->next)
        sorted[n++] = m;
    qsort(sorted, n, sizeof sorted[0], by_key);
    buf_add(out, STR("map["));
    for (size_t i = 0; i < n; i++) {
        buf_add(out, i == 0 ? STR("") : STR(" "));
        buf_add(out, sorted[i]->key);
        buf_byte(out, ':');
        show(sorted[i], a, out);
    }
    buf_byte(out, ']');
}

/* As fmt's %v. */
static void show(const struct json *v, struct arena *a, struct buf *out)
{
    switch (v->type) {
    case JSON_NULL:
        buf_add(out, STR("<nil>"));
        break;
    case JSON_BOOL:
        buf_add(out, v->truth ? STR("true") : STR("false"));
        break;
    case JSON_NUMBER:
    case JSON_STRING:
    case JSON_RAW:
        buf_add(out, v->text);
        break;
    case JSON_ARRAY:
        buf_byte(out, '[');
        for (const struct json *e = json_first(v); e != NULL; e = e->next) {
            if (e != json_first(v))
                buf_byte(out, ' ');
            show(e, a, out);
        }
        buf_byte(out, ']');
        break;
    case JSON_OBJECT:
        show_object(v, a, out);
        break;
    }
}

/* As fmt's %q, for texts that are shown in messages. */
static struct str quoted(struct arena *a, struct str s)
{
    AUTO(buf_free) struct buf b = { 0 };

    buf_byte(&b, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\')
            buf_printf(&b, "\\%c", c);
        else if (c == '\n' || c == '\t' || c == '\r')
            buf_add(&b, c == '\n' ? STR("\\n") : c == '\t' ? STR("\\t") : STR("\\r"));
        else if (c < 0x20 || c == 0x7f)
            buf_printf(&b, "\\x%02x", c);
        else
            buf_byte(&b, (char)c);
    }
    buf_byte(&b, '"');
    return arena_dup(a, buf_str(&b));
}

static int unconvertible(const struct convert *c, const char *at, const char *wanted,
                         const struct json *v)
{
    return err_set(c->err, ERR_INTERNAL, "'%s' expected type '%s', got unconvertible type '%s'", at,
                   wanted, go_type(c, v));
}

/* ---- single values ---- */

static int digit_of(char ch)
{
    if (ch >= '0' && ch <= '9')
        return ch - '0';
    if (ch >= 'a' && ch <= 'z')
        return ch - 'a' + 10;
    if (ch >= 'A' && ch <= 'Z')
        return ch - 'A' + 10;
    return 99;
}

/* The base that a prefix names, which is cut off: 0x, 0o, 0b, or a bare 0. */
static int base_of(struct str *s)
{
    if (s->n < 2 || s->p[0] != '0')
        return 10;
    int base = 8;
    size_t cut = 2;
    switch (s->p[1] | 0x20) {
    case 'x':
        base = 16;
        break;
    case 'o':
        break;
    case 'b':
        base = 2;
        break;
    default:
        cut = 1;
    }
    *s = str_from(*s, cut);
    return base;
}

enum int_outcome { INT_GOOD, INT_SYNTAX, INT_RANGE };

/* Go's ParseInt with base ${base}; 0 takes prefixes and underscores. */
static enum int_outcome parse_int(struct str s, int base, int64_t *out)
{
    bool negative = s.n > 0 && s.p[0] == '-', any_base = base == 0, any = false, over = false;
    uint64_t value = 0;

    if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+'))
        s = str_from(s, 1);
    if (any_base) {
        size_t before = s.n;
        base = base_of(&s);
        any = before - s.n == 1; /* a bare leading zero is a digit */
    }
    for (size_t i = 0; i < s.n; i++) {
        if (any_base && s.p[i] == '_' && i + 1 < s.n && s.p[i + 1] != '_' && (any || base != 10))
            continue;
        int digit = digit_of(s.p[i]);
        if (digit >= base)
            return INT_SYNTAX;
        any = true;
        over = over || __builtin_mul_overflow(value, (uint64_t)base, &value) ||
               __builtin_add_overflow(value, (uint64_t)digit, &value);
    }
    if (!any)
        return INT_SYNTAX;
    if (over || value > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return INT_RANGE;
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return INT_GOOD;
}

bool field_weak_int(const struct json *v, int64_t *out)
{
    *out = 0;
    if (v->type == JSON_BOOL)
        *out = v->truth ? 1 : 0;
    if (v->type == JSON_NULL || v->type == JSON_BOOL)
        return true;
    if (v->type != JSON_NUMBER && v->type != JSON_STRING)
        return false;
    return v->text.n == 0 || parse_int(v->text, 0, out) == INT_GOOD;
}

static int bad_number(const struct convert *c, const char *lead, struct str text, bool range)
{
    struct str q = quoted(c->req->arena, text);

    return err_set(c->err, ERR_INTERNAL, "%sstrconv.ParseInt: parsing " STR_FMT ": %s", lead,
                   STR_ARG(q), range ? "value out of range" : "invalid syntax");
}

static int to_int(const struct convert *c, const struct json *v, const char *at, int64_t *out)
{
    *out = 0;
    switch (v->type) {
    case JSON_NULL:
        return 0;
    case JSON_BOOL:
        *out = v->truth ? 1 : 0;
        return 0;
    case JSON_NUMBER:
    case JSON_STRING: {
        enum int_outcome outcome = v->text.n == 0 ? INT_GOOD : parse_int(v->text, 0, out);
        if (outcome == INT_GOOD)
            return 0;
        struct str lead = arena_printf(c->req->arena, "cannot parse '%s' as int: ", at);
        return bad_number(c, lead.p != NULL ? lead.p : "", v->text, outcome == INT_RANGE);
    }
    case JSON_ARRAY:
    case JSON_OBJECT:
    case JSON_RAW:
        break;
    }
    return unconvertible(c, at, "int", v);
}

static int to_text(const struct convert *c, const struct json *v, const char *at, struct str *out)
{
    *out = STR("");
    switch (v->type) {
    case JSON_NULL:
        return 0;
    case JSON_BOOL:
        *out = v->truth ? STR("1") : STR("0");
        return 0;
    case JSON_NUMBER:
    case JSON_STRING:
        *out = v->text;
        return 0;
    case JSON_ARRAY:
    case JSON_OBJECT:
    case JSON_RAW:
        break;
    }
    return unconvertible(c, at, "string", v);
}

static bool text_to_bool(struct str s, bool *out)
{
    static const char *const yes[] = { "1", "t", "T", "TRUE", "true", "True" };
    static const char *const no[] = { "", "0", "f", "F", "FALSE", "false", "False" };

    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        if (str_is(s, yes[i]))
            return *out = true, true;
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        if (str_is(s, no[i]))
            return *out = false, true;
    return false;
}

static int to_bool(const struct convert *c, const struct json *v, bool *out)
{
    *out = false;
    switch (v->type) {
    case JSON_NULL:
        return 0;
    case JSON_BOOL:
        *out = v->truth;
        return 0;
    case JSON_NUMBER:
    case JSON_STRING:
        if (text_to_bool(v->text, out))
            return 0;
        return err_set(c->err, ERR_INTERNAL,
                       "cannot parse '' as bool: strconv.ParseBool: parsing " STR_FMT
                       ": invalid syntax",
                       STR_ARG(quoted(c->req->arena, v->text)));
    case JSON_ARRAY:
    case JSON_OBJECT:
    case JSON_RAW:
        break;
    }
    return unconvertible(c, "", "bool", v);
}

static bool has_unit(struct str s)
{
    return s.n > 0 && (s.p[s.n - 1] == 's' || s.p[s.n - 1] == 'm' || s.p[s.n - 1] == 'h');
}

bool field_weak_seconds(const struct json *v, int64_t *out)
{
    int64_t ns = 0;

    *out = 0;
    if (v->type == JSON_NULL)
        return true;
    if (v->type != JSON_STRING && v->type != JSON_NUMBER)
        return false;
    if (v->text.n == 0 || !has_unit(v->text))
        return v->text.n == 0 || parse_int(v->text, 10, out) == INT_GOOD;
    bool good = duration_parse_go(v->text, &ns, NULL) == 0;
    *out = ns / 1000000000;
    return good;
}

/* Digits are seconds; what ends in a unit is a Go duration, cut to whole seconds. */
static int text_to_seconds(const struct convert *c, struct str s, int64_t *out)
{
    int64_t ns;

    *out = 0;
    if (s.n == 0)
        return 0;
    if (!has_unit(s)) {
        enum int_outcome outcome = parse_int(s, 10, out);
        return outcome == INT_GOOD ? 0 : bad_number(c, "", s, outcome == INT_RANGE);
    }
    if (duration_parse_go(s, &ns, c->err) < 0) {
        c->err->code = c->err->code == ERR_NOMEM ? ERR_NOMEM : ERR_INTERNAL;
        return -1;
    }
    *out = ns / 1000000000;
    return 0;
}

static int to_seconds(const struct convert *c, const struct json *v, bool negative, int64_t *out)
{
    *out = 0;
    if (v->type == JSON_NULL)
        return 0;
    if (v->type != JSON_STRING && v->type != JSON_NUMBER)
        return err_set(c->err, ERR_INTERNAL, "could not parse duration from input");
    TRY(text_to_seconds(c, v->text, out));
    if (*out < 0 && !negative)
        return err_set(c->err, ERR_INTERNAL, "cannot provide negative value '%lld'",
                       (long long)*out);
    return 0;
}

/* ---- lists ---- */

/* Mapstructure gathers the failures of a list's items under a heading. */
static int item_failed(const struct convert *c)
{
    struct str reason = arena_dup(c->req->arena, err_text(c->err));

    return err_set(c->err, ERR_INTERNAL, "1 error(s) decoding:\n\n* " STR_FMT, STR_ARG(reason));
}

static const char *item_name(const struct convert *c, size_t i)
{
    struct str s = arena_printf(c->req->arena, "[%zu]", i);

    return s.p != NULL ? s.p : "";
}

/* The items that a value is taken as: a list's own, none of null and {}, else the value alone. */
static struct json *items_of(const struct request *req, struct json *v)
{
    struct json *list = json_array(req->arena);

    if (v->type == JSON_ARRAY)
        return v;
    if (v->type == JSON_NULL || (v->type == JSON_OBJECT && v->count == 0))
        return list;
    json_add(list, json_copy(req->arena, v));
    return list;
}

static void add_trimmed(const struct request *req, struct strs *out, struct str s)
{
    strs_add(req->arena, out, str_trim(s));
}

/* Split at every comma; empty items stay. */
static void split_raw(const struct request *req, struct str s, struct strs *out)
{
    struct str part;

    while (str_next(&s, ',', &part))
        add_trimmed(req, out, part);
}

static int to_texts(const struct convert *c, struct json *v, bool commas, struct strs *out)
{
    bool text = v->type == JSON_STRING || (commas && v->type == JSON_NUMBER);
    size_t i = 0;

    *out = (struct strs){ 0 };
    if (text && v->text.n == 0)
        return 0;
    if (text && commas) {
        split_raw(c->req, v->text, out);
        return 0;
    }
    for (const struct json *e = json_first(items_of(c->req, v)); e != NULL; e = e->next) {
        struct str item;
        /* The name of an item is made only when the text needs it. */
        if (to_text(c, e, "", &item) < 0) {
            (void)to_text(c, e, item_name(c, i), &item);
            return item_failed(c);
        }
        add_trimmed(c->req, out, item);
        i++;
    }
    return 0;
}

/* Of what the texts of a comma list hold, as JSON strings. */
static struct json *split_to_json(const struct request *req, struct str s)
{
    struct json *list = json_array(req->arena);
    struct str part;

    while (s.n > 0 && str_next(&s, ',', &part))
        json_add_str(list, part);
    return list;
}

static int to_ints(const struct convert *c, struct json *v, int64_t **out, size_t *n)
{
    bool text = v->type == JSON_STRING || v->type == JSON_NUMBER;
    struct json *list = text ? split_to_json(c->req, v->text) : items_of(c->req, v);

    *n = 0;
    *out = list == NULL ? NULL : arena_array(c->req->arena, list->count + 1, sizeof(int64_t));
    if (*out == NULL)
        return err_set(c->err, ERR_NOMEM, "out of memory");
    for (const struct json *e = json_first(list); e != NULL; e = e->next, (*n)++) {
        if (to_int(c, e, "", &(*out)[*n]) < 0) {
            (void)to_int(c, e, item_name(c, *n), &(*out)[*n]);
            return item_failed(c);
        }
    }
    return 0;
}

/* ---- maps ---- */

static int to_map(const struct convert *c, struct json *v, struct json **out)
{
    *out = NULL;
    if (v->type == JSON_NULL)
        return 0;
    if (v->type == JSON_OBJECT) {
        *out = v;
        return 0;
    }
    if (v->type != JSON_ARRAY)
        return err_set(c->err, ERR_INTERNAL, "'' expected a map, got '%s'", go_kind(v));
    /* A list of maps is taken as one, the later ones winning. */
    struct json *merged = json_object(c->req->arena);
    size_t i = 0;
    for (const struct json *e = json_first(v); e != NULL; e = e->next, i++) {
        if (e->type != JSON_OBJECT && e->type != JSON_NULL) {
            (void)err_set(c->err, ERR_INTERNAL, "'[%zu]' expected a map, got '%s'", i, go_kind(e));
            return -1;
        }
        for (const struct json *m = json_first(e); m != NULL; m = m->next)
            json_set(merged, m->key, json_copy(c->req->arena, m));
    }
    *out = merged;
    return 0;
}

static int pairs_from_list(const struct convert *c, struct json *v, struct json *out)
{
    struct strs list;

    TRY(to_texts(c, v, false, &list));
    for (size_t i = 0; i < list.n; i++) {
        ptrdiff_t at = str_find_byte(list.v[i], '=');
        if (at <= 0)
            return err_set(c->err, ERR_INTERNAL, "invalid key pair " STR_FMT,
                           STR_ARG(quoted(c->req->arena, list.v[i])));
        json_set(out, str_head(list.v[i], (size_t)at),
                 json_str(c->req->arena, str_from(list.v[i], (size_t)at + 1)));
    }
    return 0;
}

static int to_pairs(const struct convert *c, struct json *v, struct json **out)
{
    struct json *map, *texts = json_object(c->req->arena);

    *out = texts;
    if (v->type == JSON_NULL) {
        *out = NULL;
        return 0;
    }
    if (to_map(c, v, &map) < 0)
        return pairs_from_list(c, v, texts);
    for (const struct json *m = json_first(map); m != NULL; m = m->next) {
        struct str text;
        if (to_text(c, m, "", &text) < 0)
            return pairs_from_list(c, v, json_object(c->req->arena));
        json_set(texts, m->key, json_str(c->req->arena, text));
    }
    return 0;
}

/* ---- checks ---- */

static int check(const struct convert *c, enum field_type type, struct json *v)
{
    struct str text;
    struct strs list;
    struct json *map;
    int64_t number, *numbers;
    bool truth;
    size_t n;

    switch (type) {
    case FIELD_STRING:
    case FIELD_LOWER:
        return to_text(c, v, "", &text);
    case FIELD_INT:
        return to_int(c, v, "", &number);
    case FIELD_BOOL:
        return to_bool(c, v, &truth);
    case FIELD_SECONDS:
    case FIELD_SIGNED_SECONDS:
        return to_seconds(c, v, type == FIELD_SIGNED_SECONDS, &number);
    case FIELD_MAP:
        return to_map(c, v, &map);
    case FIELD_KV_PAIRS:
        return to_pairs(c, v, &map);
    case FIELD_STRINGS:
    case FIELD_COMMA_STRINGS:
        return to_texts(c, v, type == FIELD_COMMA_STRINGS, &list);
    case FIELD_COMMA_INTS:
        return to_ints(c, v, &numbers, &n);
    case FIELD_ANY:
        return 0;
    }
    return 0;
}

static const struct field *field_of(const struct request *req, struct str name)
{
    for (size_t i = 0; req->route != NULL && i < req->route->n_fields; i++)
        if (str_is(name, req->route->fields[i].name))
            return &req->route->fields[i];
    return NULL;
}

/* Check one object's members; those that the path overrides do not count. */
static int check_object(struct request *req, const struct json *o)
{
    struct convert c = { req, &req->err };

    for (struct json *v = json_first(o); v != NULL; v = v->next) {
        const struct field *field = field_of(req, v->key);
        if (field == NULL || (o != req->path_data && json_get(req->path_data, v->key) != NULL)
            || check(&c, field->type, v) == 0)
            continue;
        if (req->err.code == ERR_NOMEM)
            return -1;
        AUTO(buf_free) struct buf shown = { 0 };
        show(v, req->arena, &shown);
        return err_prefix(&req->err, "error converting input " STR_FMT " for field \"%s\"",
                          STR_ARG(buf_str(&shown)), field->name);
    }
    return arena_check(req->arena, &req->err);
}

int field_check_all(struct request *req)
{
    TRY(check_object(req, req->path_data));
    return check_object(req, req->data);
}

/* ---- reading ---- */

struct json *field_raw(const struct request *req, const char *name)
{
    struct json *v = json_member(req->path_data, name);
    return v != NULL ? v : json_member(req->data, name);
}

bool field_given(const struct request *req, const char *name)
{
    struct json *v = field_raw(req, name);

    return v != NULL && v->type != JSON_NULL;
}

/* What the field reads as: what was sent, else the default as a text, else null. */
static void value_of(const struct request *req, const char *name, struct json *scratch,
                     struct json **out)
{
    struct json *v = field_raw(req, name);
    const struct field *field = field_of(req, str_of(name));

    *scratch = (struct json){ .type = JSON_NULL };
    *out = v != NULL && v->type != JSON_NULL ? v : scratch;
    if (*out == scratch && field != NULL && field->fallback != NULL) {
        scratch->type = JSON_STRING;
        scratch->text = str_of(field->fallback);
    }
}

static bool declared_as(const struct request *req, const char *name, enum field_type type)
{
    const struct field *field = field_of(req, str_of(name));

    return field != NULL && field->type == type;
}

struct str field_str(const struct request *req, const char *name)
{
    struct err ignored = { 0 };
    struct convert c = { req, &ignored };
    struct json scratch, *v;
    struct str s;

    value_of(req, name, &scratch, &v);
    if (to_text(&c, v, "", &s) < 0)
        return STR("");
    if (!declared_as(req, name, FIELD_LOWER))
        return s;
    char *lowered = arena_bytes(req->arena, s.n);
    for (size_t i = 0; lowered != NULL && i < s.n; i++)
        lowered[i] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] | 0x20 : s.p[i]);
    return (struct str){ lowered, lowered != NULL ? s.n : 0 };
}

int64_t field_int(const struct request *req, const char *name)
{
    struct err ignored = { 0 };
    struct convert c = { req, &ignored };
    struct json scratch, *v;
    int64_t n;

    value_of(req, name, &scratch, &v);
    return to_int(&c, v, "", &n) < 0 ? 0 : n;
}

bool field_bool(const struct request *req, const char *name)
{
    struct err ignored = { 0 };
    struct convert c = { req, &ignored };
    struct json scratch, *v;
    bool truth;

    value_of(req, name, &scratch, &v);
    return to_bool(&c, v, &truth) == 0 && truth;
}

int64_t field_seconds(const struct request *req, const char *name)
{
    struct err ignored = { 0 };
    struct convert c = { req, &ignored };
    struct json scratch, *v;
    int64_t n;

    value_of(req, name, &scratch, &v);
    return to_seconds(&c, v, true, &n) < 0 ? 0 : n;
}

struct strs field_strs(const struct request *req, const char *name)
{
    struct err ignored = { 0 };
    struct convert c = { req, &ignored };
    struct json scratch, *v;
    struct strs list;

    value_of(req, name, &scratch, &v);
    if (to_texts(&c, v, declared_as(req, name, FIELD_COMMA_STRINGS), &list) < 0)
        return (struct strs){ 0 };
    return list;
}

int64_t *field_ints(const struct request *req, const char *name, size_t *n)
{
    struct err ignored = { 0 };
    struct convert c = { req, &ignored };
    struct json scratch, *v;
    int64_t *list;

    value_of(req, name, &scratch, &v);
    if (to_ints(&c, v, &list, n) == 0)
        return list;
    *n = 0;
    return NULL;
}

struct json *field_map(const struct request *req, const char *name)
{
    struct err ignored = { 0 };
    struct convert c = { req, &ignored };
    struct json scratch, *v, *map;
    bool pairs = declared_as(req, name, FIELD_KV_PAIRS);

    value_of(req, name, &scratch, &v);
    if (v == &scratch)
        return NULL;
    return (pairs ? to_pairs(&c, v, &map) : to_map(&c, v, &map)) < 0 ? NULL : map;
}
