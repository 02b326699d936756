/* Monitor: "monitor": the server's log on this terminal, until somebody ends it. */
#include <stdio.h>

#include "cmd/api.h"
#include "cmd/commands.h"

static const struct flag flags[] = {
    { "log-level", FLAG_STRING,
      "Lines of this level and above: trace, debug, info, warn or error. It may be finer than the "
      "level at which the server writes its own log.",
      NULL, "info", NULL, false },
};

static int show(void *ctx, const char *part, size_t len)
{
    command_write(str_mem(part, len));
    return fflush(stdout) == 0 ? 0 : -1;
}

static const char *level_of(struct str name)
{
    static const char *const levels[] = { "trace", "debug", "info", "warn", "error" };
    for (size_t i = 0; i < ARRAY_LEN(levels); i++)
        if (str_eq_nocase(name, str_of(levels[i])))
            return levels[i];
    return NULL;
}

static int monitor_run(struct command_run *run)
{
    struct api_answer answer;
    struct coffer *client;
    struct str wanted = flags_str(run->flags, "log-level");
    const char *level = level_of(wanted);
    if (!command_args(run, 0, 0))
        return 1;
    if (level == NULL)
        return command_fail(run, 1, STR_FMT " is an unknown log level. Valid log levels are: "
                            "[trace debug info warn error]", STR_ARG(wanted));
    if (api_client(run, &client) < 0)
        return 2;
    coffer_set_timeout(client, -1);
    const struct coffer_pair query[] = { { "log_level", level } };
    const struct api_call call = { .method = "GET", .path = "sys/monitor", .query = query,
                                   .n_query = ARRAY_LEN(query), .sink = show };
    if (api_send(run, &call, &answer) < 0)
        return command_fail(run, 1, "Error starting monitor: " STR_FMT, STR_ARG(answer.error));
    return 0;
}

const struct command command_monitor = {
    .name = "monitor",
    .usage = "monitor [options]",
    .summary = "Stream log messages from a Vault server",
    .help = "  Shows the lines of the server's log as they come, until it is interrupted.\n"
            "  It needs a token that may read sys/monitor.\n\n"
            "      $ vault monitor -log-level=debug",
    .run = monitor_run,
    .options = COMMAND_HTTP,
    COMMAND_FLAGS(flags),
};
