/* Config_listener: one `listener` block of the configuration. */
#ifndef SERVER_CONFIG_LISTENER_H
#define SERVER_CONFIG_LISTENER_H

#include "base/strs.h"

struct config_reader;
struct hcl_block;

/* Strings (items of lists apart) end in a NUL too.  Times are nanoseconds. */

enum config_listener_type { CONFIG_TCP, CONFIG_UNIX };

struct config_listener {
    enum config_listener_type type;
    const char *file; /* where it stands; NULL for text without a name */
    unsigned line;
    struct str address;         /* tcp: "127.0.0.1:8200"; unix: path */
    struct str cluster_address; /* empty: address with the next port */
    struct strs purpose;

    bool tls_disable;
    struct str tls_cert_file, tls_key_file, tls_client_ca_file;
    struct str tls_min_version, tls_max_version; /* "tls10" ... "tls13" */
    struct strs tls_cipher_suites;               /* names as TLS_ECDHE_..., empty: defaults */
    bool tls_prefer_server_cipher_suites;
    bool tls_require_and_verify_client_cert;
    bool tls_disable_client_certs;

    int64_t max_request_size; /* bytes; negative: unlimited */
    int64_t max_request_duration_ns;
    bool require_request_header; /* X-Vault-Request */
    int64_t http_read_timeout_ns, http_read_header_timeout_ns;
    int64_t http_write_timeout_ns; /* 0: none */
    int64_t http_idle_timeout_ns;

    struct str proxy_protocol_behavior; /* empty, use_always, allow_authorized, deny_unauthorized */
    struct strs proxy_protocol_authorized_addrs;  /* IP, IP/bits or IP:port */
    struct strs x_forwarded_for_authorized_addrs; /* empty: the header is not looked at */
    int64_t x_forwarded_for_hop_skips;
    bool x_forwarded_for_reject_not_present; /* false unless told, in spite of Vault's docs */
    bool x_forwarded_for_reject_not_authorized;

    struct str socket_mode; /* octal digits */
    struct str socket_user, socket_group;

    bool unauthenticated_metrics_access, unauthenticated_pprof_access;
    bool cors_enabled;
    struct strs cors_allowed_origins, cors_allowed_headers;
};

/*
 * Read and judge a block.  A max_request_duration that is not given stays 0.
 * -1: ERR_BAD_REQUEST with file, line and what was expected.
 */
int config_listener_read(const struct config_reader *r, const struct hcl_block *block,
                         struct config_listener *out) MUST_USE;

#endif
