/* Roles to and from their stored form. */
#include "engines/ssh/role.h"

#include "codec/timefmt.h"
#include "engines/ssh/store.h"

enum { NS_PER_S = 1000000000 };

enum in { IN_OTP = 1, IN_CA = 2, IN_DYNAMIC = 4 };

/* In the order of the stored form; and in which types' answers each is shown. */
static const struct { const char *name; enum json_type type; unsigned shown; } members[] = {
    { "key_type", JSON_STRING, IN_OTP | IN_CA | IN_DYNAMIC },
    { "key", JSON_STRING, IN_DYNAMIC },
    { "key_bits", JSON_NUMBER, IN_CA | IN_DYNAMIC },
    { "admin_user", JSON_STRING, IN_DYNAMIC },
    { "default_user", JSON_STRING, IN_OTP | IN_CA | IN_DYNAMIC },
    { "cidr_list", JSON_STRING, IN_OTP | IN_DYNAMIC },
    { "exclude_cidr_list", JSON_STRING, IN_OTP | IN_DYNAMIC },
    { "port", JSON_NUMBER, IN_OTP | IN_DYNAMIC },
    { "install_script", JSON_STRING, IN_DYNAMIC },
    { "allowed_users", JSON_STRING, IN_OTP | IN_CA | IN_DYNAMIC },
    { "allowed_users_template", JSON_BOOL, IN_CA },
    { "allowed_domains", JSON_STRING, IN_CA },
    { "key_option_specs", JSON_STRING, IN_DYNAMIC },
    { "max_ttl", JSON_STRING, IN_CA },
    { "ttl", JSON_STRING, IN_CA },
    { "default_critical_options", JSON_OBJECT, IN_CA },
    { "default_extensions", JSON_OBJECT, IN_CA },
    { "default_extensions_template", JSON_BOOL, IN_CA },
    { "allowed_critical_options", JSON_STRING, IN_CA },
    { "allowed_extensions", JSON_STRING, IN_CA },
    { "allow_user_certificates", JSON_BOOL, IN_CA },
    { "allow_host_certificates", JSON_BOOL, IN_CA },
    { "allow_bare_domains", JSON_BOOL, IN_CA },
    { "allow_subdomains", JSON_BOOL, IN_CA },
    { "allow_user_key_ids", JSON_BOOL, IN_CA },
    { "key_id_format", JSON_STRING, IN_CA },
    { "allowed_user_key_lengths", JSON_OBJECT, IN_CA },
    { "algorithm_signer", JSON_STRING, IN_CA },
};

static struct json *zero_of(struct arena *a, enum json_type type)
{
    switch (type) {
    case JSON_BOOL:
        return json_bool(a, false);
    case JSON_NUMBER:
        return json_int(a, 0);
    case JSON_STRING:
        return json_str(a, STR(""));
    case JSON_NULL:
    case JSON_ARRAY:
    case JSON_OBJECT:
    case JSON_RAW:
        break;
    }
    return json_null(a); /* a map that was never made */
}

struct json *role_blank(struct arena *a)
{
    struct json *o = json_object(a);

    if (o != NULL)
        o->keep_order = true;
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        json_put(o, members[i].name, zero_of(a, members[i].type));
    return o;
}

static int type_of(struct request *req, const struct json *o, enum role_type *out)
{
    static const struct { const char *name; enum role_type type; } types[] = {
        { "otp", ROLE_OTP }, { "ca", ROLE_CA }, { "dynamic", ROLE_DYNAMIC },
    };
    struct str name = json_get_str(o, "key_type");

    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (str_is(name, types[i].name)) {
            *out = types[i].type;
            return 0;
        }
    }
    return err_set(&req->err, ERR_CORRUPT, "invalid key type: " STR_FMT, STR_ARG(name));
}

int role_load(struct request *req, struct str name, struct role *out)
{
    struct json *stored;
    int found = name.n == 0 ? 0 : ssh_store_get(req, STR("roles/"), name, &stored);
    if (found <= 0)
        return found;

    /* Older stored forms lack the newer members. */
    out->json = role_blank(req->arena);
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        struct json *v = json_remove(stored, str_of(members[i].name));
        if (json_is(v, members[i].type))
            json_put(out->json, members[i].name, v);
    }
    TRY(arena_check(req->arena, &req->err));
    TRY(type_of(req, out->json, &out->type));
    return 1;
}

int role_store(struct request *req, struct str name, const struct json *role)
{
    struct str key = arena_cat(req->arena, STR("roles/"), name);
    struct str text = ssh_store_text(req->arena, role);

    TRY(arena_check(req->arena, &req->err));
    return storage_put(req->storage, key, text, &req->err);
}

struct str role_str(const struct role *r, const char *member)
{
    return json_get_str(r->json, member);
}

bool role_bool(const struct role *r, const char *member)
{
    return json_get_bool(r->json, member, false);
}

int role_seconds(struct request *req, const struct role *r, const char *member, int64_t *out)
{
    int64_t ns;

    if (duration_parse(role_str(r, member), true, &ns, &req->err) < 0)
        return err_set(&req->err, ERR_CORRUPT, "stored %s of the role does not parse", member);
    *out = ns / NS_PER_S;
    return 0;
}

int role_describe(struct request *req, const struct role *r, struct json *out)
{
    static const unsigned shown_in[] = {
        [ROLE_OTP] = IN_OTP, [ROLE_CA] = IN_CA, [ROLE_DYNAMIC] = IN_DYNAMIC,
    };
    int64_t seconds;

    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        if ((members[i].shown & shown_in[r->type]) != 0)
            json_put(out, members[i].name,
                     json_copy(req->arena, json_member(r->json, members[i].name)));
    if (r->type == ROLE_CA) {
        TRY(role_seconds(req, r, "ttl", &seconds));
        json_put_int(out, "ttl", seconds);
        TRY(role_seconds(req, r, "max_ttl", &seconds));
        json_put_int(out, "max_ttl", seconds);
    }
    return arena_check(req->arena, &req->err);
}
