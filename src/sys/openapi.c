/* sys/internal/specs/openapi: every mount's routes as an OpenAPI 3 document. */
#include "base/version.h"
#include "sys/system.h"

/* A pattern's path as OpenAPI writes it: "{name...}" is "{name}", marks are left out. */
static struct str path_of(struct arena *a, struct str mount, const char *pattern)
{
    AUTO(buf_free) struct buf b = { 0 };
    bool inside = false, kind = false;
    buf_byte(&b, '/');
    buf_add(&b, mount);
    for (const char *p = pattern; *p != 0; p++) {
        inside = *p == '{' || (inside && *p != '}');
        kind = inside && (kind || *p == ':' || *p == '.');
        if (kind || *p == '(' || *p == ')' || *p == '?')
            continue;
        buf_byte(&b, *p);
    }
    return arena_dup(a, buf_str(&b));
}

static void put_operation(struct json *path, const char *method, const struct route *r)
{
    struct json *o = json_put_object(path, method);
    json_put_text(o, "summary", r->summary != NULL ? r->summary : "");
    struct json *ok = json_put_object(json_put_object(o, "responses"),
                                      strcmp(method, "delete") == 0 ? "204" : "200");
    json_put_text(ok, "description", "OK");
}

static void put_mount(struct json *paths, const struct mount *m)
{
    for (size_t i = 0; m->engine != NULL && i < m->engine->n_routes; i++) {
        const struct route *r = &m->engine->routes[i];
        struct json *path = json_object(paths->arena);
        if (r->summary != NULL)
            json_put_text(path, "description", r->summary);
        if ((r->flags & ROUTE_NO_TOKEN) != 0)
            json_put_bool(path, "x-vault-unauthenticated", true);
        if ((r->flags & ROUTE_SUDO) != 0)
            json_put_bool(path, "x-vault-sudo", true);
        if (r->read != NULL || r->list != NULL)
            put_operation(path, "get", r);
        if (r->write != NULL)
            put_operation(path, "post", r);
        if (r->del != NULL)
            put_operation(path, "delete", r);
        json_set(paths, path_of(paths->arena, m->full_path, r->pattern), path);
    }
}

int openapi_read(struct request *req, struct response *resp)
{
    struct json *doc = response_data(resp);
    json_put_text(doc, "openapi", "3.0.2");
    struct json *info = json_put_object(doc, "info");
    json_put_text(info, "title", "HashiCorp Vault API");
    json_put_text(info, "description", "HTTP API that gives you full access to Vault.");
    json_put_text(info, "version", VERSION_API);
    struct json *paths = json_put_object(doc, "paths");
    TRY(arena_check(req->arena, &req->err));
    for (int auth = 0; auth < 2; auth++) {
        const struct mount **list;
        size_t n;
        TRY(mounts_list(active_of(req)->mounts, req->arena, auth, &list, &n, &req->err));
        for (size_t i = 0; i < n; i++)
            put_mount(paths, list[i]);
    }
    resp->no_envelope = true;
    return 1;
}
