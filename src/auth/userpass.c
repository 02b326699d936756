/* Userpass: login by user name and password. */
#include "auth/userpass.h"

#include "auth/bcrypt.h"
#include "base/keylock.h"
#include "base/secret.h"
#include "codec/base64.h"
#include "logical/cidr.h"
#include "logical/tokenparams.h"

static const int64_t NS = 1000000000;

/* As stored (storage-layout.md, section 8); in the request's arena. Durations in seconds. */
struct user {
    struct tokenparams params;
    struct str password_hash;   /* bcrypt */
    struct str password;        /* plain, from Vault before 0.2; else empty */
    struct strs policies, bound_cidrs; /* under their older names */
    int64_t ttl_s, max_ttl_s;
};

/* ---- stored form ---- */

static struct str user_key(struct arena *a, struct str name)
{
    return arena_cat(a, STR("user/"), name);
}

static struct json *texts_or_null(struct arena *a, const struct strs *list)
{
    struct json *array = json_array(a);

    if (list->n == 0)
        return json_null(a);
    for (size_t i = 0; i < list->n; i++)
        json_add_str(array, list->v[i]);
    return array;
}

/* The older names serve where the newer say nothing. */
static void prefer_new(struct user *u)
{
    if (u->params.ttl_s == 0 && u->ttl_s > 0)
        u->params.ttl_s = u->ttl_s;
    if (u->params.max_ttl_s == 0 && u->max_ttl_s > 0)
        u->params.max_ttl_s = u->max_ttl_s;
    if (u->params.policies.n == 0)
        u->params.policies = u->policies;
    if (u->params.bound_cidrs.n == 0)
        u->params.bound_cidrs = u->bound_cidrs;
}

static int user_decode(struct request *req, struct str text, struct user *u)
{
    struct json *v;
    struct str hash = json_get_str(NULL, "");

    if (json_parse_all(req->arena, text, &v, &req->err) < 0)
        return err_set(&req->err, ERR_CORRUPT, "userpass: a stored user is not JSON");
    struct str encoded = json_get_str(v, "PasswordHash");
    if (encoded.n > 0 && base64_decode(req->arena, encoded, &hash, &req->err) < 0)
        return err_set(&req->err, ERR_CORRUPT, "userpass: a stored user's hash is not base64");
    *u = (struct user){
        .password_hash = hash,
        .password = json_get_str(v, "Password"),
        .policies = json_strs(req->arena, json_member(v, "Policies")),
        .bound_cidrs = json_strs(req->arena, json_member(v, "BoundCIDRs")),
        .ttl_s = json_get_int(v, "TTL", 0) / NS,
        .max_ttl_s = json_get_int(v, "MaxTTL", 0) / NS,
    };
    tokenparams_load(req->arena, v, &u->params);
    prefer_new(u);
    return arena_check(req->arena, &req->err);
}

/* 1, 0 no such user, -1. */
static int user_load(struct request *req, struct str name, struct user *u)
{
    AUTO(buf_free) struct buf stored = { 0 };

    if (name.n == 0)
        return err_set(&req->err, ERR_INTERNAL, "missing username");
    int found = storage_get(req->storage, user_key(req->arena, name), &stored, &req->err);
    if (found <= 0)
        return found;
    struct str text = arena_dup(req->arena, buf_str(&stored));
    TRY(arena_check(req->arena, &req->err));
    TRY(user_decode(req, text, u));
    return 1;
}

static int64_t to_ns(int64_t seconds)
{
    int64_t ns;

    return __builtin_mul_overflow(seconds, NS, &ns) ? INT64_MAX : ns;
}

static int user_store(struct request *req, struct str name, const struct user *u)
{
    AUTO(buf_free) struct buf text = { 0 };
    struct arena *a = req->arena;
    struct json *v = json_object(a);

    tokenparams_store(&u->params, v);
    json_put_str(v, "Password", u->password);
    json_put_str(v, "PasswordHash", base64_encode(a, u->password_hash));
    json_put(v, "Policies", texts_or_null(a, &u->policies));
    json_put_int(v, "TTL", to_ns(u->ttl_s));
    json_put_int(v, "MaxTTL", to_ns(u->max_ttl_s));
    json_put(v, "BoundCIDRs", texts_or_null(a, &u->bound_cidrs));
    TRY(arena_check(a, &req->err));
    json_print(v, &text);
    TRY(buf_check(&text, &req->err));
    return storage_put(req->storage, user_key(a, name), buf_str(&text), &req->err);
}

/* ---- users ---- */

static int user_exists(struct request *req)
{
    struct user u;

    return user_load(req, field_str(req, "username"), &u);
}

static int set_password(struct request *req, struct user *u, struct str password)
{
    if (password.n == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "missing password");
    u->password = STR("");
    return bcrypt_hash(req->arena, password, &u->password_hash, &req->err);
}

static int apply_older_names(struct request *req, struct user *u)
{
    struct tokenparams *p = &u->params;

    tokenparams_old_policies(req, "policies", "token_policies", &u->policies, &p->policies);
    tokenparams_old_seconds(req, "ttl", "token_ttl", &u->ttl_s, &p->ttl_s);
    tokenparams_old_seconds(req, "max_ttl", "token_max_ttl", &u->max_ttl_s, &p->max_ttl_s);
    return tokenparams_old_cidrs(req, "bound_cidrs", "token_bound_cidrs", &u->bound_cidrs,
                                 &p->bound_cidrs);
}

static int user_write(struct request *req, struct response *resp)
{
    AUTO(keylock_release) struct keyhold hold = { 0 };
    struct str name = field_str(req, "username"), password = field_str(req, "password");
    struct user u = { 0 };

    TRY(keylock_hold(req->backend, name, &hold, &req->err));
    int found = user_load(req, name, &u);
    TRY(found);
    if (found == 0 && password.n == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "missing password");
    TRY(tokenparams_parse(req, &u.params));
    if (password.n > 0)
        TRY(set_password(req, &u, password));
    TRY(apply_older_names(req, &u));
    TRY(user_store(req, name, &u));
    return 1;
}

static int user_read(struct request *req, struct response *resp)
{
    struct user u;

    int found = user_load(req, field_str(req, "username"), &u);
    if (found <= 0)
        return found;
    struct json *data = response_data(resp);
    tokenparams_show(&u.params, data);
    if (u.ttl_s > 0)
        json_put_int(data, "ttl", u.ttl_s);
    if (u.max_ttl_s > 0)
        json_put_int(data, "max_ttl", u.max_ttl_s);
    if (u.policies.n > 0)
        json_put(data, "policies", texts_or_null(req->arena, &u.params.policies));
    if (u.bound_cidrs.n > 0)
        json_put(data, "bound_cidrs", texts_or_null(req->arena, &u.bound_cidrs));
    TRY(arena_check(req->arena, &req->err));
    return 1;
}

static int user_delete(struct request *req, struct response *resp)
{
    AUTO(keylock_release) struct keyhold hold = { 0 };
    struct str name = field_str(req, "username"), key = user_key(req->arena, name);

    TRY(keylock_hold(req->backend, name, &hold, &req->err));
    TRY(arena_check(req->arena, &req->err));
    TRY(storage_delete(req->storage, key, &req->err));
    return 1;
}

struct listing {
    struct arena *arena;
    struct strs names;
};

static int add_name(void *ctx, struct str name)
{
    struct listing *l = ctx;

    strs_add(l->arena, &l->names, arena_dup(l->arena, name));
    return 0;
}

static int users_list(struct request *req, struct response *resp)
{
    struct listing l = { req->arena, { 0 } };

    TRY(storage_list(req->storage, STR("user/"), STR(""), add_name, &l, &req->err));
    TRY(arena_check(req->arena, &req->err));
    return response_keys(resp, &l.names);
}

/* The user whose password or policies are to change, held against other changes. */
static int user_to_change(struct request *req, struct keyhold *hold, struct user *u)
{
    struct str name = field_str(req, "username");

    TRY(keylock_hold(req->backend, name, hold, &req->err));
    int found = user_load(req, name, u);
    TRY(found);
    return found == 1 ? 0 : err_set(&req->err, ERR_INTERNAL, "username does not exist");
}

static int password_write(struct request *req, struct response *resp)
{
    AUTO(keylock_release) struct keyhold hold = { 0 };
    struct user u;

    TRY(user_to_change(req, &hold, &u));
    TRY(set_password(req, &u, field_str(req, "password")));
    TRY(user_store(req, field_str(req, "username"), &u));
    return 1;
}

static int policies_write(struct request *req, struct response *resp)
{
    AUTO(keylock_release) struct keyhold hold = { 0 };
    struct user u;

    TRY(user_to_change(req, &hold, &u));
    if (field_given(req, "token_policies")) {
        struct strs sent = field_strs(req, "token_policies");
        u.params.policies = tokenparams_policies(req->arena, &sent);
    }
    tokenparams_old_policies(req, "policies", "token_policies", &u.policies, &u.params.policies);
    TRY(user_store(req, field_str(req, "username"), &u));
    return 1;
}

/* ---- login ---- */

static bool password_fits(const struct user *u, struct str password)
{
    if (u->password_hash.n == 0 && u->password.n > 0)
        return secret_eq(u->password, password);
    return bcrypt_verify(u->password_hash, password);
}

static struct auth *auth_of(struct request *req, struct str name, const struct user *u)
{
    struct auth *auth = arena_alloc(req->arena, sizeof *auth);

    if (auth == NULL)
        return NULL;
    tokenparams_fill(&u->params, auth);
    auth->metadata = json_object(req->arena);
    json_put_str(auth->metadata, "username", name);
    auth->display_name = name;
    auth->alias_name = name;
    return auth;
}

static int login(struct request *req, struct response *resp)
{
    struct str name = field_str(req, "username"), password = field_str(req, "password");
    struct user u;

    if (password.n == 0)
        return err_set(&req->err, ERR_INTERNAL, "missing password");
    int found = user_load(req, name, &u);
    /* An unknown user takes as long as a known one. */
    if (found <= 0)
        bcrypt_pretend(password);
    TRY(found);
    if (found == 0 || !password_fits(&u, password))
        return err_set(&req->err, ERR_BAD_REQUEST, "invalid username or password");
    struct str addr = req->peer != NULL ? req->peer->addr : STR("");
    if (!cidr_allows(&u.params.bound_cidrs, addr))
        return err_set(&req->err, ERR_DENIED, "permission denied");
    resp->auth = auth_of(req, name, &u);
    TRY(arena_check(req->arena, &req->err));
    return 1;
}

/* A user who is gone is not renewed (0); one whose policies changed is refused. */
static int login_renew(struct request *req, struct response *resp)
{
    struct user u;

    int found = user_load(req, json_get_str(req->lease_auth->metadata, "username"), &u);
    if (found <= 0)
        return found;
    if (!tokenparams_same_policies(req->arena, &u.params.policies,
                                   &req->lease_auth->token_policies))
        return err_set(&req->err, ERR_INTERNAL, "policies have changed, not renewing");
    resp->auth = arena_alloc(req->arena, sizeof *resp->auth);
    TRY(arena_check(req->arena, &req->err));
    *resp->auth = *req->lease_auth;
    resp->auth->period_s = u.params.period_s;
    resp->auth->ttl_s = u.params.ttl_s;
    resp->auth->max_ttl_s = u.params.max_ttl_s;
    return 1;
}

/* ---- the mount's state: who is being changed ---- */

static int userpass_open(const struct engine_ctx *ctx, void **state, struct err *err)
{
    *state = keylock_new();
    return *state != NULL ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

static void userpass_close(void *state)
{
    keylock_free(state);
}

/* ---- tables ---- */

#define USERNAME { "username", FIELD_LOWER, NULL, "Name of the user." }
#define PASSWORD { "password", FIELD_STRING, NULL, "Password of the user." }

static const struct field user_fields[] = {
    USERNAME,
    PASSWORD,
    { "policies", FIELD_COMMA_STRINGS, NULL, "Older name of token_policies." },
    { "ttl", FIELD_SECONDS, NULL, "Older name of token_ttl." },
    { "max_ttl", FIELD_SECONDS, NULL, "Older name of token_max_ttl." },
    { "bound_cidrs", FIELD_COMMA_STRINGS, NULL, "Older name of token_bound_cidrs." },
    TOKENPARAMS_FIELDS,
};

static const struct field password_fields[] = { USERNAME, PASSWORD };

static const struct field policies_fields[] = {
    USERNAME,
    { "policies", FIELD_COMMA_STRINGS, NULL, "Older name of token_policies." },
    { "token_policies", FIELD_COMMA_STRINGS, NULL, "Policies of the token." },
};

static const struct route routes[] = {
    { .pattern = "users/{username}",
      FIELDS(user_fields),
      .read = user_read,
      .write = user_write,
      .del = user_delete,
      .exists = user_exists,
      .summary = "Users who may log in.",
      .details = "Tokens that a user already has live on when the user is deleted." },
    { .pattern = "users/?", .list = users_list, .summary = "Names of the users." },
    { .pattern = "users/{username}/policies",
      FIELDS(policies_fields),
      .write = policies_write,
      .summary = "Change a user's policies." },
    { .pattern = "users/{username}/password",
      FIELDS(password_fields),
      .write = password_write,
      .summary = "Change a user's password." },
    { .pattern = "login/{username}",
      FIELDS(password_fields),
      .flags = ROUTE_NO_TOKEN | ROUTE_SLOW,
      .write = login,
      .summary = "Log in with user name and password." },
};

const struct engine auth_userpass = {
    .type = "userpass",
    .is_auth = true,
    .help = "The userpass method lets users log in with a name and a password.",
    ROUTES(routes),
    .open = userpass_open,
    .close = userpass_close,
    .renew_login = login_renew,
};
