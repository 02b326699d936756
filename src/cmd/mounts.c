/* Mounts: "secrets" and "auth": enable, disable, list, tune and move what is mounted. */
#include "cmd/api.h"
#include "cmd/commands.h"
#include "cmd/output.h"
#include "cmd/text.h"
#include "codec/timefmt.h"

/* What differs between secrets engines and auth methods. */
struct kind {
    const char *api;         /* "sys/mounts" */
    const char *tune_prefix; /* what tuning puts before the mount's path */
    bool is_auth;
};

static const struct kind secrets = { "sys/mounts", "", false };
static const struct kind auth = { "sys/auth", "auth/", true };

const struct command command_secrets = {
    .name = "secrets",
    .usage = "secrets <subcommand> [options] [args]",
    .summary = "Interact with secrets engines",
    .help = "  Mounts secrets engines at paths, and looks after those that are mounted.\n\n"
            "      $ vault secrets list\n"
            "      $ vault secrets enable -path=team/kv -version=2 kv",
};

const struct command command_auth = {
    .name = "auth",
    .usage = "auth <subcommand> [options] [args]",
    .summary = "Interact with auth methods",
    .help = "  Mounts auth methods at paths, and looks after those that are mounted. To log in, "
            "use\n"
            "  \"login\".\n\n"
            "      $ vault auth list\n"
            "      $ vault auth enable userpass",
};

/* ---- enable ---- */

#define TTL_FLAGS(thing)                                                                           \
    { .name = "default-lease-ttl", .kind = FLAG_DURATION,                                          \
      .help = "How long leases and tokens of this " thing " live when nobody says otherwise." },   \
    { .name = "max-lease-ttl", .kind = FLAG_DURATION,                                              \
      .help = "How long leases and tokens of this " thing " live at most." }

#define SHARED_FLAGS(thing)                                                                        \
    TTL_FLAGS(thing),                                                                              \
    { .name = "description", .kind = FLAG_STRING, .help = "What this " thing " is for." },         \
    { .name = "audit-non-hmac-request-keys", .kind = FLAG_LIST,                                    \
      .help = "Names in requests whose values audit devices write in the clear." },                \
    { .name = "audit-non-hmac-response-keys", .kind = FLAG_LIST,                                   \
      .help = "Names in answers whose values audit devices write in the clear." },                 \
    { .name = "listing-visibility", .kind = FLAG_STRING,                                           \
      .help = "\"unauth\" lists this " thing " for people who are not logged in; \"hidden\"." },   \
    { .name = "options", .kind = FLAG_MAP,                                                         \
      .help = "An option of the " thing ", as key=value. May be repeated." },                      \
    { .name = "version", .kind = FLAG_INT, .fallback = "0",                                        \
      .help = "Which version of the " thing " to run, for those that have several." }

#define HEADER_FLAGS(thing)                                                                        \
    { .name = "passthrough-request-headers", .kind = FLAG_LIST,                                    \
      .help = "Request headers that the " thing " gets to see." },                                 \
    { .name = "allowed-response-headers", .kind = FLAG_LIST,                                       \
      .help = "Response headers that the " thing " may set." }

#define ENABLE_FLAGS(thing)                                                                        \
    SHARED_FLAGS(thing), HEADER_FLAGS(thing),                                                      \
    { .name = "path", .kind = FLAG_STRING,                                                         \
      .help = "Where to mount it; its type's name when not given." },                              \
    { .name = "plugin-name", .kind = FLAG_STRING,                                                  \
      .help = "Name of the plugin, with the type \"plugin\"." },                                   \
    { .name = "local", .kind = FLAG_BOOL, .help = "Keep this " thing " out of replication." },     \
    { .name = "seal-wrap", .kind = FLAG_BOOL,                                                      \
      .help = "Encrypt its critical values with the seal too." },                                  \
    { .name = "external-entropy-access", .kind = FLAG_BOOL,                                        \
      .help = "Let it draw random bytes from an outside source." }

#define TOKEN_TYPE_FLAG                                                                            \
    { .name = "token-type", .kind = FLAG_STRING,                                                   \
      .help = "Which tokens logins get: \"service\", \"batch\", \"default-service\" or "           \
              "\"default-batch\"." }

static const struct flag secrets_enable_flags[] = {
    ENABLE_FLAGS("secrets engine"),
    { .name = "force-no-cache", .kind = FLAG_BOOL, .help = "Never cache what it reads." },
};

static const struct flag auth_enable_flags[] = { ENABLE_FLAGS("auth method"), TOKEN_TYPE_FLAG };

static void put_list(struct command_run *run, struct json *config, const char *flag,
                     const char *name)
{
    if (!flags_known(run->flags, flag) || !flags_given(run->flags, flag))
        return;
    struct strs list = flags_list(run->flags, flag);
    struct json *to = json_put_array(config, name);
    for (size_t i = 0; i < list.n; i++)
        json_add_str(to, list.v[i]);
}

static void put_text(struct command_run *run, struct json *config, const char *flag,
                     const char *name)
{
    if (flags_known(run->flags, flag) && flags_given(run->flags, flag))
        json_put_str(config, name, flags_str(run->flags, flag));
}

static void put_common(struct command_run *run, struct json *config)
{
    put_list(run, config, "audit-non-hmac-request-keys", "audit_non_hmac_request_keys");
    put_list(run, config, "audit-non-hmac-response-keys", "audit_non_hmac_response_keys");
    put_list(run, config, "passthrough-request-headers", "passthrough_request_headers");
    put_list(run, config, "allowed-response-headers", "allowed_response_headers");
    put_text(run, config, "listing-visibility", "listing_visibility");
    put_text(run, config, "token-type", "token_type");
}

/* The -options, with -version among them; NULL when there are none. */
static struct json *options_of(struct command_run *run)
{
    struct json *options = flags_map(run->flags, "options");
    if (flags_int(run->flags, "version") > 0) {
        if (options == NULL)
            options = json_object(run->arena);
        json_put_str(options, "version", flags_str(run->flags, "version"));
    }
    return options != NULL ? options : json_null(run->arena);
}

static struct json *enable_body(struct command_run *run, const struct kind *kind, struct str type)
{
    struct json *body = json_object(run->arena);
    json_put_str(body, "type", type);
    json_put_str(body, "description", flags_str(run->flags, "description"));
    struct json *config = json_put_object(body, "config");
    json_put_str(config, "default_lease_ttl",
                 duration_format(run->arena, flags_ns(run->flags, "default-lease-ttl")));
    json_put_str(config, "max_lease_ttl",
                 duration_format(run->arena, flags_ns(run->flags, "max-lease-ttl")));
    if (!kind->is_auth)
        json_put_bool(config, "force_no_cache", flags_bool(run->flags, "force-no-cache"));
    put_common(run, config);
    json_put_bool(body, "local", flags_bool(run->flags, "local"));
    json_put_bool(body, "seal_wrap", flags_bool(run->flags, "seal-wrap"));
    json_put_bool(body, "external_entropy_access",
                  flags_bool(run->flags, "external-entropy-access"));
    json_put(body, "options", options_of(run));
    return body;
}

static int enable(struct command_run *run, const struct kind *kind)
{
    struct api_answer answer;
    if (!command_args(run, 1, 1))
        return 1;
    struct str type = str_trim(str_of(run->args[0])), given = flags_str(run->flags, "path");
    if (str_is(type, "plugin"))
        type = flags_str(run->flags, "plugin-name");
    struct str mount = command_mount(run, given.n > 0 ? given.p
                                                      : arena_cstr(run->arena, type));
    struct str path = arena_printf(run->arena, "%s/%s", kind->api, mount.p);
    if (api_post(run, path.p, enable_body(run, kind, type), &answer) < 0) {
        if (kind->is_auth)
            return command_fail(run, 2, "Error enabling " STR_FMT " auth: " STR_FMT,
                                STR_ARG(type), STR_ARG(answer.error));
        return command_fail(run, 2, "Error enabling: " STR_FMT, STR_ARG(answer.error));
    }
    command_say(run, kind->is_auth ? "Success! Enabled " STR_FMT " auth method at: %s"
                                   : "Success! Enabled the " STR_FMT " secrets engine at: %s",
                STR_ARG(type), mount.p);
    return 0;
}

static int secrets_enable_run(struct command_run *run)
{
    return enable(run, &secrets);
}

static int auth_enable_run(struct command_run *run)
{
    return enable(run, &auth);
}

const struct command command_secrets_enable = {
    .name = "secrets enable",
    .usage = "secrets enable [options] TYPE",
    .summary = "Enable a secrets engine",
    .help = "  Mounts a secrets engine of the type. Many can be mounted of one type, each at a "
            "path of\n"
            "  its own and with data of its own.\n\n"
            "      $ vault secrets enable transit\n"
            "      $ vault secrets enable -path=team/kv -version=2 kv",
    .run = secrets_enable_run,
    .options = COMMAND_HTTP,
    COMMAND_FLAGS(secrets_enable_flags),
};

const struct command command_auth_enable = {
    .name = "auth enable",
    .usage = "auth enable [options] TYPE",
    .summary = "Enables a new auth method",
    .help = "  Mounts an auth method of the type, by which people or machines can log in.\n\n"
            "      $ vault auth enable userpass\n"
            "      $ vault auth enable -path=jobs approle",
    .run = auth_enable_run,
    .options = COMMAND_HTTP,
    COMMAND_FLAGS(auth_enable_flags),
};

/* ---- disable ---- */

static int disable(struct command_run *run, const struct kind *kind)
{
    struct api_answer answer;
    if (!command_args(run, 1, 1))
        return 1;
    struct str mount = command_mount(run, run->args[0]);
    struct str path = arena_printf(run->arena, "%s/%s", kind->api, mount.p);
    if (api_delete(run, path.p, &answer) < 0)
        return command_fail(run, 2, "Error disabling %s at %s: " STR_FMT,
                            kind->is_auth ? "auth method" : "secrets engine", mount.p,
                            STR_ARG(answer.error));
    command_say(run, "Success! Disabled the %s (if it existed) at: %s",
                kind->is_auth ? "auth method" : "secrets engine", mount.p);
    return 0;
}

static int secrets_disable_run(struct command_run *run)
{
    return disable(run, &secrets);
}

static int auth_disable_run(struct command_run *run)
{
    return disable(run, &auth);
}

const struct command command_secrets_disable = {
    .name = "secrets disable",
    .usage = "secrets disable [options] PATH",
    .summary = "Disable a secret engine",
    .help = "  Unmounts what is at the path. Its secrets are revoked and all its data is "
            "deleted.\n\n"
            "      $ vault secrets disable team/kv",
    .run = secrets_disable_run,
    .options = COMMAND_HTTP,
};

const struct command command_auth_disable = {
    .name = "auth disable",
    .usage = "auth disable [options] PATH",
    .summary = "Disables an auth method",
    .help = "  Unmounts the auth method at the path. Everybody who logged in by it is logged "
            "out.\n\n"
            "      $ vault auth disable userpass",
    .run = auth_disable_run,
    .options = COMMAND_HTTP,
};

/* ---- list ---- */

static const struct flag list_flags[] = {
    { .name = "detailed", .kind = FLAG_BOOL, .help = "Print the settings of each mount too." },
};

/* The mounts of an answer that carries them twice, in an envelope and without one. */
static const struct json *mounts_of(const struct json *answer)
{
    const struct json *data = json_member(answer, "data");
    return json_is(data, JSON_OBJECT) ? data : answer;
}

static struct str ttl_cell(struct table *t, const struct json *mount, const char *name)
{
    struct str type = json_get_str(mount, "type");
    int64_t ttl = json_get_int(json_member(mount, "config"), name, 0);
    if (str_is(type, "system") || str_is(type, "cubbyhole"))
        return STR("");
    return ttl == 0 ? STR("system") : arena_printf(t->arena, "%lld", (long long)ttl);
}

static struct str truth_cell(const struct json *object, const char *name)
{
    return json_get_bool(object, name, false) ? STR("true") : STR("false");
}

static struct str options_cell(struct table *t, const struct json *mount)
{
    AUTO(buf_free) struct buf text = { 0 };
    const struct json *options = json_member(mount, "options");
    if (!json_is(options, JSON_OBJECT))
        return STR("map[]");
    text_value(options, &text);
    return arena_dup(t->arena, buf_str(&text));
}

static void detailed_row(struct table *t, const struct kind *kind, const struct json *m)
{
    const struct json *config = json_member(m, "config");
    table_cell(t, m->key);
    table_cell(t, json_get_str(m, "type"));
    table_cell(t, json_get_str(m, "accessor"));
    table_cell(t, ttl_cell(t, m, "default_lease_ttl"));
    table_cell(t, ttl_cell(t, m, "max_lease_ttl"));
    table_cell(t, kind->is_auth ? json_get_str(config, "token_type")
                                : truth_cell(config, "force_no_cache"));
    table_cell(t, json_get_bool(m, "local", false) ? STR("local") : STR("replicated"));
    table_cell(t, truth_cell(m, "seal_wrap"));
    table_cell(t, truth_cell(m, "external_entropy_access"));
    table_cell(t, options_cell(t, m));
    table_cell(t, json_get_str(m, "description"));
    table_cell(t, json_get_str(m, "uuid"));
}

static void header(struct table *t, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        table_cell(t, str_of(names[i]));
    table_end_row(t);
}

static void print_mounts(struct command_run *run, const struct kind *kind,
                         const struct json *mounts)
{
    const char *const brief[] = { "Path", "Type", "Accessor", "Description" };
    const char *const full[] = { "Path", "Plugin", "Accessor", "Default TTL", "Max TTL",
                                 kind->is_auth ? "Token Type" : "Force No Cache", "Replication",
                                 "Seal Wrap", "External Entropy Access", "Options", "Description",
                                 "UUID" };
    bool detailed = flags_bool(run->flags, "detailed");
    struct table t = { .arena = run->arena };
    struct strs paths = { 0 };
    header(&t, detailed ? full : brief, detailed ? ARRAY_LEN(full) : ARRAY_LEN(brief));
    for (const struct json *m = json_first(mounts); m != NULL; m = m->next)
        if (json_is(m, JSON_OBJECT))
            strs_add(run->arena, &paths, m->key);
    strs_sort(&paths);
    for (size_t i = 0; i < paths.n; i++) {
        const struct json *m = json_get(mounts, paths.v[i]);
        if (detailed) {
            detailed_row(&t, kind, m);
            continue;
        }
        table_cell(&t, m->key);
        table_cell(&t, json_get_str(m, "type"));
        table_cell(&t, json_get_str(m, "accessor"));
        table_cell(&t, json_get_str(m, "description"));
    }
    output_table(run, &t, true);
}

static int list(struct command_run *run, const struct kind *kind)
{
    struct api_answer answer;
    if (!command_args(run, 0, 0))
        return 1;
    if (api_get(run, kind->api, &answer) < 0)
        return command_fail(run, 2, "Error listing %s: " STR_FMT,
                            kind->is_auth ? "enabled authentications" : "secrets engines",
                            STR_ARG(answer.error));
    if (!command_is_table(run))
        return output_value(run, mounts_of(answer.json));
    print_mounts(run, kind, mounts_of(answer.json));
    return arena_failed(run->arena) ? command_out_of_memory(run) : 0;
}

static int secrets_list_run(struct command_run *run)
{
    return list(run, &secrets);
}

static int auth_list_run(struct command_run *run)
{
    return list(run, &auth);
}

const struct command command_secrets_list = {
    .name = "secrets list",
    .usage = "secrets list [options]",
    .summary = "List enabled secrets engines",
    .help = "  Lists what is mounted where.\n\n"
            "      $ vault secrets list\n"
            "      $ vault secrets list -detailed",
    .run = secrets_list_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
    COMMAND_FLAGS(list_flags),
};

const struct command command_auth_list = {
    .name = "auth list",
    .usage = "auth list [options]",
    .summary = "Lists enabled auth methods",
    .help = "  Lists by which auth methods one can log in, and where they are mounted.\n\n"
            "      $ vault auth list\n"
            "      $ vault auth list -detailed",
    .run = auth_list_run,
    .options = COMMAND_HTTP | COMMAND_FORMAT,
    COMMAND_FLAGS(list_flags),
};

/* ---- tune ---- */

static const struct flag secrets_tune_flags[] = { SHARED_FLAGS("secrets engine"),
                                                  HEADER_FLAGS("secrets engine") };
static const struct flag auth_tune_flags[] = { SHARED_FLAGS("auth method"),
                                               HEADER_FLAGS("auth method"), TOKEN_TYPE_FLAG };

/* 0 leaves it as it is, a negative time goes back to the system's. */
static struct str tuned_ttl(struct command_run *run, const char *flag)
{
    int64_t ns = flags_ns(run->flags, flag);
    return ns == 0 ? STR("") : ns < 0 ? STR("system") : duration_format(run->arena, ns);
}

static int tune(struct command_run *run, const struct kind *kind)
{
    struct api_answer answer;
    if (!command_args(run, 1, 1))
        return 1;
    struct str mount = command_mount(run, run->args[0]);
    struct str path = arena_printf(run->arena, "sys/mounts/%s%s/tune", kind->tune_prefix, mount.p);
    struct json *body = json_object(run->arena);
    json_put(body, "options", options_of(run));
    json_put_str(body, "default_lease_ttl", tuned_ttl(run, "default-lease-ttl"));
    json_put_str(body, "max_lease_ttl", tuned_ttl(run, "max-lease-ttl"));
    json_put_bool(body, "force_no_cache", false);
    put_text(run, body, "description", "description");
    put_common(run, body);
    if (api_post(run, path.p, body, &answer) < 0)
        return command_fail(run, 2, "Error tuning %s %s: " STR_FMT,
                            kind->is_auth ? "auth method" : "secrets engine", mount.p,
                            STR_ARG(answer.error));
    command_say(run, "Success! Tuned the %s at: %s",
                kind->is_auth ? "auth method" : "secrets engine", mount.p);
    return 0;
}

static int secrets_tune_run(struct command_run *run)
{
    return tune(run, &secrets);
}

static int auth_tune_run(struct command_run *run)
{
    return tune(run, &auth);
}

const struct command command_secrets_tune = {
    .name = "secrets tune",
    .usage = "secrets tune [options] PATH",
    .summary = "Tune a secrets engine configuration",
    .help = "  Changes the settings of a mounted secrets engine. What is not named stays.\n\n"
            "      $ vault secrets tune -default-lease-ttl=72h pki/",
    .run = secrets_tune_run,
    .options = COMMAND_HTTP,
    COMMAND_FLAGS(secrets_tune_flags),
};

const struct command command_auth_tune = {
    .name = "auth tune",
    .usage = "auth tune [options] PATH",
    .summary = "Tunes an auth method configuration",
    .help = "  Changes the settings of a mounted auth method. What is not named stays.\n\n"
            "      $ vault auth tune -default-lease-ttl=72h userpass/",
    .run = auth_tune_run,
    .options = COMMAND_HTTP,
    COMMAND_FLAGS(auth_tune_flags),
};

/* ---- move ---- */

static int secrets_move_run(struct command_run *run)
{
    struct api_answer answer;
    if (!command_args(run, 2, 2))
        return 1;
    struct str from = command_mount(run, run->args[0]), to = command_mount(run, run->args[1]);
    struct json *body = json_object(run->arena);
    json_put_str(body, "from", from);
    json_put_str(body, "to", to);
    if (api_post(run, "sys/remount", body, &answer) < 0)
        return command_fail(run, 2, "Error moving secrets engine %s to %s: " STR_FMT, from.p, to.p,
                            STR_ARG(answer.error));
    command_say(run, "Success! Moved secrets engine %s to: %s", from.p, to.p);
    return 0;
}

const struct command command_secrets_move = {
    .name = "secrets move",
    .usage = "secrets move [options] SOURCE DESTINATION",
    .summary = "Move a secrets engine to a new path",
    .help = "  Moves a mounted secrets engine with its data to another path. Its leases are "
            "revoked;\n"
            "  policies that name the old path are not changed.\n\n"
            "      $ vault secrets move secret/ generic/",
    .run = secrets_move_run,
    .options = COMMAND_HTTP,
};
