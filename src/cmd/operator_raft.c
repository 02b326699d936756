/* Operator_raft: "operator raft": the servers of a cluster with integrated storage. */
#include "cmd/api.h"
#include "cmd/commands.h"
#include "cmd/file.h"
#include "cmd/output.h"

const struct command command_operator_raft = {
    .name = "operator raft",
    .usage = "operator raft <subcommand> [options] [args]",
    .summary = "Interact with Vault's raft storage backend",
    .help = "  Looks after the servers of a cluster with integrated storage (raft).\n\n"
            "      $ vault operator raft list-peers\n"
            "      $ vault operator raft snapshot save backup.snap",
};

/* ---- list-peers ---- */

static const struct flag dr_flags[] = {
    { .name = "dr-token", .kind = FLAG_STRING,
      .help = "Token for disaster recovery, when this cluster is a secondary." },
};

/* A secondary for disaster recovery has no tokens of its own: it is asked by a write. */
static int ask_configuration(struct command_run *run, struct api_answer *answer)
{
    static const char path[] = "sys/storage/raft/configuration";
    struct json *body = json_object(run->arena);
    if (flags_str(run->flags, "dr-token").n == 0)
        return api_read(run, &(struct api_call){ .method = "GET", .path = path }, answer);
    json_put_str(body, "dr_operation_token", flags_str(run->flags, "dr-token"));
    return api_read(run, &(struct api_call){ .method = "PUT", .path = path, .body = body }, answer);
}

static int list_peers_run(struct command_run *run)
{
    struct api_answer answer;
    if (!command_args(run, 0, 0))
        return 1;
    int found = ask_configuration(run, &answer);
    if (found < 0)
        return command_fail(run, 2, "Error reading the raft cluster configuration: " STR_FMT,
                            STR_ARG(answer.error));
    if (found == 0)
        return command_fail(run, 2, "No raft cluster configuration found");
    if (!command_is_table(run))
        return output_secret(run, answer.json);
    struct table t = { .arena = run->arena };
    table_cell(&t, STR("Node"));
    table_cell(&t, STR("Address"));
    table_cell(&t, STR("State"));
    table_cell(&t, STR("Voter"));
    table_end_row(&t);
    const struct json *config = json_member(json_member(answer.json, "data"), "config");
    for (const struct json *s = json_first(json_member(config, "servers")); s != NULL;
         s = s->next) {
        table_cell(&t, json_get_str(s, "node_id"));
        table_cell(&t, json_get_str(s, "address"));
        table_cell(&t, json_get_bool(s, "leader", false) ? STR("leader") : STR("follower"));
        table_cell(&t, json_get_bool(s, "voter", false) ? STR("true") : STR("false"));
    }
    output_table(run, &t, true);
    return 0;
}

const struct command command_operator_raft_list_peers = {
    .name = "operator raft list-peers",
    .usage = "operator raft list-peers [options]",
    .summary = "Returns the Raft peer set",
    .help = "  Lists the servers of the cluster and says which one leads.\n\n"
            "      $ vault operator raft list-peers",
    .run = list_peers_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
    COMMAND_FLAGS(dr_flags),
};

/* ---- remove-peer ---- */

static int remove_peer_run(struct command_run *run)
{
    struct api_answer answer;
    struct json *body = json_object(run->arena);
    if (run->n_args != 1)
        return command_fail(run, 1, "Incorrect arguments (expected 1, got %zu)", run->n_args);
    struct str id = str_trim(str_of(run->args[0]));
    if (id.n == 0)
        return command_fail(run, 1, "Server id is required");
    json_put_str(body, "server_id", id);
    if (flags_given(run->flags, "dr-token"))
        json_put_str(body, "dr_operation_token", flags_str(run->flags, "dr-token"));
    if (api_post(run, "sys/storage/raft/remove-peer", body, &answer) < 0)
        return command_fail(run, 2, "Error removing the peer from raft cluster: " STR_FMT,
                            STR_ARG(answer.error));
    command_say(run, "Peer removed successfully!");
    return 0;
}

const struct command command_operator_raft_remove_peer = {
    .name = "operator raft remove-peer",
    .usage = "operator raft remove-peer [options] SERVER_ID",
    .summary = "Removes a node from the Raft cluster",
    .help = "  Takes a server out of the cluster. It must not come back with its old data.\n\n"
            "      $ vault operator raft remove-peer node1",
    .run = remove_peer_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
    COMMAND_FLAGS(dr_flags),
};

/* ---- join ---- */

static const struct flag join_flags[] = {
    { .name = "auto-join-scheme", .kind = FLAG_STRING, .fallback = "https",
      .help = "\"http\" or \"https\", for servers that were discovered." },
    { .name = "auto-join-port", .kind = FLAG_INT, .fallback = "8200",
      .help = "Port of servers that were discovered." },
    { .name = "leader-ca-cert", .kind = FLAG_STRING,
      .help = "CA certificate of the leader, PEM; @FILE reads a file." },
    { .name = "leader-client-cert", .kind = FLAG_STRING,
      .help = "Client certificate for the leader, PEM; @FILE reads a file." },
    { .name = "leader-client-key", .kind = FLAG_STRING,
      .help = "Private key of -leader-client-cert, PEM; @FILE reads a file." },
    { .name = "retry", .kind = FLAG_BOOL, .help = "Try until it works." },
    { .name = "non-voter", .kind = FLAG_BOOL,
      .help = "Let this server follow the cluster without a vote." },
};

/* A PEM text, or the file's that "@FILE" names. */
static int put_pem(struct command_run *run, struct json *body, const char *name, const char *flag)
{
    struct err err = { 0 };
    AUTO(buf_free) struct buf text = { 0 };
    struct str v = flags_str(run->flags, flag);
    if (str_starts(v, STR("@"))) {
        if (file_need(v.p + 1, &text, &err) < 0)
            return command_fail(run, -1, "Failed to read -%s: %s", flag, err.msg);
        v = arena_dup(run->arena, buf_str(&text));
    }
    json_put_str(body, name, v);
    return 0;
}

static struct json *join_body(struct command_run *run)
{
    struct json *body = json_object(run->arena);
    struct str leader = run->n_args == 1 ? str_trim(str_of(run->args[0])) : STR("");
    bool discovers = str_find(leader, STR("provider=")) >= 0;
    struct str scheme = flags_str(run->flags, "auto-join-scheme");
    if (!str_is(scheme, "http") && !str_is(scheme, "https")) {
        command_warn(run, "invalid scheme '" STR_FMT "'; must either be http or https",
                     STR_ARG(scheme));
        return NULL;
    }
    json_put_str(body, "auto_join", discovers ? leader : STR(""));
    json_put_str(body, "leader_api_addr", discovers ? STR("") : leader);
    json_put_str(body, "auto_join_scheme", discovers ? scheme : STR(""));
    json_put_int(body, "auto_join_port",
                 discovers ? flags_int(run->flags, "auto-join-port") : 0);
    json_put_bool(body, "retry", flags_bool(run->flags, "retry"));
    json_put_bool(body, "non_voter", flags_bool(run->flags, "non-voter"));
    if (put_pem(run, body, "leader_ca_cert", "leader-ca-cert") < 0 ||
        put_pem(run, body, "leader_client_cert", "leader-client-cert") < 0 ||
        put_pem(run, body, "leader_client_key", "leader-client-key") < 0)
        return NULL;
    return body;
}

static int join_run(struct command_run *run)
{
    struct api_answer answer;
    if (!command_args(run, 0, 1))
        return 1;
    struct json *body = join_body(run);
    if (body == NULL)
        return 1;
    if (api_post(run, "sys/storage/raft/join", body, &answer) < 0)
        return command_fail(run, 2, "Error joining the node to the Raft cluster: " STR_FMT,
                            STR_ARG(answer.error));
    if (!command_is_table(run))
        return output_value(run, answer.json);
    struct table t = { .arena = run->arena };
    table_key_value(&t);
    table_pair(&t, "Joined", "%s", json_get_bool(answer.json, "joined", false) ? "true" : "false");
    output_table(run, &t, true);
    return 0;
}

const struct command command_operator_raft_join = {
    .name = "operator raft join",
    .usage = "operator raft join [options] [LEADER_API_ADDR]",
    .summary = "Joins a node to the Raft cluster",
    .help = "  Makes the server that is asked (a new one) join the cluster of another.\n\n"
            "      $ vault operator raft join https://active.example.com:8200",
    .run = join_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
    COMMAND_FLAGS(join_flags),
};
