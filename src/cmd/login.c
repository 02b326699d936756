/* Login: "login": prove who you are, and keep the token that this gives. */
#include "cmd/login.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd/api.h"
#include "cmd/commands.h"
#include "cmd/data.h"
#include "cmd/output.h"
#include "cmd/prompt.h"
#include "cmd/token_helper.h"

#define PASSWORD_HELP(method)                                                                      \
    "Usage: vault login -method=" method " [CONFIG K=V...]\n\n"                                    \
    "  Logs in with a name and a password. The password is asked for, and not shown, when it\n"    \
    "  is not given.\n\n"                                                                          \
    "      $ vault login -method=" method " username=ann\n"                                        \
    "      Password (will be hidden):\n\n"                                                         \
    "Configuration:\n\n"                                                                           \
    "  username=<string>\n      Name of the user.\n\n"                                             \
    "  password=<string>\n      The user's password.\n\n"                                          \
    "  passcode=<string>, method=<string>\n      For multi-factor authentication."

static const struct login_method methods[] = {
    { .name = "token", .mount = "token",
      .help = "Usage: vault login TOKEN [CONFIG K=V...]\n\n"
              "  Logs in with a token that you already have. It is asked for, and not shown, "
              "when it\n"
              "  is not given.\n\n"
              "Configuration:\n\n"
              "  token=<string>\n      The token.\n\n"
              "  lookup=<bool>\n      Ask the server about the token first (true)." },
    { .name = "userpass", .mount = "userpass", .path = "login/%s", .user_field = "username",
      .secret_field = "password", .question = "Password", .help = PASSWORD_HELP("userpass") },
    { .name = "ldap", .mount = "ldap", .path = "login/%s", .user_field = "username",
      .secret_field = "password", .question = "Password",
      .secret_env = "VAULT_LDAP_PASSWORD", .help = PASSWORD_HELP("ldap") },
    { .name = "okta", .mount = "okta", .path = "login/%s", .user_field = "username",
      .secret_field = "password", .question = "Password", .help = PASSWORD_HELP("okta") },
    { .name = "radius", .mount = "radius", .path = "login/%s", .user_field = "username",
      .secret_field = "password", .question = "Password", .help = PASSWORD_HELP("radius") },
    { .name = "github", .mount = "github", .path = "login", .secret_field = "token",
      .question = "GitHub Personal Access Token", .secret_env = "VAULT_AUTH_GITHUB_TOKEN",
      .help = "Usage: vault login -method=github [CONFIG K=V...]\n\n"
              "  Logs in with a personal access token of GitHub.\n\n"
              "      $ vault login -method=github token=abcd1234\n\n"
              "Configuration:\n\n"
              "  token=<string>\n      The personal access token." },
    { .name = "cert", .mount = "cert", .path = "login",
      .help = "Usage: vault login -method=cert [CONFIG K=V...]\n\n"
              "  Logs in with the TLS certificate of -client-cert and -client-key.\n\n"
              "      $ vault login -method=cert -client-cert=cert.pem -client-key=key.pem\n\n"
              "Configuration:\n\n"
              "  name=<string>\n      Name of the role to log in to." },
    { .name = "approle", .mount = "approle", .path = "login", .secret_field = "secret_id",
      .question = "Secret ID",
      .help = "Usage: vault login -method=approle [CONFIG K=V...]\n\n"
              "  Logs in as an application's role.\n\n"
              "      $ vault login -method=approle role_id=... secret_id=...\n\n"
              "Configuration:\n\n"
              "  role_id=<string>\n      ID of the role.\n\n"
              "  secret_id=<string>\n      Secret ID; empty when the role needs none." },
    { .name = "jwt", .mount = "jwt", .path = "login", .secret_field = "jwt", .question = "JWT",
      .help = "Usage: vault login -method=jwt [CONFIG K=V...]\n\n"
              "  Logs in with a signed JSON Web Token.\n\n"
              "      $ vault login -method=jwt role=ci jwt=@token.jwt\n\n"
              "Configuration:\n\n"
              "  role=<string>\n      Name of the role.\n\n"
              "  jwt=<string>\n      The JSON Web Token." },
    { .name = "kubernetes", .mount = "kubernetes", .path = "login", .secret_field = "jwt",
      .question = "Service account token",
      .help = "Usage: vault login -method=kubernetes [CONFIG K=V...]\n\n"
              "  Logs in with the token of a Kubernetes service account.\n\n"
              "      $ vault login -method=kubernetes role=app \\\n"
              "          jwt=@/var/run/secrets/kubernetes.io/serviceaccount/token\n\n"
              "Configuration:\n\n"
              "  role=<string>\n      Name of the role.\n\n"
              "  jwt=<string>\n      The service account's token." },
};

const struct login_method *login_method_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (str_is(name, methods[i].name))
            return &methods[i];
    return NULL;
}

static const struct flag login_flags[] = {
    { .name = "method", .kind = FLAG_STRING, .fallback = "token",
      .help = "Type of the auth method: \"token\", \"userpass\", \"approle\", ..." },
    { .name = "path", .kind = FLAG_STRING,
      .help = "Where the auth method is mounted, when not at its type's name." },
    { .name = "no-store", .kind = FLAG_BOOL,
      .help = "Only show the token; do not keep it for later commands." },
    { .name = "no-print", .kind = FLAG_BOOL, .help = "Only keep the token; do not show it." },
    { .name = "token-only", .kind = FLAG_BOOL,
      .help = "Print the bare token and do not keep it; as -field=token -no-store." },
};

/* ---- token ---- */

/* Ask for the value of ${field} when the arguments do not have it. 0, -1 after saying why. */
static int ask_for(struct command_run *run, struct json *config, const char *field,
                   const char *question)
{
    struct err err = { 0 };
    AUTO(buf_free) struct buf value = { 0 };
    if (json_member(config, field) != NULL)
        return 0;
    if (prompt_hidden(run, STDERR_FILENO, question, &value, &err) < 0) {
        command_warn(run, "Error authenticating: %s could not be asked for: %s", question,
                     err.msg);
        command_caution(run, "Asking needs a terminal. Where there is none, give it as %s=VALUE, "
                             "or as \"-\" to read it from standard input.", field);
        return -1;
    }
    json_put_str(config, field, arena_dup(run->arena, str_trim(buf_str(&value))));
    return 0;
}

/* An answer that looks like a login's, made of what the server knows of the token. */
static struct json *auth_of_lookup(struct command_run *run, const struct json *data)
{
    static const char *const lists[] = { "policies", "identity_policies" };
    struct json *answer = json_object(run->arena), *auth = json_put_object(answer, "auth");
    struct json *all = json_put_array(auth, "policies");
    json_put_str(auth, "client_token", json_get_str(data, "id"));
    json_put_str(auth, "accessor", json_get_str(data, "accessor"));
    json_put(auth, "token_policies", json_is(json_member(data, "policies"), JSON_ARRAY)
                                         ? json_copy(run->arena, json_member(data, "policies"))
                                         : json_array(run->arena));
    json_put(auth, "identity_policies",
             json_is(json_member(data, "identity_policies"), JSON_ARRAY)
                 ? json_copy(run->arena, json_member(data, "identity_policies"))
                 : json_null(run->arena));
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        const struct json *p = json_first(json_member(data, lists[i]));
        for (; p != NULL; p = p->next)
            json_add_str(all, p->text);
    }
    if (json_is(json_member(data, "meta"), JSON_OBJECT))
        json_put(auth, "metadata", json_copy(run->arena, json_member(data, "meta")));
    json_put_int(auth, "lease_duration", json_get_int(data, "ttl", 0));
    json_put_bool(auth, "renewable", json_get_bool(data, "renewable", false));
    return answer;
}

static int set_token(struct command_run *run, struct str token)
{
    char *z = arena_cstr(run->arena, token);
    if (z != NULL && coffer_set_token(run->client, z) == 0)
        return 0;
    return command_fail(run, -1, "Error authenticating: the token holds characters that cannot be "
                                 "sent");
}

static int token_login(struct command_run *run, struct json *config, struct json **out)
{
    struct api_answer answer;
    struct str lookup = json_get_str(config, "lookup");
    if (ask_for(run, config, "token", "Token") < 0)
        return 2;
    struct str token = str_trim(json_get_str(config, "token"));
    if (token.n == 0)
        return command_fail(run, 2, "Error authenticating: a token must be given");
    if (str_is(lookup, "false") || str_is(lookup, "0")) {
        *out = json_object(run->arena);
        json_put_str(json_put_object(*out, "auth"), "client_token", token);
        return 0;
    }
    if (set_token(run, token) < 0)
        return 2;
    if (api_send(run, &(struct api_call){ .method = "GET", .path = "auth/token/lookup-self",
                                          .unwrapped = !run->curl_only }, &answer) < 0)
        return command_fail(run, 2, "Error authenticating: error looking up token: " STR_FMT,
                            STR_ARG(answer.error));
    *out = auth_of_lookup(run, json_member(answer.json, "data"));
    return 0;
}

/* ---- the other methods ---- */

static int method_login(struct command_run *run, const struct login_method *m, struct str mount,
                        struct json *config, struct json **out)
{
    struct api_answer answer;
    struct str user = STR("");
    if (m->user_field != NULL) {
        user = json_get_str(config, m->user_field);
        if (user.n == 0)
            return command_fail(run, 2, "Error authenticating: '%s' must be specified",
                                m->user_field);
        json_remove(config, str_of(m->user_field));
    }
    const char *env = m->secret_env != NULL ? getenv(m->secret_env) : NULL;
    if (env != NULL && m->secret_field != NULL && json_member(config, m->secret_field) == NULL)
        json_put_text(config, m->secret_field, env);
    if (m->secret_field != NULL && ask_for(run, config, m->secret_field, m->question) < 0)
        return 2;
    /* Of all methods with a user in the path, "login/" goes before it. */
    struct str path = arena_printf(run->arena, "auth/" STR_FMT "login%s" STR_FMT, STR_ARG(mount),
                                   m->user_field != NULL ? "/" : "", STR_ARG(user));
    if (api_put(run, path.p, config, &answer) < 0)
        return command_fail(run, 2, "Error authenticating: " STR_FMT, STR_ARG(answer.error));
    if (answer.json == NULL)
        return command_fail(run, 2, "Error authenticating: the answer is empty");
    *out = answer.json;
    return 0;
}

/* ---- what becomes of the answer ---- */

/* The login inside a wrapping token, when that was asked for. */
static int unwrap_login(struct command_run *run, struct json **answer)
{
    struct api_answer inner;
    const struct json *info = json_member(*answer, "wrap_info");
    if (json_get_str(info, "wrapped_accessor").n == 0)
        return command_fail(run, 2, "Error extracting token: wrapped response does not contain a "
                                    "token");
    if (set_token(run, json_get_str(info, "token")) < 0)
        return 2;
    if (api_send(run, &(struct api_call){ .method = "PUT", .path = "sys/wrapping/unwrap",
                                          .unwrapped = true }, &inner) < 0)
        return command_fail(run, 2, "Error extracting token: " STR_FMT, STR_ARG(inner.error));
    *answer = inner.json;
    return 0;
}

static int store(struct command_run *run, const struct json *answer)
{
    struct err err = { 0 };
    const char *env = getenv("VAULT_TOKEN");
    if (token_helper_store(json_get_str(json_member(answer, "auth"), "client_token"), &err) < 0) {
        command_warn(run, "Error storing token: %s", err.msg);
        command_caution(run, "The login succeeded, but its token could not be kept. It is shown "
                             "here instead.");
        output_secret(run, answer);
        return 2;
    }
    if (env != NULL && env[0] != '\0')
        command_caution(run, "WARNING! The environment variable VAULT_TOKEN is set, and wins over "
                             "the token that was just kept. Unset it, or set it to the token "
                             "below.\n");
    return 0;
}

static int print_login(struct command_run *run, const struct json *answer, bool token_only)
{
    struct str field = token_only ? STR("token") : flags_str(run->flags, "field");
    if (flags_bool(run->flags, "no-print"))
        return 0;
    if (field.n > 0)
        return output_field(run, answer, field);
    if (command_is_table(run) && !flags_bool(run->flags, "no-store"))
        command_tell(run, "Success! You are logged in. The token below is kept by the token "
                          "helper, "
                          "and later commands use it by themselves: there is no need to log in "
                          "again.\n");
    return output_secret(run, answer);
}

static int finish(struct command_run *run, struct json *answer)
{
    bool token_only = flags_bool(run->flags, "token-only");
    bool keep = !token_only && !flags_bool(run->flags, "no-store");
    bool wrapped = json_is(json_member(answer, "wrap_info"), JSON_OBJECT);
    if (wrapped && token_only)
        return output_field(run, answer, STR("wrapping_token"));
    if (wrapped && !keep)
        return output_secret(run, answer);
    int rc = wrapped ? unwrap_login(run, &answer) : 0;
    if (rc != 0)
        return rc;
    if (!json_is(json_member(answer, "auth"), JSON_OBJECT))
        return command_fail(run, 2, "Error extracting token: no auth or wrapping info in response");
    if (keep)
        rc = store(run, answer);
    else if (!token_only)
        command_caution(run, "The token was not kept. Set VAULT_TOKEN to it, or give it with each "
                             "request.\n");
    return rc != 0 ? rc : print_login(run, answer, token_only);
}

/* The arguments; a first one without "=" is the token. */
static int read_config(struct command_run *run, bool is_token, struct json **config,
                       struct err *err)
{
    const char *first = run->n_args > 0 ? run->args[0] : "";
    bool bare = is_token && run->n_args > 0 && strchr(first, '=') == NULL;
    if (bare)
        run->args[0] = arena_cstr(run->arena,
                                  arena_printf(run->arena, "token=%s", first));
    if (run->n_args > 0 && run->args[0] == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    return data_parse_texts(run, run->args, run->n_args, config, err);
}

static int login_run(struct command_run *run)
{
    struct err err = { 0 };
    struct json *config, *answer = NULL;
    struct coffer *client;
    struct str name = command_path(run, flags_str(run->flags, "method").p);
    const struct login_method *m = login_method_find(name.n > 0 ? name : STR("token"));
    if (flags_bool(run->flags, "no-store") && flags_bool(run->flags, "no-print"))
        return command_fail(run, 1, "-no-store and -no-print cannot be used together");
    if (m == NULL)
        return command_fail(run, 1, "Unknown auth method: " STR_FMT ". Use \"vault auth list\" to "
                            "see which are enabled. Some can only be used over the HTTP API: "
                            "\"vault write auth/" STR_FMT "/login ...\" does that.",
                            STR_ARG(name), STR_ARG(name));
    bool is_token = m->path == NULL;
    if (read_config(run, is_token, &config, &err) < 0)
        return command_fail(run, 1, "Error parsing configuration: %s", err.msg);
    if (api_client(run, &client) < 0)
        return 2;
    struct str given = flags_str(run->flags, "path"), inside = json_get_str(config, "mount");
    struct str mount = command_mount(run, inside.n > 0  ? arena_cstr(run->arena, inside)
                                          : given.n > 0 ? given.p
                                                        : m->mount);
    json_remove(config, STR("mount"));
    int rc;
    if (is_token)
        rc = token_login(run, config, &answer);
    else if (coffer_set_token(client, "") < 0) /* a login must not carry an old token */
        rc = command_out_of_memory(run);
    else
        rc = method_login(run, m, mount, config, &answer);
    return rc != 0 ? rc : finish(run, answer);
}

const struct command command_login = {
    .name = "login",
    .usage = "login [options] [AUTH K=V...]",
    .summary = "Authenticate locally",
    .help = "  Logs in and keeps the token for later commands. The method is \"token\" unless "
            "-method\n"
            "  names another; \"auth help METHOD\" tells what each wants to know.\n\n"
            "  With a token, which is asked for:\n\n"
            "      $ vault login\n\n"
            "  With name and password, at a mount of another name:\n\n"
            "      $ vault login -method=userpass -path=staff username=ann",
    .run = login_run,
    .options = COMMAND_OUTPUT,
    COMMAND_FLAGS(login_flags),
};

/* ---- auth help ---- */

static int auth_help_run(struct command_run *run)
{
    struct api_answer answer;
    if (!command_args(run, 1, 1))
        return 1;
    const struct login_method *m = login_method_find(str_trim(str_of(run->args[0])));
    if (m == NULL) {
        if (api_get(run, "sys/auth", &answer) < 0)
            return command_fail(run, 2, "Error listing auth methods: " STR_FMT,
                                STR_ARG(answer.error));
        struct str mount = command_mount(run, run->args[0]);
        const struct json *found = json_get(json_member(answer.json, "data"), mount);
        if (found == NULL)
            return command_fail(run, 1, "No auth method available on the server at \"%s\"",
                                mount.p);
        m = login_method_find(json_get_str(found, "type"));
        if (m == NULL)
            return command_fail(run, 2, "\"login\" has no method of its own for \"%s\"; use "
                                        "\"vault path-help auth/%s\"", mount.p, mount.p);
    }
    command_say(run, "%s", m->help);
    return 0;
}

const struct command command_auth_help = {
    .name = "auth help",
    .usage = "auth help [options] TYPE | PATH",
    .summary = "Prints usage for an auth method",
    .help = "  Prints what \"login\" wants to know for an auth method, named by its type or by "
            "where it\n"
            "  is mounted.\n\n"
            "      $ vault auth help userpass\n"
            "      $ vault auth help staff/",
    .run = auth_help_run,
    .options = COMMAND_HTTP,
};
