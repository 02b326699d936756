/* Seal_status: what "status" and "operator unseal" print about a server. */
#include "cmd/seal_status.h"

#include "cmd/api.h"
#include "cmd/output.h"

static const char *truth(const struct json *v, const char *name)
{
    return json_get_bool(v, name, false) ? "true" : "false";
}

static long long number(const struct json *v, const char *name)
{
    return (long long)json_get_int(v, name, 0);
}

static void text_row(struct table *t, const char *title, const struct json *v, const char *name)
{
    struct str s = json_get_str(v, name);
    table_pair(t, title, STR_FMT, STR_ARG(s));
}

static void number_row(struct table *t, const char *title, const struct json *v, const char *name)
{
    if (number(v, name) > 0)
        table_pair(t, title, "%lld", number(v, name));
}

/* A time that is not Go's zero time. */
static bool has_time(struct str s)
{
    return s.n > 0 && !str_starts(s, STR("0001-01-01"));
}

static void leader_rows(struct table *t, const struct json *leader)
{
    bool self = json_get_bool(leader, "is_self", false);
    struct str address = json_get_str(leader, "leader_address");
    text_row(t, "HA Cluster", leader, "leader_cluster_address");
    table_pair(t, "HA Mode", "%s", self ? "active" : "standby");
    if (self && has_time(json_get_str(leader, "active_time")))
        text_row(t, "Active Since", leader, "active_time");
    if (!self)
        table_pair(t, "Active Node Address", STR_FMT,
                   STR_ARG(address.n > 0 ? address : STR("<none>")));
    if (json_get_bool(leader, "performance_standby", false)) {
        table_pair(t, "Performance Standby Node", "true");
        table_pair(t, "Performance Standby Last Remote WAL", "%lld",
                   number(leader, "performance_standby_last_remote_wal"));
    }
}

static void seal_rows(struct table *t, const struct json *s, bool sealed)
{
    bool recovery = json_get_bool(s, "recovery_seal", false);
    text_row(t, recovery ? "Recovery Seal Type" : "Seal Type", s, "type");
    table_pair(t, "Initialized", "%s", truth(s, "initialized"));
    table_pair(t, "Sealed", "%s", truth(s, "sealed"));
    table_pair(t, recovery ? "Total Recovery Shares" : "Total Shares", "%lld", number(s, "n"));
    table_pair(t, "Threshold", "%lld", number(s, "t"));
    if (sealed) {
        table_pair(t, "Unseal Progress", "%lld/%lld", number(s, "progress"), number(s, "t"));
        text_row(t, "Unseal Nonce", s, "nonce");
    }
    if (json_get_bool(s, "migration", false))
        table_pair(t, "Seal Migration in Progress", "true");
    text_row(t, "Version", s, "version");
    text_row(t, "Storage Type", s, "storage_type");
    if (json_get_str(s, "cluster_name").n > 0 && json_get_str(s, "cluster_id").n > 0) {
        text_row(t, "Cluster Name", s, "cluster_name");
        text_row(t, "Cluster ID", s, "cluster_id");
    }
}

static int print_table(struct command_run *run, const struct json *s, const struct json *leader,
                       bool ha)
{
    struct table t = { .arena = run->arena };
    bool sealed = json_get_bool(s, "sealed", false);
    table_key_value(&t);
    seal_rows(&t, s, sealed);
    table_pair(&t, "HA Enabled", "%s", ha ? "true" : "false");
    if (ha && !sealed)
        leader_rows(&t, leader);
    number_row(&t, "Raft Committed Index", leader, "raft_committed_index");
    number_row(&t, "Raft Applied Index", leader, "raft_applied_index");
    number_row(&t, "Last WAL", leader, "last_wal");
    if (arena_failed(run->arena))
        return command_out_of_memory(run);
    output_table(run, &t, true);
    return 0;
}

static void keep(struct json *to, const struct json *from, const char *name, bool even_empty)
{
    const struct json *v = json_member(from, name);
    bool empty = v == NULL || v->type == JSON_NULL || (v->type == JSON_STRING && v->text.n == 0) ||
                 (v->type == JSON_BOOL && !v->truth) || str_is(v->text, "0");
    if (v != NULL && (even_empty || !empty))
        json_put(to, name, json_copy(to->arena, v));
}

/* One object of both answers, as Vault prints it. */
static struct json *merged(struct command_run *run, const struct json *s,
                           const struct json *leader, bool ha)
{
    static const char *const always[] = { "type", "initialized", "sealed", "t", "n", "progress",
                                          "nonce", "version", "migration" };
    static const char *const unless_empty[] = { "cluster_name", "cluster_id" };
    static const char *const of_leader[] = {
        "is_self", "leader_address", "leader_cluster_address", "performance_standby",
        "performance_standby_last_remote_wal", "last_wal", "raft_committed_index",
        "raft_applied_index",
    };
    struct json *o = json_object(run->arena);
    if (o == NULL)
        return NULL;
    o->keep_order = true;
    for (size_t i = 0; i < ARRAY_LEN(always); i++)
        keep(o, s, always[i], true);
    for (size_t i = 0; i < ARRAY_LEN(unless_empty); i++)
        keep(o, s, unless_empty[i], false);
    keep(o, s, "recovery_seal", true);
    keep(o, s, "storage_type", false);
    json_put_bool(o, "ha_enabled", ha);
    struct str active = json_get_str(leader, "active_time");
    json_put_str(o, "active_time", active.n > 0 ? active : STR("0001-01-01T00:00:00Z"));
    for (size_t i = 0; i < ARRAY_LEN(of_leader); i++)
        keep(o, leader, of_leader[i], false);
    return o;
}

int seal_status_print(struct command_run *run, const struct json *status)
{
    struct api_answer leader;
    bool ha = false;
    if (api_send(run, &(struct api_call){ .method = "GET", .path = "sys/leader",
                                          .unwrapped = true }, &leader) == 0) {
        ha = json_get_bool(leader.json, "ha_enabled", false);
    } else if (str_find(leader.error, STR("Vault is sealed")) >= 0) {
        /* only a storage that can be highly available has this said of the leader */
        ha = true;
        leader.json = NULL;
    } else {
        return command_fail(run, 1, "Error checking leader status: " STR_FMT,
                            STR_ARG(leader.error));
    }
    if (command_is_table(run))
        return print_table(run, status, leader.json, ha);
    return output_value(run, merged(run, status, leader.json, ha));
}
