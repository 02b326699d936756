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

/* For -h and completion; server/options.c reads them. */
static const struct flag server_flags[] = {
    { .name = "config", .kind = FLAG_LIST,
      .help = "Configuration file in HCL or JSON, or directory of *.hcl and *.json files. May be "
              "repeated; later values replace earlier ones." },
    { .name = "log-level", .kind = FLAG_STRING, .env = "VAULT_LOG_LEVEL",
      .help = "Lines of this level and above are logged: trace, debug, info, warn or err." },
    { .name = "log-format", .kind = FLAG_STRING, .env = "VAULT_LOG_FORMAT",
      .help = "\"standard\" or \"json\"." },
    { .name = "recovery", .kind = FLAG_BOOL,
      .help = "Start one node of a cluster alone, with sys/raw only, to mend what keeps the "
              "cluster from coming up. It takes a token of \"operator generate-root "
              "-recovery-token\"." },
};

static const struct flag server_dev_flags[] = {
    { .name = "dev", .kind = FLAG_BOOL,
      .help = "Keep everything in memory; initialise and unseal at once. Not for production." },
    { .name = "dev-root-token-id", .kind = FLAG_STRING, .env = "VAULT_DEV_ROOT_TOKEN_ID",
      .help = "The root token, instead of a random one." },
    { .name = "dev-listen-address", .kind = FLAG_STRING, .env = "VAULT_DEV_LISTEN_ADDRESS",
      .fallback = "127.0.0.1:8200", .help = "Address and port to listen on." },
    { .name = "dev-no-store-token", .kind = FLAG_BOOL,
      .help = "Do not write the root token to ~/.vault-token." },
    { .name = "dev-kv-v1", .kind = FLAG_BOOL,
      .help = "Mount version 1 of the key-value engine at secret/." },
};

const struct command command_server = {
    .name = "server",
    .usage = "server [options]",
    .summary = "Starts a server",
    .help = "  Starts a server that answers API requests. It begins sealed, and must be "
            "initialised\n"
            "  once (\"operator init\") and unsealed after each start (\"operator unseal\").\n\n"
            "  Start with a configuration file:\n\n"
            "      $ vault server -config=/etc/vault/config.hcl\n\n"
            "  Start one node to mend its storage:\n\n"
            "      $ vault server -recovery -config=/etc/vault/config.hcl\n\n"
            "  Start a server for trying things out, in memory, unsealed:\n\n"
            "      $ vault server -dev",
    .run = server_run,
    COMMAND_FLAGS(server_flags),
    COMMAND_MORE_FLAGS(server_dev_flags),
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
