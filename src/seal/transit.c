/* Calls to the other server: encrypt, decrypt, renew-self. */
#include "seal/transit.h"

#include <stdlib.h>

#include "client/client.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "seal/blob.h"
#include "seal/renewal.h"
#include "seal/stanza.h"

/* A server that does not answer must not hold up a shutdown for long. */
enum { TIMEOUT_MS = 10000 };

struct transit {
    struct seal base; /* first */
    struct arena *arena;
    /* Texts in the arena; NULL where nothing is configured. */
    struct coffer_options peer; /* but for the token */
    struct str mount, key;
    struct secret token; /* ends in a NUL; empty: none */
    bool disable_renewal;
    struct renewal *renewal;
};

/* ---- one call ---- */

/* What Vault's client says of a refusal. */
static int refusal(struct arena *a, const char *method, const struct coffer_answer *answer,
                   struct err *err)
{
    struct json *body = NULL;
    struct str list = STR("");
    struct str text = str_mem(answer->body, answer->body_len);
    const char *url = answer->url != NULL ? answer->url : "";

    if (json_parse_all(a, text, &body, NULL) == 0)
        for (struct json *e = json_first(json_member(body, "errors")); e != NULL; e = e->next)
            list = arena_printf(a, STR_FMT "%s* " STR_FMT, STR_ARG(list), list.n > 0 ? "\n" : "",
                                STR_ARG(e->text));
    if (list.n == 0)
        list = str_head(text, 200);
    return err_set(err, ERR_UPSTREAM,
                   "Error making API request.\n\nURL: %s %s\nCode: %d. Errors:\n\n" STR_FMT, method,
                   url, answer->status, STR_ARG(list));
}

static void drop_client(struct coffer **c)
{
    coffer_free(*c);
}

/* ${status} 0: nobody answered. The answer's tree lies in ${a}. */
static int call(struct transit *t, struct arena *a, struct str path, struct str body,
                struct json **out, int *status, struct err *err)
{
    AUTO(drop_client) struct coffer *client = NULL;
    AUTO(coffer_answer_free) struct coffer_answer answer = { 0 };
    struct coffer_options peer = t->peer;
    struct coffer_error why = { 0 };
    struct coffer_request request = { .method = "PUT", .path = path.p, .body = body.p,
                                      .body_len = body.n };

    *status = 0;
    peer.token = t->token.n > 0 ? (const char *)t->token.p : NULL;
    TRY(arena_check(a, err));
    if (coffer_new(&peer, &client, &why) < 0)
        return err_set(err, ERR_UPSTREAM, "%s", why.text);
    int result = coffer_call(client, &request, &answer, &why);
    *status = answer.status;
    if (result < 0 && why.failure == COFFER_REFUSED)
        return refusal(a, request.method, &answer, err);
    if (result < 0)
        return err_set(err, ERR_UPSTREAM, "%s", why.text);
    /* The tree points into the text. */
    struct str text = arena_dup(a, str_mem(answer.body, answer.body_len));
    TRY(arena_check(a, err));
    if (json_parse_all(a, text, out, NULL) < 0)
        return err_set(err, ERR_UPSTREAM, "%s: the answer is no JSON", t->peer.address);
    return 0;
}

/* A call to "encrypt" or "decrypt": one field in, one field of the answer's data out. */
static int use_key(struct transit *t, struct arena *a, const char *verb, const char *name,
                   struct str value, const char *wanted, struct str *out, struct err *err)
{
    AUTO(buf_free) struct buf body = { 0 };
    struct json *o = json_object(a), *answer = NULL;
    int status;

    json_put_str(o, name, value);
    TRY(arena_check(a, err));
    json_print(o, &body);
    TRY(buf_check(&body, err));
    struct str path = arena_printf(a, STR_FMT "/%s/" STR_FMT, STR_ARG(t->mount), verb,
                                   STR_ARG(t->key));
    TRY(call(t, a, path, buf_str(&body), &answer, &status, err));
    *out = json_get_str(json_member(answer, "data"), wanted);
    if (out->n == 0)
        return err_set(err, ERR_UPSTREAM, "%s: the answer to %s holds no %s", t->peer.address, verb,
                       wanted);
    return 0;
}

/* ---- the seal ---- */

/* "vault:v3:..." names the key's version. */
static int split_ciphertext(struct str ciphertext, struct str *version, struct err *err)
{
    struct str rest = ciphertext, part, tail;

    if (!str_next(&rest, ':', &part) || !str_next(&rest, ':', version) || version->n == 0
        || !str_next(&rest, ':', &tail) || rest.p != NULL)
        return err_set(err, ERR_UPSTREAM, "invalid ciphertext returned");
    return 0;
}

/* The ciphertext lies in ${a}. */
static int encrypt(struct transit *t, struct arena *a, struct str text, struct seal_blob *out,
                   struct err *err)
{
    TRY(use_key(t, a, "encrypt", "plaintext", base64_encode(a, text), "ciphertext",
                &out->ciphertext, err));
    return split_ciphertext(out->ciphertext, &out->key_id, err);
}

static int transit_encrypt(struct seal *s, struct str text, struct buf *out, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct seal_blob b = { 0 };

    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    TRY(encrypt((struct transit *)s, a, text, &b, err));
    seal_blob_print(out, &b);
    return buf_check(out, err);
}

static int transit_decrypt(struct seal *s, struct str entry, struct buf *out, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct seal_blob b;
    struct str encoded, text;

    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    TRY(seal_blob_parse(entry, &b, err));
    if (!str_starts(b.ciphertext, STR("vault:")))
        return err_set(err, ERR_DENIED, "encrypted by another seal than transit");
    TRY(use_key((struct transit *)s, a, "decrypt", "ciphertext", b.ciphertext, "plaintext",
                &encoded, err));
    if (base64_decode(a, encoded, &text, err) < 0)
        return err_prefix(err, "plaintext of the transit server");
    buf_add(out, text);
    return buf_check(out, err);
}

/* Only an encryption tells which version is the newest. */
static int transit_key_id(struct seal *s, struct buf *out, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct seal_blob b = { 0 };

    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    TRY(encrypt((struct transit *)s, a, STR("a"), &b, err));
    buf_add(out, b.key_id);
    return buf_check(out, err);
}

/* ---- its token ---- */

static int renew(void *ctx, int64_t *lease_s, bool *renewable, bool *refused, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct json *answer = NULL;
    int status = 0;

    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (call(ctx, a, STR("auth/token/renew-self"), STR("{\"increment\":0}"), &answer, &status, err)
        < 0) {
        *refused = status >= 400 && status < 500 && status != 429 && status != 412;
        return -1;
    }
    const struct json *auth = json_member(answer, "auth");
    *lease_s = json_get_int(auth, "lease_duration", 0);
    *renewable = json_get_bool(auth, "renewable", false);
    return 0;
}

static int transit_start(struct seal *s, struct err *err)
{
    struct transit *t = (struct transit *)s;

    if (t->disable_renewal || t->token.n == 0 || t->renewal != NULL)
        return 0;
    return renewal_new(&(struct renewal_calls){ renew, t }, &t->renewal, err);
}

static void transit_describe(struct seal *s, seal_row_fn *row, void *ctx)
{
    const struct transit *t = (struct transit *)s;

    row(ctx, "Transit Address", str_of(t->peer.address));
    row(ctx, "Transit Key Name", t->key);
    row(ctx, "Transit Mount Path", arena_cat(t->arena, t->mount, STR("/")));
    if (t->peer.name_space != NULL)
        row(ctx, "Transit Namespace", str_of(t->peer.name_space));
}

static void transit_close(struct seal *s)
{
    struct transit *t = (struct transit *)s;

    renewal_free(t->renewal);
    secret_free(&t->token);
    arena_free(t->arena);
    free(t);
}

static const struct seal_ops transit_ops = {
    .type = "transit",
    .encrypt = transit_encrypt,
    .decrypt = transit_decrypt,
    .key_id = transit_key_id,
    .start = transit_start,
    .describe = transit_describe,
    .close = transit_close,
};

/* ---- its stanza ---- */

static const char *text(struct transit *t, struct str s)
{
    return s.n == 0 ? NULL : arena_cstr(t->arena, s);
}

/* What stands in the stanza wins over the environment, as Vault. */
static int read_peer(struct transit *t, const struct seal_stanza *s, struct err *err)
{
    struct coffer_options *o = &t->peer;
    struct str address = stanza_option_first(s, "address", "VAULT_ADDR");

    coffer_options_init(o);
    o->max_retries = 0; /* who calls tries again */
    o->timeout_ms = TIMEOUT_MS;
    o->address = address.n > 0 ? text(t, address) : "https://127.0.0.1:8200";
    o->name_space = text(t, stanza_env_first(s, "VAULT_NAMESPACE", "namespace"));
    o->ca_cert = text(t, stanza_option_first(s, "tls_ca_cert", "VAULT_CACERT"));
    o->ca_path = text(t, stanza_option_first(s, "tls_ca_path", "VAULT_CAPATH"));
    o->client_cert = text(t, stanza_option_first(s, "tls_client_cert", "VAULT_CLIENT_CERT"));
    o->client_key = text(t, stanza_option_first(s, "tls_client_key", "VAULT_CLIENT_KEY"));
    o->tls_server_name = text(t, stanza_option_first(s, "tls_server_name",
                                                     "VAULT_TLS_SERVER_NAME"));
    return stanza_bool(stanza_option_first(s, "tls_skip_verify", "VAULT_SKIP_VERIFY"),
                       "tls_skip_verify", &o->tls_skip_verify, err);
}

static int read_token(struct transit *t, const struct seal_stanza *s, struct err *err)
{
    struct str token = str_trim(stanza_option_first(s, "token", "VAULT_TOKEN"));

    if (token.n == 0)
        return 0;
    TRY(secret_alloc(&t->token, token.n + 1, err));
    memcpy(t->token.p, token.p, token.n);
    return 0;
}

/* The environment wins over what stands in the stanza, as Vault. */
static int read_key(struct transit *t, const struct seal_stanza *s, struct err *err)
{
    struct str mount = stanza_env_first(s, "VAULT_TRANSIT_SEAL_MOUNT_PATH", "mount_path");
    struct str key = stanza_env_first(s, "VAULT_TRANSIT_SEAL_KEY_NAME", "key_name");

    if (mount.n == 0)
        return err_set(err, ERR_BAD_REQUEST, "mount_path is required");
    if (key.n == 0)
        return err_set(err, ERR_BAD_REQUEST, "key_name is required");
    while (str_ends(mount, STR("/")))
        mount = str_head(mount, mount.n - 1);
    while (str_starts(mount, STR("/")))
        mount = str_from(mount, 1);
    t->mount = arena_dup(t->arena, mount);
    t->key = arena_dup(t->arena, key);
    return stanza_bool(stanza_env_first(s, "VAULT_TRANSIT_SEAL_DISABLE_RENEWAL",
                                        "disable_renewal"),
                       "disable_renewal", &t->disable_renewal, err);
}

/* Files and address are judged now rather than at the first call. */
static int try_client(const struct transit *t, struct err *err)
{
    struct coffer *client = NULL;
    struct coffer_error why = { 0 };
    struct coffer_options peer = t->peer;

    peer.token = (const char *)t->token.p;
    if (coffer_new(&peer, &client, &why) < 0)
        return err_set(err, ERR_BAD_REQUEST, "%s", why.text);
    coffer_free(client);
    return 0;
}

static int transit_open(const struct seal_stanza *stanza, struct seal **out, struct err *err)
{
    struct transit *t = calloc(1, sizeof *t);
    if (t == NULL || (t->arena = arena_new()) == NULL) {
        free(t);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    t->base.ops = &transit_ops;
    if (read_peer(t, stanza, err) < 0 || read_token(t, stanza, err) < 0
        || read_key(t, stanza, err) < 0 || arena_check(t->arena, err) < 0
        || try_client(t, err) < 0) {
        transit_close(&t->base);
        return -1;
    }
    *out = &t->base;
    return 0;
}

static const char *const options[] = {
    "address",       "disable_renewal", "key_name",        "mount_path",      "namespace",
    "tls_ca_cert",   "tls_ca_path",     "tls_client_cert", "tls_client_key",  "tls_server_name",
    "tls_skip_verify", "token",         NULL,
};
const struct seal_kind seal_transit = { "transit", options, transit_open };
