/* sys/storage/raft/ and sys/ha-status: the members of the cluster. */
#include <stdlib.h>

#include "base/version.h"
#include "codec/base64.h"
#include "codec/timefmt.h"
#include "core/autopilot.h"
#include "core/bootstrap.h"
#include "core/cluster_keys.h"
#include "core/roll.h"
#include "core/service.h"
#include "sys/system.h"

static const int64_t MINUTE = 60000000000;

static int raft_of(struct request *req, struct raftstore **out)
{
    *out = active_of(req)->settings->raft;
    return *out != NULL ? 0 : err_set(&req->err, ERR_BAD_REQUEST, "raft storage is not in use");
}

/* ---- members ---- */

int raft_configuration_read(struct request *req, struct response *resp)
{
    struct raftstore *raft;
    struct raft_members all;
    TRY(raft_of(req, &raft));
    TRY(raftstore_members(raft, req->arena, &all, &req->err));
    struct json *config = json_put_object(response_data(resp), "config");
    struct json *servers = json_put_array(config, "servers");
    for (size_t i = 0; i < all.n; i++) {
        struct json *s = json_add_object(servers);
        json_put_text(s, "node_id", all.v[i].id);
        json_put_text(s, "address", all.v[i].addr);
        json_put_bool(s, "leader", all.v[i].leader);
        json_put_text(s, "protocol_version", "3");
        json_put_bool(s, "voter", all.v[i].voter);
    }
    json_put_int(config, "index", 0); /* as Vault answers */
    return 1;
}

/* The field server_id, and which member that is. */
static int named(struct request *req, struct raftstore **raft, struct str *id,
                 const struct raft_member **out)
{
    struct raft_members all;
    *id = field_str(req, "server_id");
    *out = NULL;
    if (id->n == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "no server id provided");
    TRY(raft_of(req, raft));
    TRY(raftstore_members(*raft, req->arena, &all, &req->err));
    for (size_t i = 0; i < all.n; i++)
        if (str_is(*id, all.v[i].id))
            *out = &all.v[i];
    return 0;
}

int raft_remove_peer_write(struct request *req, struct response *resp)
{
    struct raftstore *raft;
    const struct raft_member *member;
    struct str id;
    TRY(named(req, &raft, &id, &member));
    if (member == NULL)
        return 1; /* as Vault: nothing to do */
    /* Who removes itself leads no more afterwards, and a leader has a vote: nothing is noted. */
    bool self = member->self;
    TRY(raftstore_remove(raft, id, &req->err));
    if (!self)
        TRY(autopilot_set_non_voter(active_of(req)->storage, id, false, &req->err));
    return 1;
}

int raft_promote_write(struct request *req, struct response *resp)
{
    struct raftstore *raft;
    const struct raft_member *member;
    struct str id;
    TRY(named(req, &raft, &id, &member));
    if (member == NULL)
        return err_set(&req->err, ERR_BAD_REQUEST, "no member is named " STR_FMT, STR_ARG(id));
    TRY(autopilot_set_non_voter(active_of(req)->storage, id, false, &req->err));
    return raftstore_promote(raft, id, &req->err) < 0 ? -1 : 1;
}

int raft_demote_write(struct request *req, struct response *resp)
{
    struct raftstore *raft;
    const struct raft_member *member;
    struct str id;
    TRY(named(req, &raft, &id, &member));
    if (member == NULL)
        return err_set(&req->err, ERR_BAD_REQUEST, "no member is named " STR_FMT, STR_ARG(id));
    if (member->leader)
        return err_set(&req->err, ERR_BAD_REQUEST,
                       "the active node cannot be demoted: let it step down first");
    TRY(autopilot_set_non_voter(active_of(req)->storage, id, true, &req->err));
    return raftstore_demote(raft, id, &req->err) < 0 ? -1 : 1;
}

/* ---- joining ---- */

int raft_challenge_write(struct request *req, struct response *resp)
{
    AUTO(buf_free) struct buf text = { 0 };
    const struct active *on = active_of(req);
    struct raftstore *raft;
    struct seal_config config;
    struct json *seal;
    uint8_t answer[BOOTSTRAP_ANSWER];
    struct str id = field_str(req, "server_id");
    TRY(raft_of(req, &raft));
    if (id.n == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "no server id provided");
    if (lifecycle_seal_config(on->lifecycle, req->arena, &config, &req->err) <= 0)
        return -1;
    TRY(bootstrap_challenge(on->bootstrap, id, answer, &req->err));
    int sealed = lifecycle_seal_encrypt(on->lifecycle, str_mem(answer, sizeof answer), &text,
                                        &req->err);
    explicit_bzero(answer, sizeof answer);
    TRY(sealed);
    struct str printed = seal_config_print(req->arena, &config);
    TRY(arena_check(req->arena, &req->err));
    TRY(json_parse(req->arena, printed, &seal, NULL, &req->err));
    struct json *data = response_data(resp);
    json_put_str(data, "challenge", base64_encode(req->arena, buf_str(&text)));
    json_put(data, "seal_config", seal);
    return 1;
}

/* A living member of that name at another place is somebody else. */
static int check_name(struct request *req, const struct raft_members *all, struct str id,
                      struct str addr, bool *known)
{
    *known = false;
    for (size_t i = 0; i < all->n; i++) {
        const struct raft_member *m = &all->v[i];
        bool same = str_is(id, m->id);
        *known = *known || same;
        if (same && m->leader)
            return err_set(&req->err, ERR_BAD_REQUEST,
                           "the active node itself is named \"%s\": give this node another node_id "
                           "and cluster_addr", m->id);
        if (same && !str_is(addr, m->addr) && (m->alive || m->leader))
            return err_set(&req->err, ERR_BAD_REQUEST,
                           "a living member is named \"%s\" already, at %s: give this node another "
                           "node_id, or remove that one first", m->id, m->addr);
        if (!same && str_is(addr, m->addr) && (m->alive || m->leader))
            return err_set(&req->err, ERR_BAD_REQUEST,
                           "the member \"%s\" has the address %s already: set cluster_addr of this "
                           "node to an address of its own", m->id, m->addr);
    }
    return 0;
}

/*
 * It joins with an empty store: what it voted and had before is forgotten, so it begins without a
 * vote.  Where that cannot be decided without it, its old place must do.
 */
static int let_in(struct request *req, struct raftstore *raft, struct str id, struct str addr,
                  bool known)
{
    if (known && raftstore_remove(raft, id, &req->err) < 0 && req->err.code != ERR_TIMEOUT)
        return -1;
    req->err = (struct err){ 0 };
    return raftstore_add(raft, id, addr, &req->err);
}

int raft_answer_write(struct request *req, struct response *resp)
{
    AUTO(buf_free) struct buf keyring = { 0 }, sealed = { 0 };
    const struct active *on = active_of(req);
    struct raftstore *raft;
    struct raft_members all;
    bool known;
    struct str id = field_str(req, "server_id"), addr = field_str(req, "cluster_addr"), answer;
    TRY(raft_of(req, &raft));
    if (id.n == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "no server_id provided");
    if (!field_given(req, "answer"))
        return err_set(&req->err, ERR_BAD_REQUEST, "no answer provided");
    if (addr.n == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "no cluster_addr provided");
    if (base64_decode(req->arena, field_str(req, "answer"), &answer, &req->err) < 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "could not base64 decode answer");
    if (!bootstrap_is_answer(on->bootstrap, id, answer))
        return err_set(&req->err, ERR_BAD_REQUEST, "invalid answer given");
    TRY(raftstore_members(raft, req->arena, &all, &req->err));
    TRY(check_name(req, &all, id, addr, &known));
    int found = cluster_keys_read(on->storage, &keyring, &req->err);
    if (found <= 0)
        return found < 0 ? -1 : err_set(&req->err, ERR_INTERNAL,
                                        "could not find raft TLS configuration");
    /* The keys of the cluster leave this node only under the seal's key. */
    TRY(lifecycle_seal_encrypt(on->lifecycle, buf_str(&keyring), &sealed, &req->err));
    TRY(autopilot_set_non_voter(on->storage, id, field_bool(req, "non_voter"), &req->err));
    TRY(let_in(req, raft, id, addr, known));
    autopilot_wake(on->autopilot);
    struct json *data = response_data(resp);
    struct json *peers = json_put_array(data, "peers");
    TRY(raftstore_members(raft, req->arena, &all, &req->err));
    for (size_t i = 0; i < all.n; i++) {
        struct json *p = json_add_object(peers);
        json_put_text(p, "id", all.v[i].id);
        json_put_text(p, "address", all.v[i].addr);
    }
    json_put_str(data, "tls_keyring", base64_encode(req->arena, buf_str(&sealed)));
    return 1;
}

/* ---- autopilot ---- */

int autopilot_config_read(struct request *req, struct response *resp)
{
    struct raftstore *raft;
    struct autopilot_config c;
    TRY(raft_of(req, &raft));
    TRY(autopilot_config_load(active_of(req)->storage, &c, &req->err));
    struct json *data = response_data(resp);
    struct arena *a = req->arena;
    json_put_bool(data, "cleanup_dead_servers", c.cleanup_dead_servers);
    json_put_str(data, "last_contact_threshold", duration_format(a, c.last_contact_threshold_ns));
    json_put_str(data, "dead_server_last_contact_threshold",
                 duration_format(a, c.dead_server_last_contact_threshold_ns));
    json_put_int(data, "max_trailing_logs", c.max_trailing_logs);
    json_put_int(data, "min_quorum", c.min_quorum);
    json_put_str(data, "server_stabilization_time",
                 duration_format(a, c.server_stabilization_time_ns));
    return 1;
}

static void take_seconds(struct request *req, const char *name, int64_t *ns)
{
    if (field_given(req, name)
        && __builtin_mul_overflow(field_seconds(req, name), (int64_t)1000000000, ns))
        *ns = INT64_MAX;
}

int autopilot_config_write(struct request *req, struct response *resp)
{
    const struct active *on = active_of(req);
    struct raftstore *raft;
    struct autopilot_config c;
    TRY(raft_of(req, &raft));
    TRY(autopilot_config_load(on->storage, &c, &req->err));
    if (field_given(req, "cleanup_dead_servers"))
        c.cleanup_dead_servers = field_bool(req, "cleanup_dead_servers");
    if (field_given(req, "max_trailing_logs"))
        c.max_trailing_logs = field_int(req, "max_trailing_logs");
    if (field_given(req, "min_quorum"))
        c.min_quorum = field_int(req, "min_quorum");
    take_seconds(req, "last_contact_threshold", &c.last_contact_threshold_ns);
    take_seconds(req, "dead_server_last_contact_threshold",
                 &c.dead_server_last_contact_threshold_ns);
    take_seconds(req, "server_stabilization_time", &c.server_stabilization_time_ns);
    if (c.dead_server_last_contact_threshold_ns < MINUTE)
        return err_set(&req->err, ERR_BAD_REQUEST,
                       "dead_server_last_contact_threshold should not be set to less than 1m; "
                       "received: " STR_FMT,
                       STR_ARG(duration_format(req->arena,
                                               c.dead_server_last_contact_threshold_ns)));
    /* As Vault 1.8: clean-up without min_quorum is taken; fewer than three voters never remain. */
    TRY(autopilot_config_store(on->storage, &c, &req->err));
    autopilot_wake(on->autopilot);
    return 1;
}

int autopilot_state_read(struct request *req, struct response *resp)
{
    const struct active *on = active_of(req);
    struct raftstore *raft;
    struct autopilot_state state;
    struct arena *a = req->arena;
    TRY(raft_of(req, &raft));
    TRY(autopilot_state(on->autopilot, a, &state, &req->err));
    struct json *data = response_data(resp);
    json_put_bool(data, "healthy", state.healthy);
    json_put_int(data, "failure_tolerance", state.failure_tolerance);
    struct json *servers = json_put_object(data, "servers");
    struct json *voters = json_put_array(data, "voters");
    struct json *others = json_array(a);
    for (size_t i = 0; i < state.n; i++) {
        const struct raft_member *m = state.servers[i].member;
        struct json *s = json_object(a);
        json_put_text(s, "id", m->id);
        json_put_text(s, "name", m->id);
        json_put_text(s, "address", m->addr);
        json_put_text(s, "node_status", m->leader || m->alive ? "alive" : "failed");
        json_put_str(s, "last_contact",
                     duration_format(a, m->leader || m->last_contact_ms < 0
                                            ? 0
                                            : m->last_contact_ms * 1000000));
        json_put_int(s, "last_term", (int64_t)m->last_term);
        json_put_int(s, "last_index", (int64_t)m->last_index);
        json_put_bool(s, "healthy", state.servers[i].healthy);
        json_put_str(s, "stable_since", time_format(a, state.servers[i].stable_since_ns));
        json_put_text(s, "status", m->leader ? "leader" : m->voter ? "voter" : "non-voter");
        json_put(s, "meta", json_null(a));
        json_set(servers, str_of(m->id), s);
        json_add_str(m->voter ? voters : others, str_of(m->id));
        if (m->leader)
            json_put_text(data, "leader", m->id);
    }
    json_put(data, "non_voters", json_first(others) != NULL ? others : json_null(a));
    return 1;
}

/* ---- all nodes ---- */

/* What is known of a node; empty texts: it has not told. */
struct node {
    struct roll_entry told;
    bool active;
};

/* Of the active node, which answers. */
static struct node this_node(struct request *req)
{
    const struct core_settings *c = active_of(req)->settings;
    return (struct node){
        .told = { c->hostname, c->api_addr, c->cluster_addr, STR(VERSION_API), 0 },
        .active = true,
    };
}

/* A member that has not told yet has its place, and its name for a host's. */
static int other_node(struct request *req, const struct raft_member *m, struct node *out)
{
    struct roll *roll = service_roll(lifecycle_service(active_of(req)->lifecycle));
    *out = (struct node){ .told = { .hostname = str_of(m->id), .cluster_addr = str_of(m->addr) } };
    return roll_find(roll, req->arena, str_of(m->id), &out->told, &req->err);
}

static int node_cmp(const void *a, const void *b)
{
    const struct roll_entry *x = &((const struct node *)a)->told;
    const struct roll_entry *y = &((const struct node *)b)->told;
    int order = str_cmp(x->api_addr, y->api_addr);
    return order != 0 ? order : str_cmp(x->cluster_addr, y->cluster_addr);
}

static void put_node(struct request *req, struct json *nodes, const struct node *n)
{
    struct json *o = json_add_object(nodes);
    struct str addr = n->told.cluster_addr;
    json_put_str(o, "hostname", n->told.hostname);
    json_put_str(o, "api_address", n->told.api_addr);
    json_put_str(o, "cluster_address",
                 addr.n == 0 ? STR("") : arena_printf(req->arena, "https://" STR_FMT,
                                                      STR_ARG(addr)));
    json_put_bool(o, "active_node", n->active);
    json_put_str(o, "version", n->told.version);
    if (n->told.seen_ns == 0)
        json_put(o, "last_echo", json_null(req->arena));
    else
        json_put_str(o, "last_echo", time_format(req->arena, n->told.seen_ns));
}

int ha_status_read(struct request *req, struct response *resp)
{
    struct raftstore *raft = active_of(req)->settings->raft;
    struct raft_members all = { 0 };
    if (raft != NULL)
        TRY(raftstore_members(raft, req->arena, &all, &req->err));
    struct node *nodes = arena_array(req->arena, all.n + 1, sizeof *nodes);
    TRY(arena_check(req->arena, &req->err));
    size_t n = 0;
    nodes[n++] = this_node(req);
    for (size_t i = 0; i < all.n; i++)
        if (!all.v[i].self)
            TRY(other_node(req, &all.v[i], &nodes[n++]));
    qsort(nodes, n, sizeof *nodes, node_cmp);
    struct json *list = json_put_array(response_data(resp), "nodes");
    for (size_t i = 0; i < n; i++)
        put_node(req, list, &nodes[i]);
    return arena_check(req->arena, &req->err) < 0 ? -1 : 1;
}
