/* The lease book: stored leases, and threads that revoke what has expired. */
#include "core/lease.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/keylock.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/random.h"
#include "codec/base64.h"
#include "codec/timefmt.h"
#include "core/lease_entry.h"
#include "core/lease_index.h"
#include "core/token_entry.h"
#include "core/ttl.h"
#include "crypto/digest.h"

static const struct log lg = { "expiration" };

enum { REVOKERS = 4, MAX_ATTEMPTS = 6, ID_LEN = 24, PAGE = 1000 };

static const int64_t SECOND = 1000000000;

struct lease_book {
    struct storage *sys;
    const struct clock *clock;
    struct lease_calls calls;
    struct lease_index *index;
    struct keylock *locks; /* by lease id: of renewals and revocations one at a time */
    atomic_bool loaded, ending;
    pthread_t loader, revoker[REVOKERS];
    bool loader_runs;
    int revokers_run;
};

/* ---- keys ---- */

static struct str id_key(struct arena *a, struct str id)
{
    return arena_cat(a, STR("expire/id/"), id);
}

/* As it stands in a lease's id: the path of a list ends in a slash too many. */
static struct str id_path(struct str path)
{
    while (str_ends(path, STR("/")))
        path.n--;
    return path;
}

static struct str token_lease_id(struct arena *a, struct str sid, struct str path)
{
    path = id_path(path);
    return arena_printf(a, STR_FMT "/" STR_FMT, STR_ARG(path), STR_ARG(sid));
}

/* Row of the index from a token to the secrets it got. */
static int token_row_key(struct lease_book *b, struct arena *a, struct str sid, struct str id,
                         struct str *out, struct err *err)
{
    AUTO(buf_free) struct buf salt = { 0 };
    uint8_t raw[DIGEST_MAX];
    TRY(storage_get(b->sys, STR("token/salt"), &salt, err));
    buf_add(&salt, id);
    TRY(buf_check(&salt, err));
    TRY(digest_of(DIGEST_SHA1, buf_str(&salt), raw, err));
    *out = arena_printf(a, "expire/token/" STR_FMT "/" STR_FMT, STR_ARG(sid),
                        STR_ARG(hex_encode(a, str_mem(raw, 20))));
    return arena_check(a, err);
}

static int64_t clock_of(const struct lease *l)
{
    return l->expires_ns == TIME_ZERO || l->irrevocable ? INT64_MAX : l->expires_ns;
}

/* ---- load ---- */

int lease_load(struct lease_book *b, struct arena *a, struct str id, struct lease **out,
               struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    struct str key = id_key(a, id);
    TRY(arena_check(a, err));
    int found = storage_get(b->sys, key, &text, err);
    if (found <= 0)
        return found;
    struct lease *l = arena_alloc(a, sizeof *l);
    struct str kept = arena_dup(a, buf_str(&text));
    TRY(arena_check(a, err));
    TRY(lease_entry_parse(a, kept, l, err));
    *out = l;
    return 1;
}

static int load_one(void *ctx, struct str id)
{
    struct lease_book *b = ctx;
    AUTO(arena_drop) struct arena *a = arena_new();
    struct lease *l;
    struct err err = { 0 };
    if (a == NULL || atomic_load(&b->ending))
        return 1;
    int found = lease_load(b, a, id, &l, &err);
    if (found > 0)
        found = lease_index_set(b->index, id, clock_of(l), true, &err);
    if (found < 0)
        LOG(&lg, ERROR, "failed to restore a lease: lease_id=" STR_FMT " error=%s", STR_ARG(id),
            err.msg);
    return 0;
}

static void *load_all(void *ctx)
{
    struct lease_book *b = ctx;
    struct err err = { 0 };
    int result = storage_walk(b->sys, STR("expire/id/"), load_one, b, &err);
    if (result < 0)
        LOG(&lg, ERROR, "failed to restore leases: error=%s", err.msg);
    else if (!atomic_load(&b->ending)) {
        atomic_store(&b->loaded, true);
        LOG(&lg, DEBUG, "lease restore complete: leases=%zu", lease_index_count(b->index));
    }
    return NULL;
}

int lease_book_new(struct storage *sys, const struct clock *clock, const struct lease_calls *calls,
                   struct lease_book **out, struct err *err)
{
    struct lease_book *b = calloc(1, sizeof *b);
    if (b == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    b->sys = sys;
    b->clock = clock;
    b->calls = *calls;
    b->index = lease_index_new(clock);
    b->locks = keylock_new();
    if (b->index == NULL || b->locks == NULL) {
        lease_book_free(b);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    *out = b;
    return 0;
}

void lease_book_free(struct lease_book *b)
{
    if (b == NULL)
        return;
    if (b->index != NULL)
        lease_book_stop(b);
    lease_index_free(b->index);
    keylock_free(b->locks);
    free(b);
}

/* ---- the threads ---- */

static int end_lease(struct lease_book *b, struct str id, bool force, bool only_due,
                     struct err *err);

/* After the last attempt a lease stays stored, marked, off the clock: people must look at it. */
static void give_up(struct lease_book *b, struct arena *a, struct str id)
{
    AUTO(keylock_release) struct keyhold hold = { 0 };
    AUTO(buf_free) struct buf text = { 0 };
    struct lease *l;
    struct err err = { 0 };
    if (keylock_hold(b->locks, id, &hold, &err) < 0 || lease_load(b, a, id, &l, &err) <= 0)
        return;
    l->irrevocable = true;
    if (lease_entry_print(a, l, &text, &err) < 0
        || storage_put(b->sys, id_key(a, id), buf_str(&text), &err) < 0
        || lease_index_set(b->index, id, INT64_MAX, false, &err) < 0)
        LOG(&lg, ERROR, "failed to mark a lease irrevocable: lease_id=" STR_FMT " error=%s",
            STR_ARG(id), err.msg);
}

static void revoke_due(struct lease_book *b, struct arena *a, struct str id, int attempt)
{
    struct err err = { 0 };
    if (end_lease(b, id, false, true, &err) == 0)
        return;
    LOG(&lg, ERROR, "failed to revoke lease: lease_id=" STR_FMT " attempt=%d error=%s",
        STR_ARG(id), attempt, err.msg);
    if (attempt >= MAX_ATTEMPTS)
        give_up(b, a, id);
    else
        lease_index_retry(b->index, id, (10LL << attempt) * SECOND);
}

static void *revoke_all_due(void *ctx)
{
    struct lease_book *b = ctx;
    struct arena *a = arena_new();
    struct str id;
    int attempt;
    while (a != NULL && lease_index_wait(b->index, a, &id, &attempt)) {
        revoke_due(b, a, id, attempt);
        arena_reset(a);
    }
    arena_free(a);
    return NULL;
}

int lease_book_start(struct lease_book *b, struct err *err)
{
    if (pthread_create(&b->loader, NULL, load_all, b) != 0)
        return err_set(err, ERR_NOMEM, "no thread to restore leases");
    b->loader_runs = true;
    for (; b->revokers_run < REVOKERS; b->revokers_run++) {
        if (pthread_create(&b->revoker[b->revokers_run], NULL, revoke_all_due, b) == 0)
            continue;
        /* What the others use is about to go. */
        lease_book_stop(b);
        return err_set(err, ERR_NOMEM, "no thread to revoke leases");
    }
    return 0;
}

void lease_book_stop(struct lease_book *b)
{
    atomic_store(&b->ending, true);
    lease_index_end(b->index);
    if (b->loader_runs)
        pthread_join(b->loader, NULL);
    b->loader_runs = false;
    while (b->revokers_run > 0)
        pthread_join(b->revoker[--b->revokers_run], NULL);
}

/* ---- new leases ---- */

static void warn_capped(struct arena *a, struct response *resp, enum ttl_cap cap, int64_t asked,
                        int64_t max)
{
    struct str was = ttl_text(a, asked), limit = ttl_text(a, max);
    if (cap == TTL_PERIOD_CAPPED)
        response_warn(resp,
                      "period of \"" STR_FMT "\" exceeded the effective max_ttl of \"" STR_FMT
                      "\"; period value is capped accordingly",
                      STR_ARG(was), STR_ARG(limit));
    else if (cap == TTL_CAPPED)
        response_warn(resp,
                      "TTL of \"" STR_FMT "\" exceeded the effective max_ttl of \"" STR_FMT
                      "\"; TTL value is capped accordingly",
                      STR_ARG(was), STR_ARG(limit));
}

/* Under which token the lease is found, and how long it may last at most. */
static int bound_of(struct lease_book *b, const struct request *req, struct str *sid,
                    int64_t *until_ns, struct err *err)
{
    const struct token_entry *e = req->caller;
    *sid = req->token_hash;
    *until_ns = INT64_MAX;
    if (e == NULL || e->type != TOKEN_BATCH)
        return 0;
    /* A batch token is stored nowhere: its leases end with it, or with its parent. */
    if (e->ttl_s > 0)
        *until_ns = (e->created_s + e->ttl_s) * SECOND;
    return b->calls.token_sid(b->calls.ctx, req->arena, e->id, sid, err);
}

/* Store the lease and its token's row, then put it on the clock. */
static int register_stored(struct lease_book *b, struct request *req, struct lease *l,
                           struct str sid, struct err *err)
{
    struct arena *a = req->arena;
    AUTO(buf_free) struct buf text = { 0 };
    struct storage_op ops[2];
    size_t n = 0;
    TRY(lease_entry_print(a, l, &text, err));
    ops[n++] = (struct storage_op){ STORAGE_PUT, id_key(a, l->id), buf_str(&text) };
    if (sid.n > 0) {
        struct storage_op row = { .kind = STORAGE_PUT, .value = l->id };
        TRY(token_row_key(b, a, sid, l->id, &row.key, err));
        ops[n++] = row;
    }
    TRY(arena_check(a, err));
    TRY(storage_commit(b->sys, ops, n, err));
    TRY(lease_index_set(b->index, l->id, l->expires_ns, false, err));
    /* A token revoked meanwhile has listed its leases without this one. */
    int alive = req->token.n == 0
                    ? 1
                    : b->calls.token_stored(b->calls.ctx, req->token, err);
    return alive < 0 ? -1 : alive > 0 ? 0 : err_set(err, ERR_DENIED, "permission denied");
}

/* The secret is not handed out: it must not live on either. */
static void take_back(struct lease_book *b, const struct lease *l)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct lease *stored;
    struct err err = { 0 };
    int result = a == NULL ? err_set(&err, ERR_NOMEM, "out of memory")
                           : lease_load(b, a, l->id, &stored, &err);
    if (result > 0)
        result = lease_revoke(b, l->id, false, &err);
    else if (result == 0)
        result = b->calls.revoke_secret(b->calls.ctx, l, &err);
    if (result < 0)
        LOG(&lg, ERROR, "failed to revoke a secret without a lease: lease_id=" STR_FMT " error=%s",
            STR_ARG(l->id), err.msg);
}

int lease_register(struct lease_book *b, struct request *req, struct response *resp,
                   struct err *err)
{
    AUTO(metric_end) struct metric_timer timer = metric_start(METRIC_EXPIRE_REGISTER);
    struct arena *a = req->arena;
    char tail[ID_LEN + 1];
    struct lease_terms *terms = resp->lease;
    struct str sid, path = id_path(req->path);
    enum ttl_cap cap;
    int64_t max, until_ns;
    struct ttl_terms t = { .backend = terms->ttl_s,
                           .backend_max = terms->max_ttl_s,
                           .now = clock_now_s(b->clock) };
    b->calls.mount_ttls(b->calls.ctx, req->path, &t.mount_default, &t.mount_max);
    int64_t ttl = ttl_calculate(&t, &cap, &max);
    warn_capped(a, resp, cap, terms->ttl_s, max);
    random_base62(tail, ID_LEN);
    terms->lease_id = arena_printf(a, STR_FMT "/%s", STR_ARG(path), tail);
    if (terms->kind != NULL) {
        if (terms->internal_data == NULL)
            terms->internal_data = json_object(a);
        json_set(terms->internal_data, STR("secret_type"), json_str(a, str_of(terms->kind)));
    }
    const struct token_entry *e = req->caller;
    struct lease l = {
        .id = resp->lease->lease_id,
        .client_token = req->token,
        .path = req->path,
        .token_type = e != NULL && e->type == TOKEN_BATCH ? TOKEN_BATCH : TOKEN_SERVICE,
        .data = resp->data,
        .secret = terms,
        .issued_ns = clock_now_ns(b->clock),
        .renewed_ns = TIME_ZERO,
    };
    int result = bound_of(b, req, &sid, &until_ns, err);
    l.expires_ns = l.issued_ns + ttl * SECOND;
    if (result == 0 && l.expires_ns > until_ns)
        l.expires_ns = until_ns;
    terms->ttl_s = (l.expires_ns - l.issued_ns) / SECOND;
    if (result == 0)
        result = arena_check(a, err);
    if (result == 0)
        result = register_stored(b, req, &l, sid, err);
    if (result < 0)
        take_back(b, &l);
    return result;
}

int lease_prepare_token(struct lease_book *b, struct arena *a, struct str sid, struct str path,
                        const struct auth *auth, struct str *key, struct str *value,
                        struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    struct auth kept = *auth;
    int64_t now_ns = clock_now_ns(b->clock);
    struct lease l = {
        .id = token_lease_id(a, sid, path),
        .client_token = auth->client_token,
        .path = path,
        .token_type = TOKEN_SERVICE,
        .auth = &kept,
        .issued_ns = now_ns,
        .expires_ns = auth->ttl_s > 0 ? now_ns + auth->ttl_s * SECOND : TIME_ZERO,
        .renewed_ns = TIME_ZERO,
    };
    TRY(lease_entry_print(a, &l, &text, err));
    *key = id_key(a, l.id);
    *value = arena_dup(a, buf_str(&text));
    return arena_check(a, err);
}

int lease_token_committed(struct lease_book *b, struct str sid, struct str path,
                          int64_t expires_ns, struct err *err)
{
    AUTO(buf_free) struct buf id = { 0 };
    buf_add(&id, id_path(path));
    buf_byte(&id, '/');
    buf_add(&id, sid);
    TRY(buf_check(&id, err));
    return lease_index_set(b->index, buf_str(&id), expires_ns, false, err);
}

/* ---- questions ---- */

static int expiry_from_store(struct lease_book *b, struct str id, int64_t *expires_ns,
                             struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct lease *l;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    int found = lease_load(b, a, id, &l, err);
    if (found > 0)
        *expires_ns = clock_of(l);
    return found;
}

int lease_token_expiry(struct lease_book *b, struct str sid, struct str path, int64_t *expires_ns,
                       struct err *err)
{
    char small[256];
    AUTO(buf_free) struct buf large = { 0 };
    path = id_path(path);
    struct str id = { small, path.n + 1 + sid.n };
    if (id.n <= sizeof small) {
        memcpy(small, path.p, path.n);
        small[path.n] = '/';
        memcpy(small + path.n + 1, sid.p, sid.n);
    } else {
        buf_add(&large, path);
        buf_byte(&large, '/');
        buf_add(&large, sid);
        TRY(buf_check(&large, err));
        id = buf_str(&large);
    }
    int found = lease_index_get(b->index, id, expires_ns);
    if (found > 0 || atomic_load(&b->loaded))
        return found;
    return expiry_from_store(b, id, expires_ns, err);
}

int lease_list(struct lease_book *b, struct arena *a, struct str prefix, struct strs *out,
               struct err *err)
{
    struct strs_collect collect = { a, out };
    struct str key = id_key(a, prefix);
    TRY(arena_check(a, err));
    TRY(storage_list(b->sys, key, STR(""), strs_collect_name, &collect, err));
    return arena_check(a, err);
}

size_t lease_count(struct lease_book *b)
{
    return lease_index_count(b->index);
}

/* ---- renewal ---- */

static int check_renewable(struct lease_book *b, const struct lease *l, struct err *err)
{
    bool renewable = l->secret != NULL ? l->secret->renewable : l->auth != NULL && l->auth->renewable;
    if (l->expires_ns != TIME_ZERO && l->expires_ns <= clock_now_ns(b->clock))
        return err_set(err, ERR_BAD_REQUEST, "lease expired");
    if (l->irrevocable || !renewable)
        return err_set(err, ERR_BAD_REQUEST, "lease is not renewable");
    return 0;
}

static int store_renewed(struct lease_book *b, struct arena *a, struct lease *l, int64_t ttl_s,
                         struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    l->renewed_ns = clock_now_ns(b->clock);
    l->expires_ns = l->renewed_ns + ttl_s * SECOND;
    TRY(lease_entry_print(a, l, &text, err));
    TRY(storage_put(b->sys, id_key(a, l->id), buf_str(&text), err));
    return lease_index_set(b->index, l->id, l->expires_ns, false, err);
}

static int renewed_ttl(struct lease_book *b, struct arena *a, const struct lease *l,
                       struct ttl_terms *t, struct response *resp, int64_t *ttl, struct err *err)
{
    enum ttl_cap cap;
    int64_t max;
    int64_t asked = t->period > 0      ? t->period
                    : t->increment > 0 ? t->increment
                                       : t->backend;
    t->started = l->issued_ns / SECOND;
    t->now = clock_now_s(b->clock);
    b->calls.mount_ttls(b->calls.ctx, l->path, &t->mount_default, &t->mount_max);
    *ttl = ttl_calculate(t, &cap, &max);
    if (*ttl <= 0)
        return err_set(err, ERR_BAD_REQUEST, "past the max TTL, cannot renew");
    warn_capped(a, resp, cap, asked, max);
    return 0;
}

static int renew_auth(struct lease_book *b, struct arena *a, struct lease *l, int64_t increment_s,
                      struct response *resp, struct err *err)
{
    struct auth *auth = NULL;
    int64_t ttl;
    TRY(b->calls.renew_login(b->calls.ctx, a, l, increment_s, &auth, err));
    struct ttl_terms t = { .increment = increment_s,
                           .backend = auth->ttl_s,
                           .period = auth->period_s,
                           .backend_max = auth->max_ttl_s,
                           .explicit_max = auth->explicit_max_ttl_s };
    TRY(renewed_ttl(b, a, l, &t, resp, &ttl, err));
    auth->ttl_s = ttl;
    auth->client_token = l->client_token;
    l->auth = auth;
    TRY(store_renewed(b, a, l, ttl, err));
    resp->auth = auth;
    return 0;
}

static int renew_secret(struct lease_book *b, struct arena *a, struct lease *l,
                        int64_t increment_s, struct response *resp, struct err *err)
{
    struct lease_terms *terms = NULL;
    int64_t ttl;
    TRY(b->calls.renew_secret(b->calls.ctx, a, l, increment_s, &terms, err));
    if (terms == NULL)
        terms = l->secret;
    struct ttl_terms t = { .increment = increment_s,
                           .backend = terms->ttl_s,
                           .backend_max = terms->max_ttl_s };
    TRY(renewed_ttl(b, a, l, &t, resp, &ttl, err));
    terms->ttl_s = ttl;
    terms->lease_id = l->id;
    if (terms->internal_data == NULL)
        terms->internal_data = l->secret->internal_data;
    l->secret = terms;
    TRY(store_renewed(b, a, l, ttl, err));
    resp->lease = terms;
    return 0;
}

int lease_renew(struct lease_book *b, struct arena *a, struct str id, int64_t increment_s,
                struct response *resp, struct err *err)
{
    AUTO(metric_end) struct metric_timer timer = metric_start(METRIC_EXPIRE_RENEW);
    AUTO(keylock_release) struct keyhold hold = { 0 };
    struct lease *l;
    TRY(keylock_hold(b->locks, id, &hold, err));
    int found = lease_load(b, a, id, &l, err);
    if (found < 0)
        return -1;
    if (found == 0)
        return err_set(err, ERR_BAD_REQUEST, "lease not found");
    TRY(check_renewable(b, l, err));
    return l->secret != NULL ? renew_secret(b, a, l, increment_s, resp, err)
                             : renew_auth(b, a, l, increment_s, resp, err);
}

int lease_renew_token(struct lease_book *b, struct arena *a, struct str sid, struct str path,
                      int64_t increment_s, struct response *resp, struct err *err)
{
    AUTO(metric_end) struct metric_timer timer = metric_start(METRIC_EXPIRE_RENEW_TOKEN);
    return lease_renew(b, a, token_lease_id(a, sid, path), increment_s, resp, err);
}

/* ---- revocation ---- */

static struct str last_segment(struct str id)
{
    ptrdiff_t slash = str_rfind_byte(id, '/');
    return slash < 0 ? id : str_from(id, (size_t)slash + 1);
}

static int delete_secret_lease(struct lease_book *b, struct arena *a, const struct lease *l,
                               struct err *err)
{
    struct storage_op ops[2] = { { .kind = STORAGE_DELETE, .key = id_key(a, l->id) },
                                 { .kind = STORAGE_DELETE } };
    struct str sid = { NULL, 0 };
    size_t n = 1;
    if (l->client_token.n > 0)
        TRY(b->calls.token_sid(b->calls.ctx, a, l->client_token, &sid, err));
    if (sid.n > 0)
        TRY(token_row_key(b, a, sid, l->id, &ops[n++].key, err));
    TRY(arena_check(a, err));
    return storage_commit(b->sys, ops, n, err);
}

static int end_secret(struct lease_book *b, struct arena *a, struct lease *l, struct str id,
                      bool force, struct err *err)
{
    if (b->calls.revoke_secret(b->calls.ctx, l, err) < 0 && !force)
        return -1;
    l->id = id;
    return delete_secret_lease(b, a, l, err);
}

/* The lease's entry alone, when what it stood for has ended. */
static int drop(struct lease_book *b, struct arena *a, struct str id, struct err *err)
{
    AUTO(keylock_release) struct keyhold hold = { 0 };
    struct str key = id_key(a, id);
    TRY(arena_check(a, err));
    TRY(keylock_hold(b->locks, id, &hold, err));
    TRY(storage_delete(b->sys, key, err));
    lease_index_remove(b->index, id);
    return 0;
}

/* ${only_due}: not if it was renewed since the clock named it. */
static int end_lease(struct lease_book *b, struct str id, bool force, bool only_due,
                     struct err *err)
{
    AUTO(metric_end) struct metric_timer timer = metric_start(METRIC_EXPIRE_REVOKE);
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(keylock_release) struct keyhold hold = { 0 };
    struct lease *l;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    TRY(keylock_hold(b->locks, id, &hold, err));
    int found = lease_load(b, a, id, &l, err);
    if (found < 0 && force && err->code == ERR_CORRUPT) {
        /* What it stood for cannot be known any more; it must not keep a mount for ever. */
        LOG(&lg, ERROR, "an unreadable lease is dropped: lease_id=" STR_FMT " error=%s",
            STR_ARG(id), err->msg);
        keylock_release(&hold);
        return drop(b, a, id, err);
    }
    if (found < 0)
        return -1;
    if (found > 0 && only_due && clock_of(l) > clock_now_ns(b->clock))
        return lease_index_set(b->index, id, clock_of(l), false, err);
    if (found > 0 && l->secret == NULL) {
        /* The end of the token takes the lock itself. */
        keylock_release(&hold);
        TRY(b->calls.revoke_token(b->calls.ctx, last_segment(id), err));
        return drop(b, a, id, err);
    }
    if (found > 0)
        TRY(end_secret(b, a, l, id, force, err));
    lease_index_remove(b->index, id);
    return 0;
}

int lease_revoke(struct lease_book *b, struct str id, bool force, struct err *err)
{
    return end_lease(b, id, force, false, err);
}

/* Collects a page of keys, then stops the walk. */
static int collect_page(void *ctx, struct str name)
{
    struct strs_collect *c = ctx;
    if (c->list->n >= PAGE)
        return 1;
    return strs_collect_name(ctx, name);
}

int lease_revoke_prefix(struct lease_book *b, struct str prefix, bool force, struct err *err)
{
    AUTO(metric_end) struct metric_timer timer = metric_start(METRIC_EXPIRE_REVOKE_PREFIX);
    AUTO(arena_drop) struct arena *a = arena_new();
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    for (;;) {
        struct strs page = { 0 };
        struct strs_collect collect = { a, &page };
        struct str folder = str_ends(prefix, STR("/")) || prefix.n == 0
                                ? arena_dup(a, prefix)
                                : arena_cat(a, prefix, STR("/"));
        TRY(storage_walk(b->sys, id_key(a, folder), collect_page, &collect, err));
        TRY(arena_check(a, err));
        if (page.n == 0)
            return 0;
        for (size_t i = 0; i < page.n; i++)
            TRY(lease_revoke(b, arena_cat(a, folder, page.v[i]), force, err));
        /* ${prefix} is the caller's: the arena may go. */
        arena_reset(a);
    }
}

int lease_revoke_by_token(struct lease_book *b, struct str sid, struct str path, struct err *err)
{
    AUTO(metric_end) struct metric_timer timer = metric_start(METRIC_EXPIRE_REVOKE_BY_TOKEN);
    AUTO(arena_drop) struct arena *a = arena_new();
    struct strs rows = { 0 };
    struct strs_collect collect = { a, &rows };
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    struct str prefix = arena_printf(a, "expire/token/" STR_FMT "/", STR_ARG(sid));
    TRY(storage_list(b->sys, prefix, STR(""), strs_collect_name, &collect, err));
    for (size_t i = 0; i < rows.n; i++) {
        AUTO(buf_free) struct buf id = { 0 };
        struct err failure = { 0 };
        struct str row = arena_cat(a, prefix, rows.v[i]);
        TRY(arena_check(a, err));
        int found = storage_get(b->sys, row, &id, err);
        if (found < 0)
            return -1;
        if (found == 0)
            continue;
        /* A secret whose engine fails now is retried by the clock; the token goes all the same. */
        if (lease_revoke(b, buf_str(&id), false, &failure) < 0) {
            LOG(&lg, ERROR, "failed to revoke lease: lease_id=" STR_FMT " error=%s",
                STR_ARG(buf_str(&id)), failure.msg);
            lease_index_retry(b->index, buf_str(&id), 10 * SECOND);
            continue;
        }
        /* Also the row of a lease that is gone since long, which no revocation took along. */
        TRY(storage_delete(b->sys, row, err));
    }
    struct str own = token_lease_id(a, sid, path);
    TRY(arena_check(a, err));
    return drop(b, a, own, err);
}

/* ---- tidy ---- */

struct tidy {
    struct lease_book *b;
    struct strs_collect dead;
};

static int find_dead(void *ctx, struct str id)
{
    struct tidy *t = ctx;
    AUTO(arena_drop) struct arena *a = arena_new();
    struct err err = { 0 };
    struct lease *l;
    if (a == NULL)
        return 1;
    if (lease_load(t->b, a, id, &l, &err) <= 0)
        return 0;
    if (l->client_token.n == 0
        || t->b->calls.token_stored(t->b->calls.ctx, l->client_token, &err) == 0)
        return strs_collect_name(&t->dead, id);
    return 0;
}

int lease_tidy(struct lease_book *b, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct strs dead = { 0 };
    struct tidy t = { b, { a, &dead } };
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    TRY(storage_walk(b->sys, STR("expire/id/"), find_dead, &t, err));
    TRY(arena_check(a, err));
    for (size_t i = 0; i < dead.n; i++) {
        struct err failure = { 0 };
        if (lease_revoke(b, dead.v[i], true, &failure) < 0)
            LOG(&lg, ERROR, "failed to revoke a lease without token: lease_id=" STR_FMT
                            " error=%s", STR_ARG(dead.v[i]), failure.msg);
    }
    return 0;
}
