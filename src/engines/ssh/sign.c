/* Certificates for users' and hosts' keys, as far as the role allows. */
#include "base/random.h"
#include "codec/base64.h"
#include "crypto/digest.h"
#include "crypto/sshcert.h"
#include "engines/ssh/ca.h"
#include "engines/ssh/options.h"
#include "engines/ssh/pubkey.h"
#include "engines/ssh/role.h"
#include "engines/ssh/routes.h"

/* Clocks differ: a certificate counts from a little before it was made. */
enum { BACKDATE_S = 30 };

static int refuse(struct request *req, const char *why)
{
    return err_set(&req->err, ERR_BAD_REQUEST, "%s", why);
}

/* ---- the key ---- */

/* A kind's name in allowed_user_key_lengths; NULL: a security key, which Vault refuses there. */
static const char *length_name(enum sshkey_kind kind)
{
    switch (kind) {
    case SSHKEY_RSA:
        return "rsa";
    case SSHKEY_DSA:
        return "dsa";
    case SSHKEY_ECDSA:
        return "ecdsa";
    case SSHKEY_ED25519:
        return "ed25519";
    case SSHKEY_SK_ECDSA:
    case SSHKEY_SK_ED25519:
        break;
    }
    return NULL;
}

static int check_key(struct request *req, const struct role *role, const struct sshkey *key)
{
    static const char prefix[] = "public_key failed to meet the key requirements";
    const struct json *lengths = json_member(role->json, "allowed_user_key_lengths");
    const char *name = length_name(key->kind);

    if (lengths == NULL || lengths->count == 0)
        return 0;
    if (name == NULL || json_member(lengths, name) == NULL)
        return err_set(&req->err, ERR_BAD_REQUEST, "%s: key type of " STR_FMT " is not allowed",
                       prefix, STR_ARG(name == NULL ? key->type : str_of(name)));
    /* An Ed25519 key has but one length, so any number stands for it. */
    if (key->kind != SSHKEY_ED25519 && json_get_int(lengths, name, -1) != key->bits)
        return err_set(&req->err, ERR_BAD_REQUEST, "%s: key is of an invalid size: %d", prefix,
                       key->bits);
    return 0;
}

/* ---- the key id ---- */

struct substitution {
    struct str name, value;
};

/* One pass over the format, so that a value is never taken for a directive. */
static struct str fill_in(struct request *req, struct str format, const struct substitution *subs,
                          size_t n)
{
    AUTO(buf_free) struct buf out = { 0 };

    while (format.n > 0) {
        size_t i = 0;
        while (i < n && !str_starts(format, subs[i].name))
            i++;
        buf_add(&out, i < n ? subs[i].value : str_head(format, 1));
        format = str_from(format, i < n ? subs[i].name.n : 1);
    }
    return out.failed ? STR("") : arena_dup(req->arena, buf_str(&out));
}

static int set_key_id(struct request *req, const struct role *role, const struct sshkey *key,
                      struct sshcert *cert)
{
    struct str asked = field_str(req, "key_id"), format = role_str(role, "key_id_format");
    uint8_t hash[DIGEST_MAX];

    if (asked.n > 0 && !role_bool(role, "allow_user_key_ids"))
        return refuse(req, "setting key_id is not allowed by role");
    cert->key_id = asked;
    if (asked.n > 0)
        return 0;
    if (format.n == 0)
        format = req->display_name.n == 0 ? STR("vault-{{public_key_hash}}")
                                          : STR("vault-{{token_display_name}}-{{public_key_hash}}");
    TRY(digest_of(DIGEST_SHA256, key->blob, hash, &req->err));
    const struct substitution subs[] = {
        { STR("{{token_display_name}}"), req->display_name },
        { STR("{{role_name}}"), field_str(req, "role") },
        { STR("{{public_key_hash}}"),
          hex_encode(req->arena, str_mem(hash, digest_len(DIGEST_SHA256))) },
    };
    cert->key_id = fill_in(req, format, subs, ARRAY_LEN(subs));
    return arena_check(req->arena, &req->err);
}

/* ---- type and principals ---- */

static int set_type(struct request *req, const struct role *role, struct sshcert *cert)
{
    struct str type = field_str(req, "cert_type");

    cert->host = str_is(type, "host");
    if (!cert->host && !str_is(type, "user"))
        return refuse(req, "cert_type must be either 'user' or 'host'");
    if (!role_bool(role, cert->host ? "allow_host_certificates" : "allow_user_certificates"))
        return err_set(&req->err, ERR_BAD_REQUEST, "cert_type '" STR_FMT "' is not allowed by role",
                       STR_ARG(type));
    return 0;
}

/* Trimmed, sorted, no empty and no repeated ones. */
static struct strs names_of(struct request *req, struct str list)
{
    struct strs names = strs_split(req->arena, list, ',');

    strs_unique(&names);
    strs_sort(&names);
    return names;
}

/* The names that the role allows, those of templates filled in. */
static int allowed_names(struct request *req, const struct role *role, struct str list,
                         struct strs *out)
{
    struct strs names = names_of(req, list);
    bool templates = role_bool(role, "allowed_users_template");

    *out = (struct strs){ 0 };
    for (size_t i = 0; i < names.n; i++) {
        struct str name = names.v[i];
        if (templates && options_is_template(name)) {
            if (req->entity_id.n == 0)
                continue;
            TRY(options_render(req, name, &name));
        }
        strs_add(req->arena, out, name);
    }
    return arena_check(req->arena, &req->err);
}

static bool host_fits(const struct role *role, const struct strs *domains, struct str host)
{
    bool bare = role_bool(role, "allow_bare_domains"), below = role_bool(role, "allow_subdomains");

    for (size_t i = 0; i < domains->n; i++) {
        struct str domain = domains->v[i];
        if (bare && str_eq(host, domain))
            return true;
        if (below && host.n > domain.n && str_ends(host, domain) &&
            host.p[host.n - domain.n - 1] == '.')
            return true;
    }
    return false;
}

static int set_principals(struct request *req, const struct role *role, struct sshcert *cert)
{
    struct str list = role_str(role, cert->host ? "allowed_domains" : "allowed_users");
    struct str asked = field_given(req, "valid_principals") ? field_str(req, "valid_principals")
                       : cert->host                         ? STR("")
                                                            : role_str(role, "default_user");
    struct strs allowed;

    cert->principals = names_of(req, asked);
    TRY(allowed_names(req, role, list, &allowed));
    if (cert->principals.n == 0 || str_is(list, "*"))
        return 0;
    if (allowed.n == 0)
        return refuse(req, "role is not configured to allow any principals");
    for (size_t i = 0; i < cert->principals.n; i++) {
        struct str name = cert->principals.v[i];
        bool fits = cert->host ? host_fits(role, &allowed, name) : strs_has(&allowed, name);
        if (!fits)
            return err_set(&req->err, ERR_BAD_REQUEST,
                           STR_FMT " is not a valid value for valid_principals", STR_ARG(name));
    }
    return 0;
}

/* ---- times ---- */

static int set_times(struct request *req, const struct role *role, struct sshcert *cert)
{
    bool asked = field_given(req, "ttl");
    int64_t ttl, max, now = req->now_ns / 1000000000;

    TRY(role_seconds(req, role, "ttl", &ttl));
    TRY(role_seconds(req, role, "max_ttl", &max));
    if (asked)
        ttl = field_seconds(req, "ttl");
    if (ttl == 0)
        ttl = req->sys->default_ttl_s(req->sys);
    if (max == 0)
        max = req->sys->max_ttl_s(req->sys);
    if (ttl > max && asked)
        return err_set(&req->err, ERR_BAD_REQUEST, "ttl is larger than maximum allowed %lld",
                       (long long)max);
    cert->valid_after = (uint64_t)(now - BACKDATE_S);
    cert->valid_before = (uint64_t)(now + (ttl > max ? max : ttl));
    return 0;
}

/* ---- */

static int describe(struct request *req, const struct role *role, const struct sshkey *key,
                    struct sshcert *cert)
{
    TRY(check_key(req, role, key));
    TRY(set_key_id(req, role, key, cert));
    TRY(set_type(req, role, cert));
    TRY(set_principals(req, role, cert));
    TRY(set_times(req, role, cert));
    TRY(options_critical(req, role, cert));
    return options_extensions(req, role, cert);
}

static int answer(struct request *req, const struct role *role, const struct sshkey *key,
                  const struct sshcert *cert, struct response *resp)
{
    AUTO(pkey_drop) struct pkey *ca = NULL;
    struct str type, blob;

    TRY(ca_load(req, &ca));
    if (sshcert_sign(req->arena, cert, key, ca, role_str(role, "algorithm_signer"), &type, &blob,
                     &req->err) < 0)
        return err_prefix(&req->err, "failed to generate signed SSH key: sign error");
    struct json *data = response_data(resp);
    json_put_str(data, "serial_number",
                 arena_printf(req->arena, "%llx", (unsigned long long)cert->serial));
    json_put_str(data, "signed_key", sshkey_line(req->arena, type, blob));
    TRY(arena_check(req->arena, &req->err));
    return 1;
}

int ssh_sign(struct request *req, struct response *resp)
{
    struct str name = field_str(req, "role"), text = field_str(req, "public_key");
    struct sshcert cert = { 0 };
    struct sshkey key;
    struct role role;

    int found = role_load(req, name, &role);
    if (found < 0)
        return -1;
    if (found == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "Unknown role: " STR_FMT, STR_ARG(name));
    if (text.n == 0)
        return refuse(req, "missing public_key");
    if (pubkey_parse(req, text, &key) < 0)
        return err_prefix(&req->err, "failed to parse public_key as SSH key");
    TRY(describe(req, &role, &key, &cert));
    random_fill(&cert.serial, sizeof cert.serial);
    return answer(req, &role, &key, &cert, resp);
}
