/* Tokenparams: the token_* parameters that auth methods' roles and token roles share. */
#include "logical/tokenparams.h"

#include "logical/cidr.h"

static const int64_t NS = 1000000000;

/* The numbers are those of Vault's stored form. */
static const struct { enum token_type type; int stored; const char *name; } types[] = {
    { TOKEN_DEFAULT, 0, "default" },
    { TOKEN_SERVICE, 1, "service" },
    { TOKEN_BATCH, 2, "batch" },
    { TOKEN_DEFAULT_SERVICE, 3, "default-service" },
    { TOKEN_DEFAULT_BATCH, 4, "default-batch" },
};

const char *tokenparams_type_name(enum token_type type)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (types[i].type == type)
            return types[i].name;
    return "";
}

bool tokenparams_type_of(struct str name, enum token_type *out)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (str_is(name, types[i].name))
            return *out = types[i].type, true;
    return false;
}

/* ---- parsing ---- */

static void take_seconds(const struct request *req, const char *name, int64_t *out)
{
    if (field_given(req, name))
        *out = field_seconds(req, name);
}

static int take_cidrs(struct request *req, const char *name, struct strs *out)
{
    struct strs given = field_strs(req, name);

    if (cidr_list(req->arena, &given, out, &req->err) == 0)
        return 0;
    if (req->err.code == ERR_INVALID)
        req->err.code = ERR_BAD_REQUEST;
    return -1;
}

static int take_type(struct request *req, struct tokenparams *p)
{
    if (field_raw(req, "token_type") == NULL)
        return 0;
    struct str name = field_given(req, "token_type") ? field_str(req, "token_type") : STR("");
    if (name.n == 0)
        name = STR("default");
    if (!tokenparams_type_of(name, &p->type) || p->type == TOKEN_DEFAULT_SERVICE ||
        p->type == TOKEN_DEFAULT_BATCH)
        return err_set(&req->err, ERR_BAD_REQUEST, "invalid 'token_type' value \"" STR_FMT "\"",
                       STR_ARG(name));
    return 0;
}

static int check(struct request *req, const struct tokenparams *p)
{
    bool batch = p->type == TOKEN_BATCH || p->type == TOKEN_DEFAULT_BATCH;
    const char *wrong = NULL;

    if (p->max_ttl_s < 0)
        wrong = "'token_max_ttl' cannot be negative";
    else if (p->period_s < 0)
        wrong = "'token_period' cannot be negative";
    else if (p->num_uses < 0)
        wrong = "'token_num_uses' cannot be negative";
    else if (batch && p->period_s != 0)
        wrong = "'token_type' cannot be 'batch' or 'default_batch' when set to generate periodic "
                "tokens";
    else if (batch && p->num_uses != 0)
        wrong = "'token_type' cannot be 'batch' or 'default_batch' when set to generate tokens "
                "with limited use count";
    else if (p->ttl_s < 0)
        wrong = "'token_ttl' cannot be negative";
    else if (p->ttl_s > 0 && p->max_ttl_s > 0 && p->ttl_s > p->max_ttl_s)
        wrong = "'token_ttl' cannot be greater than 'token_max_ttl'";
    return wrong == NULL ? 0 : err_set(&req->err, ERR_BAD_REQUEST, "%s", wrong);
}

int tokenparams_parse_but_type(struct request *req, struct tokenparams *p)
{
    if (field_given(req, "token_bound_cidrs"))
        TRY(take_cidrs(req, "token_bound_cidrs", &p->bound_cidrs));
    take_seconds(req, "token_explicit_max_ttl", &p->explicit_max_ttl_s);
    take_seconds(req, "token_max_ttl", &p->max_ttl_s);
    take_seconds(req, "token_period", &p->period_s);
    take_seconds(req, "token_ttl", &p->ttl_s);
    if (field_given(req, "token_no_default_policy"))
        p->no_default_policy = field_bool(req, "token_no_default_policy");
    if (field_given(req, "token_policies"))
        p->policies = field_strs(req, "token_policies");
    if (field_given(req, "token_num_uses"))
        p->num_uses = field_int(req, "token_num_uses");
    return check(req, p);
}

int tokenparams_parse(struct request *req, struct tokenparams *p)
{
    TRY(take_type(req, p));
    return tokenparams_parse_but_type(req, p);
}

/* ---- stored and shown ---- */

static struct json *texts(struct arena *a, const struct strs *list)
{
    struct json *array = json_array(a);

    for (size_t i = 0; i < list->n; i++)
        json_add_str(array, list->v[i]);
    return array;
}

static void put_list(struct json *object, const char *key, const struct strs *list)
{
    if (list->n == 0)
        json_put_null(object, key);
    else
        json_put(object, key, texts(object->arena, list));
}

static int64_t to_ns(int64_t seconds)
{
    int64_t ns;

    return __builtin_mul_overflow(seconds, NS, &ns) ? INT64_MAX : ns;
}

void tokenparams_store(const struct tokenparams *p, struct json *object)
{
    int stored = 0;

    if (object == NULL)
        return;
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (types[i].type == p->type)
            stored = types[i].stored;
    put_list(object, "token_bound_cidrs", &p->bound_cidrs);
    json_put_int(object, "token_explicit_max_ttl", to_ns(p->explicit_max_ttl_s));
    json_put_int(object, "token_max_ttl", to_ns(p->max_ttl_s));
    json_put_bool(object, "token_no_default_policy", p->no_default_policy);
    json_put_int(object, "token_num_uses", p->num_uses);
    json_put_int(object, "token_period", to_ns(p->period_s));
    put_list(object, "token_policies", &p->policies);
    json_put_int(object, "token_type", stored);
    json_put_int(object, "token_ttl", to_ns(p->ttl_s));
}

static struct strs load_list(struct arena *a, const struct json *object, const char *key)
{
    struct strs list = { 0 };

    for (struct json *v = json_first(json_member(object, key)); v != NULL; v = v->next)
        if (v->type == JSON_STRING)
            strs_add(a, &list, v->text);
    return list;
}

void tokenparams_load(struct arena *a, const struct json *object, struct tokenparams *p)
{
    int64_t stored = json_get_int(object, "token_type", 0);

    *p = (struct tokenparams){
        .bound_cidrs = load_list(a, object, "token_bound_cidrs"),
        .policies = load_list(a, object, "token_policies"),
        .ttl_s = json_get_int(object, "token_ttl", 0) / NS,
        .max_ttl_s = json_get_int(object, "token_max_ttl", 0) / NS,
        .explicit_max_ttl_s = json_get_int(object, "token_explicit_max_ttl", 0) / NS,
        .period_s = json_get_int(object, "token_period", 0) / NS,
        .num_uses = json_get_int(object, "token_num_uses", 0),
        .no_default_policy = json_get_bool(object, "token_no_default_policy", false),
        .type = TOKEN_DEFAULT,
    };
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (types[i].stored == stored)
            p->type = types[i].type;
}

void tokenparams_show(const struct tokenparams *p, struct json *data)
{
    if (data == NULL)
        return;
    json_put(data, "token_bound_cidrs", texts(data->arena, &p->bound_cidrs));
    json_put_int(data, "token_explicit_max_ttl", p->explicit_max_ttl_s);
    json_put_int(data, "token_max_ttl", p->max_ttl_s);
    json_put_bool(data, "token_no_default_policy", p->no_default_policy);
    json_put_int(data, "token_num_uses", p->num_uses);
    json_put_int(data, "token_period", p->period_s);
    json_put(data, "token_policies", texts(data->arena, &p->policies));
    json_put_int(data, "token_ttl", p->ttl_s);
    json_put_text(data, "token_type", tokenparams_type_name(p->type));
}

void tokenparams_fill(const struct tokenparams *p, struct auth *auth)
{
    auth->bound_cidrs = p->bound_cidrs;
    auth->policies = p->policies;
    auth->ttl_s = p->ttl_s;
    auth->max_ttl_s = p->max_ttl_s;
    auth->explicit_max_ttl_s = p->explicit_max_ttl_s;
    auth->period_s = p->period_s;
    auth->num_uses = p->num_uses;
    auth->type = p->type;
    auth->no_default_policy = p->no_default_policy;
    auth->renewable = true;
}

/* ---- older names ---- */

void tokenparams_old_seconds(struct request *req, const char *old, const char *now,
                             int64_t *old_value, int64_t *now_value)
{
    bool has_old = field_given(req, old);

    if (field_given(req, now))
        *old_value = has_old ? *now_value : 0;
    else if (has_old)
        *old_value = *now_value = field_seconds(req, old);
}

void tokenparams_old_policies(struct request *req, const char *old, const char *now,
                              struct strs *old_value, struct strs *now_value)
{
    bool has_old = field_given(req, old);

    if (field_given(req, now)) {
        *old_value = has_old ? *now_value : (struct strs){ 0 };
    } else if (has_old) {
        struct strs sent = field_strs(req, old);
        *old_value = *now_value = tokenparams_policies(req->arena, &sent);
    }
}

int tokenparams_old_cidrs(struct request *req, const char *old, const char *now,
                          struct strs *old_value, struct strs *now_value)
{
    bool has_old = field_given(req, old);

    if (field_given(req, now)) {
        *old_value = has_old ? *now_value : (struct strs){ 0 };
    } else if (has_old) {
        TRY(take_cidrs(req, old, old_value));
        *now_value = *old_value;
    }
    return 0;
}

/* ---- policies ---- */

static struct str lowered(struct arena *a, struct str s)
{
    char *p = arena_bytes(a, s.n);

    for (size_t i = 0; p != NULL && i < s.n; i++)
        p[i] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] | 0x20 : s.p[i]);
    return (struct str){ p, p != NULL ? s.n : 0 };
}

struct strs tokenparams_policies(struct arena *a, const struct strs *names)
{
    struct strs clean = { 0 };

    for (size_t i = 0; i < names->n; i++) {
        struct str name = lowered(a, str_trim(names->v[i]));
        if (name.n == 0)
            continue;
        if (str_is(name, "root")) {
            struct strs root = { 0 };
            strs_add(a, &root, STR("root"));
            return root;
        }
        strs_add(a, &clean, name);
    }
    strs_sort(&clean);
    strs_unique(&clean);
    return clean;
}

static struct strs sorted_but_default(struct arena *a, const struct strs *names)
{
    struct strs list = { 0 };

    for (size_t i = 0; i < names->n; i++)
        if (!str_is(names->v[i], "default"))
            strs_add(a, &list, names->v[i]);
    strs_sort(&list);
    return list;
}

bool tokenparams_same_policies(struct arena *a, const struct strs *role,
                               const struct strs *token)
{
    struct strs one = sorted_but_default(a, role), two = sorted_but_default(a, token);

    return strs_equal(&one, &two);
}
