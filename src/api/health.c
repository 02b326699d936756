/* sys/health and sys/leader: what load balancers ask; what other nodes tell of themselves. */
#include "api/call.h"
#include "base/epoch.h"
#include "base/version.h"
#include "codec/timefmt.h"
#include "core/roll.h"
#include "core/service.h"
#include "storage/ha.h"

/* A status code that the query overrides. -1: not a number. */
static int code(const struct call *c, const char *name, int otherwise)
{
    struct str text;
    int64_t n;
    if (url_query_get(&c->query, str_of(name), &text) <= 0)
        return otherwise;
    return str_to_i64(text, &n) && n >= 100 && n <= 999 ? (int)n : -1;
}

struct health {
    bool initialised, sealed, standby, reads; /* reads: a standby that answers reads itself */
    int status;
};

static struct json *health_object(struct call *c, const struct health *h, const struct active *on)
{
    const char *replication = h->sealed ? "unknown" : "disabled";
    struct json *o = json_object(c->arena);
    if (o != NULL)
        o->keep_order = true;
    json_put_bool(o, "initialized", h->initialised);
    json_put_bool(o, "sealed", h->sealed);
    json_put_bool(o, "standby", h->sealed || h->standby);
    json_put_bool(o, "performance_standby", h->reads);
    json_put_text(o, "replication_performance_mode", replication);
    json_put_text(o, "replication_dr_mode", replication);
    json_put_int(o, "server_time_utc", clock_now_s(c->api->settings.core->clock));
    json_put_text(o, "version", VERSION_FULL);
    if (on != NULL) {
        json_put_str(o, "cluster_name", on->cluster_name);
        json_put_str(o, "cluster_id", on->cluster_id);
    }
    return o;
}

/* A switch of the query: there, and not "false". */
static bool asked(const struct call *c, const char *name)
{
    struct str value;
    return url_query_get(&c->query, str_of(name), &value) > 0 && !str_is(value, "false");
}

/* What the query says a load balancer is to see. -1: a code is no number. */
static int pick_status(const struct call *c, const struct health *h)
{
    int active = code(c, "activecode", 200), sealed = code(c, "sealedcode", 503);
    int uninit = code(c, "uninitcode", 501), standby = code(c, "standbycode", 429);
    int reads = code(c, "performancestandbycode", 473);
    /* Codes for roles that this server does not have are still checked. */
    if (active < 0 || sealed < 0 || uninit < 0 || standby < 0 || reads < 0
        || code(c, "drsecondarycode", 472) < 0)
        return -1;
    if (!h->initialised)
        return uninit;
    if (h->sealed)
        return sealed;
    if (h->reads && !asked(c, "perfstandbyok") && !asked(c, "standbyok"))
        return reads;
    if (h->standby && !h->reads && !asked(c, "standbyok"))
        return standby;
    return active;
}

void health_get(struct call *c)
{
    struct err err = { 0 };
    struct lifecycle *l = c->api->settings.lifecycle;
    enum service_mode mode = service_mode(lifecycle_service(l));
    epoch_enter();
    const struct active *on = lifecycle_active(l);
    struct health h = {
        .sealed = mode == SERVICE_OFF,
        .standby = mode == SERVICE_STANDBY || mode == SERVICE_TURNING,
        .reads = on != NULL && on->standby && !on->settings->forward_reads,
    };
    int there = lifecycle_initialised(l, &err);
    h.initialised = there > 0;
    int status = pick_status(c, &h);
    if (status < 0)
        answer_error(c, 400, STR(""));
    else if (there < 0)
        answer_failure(c, &err);
    else if (str_is(c->x->req.method, "HEAD") || status == 204)
        answer_empty(c, status);
    else
        answer_json(c, status, health_object(c, &h, on));
    epoch_leave();
}

/* "2006-01-02T15:04:05Z" of the moment when this node became active; Go's zero time otherwise. */
static struct str active_time(struct call *c, struct service *s)
{
    int64_t since = service_active_since_ns(s);
    return since == 0 ? STR("0001-01-01T00:00:00Z") : time_format(c->arena, since);
}

static void put_leader(struct call *c, struct json *o, const struct service_leader *leader)
{
    struct str cluster = str_of(leader->cluster_addr);
    json_put_str(o, "leader_address", arena_dup(c->arena, str_of(leader->api_addr)));
    json_put_str(o, "leader_cluster_address",
                 cluster.n == 0 ? STR("")
                                : arena_printf(c->arena, "https://" STR_FMT, STR_ARG(cluster)));
}

void leader_get(struct call *c)
{
    struct lifecycle *l = c->api->settings.lifecycle;
    struct service *s = lifecycle_service(l);
    struct ha *ha = c->api->settings.core->ha;
    struct service_leader leader = { 0 };
    struct json *o = json_object(c->arena);
    uint64_t committed, applied;
    if (ha != NULL && service_mode(s) == SERVICE_OFF) {
        answer_error(c, 503, STR("Vault is sealed"));
        return;
    }
    if (o != NULL)
        o->keep_order = true;
    if (ha != NULL)
        (void)service_leader(s, &leader);
    epoch_enter();
    const struct active *on = lifecycle_active(l);
    bool reads = on != NULL && on->standby && !on->settings->forward_reads;
    epoch_leave();
    json_put_bool(o, "ha_enabled", ha != NULL);
    json_put_bool(o, "is_self", ha != NULL && service_mode(s) == SERVICE_ACTIVE);
    json_put_str(o, "active_time", ha == NULL ? STR("0001-01-01T00:00:00Z") : active_time(c, s));
    put_leader(c, o, &leader);
    json_put_bool(o, "performance_standby", reads);
    json_put_int(o, "performance_standby_last_remote_wal", 0);
    if (ha != NULL) {
        ha->ops->index(ha, &committed, &applied);
        json_put_int(o, "raft_committed_index", (int64_t)committed);
        json_put_int(o, "raft_applied_index", (int64_t)applied);
    }
    answer_json(c, 200, o);
}

void echo_put(struct call *c)
{
    struct err err = { 0 };
    struct json *body;
    struct roll *roll = service_roll(lifecycle_service(c->api->settings.lifecycle));
    if (read_object(c, &body, &err) < 0) {
        answer_failure(c, &err);
        return;
    }
    struct roll_entry e = {
        .hostname = json_get_str(body, "hostname"),
        .api_addr = json_get_str(body, "api_address"),
        .cluster_addr = json_get_str(body, "cluster_address"),
        .version = json_get_str(body, "version"),
        .seen_ns = clock_now_ns(c->api->settings.core->clock),
    };
    if (roll_note(roll, c->x->req.member, &e, &err) < 0)
        answer_failure(c, &err);
    else
        answer_empty(c, 204);
}
