/* The token store: look-up through a bounded cache, creation, use counts, revocation of trees. */
#include "core/token.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/epoch.h"
#include "base/keylock.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/random.h"
#include "base/secret.h"
#include "codec/base64.h"
#include "core/token_entry.h"
#include "crypto/digest.h"

static const struct log lg = { "core" };

/* Slots of the cache: a token has one place; who comes later displaces who was there. */
enum { CACHE_SLOTS = 1 << 14, CACHE_LOCKS = 64, ID_LEN = 24, REVOKING = -3, LAST_USE = -1 };

/* An entry with the memory it lives in; immutable. */
struct cached {
    struct token_entry e; /* first */
    struct arena *arena;
};

struct slot {
    _Atomic(struct cached *) entry;
    _Atomic uint64_t changes; /* counts invalidations; read before a load, checked after it */
};

struct token_store {
    struct token_parts parts;
    /* Another node's changes name the salted id, not the token: where it may be cached. */
    _Atomic uint32_t sid_hash[CACHE_SLOTS];
    _Atomic uint64_t foreign; /* counts such changes; read before a load, checked after it */
    struct secret salt;
    struct keylock *locks;
    uint64_t seed;
    pthread_mutex_t fill[CACHE_LOCKS]; /* writers of the slots; readers take none */
    struct slot cache[CACHE_SLOTS];
};

/* ---- names ---- */

int token_sid(struct token_store *t, struct arena *a, struct str token, struct str *out,
              struct err *err)
{
    uint8_t raw[DIGEST_MAX];
    struct str salt = secret_str(&t->salt);
    if (str_find_byte(token, '.') >= 0) {
        TRY(digest_hmac(DIGEST_SHA256, salt, token, raw, err));
        *out = arena_cat(a, STR("h"), hex_encode(a, str_mem(raw, 32)));
    } else {
        TRY(digest_of(DIGEST_SHA1, arena_cat(a, salt, token), raw, err));
        *out = hex_encode(a, str_mem(raw, 20));
    }
    return arena_check(a, err);
}

static int accessor_key(struct token_store *t, struct arena *a, struct str accessor,
                        struct str *out, struct err *err)
{
    uint8_t raw[DIGEST_MAX];
    TRY(digest_of(DIGEST_SHA1, arena_cat(a, secret_str(&t->salt), accessor), raw, err));
    *out = arena_cat(a, STR("token/accessor/"), hex_encode(a, str_mem(raw, 20)));
    return arena_check(a, err);
}

static struct str id_key(struct arena *a, struct str sid)
{
    return arena_cat(a, STR("token/id/"), sid);
}

static struct str parent_prefix(struct arena *a, struct str parent_sid)
{
    return arena_printf(a, "token/parent/" STR_FMT "/", STR_ARG(parent_sid));
}

static struct str random_id(struct arena *a, const char *prefix)
{
    char id[ID_LEN + 1];
    random_base62(id, ID_LEN);
    struct str out = arena_printf(a, "%s%s", prefix, id);
    explicit_bzero(id, sizeof id);
    return out;
}

/* ---- life ---- */

static int load_salt(struct token_store *t, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    char uuid[37];
    int found = storage_get(t->parts.sys, STR("token/salt"), &text, err);
    if (found < 0)
        return -1;
    if (found > 0)
        return secret_set(&t->salt, buf_str(&text), err);
    random_uuid(uuid);
    TRY(storage_put(t->parts.sys, STR("token/salt"), str_of(uuid), err));
    int result = secret_set(&t->salt, str_of(uuid), err);
    explicit_bzero(uuid, sizeof uuid);
    return result;
}

int token_store_new(const struct token_parts *parts, struct token_store **out, struct err *err)
{
    struct token_store *t = calloc(1, sizeof *t);
    if (t == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    t->parts = *parts;
    for (size_t i = 0; i < CACHE_LOCKS; i++)
        pthread_mutex_init(&t->fill[i], NULL);
    random_fill(&t->seed, sizeof t->seed);
    t->locks = keylock_new();
    if (t->locks == NULL || load_salt(t, err) < 0) {
        if (t->locks == NULL)
            err_set(err, ERR_NOMEM, "out of memory");
        token_store_free(t);
        return -1;
    }
    *out = t;
    return 0;
}

static void cached_release(void *p)
{
    struct cached *c = p;
    arena_free(c->arena);
    free(c);
}

void token_store_free(struct token_store *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < CACHE_SLOTS; i++) {
        struct cached *c = atomic_load(&t->cache[i].entry);
        if (c != NULL)
            cached_release(c);
    }
    for (size_t i = 0; i < CACHE_LOCKS; i++)
        pthread_mutex_destroy(&t->fill[i]);
    keylock_free(t->locks);
    secret_free(&t->salt);
    free(t);
}

/* ---- cache ---- */

static size_t slot_of(const struct token_store *t, struct str token)
{
    uint64_t h = (str_hash(token) ^ t->seed) * 0x9E3779B97F4A7C15ULL;
    return (size_t)(h >> 40) % CACHE_SLOTS;
}

static const struct token_entry *cache_get(struct token_store *t, size_t slot, struct str token)
{
    const struct cached *c = atomic_load_explicit(&t->cache[slot].entry, memory_order_acquire);
    return c != NULL && secret_eq(c->e.id, token) ? &c->e : NULL;
}

/* What has been invalidated so far, of a slot and by other nodes. */
struct mark {
    uint64_t changes, foreign;
};

static struct mark mark_of(struct token_store *t, size_t slot)
{
    return (struct mark){ atomic_load(&t->cache[slot].changes), atomic_load(&t->foreign) };
}

/* Keep ${c}, unless it was invalidated since ${mark}; in any case it lives in the epoch. */
static void cache_put(struct token_store *t, size_t slot, struct mark mark, struct cached *c)
{
    struct slot *s = &t->cache[slot];
    pthread_mutex_lock(&t->fill[slot % CACHE_LOCKS]);
    /* First said where it is, then looked whether it may be there: token_store_invalidate counts
     * first and looks then, so one of the two sees the other. */
    atomic_store(&t->sid_hash[slot], (uint32_t)str_hash(c->e.sid));
    bool good = atomic_load(&s->changes) == mark.changes
                && atomic_load(&t->foreign) == mark.foreign;
    struct cached *out = atomic_exchange(&s->entry, good ? c : NULL);
    pthread_mutex_unlock(&t->fill[slot % CACHE_LOCKS]);
    epoch_retire(out, cached_release);
    if (!good)
        epoch_retire(c, cached_release);
}

/* After every write of an entry, before the write is acknowledged. */
static void cache_forget(struct token_store *t, struct str token)
{
    size_t slot = slot_of(t, token);
    struct slot *s = &t->cache[slot];
    pthread_mutex_lock(&t->fill[slot % CACHE_LOCKS]);
    atomic_fetch_add(&s->changes, 1);
    struct cached *out = atomic_exchange(&s->entry, NULL);
    pthread_mutex_unlock(&t->fill[slot % CACHE_LOCKS]);
    epoch_retire(out, cached_release);
}

static void forget_slot(struct token_store *t, size_t slot, struct str sid)
{
    struct cached *out = NULL;
    pthread_mutex_lock(&t->fill[slot % CACHE_LOCKS]);
    const struct cached *c = atomic_load(&t->cache[slot].entry);
    if (c != NULL && str_eq(c->e.sid, sid))
        out = atomic_exchange(&t->cache[slot].entry, NULL);
    pthread_mutex_unlock(&t->fill[slot % CACHE_LOCKS]);
    epoch_retire(out, cached_release);
}

void token_store_invalidate(struct token_store *t, struct str key)
{
    if (!str_starts(key, STR("token/id/")))
        return;
    struct str sid = str_from(key, sizeof "token/id/" - 1);
    uint32_t hash = (uint32_t)str_hash(sid);
    atomic_fetch_add(&t->foreign, 1);
    for (size_t i = 0; i < CACHE_SLOTS; i++)
        if (atomic_load(&t->sid_hash[i]) == hash)
            forget_slot(t, i, sid);
}

/* ---- look-up ---- */

static struct cached *cached_new(struct err *err)
{
    struct cached *c = calloc(1, sizeof *c);
    if (c == NULL || (c->arena = arena_new()) == NULL) {
        free(c);
        err_set(err, ERR_NOMEM, "out of memory");
        return NULL;
    }
    return c;
}

/* Read the stored entry of a salted id: 1, 0, -1. */
static int load_sid(struct token_store *t, struct str sid, struct cached **out, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    struct cached *c = cached_new(err);
    if (c == NULL)
        return -1;
    c->e.sid = arena_dup(c->arena, sid);
    int found = storage_get(t->parts.sys, id_key(c->arena, sid), &text, err);
    if (found > 0) {
        struct str kept_sid = c->e.sid, kept = arena_dup(c->arena, buf_str(&text));
        if (arena_check(c->arena, err) < 0
            || token_entry_parse(c->arena, kept, &c->e, err) < 0)
            found = -1;
        c->e.sid = kept_sid;
    }
    if (found <= 0) {
        cached_release(c);
        return found;
    }
    *out = c;
    return 1;
}

static int load_batch(struct token_store *t, struct str token, struct cached **out,
                      struct err *err)
{
    AUTO(buf_free) struct buf plain = { 0 };
    struct err ignored = { 0 };
    struct str sealed;
    struct cached *c = cached_new(err);
    if (c == NULL)
        return -1;
    /* Whatever does not open is no token of ours: unknown, not an error. */
    int found = base64url_decode(c->arena, str_from(token, 2), &sealed, &ignored) == 0
                && barrier_decrypt(t->parts.barrier, STR(""), sealed, &plain, &ignored) == 0;
    if (found > 0) {
        struct str kept = arena_dup(c->arena, buf_str(&plain));
        if (arena_check(c->arena, err) < 0 || token_entry_unpack(c->arena, kept, &c->e, err) < 0)
            found = -1;
        c->e.id = arena_dup(c->arena, token);
    }
    if (found <= 0) {
        cached_release(c);
        return found;
    }
    *out = c;
    return 1;
}

int token_owner_sid(struct token_store *t, struct arena *a, struct str token, struct str *out,
                    struct err *err)
{
    struct cached *c;
    if (!str_starts(token, STR("b.")))
        return token_sid(t, a, token, out, err);
    *out = STR("");
    int found = load_batch(t, token, &c, err);
    if (found <= 0)
        return found;
    int result = c->e.parent.n == 0 ? 0 : token_sid(t, a, c->e.parent, out, err);
    cached_release(c);
    return result;
}

/* Find the entry, alive or not, in the cache or the store. */
static int find(struct token_store *t, struct str token, const struct token_entry **out,
                struct err *err)
{
    size_t slot = slot_of(t, token);
    struct cached *c = NULL;
    if (token.n == 0)
        return 0;
    *out = cache_get(t, slot, token);
    if (*out != NULL)
        return 1;
    /* Only what the cache does not answer is worth the clock. */
    AUTO(metric_end) struct metric_timer timer = metric_start(METRIC_TOKEN_LOOKUP);
    struct mark mark = mark_of(t, slot);
    int found;
    if (str_starts(token, STR("b."))) {
        found = load_batch(t, token, &c, err);
    } else {
        AUTO(arena_drop) struct arena *a = arena_new();
        struct str sid;
        if (a == NULL)
            return err_set(err, ERR_NOMEM, "out of memory");
        TRY(token_sid(t, a, token, &sid, err));
        found = load_sid(t, sid, &c, err);
    }
    if (found <= 0)
        return found;
    *out = &c->e;
    cache_put(t, slot, mark, c);
    return 1;
}

static int batch_alive(struct token_store *t, const struct token_entry *e, struct err *err)
{
    const struct token_entry *parent;
    if (e->ttl_s > 0 && clock_now_s(t->parts.clock) >= e->created_s + e->ttl_s)
        return 0;
    return e->parent.n == 0 ? 1 : token_lookup(t, e->parent, &parent, err);
}

/* A service token with a ttl lives as long as its lease. */
static int service_alive(struct token_store *t, const struct token_entry *e, struct err *err)
{
    int64_t expires_ns;
    if (e->ttl_s == 0)
        return 1;
    int found = lease_token_expiry(t->parts.leases, e->sid, e->path, &expires_ns, err);
    return found <= 0 ? found : expires_ns > clock_now_ns(t->parts.clock);
}

static int lookup(struct token_store *t, struct str token, bool pending,
                  const struct token_entry **out, struct err *err)
{
    int found = find(t, token, out, err);
    if (found <= 0)
        return found;
    const struct token_entry *e = *out;
    if (e->num_uses < 0 && !(pending && e->num_uses == LAST_USE))
        return 0;
    return e->type == TOKEN_BATCH ? batch_alive(t, e, err) : service_alive(t, e, err);
}

int token_lookup(struct token_store *t, struct str token, const struct token_entry **out,
                 struct err *err)
{
    return lookup(t, token, false, out, err);
}

int token_lookup_pending(struct token_store *t, struct str token, const struct token_entry **out,
                         struct err *err)
{
    return lookup(t, token, true, out, err);
}

int token_lookup_accessor(struct token_store *t, struct str accessor,
                          const struct token_entry **out, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf text = { 0 };
    struct str key;
    struct json *o;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    TRY(accessor_key(t, a, accessor, &key, err));
    int found = storage_get(t->parts.sys, key, &text, err);
    if (found <= 0)
        return found;
    TRY(json_parse(a, buf_str(&text), &o, NULL, err));
    return token_lookup_pending(t, json_get_str(o, "token_id"), out, err);
}

int token_accessors(struct token_store *t, struct arena *a, struct strs *out, struct err *err)
{
    struct strs keys = { 0 };
    struct strs_collect collect = { a, &keys };
    TRY(storage_list(t->parts.sys, STR("token/accessor/"), STR(""), strs_collect_name, &collect,
                     err));
    for (size_t i = 0; i < keys.n; i++) {
        AUTO(buf_free) struct buf text = { 0 };
        struct json *o;
        int found = storage_get(t->parts.sys, arena_cat(a, STR("token/accessor/"), keys.v[i]),
                                &text, err);
        if (found < 0)
            return -1;
        if (found == 0)
            continue;
        TRY(json_parse(a, arena_dup(a, buf_str(&text)), &o, NULL, err));
        strs_add(a, out, json_get_str(o, "accessor_id"));
    }
    return arena_check(a, err);
}

/* ---- writing ---- */

static int save(struct token_store *t, const struct token_entry *e, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf text = { 0 };
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    struct str key = id_key(a, e->sid);
    TRY(token_entry_print(a, e, &text, err));
    TRY(storage_put(t->parts.sys, key, buf_str(&text), err));
    cache_forget(t, e->id);
    return 0;
}

int token_use(struct token_store *t, const struct token_entry *e, bool *last, struct err *err)
{
    AUTO(keylock_release) struct keyhold hold = { 0 };
    struct cached *now;
    *last = false;
    TRY(keylock_hold(t->locks, e->sid, &hold, err));
    int found = load_sid(t, e->sid, &now, err);
    if (found <= 0)
        return found;
    int result = 1;
    if (now->e.num_uses < 0) {
        result = 0;
    } else if (now->e.num_uses > 0) {
        *last = now->e.num_uses == 1;
        now->e.num_uses = *last ? LAST_USE : now->e.num_uses - 1;
        result = save(t, &now->e, err) < 0 ? -1 : 1;
    }
    cached_release(now);
    return result;
}

static int create_batch(struct token_store *t, struct arena *a, struct token_entry *e,
                        struct auth *auth, struct err *err)
{
    AUTO(buf_free) struct buf plain = { 0 };
    AUTO(buf_free) struct buf sealed = { 0 };
    TRY(token_entry_pack(e, &plain, err));
    TRY(barrier_encrypt(t->parts.barrier, STR(""), buf_str(&plain), &sealed, err));
    e->id = arena_cat(a, STR("b."), base64url_encode(a, buf_str(&sealed)));
    auth->client_token = e->id;
    auth->accessor = STR("");
    return arena_check(a, err);
}

/* Names that are not given; a given one is held against others who want it. */
static int settle_names(struct token_store *t, struct arena *a, struct token_entry *e,
                        struct keyhold *hold, struct err *err)
{
    bool custom = e->id.n > 0;
    if (!custom)
        e->id = random_id(a, "s.");
    e->accessor = random_id(a, "");
    e->cubbyhole_id = random_id(a, "");
    TRY(arena_check(a, err));
    TRY(token_sid(t, a, e->id, &e->sid, err));
    if (!custom)
        return 0;
    TRY(keylock_hold(t->locks, e->sid, hold, err));
    AUTO(buf_free) struct buf there = { 0 };
    int found = storage_get(t->parts.sys, id_key(a, e->sid), &there, err);
    if (found > 0)
        return err_set(err, ERR_BAD_REQUEST, "cannot create a token with a duplicate ID");
    return found;
}

static int accessor_text(struct arena *a, const struct token_entry *e, struct buf *out,
                         struct err *err)
{
    struct json *o = json_object(a);
    if (o != NULL)
        o->keep_order = true;
    json_put_str(o, "token_id", e->id);
    json_put_str(o, "accessor_id", e->accessor);
    json_put_text(o, "namespace_id", "root");
    TRY(arena_check(a, err));
    json_print(o, out);
    buf_byte(out, '\n');
    return buf_check(out, err);
}

/*
 * Every service token has a lease but for the root tokens that no token made (init and
 * generate-root): a prefix revocation finds those that never expire, too.
 */
static bool has_lease(const struct token_entry *e)
{
    return e->ttl_s > 0 || !str_is(e->path, "auth/token/root");
}

/* Token, accessor, the parent's index and the lease: all or nothing. */
static int commit_new(struct token_store *t, struct arena *a, const struct token_entry *e,
                      const struct auth *auth, struct err *err)
{
    AUTO(buf_free) struct buf entry = { 0 };
    AUTO(buf_free) struct buf accessor = { 0 };
    struct str key, parent_sid;
    struct storage_op ops[4];
    size_t n = 0;
    TRY(token_entry_print(a, e, &entry, err));
    TRY(accessor_text(a, e, &accessor, err));
    TRY(accessor_key(t, a, e->accessor, &key, err));
    ops[n++] = (struct storage_op){ STORAGE_PUT, id_key(a, e->sid), buf_str(&entry) };
    ops[n++] = (struct storage_op){ STORAGE_PUT, key, buf_str(&accessor) };
    if (e->parent.n > 0) {
        TRY(token_sid(t, a, e->parent, &parent_sid, err));
        key = arena_cat(a, parent_prefix(a, parent_sid), e->sid);
        ops[n++] = (struct storage_op){ STORAGE_PUT, key, STR("") };
    }
    if (has_lease(e)) {
        struct storage_op lease = { .kind = STORAGE_PUT };
        TRY(lease_prepare_token(t->parts.leases, a, e->sid, e->path, auth, &lease.key,
                                &lease.value, err));
        ops[n++] = lease;
    }
    TRY(arena_check(a, err));
    return storage_commit(t->parts.sys, ops, n, err);
}

static int create_service(struct token_store *t, struct arena *a, struct token_entry *e,
                          struct auth *auth, struct err *err)
{
    AUTO(keylock_release) struct keyhold hold = { 0 };
    TRY(settle_names(t, a, e, &hold, err));
    auth->client_token = e->id;
    auth->accessor = e->accessor;
    TRY(commit_new(t, a, e, auth, err));
    cache_forget(t, e->id);
    if (!has_lease(e))
        return 0;
    int64_t now_ns = clock_now_ns(t->parts.clock);
    return lease_token_committed(t->parts.leases, e->sid, e->path,
                                 e->ttl_s > 0 ? now_ns + e->ttl_s * 1000000000 : INT64_MAX, err);
}

/*
 * A parent that was revoked meanwhile has listed its children without this one: it goes too.
 * Looked at after the commit, so that creations need not wait for one another.
 */
static int check_parent(struct token_store *t, const struct token_entry *e, struct err *err)
{
    const struct token_entry *parent;
    struct err second = { 0 };
    if (e->parent.n == 0)
        return 0;
    epoch_enter();
    int alive = token_lookup_pending(t, e->parent, &parent, err);
    epoch_leave();
    if (alive != 0)
        return alive < 0 ? -1 : 0;
    if (token_revoke_sid(t, e->sid, &second) < 0)
        LOG(&lg, ERROR, "failed to revoke a token without its parent: error=%s", second.msg);
    return err_set(err, ERR_BAD_REQUEST, "parent token not found");
}

int token_create(struct token_store *t, struct arena *a, struct token_entry *e, struct auth *auth,
                 struct err *err)
{
    AUTO(metric_end) struct metric_timer timer = metric_start(METRIC_TOKEN_CREATE);
    /* No lease would ever end it (a mount tuned to a negative TTL comes to this). */
    if (!e->root && e->ttl_s <= 0)
        return err_set(err, ERR_INTERNAL,
                       "refusing to register a lease for a non-root token with no TTL");
    if (e->created_s == 0)
        e->created_s = clock_now_s(t->parts.clock);
    if (e->type == TOKEN_BATCH)
        return create_batch(t, a, e, auth, err);
    TRY(create_service(t, a, e, auth, err));
    return check_parent(t, e, err);
}

/* ---- revocation ---- */

static int children_of(struct token_store *t, struct arena *a, struct str sid, struct strs *out,
                       struct err *err)
{
    struct strs_collect collect = { a, out };
    TRY(storage_list(t->parts.sys, parent_prefix(a, sid), STR(""), strs_collect_name, &collect,
                     err));
    return arena_check(a, err);
}

static int delete_entry(struct token_store *t, struct arena *a, const struct token_entry *e,
                        struct err *err)
{
    struct storage_op ops[3];
    struct str key, parent_sid;
    size_t n = 0;
    TRY(accessor_key(t, a, e->accessor, &key, err));
    if (e->accessor.n > 0)
        ops[n++] = (struct storage_op){ .kind = STORAGE_DELETE, .key = key };
    if (e->parent.n > 0) {
        TRY(token_sid(t, a, e->parent, &parent_sid, err));
        key = arena_cat(a, parent_prefix(a, parent_sid), e->sid);
        ops[n++] = (struct storage_op){ .kind = STORAGE_DELETE, .key = key };
    }
    ops[n++] = (struct storage_op){ .kind = STORAGE_DELETE, .key = id_key(a, e->sid) };
    TRY(arena_check(a, err));
    return storage_commit(t->parts.sys, ops, n, err);
}

/* No use of the token from now on: neither children nor leases come to it any more. */
static int disarm(struct token_store *t, struct str sid, struct err *err)
{
    AUTO(keylock_release) struct keyhold hold = { 0 };
    struct cached *c;
    TRY(keylock_hold(t->locks, sid, &hold, err));
    int found = load_sid(t, sid, &c, err);
    if (found <= 0)
        return found;
    c->e.num_uses = REVOKING;
    int result = save(t, &c->e, err);
    cached_release(c);
    return result;
}

/* End one disarmed token: its leases, its drawer, at last its entry. */
static int revoke_one(struct token_store *t, struct arena *a, struct str sid, struct err *err)
{
    struct cached *c;
    int found = load_sid(t, sid, &c, err);
    if (found <= 0)
        return found;
    int result = lease_revoke_by_token(t->parts.leases, sid, c->e.path, err);
    if (result == 0 && c->e.cubbyhole_id.n > 0)
        result = storage_delete_tree(t->parts.cubbyhole,
                                     arena_cat(a, c->e.cubbyhole_id, STR("/")), err);
    if (result == 0)
        result = delete_entry(t, a, &c->e, err);
    cache_forget(t, c->e.id);
    cached_release(c);
    return result;
}

/*
 * Children before parents, without recursion: a family may be deeper than any stack.  An element
 * is visited twice: first it is disarmed and its children are pushed, then it is revoked.
 */
static int revoke_family(struct token_store *t, struct str root_sid, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct strs stack = { 0 };
    struct strs opened = { 0 };
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    strs_add(a, &stack, arena_dup(a, root_sid));
    TRY(arena_check(a, err));
    while (stack.n > 0) {
        struct str sid = stack.v[stack.n - 1];
        bool visited = opened.n > 0 && str_eq(opened.v[opened.n - 1], sid);
        size_t before = stack.n;
        if (!visited) {
            strs_add(a, &opened, sid);
            TRY(disarm(t, sid, err));
            TRY(children_of(t, a, sid, &stack, err));
            if (stack.n > before)
                continue;
        }
        opened.n--;
        stack.n--;
        TRY(revoke_one(t, a, sid, err));
    }
    return 0;
}

int token_revoke_sid(struct token_store *t, struct str sid, struct err *err)
{
    return revoke_family(t, sid, err);
}

int token_revoke_tree(struct token_store *t, struct str token, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(metric_end) struct metric_timer timer = metric_start(METRIC_TOKEN_REVOKE_TREE);
    struct str sid;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    TRY(token_sid(t, a, token, &sid, err));
    return revoke_family(t, sid, err);
}

static int make_orphan(struct token_store *t, struct arena *a, struct str parent_sid,
                       struct str sid, struct err *err)
{
    AUTO(keylock_release) struct keyhold hold = { 0 };
    struct cached *c;
    TRY(keylock_hold(t->locks, sid, &hold, err));
    int found = load_sid(t, sid, &c, err);
    if (found < 0)
        return -1;
    if (found > 0) {
        c->e.parent = STR("");
        int result = save(t, &c->e, err);
        cached_release(c);
        TRY(result);
    }
    struct str key = arena_cat(a, parent_prefix(a, parent_sid), sid);
    TRY(arena_check(a, err));
    return storage_delete(t->parts.sys, key, err);
}

int token_revoke_orphan(struct token_store *t, struct str token, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct strs children = { 0 };
    struct str sid;
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    TRY(token_sid(t, a, token, &sid, err));
    TRY(children_of(t, a, sid, &children, err));
    for (size_t i = 0; i < children.n; i++)
        TRY(make_orphan(t, a, sid, children.v[i], err));
    TRY(disarm(t, sid, err));
    return revoke_one(t, a, sid, err);
}

/* ---- tidy ---- */

/* A child's row whose child or parent is gone. */
static int tidy_family(struct token_store *t, struct arena *a, struct str parent, struct err *err)
{
    struct strs children = { 0 };
    TRY(children_of(t, a, parent, &children, err));
    struct cached *c;
    int parent_found = load_sid(t, parent, &c, err);
    if (parent_found < 0)
        return -1;
    if (parent_found > 0)
        cached_release(c);
    for (size_t i = 0; i < children.n; i++) {
        int found = load_sid(t, children.v[i], &c, err);
        if (found < 0)
            return -1;
        if (found > 0)
            cached_release(c);
        if (parent_found == 0 && found > 0)
            TRY(make_orphan(t, a, parent, children.v[i], err));
        else if (found == 0)
            TRY(storage_delete(t->parts.sys, arena_cat(a, parent_prefix(a, parent), children.v[i]),
                               err));
    }
    return 0;
}

static int tidy_accessor(struct token_store *t, struct arena *a, struct str name, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    struct str key = arena_cat(a, STR("token/accessor/"), name), sid;
    struct json *o;
    struct cached *c;
    int found = storage_get(t->parts.sys, key, &text, err);
    if (found <= 0)
        return found;
    if (json_parse(a, arena_dup(a, buf_str(&text)), &o, NULL, err) == 0) {
        TRY(token_sid(t, a, json_get_str(o, "token_id"), &sid, err));
        found = load_sid(t, sid, &c, err);
        if (found < 0)
            return -1;
        if (found > 0) {
            cached_release(c);
            return 0;
        }
    }
    return storage_delete(t->parts.sys, key, err);
}

static int tidy_each(struct token_store *t, const char *prefix,
                     int (*one)(struct token_store *, struct arena *, struct str, struct err *),
                     struct err *err)
{
    AUTO(arena_drop) struct arena *names = arena_new();
    AUTO(arena_drop) struct arena *a = arena_new();
    struct strs list = { 0 };
    struct strs_collect collect = { names, &list };
    if (names == NULL || a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    TRY(storage_list(t->parts.sys, str_of(prefix), STR(""), strs_collect_name, &collect, err));
    for (size_t i = 0; i < list.n; i++) {
        struct str name = list.v[i];
        if (str_ends(name, STR("/")))
            name.n--;
        TRY(one(t, a, name, err));
        arena_reset(a);
    }
    return 0;
}

int token_tidy(struct token_store *t, struct err *err)
{
    TRY(tidy_each(t, "token/parent/", tidy_family, err));
    TRY(tidy_each(t, "token/accessor/", tidy_accessor, err));
    TRY(lease_tidy(t->parts.leases, err));
    LOG(&lg, INFO, "finished tidying tokens");
    return 0;
}
