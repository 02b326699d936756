/* Path to mount to route. */
#include "core/router.h"

void router_find(const struct active *on, struct request *req)
{
    const struct mount *m = mounts_find(on->mounts, req->path);
    req->route = NULL;
    req->backend_open = false;
    req->mount = m;
    if (m == NULL)
        return;
    req->mount_path = m->full_path;
    req->mount_type = m->type;
    req->mount_accessor = m->accessor;
    req->rel = str_from(req->path, m->full_path.n);
    req->storage = m->view;
    req->backend = m->state;
    req->sys = m->sys;
    bool internal = req->op == OP_REVOKE || req->op == OP_ROLLBACK;
    req->backend_open = m->engine != NULL && (!m->tainted || internal);
    if (req->backend_open)
        route_match(m->engine->routes, m->engine->n_routes, req);
}

int router_refuse(struct request *req)
{
    return err_set(&req->err, ERR_NO_ROUTE, "no handler for route '" STR_FMT "'",
                   STR_ARG(req->path));
}
