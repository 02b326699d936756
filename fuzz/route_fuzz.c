/*
 * Fuzz target: a path against patterns of every kind, compared with the regular expressions that
 * the patterns stand for.
 */
#include <regex.h>
#include <stdlib.h>

#include "logical/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WORD "[A-Za-z0-9_]"
#define NAME WORD "(([A-Za-z0-9_.-]*)?" WORD ")?"
#define AT WORD "(([A-Za-z0-9_.@-]*)?" WORD ")?"

static const struct { const char *pattern, *regex; } table[] = {
    { "config/ca", "^config/ca$" },
    { "keys/?", "^keys/?$" },
    { "keys/{name}", "^keys/" NAME "$" },
    { "keys/{name}/rotate", "^keys/" NAME "/rotate$" },
    { "users/{user:at}(/policies)", "^users/" AT "(/policies)?$" },
    { "random(/{source})(/{bytes})", "^random(/" NAME ")?(/" NAME ")?$" },
    { "data/{path...}", "^data/(.|\n)*$" },
    { "data/{path:+}", "^data/(.|\n)+$" },
    { "x/{a:any}/y", "^x/[^/]+/y$" },
    { "{a}-{b}", "^" NAME "-" NAME "$" },
    { "hash(/{alg:any})/?", "^hash(/[^/]+)?/?$" },
    { "{...}", "^(.|\n)*$" },
};

static regex_t compiled[ARRAY_LEN(table)];

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void compile(void)
{
    static bool done;
    for (size_t i = 0; !done && i < ARRAY_LEN(table); i++)
        must(regcomp(&compiled[i], table[i].regex, REG_EXTENDED | REG_NOSUB) == 0);
    done = true;
}

/* A row's captures lie within the path. */
static void check_captures(struct arena *a, struct str rel, size_t row)
{
    const struct route route = { .pattern = table[row].pattern };
    struct request req = { .arena = a, .rel = rel };
    must(route_match(&route, 1, &req) == 1 && req.route == &route);
    for (const struct json *v = json_first(req.path_data); v != NULL; v = v->next)
        must(v->type == JSON_STRING && (v->text.n == 0 || str_find(rel, v->text) >= 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct str rel = str_mem(data, size);
    compile();
    char *text = size > 300 ? NULL : arena_cstr(a, rel);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        bool matches = route_matches(table[i].pattern, rel);
        if (matches)
            check_captures(a, rel, i);
        if (text != NULL)
            must(matches == (regexec(&compiled[i], text, 0, NULL, 0) == 0));
    }
    return 0;
}
