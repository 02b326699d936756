/* Storage "raft" and its cluster port. */
#include "server/cluster.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "api/call.h"
#include "base/epoch.h"
#include "base/log.h"
#include "codec/json.h"
#include "core/join.h"
#include "server/config_table.h"

static const struct log lg = { "core.cluster-listener" };

struct cluster {
    const struct config *config;
    struct arena *arena;
    struct raftstore *raft;
    struct link_creds *creds;
    struct forwarder *forwarder;
    struct str api_addr, cluster_addr; /* URL; host:port */
    const char *spool_dir;
};

/* ---- addresses ---- */

struct str cluster_host_port(struct str addr)
{
    static const char *const schemes[] = { "https://", "http://" };
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        if (str_starts(addr, str_of(schemes[i])))
            addr = str_from(addr, strlen(schemes[i]));
    ptrdiff_t slash = str_find_byte(addr, '/');
    if (slash >= 0)
        addr = str_head(addr, (size_t)slash);
    return addr;
}

static struct str next_port(struct arena *a, struct str addr)
{
    int64_t port;
    ptrdiff_t colon = str_rfind_byte(addr, ':');
    if (colon < 0 || !str_to_i64(str_from(addr, (size_t)colon + 1), &port))
        return STR("");
    return arena_printf(a, STR_FMT ":%lld", STR_ARG(str_head(addr, (size_t)colon)),
                        (long long)port + 1);
}

bool cluster_is_wildcard(struct str addr)
{
    return str_starts(addr, STR("0.0.0.0:")) || str_starts(addr, STR("[::]:"))
           || str_starts(addr, STR(":"));
}

static const struct config_listener *first_tcp(const struct config *config)
{
    for (size_t i = 0; i < config->n_listeners; i++)
        if (config->listeners[i].type == CONFIG_TCP)
            return &config->listeners[i];
    return NULL;
}

struct str cluster_listener_addr(struct arena *a, const struct config_listener *l)
{
    return l->cluster_address.n > 0 ? l->cluster_address : next_port(a, l->address);
}

static int check_cluster_addr(struct str addr, struct err *err)
{
    static const char form[] = "cluster_addr = \"https://HOST:PORT\", by which the other nodes "
                               "reach this one";
    int64_t port;
    ptrdiff_t colon = str_rfind_byte(addr, ':');
    if (addr.n == 0)
        return err_set(err, ERR_BAD_REQUEST, "Cluster address must be set when using raft storage: "
                                             "%s", form);
    if (colon < 1 || !str_to_i64(str_from(addr, (size_t)colon + 1), &port) || port < 1
        || port > 65535)
        return err_set(err, ERR_BAD_REQUEST, "cluster_addr \"" STR_FMT "\" is no address: it must "
                                             "be set as in %s", STR_ARG(addr), form);
    if (cluster_is_wildcard(addr))
        LOG(&lg, WARN, "cluster_addr is everybody's address, by which no other node reaches this "
                       "one: cluster_addr=" STR_FMT, STR_ARG(addr));
    return 0;
}

int cluster_addresses(const struct config *config, struct arena *a, struct str *api,
                      struct str *addr, struct err *err)
{
    const struct config_listener *l = first_tcp(config);
    struct str listener = l != NULL ? cluster_listener_addr(a, l) : STR("");
    *api = config->api_addr;
    if (api->n == 0 && l != NULL && !cluster_is_wildcard(l->address))
        *api = arena_printf(a, "%s://" STR_FMT, l->tls_disable ? "http" : "https",
                            STR_ARG(l->address));
    *addr = cluster_host_port(config->cluster_addr);
    if (config->cluster_addr.n == 0 && !cluster_is_wildcard(listener))
        *addr = listener;
    if (addr->n == 0 && api->n > 0)
        *addr = next_port(a, cluster_host_port(*api));
    TRY(arena_check(a, err));
    return check_cluster_addr(*addr, err);
}

/* ---- life ---- */

static int make_spool_dir(struct cluster *c, struct err *err)
{
    struct str path = config_option(c->config->storage.options, c->config->storage.n_options,
                                    "path");
    struct str dir = arena_printf(c->arena, STR_FMT "/raft/snapshots", STR_ARG(path));
    TRY(arena_check(c->arena, err));
    c->spool_dir = dir.p;
    if (mkdir(c->spool_dir, 0700) < 0 && errno != EEXIST)
        return err_set(err, ERR_IO, "%s: %s", c->spool_dir, strerror(errno));
    return 0;
}

/* Under another id a node is nobody to its cluster, and never active. */
static void check_id(struct cluster *c)
{
    struct err err = { 0 };
    struct raft_members m;
    struct str me = raftstore_node_id(c->raft);
    if (raftstore_members(c->raft, c->arena, &m, &err) < 0 || m.n == 0)
        return;
    for (size_t i = 0; i < m.n; i++)
        if (m.v[i].self)
            return;
    LOG(&lg, WARN, "this node is not among the members of the cluster whose data it has: was its "
                   "node_id changed?  Then set it to what it was: node_id=" STR_FMT
                   " members=%zu first_member=%s", STR_ARG(me), m.n, m.v[0].id);
}

static int fill(struct cluster *c, struct err *err)
{
    TRY(cluster_addresses(c->config, c->arena, &c->api_addr, &c->cluster_addr, err));
    TRY(make_spool_dir(c, err));
    check_id(c);
    TRY(link_creds_new(&c->creds, err));
    TRY(forwarder_new(c->creds, &c->forwarder, err));
    return raftstore_set_network(c->raft, c->creds, c->cluster_addr, err);
}

int cluster_new(const struct config *config, struct arena *a, struct storage *physical,
                struct cluster **out, struct err *err)
{
    *out = NULL;
    struct raftstore *raft = raftstore_of(physical);
    if (raft == NULL)
        return 0;
    struct cluster *c = calloc(1, sizeof *c);
    if (c == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    *c = (struct cluster){ .config = config, .arena = a, .raft = raft };
    if (fill(c, err) < 0) {
        cluster_free(c);
        return -1;
    }
    *out = c;
    return 0;
}

void cluster_free(struct cluster *c)
{
    if (c == NULL)
        return;
    forwarder_free(c->forwarder);
    link_creds_free(c->creds);
    free(c);
}

void cluster_fill(struct cluster *c, struct core_settings *core)
{
    if (c == NULL)
        return;
    core->ha = raftstore_ha(c->raft);
    core->raft = c->raft;
    core->creds = c->creds;
    core->node_id = raftstore_node_id(c->raft);
    core->api_addr = c->api_addr;
    core->cluster_addr = c->cluster_addr;
    core->spool_dir = c->spool_dir;
    core->forward_reads = c->config->disable_performance_standby;
}

struct forwarder *cluster_forwarder(struct cluster *c)
{
    return c == NULL ? NULL : c->forwarder;
}

struct str cluster_shown_addr(const struct cluster *c)
{
    return c == NULL ? STR("") : arena_printf(c->arena, "https://" STR_FMT,
                                              STR_ARG(c->cluster_addr));
}

/* ---- ports ---- */

static void take_over(void *ctx, struct str alpn, struct link *link)
{
    struct cluster *c = ctx;
    raftstore_accept(c->raft, link);
}

/* Strangers may not fill the disk: only who has a token, or a member that has looked at it. */
static bool is_known(const struct http_request *head)
{
    const struct api_listener *rules = http_listener_user(head->listener);
    const struct token_entry *e;
    struct err err = { 0 };
    if (head->member.n > 0)
        return true;
    epoch_enter();
    const struct active *on = lifecycle_active(rules->lifecycle);
    bool known = on != NULL && token_lookup(on->tokens, read_token(head), &e, &err) > 0;
    epoch_leave();
    return known;
}

static bool is_restore(const struct http_request *head)
{
    struct str path = head->path;
    bool writes = str_is(head->method, "POST") || str_is(head->method, "PUT");
    return writes && (str_is(path, "/v1/sys/storage/raft/snapshot")
                      || str_is(path, "/v1/sys/storage/raft/snapshot-force"))
           && is_known(head);
}

void cluster_spool(struct cluster *c, struct http_listener_config *listener)
{
    if (c == NULL)
        return;
    listener->spools = is_restore;
    listener->spool_dir = c->spool_dir;
}

int cluster_listen(struct cluster *c, struct http_server *http, const struct api_listener *rules,
                   struct err *err)
{
    static const char *const others[] = { RAFTSTORE_ALPN, NULL };
    if (c == NULL)
        return 0;
    for (size_t i = 0; i < c->config->n_listeners; i++) {
        const struct config_listener *l = &c->config->listeners[i];
        const struct http_listener *opened;
        if (l->type != CONFIG_TCP)
            continue;
        struct http_listener_config config = {
            .address = cluster_listener_addr(c->arena, l),
            .max_body_bytes = SIZE_MAX, /* the node that took the request has looked at it */
            .user = (void *)rules,
            .creds = c->creds,
            .forward_alpn = FORWARDER_ALPN,
            .other_alpn = others,
            .takeover = take_over,
            .takeover_ctx = c,
        };
        cluster_spool(c, &config);
        TRY(arena_check(c->arena, err));
        if (http_listen(http, &config, &opened, err) < 0)
            return err_prefix(err, "Error listening for other nodes (cluster_address of the "
                                   "listener, else the port after its own)");
        LOG(&lg, INFO, "serving cluster requests: listen_address=" STR_FMT,
            STR_ARG(http_listener_address(opened)));
    }
    return 0;
}

/* ---- retry_join ---- */

static struct join_target read_target(const struct json *o)
{
    return (struct join_target){
        .api_addr = json_get_str(o, "leader_api_addr"),
        .ca_cert = json_get_str(o, "leader_ca_cert"),
        .client_cert = json_get_str(o, "leader_client_cert"),
        .client_key = json_get_str(o, "leader_client_key"),
        .ca_cert_file = json_get_str(o, "leader_ca_cert_file"),
        .client_cert_file = json_get_str(o, "leader_client_cert_file"),
        .client_key_file = json_get_str(o, "leader_client_key_file"),
        .server_name = json_get_str(o, "leader_tls_servername"),
    };
}

int cluster_targets(const struct config *config, struct arena *a, struct join_target **out,
                    size_t *n, struct err *err)
{
    const struct config_storage *s = &config->storage;
    struct str text = config_option(s->options, s->n_options, "retry_join");
    struct json *list;
    *n = 0;
    if (text.n == 0)
        return 0;
    TRY(json_parse(a, text, &list, NULL, err));
    *out = arena_array(a, list->count + 1, sizeof **out);
    TRY(arena_check(a, err));
    for (const struct json *o = json_first(list); o != NULL; o = o->next)
        (*out)[(*n)++] = read_target(o);
    return 0;
}

int cluster_join(struct cluster *c, struct lifecycle *l, struct err *err)
{
    struct join_target *targets;
    size_t n = 0;
    if (c == NULL)
        return 0;
    const struct config_storage *s = &c->config->storage;
    struct str non_voter = config_option(s->options, s->n_options, "retry_join_as_non_voter");
    TRY(cluster_targets(c->config, c->arena, &targets, &n, err));
    if (n == 0)
        return 0;
    bool without_vote = false;
    if (non_voter.n > 0 && !config_table_bool_text(non_voter, &without_vote))
        return err_set(err, ERR_BAD_REQUEST, "retry_join_as_non_voter: true or false expected, got "
                                             "\"" STR_FMT "\"", STR_ARG(non_voter));
    return lifecycle_join(l, targets, n, without_vote, true, err);
}
