/* Base64 and hex by table; refusals name the byte as Go's packages do. */
#include "codec/base64.h"

#include "codec/utf8.h"

struct alphabet {
    char digit[65];
    signed char value[256]; /* -1: none */
    bool padded;            /* '=' must fill the last group */
};

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
/* clang-format off */
#define VALUES(plus, slash) \
    { [0 ... 255] = -1, \
      ['A'] = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, \
      23, 24, 25, \
      ['a'] = 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, \
      46, 47, 48, 49, 50, 51, \
      ['0'] = 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, \
      [plus] = 62, [slash] = 63 }
/* clang-format on */

/* The catch-all of the table is overridden on purpose. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma GCC diagnostic ignored "-Winitializer-overrides"
#endif
static const struct alphabet standard = { LETTERS "+/", VALUES('+', '/'), true };
static const struct alphabet url = { LETTERS "-_", VALUES('-', '_'), false };
#pragma GCC diagnostic pop

static const char hex_digits[] = "0123456789abcdef";

/* ----------------------------------------------------------------- encoding */

static size_t encoded_len(const struct alphabet *abc, size_t n)
{
    return abc->padded ? (n + 2) / 3 * 4 : n / 3 * 4 + (n % 3 * 8 + 5) / 6;
}

/* ${to} has encoded_len bytes. */
static void encode(const struct alphabet *abc, struct str s, char *to)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t n = s.n;
    for (; n >= 3; n -= 3, p += 3) {
        uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        *to++ = abc->digit[v >> 18];
        *to++ = abc->digit[v >> 12 & 63];
        *to++ = abc->digit[v >> 6 & 63];
        *to++ = abc->digit[v & 63];
    }
    if (n == 0)
        return;
    uint32_t v = (uint32_t)p[0] << 16 | (n == 2 ? (uint32_t)p[1] << 8 : 0);
    *to++ = abc->digit[v >> 18];
    *to++ = abc->digit[v >> 12 & 63];
    if (n == 2)
        *to++ = abc->digit[v >> 6 & 63];
    for (size_t i = n; abc->padded && i < 3; i++)
        *to++ = '=';
}

static struct str encode_in(struct arena *a, const struct alphabet *abc, struct str bytes)
{
    size_t n = encoded_len(abc, bytes.n);
    char *p = arena_bytes(a, n);
    if (p == NULL)
        return (struct str){ NULL, 0 };
    encode(abc, bytes, p);
    return (struct str){ p, n };
}

struct str base64_encode(struct arena *a, struct str bytes)
{
    return encode_in(a, &standard, bytes);
}

struct str base64url_encode(struct arena *a, struct str bytes)
{
    return encode_in(a, &url, bytes);
}

void base64_add(struct buf *out, struct str bytes)
{
    size_t n = encoded_len(&standard, bytes.n);
    if (n == 0 || buf_reserve(out, n) < 0)
        return;
    encode(&standard, bytes, out->p + out->n);
    out->n += n;
}

static void encode_hex(struct str bytes, char *to)
{
    for (size_t i = 0; i < bytes.n; i++) {
        unsigned char c = (unsigned char)bytes.p[i];
        to[2 * i] = hex_digits[c >> 4];
        to[2 * i + 1] = hex_digits[c & 15];
    }
}

struct str hex_encode(struct arena *a, struct str bytes)
{
    char *p = arena_bytes(a, bytes.n * 2);
    if (p == NULL)
        return (struct str){ NULL, 0 };
    encode_hex(bytes, p);
    return (struct str){ p, bytes.n * 2 };
}

void hex_add(struct buf *out, struct str bytes)
{
    if (bytes.n == 0 || buf_reserve(out, bytes.n * 2) < 0)
        return;
    encode_hex(bytes, out->p + out->n);
    out->n += bytes.n * 2;
}

/* ----------------------------------------------------------------- decoding */

static int illegal(size_t at, struct err *err)
{
    return err_set(err, ERR_BAD_REQUEST, "illegal base64 data at input byte %zu", at);
}

static size_t skip_line_ends(struct str s, size_t at)
{
    while (at < s.n && (s.p[at] == '\n' || s.p[at] == '\r'))
        at++;
    return at;
}

/* A '=' stands at ${at} behind ${have} digits of its group: may it, and is it the end? */
static int check_padding(struct str text, size_t at, size_t have, struct err *err)
{
    if (have < 2)
        return illegal(at, err);
    at = skip_line_ends(text, at + 1);
    if (have == 2) {
        if (at == text.n)
            return illegal(text.n, err);
        if (text.p[at] != '=')
            return illegal(at - 1, err);
        at = skip_line_ends(text, at + 1);
    }
    return at < text.n ? illegal(at, err) : 0;
}

/* The bytes of a last group of ${have} digits: 0, 2 or 3. */
static char *put_rest(char *to, uint32_t group, size_t have)
{
    if (have == 2)
        *to++ = (char)(group >> 4);
    if (have == 3) {
        *to++ = (char)(group >> 10);
        *to++ = (char)(group >> 2);
    }
    return to;
}

/* Returns how many bytes came out at ${start}, or -1. */
static ptrdiff_t decode(const struct alphabet *abc, struct str text, char *start, struct err *err)
{
    char *to = start;
    uint32_t group = 0;
    size_t have = 0, i = 0;
    for (; i < text.n; i++) {
        char c = text.p[i];
        int value = abc->value[(unsigned char)c];
        if (value < 0) {
            if (c == '\n' || c == '\r')
                continue;
            if (c != '=')
                return illegal(i, err);
            TRY(check_padding(text, i, have, err));
            break;
        }
        group = group << 6 | (uint32_t)value;
        if (++have < 4)
            continue;
        *to++ = (char)(group >> 16);
        *to++ = (char)(group >> 8);
        *to++ = (char)group;
        have = 0;
    }
    if (i == text.n && have > 0 && (have == 1 || abc->padded))
        return illegal(text.n - have, err);
    return put_rest(to, group, have) - start;
}

static int decode_in(struct arena *a, const struct alphabet *abc, struct str text, struct str *out,
                     struct err *err)
{
    char *p = arena_bytes(a, text.n / 4 * 3 + 3);
    if (p == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    ptrdiff_t n = decode(abc, text, p, err);
    if (n < 0)
        return -1;
    *out = (struct str){ p, (size_t)n };
    return 0;
}

int base64_decode(struct arena *a, struct str text, struct str *out, struct err *err)
{
    return decode_in(a, &standard, text, out, err);
}

int base64url_decode(struct arena *a, struct str text, struct str *out, struct err *err)
{
    return decode_in(a, &url, text, out, err);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int not_hex(unsigned char c, struct err *err)
{
    char utf8[4];
    int n = (int)utf8_put(utf8, c);
    if (c < ' ' || (c >= 0x7F && c <= 0xA0) || c == 0xAD)
        return err_set(err, ERR_BAD_REQUEST, "encoding/hex: invalid byte: U+%04X", c);
    return err_set(err, ERR_BAD_REQUEST, "encoding/hex: invalid byte: U+%04X '%.*s'", c, n, utf8);
}

int hex_decode(struct arena *a, struct str text, struct str *out, struct err *err)
{
    char *p = arena_bytes(a, text.n / 2);
    if (p == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < text.n; i++) {
        int value = hex_value(text.p[i]);
        if (value < 0)
            return not_hex((unsigned char)text.p[i], err);
        if (i % 2 == 1)
            p[i / 2] = (char)(hex_value(text.p[i - 1]) << 4 | value);
    }
    if (text.n % 2 == 1)
        return err_set(err, ERR_BAD_REQUEST, "encoding/hex: odd length hex string");
    *out = (struct str){ p, text.n / 2 };
    return 0;
}
