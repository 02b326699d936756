/* Kv_versions: the commands that delete, restore and destroy versions of a key. */
#include "cmd/commands.h"
#include "cmd/kv_mount.h"
#include "cmd/output.h"

/* {"versions": ["1", "2"]} of "-versions=1,2". */
static struct json *versions_body(struct command_run *run)
{
    struct json *body = json_object(run->arena);
    struct json *list = json_put_array(body, "versions");
    struct strs given = flags_list(run->flags, "versions");
    for (size_t i = 0; i < given.n; i++) {
        struct strs parts = strs_split(run->arena, given.v[i], ',');
        for (size_t j = 0; j < parts.n; j++)
            json_add_str(list, parts.v[j]);
    }
    return body;
}

/* The key's mount and path; 0 or the exit status. */
static int locate(struct command_run *run, struct str *path, struct kv_mount *mount)
{
    if (!command_args(run, 1, 1))
        return 1;
    *path = command_path(run, run->args[0]);
    return kv_mount_find(run, *path, mount);
}

/* ---- delete ---- */

static const struct flag delete_flags[] = {
    { .name = "versions", .kind = FLAG_LIST,
      .help = "Numbers of the versions to delete, commas between them. Without it, the newest." },
};

static int delete_run(struct command_run *run)
{
    struct api_answer answer;
    struct kv_mount mount;
    struct str path;
    int rc = locate(run, &path, &mount);
    if (rc != 0)
        return rc;
    if (mount.v2 && flags_given(run->flags, "versions"))
        rc = api_put(run, kv_mount_path(run->arena, &mount, path, "delete").p, versions_body(run),
                     &answer);
    else
        rc = api_delete(run,
                        mount.v2 ? kv_mount_path(run->arena, &mount, path, "data").p : path.p,
                        &answer);
    if (rc < 0) {
        command_warn(run, "Error deleting %s: " STR_FMT, path.p, STR_ARG(answer.error));
        return output_refused(run, answer.status, answer.json);
    }
    if (answer.json != NULL)
        return output_field_or_secret(run, answer.json);
    if (command_is_table(run))
        command_say(run, "Success! Data deleted (if it existed) at: %s", path.p);
    return 0;
}

const struct command command_kv_delete = {
    .name = "kv delete",
    .usage = "kv delete [options] PATH",
    .summary = "Deletes versions in the KV store",
    .help = "  Deletes the secret at the key. A store of version 2 keeps what was deleted, so "
            "that\n"
            "  \"kv undelete\" brings it back; \"kv destroy\" removes it for good.\n\n"
            "      $ vault kv delete secret/app\n"
            "      $ vault kv delete -versions=2,3 secret/app",
    .run = delete_run,
    .options = COMMAND_OUTPUT,
    COMMAND_FLAGS(delete_flags),
};

/* ---- undelete, destroy ---- */

static int write_versions(struct command_run *run, const char *part, const char *refusal)
{
    struct api_answer answer;
    struct kv_mount mount;
    struct str path;
    if (!command_args(run, 1, 1))
        return 1;
    if (flags_list(run->flags, "versions").n == 0)
        return command_fail(run, 1,
                            "No versions provided, use the \"-versions\" flag to specify the "
                            "version to %s.", part);
    int rc = locate(run, &path, &mount);
    if (rc != 0)
        return rc;
    if (!mount.v2)
        return command_fail(run, 1, "%s not supported on KV Version 1", refusal);
    path = kv_mount_path(run->arena, &mount, path, part);
    if (api_put(run, path.p, versions_body(run), &answer) < 0) {
        command_warn(run, "Error writing data to %s: " STR_FMT, path.p, STR_ARG(answer.error));
        return output_refused(run, answer.status, answer.json);
    }
    if (answer.json != NULL)
        return output_secret(run, answer.json);
    if (command_is_table(run))
        command_say(run, "Success! Data written to: %s", path.p);
    return 0;
}

static const struct flag undelete_flags[] = {
    { .name = "versions", .kind = FLAG_LIST,
      .help = "Numbers of the versions to bring back, commas between them." },
};

static int undelete_run(struct command_run *run)
{
    return write_versions(run, "undelete", "Undelete");
}

const struct command command_kv_undelete = {
    .name = "kv undelete",
    .usage = "kv undelete [options] KEY",
    .summary = "Undeletes versions in the KV store",
    .help = "  Brings back versions that were deleted, but not destroyed.\n\n"
            "      $ vault kv undelete -versions=3 secret/app",
    .run = undelete_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
    COMMAND_FLAGS(undelete_flags),
};

static const struct flag destroy_flags[] = {
    { .name = "versions", .kind = FLAG_LIST,
      .help = "Numbers of the versions to destroy, commas between them." },
};

static int destroy_run(struct command_run *run)
{
    return write_versions(run, "destroy", "Destroy");
}

const struct command command_kv_destroy = {
    .name = "kv destroy",
    .usage = "kv destroy [options] KEY",
    .summary = "Permanently removes one or more versions in the KV store",
    .help = "  Removes the data of versions for good; their metadata stays.\n\n"
            "      $ vault kv destroy -versions=1,2 secret/app",
    .run = destroy_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
    COMMAND_FLAGS(destroy_flags),
};

/* ---- rollback ---- */

static const struct flag rollback_flags[] = {
    { .name = "version", .kind = FLAG_INT, .help = "Number of the version to make current again." },
};

/* Read a version of the key, or the newest; 0 or the exit status. */
static int pre_read(struct command_run *run, struct str path, const char *version,
                    const struct json **metadata, const struct json **data)
{
    struct api_answer answer;
    struct coffer_pair query = { "version", version };
    int found = api_read(run,
                         &(struct api_call){ .method = "GET", .path = path.p, .query = &query,
                                             .n_query = version != NULL, .unwrapped = true },
                         &answer);
    if (found < 0)
        return command_fail(run, 2, "Error doing pre-read at %s: " STR_FMT, path.p,
                            STR_ARG(answer.error));
    if (found == 0)
        return command_fail(run, 2, "No value found at %s", path.p);
    *metadata = json_member(json_member(answer.json, "data"), "metadata");
    *data = json_member(json_member(answer.json, "data"), "data");
    if (!json_is(*metadata, JSON_OBJECT))
        return command_fail(run, 2,
                            "No metadata found at %s; rollback only works on existing data",
                            path.p);
    return 0;
}

static int check_version(struct command_run *run)
{
    if (run->n_args != 1)
        return command_fail(run, 1, "Invalid number of arguments (expected 1, got %zu)",
                            run->n_args);
    if (!flags_given(run->flags, "version"))
        return command_fail(run, 1, "Version flag must be specified");
    if (flags_int(run->flags, "version") <= 0)
        return command_fail(run, 1, "Invalid value %lld for the version flag",
                            (long long)flags_int(run->flags, "version"));
    return 0;
}

static int write_back(struct command_run *run, struct str path, const struct json *data,
                      int64_t newest)
{
    struct api_answer answer;
    struct json *body = json_object(run->arena);
    json_put(body, "data", json_copy(run->arena, data));
    json_put_int(json_put_object(body, "options"), "cas", newest);
    if (api_put(run, path.p, body, &answer) < 0) {
        command_warn(run, "Error writing data to %s: " STR_FMT, path.p, STR_ARG(answer.error));
        return output_refused(run, answer.status, answer.json);
    }
    if (answer.json != NULL)
        return output_secret(run, answer.json);
    if (command_is_table(run))
        command_say(run, "Success! Data written to: %s", path.p);
    return 0;
}

static int rollback_run(struct command_run *run)
{
    struct kv_mount mount;
    struct str path;
    const struct json *newest, *metadata, *data;
    int rc = check_version(run);
    if (rc == 0)
        rc = locate(run, &path, &mount);
    if (rc != 0)
        return rc;
    if (!mount.v2)
        return command_fail(run, 2, "K/V engine mount must be version 2 for rollback support");
    path = kv_mount_path(run->arena, &mount, path, "data");
    rc = pre_read(run, path, NULL, &newest, &data);
    if (rc == 0)
        rc = pre_read(run, path, flags_str(run->flags, "version").p, &metadata, &data);
    if (rc != 0)
        return rc;
    if (json_get_str(metadata, "deletion_time").n > 0)
        return command_fail(run, 2, "Cannot roll back to a version that has been deleted");
    if (json_get_bool(metadata, "destroyed", false))
        return command_fail(run, 2, "Cannot roll back to a version that has been destroyed");
    if (!json_is(data, JSON_OBJECT))
        return command_fail(run, 2, "No data found at %s; rollback only works on existing data",
                            path.p);
    return write_back(run, path, data, json_get_int(newest, "version", 0));
}

const struct command command_kv_rollback = {
    .name = "kv rollback",
    .usage = "kv rollback [options] KEY",
    .summary = "Rolls back to a previous version of data",
    .help = "  Writes an older version's data as a new version. The versions between stay.\n\n"
            "      $ vault kv rollback -version=2 secret/app",
    .run = rollback_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
    COMMAND_FLAGS(rollback_flags),
};
