/* Response wrapping (Vault docs: concepts/response-wrapping). */
#include "core/wrap.h"

#include "base/log.h"
#include "codec/timefmt.h"
#include "core/wrapkey.h"
#include "logical/envelope.h"

static const struct log lg = { "core" };

static const int64_t SECOND = 1000000000;

static struct str drawer_key(struct arena *a, const struct token_entry *e, const char *name)
{
    return arena_printf(a, STR_FMT "/%s", STR_ARG(e->cubbyhole_id), name);
}

static int make_token(const struct active *on, struct request *req, struct token_entry *e,
                      struct auth *auth, int64_t ttl_s)
{
    *auth = (struct auth){
        .type = TOKEN_SERVICE,
        .ttl_s = ttl_s,
        .explicit_max_ttl_s = ttl_s,
        .creation_path = req->path,
        .num_uses = 1,
        .orphan = true,
    };
    strs_add(req->arena, &auth->policies, STR("response-wrapping"));
    auth->token_policies = auth->policies;
    *e = (struct token_entry){
        .type = TOKEN_SERVICE,
        .path = req->path,
        .policies = auth->policies,
        .num_uses = 1,
        .ttl_s = ttl_s,
        .explicit_max_ttl_s = ttl_s,
    };
    TRY(arena_check(req->arena, &req->err));
    return token_create(on->tokens, req->arena, e, auth, &req->err);
}

static int object_text(const struct json *o, struct buf *out, struct err *err)
{
    json_print(o, out);
    return buf_check(out, err);
}

/* The answer and where it came from, in one commit. */
static int fill_drawer(const struct active *on, struct request *req, const struct token_entry *e,
                       struct str answer, const struct wrap_info *info)
{
    struct arena *a = req->arena;
    AUTO(buf_free) struct buf response = { 0 };
    AUTO(buf_free) struct buf wrapinfo = { 0 };
    struct json *o = json_object(a);
    json_put_str(o, "response", answer);
    struct json *w = json_object(a);
    json_put_str(w, "creation_path", info->creation_path);
    json_put_str(w, "creation_time", time_format(a, info->created_ns));
    json_put_int(w, "creation_ttl", info->ttl_s * SECOND);
    struct storage_op ops[] = {
        { .kind = STORAGE_PUT, .key = drawer_key(a, e, "response") },
        { .kind = STORAGE_PUT, .key = drawer_key(a, e, "wrapinfo") },
    };
    TRY(arena_check(a, &req->err));
    TRY(object_text(o, &response, &req->err));
    TRY(object_text(w, &wrapinfo, &req->err));
    ops[0].value = buf_str(&response);
    ops[1].value = buf_str(&wrapinfo);
    return storage_commit(on->cubbyhole, ops, ARRAY_LEN(ops), &req->err);
}

int wrap_text(const struct active *on, struct request *req, struct str text, struct str path,
              int64_t ttl_s, struct wrap_info *info)
{
    struct token_entry e;
    struct auth auth;
    TRY(make_token(on, req, &e, &auth, ttl_s));
    *info = (struct wrap_info){
        .token = auth.client_token,
        .accessor = auth.accessor,
        .creation_path = path,
        .ttl_s = ttl_s,
        .created_ns = req->now_ns,
    };
    if (fill_drawer(on, req, &e, text, info) == 0)
        return 0;
    /* The token would fetch nothing: it must not stay. */
    struct err second = { 0 };
    if (token_revoke_tree(on->tokens, auth.client_token, &second) < 0)
        LOG(&lg, ERROR, "failed to revoke an unused wrapping token: error=%s", second.msg);
    return -1;
}

/* The token that was made, as a signed one around it. */
static int dress(const struct active *on, struct request *req, struct wrap_info *info)
{
    struct wrapkey_claims claims = {
        .token = info->token,
        .accessor = info->wrapped_accessor,
        .addr = on->settings->api_addr,
        .issued_s = info->created_ns / SECOND,
        .ttl_s = info->ttl_s,
    };
    struct str jwt;
    if (wrapkey_sign(on->wrapkey, req->arena, &claims, &jwt, &req->err) < 0) {
        struct err second = { 0 };
        if (token_revoke_tree(on->tokens, info->token, &second) < 0)
            LOG(&lg, ERROR, "failed to revoke an unused wrapping token: error=%s", second.msg);
        return -1;
    }
    info->inner_token = info->token;
    info->token = jwt;
    return 0;
}

/* The inner token of ${token}, or ${token} itself. */
static int undressed(const struct active *on, struct request *req, struct str *token)
{
    if (!wrapkey_looks_like(*token))
        return 0;
    if (!req->may_block)
        return err_set(&req->err, ERR_MUST_WAIT, "a signature must be verified");
    return wrapkey_open(on->wrapkey, req->arena, *token, req->now_ns / SECOND, token, &req->err);
}

int wrap_undress(const struct active *on, struct request *req)
{
    struct str field = json_get_str(req->data, "token");
    struct str header = req->token;
    TRY(undressed(on, req, &header));
    int found = undressed(on, req, &field);
    if (found < 0)
        return -1;
    if (found > 0)
        json_set(req->data, STR("token"), json_str(req->arena, field));
    req->token = header;
    return arena_check(req->arena, &req->err);
}

int wrap_response(const struct active *on, struct request *req, struct response *resp,
                  int64_t ttl_s)
{
    AUTO(buf_free) struct buf text = { 0 };
    struct wrap_info *info = arena_alloc(req->arena, sizeof *info);
    if (info == NULL)
        return err_set(&req->err, ERR_NOMEM, "out of memory");
    TRY(envelope_print(req, resp, &text, &req->err));
    while (text.n > 0 && text.p[text.n - 1] == '\n')
        text.n--;
    TRY(wrap_text(on, req, buf_str(&text), req->path, ttl_s, info));
    if (resp->auth != NULL) {
        info->wrapped_accessor = resp->auth->accessor;
        info->wrapped_entity_id = resp->auth->entity_id;
    }
    *resp = (struct response){ .arena = resp->arena, .wrap = info };
    if (!req->wrap_jwt)
        return 0;
    TRY(dress(on, req, info));
    if (on->settings->api_addr.n == 0)
        response_warn(resp, "No redirect address set in Vault so none could be encoded in the "
                            "token. You may need to supply Vault's API address when unwrapping "
                            "the token.");
    return 0;
}

bool wrap_is_wrapping_token(const struct token_entry *e)
{
    return e->policies.n == 1
           && (str_is(e->policies.v[0], "response-wrapping")
               || str_is(e->policies.v[0], "control-group"));
}

int wrap_find(const struct active *on, struct str token, const struct token_entry **out,
              struct err *err)
{
    int found = token_lookup(on->tokens, token, out, err);
    if (found <= 0)
        return found;
    return wrap_is_wrapping_token(*out) ? 1 : 0;
}

/* A JSON object out of the token's drawer. */
static int drawer_get(const struct active *on, struct arena *a, const struct token_entry *e,
                      const char *name, struct json **out, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    struct str key = drawer_key(a, e, name);
    TRY(arena_check(a, err));
    int found = storage_get(on->cubbyhole, key, &text, err);
    if (found <= 0)
        return found;
    struct str kept = arena_dup(a, buf_str(&text));
    TRY(arena_check(a, err));
    TRY(json_parse(a, kept, out, NULL, err));
    return 1;
}

int wrap_open(const struct active *on, struct arena *a, const struct token_entry *e,
              struct str *json, struct err *err)
{
    struct json *o;
    int found = drawer_get(on, a, e, "response", &o, err);
    if (found <= 0)
        return found;
    *json = json_get_str(o, "response");
    return 1;
}

int wrap_spend(const struct active *on, const struct token_entry *e, struct err *err)
{
    return token_revoke_tree(on->tokens, e->id, err);
}

int wrap_load_info(const struct active *on, struct arena *a, const struct token_entry *e,
                   struct wrap_info *out, struct err *err)
{
    struct json *o;
    int found = drawer_get(on, a, e, "wrapinfo", &o, err);
    if (found <= 0)
        return found;
    *out = (struct wrap_info){
        .creation_path = json_get_str(o, "creation_path"),
        .ttl_s = json_get_int(o, "creation_ttl", 0) / SECOND,
    };
    TRY(time_parse(json_get_str(o, "creation_time"), &out->created_ns, err));
    return 1;
}
