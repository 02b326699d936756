/* Main: the table of all commands, and the choice of the one that the arguments name. */
#include <stdio.h>
#include <stdlib.h>

#include "cmd/commands.h"
#include "cmd/complete.h"
#include "cmd/help.h"

static const struct command *const commands[] = {
    &command_agent,
    &command_audit,
    &command_audit_disable,
    &command_audit_enable,
    &command_audit_list,
    &command_auth,
    &command_auth_disable,
    &command_auth_enable,
    &command_auth_help,
    &command_auth_list,
    &command_auth_tune,
    &command_debug,
    &command_delete,
    &command_kv,
    &command_kv_delete,
    &command_kv_destroy,
    &command_kv_enable_versioning,
    &command_kv_get,
    &command_kv_list,
    &command_kv_metadata,
    &command_kv_metadata_delete,
    &command_kv_metadata_get,
    &command_kv_metadata_put,
    &command_kv_patch,
    &command_kv_put,
    &command_kv_rollback,
    &command_kv_undelete,
    &command_lease,
    &command_lease_lookup,
    &command_lease_renew,
    &command_lease_revoke,
    &command_list,
    &command_login,
    &command_monitor,
    &command_namespace,
    &command_operator,
    &command_operator_diagnose,
    &command_operator_generate_root,
    &command_operator_init,
    &command_operator_key_status,
    &command_operator_migrate,
    &command_operator_raft,
    &command_operator_raft_autopilot,
    &command_operator_raft_autopilot_get_config,
    &command_operator_raft_autopilot_set_config,
    &command_operator_raft_autopilot_state,
    &command_operator_raft_join,
    &command_operator_raft_list_peers,
    &command_operator_raft_remove_peer,
    &command_operator_raft_snapshot,
    &command_operator_raft_snapshot_inspect,
    &command_operator_raft_snapshot_restore,
    &command_operator_raft_snapshot_save,
    &command_operator_rekey,
    &command_operator_rotate,
    &command_operator_seal,
    &command_operator_step_down,
    &command_operator_unseal,
    &command_operator_usage,
    &command_patch,
    &command_path_help,
    &command_plugin,
    &command_policy,
    &command_policy_delete,
    &command_policy_fmt,
    &command_policy_list,
    &command_policy_read,
    &command_policy_write,
    &command_print,
    &command_print_token,
    &command_read,
    &command_secrets,
    &command_secrets_disable,
    &command_secrets_enable,
    &command_secrets_list,
    &command_secrets_move,
    &command_secrets_tune,
    &command_server,
    &command_ssh,
    &command_status,
    &command_token,
    &command_token_capabilities,
    &command_token_create,
    &command_token_lookup,
    &command_token_renew,
    &command_token_revoke,
    &command_unwrap,
    &command_version,
    &command_write_data,
};

/* Does the command's name consist of the first words of ${argv}? How many? */
static size_t words_matched(const char *name, char **argv, size_t argc)
{
    struct str rest = str_of(name), word;
    size_t n = 0;
    while (str_next(&rest, ' ', &word)) {
        if (n >= argc || !str_is(word, argv[n]))
            return 0;
        n++;
    }
    return n;
}

/* The command with the longest name that the arguments begin with. */
static const struct command *find(char **argv, size_t argc, size_t *used)
{
    const struct command *best = NULL;
    *used = 0;
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        size_t n = words_matched(commands[i]->name, argv, argc);
        if (n > *used) {
            best = commands[i];
            *used = n;
        }
    }
    return best;
}

static bool is_help(const char *arg)
{
    return strcmp(arg, "-h") == 0 || strcmp(arg, "-help") == 0 || strcmp(arg, "--help") == 0;
}

static bool asks_for_help(char **argv, size_t argc)
{
    for (size_t i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (is_help(argv[i]))
            return true;
    return false;
}

/* "-format=JSON" and "yml" too; NULL when there is no such format. */
static const char *format_of(struct command_run *run)
{
    static const char *const names[] = { "table", "json", "yaml", "pretty" };
    struct str given = run->command->options & COMMAND_FORMAT ? flags_str(run->flags, "format")
                       : getenv("VAULT_FORMAT") != NULL       ? str_of(getenv("VAULT_FORMAT"))
                                                              : STR("table");
    if (given.n == 0)
        return "table";
    if (str_eq_nocase(given, STR("yml")))
        return "yaml";
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq_nocase(given, str_of(names[i])))
            return names[i];
    command_warn(run, "Invalid output format: " STR_FMT, STR_ARG(given));
    return NULL;
}

static int run_parsed(struct command_run *run, char **argv, size_t argc)
{
    struct flag_group groups[HELP_MAX_GROUPS];
    struct err err = { 0 };
    size_t n = help_flag_groups(run->command, groups);
    if (flags_parse(run->arena, groups, n, argv, argc, &run->flags, &err) < 0)
        return command_fail(run, 1, "%s", err.msg);
    run->args = run->flags->args;
    run->n_args = run->flags->n_args;
    run->format = format_of(run);
    if (run->format == NULL)
        return 1;
    run->curl_only = (run->command->options & COMMAND_HTTP) &&
                     flags_bool(run->flags, "output-curl-string");
    int status = run->command->run(run);
    coffer_free(run->client);
    if (run->curl_printed)
        return 0;
    if (run->curl_only && status == 0)
        return command_fail(run, 1, "Could not generate cURL command");
    return status;
}

static int run_command(const struct command *command, char **argv, size_t argc)
{
    AUTO(arena_drop) struct arena *arena = arena_new();
    struct command_run run = { .command = command, .arena = arena, .format = "table" };
    if (arena == NULL)
        return command_out_of_memory(&run);
    if (command->options & COMMAND_RAW_ARGS) {
        run.args = argv;
        run.n_args = argc;
        return command->run(&run);
    }
    return run_parsed(&run, argv, argc);
}

static int dispatch(char **argv, size_t argc)
{
    size_t used;
    if (argc == 1 && (strcmp(argv[0], "-v") == 0 || strcmp(argv[0], "-version") == 0 ||
                      strcmp(argv[0], "--version") == 0))
        return run_command(&command_version, argv, 0);
    int done = complete_setup(argv, argc);
    if (done >= 0)
        return done;
    const struct command *command = find(argv, argc, &used);
    if (command == NULL) {
        help_program(commands, ARRAY_LEN(commands));
        return argc > 0 && is_help(argv[0]) ? 0 : 127;
    }
    if (asks_for_help(argv + used, argc - used)) {
        help_command(command, commands, ARRAY_LEN(commands));
        return 0;
    }
    if (command->run == NULL) { /* a group needs one of its commands */
        help_command(command, commands, ARRAY_LEN(commands));
        return 1;
    }
    return run_command(command, argv + used, argc - used);
}

int main(int argc, char **argv)
{
    if (complete_line(commands, ARRAY_LEN(commands)))
        return 0;
    int status = dispatch(argv + 1, argc > 0 ? (size_t)argc - 1 : 0);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fputs("cannot write to standard output\n", stderr);
        return status != 0 ? status : 1;
    }
    return status;
}
