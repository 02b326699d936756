/* Internal requests to engines, made from leases. */
#include "core/revoke.h"

#include "base/epoch.h"
#include "base/random.h"

/* An internal request to the mount that ${path} belongs to; the caller is in an epoch section. */
static int request_of(const struct active *on, struct arena *a, const struct lease *l, enum op op,
                      struct request *req, const struct mount **mount, struct err *err)
{
    char *id = arena_bytes(a, 37);
    if (id == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    random_uuid(id);
    const struct mount *m = mounts_find(on->mounts, l->path);
    if (m == NULL || m->engine == NULL)
        return err_set(err, ERR_NO_ROUTE, "no handler for route '" STR_FMT "'", STR_ARG(l->path));
    *mount = m;
    *req = (struct request){
        .arena = a,
        .id = str_of(id),
        .op = op,
        .path = l->path,
        .data = l->data != NULL ? l->data : json_object(a),
        .now_ns = clock_now_ns(on->settings->clock),
        .may_block = true,
        .mount_path = m->full_path,
        .mount_type = m->type,
        .mount_accessor = m->accessor,
        .rel = str_from(l->path, m->full_path.n),
        .storage = m->view,
        .backend = m->state,
        .sys = m->sys,
        .mount = m,
        .backend_open = true,
        .lease_data = l->secret != NULL ? l->secret->internal_data : NULL,
        .lease_auth = l->auth,
        .lease_issued_s = l->issued_ns / 1000000000,
    };
    return arena_check(a, err);
}

static const struct secret_kind *kind_of(const struct engine *engine, const struct lease *l)
{
    struct str name = json_get_str(l->secret->internal_data, "secret_type");
    for (size_t i = 0; i < engine->n_secrets; i++)
        if (str_is(name, engine->secrets[i].name))
            return &engine->secrets[i];
    return NULL;
}

static int revoke_secret(void *ctx, const struct lease *l, struct err *err)
{
    const struct active *on = ctx;
    AUTO(arena_drop) struct arena *a = arena_new();
    const struct mount *m = NULL;
    struct request req;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    epoch_enter();
    int result = request_of(on, a, l, OP_REVOKE, &req, &m, err);
    const struct secret_kind *kind = result < 0 ? NULL : kind_of(m->engine, l);
    if (result == 0 && kind == NULL && m->engine->n_secrets > 0) {
        result = err_set(err, ERR_INTERNAL, "secret is unsupported by this backend");
    } else if (kind != NULL && kind->revoke != NULL) {
        struct response resp = { .arena = a };
        result = kind->revoke(&req, &resp);
        if (result < 0)
            *err = req.err;
    }
    epoch_leave();
    return result < 0 ? -1 : 0;
}

static int renew_secret(void *ctx, struct arena *a, const struct lease *l, int64_t increment_s,
                        struct lease_terms **out, struct err *err)
{
    const struct active *on = ctx;
    const struct mount *m = NULL;
    struct request req;
    struct response resp = { .arena = a };
    epoch_enter();
    int result = request_of(on, a, l, OP_RENEW, &req, &m, err);
    const struct secret_kind *kind = result < 0 ? NULL : kind_of(m->engine, l);
    if (result == 0 && (kind == NULL || kind->renew == NULL)) {
        result = err_set(err, ERR_BAD_REQUEST, "lease is not renewable");
    } else if (result == 0) {
        req.lease_increment_s = increment_s;
        result = kind->renew(&req, &resp);
        if (result < 0)
            *err = req.err;
    }
    epoch_leave();
    *out = resp.lease;
    return result < 0 ? -1 : 0;
}

static int renew_login(void *ctx, struct arena *a, const struct lease *l, int64_t increment_s,
                       struct auth **out, struct err *err)
{
    const struct active *on = ctx;
    const struct mount *m = NULL;
    struct request req;
    struct response resp = { .arena = a };
    epoch_enter();
    int result = request_of(on, a, l, OP_RENEW, &req, &m, err);
    if (result == 0 && m->engine->renew_login == NULL) {
        *out = l->auth;
    } else if (result == 0) {
        req.lease_increment_s = increment_s;
        result = m->engine->renew_login(&req, &resp);
        if (result < 0)
            *err = req.err;
        else if (result == 0)
            result = err_set(err, ERR_BAD_REQUEST, "the login can no longer be renewed");
        else
            *out = resp.auth != NULL ? resp.auth : l->auth;
    }
    epoch_leave();
    return result < 0 ? -1 : 0;
}

static int revoke_token(void *ctx, struct str sid, struct err *err)
{
    const struct active *on = ctx;
    epoch_enter();
    int result = token_revoke_sid(on->tokens, sid, err);
    epoch_leave();
    return result;
}

static int sid_of(void *ctx, struct arena *a, struct str token, struct str *sid, struct err *err)
{
    epoch_enter();
    int result = token_owner_sid(((const struct active *)ctx)->tokens, a, token, sid, err);
    epoch_leave();
    return result;
}

static int token_stored(void *ctx, struct str token, struct err *err)
{
    const struct token_entry *e;
    epoch_enter();
    int found = token_lookup_pending(((const struct active *)ctx)->tokens, token, &e, err);
    epoch_leave();
    return found;
}

static void mount_ttls(void *ctx, struct str path, int64_t *default_s, int64_t *max_s)
{
    const struct active *on = ctx;
    epoch_enter();
    const struct mount *m = mounts_find(on->mounts, path);
    if (m != NULL) {
        mounts_ttls(on->mounts, m, default_s, max_s);
    } else {
        *default_s = on->settings->default_ttl_s;
        *max_s = on->settings->max_ttl_s;
    }
    epoch_leave();
}

struct lease_calls revoke_calls(const struct active *on)
{
    return (struct lease_calls){
        .ctx = (void *)on,
        .revoke_secret = revoke_secret,
        .renew_secret = renew_secret,
        .renew_login = renew_login,
        .revoke_token = revoke_token,
        .token_sid = sid_of,
        .token_stored = token_stored,
        .mount_ttls = mount_ttls,
    };
}
