/* sys/leases: look up, renew, revoke. */
#include "base/log.h"
#include "codec/timefmt.h"
#include "sys/system.h"

static const struct log lg = { "expiration" };

/* The lease's id, from the body or, for renewals and revocations, the path. */
static int lease_id_of(struct request *req, struct str *out)
{
    *out = field_str(req, "lease_id");
    if (out->n == 0)
        *out = field_str(req, "url_lease_id");
    if (out->n == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "lease_id must be specified");
    return 0;
}

static void put_time(struct json *o, const char *key, int64_t ns)
{
    if (ns == TIME_ZERO)
        json_put_null(o, key);
    else
        json_put_str(o, key, time_format(o->arena, ns));
}

int lease_lookup_write(struct request *req, struct response *resp)
{
    struct str id;
    struct lease *l;
    TRY(lease_id_of(req, &id));
    int found = lease_load(active_of(req)->leases, req->arena, id, &l, &req->err);
    if (found < 0)
        return -1;
    if (found == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "invalid lease");
    struct json *data = response_data(resp);
    int64_t left = l->expires_ns == TIME_ZERO ? 0 : (l->expires_ns - req->now_ns) / 1000000000;
    json_put_str(data, "id", id);
    put_time(data, "issue_time", l->issued_ns);
    put_time(data, "expire_time", l->expires_ns);
    put_time(data, "last_renewal", l->renewed_ns);
    json_put_bool(data, "renewable",
                  l->secret != NULL ? l->secret->renewable : l->auth != NULL && l->auth->renewable);
    json_put_int(data, "ttl", left);
    return 1;
}

int lease_lookup_list(struct request *req, struct response *resp)
{
    struct strs keys = { 0 };
    struct str prefix = field_str(req, "prefix");
    if (prefix.n > 0 && !str_ends(prefix, STR("/")))
        prefix = arena_cat(req->arena, prefix, STR("/"));
    TRY(lease_list(active_of(req)->leases, req->arena, prefix, &keys, &req->err));
    return response_keys(resp, &keys);
}

int lease_renew_write(struct request *req, struct response *resp)
{
    const struct active *on = active_of(req);
    struct str id;
    struct lease *l;
    TRY(lease_id_of(req, &id));
    int found = lease_load(on->leases, req->arena, id, &l, &req->err);
    if (found < 0)
        return -1;
    if (found > 0 && l->auth != NULL)
        return err_set(&req->err, ERR_BAD_REQUEST,
                       "tokens cannot be renewed through this endpoint");
    TRY(lease_renew(on->leases, req->arena, id, field_seconds(req, "increment"), resp, &req->err));
    /* The book has stored the renewal: nothing is registered anew. */
    resp->lease->leased = false;
    return 1;
}

int lease_revoke_write(struct request *req, struct response *resp)
{
    struct str id;
    TRY(lease_id_of(req, &id));
    return lease_revoke(active_of(req)->leases, id, false, &req->err) < 0 ? -1 : 1;
}

int lease_prefix_write(struct request *req, struct response *resp)
{
    struct str prefix = field_str(req, "prefix");
    return lease_revoke_prefix(active_of(req)->leases, prefix, false, &req->err) < 0 ? -1 : 1;
}

int lease_force_write(struct request *req, struct response *resp)
{
    struct str prefix = field_str(req, "prefix");
    return lease_revoke_prefix(active_of(req)->leases, prefix, true, &req->err) < 0 ? -1 : 1;
}

int lease_tidy_write(struct request *req, struct response *resp)
{
    struct err err = { 0 };
    if (lease_tidy(active_of(req)->leases, &err) < 0)
        LOG(&lg, ERROR, "tidy of leases failed: error=%s", err.msg);
    response_warn(resp, "Tidy operation successfully started. Any information from the operation "
                        "will be printed to Vault's server logs.");
    resp->status = 202;
    return 1;
}
