/* Kv: the commands that read and write secrets in key-value stores of either version. */
#include "cmd/commands.h"
#include "cmd/data.h"
#include "cmd/kv_mount.h"
#include "cmd/output.h"

const struct command command_kv = {
    .name = "kv",
    .usage = "kv <subcommand> [options] [args]",
    .summary = "Interact with Vault's Key-Value storage",
    .help = "  Stores and reads secrets in key-value stores. The same commands serve version 1 "
            "(one\n"
            "  value for a key) and version 2 (the last versions are kept).\n\n"
            "  Store, read and list:\n\n"
            "      $ vault kv put secret/app user=ann password=Tr0ub4dor\n"
            "      $ vault kv get secret/app\n"
            "      $ vault kv list secret/",
};

/* ---- get ---- */

static const struct flag get_flags[] = {
    { .name = "version", .kind = FLAG_INT, .help = "Read this version instead of the newest." },
};

static int get_field(struct command_run *run, const struct json *answer, struct str path, bool v2)
{
    struct str field = flags_str(run->flags, "field");
    const struct json *data = json_member(json_member(answer, "data"), "data");
    if (!v2)
        return output_field(run, answer, field);
    if (data == NULL || data->type == JSON_NULL)
        return command_fail(run, 2, "No data found at " STR_FMT, STR_ARG(path));
    /* "data" means a field of that name, else all fields */
    if (str_is(field, "data") && json_member(data, "data") == NULL)
        return output_field(run, answer, field);
    return output_member(run, data, field);
}

static int get_table(struct command_run *run, const struct json *answer, bool v2)
{
    const struct json *data = json_member(answer, "data");
    const struct json *metadata = json_member(data, "metadata");
    output_warnings(run, answer);
    if (json_is(metadata, JSON_OBJECT)) {
        output_title(run, "Metadata", metadata);
        int rc = output_value(run, metadata);
        if (rc != 0)
            return rc;
        command_gap(run);
    }
    if (v2)
        data = json_member(data, "data");
    if (!json_is(data, JSON_OBJECT))
        return 0;
    output_title(run, "Data", data);
    return output_value(run, data);
}

static int get_run(struct command_run *run)
{
    struct api_answer answer;
    struct kv_mount mount;
    struct coffer_pair version = { "version", "" };
    if (!command_args(run, 1, 1))
        return 1;
    struct str path = command_path(run, run->args[0]);
    int rc = kv_mount_find(run, path, &mount);
    if (rc != 0)
        return rc;
    bool asks_version = mount.v2 && flags_int(run->flags, "version") > 0;
    if (mount.v2)
        path = kv_mount_path(run->arena, &mount, path, "data");
    if (asks_version)
        version.value = flags_str(run->flags, "version").p;
    int found = api_read(run,
                         &(struct api_call){ .method = "GET", .path = path.p, .query = &version,
                                             .n_query = asks_version },
                         &answer);
    if (found < 0)
        return command_fail(run, 2, "Error reading %s: " STR_FMT, path.p, STR_ARG(answer.error));
    if (found == 0)
        return command_fail(run, 2, "No value found at %s", path.p);
    if (flags_str(run->flags, "field").n > 0)
        return get_field(run, answer.json, path, mount.v2);
    if (output_is_wrapped(answer.json) || !command_is_table(run))
        return output_secret(run, answer.json);
    return get_table(run, answer.json, mount.v2);
}

const struct command command_kv_get = {
    .name = "kv get",
    .usage = "kv get [options] KEY",
    .summary = "Retrieves data from the KV store",
    .help = "  Reads the secret at the key, and with version 2 when it was written.\n\n"
            "  Read a secret, one field of it, an older version of it:\n\n"
            "      $ vault kv get secret/app\n"
            "      $ vault kv get -field=password secret/app\n"
            "      $ vault kv get -version=1 secret/app",
    .run = get_run,
    .options = COMMAND_OUTPUT,
    COMMAND_FLAGS(get_flags),
};

/* ---- put, patch ---- */

/* What a write answered. */
static int written(struct command_run *run, struct str path, const struct json *answer)
{
    if (answer != NULL)
        return output_field_or_secret(run, answer);
    if (command_is_table(run))
        command_say(run, "Success! Data written to: " STR_FMT, STR_ARG(path));
    return 0;
}

static int write_to(struct command_run *run, struct str path, const struct json *body)
{
    struct api_answer answer;
    if (api_put(run, path.p, body, &answer) < 0) {
        command_warn(run, "Error writing data to " STR_FMT ": " STR_FMT, STR_ARG(path),
                     STR_ARG(answer.error));
        return output_refused(run, answer.status, answer.json);
    }
    return written(run, path, answer.json);
}

/* Key and data, at least one pair; 0 or the exit status. */
static int key_and_data(struct command_run *run, struct str *path, struct json **data)
{
    struct err err = { 0 };
    if (run->n_args < 1)
        return command_fail(run, 1, "Not enough arguments (expected >1, got %zu)", run->n_args);
    if (run->n_args == 1)
        return command_fail(run, 1, "Must supply data");
    *path = command_path(run, run->args[0]);
    if (data_parse(run, run->args + 1, run->n_args - 1, data, &err) < 0)
        return command_fail(run, 1, "Failed to parse K=V data: %s", err.msg);
    return 0;
}

static const struct flag put_flags[] = {
    { .name = "cas", .kind = FLAG_INT, .fallback = "-1",
      .help = "Write only when the newest version has this number (check-and-set); 0: only when "
              "the "
              "key does not exist; -1: always." },
};

static int put_run(struct command_run *run)
{
    struct json *data, *body;
    struct kv_mount mount;
    struct str path;
    int rc = key_and_data(run, &path, &data);
    if (rc == 0)
        rc = kv_mount_find(run, path, &mount);
    if (rc != 0)
        return rc;
    if (!mount.v2)
        return write_to(run, path, data);
    body = json_object(run->arena);
    json_put(body, "data", data);
    struct json *options = json_put_object(body, "options");
    if (flags_int(run->flags, "cas") > -1)
        json_put_int(options, "cas", flags_int(run->flags, "cas"));
    return write_to(run, kv_mount_path(run->arena, &mount, path, "data"), body);
}

const struct command command_kv_put = {
    .name = "kv put",
    .usage = "kv put [options] KEY [DATA]",
    .summary = "Sets or updates data in the KV store",
    .help = "  Writes the data to the key. All fields that the key had before are replaced; \"kv "
            "patch\"\n"
            "  keeps them. Data is given as key=value, key=@file, key=- (standard input), @file "
            "or -\n"
            "  (a JSON object).\n\n"
            "      $ vault kv put secret/app user=ann password=Tr0ub4dor\n"
            "      $ vault kv put secret/app @data.json\n"
            "      $ echo -n Tr0ub4dor | vault kv put secret/app password=-\n\n"
            "  Write only when nobody else has written since version 3:\n\n"
            "      $ vault kv put -cas=3 secret/app user=eve",
    .run = put_run,
    .options = COMMAND_OUTPUT,
    COMMAND_FLAGS(put_flags),
};

/* The newest version's fields and number; 0 or the exit status. */
static int read_before_patch(struct command_run *run, struct str path, struct json **fields,
                             int64_t *version)
{
    struct api_answer answer;
    int found = api_read(run,
                         &(struct api_call){ .method = "GET", .path = path.p, .unwrapped = true },
                         &answer);
    if (found < 0)
        return command_fail(run, 2, "Error doing pre-read at %s: " STR_FMT, path.p,
                            STR_ARG(answer.error));
    if (found == 0)
        return command_fail(run, 2, "No value found at %s", path.p);
    const struct json *data = json_member(answer.json, "data");
    const struct json *metadata = json_member(data, "metadata");
    struct json *now = json_member(data, "data");
    if (!json_is(metadata, JSON_OBJECT))
        return command_fail(run, 2, "No metadata found at %s; patch only works on existing data",
                            path.p);
    if (!json_is(now, JSON_OBJECT))
        return command_fail(run, 2, "No data found at %s; patch only works on existing data",
                            path.p);
    *fields = now;
    *version = json_get_int(metadata, "version", 0);
    return 0;
}

static int patch_run(struct command_run *run)
{
    struct json *data, *fields = NULL;
    struct kv_mount mount;
    struct str path;
    int64_t version = 0;
    int rc = key_and_data(run, &path, &data);
    if (rc == 0)
        rc = kv_mount_find(run, path, &mount);
    if (rc != 0)
        return rc;
    if (!mount.v2)
        return command_fail(run, 2, "K/V engine mount must be version 2 for patch support");
    path = kv_mount_path(run->arena, &mount, path, "data");
    rc = read_before_patch(run, path, &fields, &version);
    if (rc != 0)
        return rc;
    for (const struct json *m = data->first; m != NULL; m = m->next)
        json_set(fields, m->key, json_copy(run->arena, m));
    struct json *body = json_object(run->arena);
    json_put(body, "data", json_copy(run->arena, fields));
    /* refused when somebody wrote between the reading and now */
    json_put_int(json_put_object(body, "options"), "cas", version);
    return write_to(run, path, body);
}

const struct command command_kv_patch = {
    .name = "kv patch",
    .usage = "kv patch [options] KEY [DATA]",
    .summary = "Sets or updates data in the KV store without overwriting",
    .help = "  Changes the given fields of a secret and keeps the others. Needs a store of "
            "version 2,\n"
            "  and a key that exists; refused when somebody else writes at the same time.\n\n"
            "      $ vault kv patch secret/app password=N3wp4ss",
    .run = patch_run,
    .options = COMMAND_OUTPUT,
};

/* ---- list ---- */

static int list_run(struct command_run *run)
{
    struct api_answer answer;
    struct kv_mount mount;
    if (!command_args(run, 1, 1))
        return 1;
    struct str path = command_path(run, run->args[0]);
    int rc = kv_mount_find(run, path, &mount);
    if (rc != 0)
        return rc;
    if (mount.v2)
        path = kv_mount_path(run->arena, &mount, path, "metadata");
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
    if (found == 0 || !json_is(json_member(answer.json, "data"), JSON_OBJECT))
        return command_fail(run, 2, "No value found at %s", path.p);
    if (keys == NULL)
        return command_fail(run, 2, "No entries found at %s", path.p);
    return output_list(run, answer.json);
}

const struct command command_kv_list = {
    .name = "kv list",
    .usage = "kv list [options] PATH",
    .summary = "List data or secrets",
    .help = "  Lists the keys below the path. Names that end with \"/\" are folders.\n\n"
            "      $ vault kv list secret/",
    .run = list_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
};

/* ---- enable-versioning ---- */

static int enable_versioning_run(struct command_run *run)
{
    struct api_answer answer;
    if (!command_args(run, 1, 1))
        return 1;
    struct str mount = command_mount(run, run->args[0]);
    struct str path = arena_printf(run->arena, "sys/mounts/%s/tune", mount.p);
    struct json *body = json_object(run->arena);
    json_put_text(json_put_object(body, "options"), "version", "2");
    if (api_post(run, path.p, body, &answer) < 0)
        return command_fail(run, 2, "Error tuning secrets engine %s: " STR_FMT, mount.p,
                            STR_ARG(answer.error));
    command_say(run, "Success! Tuned the secrets engine at: %s", mount.p);
    return 0;
}

const struct command command_kv_enable_versioning = {
    .name = "kv enable-versioning",
    .usage = "kv enable-versioning [options] PATH",
    .summary = "Turns on versioning for a KV store",
    .help = "  Turns a store of version 1 into one of version 2. There is no way back.\n\n"
            "      $ vault kv enable-versioning secret",
    .run = enable_versioning_run,
    .options = COMMAND_HTTP,
};
