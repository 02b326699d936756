/* Config: what the server's configuration files and environment say, as one plain struct. */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include "base/log.h"
#include "base/strs.h"
#include "server/config_listener.h"
#include "storage/driver.h"

/* Strings (items of lists apart) end in a NUL too.  Times are nanoseconds. */

struct config_storage {
    struct str type; /* lowered; empty: there is no such stanza */
    /* Values that are no strings are JSON text; blocks of one name are a list of objects. */
    struct storage_option *options;
    size_t n_options;
    struct str redirect_addr, cluster_addr;
    bool disable_clustering;
};

struct config_seal {
    struct str type;
    bool disabled;
    struct strs purpose;
    struct storage_option *options;
    size_t n_options;
};

struct config_telemetry {
    bool set; /* there is a stanza; the fields have their defaults even without one */
    struct str statsite_address, statsd_address, dogstatsd_addr;
    struct strs dogstatsd_tags;
    bool disable_hostname, enable_hostname_label;
    struct str metrics_prefix;
    int64_t usage_gauge_period_ns; /* 0: none */
    int64_t maximum_gauge_cardinality;
    int64_t prometheus_retention_time_ns; /* 0: no Prometheus format */
    int64_t lease_metrics_epsilon_ns, num_lease_metrics_buckets;
    bool add_lease_metrics_namespace_labels;
    bool filter_default;
    struct strs prefix_filter; /* "+name" and "-name" */
};

/* Immutable after config_finish; any thread.  Owns all it points to. */
struct config {
    struct arena *arena;
    struct strs warnings; /* texts for the log: unknown keys and such, with file and line */

    struct config_listener *listeners;
    size_t n_listeners;
    struct config_storage storage, ha_storage;
    struct config_storage service_registration;
    struct config_seal *seals;
    size_t n_seals;
    struct config_telemetry telemetry;

    struct str api_addr, cluster_addr, cluster_name, cluster_cipher_suites;
    bool disable_clustering, disable_clustering_set;
    bool ui, disable_mlock, disable_cache, disable_printable_check;
    int64_t cache_size; /* entries; 0: default */
    bool raw_storage_endpoint, introspection_endpoint;
    bool disable_sealwrap, disable_performance_standby, disable_indexing, disable_sentinel_trace;
    bool enable_response_header_hostname, enable_response_header_raft_node_id;

    struct str log_level_name, log_format, log_file;
    enum log_level log_level;
    bool log_json;
    int64_t log_rotate_bytes, log_rotate_duration_ns, log_rotate_max_files;

    int64_t default_lease_ttl_ns, max_lease_ttl_ns, default_max_request_duration_ns;
    struct str pid_file, plugin_directory, license_path;
};

/* With defaults for what does not depend on files.  -1: ERR_NOMEM. */
int config_new(struct config **out, struct err *err) MUST_USE;
void config_free(struct config *c);

/*
 * Read text (HCL or JSON) on top of what was read before: lists of listeners and seals grow,
 * stanzas replace their predecessor, single values too, but that switches stay on and the longest
 * lease time counts, as in Vault.  ${file} is for messages and may be empty.
 * -1: ERR_BAD_REQUEST "file:line:column: ... expected"; the config is then only to be freed.
 */
int config_add_text(struct config *c, struct str file, struct str text, struct err *err) MUST_USE;

/*
 * Read a file, or all *.hcl and *.json files of a directory in order of their names.
 * -1 also: ERR_IO.
 */
int config_add_path(struct config *c, struct str path, struct err *err) MUST_USE;

/*
 * Read the file of "operator migrate": its blocks storage_source and storage_destination, each as a
 * storage stanza, and cluster_addr, which a destination "raft" needs and finds in its stanza.
 * ${c} owns what is read.  -1: ERR_BAD_REQUEST, ERR_IO.
 */
int config_read_migration(struct config *c, struct str path, struct config_storage *source,
                          struct config_storage *destination, struct err *err) MUST_USE;

/* Looks up an environment variable; NULL when it is not set. */
typedef const char *config_env_fn(void *ctx, const char *name);

/*
 * What the environment overrides: VAULT_API_ADDR (VAULT_REDIRECT_ADDR, VAULT_ADVERTISE_ADDR),
 * VAULT_CLUSTER_ADDR, VAULT_LOG_LEVEL, VAULT_LOG_FORMAT, VAULT_UI, VAULT_DISABLE_MLOCK,
 * VAULT_SEAL_TYPE, VAULT_RAFT_NODE_ID, VAULT_RAFT_PATH.
 */
int config_add_env(struct config *c, config_env_fn *lookup, void *ctx, struct err *err) MUST_USE;

/* Last: check what belongs together, fill in the defaults that depend on each other. */
int config_finish(struct config *c, struct err *err) MUST_USE;

/* An option of a stanza; empty when absent. */
struct str config_option(const struct storage_option *options, size_t n, const char *name);

#endif
