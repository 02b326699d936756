/* sys/config/cors and sys/config/ui/headers. */
#include "core/browser.h"

#include "sys/system.h"

static const struct browser_rules *rules_of(const struct request *req)
{
    return browser_rules(active_of(req)->browser);
}

static void put_list(struct json *o, const char *key, const struct strs *list)
{
    struct json *to = json_put_array(o, key);
    for (size_t i = 0; i < list->n; i++)
        json_add_str(to, list->v[i]);
}

int cors_read(struct request *req, struct response *resp)
{
    const struct browser_rules *r = rules_of(req);
    struct json *data = response_data(resp);
    json_put_bool(data, "enabled", r->cors);
    if (r->cors) {
        put_list(data, "allowed_origins", &r->origins);
        put_list(data, "allowed_headers", &r->headers);
    }
    return system_twice(resp);
}

int cors_write(struct request *req, struct response *resp)
{
    struct strs origins = field_strs(req, "allowed_origins");
    struct strs headers = field_strs(req, "allowed_headers");
    TRY(browser_cors_on(active_of(req)->browser, &origins, &headers, &req->err));
    return 1;
}

int cors_delete(struct request *req, struct response *resp)
{
    return browser_cors_off(active_of(req)->browser, &req->err) < 0 ? -1 : 1;
}

int ui_headers_list(struct request *req, struct response *resp)
{
    struct strs names = { 0 };
    for (const struct json *i = json_first(rules_of(req)->ui); i != NULL; i = i->next)
        strs_add(req->arena, &names, i->key);
    TRY(arena_check(req->arena, &req->err));
    return response_keys(resp, &names);
}

int ui_header_read(struct request *req, struct response *resp)
{
    const struct json *list = browser_ui_get(rules_of(req), req->arena, field_str(req, "header"));
    if (list == NULL || list->count == 0)
        return 0;
    if (field_bool(req, "multivalue"))
        json_put(response_data(resp), "values", json_copy(req->arena, list));
    else
        json_put_str(response_data(resp), "value", json_first(list)->text);
    return 1;
}

int ui_header_write(struct request *req, struct response *resp)
{
    struct str name = field_str(req, "header");
    struct strs values = field_strs(req, "values");
    if (name.n == 0 || values.n == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "header and values must be specified");
    if (str_eq_nocase(str_head(name, name.n < 8 ? name.n : 8), STR("x-vault-")))
        return err_set(&req->err, ERR_BAD_REQUEST, "X-Vault headers cannot be set");
    TRY(browser_ui_set(active_of(req)->browser, name, &values, &req->err));
    if (str_eq_nocase(name, STR("content-security-policy")))
        response_warn(resp, "overriding default Content-Security-Policy which is secure by "
                            "default, proceed with caution");
    resp->empty_envelope = true;
    return 1;
}

int ui_header_delete(struct request *req, struct response *resp)
{
    return browser_ui_set(active_of(req)->browser, field_str(req, "header"), NULL, &req->err) < 0
               ? -1
               : 1;
}
