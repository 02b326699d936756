/* Data: arguments of the form key=value turned into a JSON object. */
#include "cmd/data.h"

#include <unistd.h>

#include "cmd/file.h"

int data_stdin(struct command_run *run, struct buf *out, struct err *err)
{
    if (run->stdin_used)
        return err_set(err, ERR_BAD_REQUEST, "stdin already consumed");
    run->stdin_used = true;
    return file_read_fd(STDIN_FILENO, out, err);
}

/* A JSON object's members into ${object}. */
static int merge(struct command_run *run, const struct buf *text, struct json *object,
                 struct err *err)
{
    struct json *parsed;
    struct str copy = arena_dup(run->arena, buf_str(text));
    TRY(json_parse(run->arena, copy, &parsed, NULL, err));
    if (parsed->type != JSON_OBJECT)
        return err_set(err, ERR_BAD_REQUEST, "a JSON object is expected");
    for (struct json *m = parsed->first, *next; m != NULL; m = next) {
        next = m->next;
        json_set(object, m->key, json_copy(run->arena, m));
    }
    return 0;
}

static int whole_object(struct command_run *run, struct str arg, struct json *object,
                        struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    if (str_is(arg, "-"))
        TRY(data_stdin(run, &text, err));
    else
        TRY(file_need(arg.p + 1, &text, err));
    return merge(run, &text, object, err);
}

static int read_value(struct command_run *run, struct str given, struct str *value,
                      struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    *value = given;
    if (str_starts(given, STR("@"))) {
        if (file_need(given.p + 1, &text, err) < 0)
            return err_prefix(err, "error reading file");
    } else if (str_starts(given, STR("\\@"))) {
        *value = str_from(given, 1);
        return 0;
    } else if (str_is(given, "-")) {
        TRY(data_stdin(run, &text, err));
    } else {
        return 0;
    }
    *value = arena_dup(run->arena, buf_str(&text));
    return 0;
}

/* A second value makes a list of the first. */
static void put(struct arena *a, struct json *object, struct str key, struct str value)
{
    struct json *before = json_remove(object, key);
    if (before == NULL) {
        json_append(object, key, json_str(a, value));
        return;
    }
    struct json *list = before->type == JSON_ARRAY ? before : json_array(a);
    if (list != before)
        json_add(list, before);
    json_add_str(list, value);
    json_append(object, key, list);
}

static int take(struct command_run *run, const char *arg, struct json *object, struct err *err)
{
    struct str s = str_of(arg), value;
    ptrdiff_t eq = str_find_byte(s, '=');
    if (s.n == 0)
        return 0;
    if (eq < 0 && (str_is(s, "-") || s.p[0] == '@'))
        return whole_object(run, s, object, err);
    if (eq < 0)
        return err_set(err, ERR_BAD_REQUEST, "format must be key=value");
    TRY(read_value(run, str_from(s, (size_t)eq + 1), &value, err));
    put(run->arena, object, str_head(s, (size_t)eq), value);
    return 0;
}

int data_parse(struct command_run *run, char **args, size_t n, struct json **out, struct err *err)
{
    struct json *object = json_object(run->arena);
    for (size_t i = 0; i < n; i++) {
        if (take(run, args[i], object, err) == 0)
            continue;
        struct str name = str_of(args[i]);
        ptrdiff_t eq = str_find_byte(name, '=');
        return err_prefix(err, "invalid key/value pair \"" STR_FMT "\"",
                          STR_ARG(eq < 0 ? str_head(name, 80)
                                         : str_head(str_head(name, (size_t)eq), 80)));
    }
    *out = object;
    return arena_check(run->arena, err);
}

static bool as_text(struct arena *a, const struct json *v, struct str *out)
{
    switch (v->type) {
    case JSON_STRING:
    case JSON_NUMBER:
        *out = v->text;
        return true;
    case JSON_BOOL: /* as mapstructure turns it into a text */
        *out = v->truth ? STR("1") : STR("0");
        return true;
    case JSON_NULL:
        *out = STR("");
        return true;
    case JSON_ARRAY:
    case JSON_OBJECT:
    case JSON_RAW:
        break;
    }
    return false;
}

int data_parse_texts(struct command_run *run, char **args, size_t n, struct json **out,
                     struct err *err)
{
    struct json *given, *texts = json_object(run->arena);
    TRY(data_parse(run, args, n, &given, err));
    for (const struct json *m = given->first; m != NULL; m = m->next) {
        struct str text;
        if (!as_text(run->arena, m, &text))
            return err_set(err, ERR_BAD_REQUEST,
                           "failed to convert values to strings: '" STR_FMT "' is a list or a map",
                           STR_ARG(m->key));
        json_append(texts, m->key, json_str(run->arena, text));
    }
    *out = texts;
    return arena_check(run->arena, err);
}

static int add_query(struct command_run *run, struct str key, const struct json *v,
                     struct coffer_pair *list, size_t *n, struct err *err)
{
    struct str text;
    if (!as_text(run->arena, v, &text))
        return err_set(err, ERR_BAD_REQUEST, "failed to convert values to strings: '" STR_FMT "'",
                       STR_ARG(key));
    list[*n].name = arena_cstr(run->arena, key);
    list[*n].value = arena_cstr(run->arena, text);
    if (list[*n].name == NULL || list[*n].value == NULL)
        return err_set(err, ERR_BAD_REQUEST, "a parameter holds a NUL");
    ++*n;
    return 0;
}

int data_parse_query(struct command_run *run, char **args, size_t n, struct coffer_pair **out,
                     size_t *n_out, struct err *err)
{
    struct json *given;
    size_t total = 0;
    TRY(data_parse(run, args, n, &given, err));
    for (const struct json *m = given->first; m != NULL; m = m->next)
        total += m->type == JSON_ARRAY ? m->count : 1;
    struct coffer_pair *list = arena_array(run->arena, total + 1, sizeof *list);
    TRY(arena_check(run->arena, err));
    *n_out = 0;
    for (const struct json *m = given->first; m != NULL; m = m->next) {
        if (m->type != JSON_ARRAY)
            TRY(add_query(run, m->key, m, list, n_out, err));
        for (const struct json *e = m->type == JSON_ARRAY ? m->first : NULL; e != NULL;
             e = e->next)
            TRY(add_query(run, m->key, e, list, n_out, err));
    }
    *out = list;
    return 0;
}
