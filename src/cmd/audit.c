/* Audit: the commands about audit devices: enable, disable, list. */
#include "cmd/api.h"
#include "cmd/commands.h"
#include "cmd/data.h"
#include "cmd/output.h"

const struct command command_audit = {
    .name = "audit",
    .usage = "audit <subcommand> [options] [args]",
    .summary = "Interact with audit devices",
    .help = "  Audit devices write down every request and answer. With one enabled, a request "
            "that no\n"
            "  device could write down is refused.\n\n"
            "      $ vault audit enable file file_path=/var/log/vault_audit.log\n"
            "      $ vault audit list",
};

/* ---- enable ---- */

static const struct flag enable_flags[] = {
    { .name = "description", .kind = FLAG_STRING, .help = "What this device is for." },
    { .name = "path", .kind = FLAG_STRING,
      .help = "Where to enable it; its type's name when not given." },
    { .name = "local", .kind = FLAG_BOOL, .help = "Keep this device out of replication." },
};

static int enable_run(struct command_run *run)
{
    struct api_answer answer;
    struct err err = { 0 };
    struct json *options, *body = json_object(run->arena);
    if (run->n_args < 1)
        return command_fail(run, 1, "Missing TYPE!");
    struct str type = str_trim(str_of(run->args[0])), given = flags_str(run->flags, "path");
    struct str path = command_mount(run, given.n > 0 ? given.p : run->args[0]);
    if (data_parse_texts(run, run->args + 1, run->n_args - 1, &options, &err) < 0)
        return command_fail(run, 1, "Failed to parse K=V data: %s", err.msg);
    json_put_str(body, "type", type);
    json_put_str(body, "description", flags_str(run->flags, "description"));
    json_put(body, "options", options);
    json_put_bool(body, "local", flags_bool(run->flags, "local"));
    if (api_put(run, arena_printf(run->arena, "sys/audit/%s", path.p).p, body, &answer) < 0)
        return command_fail(run, 2, "Error enabling audit device: " STR_FMT,
                            STR_ARG(answer.error));
    command_say(run, "Success! Enabled the " STR_FMT " audit device at: %s", STR_ARG(type),
                path.p);
    return 0;
}

const struct command command_audit_enable = {
    .name = "audit enable",
    .usage = "audit enable [options] TYPE [CONFIG K=V...]",
    .summary = "Enables an audit device",
    .help = "  Enables an audit device of the type \"file\", \"syslog\" or \"socket\".\n\n"
            "      $ vault audit enable file file_path=/var/log/vault_audit.log",
    .run = enable_run,
    .options = COMMAND_HTTP,
    COMMAND_FLAGS(enable_flags),
};

/* ---- disable ---- */

static int disable_run(struct command_run *run)
{
    struct api_answer answer;
    if (!command_args(run, 1, 1))
        return 1;
    struct str path = command_mount(run, run->args[0]);
    if (api_delete(run, arena_printf(run->arena, "sys/audit/%s", path.p).p, &answer) < 0)
        return command_fail(run, 2, "Error disabling audit device: " STR_FMT,
                            STR_ARG(answer.error));
    command_say(run, "Success! Disabled audit device (if it was enabled) at: %s", path.p);
    return 0;
}

const struct command command_audit_disable = {
    .name = "audit disable",
    .usage = "audit disable [options] PATH",
    .summary = "Disables an audit device",
    .help = "  Disables the audit device at the path. What it has written stays.\n\n"
            "      $ vault audit disable file/",
    .run = disable_run,
    .options = COMMAND_HTTP,
};

/* ---- list ---- */

static const struct flag list_flags[] = {
    { .name = "detailed", .kind = FLAG_BOOL, .help = "Print the options of each device too." },
};

static struct str options_cell(struct table *t, const struct json *device)
{
    struct strs parts = { 0 };
    const struct json *options = json_member(device, "options");
    for (const struct json *o = json_first(options); o != NULL; o = o->next)
        strs_add(t->arena, &parts, arena_printf(t->arena, STR_FMT "=" STR_FMT, STR_ARG(o->key),
                                                STR_ARG(o->text)));
    strs_sort(&parts);
    return strs_join(t->arena, &parts, STR(" "));
}

static void print_devices(struct command_run *run, const struct json *devices)
{
    static const char *const titles[] = { "Path", "Type", "Description", "Replication",
                                          "Options" };
    bool detailed = flags_bool(run->flags, "detailed");
    struct table t = { .arena = run->arena };
    struct strs paths = { 0 };
    for (size_t i = 0; i < (detailed ? ARRAY_LEN(titles) : 3); i++)
        table_cell(&t, str_of(titles[i]));
    table_end_row(&t);
    for (const struct json *d = json_first(devices); d != NULL; d = d->next)
        strs_add(run->arena, &paths, d->key);
    strs_sort(&paths);
    for (size_t i = 0; i < paths.n; i++) {
        const struct json *d = json_get(devices, paths.v[i]);
        table_cell(&t, paths.v[i]);
        table_cell(&t, json_get_str(d, "type"));
        table_cell(&t, json_get_str(d, "description"));
        if (detailed) {
            table_cell(&t, json_get_bool(d, "local", false) ? STR("local") : STR("replicated"));
            table_cell(&t, options_cell(&t, d));
        }
    }
    output_table(run, &t, true);
}

static int list_run(struct command_run *run)
{
    struct api_answer answer;
    if (!command_args(run, 0, 0))
        return 1;
    if (api_get(run, "sys/audit", &answer) < 0)
        return command_fail(run, 2, "Error listing audits: " STR_FMT, STR_ARG(answer.error));
    const struct json *devices = json_member(answer.json, "data");
    if (!json_is(devices, JSON_OBJECT))
        devices = json_object(run->arena);
    if (!command_is_table(run))
        return output_value(run, devices);
    if (devices->count == 0) {
        command_say(run, "No audit devices are enabled.");
        return 2;
    }
    print_devices(run, devices);
    return 0;
}

const struct command command_audit_list = {
    .name = "audit list",
    .usage = "audit list [options]",
    .summary = "Lists enabled audit devices",
    .help = "  Lists the audit devices. The exit status is 2 when there is none.\n\n"
            "      $ vault audit list\n"
            "      $ vault audit list -detailed",
    .run = list_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
    COMMAND_FLAGS(list_flags),
};
