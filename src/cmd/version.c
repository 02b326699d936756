/* Version: "version", and the commands that need no server's answer: "print" and "server". */
#include "base/version.h"

#include "cmd/api.h"
#include "cmd/commands.h"
#include "server/server.h"

static int version_run(struct command_run *run)
{
    command_say(run, "Vault v" VERSION_FULL " (Coffer v" VERSION_COFFER ")");
    return 0;
}

const struct command command_version = {
    .name = "version",
    .usage = "version",
    .summary = "Prints the version of this program",
    .help = "  Prints the release of Vault whose API is answered for, and Coffer's own version.",
    .run = version_run,
};

static int server_run(struct command_run *run)
{
    char **argv = arena_array(run->arena, run->n_args + 2, sizeof *argv);
    if (argv == NULL)
        return command_out_of_memory(run);
    argv[0] = (char *)"server";
    for (size_t i = 0; i < run->n_args; i++)
        argv[i + 1] = run->args[i];
    return server_main((int)run->n_args + 1, argv);
}

const struct command command_server = {
    .name = "server",
    .usage = "server [options]",
    .summary = "Starts a server",
    .help = "  Starts a server that answers API requests. It begins sealed, and must be "
            "initialised\n"
            "  once (\"operator init\") and unsealed after each start (\"operator unseal\").\n\n"
            "  Start with a configuration file:\n\n"
            "      $ vault server -config=/etc/vault/config.hcl\n\n"
            "  Start a server for trying things out, in memory, unsealed:\n\n"
            "      $ vault server -dev",
    .run = server_run,
    .options = COMMAND_RAW_ARGS,
};

const struct command command_print = {
    .name = "print",
    .usage = "print <subcommand>",
    .summary = "Prints runtime configurations",
    .help = "  Prints what this program would use when it calls a server.\n\n"
            "  Print the token:\n\n"
            "      $ vault print token",
};

static int print_token(struct command_run *run)
{
    struct coffer *client;
    if (api_client(run, &client) < 0)
        return 2;
    command_say(run, "%s", coffer_token(client));
    return 0;
}

const struct command command_print_token = {
    .name = "print token",
    .usage = "print token",
    .summary = "Prints the vault token currently in use",
    .help = "  Prints the token that requests would carry: VAULT_TOKEN, or what the token helper\n"
            "  keeps. An empty line means that there is none.",
    .run = print_token,
    .options = COMMAND_HTTP,
};
