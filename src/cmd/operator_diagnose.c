/* "operator diagnose": why does a server not start, or what will trouble it. */
#include "base/log.h"
#include "base/version.h"
#include "cmd/commands.h"
#include "cmd/output.h"
#include "server/diagnose.h"

/* Exit status, as Vault's. */
enum { ALL_WELL, SOME_FAILED, SOME_WARN, MISUSED, INCOMPLETE };

static const struct flag diagnose_flags[] = {
    { .name = "config", .kind = FLAG_LIST,
      .help = "Configuration file, or directory of *.hcl and *.json files. May be repeated." },
    { .name = "skip", .kind = FLAG_LIST,
      .help = "Leave out a check: listener, storage or autounseal. May be repeated." },
    { .name = "debug", .kind = FLAG_BOOL, .help = "Log what the checks do, at level debug." },
    { .name = "format", .kind = FLAG_STRING, .fallback = "table", .env = "VAULT_FORMAT",
      .help = "table or json." },
};

static struct json *to_json(struct arena *a, const struct diagnosis *d)
{
    struct json *o = json_object(a);
    json_put_str(o, "name", d->name);
    json_put_str(o, "status", str_of(diagnosis_status_name(d->status)));
    if (d->message.n > 0)
        json_put_str(o, "message", d->message);
    if (d->warnings.n > 0) {
        struct json *warnings = json_array(a);
        for (size_t i = 0; i < d->warnings.n; i++)
            json_add_str(warnings, d->warnings.v[i]);
        json_put(o, "warnings", warnings);
    }
    if (d->advice.n > 0)
        json_put_str(o, "advice", d->advice);
    if (d->first != NULL) {
        struct json *children = json_array(a);
        for (const struct diagnosis *c = d->first; c != NULL; c = c->next)
            json_add(children, to_json(a, c));
        json_put(o, "children", children);
    }
    return o;
}

static void say_tree(struct command_run *run, const struct diagnosis *d, int depth)
{
    static const char *const marks[] = { [DIAGNOSIS_OK] = "[ ok ]", [DIAGNOSIS_SKIPPED] = "[ skip ]",
                                         [DIAGNOSIS_WARN] = "[ warn ]",
                                         [DIAGNOSIS_FAIL] = "[ fail ]" };
    command_say(run, "%*s%s " STR_FMT "%s" STR_FMT, 2 * depth, "", marks[d->status],
                STR_ARG(d->name), d->message.n > 0 ? ": " : "", STR_ARG(d->message));
    for (size_t i = 0; i < d->warnings.n; i++)
        command_say(run, "%*s" STR_FMT, 2 * depth + 4, "", STR_ARG(d->warnings.v[i]));
    if (d->advice.n > 0)
        command_say(run, "%*s" STR_FMT, 2 * depth + 4, "", STR_ARG(d->advice));
    for (const struct diagnosis *c = d->first; c != NULL; c = c->next)
        say_tree(run, c, depth + 1);
}

static bool read_skips(struct command_run *run, struct diagnose_request *request)
{
    struct strs skips = flags_list(run->flags, "skip");
    for (size_t i = 0; i < skips.n; i++) {
        if (str_is(skips.v[i], "listener"))
            request->skip_listener = true;
        else if (str_is(skips.v[i], "storage"))
            request->skip_storage = true;
        else if (str_is(skips.v[i], "autounseal"))
            request->skip_autounseal = true;
        else
            return command_fail(run, 0, "-skip: listener, storage or autounseal expected, "
                                        "got \"" STR_FMT "\"", STR_ARG(skips.v[i]));
    }
    return true;
}

static int diagnose_command(struct command_run *run)
{
    struct diagnose_request request = { .config_paths = flags_list(run->flags, "config") };
    bool complete, json = str_is(flags_str(run->flags, "format"), "json");
    if (!command_args(run, 0, 0))
        return MISUSED;
    if (request.config_paths.n == 0)
        return command_fail(run, MISUSED, "Must specify a configuration file using -config.");
    if (!read_skips(run, &request))
        return MISUSED;
    log_set_level(flags_bool(run->flags, "debug") ? LOG_DEBUG : LOG_OFF);
    const struct diagnosis *root = diagnose_run(run->arena, &request, &complete);
    if (root == NULL)
        return command_out_of_memory(run);
    if (json) {
        AUTO(buf_free) struct buf text = { 0 };
        json_print_pretty(to_json(run->arena, root), 2, &text);
        command_write(buf_str(&text));
        command_write(STR("\n"));
    } else {
        command_say(run, "Vault v" VERSION_FULL "\n\nResults:");
        say_tree(run, root, 0);
    }
    if (!complete)
        return INCOMPLETE;
    switch (root->status) {
    case DIAGNOSIS_FAIL:
        return SOME_FAILED;
    case DIAGNOSIS_WARN:
        return SOME_WARN;
    case DIAGNOSIS_OK:
    case DIAGNOSIS_SKIPPED:
        break;
    }
    return ALL_WELL;
}

const struct command command_operator_diagnose = {
    .name = "operator diagnose",
    .usage = "operator diagnose [options]",
    .summary = "Troubleshoot problems starting Vault",
    .help = "  Looks for what would keep a server from starting: reads its configuration, opens "
            "its\n"
            "  storage, tries its listeners' addresses and certificates. To be run with the "
            "server's own\n"
            "  environment and user. The exit status is 0 when all is well, 1 when a check failed, "
            "2 when\n"
            "  there is a warning, 3 for wrong options, 4 when checks could not be made.\n\n"
            "  Of a node with integrated storage (raft) it looks at its files, its members and who of "
            "them can\n"
            "  be reached, and writes nothing.\n\n"
            "      $ vault operator diagnose -config=/etc/vault/config.hcl\n\n"
            "  While the server runs:\n\n"
            "      $ vault operator diagnose -config=/etc/vault/config.hcl -skip=listener "
            "-skip=storage",
    .run = diagnose_command,
    COMMAND_FLAGS(diagnose_flags),
};
