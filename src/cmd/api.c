/* Api: calls of commands to the server, with the token, the options and the wording of errors. */
#include "cmd/api.h"

#include <stdio.h>
#include <stdlib.h>

#include "cmd/token_helper.h"
#include "codec/timefmt.h"

const struct flag api_flags[] = {
    { .name = "address", .kind = FLAG_STRING, .env = "VAULT_ADDR",
      .help = "Address of the server: a URL, or unix:///path for a Unix socket. The default is "
              "https://127.0.0.1:8200." },
    { .name = "agent-address", .kind = FLAG_STRING, .env = "VAULT_AGENT_ADDR",
      .help = "Address of an agent, to which requests go instead of the server." },
    { .name = "ca-cert", .kind = FLAG_STRING, .env = "VAULT_CACERT",
      .help = "File with a PEM-encoded CA certificate that the server's certificate is checked "
              "against. It wins over -ca-path." },
    { .name = "ca-path", .kind = FLAG_STRING, .env = "VAULT_CAPATH",
      .help = "Directory of PEM-encoded CA certificates that the server's certificate is checked "
              "against." },
    { .name = "client-cert", .kind = FLAG_STRING, .env = "VAULT_CLIENT_CERT",
      .help = "File with the PEM-encoded certificate by which this client shows who it is. Needs "
              "-client-key." },
    { .name = "client-key", .kind = FLAG_STRING, .env = "VAULT_CLIENT_KEY",
      .help = "File with the PEM-encoded private key of -client-cert." },
    { .name = "namespace", .kind = FLAG_STRING, .env = "VAULT_NAMESPACE", .alias = "ns",
      .help = "Namespace that the request is for." },
    { .name = "tls-server-name", .kind = FLAG_STRING, .env = "VAULT_TLS_SERVER_NAME",
      .help = "Name that is asked for in the TLS handshake, and that the certificate must bear." },
    { .name = "tls-skip-verify", .kind = FLAG_BOOL, .env = "VAULT_SKIP_VERIFY",
      .help = "Do not check the server's certificate. Whoever sits between can then read every "
              "secret." },
    { .name = "policy-override", .kind = FLAG_BOOL,
      .help = "Ask to pass over a policy that is only advisory (soft-mandatory)." },
    { .name = "wrap-ttl", .kind = FLAG_DURATION, .env = "VAULT_WRAP_TTL",
      .help = "Put the answer into a one-time token that lives this long (\"30s\", \"5m\"); "
              "\"unwrap\" "
              "takes it out again." },
    { .name = "mfa", .kind = FLAG_LIST, .env = "VAULT_MFA",
      .help = "Credentials for multi-factor authentication, sent as X-Vault-MFA." },
    { .name = "header", .kind = FLAG_MAP,
      .help = "One more header for the request, as name=value. May be repeated." },
    { .name = "output-curl-string", .kind = FLAG_BOOL,
      .help = "Do not make the request; print the curl command that would." },
    { .name = "non-interactive", .kind = FLAG_BOOL, .env = "VAULT_NON_INTERACTIVE",
      .help = "Never ask at the terminal; fail where a question would be asked." },
};
const size_t api_flags_count = ARRAY_LEN(api_flags);

/* The flag's text when it was given, as the library wants it; else what there is. */
static const char *given(struct command_run *run, const char *flag, const char *otherwise)
{
    if (!flags_given(run->flags, flag))
        return otherwise;
    struct str v = flags_str(run->flags, flag);
    return v.n > 0 ? v.p : otherwise;
}

static void headers_from_flags(struct command_run *run, struct coffer_options *o)
{
    struct json *map = flags_map(run->flags, "header");
    struct coffer_pair *list = arena_array(run->arena, map != NULL ? map->count + 1 : 1,
                                           sizeof *list);
    for (const struct json *m = json_first(map); list != NULL && m != NULL; m = m->next)
        list[o->n_headers++] = (struct coffer_pair){ arena_cstr(run->arena, m->key), m->text.p };
    o->headers = list;

    struct strs mfa = flags_list(run->flags, "mfa");
    const char **creds = arena_array(run->arena, mfa.n + 1, sizeof *creds);
    for (size_t i = 0; creds != NULL && i < mfa.n; i++)
        creds[o->n_mfa++] = mfa.v[i].p;
    o->mfa = creds;
}

static void options_from_flags(struct command_run *run, struct coffer_options *o)
{
    o->address = given(run, "address", o->address);
    o->address = given(run, "agent-address", o->address);
    o->ca_cert = given(run, "ca-cert", o->ca_cert);
    o->ca_path = given(run, "ca-path", o->ca_path);
    o->client_cert = given(run, "client-cert", o->client_cert);
    o->client_key = given(run, "client-key", o->client_key);
    o->tls_server_name = given(run, "tls-server-name", o->tls_server_name);
    if (flags_given(run->flags, "namespace"))
        o->name_space = flags_str(run->flags, "namespace").p;
    if (flags_given(run->flags, "tls-skip-verify"))
        o->tls_skip_verify = flags_bool(run->flags, "tls-skip-verify");
    if (flags_given(run->flags, "wrap-ttl")) {
        int64_t ns = flags_ns(run->flags, "wrap-ttl");
        o->wrap_ttl = ns == 0 ? NULL : duration_format(run->arena, ns).p;
        if (ns != 0)
            o->wrap_ttl = arena_cstr(run->arena, duration_format(run->arena, ns));
    }
    o->policy_override = flags_bool(run->flags, "policy-override");
    headers_from_flags(run, o);
}

/* -1: ${why} is a text in the run's arena. */
static int make_client(struct command_run *run, struct str *why)
{
    struct coffer_options o;
    struct coffer_error error = { 0 };
    struct err err = { 0 };
    AUTO(buf_free) struct buf token = { 0 };

    coffer_options_init(&o);
    if (getenv("VAULT_MAX_RETRIES") == NULL)
        o.max_retries = 0; /* as Vault's command line: a person is quicker told than kept waiting */
    if (coffer_options_from_environment(&o, &error) < 0)
        return *why = arena_dup(run->arena, str_of(error.text)), -1;
    options_from_flags(run, &o);
    if (o.token == NULL) {
        if (token_helper_get(&token, &err) < 0) {
            *why = arena_printf(run->arena, "failed to get token from token helper: %s", err.msg);
            return -1;
        }
        buf_byte(&token, '\0');
        o.token = token.p;
    }
    if (coffer_new(&o, &run->client, &error) < 0) {
        *why = arena_printf(run->arena, "failed to create client: %s", error.text);
        return -1;
    }
    return 0;
}

int api_client(struct command_run *run, struct coffer **out)
{
    struct str why;
    if (run->client == NULL && make_client(run, &why) < 0)
        return command_fail(run, -1, STR_FMT, STR_ARG(why));
    *out = run->client;
    return 0;
}

/* "* text" for each error the server names, or the body as it is. */
static void add_errors(const struct api_answer *answer, struct buf *out)
{
    const struct json *errors = json_member(answer->json, "errors");
    bool first = true;
    if (!json_is(answer->json, JSON_OBJECT)) {
        buf_add(out, answer->text);
        return;
    }
    for (const struct json *e = json_first(errors); e != NULL; e = e->next) {
        buf_add(out, first ? STR("* ") : STR("\n* "));
        buf_add(out, e->text);
        first = false;
    }
}

static void word_error(struct command_run *run, const struct api_call *call,
                       const struct coffer_answer *got, const struct coffer_error *error,
                       struct api_answer *answer)
{
    AUTO(buf_free) struct buf text = { 0 };
    if (error->failure != COFFER_REFUSED) {
        answer->error = arena_printf(run->arena, "%s", error->text);
        return;
    }
    bool parsed = json_is(answer->json, JSON_OBJECT);
    buf_printf(&text, "Error making API request.\n\nURL: %s %s\nCode: %d. %s:\n\n", call->method,
               got->url, got->status, parsed ? "Errors" : "Raw Message");
    add_errors(answer, &text);
    answer->error = arena_printf(run->arena, STR_FMT, STR_ARG(buf_str(&text)));
}

static int print_curl(struct command_run *run, const struct coffer_request *q,
                      struct api_answer *answer)
{
    char *line = coffer_curl_command(run->client, q);
    if (line != NULL) {
        fputs(line, stdout);
        putchar('\n');
        free(line);
    }
    run->curl_printed = true;
    answer->error = STR("output a string, please");
    return -1;
}

static int send_to(struct command_run *run, const struct api_call *call,
                   const struct coffer_request *q, struct api_answer *answer)
{
    struct coffer_answer got = { 0 };
    struct coffer_error error = { 0 };
    int rc = coffer_call(run->client, q, &got, &error);
    answer->status = got.status;
    answer->text = arena_dup(run->arena, str_mem(got.body, got.body_len));
    if (str_trim(answer->text).n > 0 &&
        json_parse_all(run->arena, answer->text, &answer->json, NULL) < 0)
        answer->json = NULL;
    if (rc < 0)
        word_error(run, call, &got, &error, answer);
    coffer_answer_free(&got);
    if (rc == 0 && arena_failed(run->arena)) {
        answer->error = STR("out of memory");
        return -1;
    }
    return rc;
}

/* VAULT_WRAP_TTL is for every call; without it the server's own helper wraps for five minutes. */
static const char *wrap_for(const struct command_run *run, const struct api_call *call)
{
    const char *ttl = coffer_wrap_ttl(run->client);
    if (ttl[0] != '\0' || strcmp(call->path, "sys/wrapping/wrap") != 0)
        return ttl;
    return strcmp(call->method, "PUT") == 0 || strcmp(call->method, "POST") == 0 ? "5m" : "";
}

int api_send(struct command_run *run, const struct api_call *call, struct api_answer *answer)
{
    AUTO(buf_free) struct buf body = { 0 };
    *answer = (struct api_answer){ 0 };
    if (run->client == NULL && make_client(run, &answer->error) < 0)
        return -1;
    if (call->body != NULL)
        json_print(call->body, &body);
    struct coffer_request q = {
        .method = call->method, .path = call->path, .query = call->query,
        .n_query = call->n_query, .body = body.n > 0 ? body.p : NULL,
        .body_len = call->source != NULL ? call->source_n : body.n,
        .source = call->source, .source_ctx = call->source_ctx, .source_name = call->source_name,
        .content_type = call->source != NULL                 ? "application/octet-stream"
                        : strcmp(call->method, "PATCH") == 0 ? "application/merge-patch+json"
                                                             : NULL,
        .sink = call->sink, .sink_ctx = call->sink_ctx,
    };
    char *before = arena_cstr(run->arena, str_of(coffer_wrap_ttl(run->client)));
    if (body.failed || before == NULL ||
        coffer_set_wrap_ttl(run->client, call->unwrapped ? "" : wrap_for(run, call)) < 0)
        return answer->error = STR("out of memory"), -1;
    int rc = run->curl_only && !call->unwrapped ? print_curl(run, &q, answer)
                                                : send_to(run, call, &q, answer);
    return coffer_set_wrap_ttl(run->client, before) < 0 ? -1 : rc;
}

int api_get(struct command_run *run, const char *path, struct api_answer *answer)
{
    return api_send(run, &(struct api_call){ .method = "GET", .path = path }, answer);
}

int api_list(struct command_run *run, const char *path, struct api_answer *answer)
{
    static const struct coffer_pair list = { "list", "true" };
    return api_read(run,
                    &(struct api_call){ .method = "GET", .path = path, .query = &list,
                                        .n_query = 1 },
                    answer);
}

int api_put(struct command_run *run, const char *path, const struct json *body,
            struct api_answer *answer)
{
    return api_send(run, &(struct api_call){ .method = "PUT", .path = path, .body = body },
                    answer);
}

int api_post(struct command_run *run, const char *path, const struct json *body,
             struct api_answer *answer)
{
    return api_send(run, &(struct api_call){ .method = "POST", .path = path, .body = body },
                    answer);
}

int api_delete(struct command_run *run, const char *path, struct api_answer *answer)
{
    return api_send(run, &(struct api_call){ .method = "DELETE", .path = path }, answer);
}

int api_read(struct command_run *run, const struct api_call *call, struct api_answer *answer)
{
    int rc = api_send(run, call, answer);
    if (rc == 0)
        return answer->json != NULL;
    if (answer->status != 404 || !json_is(answer->json, JSON_OBJECT))
        return answer->status == 404 && answer->text.n == 0 ? 0 : -1;
    const struct json *data = json_member(answer->json, "data");
    const struct json *warnings = json_member(answer->json, "warnings");
    return (data != NULL && data->count > 0) || (warnings != NULL && warnings->count > 0);
}
