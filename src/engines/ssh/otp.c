/* One-time passwords: made for a user at an address, good for one verification. */
#include "base/random.h"
#include "codec/base64.h"
#include "crypto/digest.h"
#include "engines/ssh/address.h"
#include "engines/ssh/role.h"
#include "engines/ssh/routes.h"
#include "engines/ssh/store.h"

static int refuse(struct request *req, const char *why)
{
    return err_set(&req->err, ERR_BAD_REQUEST, "%s", why);
}

/* ---- where a password is stored: by its hash with the mount's salt ---- */

static const struct str salt_key = STR_INIT("salt");

/* The first password of a mount makes its salt. */
static int salt_make(struct request *req, struct buf *salt)
{
    AUTO(keylock_release) struct keyhold hold = { 0 };
    char uuid[37];

    TRY(ssh_store_hold(req, salt_key, &hold));
    int found = storage_get(req->storage, salt_key, salt, &req->err);
    if (found != 0)
        return found < 0 ? -1 : 0;
    random_uuid(uuid);
    TRY(storage_put(req->storage, salt_key, str_of(uuid), &req->err));
    buf_add(salt, str_of(uuid));
    return buf_check(salt, &req->err);
}

/* 1: ${key} is "otp/<hash>"; 0: there is no salt, so no password either; -1. */
static int otp_key(struct request *req, struct str otp, bool make, struct str *key)
{
    AUTO(buf_free) struct buf salted = { 0 };
    uint8_t hash[DIGEST_MAX];

    int found = storage_get(req->storage, salt_key, &salted, &req->err);
    if (found < 0 || (found == 0 && !make))
        return found;
    if (found == 0)
        TRY(salt_make(req, &salted));
    buf_add(&salted, otp);
    TRY(buf_check(&salted, &req->err));
    TRY(digest_of(DIGEST_SHA256, buf_str(&salted), hash, &req->err));
    *key = arena_cat(req->arena, STR("otp/"),
                     hex_encode(req->arena, str_mem(hash, digest_len(DIGEST_SHA256))));
    TRY(arena_check(req->arena, &req->err));
    return 1;
}

/* ---- creds ---- */

static bool user_listed(struct str allowed, struct str user)
{
    struct str item;

    if (str_is(allowed, "*"))
        return true;
    while (str_next(&allowed, ',', &item))
        if (str_eq(str_trim(item), user))
            return true;
    return false;
}

static int choose_user(struct request *req, const struct role *role, struct str *out)
{
    struct str asked = field_str(req, "username"), usual = role_str(role, "default_user");
    struct str allowed = role_str(role, "allowed_users");

    if (asked.n == 0 && usual.n == 0)
        return refuse(req, "No default username registered. Use 'username' option");
    *out = asked.n == 0 ? usual : asked;
    if (str_eq(*out, usual))
        return 0;
    if (allowed.n == 0)
        return refuse(req, "Username has to be either in allowed users list or has to be a default "
                           "username");
    if (!user_listed(allowed, *out))
        return refuse(req, "Username is not present is allowed users list");
    return 0;
}

/* Make a password and store what it is for. */
static int otp_make(struct request *req, struct str role_name, struct str user, struct str ip,
                    struct str *otp)
{
    struct json *entry = json_object(req->arena);
    char uuid[37];
    struct str key;

    random_uuid(uuid);
    *otp = arena_dup(req->arena, str_of(uuid));
    explicit_bzero(uuid, sizeof uuid);
    if (entry != NULL)
        entry->keep_order = true;
    json_put_str(entry, "username", user);
    json_put_str(entry, "ip", ip);
    json_put_str(entry, "role_name", role_name);
    struct str text = ssh_store_text(req->arena, entry);
    TRY(otp_key(req, *otp, true, &key));
    return storage_put(req->storage, key, text, &req->err);
}

static int answer(struct request *req, const struct role *role, struct str otp, struct str user,
                  struct str ip, struct response *resp)
{
    struct json *data = response_data(resp);
    struct lease_terms *lease = arena_alloc(req->arena, sizeof *lease);

    json_put_str(data, "key_type", role_str(role, "key_type"));
    json_put_str(data, "key", otp);
    json_put_str(data, "username", user);
    json_put_str(data, "ip", ip);
    json_put_int(data, "port", json_get_int(role->json, "port", 0));
    TRY(arena_check(req->arena, &req->err));
    *lease = (struct lease_terms){
        .leased = true,
        .kind = "secret_otp_type",
        .internal_data = json_object(req->arena),
    };
    json_put_str(lease->internal_data, "otp", otp);
    TRY(arena_check(req->arena, &req->err));
    resp->lease = lease;
    return 1;
}

/* Only after the role's other rules, as Vault: the first that is broken is the one told. */
static int check_type(struct request *req, const struct role *role)
{
    switch (role->type) {
    case ROLE_OTP:
        return 0;
    case ROLE_CA:
        return err_set(&req->err, ERR_INTERNAL, "key type unknown");
    case ROLE_DYNAMIC:
        break;
    }
    return refuse(req, "dynamic keys are not issued any more; "
                       "use a role of key type 'otp' or 'ca'");
}

int ssh_otp_creds(struct request *req, struct response *resp)
{
    struct str name = field_str(req, "role"), asked = field_str(req, "ip"), user, ip, otp;
    struct role role;

    if (asked.n == 0)
        return refuse(req, "Missing ip");
    int found = role_load(req, name, &role);
    if (found < 0)
        return err_prefix(&req->err, "error retrieving role");
    if (found == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "Role \"" STR_FMT "\" not found", STR_ARG(name));
    TRY(choose_user(req, &role, &user));
    if (!address_parse(req->arena, asked, &ip)) {
        struct str shown = ssh_store_quoted(req, asked);
        return err_set(&req->err, ERR_BAD_REQUEST, "Invalid IP " STR_FMT, STR_ARG(shown));
    }
    TRY(address_allowed(req, name, &role, ip));
    TRY(check_type(req, &role));
    TRY(otp_make(req, name, user, ip, &otp));
    return answer(req, &role, otp, user, ip, resp);
}

/* ---- verify ---- */

/* Take the password's entry out of the store; of two that come at once, one gets it. */
static int otp_use(struct request *req, struct str key, struct json **entry)
{
    AUTO(keylock_release) struct keyhold hold = { 0 };

    TRY(ssh_store_hold(req, key, &hold));
    int found = ssh_store_get(req, STR(""), key, entry);
    if (found <= 0)
        return found;
    TRY(storage_delete(req->storage, key, &req->err));
    return 1;
}

int ssh_otp_verify(struct request *req, struct response *resp)
{
    struct str otp = field_str(req, "otp"), key;
    struct json *entry = NULL, *data;

    /* Helpers on hosts ask this to see whether the server is there. */
    if (str_is(otp, "verify-echo-request")) {
        json_put_str(response_data(resp), "message", STR("verify-echo-response"));
        return 1;
    }
    int found = otp_key(req, otp, false, &key);
    if (found > 0)
        found = otp_use(req, key, &entry);
    if (found < 0)
        return -1;
    if (found == 0)
        return refuse(req, "OTP not found");
    data = response_data(resp);
    json_put_str(data, "username", json_get_str(entry, "username"));
    json_put_str(data, "ip", json_get_str(entry, "ip"));
    json_put_str(data, "role_name", json_get_str(entry, "role_name"));
    return 1;
}

/* ---- the end of a lease ---- */

int ssh_otp_revoke(struct request *req, struct response *resp)
{
    struct str otp = json_get_str(req->lease_data, "otp"), key;

    if (otp.n == 0)
        return err_set(&req->err, ERR_INTERNAL, "secret is missing internal data");
    int found = otp_key(req, otp, false, &key);
    if (found < 0)
        return -1;
    if (found > 0)
        TRY(storage_delete(req->storage, key, &req->err));
    return 1;
}
