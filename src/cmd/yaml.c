/*
 * Yaml: a JSON value printed as the YAML that Vault's command line prints. When a text needs
 * quotes, and which, follows YAML 1.1 as Go's yaml.v2 reads it ("y" and "on" are booleans there).
 */
#include "cmd/yaml.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum { FOLD_AT = 80 };

static void print_node(const struct json *v, size_t indent, struct buf *out);

static size_t column_of(const struct buf *out)
{
    ptrdiff_t nl = str_rfind_byte(buf_str(out), '\n');
    return out->n - (size_t)(nl + 1);
}

static void add_indent(struct buf *out, size_t n)
{
    while (n-- > 0)
        buf_byte(out, ' ');
}

/* ---- would a plain text be read back as something else? ---- */

static bool is_word(struct str s)
{
    static const char *const words[] = {
        "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON", "n", "N", "no",
        "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF", "", "~", "null", "Null",
        "NULL", ".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF",
        "-.inf", "-.Inf", "-.INF", "<<",
    };
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_is(s, words[i]))
            return true;
    return false;
}

static size_t count_digits(struct str s, size_t at)
{
    size_t n = 0;
    while (at + n < s.n && isdigit((unsigned char)s.p[at + n]))
        n++;
    return n;
}

static bool is_float(struct str s)
{
    size_t at = s.n > 0 && (s.p[0] == '+' || s.p[0] == '-');
    size_t whole = count_digits(s, at);
    at += whole;
    if (at < s.n && s.p[at] == '.') {
        size_t part = count_digits(s, ++at);
        if (whole + part == 0)
            return false;
        at += part;
    } else if (whole == 0) {
        return false;
    }
    if (at < s.n && (s.p[at] == 'e' || s.p[at] == 'E')) {
        at++;
        at += at < s.n && (s.p[at] == '+' || s.p[at] == '-');
        size_t exponent = count_digits(s, at);
        if (exponent == 0)
            return false;
        at += exponent;
    }
    return at == s.n;
}

/* 0x1f, 0o17, 0b101; decimal numbers are floats too. */
static bool is_prefixed_int(struct str s)
{
    size_t at = s.n > 0 && (s.p[0] == '+' || s.p[0] == '-');
    if (s.n < at + 3 || s.p[at] != '0')
        return false;
    int kind = tolower((unsigned char)s.p[at + 1]);
    for (size_t i = at + 2; i < s.n; i++) {
        int c = (unsigned char)s.p[i];
        bool fits = kind == 'x' ? isxdigit(c) != 0
                  : kind == 'o' ? c >= '0' && c <= '7'
                  : kind == 'b' ? c == '0' || c == '1' : false;
        if (!fits)
            return false;
    }
    return kind == 'x' || kind == 'o' || kind == 'b';
}

static bool is_number(struct str s)
{
    char plain[400];
    size_t n = 0;
    if (s.n == 0 || s.n >= sizeof plain || (s.p[0] != '.' && s.p[0] != '+' && s.p[0] != '-' &&
                                            !isdigit((unsigned char)s.p[0])))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '_')
            plain[n++] = s.p[i];
    struct str t = str_mem(plain, n);
    return is_float(t) || is_prefixed_int(t);
}

/* "12:30:00": a number of base 60 in YAML 1.1. */
static bool is_base60(struct str s)
{
    size_t at = s.n > 0 && (s.p[0] == '+' || s.p[0] == '-');
    size_t groups = 0;
    if (count_digits(s, at) == 0)
        return false;
    while (at < s.n && (isdigit((unsigned char)s.p[at]) || s.p[at] == '_'))
        at++;
    while (at < s.n && s.p[at] == ':') {
        size_t n = count_digits(s, ++at);
        if (n == 0 || n > 2 || (n == 2 && s.p[at] > '5'))
            return false;
        at += n;
        groups++;
    }
    if (at < s.n && s.p[at] == '.')
        for (at++; at < s.n && (isdigit((unsigned char)s.p[at]) || s.p[at] == '_');)
            at++;
    return groups > 0 && at == s.n;
}

/* "2021-07-28", "2021-07-28T10:20:30.5Z", "2021-7-28 10:20:30". */
static bool is_timestamp(struct str s)
{
    static const char separators[] = "--T::";
    size_t at = 0;
    if (count_digits(s, 0) != 4)
        return false;
    at = 4;
    for (size_t i = 0; i < 5; i++) {
        if (i == 2 && at == s.n)
            return true;
        bool fits = at < s.n && (s.p[at] == separators[i] ||
                                 (i == 2 && (s.p[at] == 't' || s.p[at] == ' ')));
        size_t n = fits ? count_digits(s, at + 1) : 0;
        if (n == 0 || n > 2)
            return false;
        at += 1 + n;
    }
    if (at < s.n && s.p[at] == '.')
        at += 1 + count_digits(s, at + 1);
    struct str zone = str_from(s, at);
    return zone.n == 0 || str_is(zone, "Z") ||
           (zone.n == 6 && (zone.p[0] == '+' || zone.p[0] == '-') && zone.p[3] == ':');
}

/* ---- which style does a text allow? ---- */

struct allows {
    bool plain, single, block;
};

static bool is_blank_at(struct str s, size_t i)
{
    return i >= s.n || s.p[i] == ' ' || s.p[i] == '\t' || s.p[i] == '\n';
}

static bool indicates(struct str s, size_t i)
{
    char c = s.p[i];
    if (i == 0 && c != '\0' && strchr("#,[]{}&*!|>'\"%@`", c) != NULL)
        return true;
    if (i == 0 && (c == '-' || c == '?') && is_blank_at(s, 1))
        return true;
    return (c == ':' && is_blank_at(s, i + 1)) || (c == '#' && i > 0 && is_blank_at(s, i - 1));
}

static bool is_special(unsigned char c)
{
    return (c < ' ' && c != '\n') || c == 0x7f;
}

static struct allows analyse(struct str s)
{
    struct allows a = { true, true, true };
    if (str_starts(s, STR("---")) || str_starts(s, STR("...")))
        a.plain = false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (is_special((unsigned char)c))
            return (struct allows){ false, false, false };
        if (indicates(s, i) || c == '\n')
            a.plain = false;
        if (c == ' ' && i + 1 < s.n && s.p[i + 1] == '\n')
            return (struct allows){ false, false, false };
        if (c == '\n' && i + 1 < s.n && s.p[i + 1] == ' ')
            a.plain = a.single = false;
    }
    if (s.n > 0 && (s.p[0] == ' ' || s.p[s.n - 1] == ' '))
        a.plain = false;
    if (s.n > 0 && s.p[s.n - 1] == ' ')
        a.block = false;
    return a;
}

/* ---- the styles ---- */

/* A space inside a long line becomes a line end, unless another space is beside it. */
static bool folds(struct str s, size_t i, const struct buf *out, bool key)
{
    return !key && s.p[i] == ' ' && i > 0 && i + 1 < s.n && s.p[i + 1] != ' ' &&
           s.p[i - 1] != ' ' && column_of(out) > FOLD_AT;
}

static void print_plain(struct str s, size_t indent, bool key, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        if (folds(s, i, out, key)) {
            buf_byte(out, '\n');
            add_indent(out, indent);
        } else {
            buf_byte(out, s.p[i]);
        }
    }
}

static void print_single(struct str s, size_t indent, bool key, struct buf *out)
{
    buf_byte(out, '\'');
    for (size_t i = 0; i < s.n; i++) {
        if (folds(s, i, out, key)) {
            buf_byte(out, '\n');
            add_indent(out, indent);
            continue;
        }
        buf_byte(out, s.p[i]);
        if (s.p[i] == '\'')
            buf_byte(out, '\'');
    }
    buf_byte(out, '\'');
}

static void print_escaped(unsigned char c, struct buf *out)
{
    static const char from[] = "\a\b\t\n\v\f\r\x1b\"\\", to[] = "abtnvfre\"\\";
    const char *at = c != 0 ? strchr(from, c) : NULL;
    if (at != NULL)
        buf_printf(out, "\\%c", to[at - from]);
    else if (c == 0)
        buf_add(out, STR("\\0"));
    else if (is_special(c))
        buf_printf(out, "\\x%02X", c);
    else
        buf_byte(out, (char)c);
}

static void print_double(struct str s, size_t indent, bool key, struct buf *out)
{
    buf_byte(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (folds(s, i, out, key)) {
            buf_byte(out, '\n');
            add_indent(out, indent);
        } else {
            print_escaped((unsigned char)s.p[i], out);
        }
    }
    buf_byte(out, '"');
}

static void print_literal(struct str s, size_t indent, struct buf *out)
{
    bool ends = str_ends(s, STR("\n")), twice = str_ends(s, STR("\n\n")) || str_is(s, "\n");
    struct str line;
    buf_byte(out, '|');
    if (s.p[0] == ' ' || s.p[0] == '\n')
        buf_byte(out, '2');
    if (!ends || twice)
        buf_byte(out, ends ? '+' : '-');
    if (ends)
        s.n--;
    while (str_next(&s, '\n', &line)) {
        buf_byte(out, '\n');
        if (line.n > 0)
            add_indent(out, indent);
        buf_add(out, line);
    }
}

static void print_string(struct str s, size_t indent, bool key, struct buf *out)
{
    struct allows a = analyse(s);
    if (str_find_byte(s, '\n') >= 0 && !key && a.block)
        print_literal(s, indent, out);
    else if (is_word(s) || is_number(s) || is_base60(s) || is_timestamp(s))
        print_double(s, indent, key, out);
    else if (a.plain)
        print_plain(s, indent, key, out);
    else if (a.single && str_find_byte(s, '\n') < 0)
        print_single(s, indent, key, out);
    else
        print_double(s, indent, key, out);
}

/* As Go's FormatFloat(v, 'g', -1, 64). */
static void print_float(double v, struct buf *out)
{
    char text[40], *end;
    int digits = 0;
    for (; digits < 17; digits++) {
        snprintf(text, sizeof text, "%.*e", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    long exponent = strtol(strchr(text, 'e') + 1, &end, 10);
    if (exponent < -4 || exponent >= 6)
        buf_add(out, str_of(text));
    else
        buf_printf(out, "%.*f", (int)(digits > exponent ? digits - exponent : 0), v);
}

static void print_number(const struct json *v, struct buf *out)
{
    int64_t whole;
    double f;
    if (str_find_byte(v->text, '.') >= 0 || !json_to_i64(v, &whole)) {
        uint64_t u;
        if (!str_to_u64(v->text, &u) && json_to_double(v, &f)) {
            print_float(f, out);
            return;
        }
    }
    buf_add(out, v->text);
}

static void print_scalar(const struct json *v, size_t indent, struct buf *out)
{
    switch (v->type) {
    case JSON_NULL:
        buf_add(out, STR("null"));
        break;
    case JSON_BOOL:
        buf_add(out, v->truth ? STR("true") : STR("false"));
        break;
    case JSON_NUMBER:
        print_number(v, out);
        break;
    case JSON_STRING:
        print_string(v->text, indent + 2, false, out);
        break;
    case JSON_RAW:
        buf_add(out, v->text);
        break;
    case JSON_ARRAY:
        buf_add(out, STR("[]"));
        break;
    case JSON_OBJECT:
        buf_add(out, STR("{}"));
        break;
    }
    buf_byte(out, '\n');
}

static bool is_block(const struct json *v)
{
    return (v->type == JSON_ARRAY || v->type == JSON_OBJECT) && v->count > 0;
}

static int by_key(const void *a, const void *b)
{
    return str_cmp((*(const struct json *const *)a)->key, (*(const struct json *const *)b)->key);
}

static void print_member(const struct json *m, size_t indent, struct buf *out)
{
    print_string(m->key, indent, true, out);
    buf_byte(out, ':');
    if (!is_block(m)) {
        buf_byte(out, ' ');
        print_scalar(m, indent, out);
        return;
    }
    buf_byte(out, '\n');
    print_node(m, m->type == JSON_ARRAY ? indent : indent + 2, out);
}

static void print_object(const struct json *v, size_t indent, bool inline_first, struct buf *out)
{
    const struct json **list = calloc(v->count, sizeof *list);
    size_t n = 0;
    if (list == NULL) {
        out->failed = true;
        return;
    }
    for (const struct json *m = v->first; m != NULL; m = m->next)
        list[n++] = m;
    qsort(list, n, sizeof *list, by_key);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 || !inline_first)
            add_indent(out, indent);
        print_member(list[i], indent, out);
    }
    free(list);
}

static void print_array(const struct json *v, size_t indent, bool inline_first, struct buf *out)
{
    for (const struct json *m = v->first; m != NULL; m = m->next) {
        if (m != v->first || !inline_first)
            add_indent(out, indent);
        buf_add(out, STR("- "));
        if (!is_block(m))
            print_scalar(m, indent, out);
        else if (m->type == JSON_OBJECT)
            print_object(m, indent + 2, true, out);
        else
            print_array(m, indent + 2, true, out);
    }
}

static void print_node(const struct json *v, size_t indent, struct buf *out)
{
    if (!is_block(v))
        print_scalar(v, indent, out);
    else if (v->type == JSON_OBJECT)
        print_object(v, indent, false, out);
    else
        print_array(v, indent, false, out);
}

void yaml_print(const struct json *v, struct buf *out)
{
    print_node(v, 0, out);
}
