/* A map from node ids to what they said last. */
#include "core/roll.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/map.h"

enum { TEXT_MAX = 1024 };

/* The texts stand in one piece behind it. */
struct told {
    struct roll_entry entry;
    char text[];
};

struct roll {
    pthread_mutex_t mu;
    struct map told; /* under mu: node id -> struct told */
};

int roll_new(struct roll **out, struct err *err)
{
    struct roll *r = calloc(1, sizeof *r);
    if (r == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    pthread_mutex_init(&r->mu, NULL);
    *out = r;
    return 0;
}

void roll_free(struct roll *r)
{
    if (r == NULL)
        return;
    map_free(&r->told, free);
    pthread_mutex_destroy(&r->mu);
    free(r);
}

static struct str put(char **at, struct str s)
{
    char *to = *at;
    if (s.n > 0)
        memcpy(to, s.p, s.n);
    *at += s.n;
    return str_mem(to, s.n);
}

static struct told *told_new(const struct roll_entry *e)
{
    struct told *t = calloc(1, sizeof *t + e->hostname.n + e->api_addr.n + e->cluster_addr.n
                                   + e->version.n);
    if (t == NULL)
        return NULL;
    char *at = t->text;
    t->entry = (struct roll_entry){
        .hostname = put(&at, e->hostname),
        .api_addr = put(&at, e->api_addr),
        .cluster_addr = put(&at, e->cluster_addr),
        .version = put(&at, e->version),
        .seen_ns = e->seen_ns,
    };
    return t;
}

int roll_note(struct roll *r, struct str id, const struct roll_entry *e, struct err *err)
{
    void *old = NULL;
    if (id.n == 0 || id.n > TEXT_MAX || e->hostname.n > TEXT_MAX || e->api_addr.n > TEXT_MAX
        || e->cluster_addr.n > TEXT_MAX || e->version.n > TEXT_MAX)
        return err_set(err, ERR_BAD_REQUEST, "a member's description is too long");
    struct told *t = told_new(e);
    if (t == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    pthread_mutex_lock(&r->mu);
    int rc = map_put(&r->told, id, t, &old, err);
    pthread_mutex_unlock(&r->mu);
    free(rc < 0 ? t : old);
    return rc < 0 ? -1 : 0;
}

int roll_find(struct roll *r, struct arena *a, struct str id, struct roll_entry *out,
              struct err *err)
{
    pthread_mutex_lock(&r->mu);
    const struct told *t = map_get(&r->told, id);
    if (t != NULL)
        *out = (struct roll_entry){
            .hostname = arena_dup(a, t->entry.hostname),
            .api_addr = arena_dup(a, t->entry.api_addr),
            .cluster_addr = arena_dup(a, t->entry.cluster_addr),
            .version = arena_dup(a, t->entry.version),
            .seen_ns = t->entry.seen_ns,
        };
    pthread_mutex_unlock(&r->mu);
    TRY(arena_check(a, err));
    return t != NULL;
}

void roll_clear(struct roll *r)
{
    pthread_mutex_lock(&r->mu);
    map_free(&r->told, free);
    pthread_mutex_unlock(&r->mu);
}
