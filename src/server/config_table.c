/* Reading by tables: one function a kind of value. */
#include "server/config_table.h"

#include <stdarg.h>
#include <stdio.h>

#include "codec/timefmt.h"

static int expected(const struct config_reader *r, struct str key, const struct hcl *v,
                    const char *what)
{
    return hcl_pos_error(r->err, v->pos, STR_FMT ": %s expected, got %s", STR_ARG(key), what,
                         hcl_type_name(v->type));
}

bool config_table_bool_text(struct str s, bool *out)
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

int config_table_bool(const struct config_reader *r, struct str key, const struct hcl *v, bool *out)
{
    double n;
    if (v->type == HCL_BOOL)
        *out = v->truth;
    else if (v->type == HCL_NUMBER && hcl_to_double(v, &n))
        *out = n != 0;
    else if (v->type == HCL_STRING && v->text.n == 0)
        *out = false;
    else if (v->type != HCL_STRING || !config_table_bool_text(v->text, out))
        return expected(r, key, v, "true or false");
    return 0;
}

static int read_str(const struct config_reader *r, struct str key, const struct hcl *v,
                    struct str *out)
{
    if (v->type != HCL_STRING && v->type != HCL_NUMBER)
        return expected(r, key, v, "string");
    *out = arena_dup(r->arena, v->text);
    return 0;
}

static int read_int(const struct config_reader *r, struct str key, const struct hcl *v,
                    int64_t *out)
{
    if (hcl_to_i64(v, out) || (v->type == HCL_STRING && str_to_i64(str_trim(v->text), out)))
        return 0;
    return expected(r, key, v, "whole number");
}

static int read_duration(const struct config_reader *r, struct str key, const struct hcl *v,
                         int64_t *out)
{
    double seconds;
    if (v->type == HCL_NUMBER && hcl_to_double(v, &seconds) && seconds >= 0 && seconds < 9e9)
        *out = (int64_t)seconds * 1000000000;
    else if (v->type != HCL_STRING || duration_parse(v->text, true, out, NULL) < 0 || *out < 0)
        return expected(r, key, v, "duration (seconds, or text as \"30s\" or \"1h\")");
    return 0;
}

int config_table_strs(const struct config_reader *r, struct str key, const struct hcl *v,
                      struct strs *out)
{
    *out = (struct strs){ 0 };
    if (v->type == HCL_STRING) {
        *out = strs_split(r->arena, arena_dup(r->arena, v->text), ',');
        return 0;
    }
    if (v->type != HCL_LIST)
        return expected(r, key, v, "list of strings");
    for (const struct hcl *e = v->first; e != NULL; e = e->next) {
        struct str text;
        TRY(read_str(r, key, e, &text));
        strs_add(r->arena, out, text);
    }
    return 0;
}

static int put_bool(const struct config_reader *r, const struct config_key *k, struct str key,
                    const struct hcl *v, bool *out)
{
    bool b;
    TRY(config_table_bool(r, key, v, &b));
    *out = k->merge == CONFIG_OR ? *out || b : b;
    return 0;
}

static int put_duration(const struct config_reader *r, const struct config_key *k, struct str key,
                        const struct hcl *v, int64_t *out)
{
    int64_t ns = 0;
    if (k->kind != CONFIG_PERIOD || v->type != HCL_STRING || !str_is(v->text, "none"))
        TRY(read_duration(r, key, v, &ns));
    if (k->merge != CONFIG_MAX || ns > *out)
        *out = ns;
    return 0;
}

static int read_key(const struct config_reader *r, const struct config_key *k,
                    const struct hcl_item *i, void *base)
{
    struct str key = i->keys[0].text;
    void *field = (char *)base + k->at;
    const struct hcl *v = i->value;
    if (i->n_keys > 1 && k->kind != CONFIG_ELSEWHERE && k->kind != CONFIG_NO_EFFECT)
        return hcl_pos_error(r->err, i->keys[1].pos, STR_FMT ": '=' and a value expected",
                             STR_ARG(key));
    switch (k->kind) {
    case CONFIG_STR:
        return read_str(r, key, v, field);
    case CONFIG_BOOL:
        return put_bool(r, k, key, v, field);
    case CONFIG_INT:
        return read_int(r, key, v, field);
    case CONFIG_DURATION:
    case CONFIG_PERIOD:
        return put_duration(r, k, key, v, field);
    case CONFIG_STRS:
        return config_table_strs(r, key, v, field);
    case CONFIG_ELSEWHERE:
        return 0;
    case CONFIG_NO_EFFECT:
        config_table_warn(r, i->keys[0].pos, STR_FMT " has no effect in this server", STR_ARG(key));
        return 0;
    }
    return 0;
}

int config_table_read(const struct config_reader *r, const struct hcl *object,
                      const struct config_key *keys, size_t n, void *base)
{
    for (const struct hcl_item *i = object->items; i != NULL; i = i->next) {
        const struct config_key *k = NULL;
        for (size_t j = 0; j < n && k == NULL; j++)
            if (str_is(i->keys[0].text, keys[j].name))
                k = &keys[j];
        if (k != NULL)
            TRY(read_key(r, k, i, base));
        else
            config_table_warn(r, i->keys[0].pos,
                              "unknown or unsupported field " STR_FMT " found in configuration",
                              STR_ARG(i->keys[0].text));
    }
    return arena_check(r->arena, r->err);
}

void config_table_warn(const struct config_reader *r, struct hcl_pos pos, const char *format, ...)
{
    char what[300];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    strs_add(r->arena, r->warnings,
             arena_printf(r->arena, "%s at %s%s%u:%u", what, pos.file == NULL ? "" : pos.file,
                          pos.file == NULL ? "" : ":", pos.line, pos.column));
}
