/* Roles over HTTP: written, read, listed, deleted. */
#include "codec/timefmt.h"
#include "engines/ssh/address.h"
#include "engines/ssh/options.h"
#include "engines/ssh/role.h"
#include "engines/ssh/routes.h"
#include "engines/ssh/store.h"

enum { DEFAULT_PORT = 22 };

static const int64_t SECOND = 1000000000;

static int refuse(struct request *req, const char *why)
{
    return err_set(&req->err, ERR_BAD_REQUEST, "%s", why);
}

/* ---- write ---- */

static void put_fields(struct request *req, struct json *role, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        json_put_str(role, names[i], field_str(req, names[i]));
}

static int fill_otp(struct request *req, struct json *role)
{
    static const char *const texts[] = { "default_user", "cidr_list", "exclude_cidr_list",
                                         "allowed_users" };
    int64_t port = field_int(req, "port");

    if (field_str(req, "default_user").n == 0)
        return refuse(req, "missing default user");
    if (field_str(req, "admin_user").n > 0)
        return refuse(req, "admin user not required for OTP type");
    json_put_str(role, "key_type", STR("otp"));
    put_fields(req, role, texts, ARRAY_LEN(texts));
    json_put_int(role, "port", port == 0 ? DEFAULT_PORT : port);
    return 0;
}

static int fill_seconds(struct request *req, struct json *role, const char *name)
{
    int64_t seconds = field_seconds(req, name);

    if (seconds > INT64_MAX / SECOND)
        return err_set(&req->err, ERR_BAD_REQUEST, "%s is too large", name);
    json_put_str(role, name, duration_format(req->arena, seconds * SECOND));
    return 0;
}

static int fill_ttls(struct request *req, struct json *role)
{
    int64_t ttl = field_seconds(req, "ttl"), max = field_seconds(req, "max_ttl");

    if (ttl != 0 && max != 0 && ttl > max)
        return refuse(req, "\"ttl\" value must be less than \"max_ttl\" when both are specified");
    TRY(fill_seconds(req, role, "ttl"));
    return fill_seconds(req, role, "max_ttl");
}

static int fill_lengths(struct request *req, struct json *role)
{
    struct json *lengths = json_put_object(role, "allowed_user_key_lengths");

    for (const struct json *v = json_first(field_map(req, "allowed_user_key_lengths")); v != NULL;
         v = v->next) {
        int64_t bits;
        if (!field_weak_int(v, &bits))
            return err_set(&req->err, ERR_BAD_REQUEST,
                           "error processing allowed_user_key_lengths: \"" STR_FMT
                           "\" is not given as a number",
                           STR_ARG(v->key));
        json_set(lengths, v->key, json_int(req->arena, bits));
    }
    return 0;
}

static int fill_signer(struct request *req, struct json *role)
{
    struct str name = field_str(req, "algorithm_signer");

    if (name.n > 0 && !str_is(name, "ssh-rsa") && !str_is(name, "rsa-sha2-256") &&
        !str_is(name, "rsa-sha2-512")) {
        struct str shown = ssh_store_quoted(req, name);
        return err_set(&req->err, ERR_INTERNAL, "unknown algorithm signer " STR_FMT,
                       STR_ARG(shown));
    }
    json_put_str(role, "algorithm_signer", name);
    return 0;
}

static int fill_ca(struct request *req, struct json *role)
{
    static const char *const texts[] = { "allowed_critical_options", "allowed_extensions",
                                         "allowed_users", "allowed_domains", "default_user",
                                         "key_id_format" };
    static const char *const truths[] = {
        "allow_user_certificates", "allow_host_certificates", "allowed_users_template",
        "allow_bare_domains", "allow_subdomains", "allow_user_key_ids",
        "default_extensions_template",
    };
    struct json *map;

    TRY(fill_signer(req, role));
    if (!field_bool(req, "allow_user_certificates") && !field_bool(req, "allow_host_certificates"))
        return refuse(req, "Either 'allow_user_certificates' or 'allow_host_certificates' must be "
                           "set to 'true'");
    json_put_str(role, "key_type", STR("ca"));
    put_fields(req, role, texts, ARRAY_LEN(texts));
    for (size_t i = 0; i < ARRAY_LEN(truths); i++)
        json_put_bool(role, truths[i], field_bool(req, truths[i]));
    TRY(options_given(req, "default_critical_options", &map));
    json_put(role, "default_critical_options", map);
    TRY(options_given(req, "default_extensions", &map));
    json_put(role, "default_extensions", map);
    TRY(fill_lengths(req, role));
    return fill_ttls(req, role);
}

/* Vault answers a list that does not parse with 500, not 400. */
static int check_blocks(struct request *req, const char *field, const char *what)
{
    if (address_check(req, field_str(req, field)) == 0)
        return 0;
    return err_prefix(&req->err, "%s", what);
}

int ssh_roles_write(struct request *req, struct response *resp)
{
    struct json *role = role_blank(req->arena);
    struct str type = field_str(req, "key_type"), name = field_str(req, "role");

    TRY(check_blocks(req, "cidr_list", "failed to validate cidr_list"));
    TRY(check_blocks(req, "exclude_cidr_list", "failed to validate exclude_cidr_list entry"));
    if (type.n == 0)
        return refuse(req, "missing key type");
    if (str_eq_nocase(type, STR("otp")))
        TRY(fill_otp(req, role));
    else if (str_eq_nocase(type, STR("ca")))
        TRY(fill_ca(req, role));
    else
        return refuse(req, "invalid key type"); /* "dynamic" too: see DESIGN.md */
    return role_store(req, name, role) < 0 ? -1 : 1;
}

/* ---- the rest ---- */

int ssh_roles_read(struct request *req, struct response *resp)
{
    struct role role;
    int found = role_load(req, field_str(req, "role"), &role);

    if (found <= 0)
        return found;
    TRY(role_describe(req, &role, response_data(resp)));
    return 1;
}

int ssh_roles_delete(struct request *req, struct response *resp)
{
    struct str name = field_str(req, "role"), key = arena_cat(req->arena, STR("roles/"), name);
    AUTO(keylock_release) struct keyhold hold = { 0 };
    struct storage_op ops[2] = { { .kind = STORAGE_DELETE, .key = key } };

    /* A role made anew under the name must not find itself allowed everywhere. */
    int changed = address_without(req, name, &hold, &ops[1]);
    if (changed < 0)
        return -1;
    TRY(arena_check(req->arena, &req->err));
    return storage_commit(req->storage, ops, 1 + (size_t)changed, &req->err) < 0 ? -1 : 1;
}

int ssh_roles_list(struct request *req, struct response *resp)
{
    struct strs names = { 0 };
    struct strs_collect collect = { req->arena, &names };

    TRY(storage_list(req->storage, STR("roles/"), STR(""), strs_collect_name, &collect, &req->err));
    if (names.n == 0)
        return 0;
    struct json *info = response_object(resp, "key_info");
    for (size_t i = 0; i < names.n; i++) {
        struct role role;
        struct err failure = req->err;
        /* One that does not parse is listed all the same; reading it tells why. */
        if (role_load(req, names.v[i], &role) > 0) {
            struct json *one = json_object(req->arena);
            json_put_str(one, "key_type", role_str(&role, "key_type"));
            json_set(info, names.v[i], one);
        }
        req->err = failure;
    }
    TRY(arena_check(req->arena, &req->err));
    return response_keys(resp, &names);
}
