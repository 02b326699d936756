/* The recovery token and what it opens. */
#include "core/recovery.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/random.h"
#include "logical/route.h"
#include "storage/raft/raftstore.h"

static const struct log lg = { "core" };

enum { TOKEN_RANDOM = 24 };

struct recovery {
    struct lifecycle *lifecycle;
    struct core_settings settings; /* with sys/raw */
    struct active on;              /* as much of it as sys/raw needs */
    pthread_mutex_t mu;            /* one request at a time: nobody is in a hurry here */
    struct secret token;           /* under mu; empty: none was made yet */
};

int recovery_new(struct lifecycle *l, struct recovery **out, struct err *err)
{
    struct recovery *r = calloc(1, sizeof *r);
    if (r == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    r->lifecycle = l;
    r->settings = *lifecycle_settings(l);
    r->settings.raw_endpoint = true;
    r->on = (struct active){
        .settings = &r->settings,
        .lifecycle = l,
        .barrier = lifecycle_barrier(l),
        .storage = barrier_storage(lifecycle_barrier(l)),
    };
    pthread_mutex_init(&r->mu, NULL);
    *out = r;
    return 0;
}

void recovery_free(struct recovery *r)
{
    if (r == NULL)
        return;
    secret_free(&r->token);
    pthread_mutex_destroy(&r->mu);
    free(r);
}

static int open_locked(struct recovery *r, struct arena *a, struct str combined,
                       struct str *token, struct err *err)
{
    char random[TOKEN_RANDOM + 1];
    TRY(lifecycle_open_barrier(r->lifecycle, combined, err));
    if (r->settings.raft != NULL)
        TRY(raftstore_force(r->settings.raft, err));
    random_base62(random, TOKEN_RANDOM);
    *token = arena_printf(a, "r.%s", random);
    explicit_bzero(random, sizeof random);
    TRY(arena_check(a, err));
    secret_free(&r->token);
    TRY(secret_set(&r->token, *token, err));
    LOG(&lg, INFO, "recovery token generated");
    return 0;
}

int recovery_open(struct recovery *r, struct arena *a, struct str combined, struct str *token,
                  struct err *err)
{
    pthread_mutex_lock(&r->mu);
    int result = open_locked(r, a, combined, token, err);
    pthread_mutex_unlock(&r->mu);
    return result;
}

static const struct engine *system_engine(const struct recovery *r)
{
    for (const struct engine *const *e = r->settings.engines; *e != NULL; e++)
        if (!(*e)->is_auth && str_is(STR("system"), (*e)->type))
            return *e;
    return NULL;
}

static int handle_locked(struct recovery *r, struct request *req, struct response *resp)
{
    const struct engine *system = system_engine(r);
    if (r->token.n == 0 || !secret_eq(secret_str(&r->token), req->token))
        return err_set(&req->err, ERR_DENIED, "permission denied");
    bool raw = str_is(req->path, "sys/raw") || str_starts(req->path, STR("sys/raw/"));
    if (system == NULL || !raw)
        return err_set(&req->err, ERR_NO_ROUTE, "no handler for route '" STR_FMT "'",
                       STR_ARG(req->path));
    req->rel = str_from(req->path, sizeof "sys/" - 1);
    req->backend = &r->on;
    req->storage = r->on.storage;
    (void)route_match(system->routes, system->n_routes, req);
    return route_call(req, resp);
}

int recovery_handle(struct recovery *r, struct request *req, struct response *resp)
{
    pthread_mutex_lock(&r->mu);
    int result = handle_locked(r, req, resp);
    pthread_mutex_unlock(&r->mu);
    return result;
}
