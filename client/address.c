/* Address: Vault addresses and request paths turned into URLs, encoded as Go's net/url does. */
#include "client/address.h"

#include <arpa/nameser.h>
#include <ctype.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdlib.h>

int address_split(const char *address, struct buf *base, struct buf *unix_path, struct err *err)
{
    struct str text = str_trim(str_of(address));
    if (str_starts(text, STR("unix://"))) {
        struct str path = str_from(text, sizeof "unix://" - 1);
        if (path.n == 0)
            return err_set(err, ERR_BAD_REQUEST, "address \"%s\" names no socket", address);
        buf_add(unix_path, path);
        buf_add(base, STR("http://localhost"));
        TRY(buf_check(unix_path, err));
        return buf_check(base, err);
    }
    if (!str_starts(text, STR("http://")) && !str_starts(text, STR("https://")))
        return err_set(err, ERR_BAD_REQUEST,
                       "unsupported protocol scheme in address \"%s\": it must start with "
                       "http://, https:// or unix://", address);
    while (str_ends(text, STR("/")))
        text = str_head(text, text.n - 1);
    buf_add(base, text);
    return buf_check(base, err);
}

static void add_encoded(struct buf *url, struct str text, const char *also_plain)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (isalnum(c) || strchr("-_.~", c) != NULL || strchr(also_plain, c) != NULL)
            buf_byte(url, (char)c);
        else
            buf_printf(url, "%%%02X", c);
    }
}

void address_add_path(struct buf *url, const char *path)
{
    struct str rest = str_of(path), part;
    buf_add(url, STR("/v1"));
    size_t root = url->n;
    while (str_next(&rest, '/', &part)) {
        if (part.n == 0 || str_is(part, "."))
            continue;
        if (str_is(part, "..")) {
            while (url->n > root && url->p[--url->n] != '/')
                ;
            continue;
        }
        buf_byte(url, '/');
        add_encoded(url, part, "$&+,:;=@");
    }
}

static int by_name(const void *a, const void *b)
{
    const struct coffer_pair *x = *(const struct coffer_pair *const *)a;
    const struct coffer_pair *y = *(const struct coffer_pair *const *)b;
    int c = strcmp(x->name, y->name);
    /* equal names keep their order: both point into one array */
    return c != 0 ? c : x < y ? -1 : 1;
}

static void add_query_text(struct buf *url, const char *text)
{
    struct str rest = str_of(text), word;
    bool first = true;
    while (str_next(&rest, ' ', &word)) {
        if (!first)
            buf_byte(url, '+');
        add_encoded(url, word, "");
        first = false;
    }
}

void address_add_query(struct buf *url, const struct coffer_pair *query, size_t n)
{
    if (n == 0)
        return;
    const struct coffer_pair **sorted = calloc(n, sizeof *sorted);
    if (sorted == NULL) {
        url->failed = true;
        return;
    }
    for (size_t i = 0; i < n; i++)
        sorted[i] = &query[i];
    qsort(sorted, n, sizeof *sorted, by_name);
    for (size_t i = 0; i < n; i++) {
        buf_byte(url, i == 0 ? '?' : '&');
        add_query_text(url, sorted[i]->name);
        buf_byte(url, '=');
        add_query_text(url, sorted[i]->value);
    }
    free(sorted);
}

static unsigned number_at(const unsigned char *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

/* Steps over a record's name; NULL when it passes the end. */
static const unsigned char *skip_name(const unsigned char *p, const unsigned char *end)
{
    int n = p < end ? dn_skipname(p, end) : -1;
    return n < 0 || end - p < n ? NULL : p + n;
}

/* The record with the lowest priority, and of these the highest weight (RFC 1035, RFC 2782). */
static bool best_record(const unsigned char *answer, size_t len, char *target, size_t size,
                        int *port)
{
    enum { HEADER = 12, QUESTION_TAIL = 4, RECORD_TAIL = 10, TYPE_SRV = 33 };
    const unsigned char *end = answer + len, *p = answer + HEADER;
    unsigned best_priority = 0x10000, best_weight = 0;
    if (len < HEADER)
        return false;
    for (unsigned i = number_at(answer + 4); i > 0; i--) {
        p = skip_name(p, end);
        if (p == NULL || end - p < QUESTION_TAIL)
            return false;
        p += QUESTION_TAIL;
    }
    for (unsigned i = number_at(answer + 6); i > 0; i--) {
        p = skip_name(p, end);
        if (p == NULL || end - p < RECORD_TAIL)
            break;
        unsigned type = number_at(p), length = number_at(p + 8);
        const unsigned char *d = p + RECORD_TAIL;
        if (end - d < (ptrdiff_t)length)
            break;
        p = d + length;
        unsigned priority = length < 7 ? 0x10000 : number_at(d);
        unsigned weight = length < 7 ? 0 : number_at(d + 2);
        if (type != TYPE_SRV || priority > best_priority ||
            (priority == best_priority && weight <= best_weight) ||
            dn_expand(answer, end, d + 6, target, (int)size) < 0)
            continue;
        best_priority = priority;
        best_weight = weight;
        *port = (int)number_at(d + 4);
    }
    return best_priority < 0x10000;
}

int address_by_srv(struct str base, struct buf *out)
{
    ptrdiff_t slashes = str_find(base, STR("://"));
    struct str host = str_from(base, (size_t)slashes + 3);
    ptrdiff_t slash = str_find_byte(host, '/');
    struct str rest = slash < 0 ? STR("") : str_from(host, (size_t)slash);
    host = slash < 0 ? host : str_head(host, (size_t)slash);
    if (str_find_byte(host, ':') >= 0 || host.n == 0)
        return 0;

    AUTO(buf_free) struct buf name = { 0 };
    buf_printf(&name, "_http._tcp." STR_FMT, STR_ARG(host));
    buf_byte(&name, '\0');
    unsigned char answer[NS_PACKETSZ * 8];
    char target[NS_MAXDNAME];
    int port = 0;
    if (name.failed)
        return 0;
    int len = res_query(name.p, ns_c_in, ns_t_srv, answer, sizeof answer);
    if (len <= 0 || len > (int)sizeof answer ||
        !best_record(answer, (size_t)len, target, sizeof target, &port))
        return 0;
    buf_add(out, str_head(base, (size_t)slashes + 3));
    buf_printf(out, "%s:%d" STR_FMT, target, port, STR_ARG(rest));
    return out->failed ? 0 : 1;
}
