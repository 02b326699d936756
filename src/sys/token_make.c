/* Making a token: what the caller asks, what parent and role allow, and the entry made of both. */
#include "sys/token_make.h"

#include "codec/timefmt.h"
#include "core/handle.h"
#include "core/login.h"
#include "sys/system.h"
#include "sys/token_roles.h"

static const int64_t SECOND = 1000000000;

/* One creation under way. */
struct making {
    const struct active *on;
    struct request *req;
    const struct token_entry *parent;
    const struct token_role *role; /* or NULL */
    bool orphan_path;              /* by create-orphan */
    bool sudo;

    /* What the request says. */
    struct str id, ttl, lease, explicit_max, period, display_name, type, entity_alias;
    struct strs policies;
    struct json *meta;
    int64_t num_uses;
    bool no_parent, no_default, renewable;

    /* What comes of it. */
    struct token_entry entry;
    int64_t explicit_max_s, period_s; /* the role's counted in */
};

static int refuse(struct making *m, const char *why)
{
    return err_set(&m->req->err, ERR_BAD_REQUEST, "%s", why);
}

/* ---- reading: no field table, for Vault takes these as loosely as this ---- */

static int undecodable(struct request *req, const char *name, const char *type)
{
    return err_set(&req->err, ERR_BAD_REQUEST,
                   "Error decoding request: 1 error(s) decoding:\n\n* '%s' expected type '%s', "
                   "got unconvertible type",
                   name, type);
}

static bool text_of(const struct json *v, struct str *out)
{
    *out = STR("");
    if (v == NULL || v->type == JSON_NULL)
        return true;
    if (v->type == JSON_BOOL)
        *out = v->truth ? STR("1") : STR("0");
    else
        *out = v->text;
    return v->type == JSON_BOOL || v->type == JSON_NUMBER || v->type == JSON_STRING;
}

static int read_text(struct request *req, const char *name, struct str *out)
{
    return text_of(field_raw(req, name), out) ? 0 : undecodable(req, name, "string");
}

static int read_bool(struct request *req, const char *name, bool *out)
{
    const struct json *v = field_raw(req, name);
    static const char *const yes[] = { "1", "t", "T", "true", "TRUE", "True" };
    static const char *const no[] = { "", "0", "f", "F", "false", "FALSE", "False" };
    double number;
    if (v == NULL || v->type == JSON_NULL)
        return 0;
    if (v->type == JSON_BOOL)
        return *out = v->truth, 0;
    if (v->type == JSON_NUMBER && json_to_double(v, &number))
        return *out = number != 0, 0;
    for (size_t i = 0; v->type == JSON_STRING && i < ARRAY_LEN(yes); i++)
        if (str_is(v->text, yes[i]))
            return *out = true, 0;
    for (size_t i = 0; v->type == JSON_STRING && i < ARRAY_LEN(no); i++)
        if (str_is(v->text, no[i]))
            return *out = false, 0;
    return undecodable(req, name, "bool");
}

static int read_uses(struct request *req, int64_t *out)
{
    const struct json *v = field_raw(req, "num_uses");
    if (v == NULL || v->type == JSON_NULL)
        return 0;
    return field_weak_int(v, out) ? 0 : undecodable(req, "num_uses", "int");
}

/* A text is one name, commas and all. */
static int read_policies(struct request *req, struct strs *out)
{
    const struct json *v = field_raw(req, "policies");
    struct str text;
    if (v == NULL || v->type == JSON_NULL)
        return 0;
    if (v->type != JSON_ARRAY) {
        if (!text_of(v, &text))
            return undecodable(req, "policies", "string");
        strs_add(req->arena, out, text);
        return 0;
    }
    for (v = json_first(v); v != NULL; v = v->next) {
        if (!text_of(v, &text))
            return undecodable(req, "policies", "string");
        strs_add(req->arena, out, text);
    }
    return 0;
}

static int read_meta(struct request *req, struct json **out)
{
    const struct json *v = field_raw(req, "meta");
    struct str text;
    if (v == NULL || v->type == JSON_NULL || (v->type == JSON_ARRAY && v->count == 0))
        return 0;
    if (v->type != JSON_OBJECT)
        return undecodable(req, "meta", "map");
    *out = json_object(req->arena);
    for (v = json_first(v); v != NULL; v = v->next) {
        if (!text_of(v, &text))
            return undecodable(req, "meta", "string");
        json_set(*out, v->key, json_str(req->arena, text));
    }
    return 0;
}

static int read_all(struct making *m)
{
    struct request *req = m->req;
    m->renewable = true;
    TRY(read_text(req, "id", &m->id));
    TRY(read_text(req, "ttl", &m->ttl));
    TRY(read_text(req, "lease", &m->lease));
    TRY(read_text(req, "explicit_max_ttl", &m->explicit_max));
    TRY(read_text(req, "period", &m->period));
    TRY(read_text(req, "display_name", &m->display_name));
    TRY(read_text(req, "type", &m->type));
    TRY(read_text(req, "entity_alias", &m->entity_alias));
    TRY(read_bool(req, "no_parent", &m->no_parent));
    TRY(read_bool(req, "no_default_policy", &m->no_default));
    TRY(read_bool(req, "renewable", &m->renewable));
    TRY(read_uses(req, &m->num_uses));
    TRY(read_policies(req, &m->policies));
    return read_meta(req, &m->meta);
}

/* ---- may the parent? ---- */

static int check_parent(struct making *m)
{
    m->parent = m->req->caller;
    /* Its last use is this request: for a look-up it is gone already. */
    if (m->parent->num_uses == 1)
        return refuse(m, "parent token lookup failed: no parent found");
    if (m->parent->type == TOKEN_BATCH)
        return refuse(m, "batch tokens cannot create more tokens");
    if (m->parent->num_uses > 0)
        return refuse(m, "restricted use token cannot generate child tokens");
    int sudo = handle_is_sudo(m->on, m->req);
    m->sudo = sudo > 0;
    return sudo < 0 ? -1 : 0;
}

/* ---- type ---- */

static bool is_zero(struct str duration)
{
    int64_t ns = 0;
    return duration.n == 0 || (duration_parse(duration, false, &ns, NULL) == 0 && ns == 0);
}

static int settle_type(struct making *m)
{
    struct str type = m->type;
    enum token_type by_role = m->role == NULL ? TOKEN_DEFAULT : m->role->params.type;
    if (by_role == TOKEN_SERVICE || by_role == TOKEN_BATCH
        || (by_role == TOKEN_DEFAULT_BATCH && type.n == 0))
        type = by_role == TOKEN_SERVICE ? STR("service") : STR("batch");
    m->entry.type = TOKEN_SERVICE;
    if (type.n == 0 || str_is(type, "service"))
        return 0;
    if (!str_is(type, "batch"))
        return refuse(m, "invalid 'token_type' value");
    if (!is_zero(m->explicit_max))
        return refuse(m, "batch tokens cannot have \"explicit_max_ttl\" set");
    if (m->num_uses != 0)
        return refuse(m, "batch tokens cannot have \"num_uses\" set");
    if (!is_zero(m->period))
        return refuse(m, "batch tokens cannot have \"period\" set");
    m->entry.type = TOKEN_BATCH;
    m->renewable = false;
    return 0;
}

/* ---- names ---- */

static int settle_entity(struct making *m)
{
    struct request *req = m->req;
    if (m->entity_alias.n == 0)
        return 0;
    if (m->role == NULL)
        return refuse(m, "'entity_alias' is only allowed in combination with token role");
    if (!token_roles_allow_alias(req->arena, m->role, m->entity_alias))
        return refuse(m, "invalid 'entity_alias' value");
    struct identity_alias alias = {
        .mount_accessor = req->mount_accessor,
        .mount_type = req->mount_type,
        .mount_path = req->mount_path,
        .name = m->entity_alias,
    };
    if (identity_login(m->on->identity, req->arena, &alias, &m->entry.entity_id, &req->err) == 0)
        return 0;
    if (req->err.code != ERR_DENIED)
        return -1;
    return err_set(&req->err, ERR_DENIED, "entity from given entity alias is disabled");
}

/* "token-NAME", of which letters, digits and '-' stay. */
static struct str display_name(struct arena *a, struct str given)
{
    if (given.n == 0)
        return STR("token");
    struct str name = arena_cat(a, STR("token-"), given);
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        /* A character of several bytes becomes one '-': its later bytes are dropped below. */
        if (!fine && c != '-')
            ((char *)name.p)[i] = (c & 0xC0) == 0x80 ? 0 : '-';
    }
    size_t n = 0;
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] != 0)
            ((char *)name.p)[n++] = name.p[i];
    name.n = n;
    if (str_ends(name, STR("-")))
        name.n--;
    return name;
}

static int settle_names(struct making *m)
{
    struct arena *a = m->req->arena;
    struct token_entry *e = &m->entry;
    e->path = arena_cat(a, STR("auth/token/"), m->req->rel);
    e->meta = m->meta;
    e->num_uses = m->num_uses;
    e->display_name = display_name(a, m->display_name);
    if (m->role != NULL) {
        int64_t most = m->role->params.num_uses;
        e->role = m->role->name;
        m->renewable = m->renewable && m->role->renewable;
        if (most != 0 && (e->num_uses == 0 || most < e->num_uses))
            e->num_uses = most;
        if (m->role->path_suffix.n > 0)
            e->path = arena_printf(a, STR_FMT "/" STR_FMT, STR_ARG(e->path),
                                   STR_ARG(m->role->path_suffix));
    }
    if (m->id.n == 0)
        return 0;
    if (!m->sudo)
        return refuse(m, "root or sudo privileges required to specify token id");
    if (str_starts(m->id, STR("s.")))
        return refuse(m, "custom token ID cannot have the 's.' prefix");
    if (str_find_byte(m->id, '.') >= 0)
        return refuse(m, "custom token ID cannot have a '.' in the value");
    e->id = m->id;
    return 0;
}

/* ---- policies ---- */

static bool is_subset(const struct strs *all, const struct strs *some)
{
    for (size_t i = 0; i < some->n; i++)
        if (!strs_has(all, some->v[i]))
            return false;
    return true;
}

/* ["a" "b"], as Go's %q. */
static struct str quoted_list(struct arena *a, const struct strs *list)
{
    struct str out = STR("[");
    for (size_t i = 0; i < list->n; i++)
        out = arena_printf(a, STR_FMT "%s\"" STR_FMT "\"", STR_ARG(out), i > 0 ? " " : "",
                           STR_ARG(list->v[i]));
    return arena_cat(a, out, STR("]"));
}

/* A role with lists of its own: the parent's policies do not bound the child's. */
static int policies_by_role(struct making *m, struct strs *out)
{
    struct arena *a = m->req->arena;
    const struct token_role *role = m->role;
    bool no_default = m->no_default || role->params.no_default_policy
                      || strs_has(&role->disallowed_policies, STR("default"));
    struct strs allowed = login_policies(a, &role->allowed_policies, no_default);
    *out = (struct strs){ 0 };
    if (m->policies.n > 0)
        *out = login_policies(a, &m->policies, no_default);
    if (out->n == 0)
        *out = role->allowed_policies.n > 0
                   ? allowed
                   : login_policies(a, &m->parent->policies, no_default);
    else if (role->allowed_policies.n > 0 && !is_subset(&allowed, out))
        return err_set(&m->req->err, ERR_BAD_REQUEST,
                       "token policies (" STR_FMT
                       ") must be subset of the role's allowed policies (" STR_FMT ")",
                       STR_ARG(quoted_list(a, out)), STR_ARG(quoted_list(a, &allowed)));
    for (size_t i = 0; i < out->n; i++)
        if (strs_has(&role->disallowed_policies, out->v[i]))
            return err_set(&m->req->err, ERR_BAD_REQUEST,
                           "token policy \"" STR_FMT "\" is disallowed by this role",
                           STR_ARG(out->v[i]));
    return 0;
}

static int policies_by_parent(struct making *m, struct strs *out)
{
    struct arena *a = m->req->arena;
    struct strs of_parent = login_policies(a, &m->parent->policies, true);
    if (m->policies.n == 0) {
        *out = of_parent;
        return 0;
    }
    *out = login_policies(a, &m->policies, true);
    if (!m->sudo && !is_subset(&of_parent, out))
        return refuse(m, "child policies must be subset of parent");
    bool add_default = !m->no_default && (m->sudo || strs_has(&of_parent, STR("default")));
    if (add_default)
        *out = login_policies(a, out, false);
    return 0;
}

static int check_policies(struct making *m)
{
    const struct strs *list = &m->entry.policies;
    static const char *const internal[] = { "response-wrapping", "control-group" };
    for (size_t i = 0; i < ARRAY_LEN(internal); i++)
        if (strs_has(list, str_of(internal[i])))
            return err_set(&m->req->err, ERR_BAD_REQUEST, "cannot assign policy \"%s\"",
                           internal[i]);
    m->entry.root = strs_has(list, STR("root"));
    if (!m->entry.root)
        return 0;
    if (!strs_has(&m->parent->policies, STR("root")))
        return refuse(m, "root tokens may not be created without parent token being root");
    if (m->entry.type == TOKEN_BATCH)
        return refuse(m, "batch tokens cannot be root tokens");
    return 0;
}

static int settle_policies(struct making *m)
{
    struct arena *a = m->req->arena;
    struct strs chosen = { 0 };
    bool by_role = m->role != NULL
                   && (m->role->allowed_policies.n > 0 || m->role->disallowed_policies.n > 0);
    TRY(by_role ? policies_by_role(m, &chosen) : policies_by_parent(m, &chosen));
    for (size_t i = 0; i < chosen.n; i++)
        if (!m->no_default || !str_is(chosen.v[i], "default"))
            strs_add(a, &m->entry.policies, chosen.v[i]);
    return check_policies(m);
}

/* ---- parent, entity, addresses ---- */

static int settle_parent(struct making *m)
{
    struct token_entry *e = &m->entry;
    e->parent = m->req->token;
    if (m->role != NULL) {
        if (m->role->orphan)
            e->parent = STR("");
        e->bound_cidrs = m->role->params.bound_cidrs;
    } else if (m->no_parent) {
        if (!m->sudo)
            return refuse(m, "root or sudo privileges required to create orphan token");
        e->parent = STR("");
    } else if (m->orphan_path) {
        e->parent = STR("");
    }
    if (e->entity_id.n > 0 || e->parent.n == 0)
        return 0;
    e->entity_id = m->parent->entity_id;
    /* A role may widen what the parent may do; without one the parent's bounds stay. */
    if (m->role == NULL)
        e->bound_cidrs = m->parent->bound_cidrs;
    return 0;
}

/* ---- times ---- */

static int parse_seconds(struct making *m, struct str text, const char *negative, int64_t *out_s)
{
    int64_t ns = 0;
    if (text.n > 0)
        TRY(duration_parse(text, false, &ns, &m->req->err));
    if (ns < 0)
        return refuse(m, negative);
    *out_s = ns / SECOND;
    return 0;
}

static int parse_times(struct making *m)
{
    struct token_entry *e = &m->entry;
    TRY(parse_seconds(m, m->explicit_max, "explicit_max_ttl must be positive",
                      &e->explicit_max_ttl_s));
    TRY(parse_seconds(m, m->period, "period must be positive", &e->period_s));
    if (e->period_s > 0 && !m->sudo)
        return refuse(m, "root or sudo privileges required to create periodic token");
    if (m->ttl.n > 0)
        TRY(parse_seconds(m, m->ttl, "ttl must be positive", &e->ttl_s));
    else
        TRY(parse_seconds(m, m->lease, "lease must be positive", &e->ttl_s));
    m->explicit_max_s = e->explicit_max_ttl_s;
    m->period_s = e->period_s;
    return 0;
}

/* Of two limits the lesser counts; the caller is told when both were set. */
static void lesser(struct response *resp, int64_t by_role, const char *what, int64_t *value)
{
    if (by_role == 0)
        return;
    if (*value == 0) {
        *value = by_role;
        return;
    }
    if (by_role < *value)
        *value = by_role;
    response_warn(resp,
                  "%s specified both during creation call and in role; using the lesser value of "
                  "%lld seconds",
                  what, (long long)*value);
}

/* The auth is what login_settle_ttl works on, and at last the answer. */
static int settle_times(struct making *m, struct response *resp)
{
    struct token_entry *e = &m->entry;
    struct auth *auth = resp->auth;
    TRY(parse_times(m));
    if (m->role != NULL && e->type != TOKEN_BATCH) {
        lesser(resp, m->role->params.explicit_max_ttl_s, "Explicit max TTL", &m->explicit_max_s);
        lesser(resp, m->role->params.period_s, "Period", &m->period_s);
    }
    auth->ttl_s = e->ttl_s;
    auth->period_s = m->period_s;
    auth->explicit_max_ttl_s = m->explicit_max_s;
    if (m->period_s > 0 || e->ttl_s > 0 || !e->root)
        login_settle_ttl(m->on, m->req, resp, 0);
    else
        auth->ttl_s = m->explicit_max_s; /* even a root token keeps to an explicit limit */
    e->ttl_s = auth->ttl_s;
    if (e->ttl_s > 0)
        return 0;
    if (m->parent->ttl_s != 0)
        return refuse(m, "expiring root tokens cannot create non-expiring root tokens");
    m->renewable = false;
    e->bound_cidrs = (struct strs){ 0 };
    return 0;
}

/* ---- the answer ---- */

static int fill_auth(struct making *m, struct auth *auth)
{
    struct request *req = m->req;
    const struct token_entry *e = &m->entry;
    const struct policy_facts *facts;
    auth->num_uses = e->num_uses;
    auth->display_name = e->display_name;
    auth->token_policies = auth->policies = e->policies;
    auth->metadata = e->meta;
    auth->renewable = m->renewable;
    auth->entity_id = e->entity_id;
    auth->creation_path = e->path;
    auth->bound_cidrs = e->bound_cidrs;
    auth->type = e->type;
    auth->orphan = e->parent.n == 0;
    auth->no_default_policy = m->no_default;
    if (e->entity_id.n == 0)
        return 0;
    TRY(identity_of_token(m->on->identity, req->arena, e->entity_id, &auth->identity_policies,
                          &facts, &req->err));
    struct strs all = strs_copy(req->arena, &e->policies);
    for (size_t i = 0; i < auth->identity_policies.n; i++)
        strs_add(req->arena, &all, auth->identity_policies.v[i]);
    auth->policies = login_policies(req->arena, &all, true);
    return 0;
}

static int warn_missing_policies(struct making *m, struct response *resp)
{
    for (size_t i = 0; i < m->entry.policies.n; i++) {
        struct str name = m->entry.policies.v[i], text;
        int found = policy_store_get(m->on->policies, m->req->arena, name, &text, &m->req->err);
        if (found < 0)
            return err_set(&m->req->err, ERR_BAD_REQUEST, "could not look up policy " STR_FMT,
                           STR_ARG(name));
        if (found == 0)
            response_warn(resp, "Policy \"" STR_FMT "\" does not exist", STR_ARG(name));
    }
    return 0;
}

static int make(struct request *req, struct response *resp, const struct token_role *role,
                bool orphan_path)
{
    struct making m = {
        .on = active_of(req),
        .req = req,
        .role = role,
        .orphan_path = orphan_path,
    };
    resp->auth = arena_alloc(req->arena, sizeof *resp->auth);
    TRY(arena_check(req->arena, &req->err));
    TRY(check_parent(&m));
    TRY(read_all(&m));
    TRY(settle_type(&m));
    if (m.num_uses < 0)
        return refuse(&m, "number of uses cannot be negative");
    TRY(settle_entity(&m));
    TRY(settle_names(&m));
    TRY(settle_policies(&m));
    TRY(settle_parent(&m));
    TRY(settle_times(&m, resp));
    if (m.id.n > 0)
        response_warn(resp,
                      "Supplying a custom ID for the token uses the weaker SHA1 hashing instead of "
                      "the more secure SHA2-256 HMAC for token obfuscation. SHA1 hashed tokens on "
                      "the wire leads to less secure lookups.");
    TRY(fill_auth(&m, resp->auth));
    /* Asked before the token is made: a failure must not leave one that nobody knows. */
    TRY(warn_missing_policies(&m, resp));
    TRY(arena_check(req->arena, &req->err));
    return token_create(m.on->tokens, req->arena, &m.entry, resp->auth, &req->err) < 0 ? -1 : 1;
}

int token_make_write(struct request *req, struct response *resp)
{
    return make(req, resp, NULL, false);
}

int token_make_orphan_write(struct request *req, struct response *resp)
{
    return make(req, resp, NULL, true);
}

int token_make_role_write(struct request *req, struct response *resp)
{
    struct str name = field_str(req, "role_name");
    struct token_role role;
    int found = token_roles_load(req, name, &role);
    if (found < 0)
        return -1;
    if (found == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "unknown role " STR_FMT, STR_ARG(name));
    return make(req, resp, &role, false);
}
