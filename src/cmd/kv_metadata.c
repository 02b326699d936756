/* Kv_metadata: the commands about a key's metadata in stores of version 2. */
#include <stdio.h>
#include <stdlib.h>

#include "cmd/commands.h"
#include "cmd/kv_mount.h"
#include "cmd/output.h"
#include "codec/timefmt.h"

const struct command command_kv_metadata = {
    .name = "kv metadata",
    .usage = "kv metadata <subcommand> [options] [args]",
    .summary = "Interact with Vault's Key-Value storage",
    .help = "  Reads, changes and deletes what a store of version 2 knows of a key beside its "
            "data.\n\n"
            "      $ vault kv metadata put -max-versions=5 secret/app\n"
            "      $ vault kv metadata get secret/app\n"
            "      $ vault kv metadata delete secret/app",
};

/* The API's path of the key's metadata; 0 or the exit status. */
static int locate(struct command_run *run, struct str *path)
{
    struct kv_mount mount;
    if (!command_args(run, 1, 1))
        return 1;
    *path = command_path(run, run->args[0]);
    int rc = kv_mount_find(run, *path, &mount);
    if (rc != 0)
        return rc;
    if (!mount.v2)
        return command_fail(run, 1, "Metadata not supported on KV Version 1");
    *path = kv_mount_path(run->arena, &mount, *path, "metadata");
    return 0;
}

static int by_number(const void *a, const void *b)
{
    int64_t x = 0, y = 0;
    bool ok = str_to_i64((*(const struct json *const *)a)->key, &x) &&
              str_to_i64((*(const struct json *const *)b)->key, &y);
    return !ok || x == y ? 0 : x < y ? -1 : 1;
}

static int print_versions(struct command_run *run, const struct json *versions)
{
    size_t n = 0;
    const struct json **list = (const struct json **)arena_array(run->arena, versions->count + 1,
                                                                 sizeof *list);
    if (list == NULL)
        return command_out_of_memory(run);
    for (const struct json *v = versions->first; v != NULL; v = v->next)
        list[n++] = v;
    qsort(list, n, sizeof *list, by_number);
    for (size_t i = 0; i < n; i++) {
        char title[64];
        snprintf(title, sizeof title, "Version " STR_FMT, STR_ARG(str_head(list[i]->key, 40)));
        command_gap(run);
        output_title(run, title, list[i]);
        int rc = output_value(run, list[i]);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int get_run(struct command_run *run)
{
    struct api_answer answer;
    struct str path;
    int rc = locate(run, &path);
    if (rc != 0)
        return rc;
    int found = api_read(run, &(struct api_call){ .method = "GET", .path = path.p }, &answer);
    if (found < 0)
        return command_fail(run, 2, "Error reading %s: " STR_FMT, path.p, STR_ARG(answer.error));
    if (found == 0)
        return command_fail(run, 2, "No value found at %s", path.p);
    if (flags_str(run->flags, "field").n > 0 || output_is_wrapped(answer.json) ||
        !command_is_table(run))
        return output_field_or_secret(run, answer.json);
    struct json *versions = json_remove(json_member(answer.json, "data"), STR("versions"));
    if (!json_is(versions, JSON_OBJECT))
        return command_fail(run, 2, "No value found at %s", path.p);
    output_title(run, "Metadata", json_member(answer.json, "data"));
    rc = output_secret(run, answer.json);
    return rc != 0 ? rc : print_versions(run, versions);
}

const struct command command_kv_metadata_get = {
    .name = "kv metadata get",
    .usage = "kv metadata get [options] KEY",
    .summary = "Retrieves key metadata from the KV store",
    .help = "  Prints a key's metadata and when each of its versions was written and deleted.\n\n"
            "      $ vault kv metadata get secret/app",
    .run = get_run,
    .options = COMMAND_OUTPUT,
};

static const struct flag put_flags[] = {
    { .name = "max-versions", .kind = FLAG_INT, .fallback = "0",
      .help = "Number of versions to keep; 0: as the store is configured." },
    { .name = "cas-required", .kind = FLAG_BOOL,
      .help = "Refuse writes to this key that do not name the version they follow (-cas)." },
    { .name = "delete-version-after", .kind = FLAG_DURATION,
      .help = "Delete each version this long after it was written, \"3h25m19s\"; 0s: as the "
              "store is "
              "configured." },
};

static int put_run(struct command_run *run)
{
    struct api_answer answer;
    struct str path;
    int rc = locate(run, &path);
    if (rc != 0)
        return rc;
    struct json *body = json_object(run->arena);
    json_put_int(body, "max_versions", flags_int(run->flags, "max-versions"));
    json_put_bool(body, "cas_required", flags_bool(run->flags, "cas-required"));
    if (flags_given(run->flags, "delete-version-after") &&
        flags_ns(run->flags, "delete-version-after") >= 0)
        json_put_str(body, "delete_version_after",
                     duration_format(run->arena, flags_ns(run->flags, "delete-version-after")));
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

const struct command command_kv_metadata_put = {
    .name = "kv metadata put",
    .usage = "kv metadata put [options] KEY",
    .summary = "Sets or updates key settings in the KV store",
    .help = "  Sets how many versions of a key are kept, for how long, and whether writes must be\n"
            "  checked. Makes the key when it does not exist; its data does not change.\n\n"
            "      $ vault kv metadata put -max-versions=5 -delete-version-after=720h secret/app",
    .run = put_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
    COMMAND_FLAGS(put_flags),
};

static int delete_run(struct command_run *run)
{
    struct api_answer answer;
    struct str path;
    int rc = locate(run, &path);
    if (rc != 0)
        return rc;
    if (api_delete(run, path.p, &answer) < 0) {
        command_warn(run, "Error deleting %s: " STR_FMT, path.p, STR_ARG(answer.error));
        return output_refused(run, answer.status, answer.json);
    }
    command_say(run, "Success! Data deleted (if it existed) at: %s", path.p);
    return 0;
}

const struct command command_kv_metadata_delete = {
    .name = "kv metadata delete",
    .usage = "kv metadata delete [options] PATH",
    .summary = "Deletes all versions and metadata for a key in the KV store",
    .help = "  Removes a key with all its versions for good.\n\n"
            "      $ vault kv metadata delete secret/app",
    .run = delete_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
};
