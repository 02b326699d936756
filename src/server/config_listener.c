/* Listener blocks: their keys, and which values make sense. */
#include "server/config_listener.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "server/config_table.h"

#define SECOND_NS ((int64_t)1000000000)

#define AT(field) offsetof(struct config_listener, field)

static const struct config_key keys[] = {
    { "type", CONFIG_ELSEWHERE, 0, 0 },
    { "address", CONFIG_STR, AT(address), 0 },
    { "cluster_address", CONFIG_STR, AT(cluster_address), 0 },
    { "purpose", CONFIG_STRS, AT(purpose), 0 },
    { "tls_disable", CONFIG_BOOL, AT(tls_disable), 0 },
    { "tls_cert_file", CONFIG_STR, AT(tls_cert_file), 0 },
    { "tls_key_file", CONFIG_STR, AT(tls_key_file), 0 },
    { "tls_client_ca_file", CONFIG_STR, AT(tls_client_ca_file), 0 },
    { "tls_min_version", CONFIG_STR, AT(tls_min_version), 0 },
    { "tls_max_version", CONFIG_STR, AT(tls_max_version), 0 },
    { "tls_cipher_suites", CONFIG_STRS, AT(tls_cipher_suites), 0 },
    { "tls_prefer_server_cipher_suites", CONFIG_BOOL, AT(tls_prefer_server_cipher_suites), 0 },
    { "tls_require_and_verify_client_cert", CONFIG_BOOL, AT(tls_require_and_verify_client_cert),
      0 },
    { "tls_disable_client_certs", CONFIG_BOOL, AT(tls_disable_client_certs), 0 },
    { "max_request_size", CONFIG_INT, AT(max_request_size), 0 },
    { "max_request_duration", CONFIG_DURATION, AT(max_request_duration_ns), 0 },
    { "require_request_header", CONFIG_BOOL, AT(require_request_header), 0 },
    { "http_read_timeout", CONFIG_DURATION, AT(http_read_timeout_ns), 0 },
    { "http_read_header_timeout", CONFIG_DURATION, AT(http_read_header_timeout_ns), 0 },
    { "http_write_timeout", CONFIG_DURATION, AT(http_write_timeout_ns), 0 },
    { "http_idle_timeout", CONFIG_DURATION, AT(http_idle_timeout_ns), 0 },
    { "proxy_protocol_behavior", CONFIG_STR, AT(proxy_protocol_behavior), 0 },
    { "proxy_protocol_authorized_addrs", CONFIG_STRS, AT(proxy_protocol_authorized_addrs), 0 },
    { "x_forwarded_for_authorized_addrs", CONFIG_STRS, AT(x_forwarded_for_authorized_addrs), 0 },
    { "x_forwarded_for_hop_skips", CONFIG_INT, AT(x_forwarded_for_hop_skips), 0 },
    { "x_forwarded_for_reject_not_present", CONFIG_BOOL, AT(x_forwarded_for_reject_not_present),
      0 },
    { "x_forwarded_for_reject_not_authorized", CONFIG_BOOL,
      AT(x_forwarded_for_reject_not_authorized), 0 },
    { "socket_mode", CONFIG_STR, AT(socket_mode), 0 },
    { "socket_user", CONFIG_STR, AT(socket_user), 0 },
    { "socket_group", CONFIG_STR, AT(socket_group), 0 },
    { "cors_enabled", CONFIG_BOOL, AT(cors_enabled), 0 },
    { "cors_allowed_origins", CONFIG_STRS, AT(cors_allowed_origins), 0 },
    { "cors_allowed_headers", CONFIG_STRS, AT(cors_allowed_headers), 0 },
    { "telemetry", CONFIG_ELSEWHERE, 0, 0 },
    { "profiling", CONFIG_ELSEWHERE, 0, 0 },
};

static const struct config_key telemetry_keys[] = {
    { "unauthenticated_metrics_access", CONFIG_BOOL, AT(unauthenticated_metrics_access), 0 },
};

static const struct config_key profiling_keys[] = {
    { "unauthenticated_pprof_access", CONFIG_BOOL, AT(unauthenticated_pprof_access), 0 },
};

static const char *const tls_versions[] = { "tls10", "tls11", "tls12", "tls13" };

static const char *const cipher_suites[] = {
    "TLS_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
};

/* A listener being judged: where each key stands is needed for messages. */
struct judge {
    const struct config_reader *r;
    const struct hcl_block *block;
    struct config_listener *l;
};

/* The place of a key's value, else of the block. */
static struct hcl_pos pos_of(const struct judge *j, const char *key)
{
    const struct hcl *v = hcl_get(j->block->value, str_of(key));
    return v == NULL ? j->block->key.pos : v->pos;
}

static bool is_one_of(struct str s, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_is(s, names[i]))
            return true;
    return false;
}

static int check_tls_version(const struct judge *j, const char *key, struct str version)
{
    if (version.n == 0 || is_one_of(version, tls_versions, ARRAY_LEN(tls_versions)))
        return 0;
    return hcl_pos_error(j->r->err, pos_of(j, key),
                         "%s: tls10, tls11, tls12 or tls13 expected, got \"" STR_FMT "\"", key,
                         STR_ARG(version));
}

static int check_tls(const struct judge *j)
{
    const struct config_listener *l = j->l;
    TRY(check_tls_version(j, "tls_min_version", l->tls_min_version));
    TRY(check_tls_version(j, "tls_max_version", l->tls_max_version));
    if (l->tls_min_version.n > 0 && l->tls_max_version.n > 0 &&
        str_cmp(l->tls_max_version, l->tls_min_version) < 0)
        return hcl_pos_error(j->r->err, pos_of(j, "tls_max_version"),
                             "tls_max_version: not less than tls_min_version expected");
    for (size_t i = 0; i < l->tls_cipher_suites.n; i++)
        if (!is_one_of(l->tls_cipher_suites.v[i], cipher_suites, ARRAY_LEN(cipher_suites)))
            return hcl_pos_error(
                j->r->err, pos_of(j, "tls_cipher_suites"),
                "tls_cipher_suites: name of a cipher suite expected, got \"" STR_FMT "\"",
                STR_ARG(l->tls_cipher_suites.v[i]));
    if (l->type == CONFIG_UNIX || l->tls_disable)
        return 0;
    if (l->tls_cert_file.n == 0 || l->tls_key_file.n == 0)
        return hcl_pos_error(j->r->err, j->block->key.pos,
                             "listener \"tcp\": tls_cert_file and "
                             "tls_key_file expected, or tls_disable = true");
    if (l->tls_require_and_verify_client_cert && l->tls_disable_client_certs)
        return hcl_pos_error(j->r->err, pos_of(j, "tls_disable_client_certs"),
                             "tls_disable_client_certs: not together with "
                             "tls_require_and_verify_client_cert expected");
    return 0;
}

/* IP, IP/bits, IP:port or [IP]:port. */
static bool is_address(struct arena *a, struct str s)
{
    unsigned char raw[16];
    int64_t bits;
    ptrdiff_t slash = str_find_byte(s, '/');
    ptrdiff_t colon = str_rfind_byte(s, ':');
    struct str ip = slash >= 0 ? str_head(s, (size_t)slash) : s;
    if (slash < 0 && colon >= 0 && str_find_byte(s, ':') == colon)
        ip = str_head(s, (size_t)colon);
    if (slash < 0 && str_starts(s, STR("[")) && str_find(s, STR("]")) > 0)
        ip = str_from(str_head(s, (size_t)str_find(s, STR("]"))), 1);
    const char *z = arena_cstr(a, ip);
    int width = z == NULL                          ? 0
                : inet_pton(AF_INET, z, raw) == 1  ? 32
                : inet_pton(AF_INET6, z, raw) == 1 ? 128
                                                   : 0;
    if (slash < 0)
        return width > 0;
    return str_to_i64(str_from(s, (size_t)slash + 1), &bits) && bits >= 0 && bits <= width &&
           width > 0;
}

static int check_addresses(const struct judge *j, const char *key, const struct strs *list)
{
    for (size_t i = 0; i < list->n; i++)
        if (!is_address(j->r->arena, list->v[i]))
            return hcl_pos_error(j->r->err, pos_of(j, key),
                                 "%s: IP address or CIDR block expected, "
                                 "got \"" STR_FMT "\"",
                                 key, STR_ARG(list->v[i]));
    return 0;
}

static int check_proxies(const struct judge *j)
{
    static const char *const behaviors[] = { "", "use_always", "allow_authorized",
                                             "deny_unauthorized" };
    const struct config_listener *l = j->l;
    TRY(check_addresses(j, "proxy_protocol_authorized_addrs", &l->proxy_protocol_authorized_addrs));
    TRY(check_addresses(j, "x_forwarded_for_authorized_addrs",
                        &l->x_forwarded_for_authorized_addrs));
    if (!is_one_of(l->proxy_protocol_behavior, behaviors, ARRAY_LEN(behaviors)))
        return hcl_pos_error(j->r->err, pos_of(j, "proxy_protocol_behavior"),
                             "proxy_protocol_behavior: use_always, allow_authorized or "
                             "deny_unauthorized expected, got \"" STR_FMT "\"",
                             STR_ARG(l->proxy_protocol_behavior));
    if (l->proxy_protocol_behavior.n > 0 && !str_is(l->proxy_protocol_behavior, "use_always") &&
        l->proxy_protocol_authorized_addrs.n == 0)
        return hcl_pos_error(
            j->r->err, pos_of(j, "proxy_protocol_behavior"),
            "proxy_protocol_behavior set to allow or deny only authorized addresses "
            "but no proxy_protocol_authorized_addrs value");
    if (l->x_forwarded_for_hop_skips < 0)
        return hcl_pos_error(j->r->err, pos_of(j, "x_forwarded_for_hop_skips"),
                             "x_forwarded_for_hop_skips cannot be negative but set to %lld",
                             (long long)l->x_forwarded_for_hop_skips);
    return 0;
}

static int check_socket(const struct judge *j)
{
    struct str mode = j->l->socket_mode;
    bool octal = mode.n <= 5;
    for (size_t i = 0; i < mode.n; i++)
        octal = octal && mode.p[i] >= '0' && mode.p[i] <= '7';
    if (!octal)
        return hcl_pos_error(j->r->err, pos_of(j, "socket_mode"),
                             "socket_mode: octal digits expected, got \"" STR_FMT "\"",
                             STR_ARG(mode));
    if (j->l->type == CONFIG_UNIX && j->l->address.n == 0)
        return hcl_pos_error(j->r->err, j->block->key.pos,
                             "listener \"unix\": address (path of the socket) expected");
    return 0;
}

static int check_cors(const struct judge *j)
{
    if (j->l->cors_allowed_origins.n > 1 && strs_has(&j->l->cors_allowed_origins, STR("*")))
        return hcl_pos_error(
            j->r->err, pos_of(j, "cors_allowed_origins"),
            "cors_allowed_origins must only contain a wildcard or only non-wildcard "
            "values");
    return 0;
}

static int read_type(const struct judge *j)
{
    const struct hcl *given = hcl_get(j->block->value, STR("type"));
    struct str type = j->block->n_labels > 0 ? j->block->labels[0].text : STR("");
    if (given != NULL && given->type == HCL_STRING && given->text.n > 0)
        type = given->text;
    if (type.n == 0)
        return hcl_pos_error(j->r->err, j->block->key.pos, "listener type must be specified");
    if (!str_eq_nocase(type, STR("tcp")) && !str_eq_nocase(type, STR("unix")))
        return hcl_pos_error(j->r->err, j->block->key.pos,
                             "unsupported listener type \"" STR_FMT "\"", STR_ARG(type));
    j->l->type = str_eq_nocase(type, STR("tcp")) ? CONFIG_TCP : CONFIG_UNIX;
    return 0;
}

static int read_inner(const struct judge *j, const char *name, const struct config_key *inner,
                      size_t n)
{
    const struct hcl_block *b = hcl_blocks(j->r->arena, j->block->value, str_of(name), 0);
    for (; b != NULL; b = b->next) {
        if (b->value->type != HCL_OBJECT)
            return hcl_pos_error(j->r->err, b->value->pos, "%s: block expected, got %s", name,
                                 hcl_type_name(b->value->type));
        TRY(config_table_read(j->r, b->value, inner, n, j->l));
    }
    return 0;
}

/* As Vault, a time of 0 is the same as none given. */
static void fill_defaults(struct config_listener *l)
{
    if (l->type == CONFIG_TCP && l->address.n == 0)
        l->address = STR("127.0.0.1:8200");
    if (l->tls_min_version.n == 0)
        l->tls_min_version = STR("tls12");
    if (l->tls_max_version.n == 0)
        l->tls_max_version = STR("tls13");
    if (l->max_request_size == 0)
        l->max_request_size = 32 << 20;
    if (l->http_read_timeout_ns == 0)
        l->http_read_timeout_ns = 30 * SECOND_NS;
    if (l->http_read_header_timeout_ns == 0)
        l->http_read_header_timeout_ns = 10 * SECOND_NS;
    if (l->http_idle_timeout_ns == 0)
        l->http_idle_timeout_ns = 300 * SECOND_NS;
}

int config_listener_read(const struct config_reader *r, const struct hcl_block *block,
                         struct config_listener *out)
{
    const struct judge j = { r, block, out };
    *out = (struct config_listener){ .file = block->key.pos.file, .line = block->key.pos.line };
    if (block->value->type != HCL_OBJECT)
        return hcl_pos_error(r->err, block->value->pos, "listener: block expected, got %s",
                             hcl_type_name(block->value->type));
    TRY(read_type(&j));
    TRY(config_table_read(r, block->value, keys, ARRAY_LEN(keys), out));
    TRY(read_inner(&j, "telemetry", telemetry_keys, ARRAY_LEN(telemetry_keys)));
    TRY(read_inner(&j, "profiling", profiling_keys, ARRAY_LEN(profiling_keys)));
    TRY(check_tls(&j));
    TRY(check_proxies(&j));
    TRY(check_socket(&j));
    TRY(check_cors(&j));
    fill_defaults(out);
    return 0;
}
