/* Text: how words and values are laid out for people. */
#include "cmd/text.h"

#include "codec/timefmt.h"

enum { LINE_LENGTH = 78 };

size_t text_width(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xC0) != 0x80;
    return n;
}

static void add_spaces(struct buf *out, size_t n)
{
    while (n-- > 0)
        buf_byte(out, ' ');
}

static void wrap_paragraph(struct str s, size_t pad, struct buf *out)
{
    struct str word;
    size_t column = 0;
    add_spaces(out, pad);
    while (str_next(&s, ' ', &word)) {
        size_t width = text_width(word);
        if (width == 0)
            continue;
        if (column > 0 && column + 1 + width > LINE_LENGTH - pad) {
            buf_byte(out, '\n');
            add_spaces(out, pad);
            column = 0;
        }
        if (column > 0)
            buf_byte(out, ' ');
        buf_add(out, word);
        column += width + (column > 0);
    }
}

void text_wrap(struct str s, size_t pad, struct buf *out)
{
    struct str line;
    bool first = true;
    while (str_next(&s, '\n', &line)) {
        if (!first)
            buf_byte(out, '\n');
        if (line.n > 0)
            wrap_paragraph(line, pad, out);
        first = false;
    }
}

static int by_key(const struct json *a, const struct json *b)
{
    return str_cmp(a->key, b->key);
}

/* The members of an object in the order of their names; NULL when out of memory. */
static const struct json **sorted_members(const struct json *v)
{
    const struct json **list = (const struct json **)arena_array(v->arena, v->count + 1,
                                                                 sizeof *list);
    size_t n = 0;
    for (const struct json *m = v->first; list != NULL && m != NULL; m = m->next) {
        size_t at = n++;
        for (; at > 0 && by_key(list[at - 1], m) > 0; at--)
            list[at] = list[at - 1];
        list[at] = m;
    }
    return list;
}

static void map_value(const struct json *v, struct buf *out)
{
    const struct json **list = sorted_members(v);
    buf_add(out, STR("map["));
    for (size_t i = 0; list != NULL && i < v->count; i++) {
        buf_add(out, i > 0 ? STR(" ") : STR(""));
        buf_add(out, list[i]->key);
        buf_byte(out, ':');
        text_value(list[i], out);
    }
    buf_byte(out, ']');
}

void text_value(const struct json *v, struct buf *out)
{
    if (v == NULL) {
        buf_add(out, STR("<nil>"));
        return;
    }
    switch (v->type) {
    case JSON_NULL:
        buf_add(out, STR("<nil>"));
        return;
    case JSON_BOOL:
        buf_add(out, v->truth ? STR("true") : STR("false"));
        return;
    case JSON_NUMBER:
    case JSON_STRING:
    case JSON_RAW:
        buf_add(out, v->text);
        return;
    case JSON_ARRAY:
        buf_byte(out, '[');
        for (const struct json *m = v->first; m != NULL; m = m->next) {
            text_value(m, out);
            buf_add(out, m->next != NULL ? STR(" ") : STR(""));
        }
        buf_byte(out, ']');
        return;
    case JSON_OBJECT:
        map_value(v, out);
        return;
    }
}

void text_quoted(struct str s, struct buf *out)
{
    buf_byte(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c == '\n' || c == '\t' || c == '\r')
            buf_printf(out, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
        else if (c < ' ' || c == 0x7f)
            buf_printf(out, "\\x%02x", c);
        else
            buf_byte(out, (char)c);
    }
    buf_byte(out, '"');
}

void text_quoted_list(const struct json *v, struct buf *out)
{
    buf_byte(out, '[');
    const struct json *m = json_is(v, JSON_ARRAY) ? v->first : NULL;
    for (; m != NULL; m = m->next) {
        text_quoted(m->text, out);
        buf_add(out, m->next != NULL ? STR(" ") : STR(""));
    }
    buf_byte(out, ']');
}

struct str text_duration(struct arena *a, int64_t seconds)
{
    int64_t ns;
    if (__builtin_mul_overflow(seconds, 1000000000, &ns))
        return arena_printf(a, "%llds", (long long)seconds);
    struct str s = duration_format(a, ns);
    if (str_ends(s, STR("m0s")))
        s = str_head(s, s.n - 2);
    ptrdiff_t at = str_find(s, STR("h0m"));
    return at > 0 ? arena_cat(a, str_head(s, (size_t)at + 1), str_from(s, (size_t)at + 3)) : s;
}

bool text_is_duration_key(struct str key)
{
    static const char *const whole[] = { "period", "ttl", "duration", "lease_max", "ttl_max" };
    for (size_t i = 0; i < ARRAY_LEN(whole); i++)
        if (str_is(key, whole[i]))
            return true;
    return str_ends(key, STR("_period")) || str_ends(key, STR("_ttl")) ||
           str_ends(key, STR("_duration"));
}
