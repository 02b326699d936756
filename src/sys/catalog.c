/* sys/plugins/catalog: the names that Vault 1.8 has built in.  This program loads no plugins. */
#include "sys/system.h"

/*
 * Clients read these lists to learn which names are spoken for; enabling one that this program
 * does not have is refused by core/mounts.c.
 */
static const char *const secret_names[] = {
    "ad",     "alicloud", "aws",          "azure", "cassandra", "consul",     "gcp",  "gcpkms",
    "kv",     "mongodb",  "mongodbatlas", "mssql", "mysql",     "nomad",      "openldap", "pki",
    "postgresql", "rabbitmq", "ssh",      "terraform", "totp",  "transit",
};
static const char *const auth_names[] = {
    "alicloud", "app-id", "approle", "aws",      "azure",      "centrify", "cert",
    "cf",       "gcp",    "github",  "jwt",      "kerberos",   "kubernetes", "ldap",
    "oci",      "oidc",   "okta",    "pcf",      "radius",     "userpass",
};

struct names {
    const char *const *v;
    size_t n;
};

static struct names names_of(const struct request *req)
{
    struct str kind = field_str(req, "type");
    if (str_is(kind, "secret"))
        return (struct names){ secret_names, ARRAY_LEN(secret_names) };
    if (str_is(kind, "auth"))
        return (struct names){ auth_names, ARRAY_LEN(auth_names) };
    return (struct names){ NULL, 0 };
}

int catalog_read(struct request *req, struct response *resp)
{
    struct names names = names_of(req);
    struct str name = field_str(req, "name");
    size_t i = 0;
    while (i < names.n && !str_is(name, names.v[i]))
        i++;
    if (i == names.n)
        return 0;
    struct json *data = response_data(resp);
    json_put_null(data, "args");
    json_put_bool(data, "builtin", true);
    json_put_text(data, "command", "");
    json_put_str(data, "name", name);
    json_put_text(data, "sha256", "");
    return 1;
}

int catalog_list(struct request *req, struct response *resp)
{
    struct names names = names_of(req);
    struct strs keys = { 0 };
    for (size_t i = 0; i < names.n; i++)
        strs_add(req->arena, &keys, str_of(names.v[i]));
    return response_keys(resp, &keys);
}
