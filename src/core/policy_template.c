/* Directives in policy paths, filled in with what is known of the caller. */
#include "core/policy_template.h"

static const char unbalanced[] = "unbalanced templating characters";

int policy_template_check(struct str path, bool *templated, struct err *err)
{
    *templated = false;
    ptrdiff_t open = str_find(path, STR("{{"));
    if (str_find(str_head(path, open < 0 ? path.n : (size_t)open), STR("}}")) >= 0)
        return err_set(err, ERR_BAD_REQUEST, unbalanced);
    while (open >= 0) {
        path = str_from(path, (size_t)open + 2);
        open = str_find(path, STR("{{"));
        struct str piece = str_head(path, open < 0 ? path.n : (size_t)open);
        ptrdiff_t close = str_find(piece, STR("}}"));
        if (close < 0 || str_find(str_from(piece, (size_t)close + 2), STR("}}")) >= 0)
            return err_set(err, ERR_BAD_REQUEST, unbalanced);
        *templated = true;
    }
    return 0;
}

static void add(struct policy_template_out *out, struct str s)
{
    if (s.n > 0 && out->n + s.n <= out->cap)
        memcpy(out->p + out->n, s.p, s.n);
    out->n += s.n;
}

static bool add_value(struct policy_template_out *out, struct str s)
{
    add(out, s);
    return s.n > 0;
}

/* A key's value may be empty, but must be there. */
static bool add_metadata(struct policy_template_out *out, const struct json *metadata,
                         struct str key)
{
    const struct json *v = json_get(metadata, key);
    if (!json_is(v, JSON_STRING))
        return false;
    add(out, v->text);
    return true;
}

/* "metadata.<key>" -> key; false for anything else. */
static bool metadata_key(struct str selector, struct str *key)
{
    *key = str_from(selector, STR("metadata.").n);
    return str_starts(selector, STR("metadata."));
}

/* Cut off the part before the first dot; false when there is no dot. */
static bool next_part(struct str *selector, struct str *part)
{
    ptrdiff_t dot = str_find_byte(*selector, '.');
    if (dot < 0)
        return false;
    *part = str_head(*selector, (size_t)dot);
    *selector = str_from(*selector, (size_t)dot + 1);
    return true;
}

static bool alias_value(struct str selector, const struct policy_facts *f,
                        struct policy_template_out *out)
{
    struct str accessor, key;
    if (!next_part(&selector, &accessor))
        return false;
    for (size_t i = 0; i < f->n_aliases; i++) {
        const struct policy_alias *a = &f->aliases[i];
        if (!str_eq(a->mount_accessor, accessor))
            continue;
        if (str_is(selector, "id"))
            return add_value(out, a->id);
        if (str_is(selector, "name"))
            return add_value(out, a->name);
        return metadata_key(selector, &key) && add_metadata(out, a->metadata, key);
    }
    return false;
}

static bool entity_value(struct str selector, const struct policy_facts *f,
                         struct policy_template_out *out)
{
    struct str key;
    if (str_is(selector, "id"))
        return add_value(out, f->entity_id);
    if (str_is(selector, "name"))
        return add_value(out, f->entity_name);
    if (metadata_key(selector, &key))
        return add_metadata(out, f->entity_metadata, key);
    if (str_starts(selector, STR("aliases.")))
        return alias_value(str_from(selector, STR("aliases.").n), f, out);
    return false;
}

static bool group_value(struct str selector, const struct policy_facts *f,
                        struct policy_template_out *out)
{
    struct str by, which, key;
    if (!next_part(&selector, &by) || !next_part(&selector, &which))
        return false;
    bool by_id = str_is(by, "ids");
    if (!by_id && !str_is(by, "names"))
        return false;
    for (size_t i = 0; i < f->n_groups; i++) {
        const struct policy_group *g = &f->groups[i];
        if (!str_eq(by_id ? g->id : g->name, which))
            continue;
        if (str_is(selector, "id"))
            return add_value(out, g->id);
        if (str_is(selector, "name"))
            return add_value(out, g->name);
        return metadata_key(selector, &key) && add_metadata(out, g->metadata, key);
    }
    return false;
}

static bool directive_value(struct str directive, const struct policy_facts *f,
                            struct policy_template_out *out)
{
    if (f == NULL)
        return false;
    if (str_starts(directive, STR("identity.entity.")))
        return entity_value(str_from(directive, STR("identity.entity.").n), f, out);
    if (str_starts(directive, STR("identity.groups.")))
        return group_value(str_from(directive, STR("identity.groups.").n), f, out);
    return false;
}

bool policy_template_render(struct str path, const struct policy_facts *facts,
                            struct policy_template_out *out)
{
    for (;;) {
        ptrdiff_t open = str_find(path, STR("{{"));
        if (open < 0) {
            add(out, path);
            return true;
        }
        add(out, str_head(path, (size_t)open));
        path = str_from(path, (size_t)open + 2);
        ptrdiff_t close = str_find(path, STR("}}"));
        if (close < 0)
            return false;
        if (!directive_value(str_trim(str_head(path, (size_t)close)), facts, out))
            return false;
        path = str_from(path, (size_t)close + 2);
    }
}
