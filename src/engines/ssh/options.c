/* Critical options and extensions: taken from the request or the role. */
#include "engines/ssh/options.h"

#include "logical/field.h"
#include "logical/sysview.h"

/* Go's %v of a value that is no container. */
static bool text_of(const struct json *v, struct str *out)
{
    switch (v->type) {
    case JSON_NULL:
        *out = STR("<nil>");
        return true;
    case JSON_BOOL:
        *out = v->truth ? STR("true") : STR("false");
        return true;
    case JSON_NUMBER:
    case JSON_STRING:
        *out = v->text;
        return true;
    case JSON_ARRAY:
    case JSON_OBJECT:
    case JSON_RAW:
        break;
    }
    return false;
}

int options_given(struct request *req, const char *field, struct json **out)
{
    *out = json_object(req->arena);
    for (const struct json *v = json_first(field_map(req, field)); v != NULL; v = v->next) {
        struct str text;
        if (!text_of(v, &text))
            return err_set(&req->err, ERR_BAD_REQUEST, "%s: \"" STR_FMT "\" must be a text", field,
                           STR_ARG(v->key));
        json_set(*out, v->key, json_str(req->arena, text));
    }
    return arena_check(req->arena, &req->err);
}

/* Names of the object that a comma-separated list lacks, as "[a b]"; empty when there are none. */
static struct str not_allowed(struct request *req, const struct json *given, struct str allowed)
{
    struct strs missing = { 0 };

    for (const struct json *v = json_first(given); v != NULL; v = v->next) {
        struct str rest = allowed, item;
        bool found = false;
        while (!found && str_next(&rest, ',', &item))
            found = str_eq(item, v->key);
        if (!found)
            strs_add(req->arena, &missing, v->key);
    }
    if (missing.n == 0)
        return STR("");
    strs_sort(&missing);
    return arena_printf(req->arena, "[" STR_FMT "]",
                        STR_ARG(strs_join(req->arena, &missing, STR(" "))));
}

static int to_array(struct request *req, const struct json *map,
                    const struct sshcert_option **out, size_t *n)
{
    size_t room = map == NULL ? 0 : map->count;
    struct sshcert_option *v = arena_array(req->arena, room + 1, sizeof *v);

    TRY(arena_check(req->arena, &req->err));
    *n = 0;
    for (const struct json *m = json_first(map); m != NULL; m = m->next)
        v[(*n)++] = (struct sshcert_option){ m->key, m->text };
    *out = v;
    return 0;
}

int options_critical(struct request *req, const struct role *role, struct sshcert *cert)
{
    struct str allowed = role_str(role, "allowed_critical_options");
    struct json *map;

    TRY(options_given(req, "critical_options", &map));
    if (map->count == 0) {
        map = json_member(role->json, "default_critical_options");
    } else if (allowed.n > 0) {
        struct str bad = not_allowed(req, map, allowed);
        if (bad.n > 0)
            return err_set(&req->err, ERR_BAD_REQUEST,
                           "critical options not on allowed list: " STR_FMT, STR_ARG(bad));
    }
    return to_array(req, map, &cert->critical, &cert->n_critical);
}

bool options_is_template(struct str s)
{
    return s.n > 4 && str_starts(s, STR("{{")) && str_ends(s, STR("}}")) &&
           str_find_byte(s, '\n') < 0;
}

int options_render(struct request *req, struct str template, struct str *out)
{
    struct err why = { 0 };

    if (req->sys->render(req->sys, req, template, out, &why) == 0)
        return 0;
    return err_set(&req->err, ERR_BAD_REQUEST, "template '" STR_FMT "' could not be rendered -> %s",
                   STR_ARG(template), why.msg);
}

/* The role's extensions; those that name the caller are left out for one without an entity. */
static int rendered(struct request *req, const struct json *map, struct json **out)
{
    *out = json_object(req->arena);
    for (const struct json *v = json_first(map); v != NULL; v = v->next) {
        struct str value = v->text;
        if (options_is_template(v->text)) {
            if (req->entity_id.n == 0)
                continue;
            TRY(options_render(req, v->text, &value));
        }
        json_set(*out, v->key, json_str(req->arena, value));
    }
    return arena_check(req->arena, &req->err);
}

int options_extensions(struct request *req, const struct role *role, struct sshcert *cert)
{
    struct str allowed = role_str(role, "allowed_extensions");
    struct json *map;

    TRY(options_given(req, "extensions", &map));
    if (map->count == 0) {
        map = json_member(role->json, "default_extensions");
        if (role_bool(role, "default_extensions_template"))
            TRY(rendered(req, map, &map));
    } else if (allowed.n > 0) {
        struct str bad = not_allowed(req, map, allowed);
        if (bad.n > 0)
            return err_set(&req->err, ERR_BAD_REQUEST,
                           "extensions " STR_FMT " are not on allowed list", STR_ARG(bad));
    }
    return to_array(req, map, &cert->extensions, &cert->n_extensions);
}
