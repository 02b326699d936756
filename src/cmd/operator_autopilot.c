/* Operator_autopilot: "operator raft autopilot": how the cluster looks after its servers. */
#include <stdlib.h>

#include "cmd/api.h"
#include "cmd/commands.h"
#include "cmd/output.h"
#include "cmd/text.h"
#include "codec/timefmt.h"

const struct command command_operator_raft_autopilot = {
    .name = "operator raft autopilot",
    .usage = "operator raft autopilot <subcommand> [options] [args]",
    .summary = "Interact with Vault's integrated storage autopilot",
    .help = "  Shows and sets how a cluster judges its servers' health and removes dead ones.\n\n"
            "      $ vault operator raft autopilot state",
};

/* ---- get-config ---- */

/* The rows of the configuration: its name in the API, on the command line, and in the table. */
static const struct {
    const char *name, *flag, *title;
    bool is_time;
} settings[] = {
    { "cleanup_dead_servers", "cleanup-dead-servers", "Cleanup Dead Servers", false },
    { "last_contact_threshold", "last-contact-threshold", "Last Contact Threshold", true },
    { "dead_server_last_contact_threshold", "dead-server-last-contact-threshold",
      "Dead Server Last Contact Threshold", true },
    { "server_stabilization_time", "server-stabilization-time", "Server Stabilization Time",
      true },
    { "min_quorum", "min-quorum", "Min Quorum", false },
    { "max_trailing_logs", "max-trailing-logs", "Max Trailing Logs", false },
};

static struct str setting_text(struct arena *a, const struct json *v, bool is_time)
{
    AUTO(buf_free) struct buf text = { 0 };
    int64_t ns;
    text_value(v, &text);
    if (v != NULL && is_time && duration_parse(buf_str(&text), false, &ns, NULL) == 0)
        return duration_format(a, ns);
    return arena_dup(a, buf_str(&text));
}

static int print_config(struct command_run *run, const struct json *data)
{
    struct table t = { .arena = run->arena };
    struct json *o = json_object(run->arena);
    table_key_value(&t);
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        const struct json *v = json_member(data, settings[i].name);
        struct str text = setting_text(run->arena, v, settings[i].is_time);
        table_pair(&t, settings[i].title, STR_FMT, STR_ARG(text));
        json_put(o, settings[i].name, settings[i].is_time ? json_str(run->arena, text)
                                      : v != NULL         ? json_copy(run->arena, v)
                                                          : json_null(run->arena));
    }
    if (!command_is_table(run))
        return output_value(run, o);
    output_table(run, &t, true);
    return 0;
}

static int get_config_run(struct command_run *run)
{
    struct api_answer answer;
    if (run->n_args != 0)
        return command_fail(run, 1, "Incorrect arguments (expected 0, got %zu)", run->n_args);
    int found = api_read(run,
                         &(struct api_call){ .method = "GET",
                                             .path = "sys/storage/raft/autopilot/configuration" },
                         &answer);
    if (found < 0)
        return command_fail(run, 2, STR_FMT, STR_ARG(answer.error));
    return found == 0 ? 0 : print_config(run, json_member(answer.json, "data"));
}

const struct command command_operator_raft_autopilot_get_config = {
    .name = "operator raft autopilot get-config",
    .usage = "operator raft autopilot get-config [options]",
    .summary = "Returns the configuration of the autopilot subsystem under integrated storage",
    .help = "  Prints the settings.\n\n      $ vault operator raft autopilot get-config",
    .run = get_config_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
};

/* ---- set-config ---- */

static const struct flag set_flags[] = {
    { .name = "cleanup-dead-servers", .kind = FLAG_BOOL, .help = "Remove dead servers." },
    { .name = "last-contact-threshold", .kind = FLAG_DURATION,
      .help = "A server unheard of for longer is not healthy." },
    { .name = "dead-server-last-contact-threshold", .kind = FLAG_DURATION,
      .help = "A server unheard of for longer is dead." },
    { .name = "max-trailing-logs", .kind = FLAG_INT,
      .help = "A server that lags behind by more log entries is not healthy." },
    { .name = "min-quorum", .kind = FLAG_INT,
      .help = "Number of servers below which no dead one is removed." },
    { .name = "server-stabilization-time", .kind = FLAG_DURATION,
      .help = "How long a new server must be healthy before it gets a vote." },
};

/* -1: said so. */
static int put_setting(struct command_run *run, size_t i, struct json *body)
{
    const char *name = settings[i].name, *flag = settings[i].flag;
    int64_t n = settings[i].is_time ? flags_ns(run->flags, flag)
                : i == 0            ? 0
                                    : flags_int(run->flags, flag);
    if (n < 0)
        return command_fail(run, -1, "-%s cannot be negative", flag);
    if (settings[i].is_time)
        json_put_str(body, name, duration_format(run->arena, n));
    else if (i == 0)
        json_put_bool(body, name, flags_bool(run->flags, flag));
    else
        json_put_int(body, name, n);
    return 0;
}

static int set_config_run(struct command_run *run)
{
    struct api_answer answer;
    struct json *body = json_object(run->arena);
    if (run->n_args != 0)
        return command_fail(run, 1, "Incorrect arguments (expected 0, got %zu)", run->n_args);
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        if (flags_given(run->flags, settings[i].flag) && put_setting(run, i, body) < 0)
            return 1;
    if (api_put(run, "sys/storage/raft/autopilot/configuration", body, &answer) < 0)
        return command_fail(run, 2, STR_FMT, STR_ARG(answer.error));
    return answer.json != NULL ? output_secret(run, answer.json) : 0;
}

const struct command command_operator_raft_autopilot_set_config = {
    .name = "operator raft autopilot set-config",
    .usage = "operator raft autopilot set-config [options]",
    .summary = "Modify the configuration of the autopilot subsystem under integrated storage",
    .help = "  Changes the settings that are named; the others stay.\n\n"
            "      $ vault operator raft autopilot set-config -cleanup-dead-servers=true "
            "-min-quorum=3",
    .run = set_config_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
    COMMAND_FLAGS(set_flags),
};

/* ---- state ---- */

static int by_key(const void *a, const void *b)
{
    return str_cmp((*(const struct json *const *)a)->key, (*(const struct json *const *)b)->key);
}

/* The members of an object in the order of their names. */
static const struct json **sorted_members(struct arena *a, const struct json *o, size_t *n)
{
    size_t count = o != NULL ? o->count : 0;
    const struct json **list = (const struct json **)arena_array(a, count + 1, sizeof *list);
    *n = 0;
    for (const struct json *m = json_first(o); list != NULL && m != NULL; m = m->next)
        list[(*n)++] = m;
    if (*n > 0)
        qsort(list, *n, sizeof *list, by_key);
    return list;
}

static void print_meta(const struct command_run *run, const struct json *m)
{
    AUTO(buf_free) struct buf text = { 0 };
    text_quoted(m->key, &text);
    buf_add(&text, STR(": "));
    text_quoted(m->text, &text);
    command_say(run, "         " STR_FMT, STR_ARG(buf_str(&text)));
}

static void print_server(const struct command_run *run, const struct json *s)
{
    static const struct {
        const char *title, *name;
    } rows[] = {
        { "Name:", "name" },         { "Address:", "address" },
        { "Status:", "status" },     { "Node Status:", "node_status" },
        { "Healthy:", "healthy" },   { "Last Contact:", "last_contact" },
        { "Last Term:", "last_term" }, { "Last Index:", "last_index" },
    };
    struct str id = json_get_str(s, "id");
    command_say(run, "   " STR_FMT, STR_ARG(id));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(buf_free) struct buf text = { 0 };
        text_value(json_member(s, rows[i].name), &text);
        command_say(run, "      %-16s " STR_FMT, rows[i].title, STR_ARG(buf_str(&text)));
    }
    const struct json *meta = json_member(s, "meta");
    if (meta == NULL || meta->count == 0)
        return;
    command_say(run, "      Meta");
    size_t n;
    const struct json **list = sorted_members(run->arena, meta, &n);
    for (size_t i = 0; i < n; i++)
        print_meta(run, list[i]);
}

static void print_names(const struct command_run *run, const char *title,
                        const struct json *names, bool even_none)
{
    if (names == NULL || (names->count == 0 && !even_none))
        return;
    command_say(run, "%s", title);
    for (const struct json *n = names->first; n != NULL; n = n->next)
        command_say(run, "   " STR_FMT, STR_ARG(n->text));
}

static void print_state(struct command_run *run, const struct json *data)
{
    struct str leader = json_get_str(data, "leader");
    size_t n;
    const struct json **list = sorted_members(run->arena, json_member(data, "servers"), &n);
    command_say(run, "Healthy:                      %s",
                json_get_bool(data, "healthy", false) ? "true" : "false");
    command_say(run, "Failure Tolerance:            %lld",
                (long long)json_get_int(data, "failure_tolerance", 0));
    command_say(run, "Leader:                       " STR_FMT, STR_ARG(leader));
    print_names(run, "Voters:", json_member(data, "voters"), true);
    print_names(run, "Non Voters:", json_member(data, "non_voters"), false);
    command_say(run, "Servers:");
    for (size_t i = 0; i < n; i++)
        print_server(run, list[i]);
}

/* ---- state, for programs: the names that Vault's own client gives it ---- */

/* A member of Vault's type; in its place an empty one when the server does not send it. */
struct member {
    const char *name, *of_server;
    enum json_type type;
};

static void put_member(struct json *to, const struct member *m, const struct json *from)
{
    struct json *v = json_member(from, m->of_server);
    if (v != NULL)
        json_put(to, m->name, json_copy(to->arena, v));
    else if (m->type == JSON_STRING)
        json_put_str(to, m->name, STR(""));
    else if (m->type == JSON_NUMBER)
        json_put_int(to, m->name, 0);
    else if (m->type == JSON_BOOL)
        json_put_bool(to, m->name, false);
    else
        json_put(to, m->name, json_null(to->arena));
}

static struct json *server_value(struct arena *a, const struct json *server)
{
    static const struct member members[] = {
        { "ID", "id", JSON_STRING },
        { "Name", "name", JSON_STRING },
        { "Address", "address", JSON_STRING },
        { "NodeStatus", "node_status", JSON_STRING },
        { "LastContact", "last_contact", JSON_STRING },
        { "LastTerm", "last_term", JSON_NUMBER },
        { "LastIndex", "last_index", JSON_NUMBER },
        { "Healthy", "healthy", JSON_BOOL },
        { "StableSince", "stable_since", JSON_STRING },
        { "Status", "status", JSON_STRING },
        { "Meta", "meta", JSON_OBJECT },
    };
    struct json *o = json_object(a);
    if (o == NULL)
        return NULL;
    o->keep_order = true;
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        put_member(o, &members[i], server);
    return o;
}

static struct json *state_value(struct arena *a, const struct json *data)
{
    static const struct member members[] = {
        { "Healthy", "healthy", JSON_BOOL },
        { "FailureTolerance", "failure_tolerance", JSON_NUMBER },
        { "Servers", NULL, JSON_OBJECT },
        { "Leader", "leader", JSON_STRING },
        { "Voters", "voters", JSON_ARRAY },
        { "NonVoters", "non_voters", JSON_ARRAY },
    };
    struct json *o = json_object(a), *servers = json_object(a);
    const struct json *from = json_member(data, "servers");
    if (o == NULL || servers == NULL)
        return NULL;
    o->keep_order = true;
    for (const struct json *s = json_first(from); s != NULL; s = s->next)
        json_append(servers, s->key, server_value(a, s));
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        if (members[i].of_server != NULL)
            put_member(o, &members[i], data);
        else
            json_put(o, members[i].name, from != NULL ? servers : json_null(a));
    return o;
}

static int state_run(struct command_run *run)
{
    struct api_answer answer;
    if (run->n_args != 0)
        return command_fail(run, 1, "Incorrect arguments (expected 0, got %zu)", run->n_args);
    int found = api_read(run, &(struct api_call){ .method = "GET",
                                                  .path = "sys/storage/raft/autopilot/state" },
                         &answer);
    if (found < 0)
        return command_fail(run, 2, "Error checking autopilot state: " STR_FMT,
                            STR_ARG(answer.error));
    if (found == 0)
        return 0;
    const struct json *data = json_member(answer.json, "data");
    if (strcmp(run->format, "json") == 0 || strcmp(run->format, "yaml") == 0)
        return output_value(run, state_value(run->arena, data));
    print_state(run, data);
    command_gap(run);
    return 0;
}

const struct command command_operator_raft_autopilot_state = {
    .name = "operator raft autopilot state",
    .usage = "operator raft autopilot state [options]",
    .summary = "Displays the state of the raft cluster under integrated storage",
    .help = "  Prints how healthy the cluster and each of its servers are.\n\n"
            "      $ vault operator raft autopilot state",
    .run = state_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
};
