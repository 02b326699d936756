/* Tests of the configuration: good files, bad files, merging, environment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/config.h"

static void drop(struct config **c)
{
    config_free(*c);
}

static struct config *read_text(const char *text)
{
    struct config *c = NULL;
    struct err err = { 0 };
    assert_int_equal(config_new(&c, &err), 0);
    if (config_add_text(c, STR("f.hcl"), str_of(text), &err) < 0 || config_finish(c, &err) < 0)
        fail_msg("%s", err.msg);
    return c;
}

#define SECOND ((int64_t)1000000000)
#define STORE  "storage \"inmem\" {}\n"

static void reads_a_full_file(void **state)
{
    AUTO(drop)
    struct config *c = read_text(
        "storage \"raft\" {\n path = \"/data\"\n node_id = \"n1\"\n performance_multiplier = 5\n"
        " autopilot_reconcile_interval = \"5s\"\n retry_join_as_non_voter = true\n"
        " retry_join { leader_api_addr = \"http://a:8200\" }\n"
        " retry_join { leader_api_addr = \"http://b:8200\" }\n}\n"
        "listener \"tcp\" {\n address = \"0.0.0.0:8200\"\n cluster_address = \"0.0.0.0:8201\"\n"
        " tls_cert_file = \"/c.pem\"\n tls_key_file = \"/k.pem\"\n tls_min_version = \"tls13\"\n"
        " tls_cipher_suites = \"TLS_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\"\n"
        " tls_prefer_server_cipher_suites = \"true\"\n tls_client_ca_file = \"/ca.pem\"\n"
        " tls_require_and_verify_client_cert = 1\n http_read_timeout = \"1m\"\n"
        " http_read_header_timeout = 5\n http_write_timeout = \"90\"\n http_idle_timeout = \"2h\"\n"
        " max_request_size = \"1000\"\n max_request_duration = \"30s\"\n"
        " x_forwarded_for_authorized_addrs = \"10.0.0.0/8, ::1\"\n x_forwarded_for_hop_skips = "
        "\"1\"\n"
        " x_forwarded_for_reject_not_present = \"false\"\n"
        " proxy_protocol_behavior = \"allow_authorized\"\n"
        " proxy_protocol_authorized_addrs = [\"127.0.0.1:8200\", \"10.1.2.3\"]\n"
        " telemetry { unauthenticated_metrics_access = true }\n"
        " profiling { unauthenticated_pprof_access = \"t\" }\n}\n"
        "listener \"unix\" {\n address = \"/run/v.sock\"\n socket_mode = \"660\"\n"
        " socket_user = 1000\n socket_group = \"vault\"\n}\n"
        "seal \"Transit\" {\n address = \"https://v:8200\"\n disabled = \"false\"\n "
        "tls_skip_verify = true\n}\n"
        "service_registration \"consul\" { address = \"127.0.0.1:8500\" }\n"
        "api_addr = \"https://v1:8200\"\ncluster_addr = \"https://v1:8201\"\ncluster_name = \"c\"\n"
        "ui = true\ndisable_mlock = \"1\"\ncache_size = 100\nlog_level = \"Debug\"\n"
        "log_format = \"json\"\ndefault_lease_ttl = \"1h\"\nmax_lease_ttl = \"10h\"\n"
        "raw_storage_endpoint = true\npid_file = \"/run/pid\"\n"
        "telemetry {\n statsite_address = \"s:1\"\n prometheus_retention_time = \"30s\"\n"
        " disable_hostname = true\n usage_gauge_period = \"none\"\n prefix_filter = [\"+a\", "
        "\"-b\"]\n"
        " filter_default = false\n}\n");
    const struct config_listener *l = &c->listeners[0];
    (void)state;
    assert_int_equal(c->warnings.n, 0);
    assert_true(str_is(c->storage.type, "raft"));
    assert_true(str_is(config_option(c->storage.options, c->storage.n_options, "path"), "/data"));
    assert_true(str_is(
        config_option(c->storage.options, c->storage.n_options, "retry_join_as_non_voter"),
        "true"));
    assert_true(str_is(
        config_option(c->storage.options, c->storage.n_options, "performance_multiplier"), "5"));
    assert_true(str_is(config_option(c->storage.options, c->storage.n_options, "retry_join"),
                       "[{\"leader_api_addr\":\"http://a:8200\"},"
                       "{\"leader_api_addr\":\"http://b:8200\"}]"));
    assert_int_equal(c->n_listeners, 2);
    assert_int_equal(l->type, CONFIG_TCP);
    assert_true(str_is(l->address, "0.0.0.0:8200"));
    assert_int_equal(l->tls_cipher_suites.n, 2);
    assert_true(l->tls_prefer_server_cipher_suites && l->tls_require_and_verify_client_cert);
    assert_true(str_is(l->tls_max_version, "tls13"));
    assert_int_equal(l->http_read_timeout_ns, 60 * SECOND);
    assert_int_equal(l->http_read_header_timeout_ns, 5 * SECOND);
    assert_int_equal(l->http_write_timeout_ns, 90 * SECOND);
    assert_int_equal(l->http_idle_timeout_ns, 7200 * SECOND);
    assert_int_equal(l->max_request_size, 1000);
    assert_int_equal(l->max_request_duration_ns, 30 * SECOND);
    assert_int_equal(l->x_forwarded_for_authorized_addrs.n, 2);
    assert_int_equal(l->x_forwarded_for_hop_skips, 1);
    assert_int_equal(l->proxy_protocol_authorized_addrs.n, 2);
    assert_true(l->unauthenticated_metrics_access && l->unauthenticated_pprof_access);
    assert_int_equal(l[1].type, CONFIG_UNIX);
    assert_true(str_is(l[1].socket_mode, "660") && str_is(l[1].socket_user, "1000"));
    assert_int_equal(l[1].max_request_duration_ns, 90 * SECOND);
    assert_int_equal(c->n_seals, 1);
    assert_true(str_is(c->seals[0].type, "transit") && !c->seals[0].disabled);
    assert_int_equal(c->seals[0].n_options, 2);
    assert_true(str_is(c->service_registration.type, "consul"));
    assert_true(c->ui && c->disable_mlock && c->raw_storage_endpoint);
    assert_int_equal(c->log_level, LOG_DEBUG);
    assert_true(c->log_json);
    assert_int_equal(c->default_lease_ttl_ns, 3600 * SECOND);
    assert_int_equal(c->telemetry.prometheus_retention_time_ns, 30 * SECOND);
    assert_int_equal(c->telemetry.usage_gauge_period_ns, 0);
    assert_int_equal(c->telemetry.maximum_gauge_cardinality, 500);
    assert_false(c->telemetry.filter_default);
}

static void a_short_file_has_vaults_defaults(void **state)
{
    AUTO(drop) struct config *c = read_text(STORE "listener \"tcp\" { tls_disable = true }");
    const struct config_listener *l = &c->listeners[0];
    (void)state;
    assert_true(str_is(l->address, "127.0.0.1:8200"));
    assert_true(str_is(l->tls_min_version, "tls12"));
    assert_int_equal(l->max_request_size, 33554432);
    assert_int_equal(l->max_request_duration_ns, 90 * SECOND);
    assert_int_equal(l->http_read_timeout_ns, 30 * SECOND);
    assert_int_equal(l->http_idle_timeout_ns, 300 * SECOND);
    assert_int_equal(l->line, 2);
    assert_int_equal(c->default_lease_ttl_ns, 768 * 3600 * SECOND);
    assert_int_equal(c->max_lease_ttl_ns, 768 * 3600 * SECOND);
    assert_int_equal(c->log_level, LOG_INFO);
    assert_false(c->telemetry.set);
    assert_int_equal(c->telemetry.prometheus_retention_time_ns, 0);
}

static void json_says_the_same(void **state)
{
    AUTO(drop)
    struct config *c = read_text(
        "{\"storage\":{\"raft\":{\"path\":\"/d\","
        "\"retry_join\":[{\"leader_api_addr\":\"http://a\"},"
        "{\"leader_api_addr\":\"http://b\"}]}},"
        "\"listener\":[{\"tcp\":{\"address\":\"a:1\",\"tls_disable\":1,"
        "\"telemetry\":{\"unauthenticated_metrics_access\":true}}},"
        "{\"unix\":{\"address\":\"/s\"}}],\"default_lease_ttl\":\"30s\","
        "\"seal\":{\"transit\":{}},\"telemetry\":{\"disable_hostname\":true},\"ui\":\"true\"}");
    (void)state;
    assert_int_equal(c->warnings.n, 0);
    assert_true(str_is(c->storage.type, "raft"));
    assert_true(str_is(config_option(c->storage.options, c->storage.n_options, "retry_join"),
                       "[{\"leader_api_addr\":\"http://a\"},{\"leader_api_addr\":\"http://b\"}]"));
    assert_int_equal(c->n_listeners, 2);
    assert_true(c->listeners[0].tls_disable && c->listeners[0].unauthenticated_metrics_access);
    assert_int_equal(c->listeners[1].type, CONFIG_UNIX);
    assert_true(str_is(c->seals[0].type, "transit"));
    assert_true(c->telemetry.disable_hostname && c->ui);
}

static void old_names_still_work(void **state)
{
    AUTO(drop)
    struct config *c = read_text(
        "backend \"file\" { path = \"/p\" redirect_addr = \"http://r\" }\n"
        "ha_backend \"consul\" { advertise_addr = \"http://x\" disable_clustering = \"true\" "
        "cluster_addr = \"http://y\" }");
    (void)state;
    assert_true(str_is(c->storage.type, "file"));
    assert_int_equal(c->storage.n_options, 1);
    assert_true(str_is(c->ha_storage.type, "consul"));
    assert_int_equal(c->ha_storage.n_options, 0);
    assert_true(str_is(c->api_addr, "http://x"));
    assert_true(str_is(c->cluster_addr, "http://y"));
    assert_true(c->disable_clustering);
}

static void unknown_keys_are_warnings_with_their_place(void **state)
{
    AUTO(drop)
    struct config *c =
        read_text(STORE "colour = 1\nlistener \"tcp\" {\n tls_disable = true\n  shape = \"round\"\n"
                        " telemetry { x = 1 }\n}\ntelemetry {\n circonus_check_id = \"1\"\n}");
    static const char *const want[] = {
        "unknown or unsupported field colour found in configuration at f.hcl:2:1",
        "unknown or unsupported field shape found in configuration at f.hcl:5:3",
        "unknown or unsupported field x found in configuration at f.hcl:6:14",
        "circonus_check_id has no effect in this server at f.hcl:9:2",
    };
    (void)state;
    assert_int_equal(c->warnings.n, ARRAY_LEN(want));
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        assert_string_equal(c->warnings.v[i].p, want[i]);
}

static void wrong_values_are_refused_with_their_place(void **state)
{
#define TCP "listener \"tcp\" {\n tls_disable = true\n "
    static const struct {
        const char *text, *msg;
    } cases[] = {
        { "ui = \"maybe\"", "f.hcl:1:6: ui: true or false expected, got string" },
        { "ui = []", "f.hcl:1:6: ui: true or false expected, got list" },
        { "ui \"x\" {}", "f.hcl:1:4: ui: '=' and a value expected" },
        { "api_addr = true", "f.hcl:1:12: api_addr: string expected, got boolean" },
        { "cache_size = \"many\"", "f.hcl:1:14: cache_size: whole number expected, got string" },
        { "cache_size = 1.5", "f.hcl:1:14: cache_size: whole number expected, got number" },
        { "max_lease_ttl = \"soon\"",
          "f.hcl:1:17: max_lease_ttl: duration (seconds, or text as \"30s\" or \"1h\") expected, "
          "got string" },
        { "max_lease_ttl = -5",
          "f.hcl:1:17: max_lease_ttl: duration (seconds, or text as \"30s\" or \"1h\") expected, "
          "got number" },
        { "log_level = \"loud\"",
          "f.hcl:1:13: log_level: trace, debug, info, warn or err expected, got \"loud\"" },
        { "log_format = \"xml\"",
          "f.hcl:1:14: log_format: standard or json expected, got \"xml\"" },
        { "listener \"udp\" {}", "f.hcl:1:1: unsupported listener type \"udp\"" },
        { "listener = 1", "f.hcl:1:12: listener: block expected, got number" },
        { "listener \"tcp\" {}", "f.hcl:1:1: listener \"tcp\": tls_cert_file and tls_key_file "
                                 "expected, or tls_disable = true" },
        { "listener \"unix\" {}",
          "f.hcl:1:1: listener \"unix\": address (path of the socket) expected" },
        { TCP "tls_min_version = \"ssl3\" }",
          "f.hcl:3:20: tls_min_version: tls10, tls11, tls12 or tls13 expected, got \"ssl3\"" },
        { TCP "tls_min_version = \"tls13\" tls_max_version = \"tls12\" }",
          "f.hcl:3:46: tls_max_version: not less than tls_min_version expected" },
        { TCP "tls_cipher_suites = \"TLS_NONE\" }",
          "f.hcl:3:22: tls_cipher_suites: name of a cipher suite expected, got \"TLS_NONE\"" },
        { TCP "x_forwarded_for_authorized_addrs = \"10.0.0.0/33\" }",
          "f.hcl:3:37: x_forwarded_for_authorized_addrs: IP address or CIDR block expected, got "
          "\"10.0.0.0/33\"" },
        { TCP "x_forwarded_for_authorized_addrs = [true] }",
          "f.hcl:3:38: x_forwarded_for_authorized_addrs: string expected, got boolean" },
        { TCP "x_forwarded_for_hop_skips = -1 }",
          "f.hcl:3:30: x_forwarded_for_hop_skips cannot be negative but set to -1" },
        { TCP "proxy_protocol_behavior = \"maybe\" }",
          "f.hcl:3:28: proxy_protocol_behavior: use_always, allow_authorized or deny_unauthorized "
          "expected, got \"maybe\"" },
        { TCP "proxy_protocol_behavior = \"deny_unauthorized\" }",
          "f.hcl:3:28: proxy_protocol_behavior set to allow or deny only authorized addresses but "
          "no proxy_protocol_authorized_addrs value" },
        { TCP "socket_mode = \"rw\" }",
          "f.hcl:3:16: socket_mode: octal digits expected, got \"rw\"" },
        { TCP "cors_allowed_origins = [\"*\", \"a\"] }",
          "f.hcl:3:25: cors_allowed_origins must only contain a wildcard or only non-wildcard "
          "values" },
        { TCP "telemetry = 1 }", "f.hcl:3:14: telemetry: block expected, got number" },
        { "storage \"a\" {}\nstorage \"b\" {}",
          "f.hcl:2:1: only one \"storage\" block is permitted" },
        { "storage \"a\" { path = \"1\"\n path = \"2\" }",
          "f.hcl:2:2: path: one value expected, not several" },
        { "storage \"a\" { disable_clustering = \"x\" }",
          "f.hcl:1:1: disable_clustering: true or false expected, got \"x\"" },
        { "seal \"a\" { disabled = \"x\" }", "f.hcl:1:23: disabled: true or false expected, got "
                                             "string" },
        { "seal \"a\" {} seal \"b\" {}\nseal \"c\" {} seal \"d\" {}",
          "f.hcl:2:13: only three or less \"seal\" blocks are permitted" },
        { "telemetry {}\ntelemetry {}", "f.hcl:2:1: only one 'telemetry' block is permitted" },
        { "telemetry {\n statsd_address = {} }",
          "f.hcl:2:19: statsd_address: string expected, got object" },
        { "ui = ", "f.hcl:1:6: value expected, got: EOF" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(drop) struct config *c = NULL;
        struct err err = { 0 };
        assert_int_equal(config_new(&c, NULL), 0);
        assert_int_equal(config_add_text(c, STR("f.hcl"), str_of(cases[i].text), &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
        assert_string_equal(err.msg, cases[i].msg);
    }
}

static void the_whole_must_make_sense(void **state)
{
    static const struct {
        const char *text, *msg;
    } cases[] = {
        { "ui = true", "A storage backend must be specified" },
        { STORE "default_lease_ttl = \"2h\"\nmax_lease_ttl = \"1h\"",
          "cannot have DefaultLeaseTTL larger than MaxLeaseTTL" },
        { STORE "seal \"a\" {} seal \"b\" {}",
          "seals: two seals provided but neither is disabled" },
        { STORE "seal \"a\" { disabled = true } seal \"b\" { disabled = true }",
          "seals: two seals provided but both are disabled" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(drop) struct config *c = NULL;
        struct err err = { 0 };
        assert_int_equal(config_new(&c, NULL), 0);
        assert_int_equal(config_add_text(c, STR("f.hcl"), str_of(cases[i].text), NULL), 0);
        assert_int_equal(config_finish(c, &err), -1);
        assert_string_equal(err.msg, cases[i].msg);
    }
}

static void later_texts_are_laid_over_earlier_ones(void **state)
{
    AUTO(drop) struct config *c = NULL;
    struct err err = { 0 };
    (void)state;
    assert_int_equal(config_new(&c, NULL), 0);
    assert_int_equal(
        config_add_text(
            c, STR("a"),
            STR("storage \"file\" { path = \"/a\" }\nui = true\nmax_lease_ttl = \"10h\"\n"
                "default_lease_ttl = \"1h\"\napi_addr = \"a\"\nlistener \"unix\" { address = "
                "\"/1\" }\n"
                "telemetry { disable_hostname = true }\ndisable_clustering = true"),
            &err),
        0);
    assert_int_equal(
        config_add_text(
            c, STR("b"),
            STR("storage \"inmem\" { }\nui = false\nmax_lease_ttl = \"5h\"\napi_addr = \"b\"\n"
                "default_lease_ttl = \"2h\"\nlistener \"unix\" { address = \"/2\" }\ntelemetry { "
                "}\n"
                "disable_clustering = false"),
            &err),
        0);
    assert_int_equal(config_finish(c, &err), 0);
    assert_true(str_is(c->storage.type, "inmem"));
    assert_true(c->ui);
    assert_int_equal(c->max_lease_ttl_ns, 36000 * SECOND);
    assert_int_equal(c->default_lease_ttl_ns, 7200 * SECOND);
    assert_true(str_is(c->api_addr, "b"));
    assert_int_equal(c->n_listeners, 2);
    assert_true(str_is(c->listeners[1].address, "/2"));
    assert_false(c->telemetry.disable_hostname);
    assert_false(c->disable_clustering);
}

static const char *lookup(void *ctx, const char *name)
{
    const char *const *pairs = ctx;
    for (size_t i = 0; pairs[i] != NULL; i += 2)
        if (strcmp(pairs[i], name) == 0)
            return pairs[i + 1];
    return NULL;
}

static void the_environment_wins(void **state)
{
    AUTO(drop) struct config *c = NULL;
    const char *env[] = { "VAULT_REDIRECT_ADDR",
                          "http://e",
                          "VAULT_CLUSTER_ADDR",
                          "http://ec",
                          "VAULT_LOG_LEVEL",
                          "trace",
                          "VAULT_LOG_FORMAT",
                          "JSON",
                          "VAULT_UI",
                          "true",
                          "VAULT_RAFT_NODE_ID",
                          "n9",
                          "VAULT_RAFT_PATH",
                          "/env",
                          "VAULT_DISABLE_MLOCK",
                          "1",
                          "VAULT_API_ADDR",
                          "",
                          NULL };
    (void)state;
    assert_int_equal(config_new(&c, NULL), 0);
    assert_int_equal(config_add_text(c, STR("a"),
                                     STR("storage \"raft\" { path = \"/a\" }\n"
                                         "api_addr = \"a\"\nlog_level = \"err\""),
                                     NULL),
                     0);
    assert_int_equal(config_add_env(c, lookup, env, NULL), 0);
    assert_int_equal(config_finish(c, NULL), 0);
    assert_true(str_is(c->api_addr, "http://e") && str_is(c->cluster_addr, "http://ec"));
    assert_int_equal(c->log_level, LOG_TRACE);
    assert_true(c->log_json && c->ui && c->disable_mlock);
    assert_true(str_is(config_option(c->storage.options, c->storage.n_options, "path"), "/env"));
    assert_true(str_is(config_option(c->storage.options, c->storage.n_options, "node_id"), "n9"));
}

static void a_wrong_environment_is_refused(void **state)
{
    static const char *const cases[][2] = {
        { "VAULT_UI", "perhaps" },
        { "VAULT_DISABLE_MLOCK", "2" },
        { "VAULT_LOG_LEVEL", "loud" },
        { "VAULT_LOG_FORMAT", "xml" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(drop) struct config *c = NULL;
        struct err err = { 0 };
        const char *env[] = { cases[i][0], cases[i][1], NULL };
        assert_int_equal(config_new(&c, NULL), 0);
        assert_int_equal(config_add_env(c, lookup, env, &err), -1);
        assert_true(str_starts(err_text(&err), str_of(cases[i][0])));
    }
}

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[200];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void remove_file(const char *dir, const char *name)
{
    char path[200];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    (void)remove(path);
}

static void a_directory_is_read_in_order_of_names(void **state)
{
    static const char *const names[][2] = {
        { "b.hcl", "api_addr = \"b\"\ncluster_name = \"b\"" },
        { "a.json", "{\"storage\":{\"inmem\":{}},\"api_addr\":\"a\"}" },
        { "c.txt", "nonsense {" },
        { "d.hcl~", "nonsense {" },
        { ".#e.hcl", "nonsense {" },
    };
    AUTO(drop) struct config *c = NULL;
    char dir[] = "/tmp/config-test-XXXXXX";
    struct err err = { 0 };
    (void)state;
    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        write_file(dir, names[i][0], names[i][1]);
    assert_int_equal(config_new(&c, NULL), 0);
    int rc = config_add_path(c, str_of(dir), &err);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        remove_file(dir, names[i][0]);
    (void)rmdir(dir);
    if (rc < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(config_finish(c, NULL), 0);
    assert_true(str_is(c->api_addr, "b"));
    assert_true(str_is(c->storage.type, "inmem"));
}

static void a_missing_file_is_told(void **state)
{
    AUTO(drop) struct config *c = NULL;
    struct err err = { 0 };
    (void)state;
    assert_int_equal(config_new(&c, NULL), 0);
    assert_int_equal(config_add_path(c, STR("/nonexistent/x.hcl"), &err), -1);
    assert_int_equal(err.code, ERR_IO);
    assert_string_equal(err.msg, "/nonexistent/x.hcl: No such file or directory");
    assert_int_equal(config_add_path(c, STR("a\0b"), &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
}

/* ---- the file of "operator migrate" ---- */

static int read_migration(const char *text, struct config *c, struct config_storage *to,
                          struct err *err)
{
    char path[] = "/tmp/coffer-migrate-XXXXXX";
    struct config_storage from;
    int fd = mkstemp(path);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    int rc = config_read_migration(c, str_of(path), &from, to, err);
    unlink(path);
    return rc;
}

#define FROM "storage_source \"file\" { path = \"/a\" }\n"

static void a_migration_to_raft_knows_its_cluster_address(void **state)
{
    static const char *const texts[] = {
        FROM "storage_destination \"raft\" { path = \"/b\" }\n"
             "cluster_addr = \"https://h:8201\"\n",
        FROM "storage_destination \"raft\" {\n path = \"/b\"\n"
             " cluster_addr = \"https://h:8201\"\n}\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        AUTO(drop) struct config *c = NULL;
        struct config_storage to;
        struct err err = { 0 };
        assert_int_equal(config_new(&c, &err), 0);
        assert_int_equal(read_migration(texts[i], c, &to, &err), 0);
        assert_true(str_is(to.type, "raft") && str_is(to.cluster_addr, "https://h:8201"));
        assert_true(config_option(to.options, to.n_options, "cluster_addr").n == 0);
    }
}

static void refuses_a_migration_that_lacks_something(void **state)
{
    static const struct {
        const char *text, *reason;
    } cases[] = {
        { FROM "storage_destination \"raft\" { path = \"/b\" }\n", "cluster_addr is required" },
        { FROM, "exactly one \"storage_destination\" block" },
        { FROM FROM "storage_destination \"file\" { path = \"/b\" }\n",
          "exactly one \"storage_source\" block" },
        { FROM "storage_destination \"raft\" { path = \"/b\" }\ncluster_addr = []\n",
          "cluster_addr" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(drop) struct config *c = NULL;
        struct config_storage to;
        struct err err = { 0 };
        print_message("  %s\n", cases[i].reason);
        assert_int_equal(config_new(&c, &err), 0);
        assert_int_equal(read_migration(cases[i].text, c, &to, &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
        assert_non_null(strstr(err.msg, cases[i].reason));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_full_file),
        cmocka_unit_test(a_short_file_has_vaults_defaults),
        cmocka_unit_test(json_says_the_same),
        cmocka_unit_test(old_names_still_work),
        cmocka_unit_test(unknown_keys_are_warnings_with_their_place),
        cmocka_unit_test(wrong_values_are_refused_with_their_place),
        cmocka_unit_test(the_whole_must_make_sense),
        cmocka_unit_test(later_texts_are_laid_over_earlier_ones),
        cmocka_unit_test(the_environment_wins),
        cmocka_unit_test(a_wrong_environment_is_refused),
        cmocka_unit_test(a_directory_is_read_in_order_of_names),
        cmocka_unit_test(a_missing_file_is_told),
        cmocka_unit_test(a_migration_to_raft_knows_its_cluster_address),
        cmocka_unit_test(refuses_a_migration_that_lacks_something),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
