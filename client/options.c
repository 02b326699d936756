/* Options: what a client is told to do, by default and by the environment. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"
#include "coffer.h"

void coffer_options_init(struct coffer_options *options)
{
    *options = (struct coffer_options){ .max_retries = 2 };
}

/* The value of a variable that is set to more than nothing, else NULL. */
static const char *variable(const char *name)
{
    const char *v = getenv(name);
    return v != NULL && v[0] != '\0' ? v : NULL;
}

static void take(const char **to, const char *name)
{
    const char *v = variable(name);
    if (v != NULL)
        *to = v;
}

static int bad(struct coffer_error *error, const char *name)
{
    error->failure = COFFER_BAD_OPTIONS;
    snprintf(error->text, sizeof error->text, "failed to read environment: could not parse %s",
             name);
    return -1;
}

static int take_bool(bool *to, const char *name, struct coffer_error *error)
{
    static const char *const yes[] = { "1", "t", "T", "TRUE", "true", "True" };
    static const char *const no[] = { "0", "f", "F", "FALSE", "false", "False" };
    const char *v = variable(name);
    if (v == NULL)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (strcmp(v, yes[i]) == 0 || strcmp(v, no[i]) == 0) {
            *to = strcmp(v, yes[i]) == 0;
            return 0;
        }
    }
    return bad(error, name);
}

/* "60", "1m30s", "500ms" in milliseconds. */
static int take_timeout(int64_t *to_ms, const char *name, struct coffer_error *error)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = { { "ns", 1e-6 }, { "us", 1e-3 }, { "ms", 1 }, { "s", 1000 }, { "m", 60000 },
                  { "h", 3600000 } };
    const char *v = variable(name);
    double total = 0;
    if (v == NULL)
        return 0;
    while (*v != '\0') {
        char *end;
        if (!isdigit((unsigned char)*v))
            return bad(error, name);
        double n = strtod(v, &end), scale = *end == '\0' ? 1000 : 0;
        size_t unit_len = 0;
        for (size_t i = 0; i < ARRAY_LEN(units); i++) {
            size_t len = strlen(units[i].unit);
            if (strncmp(end, units[i].unit, len) == 0 && len > unit_len) {
                scale = units[i].ms;
                unit_len = len;
            }
        }
        if (scale == 0)
            return bad(error, name);
        total += n * scale;
        v = end + unit_len;
    }
    if (total > 1e12)
        return bad(error, name);
    if (total > 0)
        *to_ms = (int64_t)(total < 1 ? 1 : total);
    return 0;
}

/* "10" or "10:50": requests per second and burst. */
static int take_rate(struct coffer_options *o, struct coffer_error *error)
{
    const char *v = variable("VAULT_RATE_LIMIT");
    if (v == NULL)
        return 0;
    char *end;
    double rate = strtod(v, &end);
    uint64_t burst = rate > 0 && rate < 1e9 ? (uint64_t)rate : 0;
    if (end == v || rate < 0 || (*end != '\0' && *end != ':') ||
        (*end == ':' && !str_to_u64(str_of(end + 1), &burst)) || burst > UINT32_MAX)
        return bad(error, "VAULT_RATE_LIMIT");
    o->rate = rate;
    o->burst = (unsigned)burst;
    return 0;
}

static int take_retries(struct coffer_options *o, struct coffer_error *error)
{
    const char *v = variable("VAULT_MAX_RETRIES");
    uint64_t n;
    if (v == NULL)
        return 0;
    if (!str_to_u64(str_of(v), &n) || n > UINT32_MAX)
        return bad(error, "VAULT_MAX_RETRIES");
    o->max_retries = (unsigned)n;
    return 0;
}

int coffer_options_from_environment(struct coffer_options *options, struct coffer_error *error)
{
    struct coffer_options o = *options;
    take(&o.address, "VAULT_ADDR");
    take(&o.address, "VAULT_AGENT_ADDR");
    take(&o.token, "VAULT_TOKEN");
    take(&o.name_space, "VAULT_NAMESPACE");
    take(&o.wrap_ttl, "VAULT_WRAP_TTL");
    take(&o.ca_cert, "VAULT_CACERT");
    take(&o.ca_path, "VAULT_CAPATH");
    take(&o.client_cert, "VAULT_CLIENT_CERT");
    take(&o.client_key, "VAULT_CLIENT_KEY");
    take(&o.tls_server_name, "VAULT_TLS_SERVER_NAME");
    const char *skip = variable("VAULT_SKIP_VERIFY") != NULL ? "VAULT_SKIP_VERIFY"
                                                             : "VAULT_INSECURE";
    if (take_bool(&o.tls_skip_verify, skip, error) < 0 ||
        take_bool(&o.srv_lookup, "VAULT_SRV_LOOKUP", error) < 0 ||
        take_timeout(&o.timeout_ms, "VAULT_CLIENT_TIMEOUT", error) < 0 ||
        take_retries(&o, error) < 0 || take_rate(&o, error) < 0)
        return -1;
    *options = o;
    return 0;
}
