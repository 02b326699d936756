/* The scanner: one function a kind of token. */
#include "codec/hcl_scan.h"

#include "base/buf.h"

#define TEXT_MAX ((size_t)32 << 20)

const char *hcl_scan_name(enum hcl_token_type type)
{
    static const char *const names[] = {
        [TOK_EOF] = "EOF",       [TOK_IDENT] = "IDENT",   [TOK_STRING] = "STRING",
        [TOK_NUMBER] = "NUMBER", [TOK_LBRACE] = "LBRACE", [TOK_RBRACE] = "RBRACE",
        [TOK_LBRACK] = "LBRACK", [TOK_RBRACK] = "RBRACK", [TOK_COMMA] = "COMMA",
        [TOK_ASSIGN] = "ASSIGN", [TOK_COLON] = "COLON",
    };
    return names[type];
}

static int peek(const struct hcl_scan *p, size_t ahead)
{
    size_t at = p->at + ahead;
    return at < p->text.n ? (unsigned char)p->text.p[at] : -1;
}

static void new_line(struct hcl_scan *p)
{
    p->line++;
    p->line_start = p->at;
}

static void step(struct hcl_scan *p)
{
    if (p->text.p[p->at++] == '\n')
        new_line(p);
}

static struct hcl_pos here(const struct hcl_scan *p)
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

static int skip_block_comment(struct hcl_scan *p)
{
    struct hcl_pos start = here(p);
    p->at += 2;
    while (!(peek(p, 0) == '*' && peek(p, 1) == '/')) {
        if (peek(p, 0) < 0)
            return hcl_pos_error(p->err, start, "comment not terminated");
        step(p);
    }
    p->at += 2;
    return 0;
}

static int skip_blank(struct hcl_scan *p)
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
static int scan_code(struct hcl_scan *p, int digits, int base, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < digits; i++) {
        int v = hex_value(peek(p, 0));
        if (v < 0 || v >= base)
            return hcl_pos_error(p->err, here(p), "illegal char in escape sequence");
        *out = *out * (uint32_t)base + (uint32_t)v;
        p->at++;
    }
    return 0;
}

/* A \u escape after its letter; two that are a surrogate pair make one character. */
static int scan_u(struct hcl_scan *p, struct buf *out)
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
static int scan_escape(struct hcl_scan *p, struct buf *out)
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
        return hcl_pos_error(p->err, here(p), "unknown escape sequence");
    }
    if (r > 0x7f)
        add_rune(out, r);
    else
        buf_byte(out, (char)r);
    return 0;
}

/* Keep a template `${...}` as it is written, quotes and all: other programs fill it in. */
static int scan_template(struct hcl_scan *p, struct hcl_pos start, struct buf *out)
{
    int braces = 0;
    do {
        int c = peek(p, 0);
        if (c < 0)
            return hcl_pos_error(p->err, start, "literal not terminated");
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

static int own(struct hcl_scan *p, const struct buf *b, struct str *out)
{
    TRY(buf_check(b, p->err));
    *out = arena_dup(p->arena, buf_str(b));
    return arena_check(p->arena, p->err);
}

static int scan_string(struct hcl_scan *p, struct hcl_token *t)
{
    AUTO(buf_free) struct buf b = { 0 };
    p->at++;
    for (;;) {
        int c = peek(p, 0);
        if (c < 0 || c == '\n')
            return hcl_pos_error(p->err, t->pos, "literal not terminated");
        if (c == '"')
            break;
        if (p->json && c < 0x20)
            return hcl_pos_error(p->err, here(p), "control character in a string");
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
static bool take_line(struct hcl_scan *p, struct str *line)
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

static int scan_heredoc(struct hcl_scan *p, struct hcl_token *t)
{
    struct str head = STR(""), line;
    p->at += 2;
    (void)take_line(p, &head);
    while (head.n > 0 && head.p[head.n - 1] == '\r')
        head.n--;
    bool unindent = head.n > 0 && head.p[0] == '-';
    struct str mark = str_from(head, unindent ? 1 : 0);
    if (mark.n == 0)
        return hcl_pos_error(p->err, t->pos, "zero-length heredoc anchor");
    for (size_t i = 0; i < mark.n; i++)
        if (!is_letter((unsigned char)mark.p[i]) && !is_digit(mark.p[i]))
            return hcl_pos_error(p->err, t->pos,
                                 "heredoc anchor expected: letters and digits only");
    size_t start = p->at;
    for (;;) {
        size_t at = p->at;
        if (!take_line(p, &line))
            return hcl_pos_error(p->err, t->pos, "heredoc not terminated");
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

static size_t digits(struct hcl_scan *p, bool hex)
{
    size_t n = 0;
    while (is_digit(peek(p, 0)) || (hex && hex_value(peek(p, 0)) >= 0)) {
        p->at++;
        n++;
    }
    return n;
}

static int scan_number(struct hcl_scan *p, struct hcl_token *t)
{
    size_t start = p->at;
    bool octal = false;
    if (peek(p, 0) == '-')
        p->at++;
    if (peek(p, 0) == '0' && (peek(p, 1) == 'x' || peek(p, 1) == 'X')) {
        p->at += 2;
        if (digits(p, true) == 0)
            return hcl_pos_error(p->err, t->pos, "illegal hexadecimal number");
    } else {
        octal = peek(p, 0) == '0' && is_digit(peek(p, 1));
        size_t whole = digits(p, false), part = 0;
        if (peek(p, 0) == '.') {
            octal = false;
            p->at++;
            part = digits(p, false);
        }
        if (whole + part == 0)
            return hcl_pos_error(p->err, t->pos, "number expected");
        if (peek(p, 0) == 'e' || peek(p, 0) == 'E') {
            octal = false;
            p->at++;
            if (peek(p, 0) == '+' || peek(p, 0) == '-')
                p->at++;
            if (digits(p, false) == 0)
                return hcl_pos_error(p->err, t->pos, "illegal exponent of a number");
        }
    }
    struct str text = str_mem(p->text.p + start, p->at - start);
    if (octal && (str_find_byte(text, '8') >= 0 || str_find_byte(text, '9') >= 0))
        return hcl_pos_error(p->err, t->pos, "illegal octal number");
    if (is_letter(peek(p, 0)) || peek(p, 0) == '.')
        return hcl_pos_error(p->err, here(p), "number expected to end");
    t->type = TOK_NUMBER;
    t->text = text;
    return 0;
}

static void scan_ident(struct hcl_scan *p, struct hcl_token *t)
{
    size_t start = p->at;
    for (int c = peek(p, 0); is_letter(c) || is_digit(c) || c == '-' || c == '.'; c = peek(p, 0))
        p->at++;
    t->type = TOK_IDENT;
    t->text = str_mem(p->text.p + start, p->at - start);
}

static bool punctuation(int c, enum hcl_token_type *type)
{
    static const struct {
        char c;
        enum hcl_token_type type;
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

int hcl_scan_next(struct hcl_scan *p)
{
    TRY(skip_blank(p));
    struct hcl_token *t = &p->tok;
    *t = (struct hcl_token){ .type = TOK_EOF, .pos = here(p) };
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
    enum hcl_token_type type;
    if (!punctuation(c, &type) || (type == TOK_COLON && !p->json) ||
        (type == TOK_ASSIGN && p->json))
        return hcl_pos_error(p->err, t->pos, "illegal character");
    t->type = type;
    p->at++;
    return 0;
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

static int check_text(const struct hcl_scan *p)
{
    const unsigned char *s = (const unsigned char *)p->text.p;
    struct hcl_pos pos = { p->file, 1, 1 };
    if (p->text.n > TEXT_MAX)
        return hcl_pos_error(p->err, pos, "text of at most 32 MiB expected");
    for (size_t i = 0, len; i < p->text.n; i += len) {
        len = rune_len(s + i, p->text.n - i);
        if (len == 0)
            return hcl_pos_error(p->err, pos, "text in UTF-8 without NUL expected");
        pos.column += (uint32_t)len;
        if (s[i] == '\n')
            pos = (struct hcl_pos){ p->file, pos.line + 1, 1 };
    }
    return 0;
}

int hcl_scan_open(struct hcl_scan *s, struct arena *a, const char *file, struct str text,
                  struct err *err)
{
    *s = (struct hcl_scan){ .arena = a, .text = text, .line = 1, .file = file, .err = err };
    TRY(check_text(s));
    if (str_starts(text, STR("\xef\xbb\xbf")))
        s->at = s->line_start = 3;
    s->json = str_starts(str_trim(str_from(text, s->at)), STR("{"));
    return hcl_scan_next(s);
}
