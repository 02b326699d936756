/* Flags: a command's options as a table, and what the command line says of them. */
#include "cmd/flags.h"

#include <assert.h>
#include <stdlib.h>

#include "codec/timefmt.h"
#include "cmd/text.h"

static const struct flag *find(const struct flag_group *groups, size_t n_groups, struct str name,
                               size_t *at)
{
    *at = 0;
    for (size_t g = 0; g < n_groups; g++)
        for (size_t i = 0; i < groups[g].n; i++, ++*at) {
            const struct flag *f = &groups[g].flags[i];
            if (str_is(name, f->name) || (f->alias != NULL && str_is(name, f->alias)))
                return f;
        }
    return NULL;
}

/* "" counts as true, as "-x" alone does. */
static bool read_bool(struct str s, bool *out)
{
    static const char *const yes[] = { "1", "t", "T", "TRUE", "true", "True" };
    static const char *const no[] = { "0", "f", "F", "FALSE", "false", "False" };
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        if (str_is(s, yes[i]) || str_is(s, no[i])) {
            *out = str_is(s, yes[i]);
            return true;
        }
    return false;
}

static int check_value(const struct flag *f, struct str value, struct err *err)
{
    bool b;
    int64_t n;
    struct err why = { 0 };
    switch (f->kind) {
    case FLAG_STRING:
    case FLAG_LIST:
        return 0;
    case FLAG_BOOL:
        if (read_bool(value, &b))
            return 0;
        return err_set(err, ERR_BAD_REQUEST,
                       "invalid boolean value \"" STR_FMT "\" for -%s: parse error",
                       STR_ARG(value), f->name);
    case FLAG_INT:
        if (str_to_i64(value, &n))
            return 0;
        return err_set(err, ERR_BAD_REQUEST,
                       "invalid value \"" STR_FMT "\" for flag -%s: parse error",
                       STR_ARG(value), f->name);
    case FLAG_DURATION:
        if (duration_parse(value, false, &n, &why) == 0)
            return 0;
        return err_set(err, ERR_BAD_REQUEST, "invalid value \"" STR_FMT "\" for flag -%s: %s",
                       STR_ARG(value), f->name, why.msg);
    case FLAG_MAP:
        if (str_find_byte(value, '=') >= 0)
            return 0;
        return err_set(err, ERR_BAD_REQUEST, "invalid value \"" STR_FMT
                       "\" for flag -%s: missing = in KV pair: \"" STR_FMT "\"",
                       STR_ARG(value), f->name, STR_ARG(value));
    }
    return 0;
}

/* One flag, perhaps with its value in the next argument; ${used} counts the arguments. */
static int take_flag(struct flags *f, char **argv, size_t argc, size_t *used, struct err *err)
{
    struct str word = str_of(argv[0]);
    struct str name = str_from(word, str_starts(word, STR("--")) ? 2 : 1), value = { 0 };
    if (name.n == 0 || name.p[0] == '-' || name.p[0] == '=')
        return err_set(err, ERR_BAD_REQUEST, "bad flag syntax: %s", argv[0]);
    ptrdiff_t eq = str_find_byte(name, '=');
    if (eq >= 0) {
        value = str_from(name, (size_t)eq + 1);
        name = str_head(name, (size_t)eq);
    }
    size_t at;
    const struct flag *flag = find(f->groups, f->n_groups, name, &at);
    if (flag == NULL)
        return err_set(err, ERR_BAD_REQUEST, "flag provided but not defined: -" STR_FMT,
                       STR_ARG(name));
    *used = 1;
    if (eq < 0 && flag->kind == FLAG_BOOL) {
        value = STR("true");
    } else if (eq < 0) {
        if (argc < 2)
            return err_set(err, ERR_BAD_REQUEST, "flag needs an argument: -" STR_FMT,
                           STR_ARG(name));
        value = str_of(argv[1]);
        *used = 2;
    }
    TRY(check_value(flag, value, err));
    struct flag_value *v = &f->values[at];
    v->given = true;
    if (flag->kind != FLAG_LIST && flag->kind != FLAG_MAP)
        v->texts.n = 0;
    strs_add(f->arena, &v->texts, flag->kind == FLAG_LIST ? str_trim(value) : value);
    return 0;
}

/* Variables count as if they stood on the command line, but a bad one is passed over. */
static void take_environment(struct flags *f)
{
    size_t at = 0;
    for (size_t g = 0; g < f->n_groups; g++)
        for (size_t i = 0; i < f->groups[g].n; i++, at++) {
            const struct flag *flag = &f->groups[g].flags[i];
            const char *v = flag->env != NULL ? getenv(flag->env) : NULL;
            if (v != NULL && v[0] != '\0' && check_value(flag, str_of(v), NULL) == 0 &&
                !f->values[at].given)
                strs_add(f->arena, &f->values[at].texts, str_of(v));
        }
}

int flags_parse(struct arena *a, const struct flag_group *groups, size_t n_groups, char **argv,
                size_t argc, struct flags **out, struct err *err)
{
    size_t total = 0, at = 0;
    for (size_t g = 0; g < n_groups; g++)
        total += groups[g].n;
    struct flags *f = arena_alloc(a, sizeof *f);
    if (f == NULL)
        return arena_check(a, err);
    *f = (struct flags){ .arena = a, .groups = groups, .n_groups = n_groups };
    f->values = arena_array(a, total + 1, sizeof *f->values);
    TRY(arena_check(a, err));
    while (at < argc && argv[at][0] == '-' && argv[at][1] != '\0') {
        size_t used = 1;
        if (strcmp(argv[at], "--") == 0) {
            at++;
            break;
        }
        TRY(take_flag(f, argv + at, argc - at, &used, err));
        at += used;
    }
    take_environment(f);
    f->args = argv + at;
    f->n_args = argc - at;
    *out = f;
    return arena_check(a, err);
}

static const struct flag *known(const struct flags *f, const char *name, size_t *at)
{
    const struct flag *flag = find(f->groups, f->n_groups, str_of(name), at);
    assert(flag != NULL);
    return flag;
}

bool flags_known(const struct flags *f, const char *name)
{
    size_t at;
    return find(f->groups, f->n_groups, str_of(name), &at) != NULL;
}

bool flags_given(const struct flags *f, const char *name)
{
    size_t at;
    known(f, name, &at);
    return f->values[at].given;
}

struct str flags_str(const struct flags *f, const char *name)
{
    size_t at;
    const struct flag *flag = known(f, name, &at);
    const struct strs *texts = &f->values[at].texts;
    if (texts->n > 0)
        return texts->v[texts->n - 1];
    return flag->fallback != NULL ? str_of(flag->fallback) : STR("");
}

bool flags_bool(const struct flags *f, const char *name)
{
    bool v = false;
    return read_bool(flags_str(f, name), &v) && v;
}

int64_t flags_int(const struct flags *f, const char *name)
{
    int64_t v = 0;
    return str_to_i64(flags_str(f, name), &v) ? v : 0;
}

int64_t flags_ns(const struct flags *f, const char *name)
{
    int64_t ns = 0;
    struct str text = flags_str(f, name);
    return text.n > 0 && duration_parse(text, false, &ns, NULL) == 0 ? ns : 0;
}

struct strs flags_list(const struct flags *f, const char *name)
{
    size_t at;
    known(f, name, &at);
    return f->values[at].texts;
}

struct json *flags_map(const struct flags *f, const char *name)
{
    struct strs texts = flags_list(f, name);
    struct json *map = texts.n > 0 ? json_object(f->arena) : NULL;
    for (size_t i = 0; i < texts.n; i++) {
        size_t eq = (size_t)str_find_byte(texts.v[i], '=');
        json_set(map, str_head(texts.v[i], eq), json_str(f->arena, str_from(texts.v[i], eq + 1)));
    }
    return map;
}

static const char *placeholder(enum flag_kind kind)
{
    switch (kind) {
    case FLAG_BOOL:
        return "";
    case FLAG_STRING:
    case FLAG_LIST:
        return "=<string>";
    case FLAG_INT:
        return "=<int>";
    case FLAG_DURATION:
        return "=<duration>";
    case FLAG_MAP:
        return "=<key=value>";
    }
    return "";
}

static void help_of(const struct flag *f, struct buf *out)
{
    AUTO(buf_free) struct buf text = { 0 };
    buf_printf(out, "  -%s%s\n", f->name, placeholder(f->kind));
    buf_add(&text, str_of(f->help));
    if (f->fallback != NULL)
        buf_printf(&text, " The default is %s.", f->fallback);
    if (f->alias != NULL)
        buf_printf(&text, " This is aliased as \"-%s\".", f->alias);
    if (f->env != NULL)
        buf_printf(&text, " This can also be specified via the %s environment variable.", f->env);
    text_wrap(buf_str(&text), 6, out);
    buf_add(out, STR("\n\n"));
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct flag *const *)a)->name, (*(const struct flag *const *)b)->name);
}

void flags_help(const struct flag_group *groups, size_t n_groups, struct buf *out)
{
    for (size_t g = 0; g < n_groups; g++) {
        const struct flag **sorted = calloc(groups[g].n + 1, sizeof *sorted);
        if (sorted == NULL || groups[g].n == 0) {
            free(sorted);
            continue;
        }
        for (size_t i = 0; i < groups[g].n; i++)
            sorted[i] = &groups[g].flags[i];
        qsort(sorted, groups[g].n, sizeof *sorted, by_name);
        buf_printf(out, "%s:\n\n", groups[g].title);
        for (size_t i = 0; i < groups[g].n; i++)
            if (!sorted[i]->hidden)
                help_of(sorted[i], out);
        free(sorted);
    }
}
