/* Roles of the token store, stored below sys/token/roles/. */
#include "sys/token_roles.h"

#include "logical/cidr.h"
#include "sys/system.h"

static const int64_t SECOND = 1000000000;

const struct field token_roles_fields[] = {
    { "role_name", FIELD_STRING, NULL, "Name of the role." },
    { "allowed_policies", FIELD_COMMA_STRINGS, NULL,
      "Policies that tokens of this role may have; without any named at creation they get all." },
    { "disallowed_policies", FIELD_COMMA_STRINGS, NULL,
      "Policies that tokens of this role must not have." },
    { "orphan", FIELD_BOOL, NULL, "Tokens of this role have no parent." },
    { "period", FIELD_SECONDS, NULL, "Older name of token_period." },
    { "path_suffix", FIELD_STRING, NULL,
      "Appended to the path of each token, so that some of them can be revoked by prefix." },
    { "explicit_max_ttl", FIELD_SECONDS, NULL, "Older name of token_explicit_max_ttl." },
    { "renewable", FIELD_BOOL, "true", "Tokens of this role can be renewed." },
    { "bound_cidrs", FIELD_COMMA_STRINGS, NULL, "Older name of token_bound_cidrs." },
    { "allowed_entity_aliases", FIELD_COMMA_STRINGS, NULL,
      "Entity aliases that may be named at creation; '*' stands for any characters." },
    { "token_bound_cidrs", FIELD_COMMA_STRINGS, NULL,
      "Blocks of IP addresses that may use the token." },
    { "token_explicit_max_ttl", FIELD_SECONDS, NULL,
      "Hard limit of the token's life, which no renewal passes." },
    { "token_period", FIELD_SECONDS, NULL,
      "Makes the token periodic: each renewal gives it this long, without end." },
    { "token_type", FIELD_STRING, "default-service",
      "service, batch, default-service or default-batch." },
    { "token_no_default_policy", FIELD_BOOL, NULL,
      "Do not attach the default policy to the token." },
    { "token_num_uses", FIELD_INT, NULL, "How often the token may be used; 0: no limit." },
};
_Static_assert(ARRAY_LEN(token_roles_fields) == TOKEN_ROLES_N_FIELDS, "rows of the field table");

/* ---- lists ---- */

/* Trimmed, lowered, without empty and repeated items, sorted. */
static struct strs cleaned(struct arena *a, const struct strs *items)
{
    struct strs out = { 0 };
    for (size_t i = 0; i < items->n; i++) {
        struct str item = arena_dup(a, str_trim(items->v[i]));
        for (size_t k = 0; k < item.n; k++)
            if (item.p[k] >= 'A' && item.p[k] <= 'Z')
                ((char *)item.p)[k] = (char)(item.p[k] | 0x20);
        if (item.n > 0)
            strs_add(a, &out, item);
    }
    strs_sort(&out);
    strs_unique(&out);
    return out;
}

static struct json *array_of(struct arena *a, const struct strs *list)
{
    struct json *array = json_array(a);
    for (size_t i = 0; i < list->n; i++)
        json_add_str(array, list->v[i]);
    return array;
}

static struct strs list_of(struct arena *a, const struct json *o, const char *key)
{
    struct strs list = { 0 };
    for (const struct json *v = json_first(json_member(o, key)); v != NULL; v = v->next)
        if (v->type == JSON_STRING)
            strs_add(a, &list, v->text);
    return list;
}

/* '*' matches any characters, none too. */
static bool glob_matches(struct str glob, struct str s)
{
    size_t g = 0, i = 0, star = SIZE_MAX, mark = 0;
    while (i < s.n) {
        if (g < glob.n && glob.p[g] == '*') {
            star = g++;
            mark = i;
        } else if (g < glob.n && glob.p[g] == s.p[i]) {
            g++;
            i++;
        } else if (star != SIZE_MAX) {
            g = star + 1;
            i = ++mark;
        } else {
            return false;
        }
    }
    while (g < glob.n && glob.p[g] == '*')
        g++;
    return g == glob.n;
}

bool token_roles_allow_alias(struct arena *a, const struct token_role *role, struct str name)
{
    struct strs one = { 0 };
    strs_add(a, &one, name);
    one = cleaned(a, &one);
    for (size_t i = 0; i < role->allowed_aliases.n && one.n == 1; i++)
        if (glob_matches(role->allowed_aliases.v[i], one.v[0]))
            return true;
    return false;
}

/* ---- stored form ---- */

static struct str role_key(struct arena *a, struct str name)
{
    return arena_cat(a, STR("token/roles/"), name);
}

/* What a role written under the older names means. */
static void upgrade(struct token_role *r)
{
    if (r->params.type == TOKEN_DEFAULT)
        r->params.type = TOKEN_DEFAULT_SERVICE;
    if (r->params.period_s == 0)
        r->params.period_s = r->period_s;
    if (r->params.explicit_max_ttl_s == 0)
        r->params.explicit_max_ttl_s = r->explicit_max_ttl_s;
    if (r->params.bound_cidrs.n == 0)
        r->params.bound_cidrs = r->bound_cidrs;
}

int token_roles_load(struct request *req, struct str name, struct token_role *out)
{
    struct arena *a = req->arena;
    AUTO(buf_free) struct buf text = { 0 };
    struct json *o;
    int found = storage_get(active_of(req)->sys, role_key(a, name), &text, &req->err);
    if (found <= 0)
        return found;
    if (json_parse(a, arena_dup(a, buf_str(&text)), &o, NULL, &req->err) < 0)
        return err_set(&req->err, ERR_CORRUPT, "token role " STR_FMT " cannot be read",
                       STR_ARG(name));
    *out = (struct token_role){
        .name = json_get_str(o, "name"),
        .allowed_policies = list_of(a, o, "allowed_policies"),
        .disallowed_policies = list_of(a, o, "disallowed_policies"),
        .allowed_aliases = list_of(a, o, "allowed_entity_aliases"),
        .has_aliases = json_is(json_member(o, "allowed_entity_aliases"), JSON_ARRAY),
        .orphan = json_get_bool(o, "orphan", false),
        .renewable = json_get_bool(o, "renewable", false),
        .path_suffix = json_get_str(o, "path_suffix"),
        .period_s = json_get_int(o, "period", 0) / SECOND,
        .explicit_max_ttl_s = json_get_int(o, "explicit_max_ttl", 0) / SECOND,
        .bound_cidrs = list_of(a, o, "bound_cidrs"),
    };
    tokenparams_load(a, o, &out->params);
    upgrade(out);
    return arena_check(a, &req->err) < 0 ? -1 : 1;
}

static int store(struct request *req, const struct token_role *r)
{
    struct arena *a = req->arena;
    AUTO(buf_free) struct buf text = { 0 };
    struct json *o = json_object(a);
    tokenparams_store(&r->params, o);
    json_put_str(o, "name", r->name);
    json_put(o, "allowed_policies", array_of(a, &r->allowed_policies));
    json_put(o, "disallowed_policies", array_of(a, &r->disallowed_policies));
    json_put_bool(o, "orphan", r->orphan);
    json_put_int(o, "period", r->period_s * SECOND);
    json_put_str(o, "path_suffix", r->path_suffix);
    json_put_bool(o, "renewable", r->renewable);
    json_put_int(o, "explicit_max_ttl", r->explicit_max_ttl_s * SECOND);
    json_put(o, "bound_cidrs",
             r->bound_cidrs.n == 0 ? json_null(a) : array_of(a, &r->bound_cidrs));
    json_put(o, "allowed_entity_aliases",
             r->has_aliases ? array_of(a, &r->allowed_aliases) : json_null(a));
    TRY(arena_check(a, &req->err));
    json_print(o, &text);
    buf_byte(&text, '\n');
    TRY(buf_check(&text, &req->err));
    return storage_put(active_of(req)->sys, role_key(a, r->name), buf_str(&text), &req->err);
}

/* ---- a write's parts ---- */

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Somewhere in it: a word character, one or more of "\w-.", a word character (Vault's pattern). */
static bool suffix_is_fine(struct str s)
{
    for (size_t i = 0; i + 2 < s.n; i++)
        if (is_word(s.p[i]) && (is_word(s.p[i + 1]) || s.p[i + 1] == '-' || s.p[i + 1] == '.'))
            for (size_t k = i + 2; k < s.n; k++) {
                if (is_word(s.p[k]))
                    return true;
                if (s.p[k] != '-' && s.p[k] != '.')
                    break;
            }
    return false;
}

static int take_suffix(struct request *req, struct token_role *r)
{
    if (field_given(req, "path_suffix")) {
        r->path_suffix = field_str(req, "path_suffix");
        if (r->path_suffix.n > 0 && !suffix_is_fine(r->path_suffix))
            return err_set(&req->err, ERR_BAD_REQUEST,
                           "given role path suffix contains invalid characters; must match "
                           "\\w[\\w-.]+\\w");
    }
    if (str_find(r->path_suffix, STR("..")) >= 0)
        return err_set(&req->err, ERR_BAD_REQUEST,
                       "error registering path suffix: path cannot contain parent references");
    return 0;
}

static int take_own(struct request *req, struct token_role *r)
{
    struct strs list;
    if (field_given(req, "orphan"))
        r->orphan = field_bool(req, "orphan");
    if (field_given(req, "renewable"))
        r->renewable = field_bool(req, "renewable");
    TRY(take_suffix(req, r));
    if (field_given(req, "allowed_policies")) {
        list = field_strs(req, "allowed_policies");
        r->allowed_policies = tokenparams_policies(req->arena, &list);
    }
    if (field_given(req, "disallowed_policies")) {
        list = field_strs(req, "disallowed_policies");
        r->disallowed_policies = cleaned(req->arena, &list);
    }
    if (field_given(req, "allowed_entity_aliases")) {
        list = field_strs(req, "allowed_entity_aliases");
        r->allowed_aliases = cleaned(req->arena, &list);
        r->has_aliases = true;
    }
    return 0;
}

/* Unlike the auth methods' roles, a token role may have a default type. */
static int take_params(struct request *req, struct token_role *r)
{
    enum token_type was = r->params.type;
    r->params.type = TOKEN_DEFAULT;
    if (tokenparams_parse_but_type(req, &r->params) < 0)
        return err_prefix(&req->err, "error parsing role fields");
    r->params.type = was;
    if (!field_given(req, "token_type"))
        return 0;
    struct str name = field_str(req, "token_type");
    if (!tokenparams_type_of(name, &r->params.type) || r->params.type == TOKEN_DEFAULT)
        return err_set(&req->err, ERR_BAD_REQUEST, "invalid 'token_type' value \"" STR_FMT "\"",
                       STR_ARG(name));
    return 0;
}

/* True when the newer name was sent: then the older one is ignored, and emptied. */
static bool newer_given(struct request *req, struct response *resp, const char *old,
                        const char *now)
{
    if (!field_given(req, now))
        return false;
    if (field_given(req, old))
        response_warn(resp,
                      "Both '%s' and deprecated '%s' value supplied, ignoring the deprecated value",
                      now, old);
    return true;
}

static void take_old_seconds(struct request *req, struct response *resp, const char *old,
                             const char *now, int64_t *old_value, int64_t *now_value)
{
    if (newer_given(req, resp, old, now))
        *old_value = 0;
    else if (field_given(req, old))
        *old_value = *now_value = field_seconds(req, old);
}

static int take_old(struct request *req, struct response *resp, struct token_role *r)
{
    take_old_seconds(req, resp, "period", "token_period", &r->period_s, &r->params.period_s);
    if (newer_given(req, resp, "bound_cidrs", "token_bound_cidrs")) {
        r->bound_cidrs = (struct strs){ 0 };
    } else if (field_given(req, "bound_cidrs")) {
        struct strs given = field_strs(req, "bound_cidrs");
        r->bound_cidrs = (struct strs){ 0 };
        if (cidr_list(req->arena, &given, &r->bound_cidrs, &req->err) < 0) {
            if (req->err.code == ERR_INVALID)
                req->err.code = ERR_BAD_REQUEST;
            return err_prefix(&req->err, "error parsing bound_cidrs");
        }
        r->params.bound_cidrs = r->bound_cidrs;
    }
    take_old_seconds(req, resp, "explicit_max_ttl", "token_explicit_max_ttl",
                     &r->explicit_max_ttl_s, &r->params.explicit_max_ttl_s);
    int64_t max_s = req->sys->max_ttl_s(req->sys);
    if (max_s > 0 && r->params.explicit_max_ttl_s > max_s)
        response_warn(resp,
                      "Given explicit max TTL of %lld is greater than system/mount allowed value "
                      "of %lld seconds; until this is fixed attempting to create tokens against "
                      "this role will result in an error",
                      (long long)r->params.explicit_max_ttl_s, (long long)max_s);
    return 0;
}

static int check_batch(struct request *req, const struct token_role *r)
{
    const char *what = NULL;
    if (r->params.type != TOKEN_BATCH)
        return 0;
    if (!r->orphan)
        what = "non-orphan tokens";
    else if (r->params.period_s != 0)
        what = "periodic tokens";
    else if (r->renewable)
        what = "renewable tokens";
    else if (r->params.explicit_max_ttl_s != 0)
        what = "tokens with an explicit max TTL";
    return what == NULL ? 0
                        : err_set(&req->err, ERR_BAD_REQUEST,
                                  "'token_type' cannot be 'batch' when role is set to generate %s",
                                  what);
}

/* ---- routes ---- */

int token_roles_exists(struct request *req)
{
    struct token_role r;
    return token_roles_load(req, field_str(req, "role_name"), &r);
}

int token_roles_write(struct request *req, struct response *resp)
{
    struct str name = field_str(req, "role_name");
    AUTO(keylock_release) struct keyhold hold = { 0 };
    struct token_role r;
    TRY(keylock_hold(active_of(req)->locks, role_key(req->arena, name), &hold, &req->err));
    int found = token_roles_load(req, name, &r);
    if (found < 0)
        return -1;
    if (found == 0)
        r = (struct token_role){
            .name = name,
            .renewable = true,
            .params = { .type = TOKEN_DEFAULT_SERVICE },
        };
    TRY(take_own(req, &r));
    TRY(take_params(req, &r));
    TRY(take_old(req, resp, &r));
    TRY(check_batch(req, &r));
    return store(req, &r) < 0 ? -1 : 1;
}

int token_roles_read(struct request *req, struct response *resp)
{
    struct arena *a = req->arena;
    struct token_role r;
    int found = token_roles_load(req, field_str(req, "role_name"), &r);
    if (found <= 0)
        return found;
    struct json *data = response_data(resp);
    json_put_int(data, "period", r.period_s);
    json_put_int(data, "token_period", r.params.period_s);
    json_put_int(data, "explicit_max_ttl", r.explicit_max_ttl_s);
    json_put_int(data, "token_explicit_max_ttl", r.params.explicit_max_ttl_s);
    json_put(data, "disallowed_policies", array_of(a, &r.disallowed_policies));
    json_put(data, "allowed_policies", array_of(a, &r.allowed_policies));
    json_put_str(data, "name", r.name);
    json_put_bool(data, "orphan", r.orphan);
    json_put_str(data, "path_suffix", r.path_suffix);
    json_put_bool(data, "renewable", r.renewable);
    json_put_text(data, "token_type", tokenparams_type_name(r.params.type));
    json_put(data, "allowed_entity_aliases",
             r.has_aliases ? array_of(a, &r.allowed_aliases) : json_null(a));
    if (r.params.bound_cidrs.n > 0)
        json_put(data, "token_bound_cidrs", array_of(a, &r.params.bound_cidrs));
    if (r.bound_cidrs.n > 0)
        json_put(data, "bound_cidrs", array_of(a, &r.bound_cidrs));
    if (r.params.num_uses > 0)
        json_put_int(data, "token_num_uses", r.params.num_uses);
    return 1;
}

int token_roles_delete(struct request *req, struct response *resp)
{
    struct str key = role_key(req->arena, field_str(req, "role_name"));
    TRY(arena_check(req->arena, &req->err));
    return storage_delete(active_of(req)->sys, key, &req->err) < 0 ? -1 : 1;
}

int token_roles_list(struct request *req, struct response *resp)
{
    struct strs names = { 0 };
    struct strs_collect collect = { req->arena, &names };
    TRY(storage_list(active_of(req)->sys, STR("token/roles/"), STR(""), strs_collect_name,
                     &collect, &req->err));
    TRY(arena_check(req->arena, &req->err));
    return response_keys(resp, &names);
}
