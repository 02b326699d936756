/* Absent: commands that Vault has and this program does not; each says so, and what to use. */
#include "cmd/commands.h"

static int absent_run(struct command_run *run)
{
    return command_fail(run, 1, "\"%s\" is not part of Coffer. %s", run->command->name,
                        run->command->help);
}

#define ABSENT(variable, command_name, command_summary, command_help)                              \
    const struct command variable = {                                                              \
        .name = command_name, .usage = command_name, .summary = command_summary,                   \
        .help = command_help, .run = absent_run, .options = COMMAND_RAW_ARGS,                      \
    }

ABSENT(command_agent, "agent", "Start a Vault agent",
       "Vault's own agent works against a Coffer server.");
ABSENT(command_debug, "debug", "Runs the debug command",
       "\"status\", \"read sys/metrics\" and the server's log tell how a server is.");
ABSENT(command_namespace, "namespace", "Interact with namespaces",
       "Coffer, as Vault without a licence, has one namespace only.");
ABSENT(command_plugin, "plugin", "Interact with Vault plugins and catalog",
       "Coffer's engines are built in; plugins of Vault cannot be loaded.");
ABSENT(command_ssh, "ssh", "Initiate an SSH session",
       "\"write ssh/sign/ROLE public_key=@FILE\" or \"write ssh/creds/ROLE ip=ADDRESS\", then ssh, "
       "do the same.");
ABSENT(command_operator_diagnose, "operator diagnose", "Troubleshoot problems starting Vault",
       "The server names what is wrong with its configuration when it starts.");
ABSENT(command_operator_migrate, "operator migrate", "Migrates Vault data between storage backends",
       "A directory of Vault's storage \"file\" can be used as it is; between other storages this "
       "version does not move data.");
ABSENT(command_operator_usage, "operator usage", "Lists historical client counts",
       "Client counts are not kept.");
