/* sys/capabilities: what a token may do on a path. */
#include "core/rights.h"
#include "sys/system.h"

static int answer(struct request *req, struct response *resp, const struct token_entry *e)
{
    const struct policy_acl *acl;
    struct strs paths = field_strs(req, "paths");
    if (paths.n == 0)
        paths = field_strs(req, "path");
    if (paths.n == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "paths must be supplied");
    int alive = rights_of(active_of(req), req->arena, e, &acl, &req->err);
    if (alive <= 0)
        return alive < 0 ? -1 : err_set(&req->err, ERR_INVALID, "invalid token");
    struct json *data = response_data(resp), *list = NULL;
    for (size_t i = 0; i < paths.n; i++) {
        const char *caps[POLICY_ACL_CAPS_MAX];
        size_t n = policy_acl_capabilities(acl, paths.v[i], caps);
        list = json_array(req->arena);
        for (size_t j = 0; j < n; j++)
            json_add_str(list, str_of(caps[j]));
        json_set(data, paths.v[i], list);
    }
    if (paths.n == 1)
        json_put(data, "capabilities", json_copy(req->arena, list));
    return system_twice(resp);
}

int capabilities_self_write(struct request *req, struct response *resp)
{
    return answer(req, resp, req->caller);
}

int capabilities_write(struct request *req, struct response *resp)
{
    const struct token_entry *e;
    struct str token = field_str(req, "token");
    if (field_strs(req, "paths").n == 0 && field_strs(req, "path").n == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "paths must be supplied");
    int found = token_lookup(active_of(req)->tokens, token, &e, &req->err);
    if (found < 0)
        return -1;
    return found == 0 ? err_set(&req->err, ERR_INVALID, "invalid token") : answer(req, resp, e);
}

int capabilities_accessor_write(struct request *req, struct response *resp)
{
    const struct token_entry *e;
    struct str accessor = field_str(req, "accessor");
    int found = token_lookup_accessor(active_of(req)->tokens, accessor, &e, &req->err);
    if (found < 0)
        return -1;
    return found == 0 ? err_set(&req->err, ERR_INVALID, "invalid accessor") : answer(req, resp, e);
}
