/* Reading JSON: one pass without recursion; strings stay where they are unless they change. */
#include <stdlib.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "codec/json.h"
#include "codec/members.h"
#include "codec/utf8.h"

enum { DEEPEST = 10000 };

struct parser {
    const char *begin, *p, *end;
    struct arena *arena;
    struct err *err;
    bool whole; /* Go's Unmarshal, not its Decoder: another text for a cut input */
    /*
     * The innermost open container.  While one is open, its next points to the container around
     * it: there is no sibling yet, and so no stack is needed.
     */
    struct json *open;
    size_t depth;
    struct str key; /* name of the member whose value comes next */
    struct json *root;
};

/* ------------------------------------------------------------------ errors */

/* A byte in single quotes, as Go writes the rune of that number. */
static void quote_byte(unsigned char c, char out[12])
{
    static const char named[] = "abtnvfr"; /* 7 to 13 */
    struct err text;
    char utf8[4];
    if (c == '\'' || c == '\\')
        err_set(&text, ERR_NONE, "'\\%c'", c);
    else if (c >= 7 && c <= 13)
        err_set(&text, ERR_NONE, "'\\%c'", named[c - 7]);
    else if (c < ' ' || c == 0x7F)
        err_set(&text, ERR_NONE, "'\\x%02x'", c);
    else if ((c >= 0x80 && c <= 0xA0) || c == 0xAD)
        err_set(&text, ERR_NONE, "'\\u%04x'", c);
    else
        err_set(&text, ERR_NONE, "'%.*s'", (int)utf8_put(utf8, c), utf8);
    memcpy(out, text.msg, 12);
}

static int cut_short(struct parser *ps)
{
    ps->p = ps->end;
    if (ps->whole)
        return err_set(ps->err, ERR_BAD_REQUEST, "unexpected end of JSON input");
    bool empty = ps->root == NULL;
    for (const char *p = ps->begin; empty && p < ps->end; p++)
        empty = *p == ' ' || *p == '\t' || *p == '\n' || *p == '\r';
    return err_set(ps->err, ERR_BAD_REQUEST, empty ? "EOF" : "unexpected EOF");
}

/*
 * There is a byte at ${at} that must not be, or the text ends there inside a word, a number or an
 * escape: Go's Unmarshal then speaks of a space, which it puts behind each text.
 */
static int refuse(struct parser *ps, const char *at, const char *where)
{
    if (at >= ps->end && !ps->whole)
        return cut_short(ps);
    char quoted[12];
    quote_byte(at >= ps->end ? ' ' : (unsigned char)*at, quoted);
    ps->p = at;
    return err_set(ps->err, ERR_BAD_REQUEST, "invalid character %s %s", quoted, where);
}

static int no_memory(struct parser *ps)
{
    return err_set(ps->err, ERR_NOMEM, "out of memory");
}

/* ----------------------------------------------------------------- strings */

/* The first byte from ${p} on that a string does not take as it is. */
static const char *skip_plain(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\');
    const __m128i space = _mm_set1_epi8(' ');
    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        /* Signed: bytes from 0x80 on are below the space too. */
        __m128i odd = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)),
                                   _mm_cmplt_epi8(v, space));
        int mask = _mm_movemask_epi8(odd);
        if (mask != 0)
            return p + __builtin_ctz((unsigned)mask);
    }
#else
    const uint64_t ones = 0x0101010101010101ULL, tops = ones << 7;
    for (; end - p >= 8; p += 8) {
        uint64_t v;
        memcpy(&v, p, 8);
        uint64_t quote = v ^ ones * '"', slash = v ^ ones * '\\';
        uint64_t odd = (quote - ones) | (slash - ones) | (v - ones * ' ') | v;
        if ((odd & tops) != 0)
            break;
    }
#endif
    while (p < end && *p != '"' && *p != '\\' && (signed char)*p >= ' ')
        p++;
    return p;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static uint32_t hex4(const char *p)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++)
        v = v << 4 | (uint32_t)hex_digit(p[i]);
    return v;
}

/* Step over the escape at p->p, which stands on its backslash. */
static int check_escape(struct parser *ps)
{
    const char *p = ps->p + 1;
    if (p >= ps->end || *p == 0 || strchr("\"\\/bfnrtu", *p) == NULL)
        return refuse(ps, p, "in string escape code");
    if (*p++ == 'u')
        for (int i = 0; i < 4; i++, p++)
            if (p >= ps->end || hex_digit(*p) < 0)
                return refuse(ps, p, "in \\u hexadecimal character escape");
    ps->p = p;
    return 0;
}

/* "\uXXXX" at ${p}, perhaps with its low surrogate behind: the rune; steps over what it took. */
static uint32_t unescape_rune(const char **p, const char *end)
{
    uint32_t rune = hex4(*p + 2);
    *p += 6;
    if (rune < 0xD800 || rune > 0xDFFF)
        return rune;
    if (rune < 0xDC00 && end - *p >= 6 && (*p)[0] == '\\' && (*p)[1] == 'u') {
        uint32_t low = hex4(*p + 2);
        if (low >= 0xDC00 && low <= 0xDFFF) {
            *p += 6;
            return 0x10000 + ((rune - 0xD800) << 10) + (low - 0xDC00);
        }
    }
    return 0xFFFD;
}

static char unescape_letter(char c)
{
    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default: /* quote, backslash, slash */
        return c;
    }
}

/* Rewrite checked bytes that hold escapes, or ${bad} bytes that are not UTF-8. */
static int unescape(struct parser *ps, struct str raw, size_t bad, struct str *out)
{
    char *to = arena_bytes(ps->arena, raw.n + 2 * bad), *start = to;
    if (to == NULL)
        return no_memory(ps);
    const char *p = raw.p, *end = raw.p + raw.n;
    while (p < end) {
        if (*p == '\\' && p[1] == 'u') {
            to += utf8_put(to, unescape_rune(&p, end));
        } else if (*p == '\\') {
            *to++ = unescape_letter(p[1]);
            p += 2;
        } else {
            size_t n = utf8_len(p, (size_t)(end - p));
            if (n == 0)
                to += utf8_put(to, 0xFFFD);
            else
                to = (char *)memcpy(to, p, n) + n;
            p += n == 0 ? 1 : n;
        }
    }
    *out = (struct str){ start, (size_t)(to - start) };
    return 0;
}

/* ps->p stands behind the opening quote. */
static int parse_string(struct parser *ps, struct str *out)
{
    const char *start = ps->p;
    bool escapes = false;
    size_t bad = 0;
    for (;;) {
        const char *p = ps->p = skip_plain(ps->p, ps->end);
        if (p >= ps->end)
            return cut_short(ps);
        if (*p == '"')
            break;
        if (*p == '\\') {
            escapes = true;
            TRY(check_escape(ps));
            continue;
        }
        if ((unsigned char)*p < ' ')
            return refuse(ps, p, "in string literal");
        size_t n = utf8_len(p, (size_t)(ps->end - p));
        bad += n == 0;
        ps->p += n == 0 ? 1 : n;
    }
    struct str raw = { start, (size_t)(ps->p - start) };
    ps->p++;
    if (escapes || bad > 0)
        return unescape(ps, raw, bad, out);
    *out = raw;
    return 0;
}

/* ----------------------------------------------------- numbers and literals */

static const char *digits(const char *p, const char *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

static int parse_number(struct parser *ps, struct str *out)
{
    const char *start = ps->p, *end = ps->end, *p = start + (*start == '-'), *from = p;
    p = p < end && *p == '0' ? p + 1 : digits(p, end);
    if (p == from)
        return refuse(ps, p, "in numeric literal");
    if (p < end && *p == '.') {
        from = ++p;
        p = digits(p, end);
        if (p == from)
            return refuse(ps, p, "after decimal point in numeric literal");
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        p += p < end && (*p == '+' || *p == '-');
        from = p;
        p = digits(p, end);
        if (p == from)
            return refuse(ps, p, "in exponent of numeric literal");
    }
    *out = (struct str){ start, (size_t)(p - start) };
    ps->p = p;
    return 0;
}

static int parse_word(struct parser *ps, const char *word)
{
    for (size_t i = 0; word[i] != 0; i++) {
        const char *at = ps->p + i;
        if (at < ps->end && *at == word[i])
            continue;
        struct err text;
        err_set(&text, ERR_NONE, "in literal %s (expecting '%c')", word, word[i]);
        return refuse(ps, at, text.msg);
    }
    ps->p += strlen(word);
    return 0;
}

/* ---------------------------------------------------------------- the tree */

static struct json *attach(struct parser *ps, enum json_type type)
{
    struct json *v = arena_alloc(ps->arena, sizeof *v), *parent = ps->open;
    if (v == NULL)
        return NULL;
    v->type = type;
    if (parent == NULL) {
        ps->root = v;
        return v;
    }
    v->key = ps->key;
    ps->key = (struct str){ NULL, 0 };
    if (parent->last == NULL)
        parent->first = v;
    else
        parent->last->next = v;
    parent->last = v;
    parent->count++;
    return v;
}

static int open_container(struct parser *ps, enum json_type type)
{
    if (ps->depth == DEEPEST)
        return refuse(ps, ps->p, "exceeded max depth");
    struct json *v = attach(ps, type);
    if (v == NULL)
        return no_memory(ps);
    v->arena = ps->arena;
    v->next = ps->open;
    ps->open = v;
    ps->depth++;
    ps->p++;
    return 0;
}

/* Take the value of the last of each run of equal names into the first, and drop the others. */
static void unite(struct json *object, const struct member *sorted)
{
    static const char dropped[1];
    size_t n = object->count;
    for (size_t i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n && members_cmp(&sorted[i], &sorted[j]) == 0; j++)
            ;
        if (j == i + 1)
            continue;
        struct json *first = sorted[i].json, *next = first->next;
        *first = *sorted[j - 1].json;
        first->next = next;
        for (size_t k = i + 1; k < j; k++)
            sorted[k].json->key.p = dropped;
        object->count -= j - i - 1;
    }
    struct json **link = &object->first, *kept = NULL;
    for (struct json *m = object->first; m != NULL; m = m->next)
        if (m->key.p != dropped) {
            *link = kept = m;
            link = &m->next;
        }
    *link = NULL;
    object->last = kept;
}

/* Machines mostly write sorted members, which needs no look at all pairs. */
static bool is_ascending(const struct json *object)
{
    for (const struct json *m = object->first; m->next != NULL; m = m->next)
        if (str_cmp(m->key, m->next->key) >= 0)
            return false;
    return true;
}

static int drop_repeated(struct parser *ps, struct json *object)
{
    struct member few[MEMBERS_SMALL];
    size_t n = object->count;
    if (n < 2 || is_ascending(object))
        return 0;
    if (n <= MEMBERS_SMALL) {
        members_list(object, few);
        members_sort(few, NULL, n);
        unite(object, few);
        return 0;
    }
    /* Not from the arena: these would stay there until the request's end. */
    struct member *many = calloc(n, 2 * sizeof *many);
    if (many == NULL)
        return no_memory(ps);
    members_list(object, many);
    members_sort(many, many + n, n);
    unite(object, many);
    explicit_bzero(many, n * 2 * sizeof *many);
    free(many);
    return 0;
}

static int close_container(struct parser *ps)
{
    struct json *v = ps->open;
    ps->open = v->next;
    v->next = NULL;
    ps->depth--;
    ps->p++;
    return v->type == JSON_OBJECT ? drop_repeated(ps, v) : 0;
}

/* ------------------------------------------------------------------ parsing */

/* What may come next. */
enum wanted { VALUE, FIRST_ITEM, FIRST_KEY, KEY, AFTER };

static int parse_text(struct parser *ps, enum json_type type)
{
    struct str text;
    if (type == JSON_STRING)
        ps->p++;
    TRY(type == JSON_STRING ? parse_string(ps, &text) : parse_number(ps, &text));
    struct json *v = attach(ps, type);
    if (v == NULL)
        return no_memory(ps);
    v->text = text;
    return AFTER;
}

static int parse_literal(struct parser *ps, const char *word, enum json_type type, bool truth)
{
    TRY(parse_word(ps, word));
    struct json *v = attach(ps, type);
    if (v == NULL)
        return no_memory(ps);
    v->truth = truth;
    return AFTER;
}

static int parse_value(struct parser *ps)
{
    switch (*ps->p) {
    case '"':
        return parse_text(ps, JSON_STRING);
    case '{':
        TRY(open_container(ps, JSON_OBJECT));
        return FIRST_KEY;
    case '[':
        TRY(open_container(ps, JSON_ARRAY));
        return FIRST_ITEM;
    case 't':
        return parse_literal(ps, "true", JSON_BOOL, true);
    case 'f':
        return parse_literal(ps, "false", JSON_BOOL, false);
    case 'n':
        return parse_literal(ps, "null", JSON_NULL, false);
    default:
        if (*ps->p == '-' || (*ps->p >= '0' && *ps->p <= '9'))
            return parse_text(ps, JSON_NUMBER);
        return refuse(ps, ps->p, "looking for beginning of value");
    }
}

static void skip_space(struct parser *ps)
{
    const char *p = ps->p;
    while (p < ps->end && (unsigned char)*p <= ' '
           && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
        p++;
    ps->p = p;
}

static int parse_key(struct parser *ps)
{
    if (*ps->p != '"')
        return refuse(ps, ps->p, "looking for beginning of object key string");
    ps->p++;
    TRY(parse_string(ps, &ps->key));
    skip_space(ps);
    if (ps->p >= ps->end)
        return cut_short(ps);
    if (*ps->p != ':')
        return refuse(ps, ps->p, "after object key");
    ps->p++;
    return VALUE;
}

/* Behind a value: a comma or the end of the container. */
static int parse_after(struct parser *ps)
{
    bool object = ps->open->type == JSON_OBJECT;
    if (*ps->p == ',') {
        ps->p++;
        return object ? KEY : VALUE;
    }
    if (*ps->p != (object ? '}' : ']'))
        return refuse(ps, ps->p,
                      object ? "after object key:value pair" : "after array element");
    TRY(close_container(ps));
    return AFTER;
}

static int parse_next(struct parser *ps, enum wanted wanted)
{
    switch (wanted) {
    case VALUE:
        return parse_value(ps);
    case FIRST_ITEM:
        return *ps->p == ']' ? parse_after(ps) : parse_value(ps);
    case FIRST_KEY:
        return *ps->p == '}' ? parse_after(ps) : parse_key(ps);
    case KEY:
        return parse_key(ps);
    case AFTER:
        return parse_after(ps);
    }
    return -1;
}

static int parse(struct parser *ps)
{
    int wanted = VALUE;
    do {
        skip_space(ps);
        if (ps->p >= ps->end)
            return cut_short(ps);
        wanted = parse_next(ps, (enum wanted)wanted);
        TRY(wanted);
    } while (wanted != AFTER || ps->open != NULL);
    return 0;
}

int json_parse(struct arena *a, struct str text, struct json **out, size_t *used, struct err *err)
{
    const char *begin = text.p != NULL ? text.p : "";
    struct parser ps = { begin, begin, begin + text.n, a, err, .whole = false };
    int result = parse(&ps);
    if (used != NULL)
        *used = (size_t)(ps.p - begin);
    if (result == 0)
        *out = ps.root;
    return result;
}

int json_parse_all(struct arena *a, struct str text, struct json **out, struct err *err)
{
    const char *begin = text.p != NULL ? text.p : "";
    struct parser ps = { begin, begin, begin + text.n, a, err, .whole = true };
    TRY(parse(&ps));
    skip_space(&ps);
    if (ps.p < ps.end)
        return refuse(&ps, ps.p, "after top-level value");
    *out = ps.root;
    return 0;
}
