/* Lease: the commands about leased secrets: look up, renew, revoke. */
#include "cmd/api.h"
#include "cmd/commands.h"
#include "cmd/output.h"

const struct command command_lease = {
    .name = "lease",
    .usage = "lease <subcommand> [options] [args]",
    .summary = "Interact with leases",
    .help = "  A secret that is made on the spot comes with a lease: it is revoked when the "
            "lease ends.\n\n"
            "      $ vault lease renew database/creds/readonly/2f6a614c\n"
            "      $ vault lease revoke database/creds/readonly/2f6a614c",
};

/* {"lease_id": ...}; NULL after saying what is wrong with the arguments. */
static struct json *lease_body(struct command_run *run)
{
    if (run->n_args == 0)
        command_warn(run, "Missing ID!");
    if (run->n_args == 0 || !command_args(run, 1, 1))
        return NULL;
    struct json *body = json_object(run->arena);
    json_put_str(body, "lease_id", str_trim(str_of(run->args[0])));
    return body;
}

static int lookup_run(struct command_run *run)
{
    struct api_answer answer;
    struct json *body = lease_body(run);
    if (body == NULL)
        return 1;
    if (api_put(run, "sys/leases/lookup", body, &answer) < 0)
        return command_fail(run, 2, "error looking up lease id %s: " STR_FMT, run->args[0],
                            STR_ARG(answer.error));
    return output_secret(run, answer.json);
}

const struct command command_lease_lookup = {
    .name = "lease lookup",
    .usage = "lease lookup [options] ID",
    .summary = "Lookup the lease of a secret",
    .help = "  Prints when a lease was made, until when it lasts, and whether it can be "
            "renewed.\n\n"
            "      $ vault lease lookup database/creds/readonly/2f6a614c",
    .run = lookup_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
};

static const struct flag renew_flags[] = {
    { .name = "increment", .kind = FLAG_DURATION, .alias = "i",
      .help = "How long the lease shall last from now on. The server may grant less." },
};

static int renew_run(struct command_run *run)
{
    struct api_answer answer;
    struct json *body = lease_body(run);
    if (body == NULL)
        return 1;
    json_put_int(body, "increment", flags_ns(run->flags, "increment") / 1000000000);
    if (api_put(run, "sys/leases/renew", body, &answer) < 0)
        return command_fail(run, 2, "Error renewing %s: " STR_FMT, run->args[0],
                            STR_ARG(answer.error));
    return output_secret(run, answer.json);
}

const struct command command_lease_renew = {
    .name = "lease renew",
    .usage = "lease renew [options] ID",
    .summary = "Renews the lease of a secret",
    .help = "  Makes a secret live longer, within what its engine allows.\n\n"
            "      $ vault lease renew -increment=1h database/creds/readonly/2f6a614c",
    .run = renew_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
    COMMAND_FLAGS(renew_flags),
};

static const struct flag revoke_flags[] = {
    { .name = "force", .kind = FLAG_BOOL, .alias = "f",
      .help = "Forget the leases even when their secrets cannot be revoked, because what they were "
              "for is gone. Needs -prefix." },
    { .name = "prefix", .kind = FLAG_BOOL,
      .help = "The argument is the beginning of lease IDs; all of them are revoked." },
    { .name = "sync", .kind = FLAG_BOOL,
      .help = "Wait until it is done, and say whether it went well." },
};

static int revoked(struct command_run *run, const char *id, bool force, bool prefix)
{
    if (force)
        command_say(run, "Success! Force revoked any leases with prefix: %s", id);
    else if (!flags_bool(run->flags, "sync"))
        command_say(run, "All revocation operations queued successfully!");
    else if (prefix)
        command_say(run, "Success! Revoked any leases with prefix: %s", id);
    else
        command_say(run, "Success! Revoked lease: %s", id);
    return 0;
}

static int revoke_run(struct command_run *run)
{
    struct api_answer answer;
    bool force = flags_bool(run->flags, "force"), prefix = flags_bool(run->flags, "prefix");
    if (!command_args(run, 1, 1))
        return 1;
    if (force && !prefix)
        return command_fail(run, 1, "Specifying -force requires also specifying -prefix");
    struct str id = str_trim(str_of(run->args[0]));
    id = arena_printf(run->arena, STR_FMT, STR_ARG(id));
    struct str path = arena_printf(run->arena, "sys/leases/revoke%s/%s",
                                   force ? "-force" : prefix ? "-prefix" : "", id.p);
    struct json *body = json_object(run->arena);
    json_put_bool(body, "sync", flags_bool(run->flags, "sync"));
    if (force)
        command_warn(run, "Warning! Secrets that cannot be revoked will outlive their leases.");
    if (api_put(run, path.p, force ? NULL : body, &answer) < 0)
        return command_fail(run, 2, "Error %s %s: " STR_FMT,
                            force    ? "force revoking leases with prefix"
                            : prefix ? "revoking leases with prefix"
                                     : "revoking lease",
                            id.p, STR_ARG(answer.error));
    return revoked(run, id.p, force, prefix);
}

const struct command command_lease_revoke = {
    .name = "lease revoke",
    .usage = "lease revoke [options] ID",
    .summary = "Revokes leases and secrets",
    .help = "  Ends a lease, or all leases whose IDs begin alike, and with them their secrets. "
            "Without\n"
            "  -sync the server does that afterwards.\n\n"
            "      $ vault lease revoke database/creds/readonly/2f6a614c\n"
            "      $ vault lease revoke -prefix aws/creds/deploy",
    .run = revoke_run,
    .options = COMMAND_HTTP,
    COMMAND_FLAGS(revoke_flags),
};
