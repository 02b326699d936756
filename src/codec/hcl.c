/* The HCL parser: a scanner that hands out tokens, and a descent over them. */
#include "codec/hcl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"

#define TEXT_MAX   ((size_t)32 << 20)
#define DEPTH_MAX  100
#define LABELS_MAX 16
/* JSON objects are folded into labels up to here; deeper ones stay nested (bounds memory). */
#define FOLD_MAX 4

enum token_type {
    TOK_EOF,
    TOK_IDENT,
    TOK_STRING,
    TOK_NUMBER,
    TOK_LBRACE,
    TOK_RBRACE,
    TOK_LBRACK,
    TOK_RBRACK,
    TOK_COMMA,
    TOK_ASSIGN,
    TOK_COLON,
};

static const char *const token_names[] = {
    [TOK_EOF] = "EOF",       [TOK_IDENT] = "IDENT",   [TOK_STRING] = "STRING",
    [TOK_NUMBER] = "NUMBER", [TOK_LBRACE] = "LBRACE", [TOK_RBRACE] = "RBRACE",
    [TOK_LBRACK] = "LBRACK", [TOK_RBRACK] = "RBRACK", [TOK_COMMA] = "COMMA",
    [TOK_ASSIGN] = "ASSIGN", [TOK_COLON] = "COLON",
};

struct token {
    enum token_type type;
    struct hcl_pos pos;
    struct str text; /* identifier or number as written, string decoded */
};

struct parser {
    struct arena *arena;
    struct str text;
    size_t at, line_start;
    uint32_t line;
    const char *file;
    bool json;
    int depth;
    struct token tok; /* the token not yet consumed */
    struct err *err;
};

int hcl_error(struct err *err, struct hcl_pos pos, const char *format, ...)
{
    char what[400];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (pos.file == NULL)
        return err_set(err, ERR_BAD_REQUEST, "At %u:%u: %s", pos.line, pos.column, what);
    return err_set(err, ERR_BAD_REQUEST, "%s:%u:%u: %s", pos.file, pos.line, pos.column, what);
}

/* ---- scanner ---- */

static int peek(const struct parser *p, size_t ahead)
{
    size_t at = p->at + ahead;
    return at < p->text.n ? (unsigned char)p->text.p[at] : -1;
}

static void new_line(struct parser *p)
{
    p->line++;
    p->line_start = p->at;
}

static void step(struct parser *p)
{
    if (p->text.p[p->at++] == '\n')
        new_line(p);
}

static struct hcl_pos here(const struct parser *p)
{
    return (struct hcl_pos){ p->file, p->line, (uint32_t)(p->at - p->line_start + 1) };
}

static bool is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static int hex_value(int c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int skip_block_comment(struct parser *p)
{
    struct hcl_pos start = here(p);
    p->at += 2;
    while (!(peek(p, 0) == '*' && peek(p, 1) == '/')) {
        if (peek(p, 0) < 0)
            return hcl_error(p->err, start, "comment not terminated");
        step(p);
    }
    p->at += 2;
    return 0;
}

static int skip_blank(struct parser *p)
{
    for (;;) {
        int c = peek(p, 0);
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            step(p);
        } else if (!p->json && (c == '#' || (c == '/' && peek(p, 1) == '/'))) {
            while (peek(p, 0) >= 0 && peek(p, 0) != '\n')
                p->at++;
        } else if (!p->json && c == '/' && peek(p, 1) == '*') {
            TRY(skip_block_comment(p));
        } else {
            return 0;
        }
    }
}

static void add_rune(struct buf *out, uint32_t r)
{
    if (r > 0x10ffff || (r >= 0xd800 && r <= 0xdfff))
        r = 0xfffd;
    if (r < 0x80) {
        buf_byte(out, (char)r);
    } else if (r < 0x800) {
        buf_byte(out, (char)(0xc0 | r >> 6));
        buf_byte(out, (char)(0x80 | (r & 0x3f)));
    } else if (r < 0x10000) {
        buf_byte(out, (char)(0xe0 | r >> 12));
        buf_byte(out, (char)(0x80 | (r >> 6 & 0x3f)));
        buf_byte(out, (char)(0x80 | (r & 0x3f)));
    } else {
        buf_byte(out, (char)(0xf0 | r >> 18));
        buf_byte(out, (char)(0x80 | (r >> 12 & 0x3f)));
        buf_byte(out, (char)(0x80 | (r >> 6 & 0x3f)));
        buf_byte(out, (char)(0x80 | (r & 0x3f)));
    }
}

/* ${digits} digits of the base from the present place; -1 when one is missing. */
static int scan_code(struct parser *p, int digits, int base, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < digits; i++) {
        int v = hex_value(peek(p, 0));
        if (v < 0 || v >= base)
            return hcl_error(p->err, here(p), "illegal char in escape sequence");
        *out = *out * (uint32_t)base + (uint32_t)v;
        p->at++;
    }
    return 0;
}

/* A \u escape after its letter; two that are a surrogate pair make one character. */
static int scan_u(struct parser *p, struct buf *out)
{
    uint32_t r, low;
    TRY(scan_code(p, 4, 16, &r));
    if (r >= 0xd800 && r <= 0xdbff && peek(p, 0) == '\\' && peek(p, 1) == 'u') {
        size_t back = p->at;
        p->at += 2;
        TRY(scan_code(p, 4, 16, &low));
        if (low >= 0xdc00 && low <= 0xdfff)
            r = 0x10000 + ((r - 0xd800) << 10 | (low - 0xdc00));
        else
            p->at = back;
    }
    add_rune(out, r);
    return 0;
}

static int simple_escape(int c, bool json)
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
    case '\\':
    case '"':
        return c;
    case '/':
        return json ? c : -1;
    case 'a':
        return json ? -1 : '\a';
    case 'v':
        return json ? -1 : '\v';
    default:
        return -1;
    }
}

/* At a backslash. */
static int scan_escape(struct parser *p, struct buf *out)
{
    int c = peek(p, 1);
    int plain = simple_escape(c, p->json);
    if (plain >= 0) {
        p->at += 2;
        buf_byte(out, (char)plain);
        return 0;
    }
    uint32_t r = 0;
    if (c == 'u') {
        p->at += 2;
        return scan_u(p, out);
    }
    if (!p->json && c == 'U') {
        p->at += 2;
        TRY(scan_code(p, 8, 16, &r));
        add_rune(out, r);
        return 0;
    }
    if (!p->json && c == 'x') {
        p->at += 2;
        TRY(scan_code(p, 2, 16, &r));
    } else if (!p->json && c >= '0' && c <= '7') {
        p->at += 1;
        TRY(scan_code(p, 3, 8, &r));
    } else {
        return hcl_error(p->err, here(p), "unknown escape sequence");
    }
    if (r > 0x7f)
        add_rune(out, r);
    else
        buf_byte(out, (char)r);
    return 0;
}

/* Keep a template `${...}` as it is written, quotes and all: other programs fill it in. */
static int scan_template(struct parser *p, struct hcl_pos start, struct buf *out)
{
    int braces = 0;
    do {
        int c = peek(p, 0);
        if (c < 0)
            return hcl_error(p->err, start, "literal not terminated");
        if (c == '{')
            braces++;
        else if (c == '}')
            braces--;
        else if (c == '\\' && peek(p, 1) >= 0 && peek(p, 1) != '\n') {
            buf_byte(out, '\\');
            p->at++;
        }
        buf_byte(out, p->text.p[p->at]);
        step(p);
    } while (braces > 0);
    return 0;
}

static int own(struct parser *p, const struct buf *b, struct str *out)
{
    TRY(buf_check(b, p->err));
    *out = arena_dup(p->arena, buf_str(b));
    return arena_check(p->arena, p->err);
}

static int scan_string(struct parser *p, struct token *t)
{
    AUTO(buf_free) struct buf b = { 0 };
    p->at++;
    for (;;) {
        int c = peek(p, 0);
        if (c < 0 || c == '\n')
            return hcl_error(p->err, t->pos, "literal not terminated");
        if (c == '"')
            break;
        if (p->json && c < 0x20)
            return hcl_error(p->err, here(p), "control character in a string");
        if (c == '\\') {
            TRY(scan_escape(p, &b));
        } else if (!p->json && c == '$' && peek(p, 1) == '{') {
            buf_byte(&b, '$');
            p->at++;
            TRY(scan_template(p, t->pos, &b));
        } else {
            buf_byte(&b, (char)c);
            p->at++;
        }
    }
    p->at++;
    t->type = TOK_STRING;
    return own(p, &b, &t->text);
}

/* One line of the text, its end left off; steps past it.  False at the end of the text. */
static bool take_line(struct parser *p, struct str *line)
{
    if (p->at >= p->text.n)
        return false;
    struct str rest = str_from(p->text, p->at);
    ptrdiff_t end = str_find_byte(rest, '\n');
    *line = str_head(rest, end < 0 ? rest.n : (size_t)end);
    p->at += line->n + (end >= 0);
    if (end >= 0)
        new_line(p);
    return true;
}

static size_t blank_prefix(struct str line)
{
    size_t n = 0;
    while (n < line.n && (line.p[n] == ' ' || line.p[n] == '\t'))
        n++;
    return n;
}

static bool ends_heredoc(struct str line, struct str mark)
{
    while (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    return str_eq(str_from(line, blank_prefix(line)), mark);
}

/*
 * The lines of `<<-`: the indent of the end mark is taken from each.  When one has less, the
 * text stays as it is.
 */
static void add_unindented(struct str body, struct str indent, struct buf *out)
{
    struct str rest = body, line;
    bool all = true;
    while (rest.n > 0 && str_next(&rest, '\n', &line))
        all = all && str_starts(line, indent);
    for (rest = body; rest.n > 0 && str_next(&rest, '\n', &line);) {
        buf_add(out, all ? str_from(line, indent.n) : line);
        buf_byte(out, '\n');
    }
}

static int scan_heredoc(struct parser *p, struct token *t)
{
    struct str head = STR(""), line;
    p->at += 2;
    (void)take_line(p, &head);
    while (head.n > 0 && head.p[head.n - 1] == '\r')
        head.n--;
    bool unindent = head.n > 0 && head.p[0] == '-';
    struct str mark = str_from(head, unindent ? 1 : 0);
    if (mark.n == 0)
        return hcl_error(p->err, t->pos, "zero-length heredoc anchor");
    for (size_t i = 0; i < mark.n; i++)
        if (!is_letter((unsigned char)mark.p[i]) && !is_digit(mark.p[i]))
            return hcl_error(p->err, t->pos, "heredoc anchor expected: letters and digits only");
    size_t start = p->at;
    for (;;) {
        size_t at = p->at;
        if (!take_line(p, &line))
            return hcl_error(p->err, t->pos, "heredoc not terminated");
        if (!ends_heredoc(line, mark))
            continue;
        AUTO(buf_free) struct buf b = { 0 };
        struct str body = str_mem(p->text.p + start, at - start);
        struct str indent = str_head(line, blank_prefix(line));
        if (unindent) {
            add_unindented(body, indent, &b);
        } else {
            buf_add(&b, body);
            buf_add(&b, indent);
        }
        t->type = TOK_STRING;
        return own(p, &b, &t->text);
    }
}

static size_t digits(struct parser *p, bool hex)
{
    size_t n = 0;
    while (is_digit(peek(p, 0)) || (hex && hex_value(peek(p, 0)) >= 0)) {
        p->at++;
        n++;
    }
    return n;
}

static int scan_number(struct parser *p, struct token *t)
{
    size_t start = p->at;
    bool octal = false;
    if (peek(p, 0) == '-')
        p->at++;
    if (peek(p, 0) == '0' && (peek(p, 1) == 'x' || peek(p, 1) == 'X')) {
        p->at += 2;
        if (digits(p, true) == 0)
            return hcl_error(p->err, t->pos, "illegal hexadecimal number");
    } else {
        octal = peek(p, 0) == '0' && is_digit(peek(p, 1));
        size_t whole = digits(p, false), part = 0;
        if (peek(p, 0) == '.') {
            octal = false;
            p->at++;
            part = digits(p, false);
        }
        if (whole + part == 0)
            return hcl_error(p->err, t->pos, "number expected");
        if (peek(p, 0) == 'e' || peek(p, 0) == 'E') {
            octal = false;
            p->at++;
            if (peek(p, 0) == '+' || peek(p, 0) == '-')
                p->at++;
            if (digits(p, false) == 0)
                return hcl_error(p->err, t->pos, "illegal exponent of a number");
        }
    }
    struct str text = str_mem(p->text.p + start, p->at - start);
    if (octal && (str_find_byte(text, '8') >= 0 || str_find_byte(text, '9') >= 0))
        return hcl_error(p->err, t->pos, "illegal octal number");
    if (is_letter(peek(p, 0)) || peek(p, 0) == '.')
        return hcl_error(p->err, here(p), "number expected to end");
    t->type = TOK_NUMBER;
    t->text = text;
    return 0;
}

static void scan_ident(struct parser *p, struct token *t)
{
    size_t start = p->at;
    for (int c = peek(p, 0); is_letter(c) || is_digit(c) || c == '-' || c == '.'; c = peek(p, 0))
        p->at++;
    t->type = TOK_IDENT;
    t->text = str_mem(p->text.p + start, p->at - start);
}

static bool punctuation(int c, enum token_type *type)
{
    static const struct {
        char c;
        enum token_type type;
    } table[] = {
        { '{', TOK_LBRACE }, { '}', TOK_RBRACE }, { '[', TOK_LBRACK }, { ']', TOK_RBRACK },
        { ',', TOK_COMMA },  { '=', TOK_ASSIGN }, { ':', TOK_COLON },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (table[i].c == c) {
            *type = table[i].type;
            return true;
        }
    return false;
}

/* Put the next token into p->tok. */
static int advance(struct parser *p)
{
    TRY(skip_blank(p));
    struct token *t = &p->tok;
    *t = (struct token){ .type = TOK_EOF, .pos = here(p) };
    int c = peek(p, 0);
    if (c < 0)
        return 0;
    if (c == '"')
        return scan_string(p, t);
    if (!p->json && c == '<' && peek(p, 1) == '<')
        return scan_heredoc(p, t);
    if (is_digit(c) || c == '-' || c == '.')
        return scan_number(p, t);
    if (is_letter(c)) {
        scan_ident(p, t);
        return 0;
    }
    enum token_type type;
    if (!punctuation(c, &type) || (type == TOK_COLON && !p->json) ||
        (type == TOK_ASSIGN && p->json))
        return hcl_error(p->err, t->pos, "illegal character");
    t->type = type;
    p->at++;
    return 0;
}

/* ---- parser ---- */

static int parse_value(struct parser *p, struct hcl **out);

static struct hcl *value_new(struct parser *p, enum hcl_type type)
{
    struct hcl *v = arena_alloc(p->arena, sizeof *v);
    if (v != NULL) {
        v->type = type;
        v->pos = p->tok.pos;
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
            struct hcl_item *one = item_join(p->arena, item, NULL, 0);
            if (one == NULL)
                return arena_check(p->arena, p->err);
            one->value = e;
            TRY(add_folded(p, object, one));
        }
        return 0;
    }
    if (all_objects(v) && v->type == HCL_OBJECT && item->n_keys + widest(v) <= FOLD_MAX) {
        for (struct hcl_item *sub = v->items; sub != NULL; sub = sub->next) {
            struct hcl_item *one = item_join(p->arena, item, sub, 0);
            if (one == NULL)
                return arena_check(p->arena, p->err);
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
    while (p->tok.type == TOK_STRING || (!p->json && p->tok.type == TOK_IDENT)) {
        if (n == ARRAY_LEN(keys))
            return hcl_error(p->err, p->tok.pos, "LBRACE expected: too many labels");
        keys[n++] = (struct hcl_key){ arena_dup(p->arena, p->tok.text), p->tok.pos };
        TRY(advance(p));
        if (p->json)
            break;
    }
    const char *got = token_names[p->tok.type];
    if (n == 0)
        return hcl_error(p->err, p->tok.pos, "object key expected (STRING%s) got: %s",
                         p->json ? "" : " or IDENT", got);
    if (p->json && p->tok.type != TOK_COLON)
        return hcl_error(p->err, p->tok.pos, "COLON expected after a key, got: %s", got);
    if (n > 1 && p->tok.type != TOK_LBRACE)
        return hcl_error(p->err, p->tok.pos, "nested object expected: LBRACE got: %s", got);
    if (!p->json && p->tok.type == TOK_EOF)
        return hcl_error(p->err, p->tok.pos,
                         "key '" STR_FMT "' expected start of object ('{') or "
                         "assignment ('=')",
                         STR_ARG(keys[0].text));
    if (!p->json && p->tok.type != TOK_ASSIGN && p->tok.type != TOK_LBRACE)
        return hcl_error(p->err, p->tok.pos,
                         "ASSIGN or LBRACE expected after key '" STR_FMT "', got: %s",
                         STR_ARG(keys[0].text), got);
    item->n_keys = n;
    item->keys = arena_array(p->arena, n, sizeof *item->keys);
    TRY(arena_check(p->arena, p->err));
    memcpy(item->keys, keys, n * sizeof *keys);
    return 0;
}

static int parse_item(struct parser *p, struct hcl *object)
{
    struct hcl_item *item = arena_alloc(p->arena, sizeof *item);
    if (item == NULL)
        return arena_check(p->arena, p->err);
    TRY(parse_keys(p, item));
    if (p->tok.type == TOK_ASSIGN || p->tok.type == TOK_COLON) {
        item->assign_line = p->tok.pos.line;
        TRY(advance(p));
    }
    TRY(parse_value(p, &item->value));
    if (p->json)
        return add_folded(p, object, item);
    add_item(object, item);
    return 0;
}

/* Items up to ${end}, which stays the present token. */
static int parse_items(struct parser *p, struct hcl *object, enum token_type end)
{
    bool comma = false;
    while (p->tok.type != end || (p->json && comma)) {
        if (p->tok.type == TOK_EOF)
            return hcl_error(p->err, p->tok.pos, "object expected closing RBRACE got: EOF");
        if (p->json && !comma && object->count > 0)
            return hcl_error(p->err, p->tok.pos, "COMMA or RBRACE expected, got: %s",
                             token_names[p->tok.type]);
        TRY(parse_item(p, object));
        comma = p->tok.type == TOK_COMMA;
        if (comma)
            TRY(advance(p));
    }
    return 0;
}

static int parse_object(struct parser *p, struct hcl **out)
{
    struct hcl *v = value_new(p, HCL_OBJECT);
    if (v == NULL)
        return arena_check(p->arena, p->err);
    TRY(advance(p));
    TRY(parse_items(p, v, TOK_RBRACE));
    TRY(advance(p));
    *out = v;
    return 0;
}

static int parse_list(struct parser *p, struct hcl **out)
{
    struct hcl *v = value_new(p, HCL_LIST);
    if (v == NULL)
        return arena_check(p->arena, p->err);
    bool comma = true;
    TRY(advance(p));
    while (p->tok.type != TOK_RBRACK) {
        if (!comma)
            return hcl_error(p->err, p->tok.pos, "COMMA or RBRACK expected in a list, got: %s",
                             token_names[p->tok.type]);
        struct hcl *e;
        TRY(parse_value(p, &e));
        add_element(v, e);
        comma = p->tok.type == TOK_COMMA;
        if (comma)
            TRY(advance(p));
        if (comma && p->json && p->tok.type == TOK_RBRACK)
            return hcl_error(p->err, p->tok.pos, "value expected after COMMA, got: RBRACK");
    }
    TRY(advance(p));
    *out = v;
    return 0;
}

static int parse_literal(struct parser *p, struct hcl **out)
{
    struct hcl *v = value_new(p, p->tok.type == TOK_NUMBER ? HCL_NUMBER : HCL_STRING);
    if (v == NULL)
        return arena_check(p->arena, p->err);
    if (p->tok.type == TOK_IDENT) {
        v->truth = str_is(p->tok.text, "true");
        bool null = p->json && str_is(p->tok.text, "null");
        if (!v->truth && !null && !str_is(p->tok.text, "false"))
            return hcl_error(p->err, p->tok.pos, "value expected, got: IDENT " STR_FMT,
                             STR_ARG(str_head(p->tok.text, 64)));
        v->type = null ? HCL_STRING : HCL_BOOL;
    } else {
        v->text = p->tok.type == TOK_NUMBER ? arena_dup(p->arena, p->tok.text) : p->tok.text;
    }
    *out = v;
    TRY(arena_check(p->arena, p->err));
    return advance(p);
}

static int parse_value(struct parser *p, struct hcl **out)
{
    if (p->depth >= DEPTH_MAX)
        return hcl_error(p->err, p->tok.pos, "nesting of at most %d expected", DEPTH_MAX);
    p->depth++;
    int rc;
    if (p->tok.type == TOK_LBRACE)
        rc = parse_object(p, out);
    else if (p->tok.type == TOK_LBRACK)
        rc = parse_list(p, out);
    else if (p->tok.type == TOK_STRING || p->tok.type == TOK_NUMBER || p->tok.type == TOK_IDENT)
        rc = parse_literal(p, out);
    else
        rc = hcl_error(p->err, p->tok.pos, "value expected, got: %s", token_names[p->tok.type]);
    p->depth--;
    return rc;
}

/* Length of the UTF-8 sequence at ${s}, 0 when it is none (RFC 3629 §4). */
static size_t rune_len(const unsigned char *s, size_t n)
{
    if (s[0] < 0x80)
        return s[0] == 0 ? 0 : 1;
    size_t len = s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
    if (len == 0 || len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    bool bad = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
               (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f);
    return bad ? 0 : len;
}

static int check_text(const struct parser *p)
{
    const unsigned char *s = (const unsigned char *)p->text.p;
    struct hcl_pos pos = { p->file, 1, 1 };
    if (p->text.n > TEXT_MAX)
        return hcl_error(p->err, pos, "text of at most 32 MiB expected");
    for (size_t i = 0, len; i < p->text.n; i += len) {
        len = rune_len(s + i, p->text.n - i);
        if (len == 0)
            return hcl_error(p->err, pos, "text in UTF-8 without NUL expected");
        pos.column += (uint32_t)len;
        if (s[i] == '\n')
            pos = (struct hcl_pos){ p->file, pos.line + 1, 1 };
    }
    return 0;
}

int hcl_parse(struct arena *a, struct str file, struct str text, struct hcl **out, struct err *err)
{
    struct parser p = { .arena = a, .text = text, .line = 1, .err = err };
    if (file.n > 0)
        p.file = arena_cstr(a, file);
    TRY(check_text(&p));
    if (str_starts(p.text, STR("\xef\xbb\xbf")))
        p.at = p.line_start = 3;
    p.json = str_starts(str_trim(str_from(p.text, p.at)), STR("{"));
    TRY(advance(&p));
    struct hcl *root = value_new(&p, HCL_OBJECT);
    if (root == NULL)
        return arena_check(a, err);
    TRY(p.json ? parse_object(&p, &root) : parse_items(&p, root, TOK_EOF));
    if (p.tok.type != TOK_EOF)
        return hcl_error(err, p.tok.pos, "EOF expected, got: %s", token_names[p.tok.type]);
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
