/* The parts of a server, made in order and undone in reverse. */
#include "server/assemble.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/epoch.h"
#include "base/log.h"
#include "core/genroot.h"
#include "core/recovery.h"
#include "core/rekey.h"
#include "core/service.h"
#include "core/telemetry.h"
#include "logical/cidr.h"
#include "server/cluster.h"
#include "server/migration.h"
#include "server/registry.h"
#include "server/seals.h"
#include "server/statsd.h"

static const struct log lg = { "core" };

enum { DRAIN_MS = 15000 };

static const int64_t SECOND = 1000000000;

struct assembly {
    const struct config *config;
    struct arena *arena;
    struct storage *physical;
    struct cluster *cluster;
    struct telemetry telemetry;
    struct core_settings core;
    struct seals seals;
    struct lifecycle *lifecycle;
    struct rekey *rekey, *rekey_recovery;
    struct genroot *genroot;
    struct recovery *recovery;
    bool recovering; /* server -recovery */
    struct statsd *statsd;
    struct api *api;
    struct http_server *http;
    struct api_listener *listener_rules, cluster_rules;
    const struct http_listener **listeners;
};

static int open_storage(struct assembly *s, struct err *err)
{
    const struct config_storage *c = &s->config->storage;
    if (c->type.n == 0)
        return err_set(err, ERR_BAD_REQUEST, "A storage backend must be specified");
    const struct storage_driver *driver = registry_storage(c->type);
    if (driver == NULL)
        return err_set(err, ERR_BAD_REQUEST, "Unknown storage type " STR_FMT, STR_ARG(c->type));
    if (driver->open(c->options, c->n_options, &s->physical, err) < 0)
        return err_prefix(err, "Error initializing storage of type " STR_FMT, STR_ARG(c->type));
    return migration_check(s->physical, err);
}

/* What a configuration asks for and this program does not have must not be passed over. */
int assemble_check(const struct config *c, struct err *err)
{
    TRY(seals_check(c, err));
    if (c->ha_storage.type.n > 0)
        return err_set(err, ERR_BAD_REQUEST,
                       "ha_storage \"" STR_FMT "\": this version runs as a single node",
                       STR_ARG(c->ha_storage.type));
    if (c->service_registration.type.n > 0)
        LOG(&lg, WARN, "service_registration is not used by this version: type=" STR_FMT,
            STR_ARG(c->service_registration.type));
    return 0;
}

static int read_telemetry(struct assembly *s, struct err *err)
{
    const struct config_telemetry *t = &s->config->telemetry;
    char host[256] = "";
    if (gethostname(host, sizeof host - 1) < 0)
        host[0] = 0;
    s->telemetry = (struct telemetry){
        .prefix = t->metrics_prefix.n > 0 ? t->metrics_prefix : STR("vault"),
        .hostname = arena_dup(s->arena, str_of(host)),
        .host_in_gauges = !t->disable_hostname && !t->enable_hostname_label && host[0] != 0,
        .host_label = t->enable_hostname_label && host[0] != 0,
        .prometheus = t->prometheus_retention_time_ns > 0,
        .filter_default = t->filter_default,
        .filter = t->prefix_filter,
    };
    for (size_t i = 0; i < t->prefix_filter.n; i++) {
        struct str rule = t->prefix_filter.v[i];
        if (rule.n == 0 || (rule.p[0] != '+' && rule.p[0] != '-'))
            return err_set(err, ERR_BAD_REQUEST,
                           "telemetry: prefix_filter: \"" STR_FMT
                           "\" must begin with either '+' or '-'", STR_ARG(rule));
    }
    return arena_check(s->arena, err);
}

static int start_statsd(struct assembly *s, struct err *err)
{
    const struct config_telemetry *t = &s->config->telemetry;
    struct statsd_targets targets = {
        .statsd = t->statsd_address,
        .statsite = t->statsite_address,
        .dogstatsd = t->dogstatsd_addr,
        .dogstatsd_tags = &t->dogstatsd_tags,
    };
    return statsd_new(&targets, &s->telemetry, s->lifecycle, &s->statsd, err);
}

static int make_core(struct assembly *s, struct err *err)
{
    const struct config *c = s->config;
    s->core = (struct core_settings){
        .physical = s->physical,
        .seal = s->seals.now,
        .old_seal = s->seals.old,
        .engines = registry_engines,
        .devices = registry_devices,
        .clock = &clock_system,
        .default_ttl_s = c->default_lease_ttl_ns / SECOND,
        .max_ttl_s = c->max_lease_ttl_ns / SECOND,
        .cluster_name = c->cluster_name,
        .storage_type = c->storage.type,
        .api_addr = c->api_addr,
        .cluster_addr = c->cluster_addr,
        .raw_endpoint = c->raw_storage_endpoint,
        .introspection_endpoint = c->introspection_endpoint,
        .enable_ui = c->ui,
        .telemetry = &s->telemetry,
        .hostname = s->telemetry.hostname,
    };
    TRY(cluster_new(c, s->arena, s->physical, &s->cluster, err));
    cluster_fill(s->cluster, &s->core);
    TRY(lifecycle_new(&s->core, &s->lifecycle, err));
    if (lifecycle_check_seal(s->lifecycle, err) < 0)
        return err_prefix(err, "Error initializing core");
    TRY(rekey_new(s->lifecycle, REKEY_BARRIER, &s->rekey, err));
    TRY(rekey_new(s->lifecycle, REKEY_RECOVERY, &s->rekey_recovery, err));
    if (s->recovering)
        TRY(recovery_new(s->lifecycle, &s->recovery, err));
    TRY(genroot_new(s->lifecycle, s->recovery, &s->genroot, err));
    struct api_settings settings = {
        .lifecycle = s->lifecycle,
        .core = &s->core,
        .rekey = s->rekey,
        .rekey_recovery = s->rekey_recovery,
        .genroot = s->genroot,
        .recovery = s->recovery,
        .forwarder = cluster_forwarder(s->cluster),
        .ui = c->ui,
    };
    return api_new(&settings, &s->api, err);
}

/* ---- listeners ---- */

static int tls_version(struct str name)
{
    static const char *const names[] = { "tls10", "tls11", "tls12", "tls13" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_is(name, names[i]))
            return 0x0301 + (int)i;
    return 0;
}

static int octal(struct str digits)
{
    int v = 0;
    for (size_t i = 0; i < digits.n; i++)
        v = v * 8 + (digits.p[i] - '0');
    return v;
}

/* Rounded up, so that a tiny time does not become 0, which would mean the default. */
static int milliseconds(int64_t ns)
{
    return ns <= 0 ? 0 : ns > (int64_t)INT_MAX * 1000000 ? INT_MAX : (int)((ns - 1) / 1000000 + 1);
}

static enum http_proxy proxy_behavior(struct str name)
{
    return name.n == 0                        ? HTTP_PROXY_NONE
           : str_is(name, "use_always")       ? HTTP_PROXY_ALWAYS
           : str_is(name, "allow_authorized") ? HTTP_PROXY_ALLOW
                                              : HTTP_PROXY_DENY;
}

static bool trusts_proxy(const void *blocks, struct str peer_addr)
{
    return cidr_allows(blocks, peer_addr);
}

struct http_listener_config assemble_listener(struct arena *a, const struct config_listener *l)
{
    struct http_listener_config c = {
        .address = l->address,
        .unix_socket = l->type == CONFIG_UNIX,
        .socket_mode = octal(l->socket_mode),
        .socket_user = l->socket_user,
        .socket_group = l->socket_group,
        .max_body_bytes = l->max_request_size < 0 ? SIZE_MAX : (size_t)l->max_request_size,
        .read_header_timeout_ms = milliseconds(l->http_read_header_timeout_ns),
        .read_timeout_ms = milliseconds(l->http_read_timeout_ns),
        .idle_timeout_ms = milliseconds(l->http_idle_timeout_ns),
        .write_timeout_ms = milliseconds(l->http_write_timeout_ns),
        .proxy = proxy_behavior(l->proxy_protocol_behavior),
        .trusts_proxy = trusts_proxy,
        .trust_ctx = &l->proxy_protocol_authorized_addrs,
    };
    if (l->tls_disable || l->type == CONFIG_UNIX)
        return c;
    c.tls_cert_file = l->tls_cert_file;
    c.tls_key_file = l->tls_key_file;
    c.tls_client_ca_file = l->tls_client_ca_file;
    c.tls_cipher_suites = strs_join(a, &l->tls_cipher_suites, STR(":"));
    c.tls_min_version = tls_version(l->tls_min_version);
    c.tls_max_version = tls_version(l->tls_max_version);
    c.tls_prefer_server_cipher_suites = l->tls_prefer_server_cipher_suites;
    c.tls_require_and_verify_client_cert = l->tls_require_and_verify_client_cert;
    c.tls_disable_client_certs = l->tls_disable_client_certs;
    return c;
}

static int listen_all(struct assembly *s, struct err *err)
{
    const struct config *c = s->config;
    struct http_server_config server = { .handler = api_handle, .ctx = s->api };
    if (c->n_listeners == 0)
        return err_set(err, ERR_BAD_REQUEST, "No listener is configured");
    s->listener_rules = arena_array(s->arena, c->n_listeners, sizeof *s->listener_rules);
    s->listeners = arena_array(s->arena, c->n_listeners, sizeof *s->listeners);
    TRY(arena_check(s->arena, err));
    TRY(http_server_new(&server, &s->http, err));
    for (size_t i = 0; i < c->n_listeners; i++) {
        const struct config_listener *l = &c->listeners[i];
        s->listener_rules[i] = (struct api_listener){
            .authorized = l->x_forwarded_for_authorized_addrs,
            .hop_skips = l->x_forwarded_for_hop_skips,
            .reject_not_present = l->x_forwarded_for_reject_not_present,
            .reject_not_authorized = l->x_forwarded_for_reject_not_authorized,
            .require_request_header = l->require_request_header,
            .open_metrics = l->unauthenticated_metrics_access,
            .max_request_ns = l->max_request_duration_ns > 0 ? l->max_request_duration_ns : 0,
            .lifecycle = s->lifecycle,
        };
        struct http_listener_config config = assemble_listener(s->arena, l);
        config.user = &s->listener_rules[i];
        cluster_spool(s->cluster, &config);
        if (http_listen(s->http, &config, &s->listeners[i], err) < 0)
            return err_prefix(err, "Error initializing listener of type %s",
                              l->type == CONFIG_UNIX ? "unix" : "tcp");
    }
    return s->recovering ? 0 : cluster_listen(s->cluster, s->http, &s->cluster_rules, err);
}

/* ---- all together ---- */

/* Look for the cluster, or for the seal's key. */
static int come_up(struct assembly *s, struct err *err)
{
    if (s->recovering)
        return 0;
    TRY(cluster_join(s->cluster, s->lifecycle, err));
    lifecycle_unseal_by_itself(s->lifecycle);
    return 0;
}

int assemble(const struct config *config, bool recovery, struct assembly **out, struct err *err)
{
    struct assembly *s = calloc(1, sizeof *s);
    if (s == NULL || (s->arena = arena_new()) == NULL) {
        free(s);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    s->config = config;
    s->recovering = recovery;
    if (assemble_check(config, err) < 0 || read_telemetry(s, err) < 0
        || seals_open(config, &s->seals, err) < 0 || open_storage(s, err) < 0
        || make_core(s, err) < 0 || start_statsd(s, err) < 0 || listen_all(s, err) < 0
        || seals_start(&s->seals, err) < 0 || come_up(s, err) < 0) {
        disassemble(s);
        return -1;
    }
    *out = s;
    return 0;
}

/* The active node of a cluster lets another one lead first: nobody waits for its end. */
static void hand_over(struct assembly *s)
{
    struct err err = { 0 };
    struct service *service = s->lifecycle == NULL ? NULL : lifecycle_service(s->lifecycle);
    if (service == NULL || s->core.ha == NULL || service_mode(service) != SERVICE_ACTIVE)
        return;
    if (service_step_down(service, &err) < 0)
        LOG(&lg, WARN, "failed to hand over: error=%s", err.msg);
}

void disassemble(struct assembly *s)
{
    if (s == NULL)
        return;
    if (s->api != NULL)
        api_end_streams(s->api);
    hand_over(s);
    if (s->http != NULL)
        http_server_drain(s->http, DRAIN_MS);
    http_server_free(s->http);
    statsd_free(s->statsd);
    api_free(s->api);
    genroot_free(s->genroot);
    recovery_free(s->recovery);
    rekey_free(s->rekey);
    rekey_free(s->rekey_recovery);
    lifecycle_free(s->lifecycle);
    cluster_free(s->cluster);
    seals_close(&s->seals);
    storage_close(s->physical);
    arena_free(s->arena);
    free(s);
}

struct lifecycle *assemble_lifecycle(struct assembly *s)
{
    return s->lifecycle;
}

struct str assemble_cluster_address(const struct assembly *s)
{
    return cluster_shown_addr(s->cluster);
}

void assemble_describe_seals(const struct assembly *s, struct arena *a, seal_row_fn *row, void *ctx)
{
    seals_describe(&s->seals, a, row, ctx);
}

struct str assemble_address(const struct assembly *s, size_t i)
{
    return http_listener_address(s->listeners[i]);
}

void assemble_reload(struct assembly *s)
{
    struct err err = { 0 };
    if (http_server_reload_tls(s->http, &err) < 0)
        LOG(&lg, ERROR, "failed to reload certificates, the old ones stay: error=%s", err.msg);
    epoch_enter();
    const struct active *on = lifecycle_active(s->lifecycle);
    if (on != NULL)
        broker_reload(on->broker);
    epoch_leave();
}
