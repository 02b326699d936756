/* Percent-coding and path cleaning, after the rules of Go's net/url, path and ServeMux. */
#include "net/url.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Undo %XX, and with ${plus} also '+'. -1: bad escape or out of memory. */
static int unescape(struct arena *a, struct str raw, bool plus, struct str *out)
{
    *out = raw;
    if (str_find_byte(raw, '%') < 0 && (!plus || str_find_byte(raw, '+') < 0))
        return 0;
    char *p = arena_bytes(a, raw.n + 1);
    if (p == NULL)
        return -1;
    size_t n = 0;
    for (size_t i = 0; i < raw.n; i++) {
        char c = raw.p[i];
        if (c == '%') {
            int high = i + 2 < raw.n ? hex_value(raw.p[i + 1]) : -1;
            int low = i + 2 < raw.n ? hex_value(raw.p[i + 2]) : -1;
            if (high < 0 || low < 0)
                return -1;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        p[n++] = c;
    }
    p[n] = 0;
    *out = str_mem(p, n);
    return 0;
}

int url_decode_path(struct arena *a, struct str raw, struct str *out)
{
    return unescape(a, raw, false, out);
}

/* Whether cleaning would change nothing: starts with '/', no "//", "/./", "/../" inside. */
static bool is_clean(struct str p)
{
    if (p.n == 0 || p.p[0] != '/')
        return false;
    for (size_t i = 0; i + 1 < p.n; i++) {
        if (p.p[i] != '/')
            continue;
        if (p.p[i + 1] == '/')
            return false;
        if (p.p[i + 1] != '.')
            continue;
        size_t after = i + 2;
        if (after < p.n && p.p[after] == '.')
            after++;
        if (after == p.n || p.p[after] == '/')
            return false;
    }
    return true;
}

/* Drop the last "/name" of what was written so far. */
static size_t parent(const char *p, size_t n)
{
    while (n > 0 && p[n - 1] != '/')
        n--;
    return n > 0 ? n - 1 : 0;
}

bool url_clean_path(struct arena *a, struct str decoded, struct str *cleaned)
{
    *cleaned = decoded;
    if (is_clean(decoded))
        return false;
    char *p = arena_bytes(a, decoded.n + 2);
    if (p == NULL)
        return false;
    size_t n = 0;
    struct str rest = decoded, part;
    while (rest.n > 0 && str_next(&rest, '/', &part)) {
        if (part.n == 0 || str_is(part, "."))
            continue;
        if (str_is(part, "..")) {
            n = parent(p, n);
            continue;
        }
        p[n++] = '/';
        memcpy(p + n, part.p, part.n);
        n += part.n;
    }
    if (n == 0 || (decoded.n > 0 && decoded.p[decoded.n - 1] == '/'))
        p[n++] = '/';
    *cleaned = str_mem(p, n);
    return true;
}

static bool stays_in_path(char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return true;
    return c != 0 && strchr("-_.~$&+,/:;=@", c) != NULL;
}

struct str url_encode_path(struct arena *a, struct str decoded)
{
    size_t escapes = 0;
    for (size_t i = 0; i < decoded.n; i++)
        escapes += !stays_in_path(decoded.p[i]);
    if (escapes == 0)
        return decoded;
    char *p = arena_bytes(a, decoded.n + 2 * escapes);
    if (p == NULL)
        return (struct str){ NULL, 0 };
    size_t n = 0;
    for (size_t i = 0; i < decoded.n; i++) {
        unsigned char c = (unsigned char)decoded.p[i];
        if (stays_in_path((char)c)) {
            p[n++] = (char)c;
            continue;
        }
        p[n++] = '%';
        p[n++] = "0123456789ABCDEF"[c >> 4];
        p[n++] = "0123456789ABCDEF"[c & 15];
    }
    return str_mem(p, n);
}

/* Cut the next pair off, at '&' or ';'. */
static struct str next_pair(struct str *rest)
{
    size_t n = 0;
    while (n < rest->n && rest->p[n] != '&' && rest->p[n] != ';')
        n++;
    struct str pair = str_head(*rest, n);
    *rest = str_from(*rest, n + 1);
    return pair;
}

struct url_query url_parse_query(struct arena *a, struct str query)
{
    struct url_query q = { 0 };
    if (query.n == 0)
        return q;
    size_t most = 0;
    for (struct str rest = query; rest.n > 0;)
        most += next_pair(&rest).n > 0;
    q.v = arena_array(a, most, sizeof *q.v);
    if (q.v == NULL)
        return q;
    for (struct str rest = query; rest.n > 0;) {
        struct str pair = next_pair(&rest);
        if (pair.n == 0)
            continue;
        ptrdiff_t eq = str_find_byte(pair, '=');
        struct str name = eq < 0 ? pair : str_head(pair, (size_t)eq);
        struct str value = eq < 0 ? STR("") : str_from(pair, (size_t)eq + 1);
        struct url_pair *to = &q.v[q.n];
        if (unescape(a, name, true, &to->name) == 0 && unescape(a, value, true, &to->value) == 0)
            q.n++;
    }
    return q;
}

int url_query_get(const struct url_query *q, struct str name, struct str *value)
{
    for (size_t i = 0; i < q->n; i++) {
        if (str_eq(q->v[i].name, name)) {
            *value = q->v[i].value;
            return 1;
        }
    }
    return 0;
}
