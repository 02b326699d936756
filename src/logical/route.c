/* Route: matches a request's path against an engine's table and calls the handler. */
#include "logical/route.h"

#include <assert.h>

/* More names than any pattern of ours holds; a table that needs more fails its first match. */
enum { MAX_NAMES = 8 };

enum kind { KIND_NAME, KIND_AT, KIND_ANY, KIND_REST, KIND_REST_SOME };

struct name {
    struct str text;
    enum kind kind;
    const char *after; /* the pattern behind the closing brace */
};

struct capture {
    struct str name, value;
};

struct match {
    const char *end; /* of the path */
    struct capture captures[MAX_NAMES];
    size_t n;
};

static struct name name_parse(const char *p)
{
    static const struct { struct str suffix; enum kind kind; } kinds[] = {
        { STR_INIT("..."), KIND_REST },
        { STR_INIT(":+"), KIND_REST_SOME },
        { STR_INIT(":any"), KIND_ANY },
        { STR_INIT(":at"), KIND_AT },
    };
    const char *close = strchr(p, '}');

    assert(close != NULL);
    struct name name = { { p + 1, (size_t)(close - p - 1) }, KIND_NAME, close + 1 };
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (str_ends(name.text, kinds[i].suffix)) {
            name.kind = kinds[i].kind;
            name.text.n -= kinds[i].suffix.n;
            break;
        }
    }
    return name;
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool in_class(char c, enum kind kind)
{
    switch (kind) {
    case KIND_NAME:
        return is_word(c) || c == '-' || c == '.';
    case KIND_AT:
        return is_word(c) || c == '-' || c == '.' || c == '@';
    case KIND_ANY:
        return c != '/';
    case KIND_REST:
    case KIND_REST_SOME:
        return true;
    }
    return false;
}

/* The inner characters of a name may be '-' or '.', its first and last may not. */
static bool edges_fit(const char *s, size_t n, enum kind kind)
{
    return (kind != KIND_NAME && kind != KIND_AT) || (is_word(s[0]) && is_word(s[n - 1]));
}

static bool match_here(const char *p, const char *s, struct match *m);

static bool match_name(const char *p, const char *s, struct match *m)
{
    struct name name = name_parse(p);
    size_t least = name.kind == KIND_REST ? 0 : 1, n = 0, mine = m->n;
    bool rest = name.kind == KIND_REST || name.kind == KIND_REST_SOME;

    if (rest)
        n = (size_t)(m->end - s);
    else
        while (s + n < m->end && in_class(s[n], name.kind))
            n++;
    assert(mine < MAX_NAMES);
    /* Longest first; before a '/' or the end nothing shorter could match. */
    bool longest_only = rest || *name.after == '\0' || *name.after == '/';
    for (; n >= least; n--) {
        if (n == 0 || edges_fit(s, n, name.kind)) {
            m->captures[mine] = (struct capture){ name.text, { s, n } };
            m->n = mine + 1;
            if (match_here(name.after, s + n, m))
                return true;
        }
        if (longest_only || n == 0)
            break;
    }
    m->n = mine;
    return false;
}

/* Behind the parenthesis that closes the one at ${p}. */
static const char *group_end(const char *p)
{
    int depth = 0;

    for (;; p++) {
        assert(*p != '\0');
        if (*p == '(')
            depth++;
        else if (*p == ')' && --depth == 0)
            return p + 1;
    }
}

static bool match_here(const char *p, const char *s, struct match *m)
{
    for (;;) {
        if (*p == '\0')
            return s == m->end;
        if (*p == '{')
            return match_name(p, s, m);
        if (*p == '(') {
            if (match_here(p + 1, s, m))
                return true;
            p = group_end(p);
        } else if (*p == ')') {
            p++;
        } else if (p[1] == '?') {
            if (s < m->end && *s == *p && match_here(p + 2, s + 1, m))
                return true;
            p += 2;
        } else {
            if (s == m->end || *s != *p)
                return false;
            p++, s++;
        }
    }
}

static bool match_whole(const char *pattern, struct str rel, struct match *m)
{
    static const char empty[1] = "";
    const char *s = rel.p != NULL ? rel.p : empty;

    m->end = s + rel.n;
    m->n = 0;
    return match_here(pattern, s, m);
}

/* As in Vault, names in parentheses that were left out are set too, to the empty text. */
static void put_captures(const struct match *m, const char *pattern, struct request *req)
{
    req->path_data = m->n > 0 || strchr(pattern, '(') != NULL ? json_object(req->arena) : NULL;
    for (size_t i = 0; i < m->n; i++)
        if (m->captures[i].name.n > 0)
            json_set(req->path_data, m->captures[i].name, json_str(req->arena, m->captures[i].value));
    if (strchr(pattern, '(') == NULL)
        return;
    for (const char *p = strchr(pattern, '{'); p != NULL; p = strchr(p, '{')) {
        struct name name = name_parse(p);
        bool set = false;
        for (size_t i = 0; i < m->n; i++)
            set = set || str_eq(m->captures[i].name, name.text);
        if (!set)
            json_set(req->path_data, name.text, json_str(req->arena, STR("")));
        p = name.after;
    }
}

int route_match(const struct route *routes, size_t n, struct request *req)
{
    struct match m;

    for (size_t i = 0; i < n; i++) {
        if (!match_whole(routes[i].pattern, req->rel, &m))
            continue;
        put_captures(&m, routes[i].pattern, req);
        req->route = &routes[i];
        return 1;
    }
    return 0;
}

bool route_matches(const char *pattern, struct str rel)
{
    struct match m;

    return match_whole(pattern, rel, &m);
}

static route_fn *handler_of(const struct route *route, enum op op)
{
    switch (op) {
    case OP_READ:
        return route->read;
    case OP_LIST:
        return route->list;
    case OP_CREATE:
    case OP_UPDATE:
        return route->write;
    case OP_DELETE:
        return route->del;
    case OP_HELP:
    case OP_RENEW:
    case OP_REVOKE:
    case OP_ROLLBACK:
        return NULL;
    }
    return NULL;
}

/*
 * Vault finds a field's bad value in the existence check when there is one, and answers 400 with
 * the bare text; otherwise just before the handler: 500, wrapped.
 */
static int check_fields(struct request *req)
{
    bool write = req->op == OP_CREATE || req->op == OP_UPDATE;

    if (field_check_all(req) == 0)
        return 0;
    if (write && req->route->exists != NULL && req->err.code == ERR_INTERNAL)
        req->err.code = ERR_BAD_REQUEST;
    return -1;
}

int route_exists(struct request *req)
{
    if (req->route == NULL || req->route->exists == NULL)
        return 1;
    TRY(check_fields(req));
    return req->route->exists(req);
}

int route_call(struct request *req, struct response *resp)
{
    if (req->route == NULL)
        return err_set(&req->err, ERR_UNSUPPORTED_PATH, "unsupported path");
    route_fn *handler = handler_of(req->route, req->op);
    if (handler == NULL)
        return err_set(&req->err, ERR_UNSUPPORTED, "unsupported operation");
    TRY(check_fields(req));
    return handler(req, resp);
}
