/* sys/policy and sys/policies/acl: the ACL policies. */
#include "codec/base64.h"
#include "sys/system.h"

static struct str lowered_name(struct request *req)
{
    struct str name = field_str(req, "name");
    char *p = arena_bytes(req->arena, name.n);
    for (size_t i = 0; p != NULL && i < name.n; i++)
        p[i] = (char)(name.p[i] >= 'A' && name.p[i] <= 'Z' ? name.p[i] + 32 : name.p[i]);
    return str_mem(p, p == NULL ? 0 : name.n);
}

static int names(struct request *req, struct strs *out)
{
    return policy_store_list(active_of(req)->policies, req->arena, out, &req->err);
}

int policies_read(struct request *req, struct response *resp)
{
    struct strs list = { 0 };
    TRY(names(req, &list));
    json_put_strs(response_data(resp), "keys", &list);
    json_put_strs(response_data(resp), "policies", &list);
    return system_twice(resp);
}

int acls_list(struct request *req, struct response *resp)
{
    struct strs list = { 0 };
    TRY(names(req, &list));
    return response_keys(resp, &list);
}

/* The text goes by another name on each of the two paths. */
static int show(struct request *req, struct response *resp, const char *text_key)
{
    struct str text, name = lowered_name(req);
    int found = policy_store_get(active_of(req)->policies, req->arena, name, &text, &req->err);
    if (found <= 0)
        return found;
    json_put_str(response_data(resp), "name", name);
    json_put_str(response_data(resp), text_key, text);
    return 1;
}

int policy_read(struct request *req, struct response *resp)
{
    int found = show(req, resp, "rules");
    return found <= 0 ? found : system_twice(resp);
}

int acl_read(struct request *req, struct response *resp)
{
    return show(req, resp, "policy");
}

/* A text that is base64 of something is taken for that something, as Vault does. */
static struct str decoded(struct request *req, struct str text)
{
    struct str plain;
    struct err ignored = { 0 };
    return base64_decode(req->arena, text, &plain, &ignored) == 0 && plain.n > 0 ? plain : text;
}

static int save(struct request *req, struct str text)
{
    if (text.n == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "'policy' parameter not supplied or empty");
    struct str name = lowered_name(req);
    return policy_store_set(active_of(req)->policies, name, decoded(req, text), &req->err);
}

int policy_write(struct request *req, struct response *resp)
{
    struct str text = field_str(req, "policy");
    bool old = text.n == 0 && field_given(req, "rules");
    if (old)
        text = field_str(req, "rules");
    TRY(save(req, text));
    if (old)
        response_warn(resp, "'rules' is deprecated, please use 'policy' instead");
    return 1;
}

int acl_write(struct request *req, struct response *resp)
{
    TRY(save(req, field_str(req, "policy")));
    return 1;
}

int policy_delete(struct request *req, struct response *resp)
{
    TRY(policy_store_delete(active_of(req)->policies, lowered_name(req), &req->err));
    return 1;
}
