/* Generic: the commands that know nothing of what a path means: read, write, list, delete ... */
#include "cmd/api.h"
#include "cmd/commands.h"
#include "cmd/data.h"
#include "cmd/output.h"

/* Vault names one argument where it takes more. */
static bool has_path(struct command_run *run)
{
    if (run->n_args == 0)
        command_warn(run, "Not enough arguments (expected 1, got 0)");
    return run->n_args > 0;
}

/* ---- read ---- */

static int read_run(struct command_run *run)
{
    struct err err = { 0 };
    struct api_answer answer;
    struct coffer_pair *query;
    size_t n;
    if (!has_path(run))
        return 1;
    struct str path = command_path(run, run->args[0]);
    if (data_parse_query(run, run->args + 1, run->n_args - 1, &query, &n, &err) < 0)
        return command_fail(run, 1, "Failed to parse K=V data: %s", err.msg);
    int found = api_read(run,
                         &(struct api_call){ .method = "GET", .path = path.p, .query = query,
                                             .n_query = n },
                         &answer);
    if (found < 0)
        return command_fail(run, 2, "Error reading %s: " STR_FMT, path.p, STR_ARG(answer.error));
    if (found == 0)
        return command_fail(run, 2, "No value found at %s", path.p);
    return output_field_or_secret(run, answer.json);
}

const struct command command_read = {
    .name = "read",
    .usage = "read [options] PATH [DATA K=V...]",
    .summary = "Read data and retrieves secrets",
    .help = "  Reads what is at the path: a stored secret, a credential made on the spot, or a "
            "part of\n"
            "  the configuration. Data becomes parameters of the query.\n\n"
            "  Read a secret from a key-value store of version 1:\n\n"
            "      $ vault read secret/my-secret\n\n"
            "  Print one field only:\n\n"
            "      $ vault read -field=password secret/my-secret",
    .run = read_run,
    .options = COMMAND_OUTPUT,
};

/* ---- write ---- */

static const struct flag write_flags[] = {
    { .name = "force", .kind = FLAG_BOOL, .alias = "f",
      .help = "Write even when no data is given, for paths that need none." },
};

/* Path and data of write and patch.  False: said what is wrong with them. */
static bool take_data(struct command_run *run, struct str *path, struct json **data)
{
    struct err err = { 0 };
    if (!has_path(run))
        return false;
    if (run->n_args == 1 && !flags_bool(run->flags, "force")) {
        command_warn(run, "Must supply data or use -force");
        return false;
    }
    *path = command_path(run, run->args[0]);
    if (data_parse(run, run->args + 1, run->n_args - 1, data, &err) == 0)
        return true;
    command_warn(run, "Failed to parse K=V data: %s", err.msg);
    return false;
}

static int tell_written(struct command_run *run, struct str path, const struct api_answer *answer)
{
    if (answer->json != NULL)
        return output_field_or_secret(run, answer->json);
    if (command_is_table(run))
        command_say(run, "Success! Data written to: %s", path.p);
    return 0;
}

static int write_run(struct command_run *run)
{
    struct api_answer answer;
    struct json *data;
    struct str path;
    if (!take_data(run, &path, &data))
        return 1;
    if (api_put(run, path.p, run->n_args == 1 ? NULL : data, &answer) < 0) {
        command_warn(run, "Error writing data to %s: " STR_FMT, path.p, STR_ARG(answer.error));
        return output_refused(run, answer.status, answer.json);
    }
    return tell_written(run, path, &answer);
}

const struct command command_write_data = {
    .name = "write",
    .usage = "write [options] PATH [DATA K=V...]",
    .summary = "Write data, configuration, and secrets",
    .help = "  Writes data to the path. What that means is the path's business: store it, "
            "configure\n"
            "  something, log in, encrypt. Data is given as key=value, key=@file, key=- (standard\n"
            "  input), @file (a JSON object) or - (a JSON object from standard input). A value "
            "that\n"
            "  begins with \"@\" is written as \"\\@...\".\n\n"
            "  Store a secret in a key-value store of version 1:\n\n"
            "      $ vault write secret/my-secret password=Tr0ub4dor\n\n"
            "  Make an encryption key, which takes no data:\n\n"
            "      $ vault write -f transit/keys/my-key",
    .run = write_run,
    .options = COMMAND_OUTPUT,
    COMMAND_FLAGS(write_flags),
};

/* ---- patch ---- */

static int patch_run(struct command_run *run)
{
    struct api_answer answer;
    struct json *data;
    struct str path;
    if (!take_data(run, &path, &data))
        return 1;
    if (api_send(run,
                 &(struct api_call){ .method = "PATCH", .path = path.p,
                                     .body = run->n_args == 1 ? json_object(run->arena) : data },
                 &answer) == 0)
        return tell_written(run, path, &answer);
    command_warn(run, "Error writing data to %s: " STR_FMT, path.p, STR_ARG(answer.error));
    if (answer.status == 405)
        command_caution(run, "The server cannot patch this path. \"write\" replaces what is there; "
                             "\"kv patch\" changes single fields of a secret in a key-value store "
                             "of version 2.");
    return output_refused(run, answer.status, answer.json);
}

const struct command command_patch = {
    .name = "patch",
    .usage = "patch [options] PATH [DATA K=V...]",
    .summary = "Patch data, configuration, and secrets",
    .help = "  Changes the given fields of what is at the path, and leaves its others alone (HTTP "
            "PATCH\n"
            "  with a JSON merge patch). Not every path, and no server of Vault 1.8's API, can do "
            "that.\n"
            "  Data is given as for \"write\".\n\n"
            "  Change one parameter of a role:\n\n"
            "      $ vault patch pki/roles/example allow_localhost=false",
    .run = patch_run,
    .options = COMMAND_OUTPUT,
    COMMAND_FLAGS(write_flags),
};

/* ---- list ---- */

static int list_run(struct command_run *run)
{
    struct api_answer answer;
    if (!command_args(run, 1, 1))
        return 1;
    struct str path = command_path(run, run->args[0]);
    int found = api_list(run, path.p, &answer);
    if (found < 0)
        return command_fail(run, 2, "Error listing %s: " STR_FMT, path.p, STR_ARG(answer.error));
    if (found > 0 && output_is_wrapped(answer.json))
        return output_secret(run, answer.json);
    const struct json *keys = found > 0 ? output_keys(answer.json) : NULL;
    if (!command_is_table(run) && keys == NULL) {
        output_value(run, json_object(run->arena));
        return 2;
    }
    if (found == 0)
        return command_fail(run, 2, "No value found at %s", path.p);
    if (!json_is(json_member(answer.json, "data"), JSON_OBJECT))
        return output_secret(run, answer.json);
    if (keys == NULL)
        return command_fail(run, 2, "No entries found at %s", path.p);
    return output_list(run, answer.json);
}

const struct command command_list = {
    .name = "list",
    .usage = "list [options] PATH",
    .summary = "List data or secrets",
    .help = "  Lists the names below the path. Names that end with \"/\" are folders.\n\n"
            "  List what a key-value store of version 1 holds:\n\n"
            "      $ vault list secret/",
    .run = list_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
};

/* ---- delete ---- */

static int delete_run(struct command_run *run)
{
    struct err err = { 0 };
    struct api_answer answer;
    struct coffer_pair *query;
    size_t n;
    if (!command_args(run, 1, SIZE_MAX))
        return 1;
    struct str path = command_path(run, run->args[0]);
    if (data_parse_query(run, run->args + 1, run->n_args - 1, &query, &n, &err) < 0)
        return command_fail(run, 1, "Failed to parse string list data: %s", err.msg);
    if (api_send(run,
                 &(struct api_call){ .method = "DELETE", .path = path.p, .query = query,
                                     .n_query = n },
                 &answer) < 0) {
        command_warn(run, "Error deleting %s: " STR_FMT, path.p, STR_ARG(answer.error));
        return output_refused(run, answer.status, answer.json);
    }
    if (answer.json == NULL) {
        if (command_is_table(run))
            command_say(run, "Success! Data deleted (if it existed) at: %s", path.p);
        return 0;
    }
    return output_field_or_secret(run, answer.json);
}

const struct command command_delete = {
    .name = "delete",
    .usage = "delete [options] PATH [DATA K=V...]",
    .summary = "Delete secrets and configuration",
    .help = "  Deletes what is at the path. It is no error when there is nothing.\n\n"
            "  Delete a secret from a key-value store of version 1:\n\n"
            "      $ vault delete secret/my-secret",
    .run = delete_run,
    .options = COMMAND_OUTPUT,
};

/* ---- unwrap ---- */

/* With a token other than ours the request carries that one; with ours the body stays empty. */
static int unwrap_run(struct command_run *run)
{
    struct api_answer answer;
    struct coffer *client;
    struct json *body = NULL;
    if (!command_args(run, 0, 1))
        return 1;
    if (api_client(run, &client) < 0)
        return 2;
    struct str token = run->n_args == 1 ? str_trim(str_of(run->args[0])) : STR("");
    if (token.n > 0 && coffer_token(client)[0] == '\0') {
        char *own = arena_cstr(run->arena, token);
        if (own == NULL || coffer_set_token(client, own) < 0)
            return command_fail(run, 2, "Error unwrapping: the token cannot be sent");
    } else if (token.n > 0 && !str_is(token, coffer_token(client))) {
        body = json_object(run->arena);
        json_put_str(body, "token", token);
    }
    int found = api_read(run,
                         &(struct api_call){ .method = "PUT", .path = "sys/wrapping/unwrap",
                                             .body = body },
                         &answer);
    if (found < 0)
        return command_fail(run, 2, "Error unwrapping: " STR_FMT, STR_ARG(answer.error));
    if (found == 0) {
        if (command_is_table(run))
            command_say(run, "Successfully unwrapped. There was no data in the wrapped secret.");
        return 0;
    }
    if (flags_str(run->flags, "field").n == 0 && output_keys(answer.json) != NULL)
        return output_list(run, answer.json);
    return output_field_or_secret(run, answer.json);
}

const struct command command_unwrap = {
    .name = "unwrap",
    .usage = "unwrap [options] [TOKEN]",
    .summary = "Unwrap a wrapped secret",
    .help = "  Takes out what was put into a wrapping token. That works once. Without an "
            "argument the\n"
            "  token that is in use is taken for the wrapping token.\n\n"
            "  Unwrap what a colleague made with -wrap-ttl:\n\n"
            "      $ vault unwrap s.kT2mEn0mC8GnlJxEmC9FgU3R",
    .run = unwrap_run,
    .options = COMMAND_OUTPUT,
};

/* ---- path-help ---- */

static int path_help_run(struct command_run *run)
{
    static const struct coffer_pair help = { "help", "1" };
    struct api_answer answer;
    if (!command_args(run, 1, 1))
        return 1;
    struct str path = command_path(run, run->args[0]);
    if (api_send(run,
                 &(struct api_call){ .method = "GET", .path = path.p, .query = &help,
                                     .n_query = 1 },
                 &answer) < 0) {
        if (str_find(answer.error, STR("Vault is sealed")) >= 0)
            return command_fail(run, 2, "Error: Vault is sealed.\n\nPaths can only be explained "
                                        "while the server is unsealed, because the help comes "
                                        "from what is mounted.");
        return command_fail(run, 2, "Error retrieving help: " STR_FMT, STR_ARG(answer.error));
    }
    if (strcmp(run->format, "json") == 0)
        return output_value(run, json_member(answer.json, "openapi"));
    struct str help_text = json_get_str(answer.json, "help");
    command_write(help_text);
    command_write(STR("\n"));
    return 0;
}

const struct command command_path_help = {
    .name = "path-help",
    .usage = "path-help [options] PATH",
    .summary = "Retrieve API help for paths",
    .help = "  Prints what a path is for, which parameters it takes and what lies below it. The "
            "path\n"
            "  must be mounted. With -format=json the answer is an OpenAPI document.\n\n"
            "  Help of the whole transit engine, and of one of its paths:\n\n"
            "      $ vault path-help transit\n"
            "      $ vault path-help transit/keys/my-key",
    .run = path_help_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
};
