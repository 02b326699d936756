/* Two servers for tests, and the contest between them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/epoch.h"
#include "base/log.h"
#include "core/pair.h"
#include "logical/envelope.h"
#include "storage/driver.h"

enum { PATIENCE_MS = 30000 };

static void must(int result, const struct err *err)
{
    if (result < 0)
        fail_msg("%s", err->msg);
}

/* ---- the store that both share ---- */

static int shared_get(struct storage *s, struct str key, struct buf *out, struct err *err)
{
    struct pair_node *n = (struct pair_node *)s;
    pthread_mutex_lock(&n->pair->mu);
    void (*hook)(struct pair_node *) = n->on_get;
    n->on_get = NULL;
    pthread_mutex_unlock(&n->pair->mu);
    int found = storage_get(n->pair->under, key, out, err);
    if (hook != NULL)
        hook(n);
    return found;
}

static int shared_list(struct storage *s, struct str prefix, struct str after,
                       storage_name_fn *each, void *ctx, struct err *err)
{
    return storage_list(((struct pair_node *)s)->pair->under, prefix, after, each, ctx, err);
}

static struct pair_node *other_of(struct pair_node *n)
{
    return &n->pair->node[n == &n->pair->node[0]];
}

static bool leads(const struct pair_node *n)
{
    return n->pair->leader >= 0 && n == &n->pair->node[n->pair->leader];
}

/* Under mu. */
static void add_news(struct pair_node *n, const struct storage_op *ops, size_t n_ops)
{
    struct pair_news *news = calloc(1, sizeof *news);
    assert_non_null(news);
    news->arena = arena_new();
    for (size_t i = 0; i < n_ops; i++)
        strs_add(news->arena, &news->keys, arena_dup(news->arena, ops[i].key));
    *n->last = news;
    n->last = &news->next;
    pthread_cond_broadcast(&n->pair->moved);
}

static void *tell_news(void *ctx)
{
    struct pair_node *n = ctx;
    pthread_mutex_lock(&n->pair->mu);
    while (!n->ending || n->first != NULL) {
        struct pair_news *news = n->first;
        if (news == NULL) {
            pthread_cond_wait(&n->pair->moved, &n->pair->mu);
            continue;
        }
        n->first = news->next;
        if (n->first == NULL)
            n->last = &n->first;
        n->telling = true;
        pthread_mutex_unlock(&n->pair->mu);
        n->events.keys_changed(n->events.ctx, news->keys.v, news->keys.n);
        arena_free(news->arena);
        free(news);
        pthread_mutex_lock(&n->pair->mu);
        n->telling = false;
        pthread_cond_broadcast(&n->pair->moved);
    }
    pthread_mutex_unlock(&n->pair->mu);
    return NULL;
}

void pair_flush(struct pair *p, int i)
{
    pthread_mutex_lock(&p->mu);
    while (p->node[i].first != NULL || p->node[i].telling)
        pthread_cond_wait(&p->moved, &p->mu);
    pthread_mutex_unlock(&p->mu);
}

static int shared_commit(struct storage *s, const struct storage_op *ops, size_t n,
                         struct err *err)
{
    struct pair_node *node = (struct pair_node *)s, *other = other_of(node);
    pthread_mutex_lock(&node->pair->mu);
    bool may = !node->started || (leads(node) && node->settled == node->pair->term);
    int result = may ? storage_commit(node->pair->under, ops, n, err)
                     : err_set(err, ERR_STANDBY, "pair: this node does not lead");
    if (result == 0 && other->started)
        add_news(other, ops, n);
    pthread_mutex_unlock(&node->pair->mu);
    return result;
}

static void shared_close(struct storage *s)
{
}

static const struct storage_ops shared_ops = { shared_get, shared_commit, shared_list,
                                               shared_close };

/* ---- the contest ---- */

static struct pair_node *node_of(struct ha *h)
{
    return (struct pair_node *)((char *)h - offsetof(struct pair_node, ha));
}

static int contest_start(struct ha *h, const struct ha_events *events, struct err *err)
{
    struct pair_node *n = node_of(h);
    pthread_mutex_lock(&n->pair->mu);
    n->events = *events;
    n->started = true;
    n->ending = false;
    n->last = &n->first;
    pthread_mutex_unlock(&n->pair->mu);
    return pthread_create(&n->teller, NULL, tell_news, n) == 0
               ? 0
               : err_set(err, ERR_NOMEM, "pair: no thread");
}

static void contest_stop(struct ha *h)
{
    struct pair_node *n = node_of(h);
    pthread_mutex_lock(&n->pair->mu);
    n->started = false;
    n->ending = true;
    if (leads(n))
        n->pair->leader = -1;
    pthread_cond_broadcast(&n->pair->moved);
    pthread_mutex_unlock(&n->pair->mu);
    pthread_join(n->teller, NULL);
}

static void contest_leader(struct ha *h, struct ha_leader *out)
{
    struct pair_node *n = node_of(h);
    *out = (struct ha_leader){ 0 };
    pthread_mutex_lock(&n->pair->mu);
    out->term = n->pair->term;
    out->known = n->pair->leader >= 0;
    out->self = leads(n);
    if (out->known)
        snprintf(out->id, sizeof out->id, "node%d", n->pair->leader);
    pthread_mutex_unlock(&n->pair->mu);
}

static int contest_settle(struct ha *h, struct err *err)
{
    struct pair_node *n = node_of(h);
    pthread_mutex_lock(&n->pair->mu);
    bool good = leads(n) && !n->settle_fails;
    if (good)
        n->settled = n->pair->term;
    pthread_mutex_unlock(&n->pair->mu);
    return good ? 0 : err_set(err, ERR_STANDBY, "pair: it leads no more");
}

static int contest_step_down(struct ha *h, struct err *err)
{
    struct pair_node *n = node_of(h);
    pthread_mutex_lock(&n->pair->mu);
    enum err_code code = n->step_down;
    n->step_downs++;
    pthread_mutex_unlock(&n->pair->mu);
    if (code != ERR_NONE)
        return err_set(err, code, "pair: nobody takes over");
    pair_lead(n->pair, n == &n->pair->node[0]);
    return 0;
}

static bool contest_may_read(struct ha *h)
{
    struct pair_node *n = node_of(h);
    pthread_mutex_lock(&n->pair->mu);
    bool may = !n->stale && (!leads(n) || n->settled == n->pair->term);
    pthread_mutex_unlock(&n->pair->mu);
    return may;
}

static void contest_index(struct ha *h, uint64_t *committed, uint64_t *applied)
{
    *committed = *applied = 1;
}

static int contest_wait_applied(struct ha *h, uint64_t index, int ms, struct err *err)
{
    return 0;
}

static int contest_catch_up(struct ha *h, int ms, struct err *err)
{
    return 0;
}

static const struct ha_ops contest_ops = {
    contest_start, contest_stop, contest_leader, contest_settle, contest_step_down,
    contest_may_read, contest_index, contest_wait_applied, contest_catch_up,
};

void pair_lead_quietly(struct pair *p, int i)
{
    pthread_mutex_lock(&p->mu);
    p->leader = i;
    p->term++;
    pthread_mutex_unlock(&p->mu);
}

void pair_tell(struct pair *p)
{
    for (size_t i = 0; i < ARRAY_LEN(p->node); i++) {
        pthread_mutex_lock(&p->mu);
        bool started = p->node[i].started;
        pthread_mutex_unlock(&p->mu);
        if (started)
            p->node[i].events.role_changed(p->node[i].events.ctx);
    }
}

void pair_lead(struct pair *p, int i)
{
    pair_lead_quietly(p, i);
    pair_tell(p);
}

/* ---- the servers ---- */

struct service *pair_service(struct pair *p, int i)
{
    return lifecycle_service(p->node[i].lifecycle);
}

void pair_wait(struct pair *p, int i, enum service_mode mode)
{
    struct service *s = pair_service(p, i);
    uint64_t news, before = 0;
    for (;;) {
        service_news(s, &news);
        if (service_mode(s) == mode)
            return;
        if (news == before)
            fail_msg("node %d is in mode %d, not %d", i, service_mode(s), mode);
        before = news;
        service_wait_news(s, news, PATIENCE_MS);
    }
}

void pair_settle(struct pair *p, int i)
{
    pair_lead(p, i);
    pair_wait(p, i, SERVICE_ACTIVE);
    pair_wait(p, !i, SERVICE_STANDBY);
}

void pair_unseal(struct pair *p, int i)
{
    struct err err = { 0 };
    must(lifecycle_unseal(p->node[i].lifecycle, p->share, &err), &err);
}

static int64_t clock_stands(const struct clock *c)
{
    return 1700000000LL * 1000000000;
}

static void open_node(struct pair *p, int i, const struct engine *const *engines,
                      const struct device_kind *const *devices)
{
    struct pair_node *n = &p->node[i];
    struct err err = { 0 };
    n->base.ops = &shared_ops;
    n->ha.ops = &contest_ops;
    n->pair = p;
    n->settings = (struct core_settings){
        .physical = &n->base, .engines = engines, .devices = devices, .clock = &p->clock,
        .default_ttl_s = 3600, .max_ttl_s = 7200, .ha = &n->ha,
        .node_id = i == 0 ? STR("node0") : STR("node1"),
        .api_addr = i == 0 ? STR("http://node0") : STR("http://node1"),
        .cluster_addr = i == 0 ? STR("node0:1") : STR("node1:1"),
    };
    must(lifecycle_new(&n->settings, &n->lifecycle, &err), &err);
}

void pair_open(struct pair *p, const struct engine *const *engines,
               const struct device_kind *const *devices)
{
    struct init_request want = { .config = { .shares = 1, .threshold = 1 } };
    struct init_result made;
    struct err err = { 0 };
    memset(p, 0, sizeof *p);
    log_set_level(LOG_OFF);
    pthread_mutex_init(&p->mu, NULL);
    pthread_cond_init(&p->moved, NULL);
    p->arena = arena_new();
    p->clock = (struct clock){ clock_stands, clock_stands };
    p->peer.addr = STR("192.0.2.1");
    p->term = 1;
    must(storage_inmem.open(NULL, 0, &p->under, &err), &err);
    open_node(p, 0, engines, devices);
    open_node(p, 1, engines, devices);
    must(lifecycle_init(p->node[0].lifecycle, p->arena, &want, &made, &err), &err);
    p->share = made.shares.v[0];
    p->root = made.root_token;
    pair_unseal(p, 0);
    pair_wait(p, 0, SERVICE_ACTIVE);
    pair_unseal(p, 1);
    pair_wait(p, 1, SERVICE_STANDBY);
}

void pair_close(struct pair *p)
{
    lifecycle_free(p->node[1].lifecycle);
    lifecycle_free(p->node[0].lifecycle);
    storage_close(p->under);
    buf_free(&p->text);
    arena_free(p->arena);
    pthread_cond_destroy(&p->moved);
    pthread_mutex_destroy(&p->mu);
}

int pair_call(struct pair *p, int i, enum op op, const char *path, struct str token,
              const char *json)
{
    struct err err = { 0 };
    struct json *data = json_object(p->arena);
    pair_flush(p, i);
    if (json != NULL)
        must(json_parse_all(p->arena, str_of(json), &data, &err), &err);
    p->req = (struct request){
        .arena = p->arena,
        .id = STR("00000000-0000-0000-0000-000000000000"),
        .op = op,
        .path = str_of(path),
        .data = data,
        .token = token,
        .peer = &p->peer,
        .now_ns = clock_now_ns(&p->clock),
        .may_block = true,
    };
    p->resp = (struct response){ .arena = p->arena };
    buf_clear(&p->text);
    epoch_enter();
    int result = handle(p->node[i].lifecycle, &p->req, &p->resp);
    if (result > 0)
        must(envelope_print(&p->req, &p->resp, &p->text, &err), &err);
    epoch_leave();
    return result;
}

void pair_must(struct pair *p, int i, enum op op, const char *path, const char *json)
{
    if (pair_call(p, i, op, path, p->root, json) < 0)
        fail_msg("%s at node %d: %s", path, i, p->req.err.msg);
}
