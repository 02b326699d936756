/* Status: "status": sealed or not, and who leads. */
#include "cmd/api.h"
#include "cmd/commands.h"
#include "cmd/seal_status.h"

static int status_run(struct command_run *run)
{
    struct api_answer answer;
    if (!command_args(run, 0, 0))
        return 1;
    /* 2 means "sealed" here, so every failure is 1. */
    if (api_get(run, "sys/seal-status", &answer) < 0)
        return command_fail(run, 1, "Error checking seal status: " STR_FMT,
                            STR_ARG(answer.error));
    int rc = seal_status_print(run, answer.json);
    if (rc != 0)
        return rc;
    return json_get_bool(answer.json, "sealed", false) ? 2 : 0;
}

const struct command command_status = {
    .name = "status",
    .usage = "status [options]",
    .summary = "Print seal and HA status",
    .help = "  Prints whether the server is initialised and sealed, its version, and which node "
            "of a\n"
            "  cluster leads. The exit status tells too:\n\n"
            "      - 0 - unsealed\n"
            "      - 1 - error\n"
            "      - 2 - sealed",
    .run = status_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
};
