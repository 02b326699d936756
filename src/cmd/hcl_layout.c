/* Hcl_layout: the text of an HCL file laid out anew, comments kept. */
#include "cmd/hcl_layout.h"

#include <ctype.h>

enum token_kind { T_END, T_NEWLINE, T_COMMENT, T_WORD, T_TEXT, T_HEREDOC, T_PUNCT };

struct token {
    enum token_kind kind;
    struct str text;
    bool after_blank_line;
};

/* A line that is being laid out: left of "=" and right of it. */
struct pending {
    size_t start;   /* where the line begins in out */
    size_t equals;  /* where its "=" stands; 0: none */
};

enum { MAX_ALIGNED = 256, MAX_DEPTH = 128 };

struct layout {
    struct str left; /* what is not read yet */
    size_t line;
    struct buf *out;
    struct err *err;
    struct pending group[MAX_ALIGNED]; /* neighbouring single-line assignments */
    size_t n_group;
};

static int fail(struct layout *l, const char *what)
{
    return err_set(l->err, ERR_BAD_REQUEST, "line %zu: %s", l->line, what);
}

static bool is_word_byte(char c)
{
    return isalnum((unsigned char)c) || strchr("_-.+*/", c) != NULL || (unsigned char)c >= 0x80;
}

static struct str take(struct layout *l, size_t n)
{
    struct str part = str_head(l->left, n);
    for (size_t i = 0; i < part.n; i++)
        l->line += part.p[i] == '\n';
    l->left = str_from(l->left, n);
    return part;
}

static int read_comment(struct layout *l, struct token *t)
{
    bool block = str_starts(l->left, STR("/*"));
    ptrdiff_t end = block ? str_find(l->left, STR("*/")) : str_find_byte(l->left, '\n');
    if (block && end < 0)
        return fail(l, "comment is not closed");
    size_t n = end < 0 ? l->left.n : (size_t)end + (block ? 2 : 0);
    t->kind = T_COMMENT;
    t->text = str_trim(take(l, n));
    return 0;
}

static int read_text(struct layout *l, struct token *t)
{
    size_t i = 1, depth = 0;
    for (; i < l->left.n; i++) {
        char c = l->left.p[i];
        if (c == '\\' && i + 1 < l->left.n)
            i++;
        else if (c == '$' && i + 1 < l->left.n && l->left.p[i + 1] == '{')
            depth++;
        else if (c == '}' && depth > 0)
            depth--;
        else if ((c == '"' && depth == 0) || c == '\n')
            break;
    }
    if (i >= l->left.n || l->left.p[i] != '"')
        return fail(l, "literal not terminated");
    t->kind = T_TEXT;
    t->text = take(l, i + 1);
    return 0;
}

static int read_heredoc(struct layout *l, struct token *t)
{
    struct str rest = str_from(l->left, 2), name, line;
    bool indented = str_starts(rest, STR("-"));
    if (indented)
        rest = str_from(rest, 1);
    if (!str_next(&rest, '\n', &name) || str_trim(name).n == 0)
        return fail(l, "heredoc without a name");
    while (str_next(&rest, '\n', &line)) {
        struct str bare = indented ? str_trim(line) : line;
        if (!str_eq(bare, str_trim(name)))
            continue;
        t->kind = T_HEREDOC;
        t->text = take(l, (size_t)(line.p + line.n - l->left.p));
        return 0;
    }
    return fail(l, "heredoc not terminated");
}

static int read_token(struct layout *l, struct token *t)
{
    while (l->left.n > 0 && strchr(" \t\r", l->left.p[0]) != NULL)
        take(l, 1);
    *t = (struct token){ .kind = T_END };
    if (l->left.n == 0)
        return 0;
    char c = l->left.p[0];
    if (c == '\n') {
        t->kind = T_NEWLINE;
        take(l, 1);
        return 0;
    }
    if (c == '#' || str_starts(l->left, STR("//")) || str_starts(l->left, STR("/*")))
        return read_comment(l, t);
    if (c == '"')
        return read_text(l, t);
    if (str_starts(l->left, STR("<<")))
        return read_heredoc(l, t);
    if (strchr("{}[]=,", c) != NULL) {
        t->kind = T_PUNCT;
        t->text = take(l, 1);
        return 0;
    }
    size_t n = 0;
    while (n < l->left.n && is_word_byte(l->left.p[n]))
        n++;
    if (n == 0)
        return fail(l, "illegal character");
    t->kind = T_WORD;
    t->text = take(l, n);
    return 0;
}

static bool is_punct(const struct token *t, char c)
{
    return t->kind == T_PUNCT && t->text.p[0] == c;
}

/* ---- writing ---- */

static void indent(struct layout *l, size_t depth)
{
    for (size_t i = 0; i < depth * 2; i++)
        buf_byte(l->out, ' ');
}

static void spaces_at(struct buf *out, size_t at, size_t n)
{
    if (n == 0 || buf_reserve(out, n) < 0)
        return;
    memmove(out->p + at + n, out->p + at, out->n - at);
    memset(out->p + at, ' ', n);
    out->n += n;
}

/* Bring the "=" of neighbouring lines below each other; the last line first. */
static void align_group(struct layout *l)
{
    size_t widest = 0;
    for (size_t i = 0; i < l->n_group; i++) {
        size_t width = l->group[i].equals - l->group[i].start;
        widest = width > widest ? width : widest;
    }
    for (size_t i = l->n_group; i > 0; i--)
        spaces_at(l->out, l->group[i - 1].equals,
                  widest - (l->group[i - 1].equals - l->group[i - 1].start));
    l->n_group = 0;
}

static void remember_line(struct layout *l, size_t start, size_t equals)
{
    if (l->n_group == MAX_ALIGNED)
        align_group(l);
    l->group[l->n_group++] = (struct pending){ start, equals };
}

static int write_object(struct layout *l, size_t depth, bool top);

/* One element of a list, or the value of an assignment. */
static int write_value(struct layout *l, struct token *t, size_t depth);

/* Does the list that begins here end on the same line, without a comment or an object in it? */
static bool list_is_short(const struct layout *l)
{
    struct err ignored;
    struct buf nowhere = { 0 };
    struct layout ahead = { .left = l->left, .line = l->line, .out = &nowhere, .err = &ignored };
    struct token t;
    size_t open = 1;
    while (open > 0) {
        if (read_token(&ahead, &t) < 0 || t.kind == T_END || t.kind == T_NEWLINE ||
            t.kind == T_COMMENT || t.kind == T_HEREDOC || is_punct(&t, '{'))
            return false;
        open += is_punct(&t, '[');
        open -= is_punct(&t, ']');
    }
    return true;
}

static int write_short_list(struct layout *l, size_t depth)
{
    struct token t;
    bool first = true;
    buf_byte(l->out, '[');
    for (;;) {
        TRY(read_token(l, &t));
        if (is_punct(&t, ']'))
            break;
        if (is_punct(&t, ',')) {
            if (first)
                return fail(l, "unexpected comma");
            continue;
        }
        if (!first)
            buf_add(l->out, STR(", "));
        TRY(write_value(l, &t, depth));
        first = false;
    }
    buf_byte(l->out, ']');
    return 0;
}

static int write_long_list(struct layout *l, size_t depth)
{
    struct token t;
    buf_byte(l->out, '[');
    bool fresh = false; /* an element was written and its line is not ended */
    for (;;) {
        TRY(read_token(l, &t));
        if (t.kind == T_END)
            return fail(l, "list is not closed");
        if (t.kind == T_NEWLINE || is_punct(&t, ','))
            continue;
        if (is_punct(&t, ']'))
            break;
        buf_byte(l->out, '\n');
        indent(l, depth + 1);
        if (t.kind == T_COMMENT) {
            buf_add(l->out, t.text);
            continue;
        }
        TRY(write_value(l, &t, depth + 1));
        buf_byte(l->out, ',');
        fresh = true;
    }
    if (fresh || l->out->p[l->out->n - 1] != '[') {
        buf_byte(l->out, '\n');
        indent(l, depth);
    }
    buf_byte(l->out, ']');
    return 0;
}

static int write_value(struct layout *l, struct token *t, size_t depth)
{
    if (depth > MAX_DEPTH)
        return fail(l, "nested too deeply");
    if (is_punct(t, '['))
        return list_is_short(l) ? write_short_list(l, depth) : write_long_list(l, depth);
    if (is_punct(t, '{')) {
        buf_byte(l->out, '{');
        return write_object(l, depth + 1, false);
    }
    if (t->kind != T_WORD && t->kind != T_TEXT && t->kind != T_HEREDOC)
        return fail(l, "a value is expected");
    buf_add(l->out, t->text);
    return 0;
}

/* "key = value" or "key "label" { ... }"; the key was read. */
static int write_item(struct layout *l, struct token *key, size_t depth)
{
    struct token t;
    size_t start = l->out->n, lines = l->line;
    buf_add(l->out, key->text);
    for (;;) {
        TRY(read_token(l, &t));
        if (t.kind == T_WORD || t.kind == T_TEXT) {
            buf_byte(l->out, ' ');
            buf_add(l->out, t.text);
            continue;
        }
        break;
    }
    buf_byte(l->out, ' ');
    size_t equals = l->out->n;
    if (is_punct(&t, '=')) {
        buf_add(l->out, STR("= "));
        do
            TRY(read_token(l, &t));
        while (t.kind == T_NEWLINE);
    } else if (!is_punct(&t, '{')) {
        return fail(l, "'=' or '{' is expected");
    } else {
        equals = 0;
    }
    bool composite = is_punct(&t, '{') || (is_punct(&t, '[') && !list_is_short(l)) ||
                     t.kind == T_HEREDOC;
    if (composite || equals == 0)
        align_group(l);
    TRY(write_value(l, &t, depth));
    if (!composite && equals != 0 && l->line == lines)
        remember_line(l, start, equals);
    else
        align_group(l);
    return 0;
}

/* Items until '}' or, on the top, the end. */
static int write_object(struct layout *l, size_t depth, bool top)
{
    struct token t;
    size_t newlines = 0;
    bool any = false;
    if (depth > MAX_DEPTH)
        return fail(l, "nested too deeply");
    for (;;) {
        TRY(read_token(l, &t));
        if (t.kind == T_NEWLINE || is_punct(&t, ',')) {
            newlines += t.kind == T_NEWLINE;
            continue;
        }
        if ((top && t.kind == T_END) || (!top && is_punct(&t, '}')))
            break;
        if (t.kind == T_END)
            return fail(l, "object is not closed");
        bool beside = t.kind == T_COMMENT && newlines == 0 && any;
        if (beside) { /* a comment behind the line's end stays there */
            align_group(l);
            buf_byte(l->out, ' ');
            buf_add(l->out, t.text);
            continue;
        }
        if (newlines > 1 && any) {
            align_group(l);
            buf_byte(l->out, '\n');
        }
        if (any || !top)
            buf_byte(l->out, '\n');
        indent(l, depth);
        newlines = 0;
        any = true;
        if (t.kind == T_COMMENT) {
            align_group(l);
            buf_add(l->out, t.text);
        } else if (t.kind == T_WORD || t.kind == T_TEXT) {
            TRY(write_item(l, &t, depth));
        } else {
            return fail(l, "a name is expected");
        }
    }
    align_group(l);
    if (!top && any) {
        buf_byte(l->out, '\n');
        indent(l, depth - 1);
    }
    if (!top)
        buf_byte(l->out, '}');
    return 0;
}

int hcl_layout(struct str text, struct buf *out, struct err *err)
{
    struct layout l = { .left = text, .line = 1, .out = out, .err = err };
    TRY(write_object(&l, 0, true));
    if (out->n > 0)
        buf_byte(out, '\n');
    return buf_check(out, err);
}
