/* sys/wrapping: put away, look at, fetch, put away anew. */
#include "codec/timefmt.h"
#include "core/wrap.h"
#include "sys/system.h"

#define NOT_VALID "wrapping token is not valid or does not exist"

int wrap_write(struct request *req, struct response *resp)
{
    if (req->wrap_ttl_s == 0)
        return err_set(&req->err, ERR_BAD_REQUEST,
                       "endpoint requires response wrapping to be used");
    /* As Vault: what is signed was wrapped by the server itself, not by whoever asked here. */
    req->wrap_jwt = false;
    resp->data = req->data;
    return 1;
}

/*
 * The wrapping token that is meant: of the body, else the caller's own.  ${own} tells that the
 * pipeline has already charged its one use.
 */
static int meant(struct request *req, const struct token_entry **e, bool *own)
{
    struct str token = field_str(req, "token");
    const struct token_entry *caller = req->caller;
    *own = token.n == 0 || (caller != NULL && str_eq(token, caller->id));
    if (*own && caller != NULL && wrap_is_wrapping_token(caller)) {
        *e = caller;
        return 0;
    }
    if (token.n == 0)
        token = req->token;
    *own = false;
    int found = wrap_find(active_of(req), token, e, &req->err);
    if (found < 0)
        return -1;
    return found == 0 ? err_set(&req->err, ERR_BAD_REQUEST, NOT_VALID) : 0;
}

/* Fetch the stored answer; the token is spent by it. */
static int fetch(struct request *req, const struct token_entry *e, bool own, struct str *text)
{
    const struct active *on = active_of(req);
    bool last;
    if (!own) {
        /* Only one of two that come at once gets it. */
        int alive = token_use(on->tokens, e, &last, &req->err);
        if (alive < 0)
            return -1;
        if (alive == 0)
            return err_set(&req->err, ERR_BAD_REQUEST, NOT_VALID);
    }
    int found = wrap_open(on, req->arena, e, text, &req->err);
    if (found == 0)
        found = err_set(&req->err, ERR_BAD_REQUEST, NOT_VALID);
    if (found < 0)
        return -1;
    return own ? 0 : wrap_spend(on, e, &req->err);
}

int unwrap_write(struct request *req, struct response *resp)
{
    const struct token_entry *e;
    struct str text;
    bool own;
    TRY(meant(req, &e, &own));
    TRY(fetch(req, e, own, &text));
    resp->has_raw = true;
    resp->raw = text;
    resp->content_type = STR("application/json");
    return 1;
}

int rewrap_write(struct request *req, struct response *resp)
{
    const struct token_entry *e;
    struct wrap_info was, *info = arena_alloc(req->arena, sizeof *info);
    struct str text;
    bool own;
    TRY(arena_check(req->arena, &req->err));
    TRY(meant(req, &e, &own));
    int found = wrap_load_info(active_of(req), req->arena, e, &was, &req->err);
    if (found <= 0)
        return found < 0 ? -1 : err_set(&req->err, ERR_BAD_REQUEST, NOT_VALID);
    TRY(fetch(req, e, own, &text));
    TRY(wrap_text(active_of(req), req, text, was.creation_path, was.ttl_s, info));
    resp->wrap = info;
    return 1;
}

int wrap_lookup_write(struct request *req, struct response *resp)
{
    const struct token_entry *e;
    struct wrap_info info;
    struct str token = field_str(req, "token");
    if (token.n == 0)
        token = req->token;
    if (token.n == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "missing \"token\" value in input");
    int found = wrap_find(active_of(req), token, &e, &req->err);
    if (found > 0)
        found = wrap_load_info(active_of(req), req->arena, e, &info, &req->err);
    if (found <= 0)
        return found < 0 ? -1 : err_set(&req->err, ERR_BAD_REQUEST, NOT_VALID);
    struct json *data = response_data(resp);
    json_put_str(data, "creation_path", info.creation_path);
    json_put_str(data, "creation_time", time_format(req->arena, info.created_ns));
    json_put_int(data, "creation_ttl", info.ttl_s);
    return 1;
}

int wrap_lookup_read(struct request *req, struct response *resp)
{
    return wrap_lookup_write(req, resp);
}
