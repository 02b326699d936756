/* sys/audit, sys/audit-hash and the request headers that are audited. */
#include "sys/system.h"

int audits_read(struct request *req, struct response *resp)
{
    struct broker_entry *list;
    size_t n;
    TRY(broker_list(active_of(req)->broker, req->arena, &list, &n, &req->err));
    struct json *data = response_data(resp);
    for (size_t i = 0; i < n; i++) {
        struct json *o = json_object(req->arena);
        json_put_str(o, "path", list[i].path);
        json_put_str(o, "type", list[i].type);
        json_put_str(o, "description", list[i].description);
        json_put(o, "options",
                 list[i].options == NULL ? json_object(req->arena)
                                         : json_copy(req->arena, list[i].options));
        json_put_bool(o, "local", list[i].local);
        json_append(data, list[i].path, o);
    }
    return system_twice(resp);
}

int audit_write(struct request *req, struct response *resp)
{
    struct json *options = field_map(req, "options");
    struct broker_entry want = {
        .path = system_mount_path(req->arena, field_str(req, "path")),
        .type = field_str(req, "type"),
        .description = field_str(req, "description"),
        .local = field_bool(req, "local"),
        .options = options != NULL ? options : json_object(req->arena),
    };
    TRY(arena_check(req->arena, &req->err));
    return broker_enable(active_of(req)->broker, &want, &req->err) < 0 ? -1 : 1;
}

int audit_delete(struct request *req, struct response *resp)
{
    struct str path = system_mount_path(req->arena, field_str(req, "path"));
    return broker_disable(active_of(req)->broker, path, &req->err) < 0 ? -1 : 1;
}

int audit_hash_write(struct request *req, struct response *resp)
{
    struct str hash, input = field_str(req, "input");
    struct str path = system_mount_path(req->arena, field_str(req, "path"));
    if (input.n == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "the \"input\" parameter is empty");
    int found = broker_hash(active_of(req)->broker, req->arena, path, input, &hash, &req->err);
    if (found < 0)
        return -1;
    if (found == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "unknown audit backend \"" STR_FMT "\"",
                       STR_ARG(path));
    json_put_str(response_data(resp), "hash", hash);
    return system_twice(resp);
}

static int headers(struct request *req, struct json **out)
{
    return broker_headers_list(active_of(req)->broker, req->arena, out, &req->err);
}

int audit_headers_read(struct request *req, struct response *resp)
{
    struct json *all;
    TRY(headers(req, &all));
    json_put(response_data(resp), "headers", all);
    return system_twice(resp);
}

static struct str lowered(struct request *req)
{
    struct str name = field_str(req, "header");
    char *p = arena_bytes(req->arena, name.n);
    for (size_t i = 0; p != NULL && i < name.n; i++)
        p[i] = (char)(name.p[i] >= 'A' && name.p[i] <= 'Z' ? name.p[i] + 32 : name.p[i]);
    return str_mem(p, p == NULL ? 0 : name.n);
}

int audit_header_read(struct request *req, struct response *resp)
{
    struct json *all;
    TRY(headers(req, &all));
    struct str name = lowered(req);
    struct json *one = json_get(all, name);
    if (one == NULL)
        return err_set(&req->err, ERR_BAD_REQUEST, "Could not find header in config");
    json_set(response_data(resp), name, json_copy(req->arena, one));
    return system_twice(resp);
}

int audit_header_write(struct request *req, struct response *resp)
{
    struct str name = lowered(req);
    if (name.n == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "missing header name");
    bool hmac = field_bool(req, "hmac");
    return broker_header_set(active_of(req)->broker, name, hmac, &req->err) < 0 ? -1 : 1;
}

int audit_header_delete(struct request *req, struct response *resp)
{
    struct str name = lowered(req);
    if (name.n == 0)
        return err_set(&req->err, ERR_BAD_REQUEST, "missing header name");
    return broker_header_remove(active_of(req)->broker, name, &req->err) < 0 ? -1 : 1;
}
