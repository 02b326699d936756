/* sys/health and sys/leader: what load balancers ask. */
#include "api/call.h"
#include "base/epoch.h"
#include "base/version.h"

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
    bool initialised, sealed;
    int active_code, sealed_code, uninit_code;
};

static struct json *health_object(struct call *c, const struct health *h, const struct active *on)
{
    const char *replication = h->sealed ? "unknown" : "disabled";
    struct json *o = json_object(c->arena);
    if (o != NULL)
        o->keep_order = true;
    json_put_bool(o, "initialized", h->initialised);
    json_put_bool(o, "sealed", h->sealed);
    json_put_bool(o, "standby", h->sealed);
    json_put_bool(o, "performance_standby", false);
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

void health_get(struct call *c)
{
    struct err err = { 0 };
    struct health h = {
        .active_code = code(c, "activecode", 200),
        .sealed_code = code(c, "sealedcode", 503),
        .uninit_code = code(c, "uninitcode", 501),
    };
    /* Codes for roles that this server does not have are still checked. */
    if (h.active_code < 0 || h.sealed_code < 0 || h.uninit_code < 0
        || code(c, "standbycode", 429) < 0 || code(c, "drsecondarycode", 472) < 0
        || code(c, "performancestandbycode", 473) < 0) {
        answer_error(c, 400, STR(""));
        return;
    }
    epoch_enter();
    const struct active *on = lifecycle_active(c->api->settings.lifecycle);
    h.sealed = on == NULL;
    int there = lifecycle_initialised(c->api->settings.lifecycle, &err);
    h.initialised = there > 0;
    int status = !h.initialised ? h.uninit_code : h.sealed ? h.sealed_code : h.active_code;
    if (there < 0)
        answer_failure(c, &err);
    else if (str_is(c->x->req.method, "HEAD") || status == 204)
        answer_empty(c, status);
    else
        answer_json(c, status, health_object(c, &h, on));
    epoch_leave();
}

void leader_get(struct call *c)
{
    struct json *o = json_object(c->arena);
    if (o != NULL)
        o->keep_order = true;
    json_put_bool(o, "ha_enabled", false);
    json_put_bool(o, "is_self", false);
    json_put_text(o, "active_time", "0001-01-01T00:00:00Z");
    json_put_text(o, "leader_address", "");
    json_put_text(o, "leader_cluster_address", "");
    json_put_bool(o, "performance_standby", false);
    json_put_int(o, "performance_standby_last_remote_wal", 0);
    answer_json(c, 200, o);
}
