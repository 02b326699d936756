/* The configuration: its stanzas, how files are merged, what the environment overrides. */
#include "server/config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "server/config_listener.h"
#include "server/config_raft.h"
#include "server/config_table.h"

#define SECOND_NS          ((int64_t)1000000000)
#define DEFAULT_LEASE_NS   (768 * 3600 * SECOND_NS)
#define DEFAULT_REQUEST_NS (90 * SECOND_NS)
#define FILE_MAX           ((size_t)32 << 20)
#define SEALS_MAX          3

#define AT(field)   offsetof(struct config, field)
#define IN_T(field) offsetof(struct config_telemetry, field)

static const struct config_key top_keys[] = {
    { "listener", CONFIG_ELSEWHERE, 0, 0 },
    { "storage", CONFIG_ELSEWHERE, 0, 0 },
    { "backend", CONFIG_ELSEWHERE, 0, 0 },
    { "ha_storage", CONFIG_ELSEWHERE, 0, 0 },
    { "ha_backend", CONFIG_ELSEWHERE, 0, 0 },
    { "seal", CONFIG_ELSEWHERE, 0, 0 },
    { "hsm", CONFIG_ELSEWHERE, 0, 0 },
    { "telemetry", CONFIG_ELSEWHERE, 0, 0 },
    { "service_registration", CONFIG_ELSEWHERE, 0, 0 },
    { "entropy", CONFIG_NO_EFFECT, 0, 0 },
    { "api_addr", CONFIG_STR, AT(api_addr), 0 },
    { "cluster_addr", CONFIG_STR, AT(cluster_addr), 0 },
    { "cluster_name", CONFIG_STR, AT(cluster_name), 0 },
    { "cluster_cipher_suites", CONFIG_STR, AT(cluster_cipher_suites), 0 },
    { "disable_clustering", CONFIG_BOOL, AT(disable_clustering), 0 },
    { "ui", CONFIG_BOOL, AT(ui), CONFIG_OR },
    { "disable_mlock", CONFIG_BOOL, AT(disable_mlock), CONFIG_OR },
    { "disable_cache", CONFIG_BOOL, AT(disable_cache), CONFIG_OR },
    { "disable_printable_check", CONFIG_BOOL, AT(disable_printable_check), 0 },
    { "cache_size", CONFIG_INT, AT(cache_size), 0 },
    { "raw_storage_endpoint", CONFIG_BOOL, AT(raw_storage_endpoint), CONFIG_OR },
    { "introspection_endpoint", CONFIG_BOOL, AT(introspection_endpoint), CONFIG_OR },
    { "disable_sealwrap", CONFIG_BOOL, AT(disable_sealwrap), CONFIG_OR },
    { "disable_performance_standby", CONFIG_BOOL, AT(disable_performance_standby), CONFIG_OR },
    { "disable_indexing", CONFIG_BOOL, AT(disable_indexing), CONFIG_OR },
    { "disable_sentinel_trace", CONFIG_BOOL, AT(disable_sentinel_trace), CONFIG_OR },
    { "enable_response_header_hostname", CONFIG_BOOL, AT(enable_response_header_hostname),
      CONFIG_OR },
    { "enable_response_header_raft_node_id", CONFIG_BOOL, AT(enable_response_header_raft_node_id),
      CONFIG_OR },
    { "log_level", CONFIG_STR, AT(log_level_name), 0 },
    { "log_format", CONFIG_STR, AT(log_format), 0 },
    { "log_file", CONFIG_STR, AT(log_file), 0 },
    { "log_rotate_bytes", CONFIG_INT, AT(log_rotate_bytes), 0 },
    { "log_rotate_duration", CONFIG_DURATION, AT(log_rotate_duration_ns), 0 },
    { "log_rotate_max_files", CONFIG_INT, AT(log_rotate_max_files), 0 },
    { "default_lease_ttl", CONFIG_DURATION, AT(default_lease_ttl_ns), CONFIG_MAX },
    { "max_lease_ttl", CONFIG_DURATION, AT(max_lease_ttl_ns), CONFIG_MAX },
    { "default_max_request_duration", CONFIG_DURATION, AT(default_max_request_duration_ns),
      CONFIG_MAX },
    { "pid_file", CONFIG_STR, AT(pid_file), 0 },
    { "plugin_directory", CONFIG_STR, AT(plugin_directory), 0 },
    { "license_path", CONFIG_STR, AT(license_path), 0 },
};

static const struct config_key telemetry_keys[] = {
    { "statsite_address", CONFIG_STR, IN_T(statsite_address), 0 },
    { "statsd_address", CONFIG_STR, IN_T(statsd_address), 0 },
    { "dogstatsd_addr", CONFIG_STR, IN_T(dogstatsd_addr), 0 },
    { "dogstatsd_tags", CONFIG_STRS, IN_T(dogstatsd_tags), 0 },
    { "disable_hostname", CONFIG_BOOL, IN_T(disable_hostname), 0 },
    { "enable_hostname_label", CONFIG_BOOL, IN_T(enable_hostname_label), 0 },
    { "metrics_prefix", CONFIG_STR, IN_T(metrics_prefix), 0 },
    { "usage_gauge_period", CONFIG_PERIOD, IN_T(usage_gauge_period_ns), 0 },
    { "maximum_gauge_cardinality", CONFIG_INT, IN_T(maximum_gauge_cardinality), 0 },
    { "prometheus_retention_time", CONFIG_DURATION, IN_T(prometheus_retention_time_ns), 0 },
    { "lease_metrics_epsilon", CONFIG_PERIOD, IN_T(lease_metrics_epsilon_ns), 0 },
    { "num_lease_metrics_buckets", CONFIG_INT, IN_T(num_lease_metrics_buckets), 0 },
    { "add_lease_metrics_namespace_labels", CONFIG_BOOL, IN_T(add_lease_metrics_namespace_labels),
      0 },
    { "filter_default", CONFIG_BOOL, IN_T(filter_default), 0 },
    { "prefix_filter", CONFIG_STRS, IN_T(prefix_filter), 0 },
    { "circonus_api_token", CONFIG_NO_EFFECT, 0, 0 },
    { "circonus_api_app", CONFIG_NO_EFFECT, 0, 0 },
    { "circonus_api_url", CONFIG_NO_EFFECT, 0, 0 },
    { "circonus_submission_interval", CONFIG_NO_EFFECT, 0, 0 },
    { "circonus_submission_url", CONFIG_NO_EFFECT, 0, 0 },
    { "circonus_check_id", CONFIG_NO_EFFECT, 0, 0 },
    { "circonus_check_force_metric_activation", CONFIG_NO_EFFECT, 0, 0 },
    { "circonus_check_instance_id", CONFIG_NO_EFFECT, 0, 0 },
    { "circonus_check_search_tag", CONFIG_NO_EFFECT, 0, 0 },
    { "circonus_check_tags", CONFIG_NO_EFFECT, 0, 0 },
    { "circonus_check_display_name", CONFIG_NO_EFFECT, 0, 0 },
    { "circonus_broker_id", CONFIG_NO_EFFECT, 0, 0 },
    { "circonus_broker_select_tag", CONFIG_NO_EFFECT, 0, 0 },
    { "stackdriver_project_id", CONFIG_NO_EFFECT, 0, 0 },
    { "stackdriver_location", CONFIG_NO_EFFECT, 0, 0 },
    { "stackdriver_namespace", CONFIG_NO_EFFECT, 0, 0 },
    { "stackdriver_debug_logs", CONFIG_NO_EFFECT, 0, 0 },
};

/* What a stanza without the key means. */
static const struct config_telemetry telemetry_defaults = {
    .usage_gauge_period_ns = 600 * SECOND_NS,
    .maximum_gauge_cardinality = 500,
    .prometheus_retention_time_ns = 24 * 3600 * SECOND_NS,
    .lease_metrics_epsilon_ns = 3600 * SECOND_NS,
    .num_lease_metrics_buckets = 168,
    .filter_default = true,
};

int config_new(struct config **out, struct err *err)
{
    struct arena *a = arena_new();
    struct config *c = a == NULL ? NULL : arena_alloc(a, sizeof *c);
    if (c == NULL) {
        arena_free(a);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    c->arena = a;
    c->telemetry = telemetry_defaults;
    /* Without a stanza nobody asked for Prometheus' format. */
    c->telemetry.prometheus_retention_time_ns = 0;
    *out = c;
    return 0;
}

void config_free(struct config *c)
{
    if (c != NULL)
        arena_free(c->arena);
}

struct str config_option(const struct storage_option *options, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (str_is(options[i].name, name))
            return options[i].value;
    return STR("");
}

/* ---- stanzas ---- */

static struct str lowered(struct arena *a, struct str s)
{
    char *p = arena_bytes(a, s.n + 1);
    if (p == NULL)
        return STR("");
    for (size_t i = 0; i < s.n; i++)
        p[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] + 32) : s.p[i];
    p[s.n] = 0;
    return str_mem(p, s.n);
}

/* Blocks of one name become a list of objects, as JSON text. */
static struct json *blocks_as_json(struct arena *a, const struct hcl *body, struct str name)
{
    struct json *list = json_array(a);
    for (const struct hcl_block *b = hcl_blocks(a, body, name, 0); b != NULL; b = b->next)
        json_add(list, hcl_to_json(a, b->value));
    return list;
}

static int option_text(const struct config_reader *r, const struct hcl *body,
                       const struct hcl_item *i, struct str *out)
{
    AUTO(buf_free) struct buf text = { 0 };
    const struct hcl *v = i->value;
    if (i->n_keys == 1 && v->type == HCL_STRING) {
        *out = arena_dup(r->arena, v->text);
        return 0;
    }
    bool block = i->n_keys > 1 || v->type == HCL_OBJECT;
    json_print(block ? blocks_as_json(r->arena, body, i->keys[0].text) : hcl_to_json(r->arena, v),
               &text);
    TRY(buf_check(&text, r->err));
    *out = arena_dup(r->arena, buf_str(&text));
    return 0;
}

static int has_option(const struct storage_option *options, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(options[i].name, name))
            return true;
    return false;
}

/* All items of a stanza as options.  A block may be repeated, a single value not. */
static int read_options(const struct config_reader *r, const struct hcl *body,
                        struct storage_option **out, size_t *n)
{
    *n = 0;
    *out = arena_array(r->arena, body->count + 1, sizeof **out);
    TRY(arena_check(r->arena, r->err));
    for (const struct hcl_item *i = body->items; i != NULL; i = i->next) {
        struct str name = i->keys[0].text;
        bool block = i->n_keys > 1 || i->value->type == HCL_OBJECT;
        if (has_option(*out, *n, name)) {
            if (block)
                continue;
            return hcl_pos_error(r->err, i->keys[0].pos,
                                 STR_FMT ": one value expected, not several", STR_ARG(name));
        }
        (*out)[*n].name = arena_dup(r->arena, name);
        TRY(option_text(r, body, i, &(*out)[*n].value));
        ++*n;
    }
    return arena_check(r->arena, r->err);
}

/* Take an option out; false when absent. */
static bool take_option(struct storage_option *options, size_t *n, const char *name,
                        struct str *out)
{
    for (size_t i = 0; i < *n; i++) {
        if (!str_is(options[i].name, name))
            continue;
        *out = options[i].value;
        --*n;
        memmove(&options[i], &options[i + 1], (*n - i) * sizeof *options);
        return true;
    }
    return false;
}

static int read_storage(const struct config_reader *r, const struct hcl_block *b,
                        struct config_storage *out)
{
    struct str text;
    *out = (struct config_storage){ 0 };
    if (b->value->type != HCL_OBJECT)
        return hcl_pos_error(r->err, b->value->pos, STR_FMT ": block expected, got %s",
                             STR_ARG(b->key.text), hcl_type_name(b->value->type));
    out->type = lowered(r->arena, b->n_labels > 0 ? b->labels[0].text : b->key.text);
    if (str_is(out->type, "raft"))
        TRY(config_raft_check(r, b->value));
    TRY(read_options(r, b->value, &out->options, &out->n_options));
    /* Common to all types, so no driver gets to see them. */
    if (!take_option(out->options, &out->n_options, "redirect_addr", &out->redirect_addr))
        (void)take_option(out->options, &out->n_options, "advertise_addr", &out->redirect_addr);
    (void)take_option(out->options, &out->n_options, "cluster_addr", &out->cluster_addr);
    if (take_option(out->options, &out->n_options, "disable_clustering", &text) &&
        !config_table_bool_text(text, &out->disable_clustering))
        return hcl_pos_error(r->err, b->key.pos,
                             "disable_clustering: true or false expected, got \"" STR_FMT "\"",
                             STR_ARG(text));
    return 0;
}

/* A stanza that may occur once, by its name or by its older one. */
static int read_only_one(const struct config_reader *r, const struct hcl *root, const char *name,
                         const char *older, struct config_storage *out)
{
    const struct hcl_block *b = hcl_blocks(r->arena, root, str_of(name), 1);
    if (b == NULL && older != NULL)
        b = hcl_blocks(r->arena, root, str_of(older), 1);
    if (b == NULL)
        return 0;
    if (b->next != NULL)
        return hcl_pos_error(r->err, b->next->key.pos,
                             "only one \"" STR_FMT "\" block is permitted", STR_ARG(b->key.text));
    return read_storage(r, b, out);
}

static int read_seal(const struct config_reader *r, const struct hcl_block *b,
                     struct config_seal *out)
{
    struct str unused;
    if (b->value->type != HCL_OBJECT)
        return hcl_pos_error(r->err, b->value->pos, STR_FMT ": block expected, got %s",
                             STR_ARG(b->key.text), hcl_type_name(b->value->type));
    out->type = lowered(r->arena, b->n_labels > 0 ? b->labels[0].text : b->key.text);
    TRY(read_options(r, b->value, &out->options, &out->n_options));
    const struct hcl *disabled = hcl_get(b->value, STR("disabled"));
    const struct hcl *purpose = hcl_get(b->value, STR("purpose"));
    if (disabled != NULL)
        TRY(config_table_bool(r, STR("disabled"), disabled, &out->disabled));
    if (purpose != NULL)
        TRY(config_table_strs(r, STR("purpose"), purpose, &out->purpose));
    for (size_t i = 0; i < out->purpose.n; i++)
        out->purpose.v[i] = lowered(r->arena, out->purpose.v[i]);
    (void)take_option(out->options, &out->n_options, "disabled", &unused);
    (void)take_option(out->options, &out->n_options, "purpose", &unused);
    return 0;
}

static int read_seals(const struct config_reader *r, const struct hcl *root, const char *name,
                      struct config *c)
{
    const struct hcl_block *first = hcl_blocks(r->arena, root, str_of(name), 1);
    size_t n = c->n_seals;
    for (const struct hcl_block *b = first; b != NULL; b = b->next)
        if (++n > SEALS_MAX)
            return hcl_pos_error(r->err, b->key.pos,
                                 "only three or less \"%s\" blocks are permitted", name);
    struct config_seal *seals = arena_array(r->arena, n + 1, sizeof *seals);
    TRY(arena_check(r->arena, r->err));
    if (c->n_seals > 0)
        memcpy(seals, c->seals, c->n_seals * sizeof *seals);
    c->seals = seals;
    for (const struct hcl_block *b = first; b != NULL; b = b->next)
        TRY(read_seal(r, b, &c->seals[c->n_seals++]));
    return 0;
}

static int read_listeners(const struct config_reader *r, const struct hcl *root, struct config *c)
{
    const struct hcl_block *first = hcl_blocks(r->arena, root, STR("listener"), 1);
    size_t n = c->n_listeners;
    for (const struct hcl_block *b = first; b != NULL; b = b->next)
        n++;
    struct config_listener *all = arena_array(r->arena, n + 1, sizeof *all);
    TRY(arena_check(r->arena, r->err));
    if (c->n_listeners > 0)
        memcpy(all, c->listeners, c->n_listeners * sizeof *all);
    c->listeners = all;
    for (const struct hcl_block *b = first; b != NULL; b = b->next)
        TRY(config_listener_read(r, b, &c->listeners[c->n_listeners++]));
    return 0;
}

static int read_telemetry(const struct config_reader *r, const struct hcl *root, struct config *c)
{
    const struct hcl_block *b = hcl_blocks(r->arena, root, STR("telemetry"), 0);
    if (b == NULL)
        return 0;
    if (b->next != NULL)
        return hcl_pos_error(r->err, b->next->key.pos, "only one 'telemetry' block is permitted");
    if (b->value->type != HCL_OBJECT)
        return hcl_pos_error(r->err, b->value->pos, "telemetry: block expected, got %s",
                             hcl_type_name(b->value->type));
    struct config_telemetry *t = &c->telemetry;
    *t = telemetry_defaults;
    TRY(config_table_read(r, b->value, telemetry_keys, ARRAY_LEN(telemetry_keys), t));
    t->set = true;
    if (t->maximum_gauge_cardinality == 0)
        t->maximum_gauge_cardinality = telemetry_defaults.maximum_gauge_cardinality;
    if (t->num_lease_metrics_buckets == 0)
        t->num_lease_metrics_buckets = telemetry_defaults.num_lease_metrics_buckets;
    return 0;
}

static int check_log(const struct config_reader *r, const struct hcl *root, struct config *c)
{
    const struct hcl *level = hcl_get(root, STR("log_level"));
    const struct hcl *format = hcl_get(root, STR("log_format"));
    enum log_level ignored;
    if (level != NULL && !log_level_of(lowered(r->arena, str_trim(c->log_level_name)), &ignored))
        return hcl_pos_error(r->err, level->pos,
                             "log_level: trace, debug, info, warn or err expected, got \"" STR_FMT
                             "\"",
                             STR_ARG(c->log_level_name));
    if (format != NULL && c->log_format.n > 0 && !str_eq_nocase(c->log_format, STR("json")) &&
        !str_eq_nocase(c->log_format, STR("standard")))
        return hcl_pos_error(r->err, format->pos,
                             "log_format: standard or json expected, got \"" STR_FMT "\"",
                             STR_ARG(c->log_format));
    return 0;
}

int config_add_text(struct config *c, struct str file, struct str text, struct err *err)
{
    struct hcl *root;
    const struct config_reader r = { c->arena, &c->warnings, err };
    TRY(hcl_parse(c->arena, file, text, &root, err));
    TRY(config_table_read(&r, root, top_keys, ARRAY_LEN(top_keys), c));
    c->disable_clustering_set =
        c->disable_clustering_set || hcl_get(root, STR("disable_clustering")) != NULL;
    TRY(check_log(&r, root, c));
    TRY(read_listeners(&r, root, c));
    TRY(read_only_one(&r, root, "storage", "backend", &c->storage));
    TRY(read_only_one(&r, root, "ha_storage", "ha_backend", &c->ha_storage));
    TRY(read_only_one(&r, root, "service_registration", NULL, &c->service_registration));
    TRY(read_seals(&r, root, "hsm", c));
    TRY(read_seals(&r, root, "seal", c));
    TRY(read_telemetry(&r, root, c));
    return arena_check(c->arena, err);
}

/* ---- files ---- */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static void close_dir(DIR **d)
{
    if (*d != NULL)
        (void)closedir(*d);
}

static int read_all(int fd, const char *path, struct buf *out, struct err *err)
{
    for (;;) {
        char part[8192];
        ssize_t got = read(fd, part, sizeof part);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
        if (got == 0)
            return buf_check(out, err);
        if (out->n + (size_t)got > FILE_MAX)
            return err_set(err, ERR_BAD_REQUEST, "%s: file of at most 32 MiB expected", path);
        buf_add(out, str_mem(part, (size_t)got));
    }
}

static int read_file(struct config *c, struct str path, struct buf *text, struct err *err)
{
    const char *z = arena_cstr(c->arena, path);
    if (z == NULL)
        return err_set(err, ERR_BAD_REQUEST, "path of a file expected");
    AUTO(close_fd) int fd = open(z, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, ERR_IO, "%s: %s", z, strerror(errno));
    return read_all(fd, z, text, err);
}

static int add_file(struct config *c, struct str path, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    TRY(read_file(c, path, &text, err));
    return config_add_text(c, path, buf_str(&text), err);
}

/* A cluster of one node begins with the address at which others will find it. */
static int check_destination(const struct config *c, struct config_storage *to, struct err *err)
{
    if (to->cluster_addr.n == 0)
        to->cluster_addr = c->cluster_addr;
    if (!str_is(to->type, "raft") || to->cluster_addr.n > 0)
        return 0;
    return err_set(err, ERR_BAD_REQUEST,
                   "cluster_addr is required beside a storage_destination \"raft\": the address of "
                   "the new cluster's first node, as in \"https://10.0.0.1:8201\"");
}

int config_read_migration(struct config *c, struct str path, struct config_storage *source,
                          struct config_storage *destination, struct err *err)
{
    static const struct config_key keys[] = {
        { "cluster_addr", CONFIG_STR, AT(cluster_addr), 0 },
        { "storage_source", CONFIG_ELSEWHERE, 0, 0 },
        { "storage_destination", CONFIG_ELSEWHERE, 0, 0 },
    };
    static const char *const names[] = { "storage_source", "storage_destination" };
    struct config_storage *const to[] = { source, destination };
    const struct config_reader r = { c->arena, &c->warnings, err };
    AUTO(buf_free) struct buf text = { 0 };
    struct hcl *root;
    TRY(read_file(c, path, &text, err));
    TRY(hcl_parse(c->arena, path, buf_str(&text), &root, err));
    TRY(config_table_read(&r, root, keys, ARRAY_LEN(keys), c));
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct hcl_block *b = hcl_blocks(c->arena, root, str_of(names[i]), 1);
        if (b == NULL || b->next != NULL)
            return err_set(err, ERR_BAD_REQUEST, "exactly one \"%s\" block is required", names[i]);
        TRY(read_storage(&r, b, to[i]));
    }
    TRY(check_destination(c, destination, err));
    return arena_check(c->arena, err);
}

/* Editors leave copies behind: "name~", ".#name", "#name#". */
static bool is_config_file(struct str name)
{
    if (str_starts(name, STR(".#")))
        return false;
    return str_ends(name, STR(".hcl")) || str_ends(name, STR(".json"));
}

static int add_directory(struct config *c, const char *path, struct err *err)
{
    struct strs files = { 0 };
    AUTO(close_dir) DIR *d = opendir(path);
    if (d == NULL)
        return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    for (struct dirent *e; (errno = 0, e = readdir(d)) != NULL;) {
        struct stat st;
        struct str file = arena_printf(c->arena, "%s/%s", path, e->d_name);
        TRY(arena_check(c->arena, err));
        if (is_config_file(str_of(e->d_name)) && stat(file.p, &st) == 0 && !S_ISDIR(st.st_mode))
            strs_add(c->arena, &files, file);
    }
    if (errno != 0)
        return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    strs_sort(&files);
    for (size_t i = 0; i < files.n; i++)
        TRY(add_file(c, files.v[i], err));
    return arena_check(c->arena, err);
}

int config_add_path(struct config *c, struct str path, struct err *err)
{
    struct stat st;
    const char *z = arena_cstr(c->arena, path);
    if (z == NULL)
        return err_set(err, ERR_BAD_REQUEST, "path of a file or directory expected");
    if (stat(z, &st) < 0)
        return err_set(err, ERR_IO, "%s: %s", z, strerror(errno));
    return S_ISDIR(st.st_mode) ? add_directory(c, z, err) : add_file(c, path, err);
}

/* ---- environment ---- */

struct environment {
    struct config *c;
    config_env_fn *lookup;
    void *ctx;
    struct err *err;
};

/* Empty counts as not set. */
static bool env_str(const struct environment *e, const char *name, struct str *out)
{
    const char *v = e->lookup(e->ctx, name);
    if (v == NULL || *v == 0)
        return false;
    *out = arena_dup(e->c->arena, str_of(v));
    return true;
}

static int env_bool(const struct environment *e, const char *name, bool *out)
{
    struct str text;
    if (!env_str(e, name, &text) || config_table_bool_text(text, out))
        return 0;
    return err_set(e->err, ERR_BAD_REQUEST, "%s: true or false expected, got \"" STR_FMT "\"", name,
                   STR_ARG(text));
}

static int env_log(const struct environment *e)
{
    struct str text;
    enum log_level ignored;
    if (env_str(e, "VAULT_LOG_LEVEL", &text)) {
        if (!log_level_of(lowered(e->c->arena, str_trim(text)), &ignored))
            return err_set(e->err, ERR_BAD_REQUEST,
                           "VAULT_LOG_LEVEL: trace, debug, info, warn or "
                           "err expected, got \"" STR_FMT "\"",
                           STR_ARG(text));
        e->c->log_level_name = text;
    }
    if (!env_str(e, "VAULT_LOG_FORMAT", &text))
        return 0;
    if (!str_eq_nocase(text, STR("json")) && !str_eq_nocase(text, STR("standard")))
        return err_set(e->err, ERR_BAD_REQUEST,
                       "VAULT_LOG_FORMAT: standard or json expected, got \"" STR_FMT "\"",
                       STR_ARG(text));
    e->c->log_format = text;
    return 0;
}

static int set_option(struct config *c, struct config_storage *s, const char *name,
                      struct str value, struct err *err)
{
    for (size_t i = 0; i < s->n_options; i++)
        if (str_is(s->options[i].name, name)) {
            s->options[i].value = value;
            return 0;
        }
    struct storage_option *all = arena_array(c->arena, s->n_options + 1, sizeof *all);
    TRY(arena_check(c->arena, err));
    if (s->n_options > 0)
        memcpy(all, s->options, s->n_options * sizeof *all);
    all[s->n_options++] = (struct storage_option){ str_of(name), value };
    s->options = all;
    return 0;
}

static int env_raft(const struct environment *e, struct config_storage *s)
{
    struct str text;
    if (!str_is(s->type, "raft"))
        return 0;
    if (env_str(e, "VAULT_RAFT_NODE_ID", &text))
        TRY(set_option(e->c, s, "node_id", text, e->err));
    if (env_str(e, "VAULT_RAFT_PATH", &text))
        TRY(set_option(e->c, s, "path", text, e->err));
    return 0;
}

/* The type of the seal that is to be used, stanza or not. */
static int env_seal_type(const struct environment *e)
{
    struct config *c = e->c;
    struct str type;
    if (!env_str(e, "VAULT_SEAL_TYPE", &type))
        return 0;
    for (size_t i = 0; i < c->n_seals; i++)
        if (!c->seals[i].disabled) {
            c->seals[i].type = lowered(c->arena, type);
            return 0;
        }
    struct config_seal *all = arena_array(c->arena, c->n_seals + 1, sizeof *all);
    TRY(arena_check(c->arena, e->err));
    if (c->n_seals > 0)
        memcpy(all, c->seals, c->n_seals * sizeof *all);
    all[c->n_seals++] = (struct config_seal){ .type = lowered(c->arena, type) };
    c->seals = all;
    return 0;
}

int config_add_env(struct config *c, config_env_fn *lookup, void *ctx, struct err *err)
{
    const struct environment e = { c, lookup, ctx, err };
    (void)(env_str(&e, "VAULT_API_ADDR", &c->api_addr) ||
           env_str(&e, "VAULT_REDIRECT_ADDR", &c->api_addr) ||
           env_str(&e, "VAULT_ADVERTISE_ADDR", &c->api_addr));
    (void)env_str(&e, "VAULT_CLUSTER_ADDR", &c->cluster_addr);
    TRY(env_log(&e));
    TRY(env_bool(&e, "VAULT_UI", &c->ui));
    TRY(env_bool(&e, "VAULT_DISABLE_MLOCK", &c->disable_mlock));
    TRY(env_seal_type(&e));
    TRY(env_raft(&e, &c->storage));
    TRY(env_raft(&e, &c->ha_storage));
    return arena_check(c->arena, err);
}

/* ---- the whole ---- */

static int check_seals(const struct config *c, struct err *err)
{
    if (c->n_seals != 2)
        return 0;
    if (c->seals[0].disabled && c->seals[1].disabled)
        return err_set(err, ERR_BAD_REQUEST, "seals: two seals provided but both are disabled");
    if (!c->seals[0].disabled && !c->seals[1].disabled)
        return err_set(err, ERR_BAD_REQUEST, "seals: two seals provided but neither is disabled");
    return 0;
}

static int check_leases(struct config *c, struct err *err)
{
    if (c->default_lease_ttl_ns == 0)
        c->default_lease_ttl_ns = DEFAULT_LEASE_NS;
    if (c->max_lease_ttl_ns == 0)
        c->max_lease_ttl_ns = DEFAULT_LEASE_NS;
    if (c->default_lease_ttl_ns > c->max_lease_ttl_ns)
        return err_set(err, ERR_BAD_REQUEST, "cannot have DefaultLeaseTTL larger than MaxLeaseTTL");
    return 0;
}

/* Addresses of the top level win over those of the stanza, where they used to stand. */
static void settle_addresses(struct config *c)
{
    const struct config_storage *s = c->ha_storage.type.n > 0 ? &c->ha_storage : &c->storage;
    if (c->api_addr.n == 0)
        c->api_addr = s->redirect_addr;
    if (c->cluster_addr.n == 0)
        c->cluster_addr = s->cluster_addr;
    if (!c->disable_clustering_set)
        c->disable_clustering = s->disable_clustering;
}

int config_finish(struct config *c, struct err *err)
{
    if (c->storage.type.n == 0)
        return err_set(err, ERR_BAD_REQUEST, "A storage backend must be specified");
    TRY(check_seals(c, err));
    TRY(check_leases(c, err));
    settle_addresses(c);
    if (c->default_max_request_duration_ns == 0)
        c->default_max_request_duration_ns = DEFAULT_REQUEST_NS;
    for (size_t i = 0; i < c->n_listeners; i++)
        if (c->listeners[i].max_request_duration_ns == 0)
            c->listeners[i].max_request_duration_ns = c->default_max_request_duration_ns;
    struct str level = lowered(c->arena, str_trim(c->log_level_name));
    if (!log_level_of(level, &c->log_level))
        c->log_level = LOG_INFO;
    c->log_json = str_eq_nocase(c->log_format, STR("json"));
    return arena_check(c->arena, err);
}
