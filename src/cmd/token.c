/* Token: the commands about tokens: create, look up, renew, revoke, capabilities. */
#include "cmd/api.h"
#include "cmd/commands.h"
#include "cmd/output.h"
#include "codec/timefmt.h"

const struct command command_token = {
    .name = "token",
    .usage = "token <subcommand> [options] [args]",
    .summary = "Interact with tokens",
    .help = "  Makes tokens and looks after them. A token says who sends a request, and by its "
            "policies\n"
            "  what that person or machine may do.\n\n"
            "      $ vault token create -policy=reader -ttl=1h\n"
            "      $ vault token lookup",
};

/* ---- create ---- */

static const struct flag create_flags[] = {
    { .name = "id", .kind = FLAG_STRING,
      .help = "The token's own text, instead of a random one. Needs sudo." },
    { .name = "display-name", .kind = FLAG_STRING,
      .help = "Name that logs show for this token. It is no secret." },
    { .name = "ttl", .kind = FLAG_DURATION,
      .help = "How long the token lives if it is not renewed, \"30s\", \"5m\", \"1h\"." },
    { .name = "explicit-max-ttl", .kind = FLAG_DURATION,
      .help = "How long the token lives at most, however often it is renewed." },
    { .name = "period", .kind = FLAG_DURATION,
      .help = "Each renewal lets the token live this long again, without end. Needs sudo." },
    { .name = "renewable", .kind = FLAG_BOOL, .fallback = "true",
      .help = "The token can be renewed." },
    { .name = "orphan", .kind = FLAG_BOOL,
      .help = "The token has no parent, and so is not revoked with the one in use. Needs sudo." },
    { .name = "no-default-policy", .kind = FLAG_BOOL,
      .help = "The token does not get the policy \"default\"." },
    { .name = "use-limit", .kind = FLAG_INT, .fallback = "0",
      .help = "The token is revoked after so many uses; 0: never for that reason." },
    { .name = "role", .kind = FLAG_STRING,
      .help = "Role to make the token by; it may change what the other options ask for." },
    { .name = "type", .kind = FLAG_STRING, .fallback = "service",
      .help = "\"service\" or \"batch\"." },
    { .name = "metadata", .kind = FLAG_MAP,
      .help = "Something to remember with the token, as key=value; audit logs show it. May be "
              "repeated." },
    { .name = "policy", .kind = FLAG_LIST,
      .help = "Name of a policy for the token. May be repeated." },
    { .name = "entity-alias", .kind = FLAG_STRING,
      .help = "Name of the entity alias that the token belongs to; only with -role." },
};

static void put_text(struct command_run *run, struct json *body, const char *name,
                     const char *flag)
{
    struct str v = flags_str(run->flags, flag);
    if (v.n > 0)
        json_put_str(body, name, v);
}

static void put_time(struct command_run *run, struct json *body, const char *name,
                     const char *flag)
{
    json_put_str(body, name, duration_format(run->arena, flags_ns(run->flags, flag)));
}

static struct json *create_body(struct command_run *run)
{
    struct json *body = json_object(run->arena);
    bool batch = str_is(flags_str(run->flags, "type"), "batch");
    struct strs policies = flags_list(run->flags, "policy");
    put_text(run, body, "id", "id");
    put_text(run, body, "display_name", "display-name");
    put_text(run, body, "type", "type");
    put_text(run, body, "entity_alias", "entity-alias");
    put_time(run, body, "ttl", "ttl");
    put_time(run, body, "explicit_max_ttl", "explicit-max-ttl");
    put_time(run, body, "period", "period");
    if (policies.n > 0) {
        struct json *list = json_put_array(body, "policies");
        for (size_t i = 0; i < policies.n; i++)
            json_add_str(list, policies.v[i]);
    }
    if (flags_map(run->flags, "metadata") != NULL)
        json_put(body, "meta", flags_map(run->flags, "metadata"));
    if (flags_bool(run->flags, "orphan"))
        json_put_bool(body, "no_parent", true);
    if (flags_bool(run->flags, "no-default-policy"))
        json_put_bool(body, "no_default_policy", true);
    json_put_bool(body, "renewable", !batch && flags_bool(run->flags, "renewable"));
    json_put_int(body, "num_uses", flags_int(run->flags, "use-limit"));
    return body;
}

static int create_run(struct command_run *run)
{
    struct api_answer answer;
    struct str role = flags_str(run->flags, "role");
    if (!command_args(run, 0, 0))
        return 1;
    struct str path = arena_printf(run->arena, role.n > 0 ? "auth/token/create/" STR_FMT
                                                          : "auth/token/create" STR_FMT,
                                   STR_ARG(role));
    if (api_post(run, path.p, create_body(run), &answer) < 0)
        return command_fail(run, 2, "Error creating token: " STR_FMT, STR_ARG(answer.error));
    return output_field_or_secret(run, answer.json);
}

const struct command command_token_create = {
    .name = "token create",
    .usage = "token create [options]",
    .summary = "Create a new token",
    .help = "  Makes a token, a child of the one in use. It gets the same policies unless "
            "-policy names\n"
            "  others, of which the one in use must hold each.\n\n"
            "      $ vault token create -policy=reader -ttl=1h -display-name=nightly-job",
    .run = create_run,
    .options = COMMAND_OUTPUT,
    COMMAND_FLAGS(create_flags),
};

/* ---- lookup ---- */

static const struct flag accessor_flags[] = {
    { .name = "accessor", .kind = FLAG_BOOL,
      .help = "The argument is a token's accessor, not the token." },
};

/* The token or accessor of the arguments as {"token": ...} or {"accessor": ...}. */
static struct json *subject(struct command_run *run, bool accessor)
{
    struct json *body = json_object(run->arena);
    json_put_str(body, accessor ? "accessor" : "token", str_trim(str_of(run->args[0])));
    return body;
}

static int lookup_run(struct command_run *run)
{
    struct api_answer answer;
    bool accessor = flags_bool(run->flags, "accessor");
    int rc;
    if (accessor && run->n_args != 1)
        return command_fail(run, 1, "%s arguments with -accessor (expected 1, got %zu)",
                            run->n_args < 1 ? "Not enough" : "Too many", run->n_args);
    if (!command_args(run, 0, 1))
        return 1;
    if (run->n_args == 0)
        rc = api_get(run, "auth/token/lookup-self", &answer);
    else
        rc = api_post(run, accessor ? "auth/token/lookup-accessor" : "auth/token/lookup",
                      subject(run, accessor), &answer);
    if (rc < 0)
        return command_fail(run, 2, "Error looking up token: " STR_FMT, STR_ARG(answer.error));
    return output_secret(run, answer.json);
}

const struct command command_token_lookup = {
    .name = "token lookup",
    .usage = "token lookup [options] [TOKEN | ACCESSOR]",
    .summary = "Display information about a token",
    .help = "  Prints what the server knows of a token: policies, when it was made, until when it\n"
            "  lives. Without an argument, of the token in use.\n\n"
            "      $ vault token lookup\n"
            "      $ vault token lookup -accessor 8609694a-cdbc-db9b-d345-e782dbb562ed",
    .run = lookup_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
    COMMAND_FLAGS(accessor_flags),
};

/* ---- renew ---- */

static const struct flag renew_flags[] = {
    { .name = "accessor", .kind = FLAG_BOOL,
      .help = "The argument is a token's accessor, not the token." },
    { .name = "increment", .kind = FLAG_DURATION, .alias = "i",
      .help = "How long the token shall live from now on. The server may grant less." },
};

static int renew_run(struct command_run *run)
{
    struct api_answer answer;
    bool accessor = flags_bool(run->flags, "accessor");
    int64_t seconds = flags_ns(run->flags, "increment") / 1000000000;
    int rc;
    if (!command_args(run, 0, 1))
        return 1;
    struct json *body = run->n_args == 1 ? subject(run, accessor) : json_object(run->arena);
    json_put_int(body, "increment", seconds > 0 ? seconds : 0);
    if (run->n_args == 0)
        rc = api_put(run, "auth/token/renew-self", body, &answer);
    else if (accessor)
        rc = api_post(run, "auth/token/renew-accessor", body, &answer);
    else
        rc = api_put(run, "auth/token/renew", body, &answer);
    if (rc < 0)
        return command_fail(run, 2, "Error renewing token: " STR_FMT, STR_ARG(answer.error));
    return output_secret(run, answer.json);
}

const struct command command_token_renew = {
    .name = "token renew",
    .usage = "token renew [options] [TOKEN]",
    .summary = "Renew a token lease",
    .help = "  Lets a token live longer. Without an argument, the one in use.\n\n"
            "      $ vault token renew\n"
            "      $ vault token renew -increment=30m 96ddf4bc-d217-f3ba-f9bd-017055595017",
    .run = renew_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
    COMMAND_FLAGS(renew_flags),
};

/* ---- revoke ---- */

static const struct flag revoke_flags[] = {
    { .name = "accessor", .kind = FLAG_BOOL,
      .help = "The argument is a token's accessor, not the token." },
    { .name = "self", .kind = FLAG_BOOL, .help = "Revoke the token in use." },
    { .name = "mode", .kind = FLAG_STRING,
      .help = "\"orphan\": the token's children live on; \"path\": the argument is the beginning "
              "of "
              "lease IDs. Without it, the token and all its children end." },
};

/* NULL, or what is wrong with the combination of options and arguments. */
static const char *revoke_refusal(struct command_run *run)
{
    struct str mode = flags_str(run->flags, "mode");
    bool self = flags_bool(run->flags, "self"), accessor = flags_bool(run->flags, "accessor");
    if (mode.n > 0 && !str_is(mode, "orphan") && !str_is(mode, "path"))
        return arena_printf(run->arena, "Invalid mode: " STR_FMT, STR_ARG(mode)).p;
    if (self && run->n_args > 0)
        return arena_printf(run->arena, "Too many arguments with -self (expected 0, got %zu)",
                            run->n_args).p;
    if (!self && run->n_args != 1)
        return arena_printf(run->arena, "%s arguments (expected 1 or -self, got %zu)",
                            run->n_args > 1 ? "Too many" : "Not enough", run->n_args).p;
    if (self && accessor)
        return "Cannot use -self with -accessor!";
    if (self && mode.n > 0)
        return "Cannot use -self with -mode!";
    if (accessor && str_is(mode, "orphan"))
        return "Cannot use -accessor with -mode=orphan!";
    if (accessor && str_is(mode, "path"))
        return "Cannot use -accessor with -mode=path!";
    return NULL;
}

static int revoke_run(struct command_run *run)
{
    struct api_answer answer;
    const char *refusal = revoke_refusal(run);
    struct str mode = flags_str(run->flags, "mode");
    bool accessor = flags_bool(run->flags, "accessor");
    int rc;
    if (refusal != NULL)
        return command_fail(run, 1, "%s", refusal);
    if (flags_bool(run->flags, "self"))
        rc = api_put(run, "auth/token/revoke-self", NULL, &answer);
    else if (accessor)
        rc = api_post(run, "auth/token/revoke-accessor", subject(run, true), &answer);
    else if (str_is(mode, "path"))
        rc = api_put(run,
                     arena_printf(run->arena, "sys/leases/revoke-prefix/%s", run->args[0]).p,
                     NULL, &answer);
    else
        rc = api_put(run,
                     mode.n > 0 ? "auth/token/revoke-orphan" : "auth/token/revoke",
                     subject(run, false), &answer);
    if (rc < 0)
        return command_fail(run, 2, "Error revoking token: " STR_FMT, STR_ARG(answer.error));
    command_say(run, "Success! Revoked token (if it existed)");
    return 0;
}

const struct command command_token_revoke = {
    .name = "token revoke",
    .usage = "token revoke [options] [TOKEN | ACCESSOR]",
    .summary = "Revoke a token and its children",
    .help = "  Ends a token, all tokens that were made with it, and the leases of all of them.\n\n"
            "      $ vault token revoke 96ddf4bc-d217-f3ba-f9bd-017055595017\n"
            "      $ vault token revoke -self",
    .run = revoke_run,
    .options = COMMAND_HTTP,
    COMMAND_FLAGS(revoke_flags),
};

/* ---- capabilities ---- */

static int capabilities_run(struct command_run *run)
{
    struct api_answer answer;
    struct json *body = json_object(run->arena);
    if (!command_args(run, 1, 2))
        return 1;
    bool other = run->n_args == 2;
    if (other)
        json_put_text(body, "token", run->args[0]);
    json_put_text(body, "path", run->args[run->n_args - 1]);
    if (api_post(run, other ? "sys/capabilities" : "sys/capabilities-self", body, &answer) < 0)
        return command_fail(run, 2, "Error listing capabilities: " STR_FMT,
                            STR_ARG(answer.error));
    const struct json *data = json_member(answer.json, "data");
    const struct json *list = json_get(data, str_of(run->args[run->n_args - 1]));
    if (!json_is(list, JSON_ARRAY))
        list = json_member(data, "capabilities");
    if (!json_is(list, JSON_ARRAY))
        list = json_member(answer.json, "capabilities");
    if (!json_is(list, JSON_ARRAY) || list->count == 0)
        return command_fail(run, 1, "No capabilities found");
    if (!command_is_table(run))
        return output_value(run, list);
    struct strs names = { 0 };
    for (const struct json *c = list->first; c != NULL; c = c->next)
        strs_add(run->arena, &names, c->text);
    strs_sort(&names);
    struct str line = strs_join(run->arena, &names, STR(", "));
    command_say(run, STR_FMT, STR_ARG(line));
    return 0;
}

const struct command command_token_capabilities = {
    .name = "token capabilities",
    .usage = "token capabilities [options] [TOKEN] PATH",
    .summary = "Print capabilities of a token on a path",
    .help = "  Prints what a token may do at a path. Without TOKEN, the one in use.\n\n"
            "      $ vault token capabilities cubbyhole/foo\n"
            "      $ vault token capabilities 96ddf4bc-d217-f3ba-f9bd-017055595017 cubbyhole/foo",
    .run = capabilities_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
};
