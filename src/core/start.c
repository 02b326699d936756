/* What runs while unsealed: one list of steps, walked down at unseal and up at seal. */
#include "core/start.h"

#include <stdlib.h>

#include "barrier/view.h"
#include "base/log.h"
#include "base/random.h"
#include "core/autopilot.h"
#include "core/bootstrap.h"
#include "core/browser.h"
#include "core/counters.h"
#include "core/housekeeping.h"
#include "core/revoke.h"
#include "core/stateindex.h"
#include "core/wrapkey.h"

static const struct log lg = { "core" };

/* The parts plus what only this file must remember of them. */
struct running {
    struct active on; /* first */
    struct arena *arena;
    struct housekeeping *housekeeping;
};

static int start_cluster(struct running *r, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    struct arena *a = r->arena;
    struct json *info = NULL;
    struct str key = STR("core/cluster/local/info");
    int found = storage_get(r->on.storage, key, &text, err);
    if (found < 0)
        return -1;
    if (found > 0) {
        TRY(json_parse(a, arena_dup(a, buf_str(&text)), &info, NULL, err));
        r->on.cluster_name = json_get_str(info, "name");
        r->on.cluster_id = json_get_str(info, "id");
        if (r->on.cluster_id.n > 0)
            return 0;
        buf_clear(&text);
    }
    char uuid[37];
    unsigned char raw[4];
    random_uuid(uuid);
    random_fill(raw, sizeof raw);
    r->on.cluster_id = arena_dup(a, str_of(uuid));
    r->on.cluster_name =
        r->on.settings->cluster_name.n > 0
            ? r->on.settings->cluster_name
            : arena_printf(a, "vault-cluster-%02x%02x%02x%02x", raw[0], raw[1], raw[2], raw[3]);
    info = json_object(a);
    if (info != NULL)
        info->keep_order = true;
    json_put_str(info, "name", r->on.cluster_name);
    json_put_str(info, "id", r->on.cluster_id);
    TRY(arena_check(a, err));
    json_print(info, &text);
    TRY(buf_check(&text, err));
    return storage_put(r->on.storage, key, buf_str(&text), err);
}

static int start_wrapkey(struct running *r, struct err *err)
{
    return wrapkey_new(r->on.storage, &r->on.wrapkey, err);
}

static void stop_wrapkey(struct running *r)
{
    wrapkey_free(r->on.wrapkey);
}

/* A standby takes what is there: the active node makes it. */
static int start_index(struct running *r, struct err *err)
{
    return r->on.settings->ha == NULL
               ? 0
               : stateindex_new(r->on.storage, !r->on.standby, &r->on.index, err);
}

static void stop_index(struct running *r)
{
    stateindex_free(r->on.index);
}

static int start_browser(struct running *r, struct err *err)
{
    return browser_new(r->on.storage, r->on.settings->physical, &r->on.browser, err);
}

static void stop_browser(struct running *r)
{
    browser_free(r->on.browser);
}

static int start_views(struct running *r, struct err *err)
{
    return view_new(r->on.storage, STR("sys/"), &r->on.sys, err);
}

static void stop_views(struct running *r)
{
    storage_close(r->on.sys);
}

static int start_locks(struct running *r, struct err *err)
{
    r->on.locks = keylock_new();
    return r->on.locks == NULL ? err_set(err, ERR_NOMEM, "out of memory") : 0;
}

static void stop_locks(struct running *r)
{
    keylock_free(r->on.locks);
}

static int start_policies(struct running *r, struct err *err)
{
    TRY(policy_store_new(r->on.sys, &r->on.policies, err));
    return r->on.standby ? 0 : policy_store_start(r->on.policies, err);
}

static void stop_policies(struct running *r)
{
    policy_store_free(r->on.policies);
}

static int start_mounts(struct running *r, struct err *err)
{
    const struct core_settings *s = r->on.settings;
    struct mounts_parts parts = {
        .barrier = r->on.barrier,
        .engines = s->engines,
        .inner_state = &r->on,
        .default_ttl_s = s->default_ttl_s,
        .max_ttl_s = s->max_ttl_s,
        .clock = s->clock,
    };
    TRY(mounts_new(&parts, &r->on.mounts, err));
    const struct mount *cubbyhole = mounts_at(r->on.mounts, STR("cubbyhole/"));
    if (cubbyhole == NULL)
        return err_set(err, ERR_CORRUPT, "mount table: no cubbyhole");
    r->on.cubbyhole = cubbyhole->view;
    return 0;
}

static void stop_mounts(struct running *r)
{
    mounts_free(r->on.mounts);
}

static int start_leases(struct running *r, struct err *err)
{
    struct lease_calls calls = revoke_calls(&r->on);
    return lease_book_new(r->on.sys, r->on.settings->clock, &calls, &r->on.leases, err);
}

static void stop_leases(struct running *r)
{
    lease_book_free(r->on.leases);
}

static int start_tokens(struct running *r, struct err *err)
{
    struct token_parts parts = {
        .sys = r->on.sys,
        .barrier = r->on.barrier,
        .leases = r->on.leases,
        .cubbyhole = r->on.cubbyhole,
        .clock = r->on.settings->clock,
    };
    return token_store_new(&parts, &r->on.tokens, err);
}

static void stop_tokens(struct running *r)
{
    token_store_free(r->on.tokens);
}

static int start_identity(struct running *r, struct err *err)
{
    const struct mount *m = mounts_at(r->on.mounts, STR("identity/"));
    if (m == NULL)
        return err_set(err, ERR_CORRUPT, "mount table: no identity store");
    return identity_new(m->view, &r->on.identity, err);
}

static void stop_identity(struct running *r)
{
    identity_free(r->on.identity);
}

static int start_broker(struct running *r, struct err *err)
{
    struct broker_parts parts = {
        .storage = r->on.storage,
        .devices = r->on.settings->devices,
        .clock = r->on.settings->clock,
    };
    return broker_new(&parts, &r->on.broker, err);
}

static void stop_broker(struct running *r)
{
    broker_free(r->on.broker);
}

static int start_lease_clock(struct running *r, struct err *err)
{
    return lease_book_start(r->on.leases, err);
}

static void stop_lease_clock(struct running *r)
{
    lease_book_stop(r->on.leases);
}

static int start_housekeeping(struct running *r, struct err *err)
{
    return housekeeping_new(&r->on, &r->housekeeping, err);
}

static void stop_housekeeping(struct running *r)
{
    housekeeping_free(r->housekeeping);
}

static int start_counters(struct running *r, struct err *err)
{
    return counters_new(r->on.sys, r->on.settings->clock, &r->on.counters, err);
}

static void stop_counters(struct running *r)
{
    struct err err = { 0 };
    if (counters_flush(r->on.counters, &err) < 0)
        LOG(&lg, DEBUG, "the last requests are not counted: error=%s", err.msg);
    counters_free(r->on.counters);
}

static int start_bootstrap(struct running *r, struct err *err)
{
    if (r->on.settings->raft == NULL)
        return 0;
    r->on.bootstrap = bootstrap_new();
    return r->on.bootstrap == NULL ? err_set(err, ERR_NOMEM, "out of memory") : 0;
}

static void stop_bootstrap(struct running *r)
{
    bootstrap_free(r->on.bootstrap);
}

static int start_autopilot(struct running *r, struct err *err)
{
    const struct core_settings *s = r->on.settings;
    return s->raft == NULL
               ? 0
               : autopilot_new(r->on.storage, s->raft, s->clock, &r->on.autopilot, err);
}

static void stop_autopilot(struct running *r)
{
    autopilot_free(r->on.autopilot);
}

static const struct step {
    const char *name;
    bool writes; /* works on its own: only on the active node */
    int (*start)(struct running *r, struct err *err);
    void (*stop)(struct running *r);
} steps[] = {
    { "cluster", false, start_cluster, NULL },
    { "wrapping key", false, start_wrapkey, stop_wrapkey },
    { "state index", false, start_index, stop_index },
    { "browser rules", false, start_browser, stop_browser },
    { "views", false, start_views, stop_views },
    { "locks", false, start_locks, stop_locks },
    { "policies", false, start_policies, stop_policies },
    { "mounts", false, start_mounts, stop_mounts },
    { "leases", false, start_leases, stop_leases },
    { "tokens", false, start_tokens, stop_tokens },
    { "identity", false, start_identity, stop_identity },
    { "audit", false, start_broker, stop_broker },
    { "lease clock", true, start_lease_clock, stop_lease_clock },
    { "counters", true, start_counters, stop_counters },
    { "housekeeping", true, start_housekeeping, stop_housekeeping },
    { "joining", true, start_bootstrap, stop_bootstrap },
    { "autopilot", true, start_autopilot, stop_autopilot },
};

static bool is_skipped(const struct running *r, const struct step *step)
{
    return step->writes && r->on.standby;
}

static void undo(struct running *r, size_t done)
{
    while (done-- > 0)
        if (steps[done].stop != NULL && !is_skipped(r, &steps[done]))
            steps[done].stop(r);
    arena_free(r->arena);
    free(r);
}

int start_all(const struct start_parts *parts, struct active **out, struct err *err)
{
    struct running *r = calloc(1, sizeof *r);
    if (r == NULL || (r->arena = arena_new()) == NULL) {
        free(r);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    r->on.settings = parts->settings;
    r->on.lifecycle = parts->lifecycle;
    r->on.barrier = parts->barrier;
    r->on.standby = parts->standby;
    r->on.storage = barrier_storage(r->on.barrier);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        if (is_skipped(r, &steps[i]) || steps[i].start(r, err) == 0)
            continue;
        LOG(&lg, ERROR, "unseal step failed: step=%s error=%s", steps[i].name, err->msg);
        undo(r, i);
        return -1;
    }
    *out = &r->on;
    return 0;
}

void stop_all(struct active *on)
{
    if (on != NULL)
        undo((struct running *)on, ARRAY_LEN(steps));
}

int start_root_token(const struct active *on, struct arena *a, struct str *token, struct err *err)
{
    struct auth auth = { .type = TOKEN_SERVICE };
    struct token_entry e = {
        .type = TOKEN_SERVICE,
        .path = STR("auth/token/root"),
        .display_name = STR("root"),
        .root = true,
    };
    strs_add(a, &e.policies, STR("root"));
    TRY(arena_check(a, err));
    TRY(token_create(on->tokens, a, &e, &auth, err));
    *token = auth.client_token;
    return 0;
}
