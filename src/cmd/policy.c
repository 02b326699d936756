/* Policy: the commands about policies: read, write, list, delete, fmt. */
#include <ctype.h>
#include <unistd.h>

#include "cmd/api.h"
#include "cmd/commands.h"
#include "cmd/data.h"
#include "cmd/file.h"
#include "cmd/hcl_layout.h"
#include "cmd/output.h"

const struct command command_policy = {
    .name = "policy",
    .usage = "policy <subcommand> [options] [args]",
    .summary = "Interact with policies",
    .help = "  Policies say which paths a token may use, and for what.\n\n"
            "      $ vault policy list\n"
            "      $ vault policy write reader reader.hcl",
};

/* Names of policies are lower case. */
static struct str policy_name(struct command_run *run)
{
    struct str given = str_trim(str_of(run->args[0]));
    char *name = arena_bytes(run->arena, given.n + 1);
    if (name == NULL)
        return STR("");
    for (size_t i = 0; i < given.n; i++)
        name[i] = (char)tolower((unsigned char)given.p[i]);
    name[given.n] = '\0';
    return str_mem(name, given.n);
}

static const char *policy_path(struct command_run *run, struct str name)
{
    return arena_printf(run->arena, "sys/policies/acl/" STR_FMT, STR_ARG(name)).p;
}

/* ---- read ---- */

static int read_run(struct command_run *run)
{
    struct api_answer answer;
    if (!command_args(run, 1, 1))
        return 1;
    struct str name = policy_name(run);
    int found = api_read(run,
                         &(struct api_call){ .method = "GET", .path = policy_path(run, name) },
                         &answer);
    if (found < 0)
        return command_fail(run, 2, "Error reading policy named %s: " STR_FMT, name.p,
                            STR_ARG(answer.error));
    struct str rules = json_get_str(json_member(answer.json, "data"), "policy");
    if (found == 0 || rules.n == 0)
        return command_fail(run, 2, "No policy named: %s", name.p);
    if (!command_is_table(run)) {
        struct json *o = json_object(run->arena);
        json_put_str(o, "policy", rules);
        return output_value(run, o);
    }
    rules = str_trim(rules);
    command_say(run, STR_FMT, STR_ARG(rules));
    return 0;
}

const struct command command_policy_read = {
    .name = "policy read",
    .usage = "policy read [options] NAME",
    .summary = "Prints the contents of a policy",
    .help = "  Prints the text of a policy.\n\n      $ vault policy read reader",
    .run = read_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
};

/* ---- write ---- */

static int write_run(struct command_run *run)
{
    struct api_answer answer;
    struct err err = { 0 };
    AUTO(buf_free) struct buf rules = { 0 };
    if (!command_args(run, 2, 2))
        return 1;
    struct str name = policy_name(run), path = str_trim(str_of(run->args[1]));
    if (str_is(path, "-")) {
        if (data_stdin(run, &rules, &err) < 0)
            return command_fail(run, 2, "Error reading policy: %s", err.msg);
    } else if (file_need(run->args[1], &rules, &err) < 0) {
        return command_fail(run, 2, "Error opening policy file: %s", err.msg);
    }
    struct json *body = json_object(run->arena);
    json_put_str(body, "policy", arena_dup(run->arena, buf_str(&rules)));
    if (api_put(run, policy_path(run, name), body, &answer) < 0)
        return command_fail(run, 2, "Error uploading policy: " STR_FMT, STR_ARG(answer.error));
    command_say(run, "Success! Uploaded policy: %s", name.p);
    return 0;
}

const struct command command_policy_write = {
    .name = "policy write",
    .usage = "policy write [options] NAME PATH",
    .summary = "Uploads a named policy from a file",
    .help = "  Stores the text of a file (\"-\": standard input) as a policy of that name, "
            "instead of what\n"
            "  was there.\n\n"
            "      $ vault policy write reader reader.hcl\n"
            "      $ cat reader.hcl | vault policy write reader -",
    .run = write_run,
    .options = COMMAND_HTTP,
};

/* ---- list ---- */

static int list_run(struct command_run *run)
{
    struct api_answer answer;
    if (!command_args(run, 0, 0))
        return 1;
    if (api_list(run, "sys/policies/acl", &answer) < 0)
        return command_fail(run, 2, "Error listing policies: " STR_FMT, STR_ARG(answer.error));
    const struct json *keys = output_keys(answer.json);
    if (!command_is_table(run))
        return output_value(run, keys != NULL ? keys : json_array(run->arena));
    for (const struct json *k = json_first(keys); k != NULL; k = k->next)
        command_say(run, STR_FMT, STR_ARG(k->text));
    return 0;
}

const struct command command_policy_list = {
    .name = "policy list",
    .usage = "policy list [options]",
    .summary = "Lists the installed policies",
    .help = "  Lists the names of all policies.\n\n      $ vault policy list",
    .run = list_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
};

/* ---- delete ---- */

static int delete_run(struct command_run *run)
{
    struct api_answer answer;
    if (!command_args(run, 1, 1))
        return 1;
    struct str name = policy_name(run);
    if (api_delete(run, policy_path(run, name), &answer) < 0)
        return command_fail(run, 2, "Error deleting %s: " STR_FMT, name.p, STR_ARG(answer.error));
    command_say(run, "Success! Deleted policy: %s", name.p);
    return 0;
}

const struct command command_policy_delete = {
    .name = "policy delete",
    .usage = "policy delete [options] NAME",
    .summary = "Deletes a policy by name",
    .help = "  Deletes a policy. Tokens that name it lose what it allowed, at once. The policies\n"
            "  \"root\" and \"default\" cannot be deleted.\n\n"
            "      $ vault policy delete reader",
    .run = delete_run,
    .options = COMMAND_HTTP,
};

/* ---- fmt ---- */

static int fmt_run(struct command_run *run)
{
    struct err err = { 0 };
    AUTO(buf_free) struct buf path = { 0 };
    AUTO(buf_free) struct buf before = { 0 };
    AUTO(buf_free) struct buf after = { 0 };
    if (!command_args(run, 1, 1))
        return 1;
    if (file_expand(run->args[0], &path, &err) < 0)
        return command_fail(run, 1, "Failed to expand path: %s", err.msg);
    if (file_need(path.p, &before, &err) < 0)
        return command_fail(run, 1, "Error reading source file: %s", err.msg);
    if (hcl_layout(buf_str(&before), &after, &err) < 0)
        return command_fail(run, 1, "Failed to parse policy: %s", err.msg);
    if (file_write(path.p, buf_str(&after), 0644, &err) < 0)
        return command_fail(run, 1, "Error writing result: %s", err.msg);
    command_say(run, "Success! Formatted policy: %s", path.p);
    return 0;
}

const struct command command_policy_fmt = {
    .name = "policy fmt",
    .usage = "policy fmt [options] PATH",
    .summary = "Formats a policy on disk",
    .help = "  Lays the text of a policy file out in the usual way: two spaces for each level, "
            "aligned\n"
            "  equals signs. The file is changed in its place; its meaning stays.\n\n"
            "      $ vault policy fmt reader.hcl",
    .run = fmt_run,
    .options = COMMAND_HTTP,
};
