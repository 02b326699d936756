/* "operator migrate": copy all data between storages while no server runs. */
#include <signal.h>
#include <time.h>

#include "base/log.h"
#include "cmd/commands.h"
#include "server/migration.h"

static const struct log lg = { "migrate" };

static const struct flag migrate_flags[] = {
    { .name = "config", .kind = FLAG_STRING,
      .help = "File with the blocks storage_source and storage_destination." },
    { .name = "start", .kind = FLAG_STRING,
      .help = "Copy only keys at or after this one, in order of their bytes: goes on with a copy "
              "that was broken off." },
    { .name = "reset", .kind = FLAG_BOOL,
      .help = "Remove the source's migration lock. Nothing is copied." },
    { .name = "log-level", .kind = FLAG_STRING, .fallback = "info", .env = "VAULT_LOG_LEVEL",
      .help = "trace, debug, info, warn or error. At info each copied key is named." },
};

static void drop_config(struct config **c)
{
    config_free(*c);
}

/* SIGINT and SIGTERM are held back, and looked for between batches. */
static bool go_on(void *ctx)
{
    const struct timespec at_once = { 0, 0 };
    return sigtimedwait(ctx, NULL, &at_once) < 0;
}

static int copy(struct command_run *run, const struct config_storage *source,
                const struct config_storage *destination)
{
    struct err err = { 0 };
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    int done = migration_run(&(struct migration){ .source = source, .destination = destination,
                                                  .start = flags_str(run->flags, "start"),
                                                  .go_on = go_on, .ctx = &ends },
                             &err);
    if (done < 0)
        return command_fail(run, 2, "Error migrating: %s", err.msg);
    command_say(run, done == 0 ? "==> Migration shutdown triggered"
                               : "Success! All of the keys have been migrated.");
    return 0;
}

static int migrate_run(struct command_run *run)
{
    AUTO(drop_config) struct config *c = NULL;
    struct err err = { 0 };
    struct config_storage source, destination;
    enum log_level level;
    struct str path = flags_str(run->flags, "config"), name = flags_str(run->flags, "log-level");
    if (!command_args(run, 0, 0))
        return 1;
    if (!log_level_of(name, &level))
        return command_fail(run, 1, STR_FMT " is an unknown log level. Valid log levels are: "
                                            "[trace debug info warn error]", STR_ARG(name));
    if (path.n == 0)
        return command_fail(run, 1, "Must specify exactly one config path using -config");
    log_set_level(level);
    if (config_new(&c, &err) < 0
        || config_read_migration(c, path, &source, &destination, &err) < 0)
        return command_fail(run, 1, "Error loading configuration from " STR_FMT ": %s",
                            STR_ARG(path), err.msg);
    for (size_t i = 0; i < c->warnings.n; i++)
        LOG(&lg, WARN, STR_FMT, STR_ARG(c->warnings.v[i]));
    if (!flags_bool(run->flags, "reset"))
        return copy(run, &source, &destination);
    if (migration_reset(&source, &err) < 0)
        return command_fail(run, 2, "Error migrating: error resetting migration lock: %s", err.msg);
    command_say(run, "Success! Migration lock reset (if it was set).");
    return 0;
}

const struct command command_operator_migrate = {
    .name = "operator migrate",
    .usage = "operator migrate [options]",
    .summary = "Migrates Vault data between storage backends",
    .help = "  Copies all data from one storage to another, encrypted as it is: no keys are "
            "needed, and\n"
            "  no server may run on either. The source is left as it was; the destination must be "
            "empty.\n"
            "  A copy that was broken off goes on with -start and the key that the message "
            "names.\n\n"
            "  The file names both storages, as a server's configuration does:\n\n"
            "      storage_source \"file\" {\n"
            "        path = \"/var/lib/vault\"\n"
            "      }\n"
            "      storage_destination \"lmdb\" {\n"
            "        path = \"/var/lib/coffer\"\n"
            "      }\n\n"
            "  A destination \"raft\" becomes a cluster of one node; beside the blocks stands its "
            "address:\n\n"
            "      cluster_addr = \"https://10.0.0.1:8201\"\n\n"
            "      $ vault operator migrate -config=migrate.hcl",
    .run = migrate_run,
    COMMAND_FLAGS(migrate_flags),
};
