/*
 * Barrier: readers follow the present keyring through an epoch, without a lock; who changes it
 * (rotate, rekey, settings) holds the keylock, stores the new ring first and then swaps it in.
 */
#include "barrier/barrier.h"

#include <assert.h>
#include <inttypes.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "barrier/envelope.h"
#include "base/epoch.h"
#include "base/keylock.h"
#include "base/metric.h"

enum { SHARDS = 16, CACHE_LINE = 64, BATCH_NEAR = 8 };

/* Encryptions, counted apart by processor so that writers do not share a cache line. */
struct shard {
    _Alignas(CACHE_LINE) _Atomic uint64_t n;
};

struct barrier {
    struct shard counted[SHARDS]; /* since the barrier was made */
    struct storage plain;
    struct storage *under;
    _Atomic(struct keyring *) ring; /* NULL while sealed; read inside an epoch */
    _Atomic uint64_t settled;       /* of those counted: in the ring's count, or another key's */
    struct keylock *changes;        /* held by who replaces the ring */
};

static const struct str keyring_key = STR_INIT("core/keyring");
static const struct str master_key = STR_INIT("core/master");
static const struct str canary_key = STR_INIT("core/canary-keyring");

static void ring_release(void *p)
{
    keyring_free(p);
}

static void drop_ring(struct keyring **k)
{
    keyring_free(*k);
}

static void leave(const struct keyring **k)
{
    if (*k != NULL)
        epoch_leave();
}

/*
 * The present ring, for as long as the variable lives:
 *     AUTO(leave) const struct keyring *k = enter(b, err);
 * NULL with ERR_SEALED.
 */
static const struct keyring *enter(struct barrier *b, struct err *err)
{
    epoch_enter();
    const struct keyring *k = atomic_load_explicit(&b->ring, memory_order_acquire);
    if (k == NULL) {
        epoch_leave();
        (void)err_set(err, ERR_SEALED, "Vault is sealed");
    }
    return k;
}

static int check_open(struct barrier *b, struct err *err)
{
    if (atomic_load_explicit(&b->ring, memory_order_acquire) == NULL)
        return err_set(err, ERR_SEALED, "Vault is sealed");
    return 0;
}

static void count(struct barrier *b, size_t n)
{
    int cpu = sched_getcpu();

    atomic_fetch_add_explicit(&b->counted[cpu < 0 ? 0 : (unsigned)cpu % SHARDS].n, n,
                              memory_order_relaxed);
}

static uint64_t count_all(struct barrier *b)
{
    uint64_t n = 0;

    for (size_t i = 0; i < SHARDS; i++)
        n += atomic_load_explicit(&b->counted[i].n, memory_order_relaxed);
    return n;
}

/* Encryptions that no stored count includes yet. */
static uint64_t unsettled(struct barrier *b)
{
    uint64_t n = count_all(b), settled = atomic_load(&b->settled);

    return n < settled ? 0 : n - settled;
}

/* The plaintext side. */

static struct barrier *barrier_of(struct storage *s)
{
    return (struct barrier *)((char *)s - offsetof(struct barrier, plain));
}

static int plain_get(struct storage *s, struct str key, struct buf *out, struct err *err)
{
    struct barrier *b = barrier_of(s);
    AUTO(buf_free) struct buf sealed = { 0 };
    AUTO(metric_end) struct metric_timer timer = metric_start(METRIC_BARRIER_GET);

    TRY(check_open(b, err));
    int found = storage_get(b->under, key, &sealed, err);
    if (found <= 0)
        return found;
    AUTO(leave) const struct keyring *k = enter(b, err);
    if (k == NULL)
        return -1;
    /* The path is authenticated too: a value moved to another key does not open. */
    TRY(keyring_open(k, key, buf_str(&sealed), out, err));
    return 1;
}

/* A batch on its way down: the same operations with their values sealed. */
struct batch {
    struct storage_op near[BATCH_NEAR];
    struct storage_op *ops;
    struct buf values;
};

static void batch_free(struct batch *b)
{
    if (b->ops != b->near)
        free(b->ops);
    buf_free(&b->values);
}

/* Room first, so that no value moves while pointers to earlier ones are kept. */
static int batch_room(struct batch *to, const struct storage_op *ops, size_t n, struct err *err)
{
    size_t bytes = 0;

    *to = (struct batch){ .ops = to->near };
    for (size_t i = 0; i < n; i++)
        if (__builtin_add_overflow(bytes, ops[i].value.n + ENVELOPE_EXTRA, &bytes))
            return err_set(err, ERR_TOO_LARGE, "barrier: the batch is too large");
    if (n > BATCH_NEAR)
        to->ops = calloc(n, sizeof *to->ops);
    if (to->ops == NULL)
        return err_set(err, ERR_NOMEM, "out of memory for a batch");
    (void)buf_reserve(&to->values, bytes);
    return buf_check(&to->values, err);
}

static int batch_seal(const struct keyring *k, const struct storage_op *ops, size_t n,
                      struct batch *to, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        size_t at = to->values.n;
        to->ops[i] = ops[i];
        if (ops[i].kind == STORAGE_DELETE)
            continue;
        TRY(keyring_seal(k, ops[i].key, ops[i].value, &to->values, err));
        to->ops[i].value = str_from(buf_str(&to->values), at);
    }
    return 0;
}

static int plain_commit(struct storage *s, const struct storage_op *ops, size_t n,
                        struct err *err)
{
    struct barrier *b = barrier_of(s);
    AUTO(batch_free) struct batch sealed;
    bool deletes = n > 0 && ops[0].kind == STORAGE_DELETE;
    AUTO(metric_end) struct metric_timer timer =
        metric_start(deletes ? METRIC_BARRIER_DELETE : METRIC_BARRIER_PUT);

    TRY(batch_room(&sealed, ops, n, err));
    {
        AUTO(leave) const struct keyring *k = enter(b, err);
        if (k == NULL)
            return -1;
        TRY(batch_seal(k, ops, n, &sealed, err));
    }
    count(b, n);
    return storage_commit(b->under, sealed.ops, n, err);
}

static int plain_list(struct storage *s, struct str prefix, struct str after,
                      storage_name_fn *each, void *ctx, struct err *err)
{
    struct barrier *b = barrier_of(s);
    AUTO(metric_end) struct metric_timer timer = metric_start(METRIC_BARRIER_LIST);

    TRY(check_open(b, err));
    return storage_list(b->under, prefix, after, each, ctx, err);
}

/* The plaintext side is released with its barrier. */
static void plain_close(struct storage *s)
{
}

static const struct storage_ops plain_ops = {
    .get = plain_get,
    .commit = plain_commit,
    .list = plain_list,
    .close = plain_close,
};

int barrier_new(struct storage *under, struct barrier **out, struct err *err)
{
    struct barrier *b = aligned_alloc(CACHE_LINE, sizeof *b);

    if (b == NULL)
        return err_set(err, ERR_NOMEM, "out of memory for the barrier");
    *b = (struct barrier){
        .plain = { &plain_ops, under->reads_block, under->writes_block },
        .under = under,
        .changes = keylock_new(),
    };
    if (b->changes == NULL) {
        free(b);
        return err_set(err, ERR_NOMEM, "out of memory for the barrier");
    }
    *out = b;
    return 0;
}

void barrier_free(struct barrier *b)
{
    if (b == NULL)
        return;
    barrier_seal(b);
    keylock_free(b->changes);
    free(b);
}

struct storage *barrier_storage(struct barrier *b)
{
    return &b->plain;
}

/* How the keyring is stored. */

int barrier_initialised(struct barrier *b, struct err *err)
{
    AUTO(buf_free) struct buf stored = { 0 };

    return storage_get(b->under, keyring_key, &stored, err);
}

/* Open what is stored; an owned ring. */
static int load(struct barrier *b, struct str root_key, struct keyring **out, struct err *err)
{
    AUTO(buf_free) struct buf stored = { 0 };
    int found = storage_get(b->under, keyring_key, &stored, err);

    TRY(found);
    if (found == 0)
        return err_set(err, ERR_UNINITIALISED, "Vault is not initialized");
    return keyring_open_up(root_key, buf_str(&stored), out, err);
}

/* The root key under the newest key: how the other nodes learn of a rekey. */
static int seal_root_key(const struct keyring *k, struct buf *out, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };

    keyring_print_root_key(k, &text);
    TRY(buf_check(&text, err));
    return keyring_seal(k, master_key, buf_str(&text), out, err);
}

static int seal_canary(const struct keyring *k, struct buf *out, struct err *err)
{
    char text[64];
    int n = snprintf(text, sizeof text, "new-rotation-term-%" PRIu32, keyring_active(k).term);

    return keyring_seal(k, canary_key, str_mem(text, (size_t)n), out, err);
}

/* Write ${k}, all its entries at once; with the canary after a rotation. */
static int store(struct barrier *b, const struct keyring *k, bool canary, struct err *err)
{
    AUTO(buf_free) struct buf ring = { 0 };
    AUTO(buf_free) struct buf root = { 0 };
    AUTO(buf_free) struct buf bird = { 0 };

    TRY(keyring_close_up(k, &ring, err));
    TRY(seal_root_key(k, &root, err));
    if (canary)
        TRY(seal_canary(k, &bird, err));
    struct storage_op ops[] = {
        { STORAGE_PUT, keyring_key, buf_str(&ring) },
        { STORAGE_PUT, master_key, buf_str(&root) },
        { STORAGE_PUT, canary_key, buf_str(&bird) },
    };
    return storage_commit(b->under, ops, canary ? 3 : 2, err);
}

enum { WITH_MAX = 8 };

struct sealed_values {
    struct buf v[WITH_MAX];
};

static void sealed_values_free(struct sealed_values *s)
{
    for (size_t i = 0; i < WITH_MAX; i++)
        buf_free(&s->v[i]);
}

/* The ring, the root key and ${with}, all at once. */
static int store_with(struct barrier *b, const struct keyring *k, const struct storage_op *with,
                      size_t n, struct err *err)
{
    AUTO(buf_free) struct buf ring = { 0 };
    AUTO(buf_free) struct buf root = { 0 };
    AUTO(sealed_values_free) struct sealed_values sealed = { 0 };
    struct storage_op ops[WITH_MAX + 2];

    assert(n <= WITH_MAX);
    TRY(keyring_close_up(k, &ring, err));
    TRY(seal_root_key(k, &root, err));
    for (size_t i = 0; i < n; i++) {
        ops[i] = with[i];
        if (barrier_is_plain_key(with[i].key))
            continue;
        TRY(keyring_seal(k, with[i].key, with[i].value, &sealed.v[i], err));
        ops[i].value = buf_str(&sealed.v[i]);
    }
    ops[n] = (struct storage_op){ STORAGE_PUT, keyring_key, buf_str(&ring) };
    ops[n + 1] = (struct storage_op){ STORAGE_PUT, master_key, buf_str(&root) };
    return storage_commit(b->under, ops, n + 2, err);
}

/*
 * A change of the ring on its way: made from a copy, stored, then swapped in.  Changes wait for
 * each other, but barrier_seal waits for none, so that a hung storage cannot keep keys in memory.
 */
struct change {
    struct keyhold hold;
    struct keyring *found; /* what is to be replaced; only compared */
    struct keyring *now;   /* a copy of it; owned */
    struct keyring *next;  /* owned until it is in force */
};

static void change_end(struct change *c)
{
    keyring_free(c->next);
    keyring_free(c->now);
    keylock_release(&c->hold);
}

static int change_begin(struct barrier *b, struct change *c, struct err *err)
{
    TRY(keylock_hold(b->changes, keyring_key, &c->hold, err));
    AUTO(leave) const struct keyring *k = enter(b, err);
    if (k == NULL)
        return -1;
    c->found = (struct keyring *)k;
    return keyring_copy(k, &c->now, err);
}

/* Put c->next in force; readers that still hold the old ring keep it until they leave. */
static int change_swap(struct barrier *b, struct change *c, struct err *err)
{
    struct keyring *found = c->found;

    if (!atomic_compare_exchange_strong(&b->ring, &found, c->next))
        return err_set(err, ERR_SEALED, "Vault is sealed"); /* meanwhile */
    c->next = NULL;
    epoch_retire(c->found, ring_release);
    return 0;
}

/* Store and put in force a ring that differs in its settings or root key only. */
static int change_commit(struct barrier *b, struct change *c, struct err *err)
{
    TRY(store(b, c->next, false, err));
    return change_swap(b, c, err);
}

int barrier_init(struct barrier *b, struct str root_key, int64_t now_ns, struct err *err)
{
    AUTO(keylock_release) struct keyhold hold = { 0 };
    AUTO(drop_ring) struct keyring *new = NULL;

    TRY(keylock_hold(b->changes, keyring_key, &hold, err));
    int there = barrier_initialised(b, err);
    TRY(there);
    if (there > 0)
        return err_set(err, ERR_CONFLICT, "Vault is already initialized");
    TRY(keyring_new(root_key, now_ns, &new, err));
    return store(b, new, false, err);
}

int barrier_unseal(struct barrier *b, struct str root_key, struct err *err)
{
    AUTO(keylock_release) struct keyhold hold = { 0 };
    struct keyring *new = NULL;

    TRY(keylock_hold(b->changes, keyring_key, &hold, err));
    if (!barrier_sealed(b))
        return 0;
    TRY(load(b, root_key, &new, err));
    atomic_store(&b->settled, count_all(b));
    atomic_store(&b->ring, new);
    return 0;
}

void barrier_seal(struct barrier *b)
{
    struct keyring *old = atomic_exchange(&b->ring, NULL);

    if (old == NULL)
        return;
    epoch_wait();
    keyring_free(old);
}

bool barrier_sealed(struct barrier *b)
{
    return atomic_load_explicit(&b->ring, memory_order_acquire) == NULL;
}

/* Changes. */

int barrier_rotate(struct barrier *b, int64_t now_ns, uint32_t *term, struct err *err)
{
    AUTO(change_end) struct change c = { 0 };

    TRY(change_begin(b, &c, err));
    TRY(keyring_with_new_key(c.now, now_ns, &c.next, err));
    TRY(store(b, c.next, true, err));
    *term = keyring_active(c.next).term;
    TRY(change_swap(b, &c, err));
    atomic_store(&b->settled, count_all(b)); /* they were the old key's */
    return 0;
}

int barrier_set_root_key(struct barrier *b, struct str root_key, struct err *err)
{
    AUTO(change_end) struct change c = { 0 };

    TRY(change_begin(b, &c, err));
    TRY(keyring_with_root_key(c.now, root_key, &c.next, err));
    return change_commit(b, &c, err);
}

int barrier_rekey(struct barrier *b, struct str root_key, const struct storage_op *with, size_t n,
                  struct err *err)
{
    AUTO(change_end) struct change c = { 0 };

    TRY(change_begin(b, &c, err));
    TRY(keyring_with_root_key(c.now, root_key, &c.next, err));
    TRY(store_with(b, c.next, with, n, err));
    return change_swap(b, &c, err);
}

int barrier_set_rotation(struct barrier *b, const struct barrier_rotation *r, struct err *err)
{
    AUTO(change_end) struct change c = { 0 };
    struct keyring_rotation rotation = { r->enabled, r->max_operations, r->interval_ns };

    TRY(change_begin(b, &c, err));
    TRY(keyring_with_rotation(c.now, &rotation, &c.next, err));
    return change_commit(b, &c, err);
}

/* Bring the stored count of encryptions up to date. */
static int store_count(struct barrier *b, struct err *err)
{
    AUTO(change_end) struct change c = { 0 };

    TRY(change_begin(b, &c, err));
    uint64_t more = unsettled(b);
    if (more == 0)
        return 0;
    /* One more: to store the ring is an encryption with the key, too (core/master). */
    uint64_t sum = keyring_active(c.now).encryptions + more + 1;
    TRY(keyring_with_encryptions(c.now, sum, &c.next, err));
    TRY(change_commit(b, &c, err));
    atomic_fetch_add(&b->settled, more);
    return 0;
}

static int due(struct barrier *b, int64_t now_ns, struct err *err)
{
    static const int64_t year_ns = INT64_C(365) * 24 * 3600 * 1000000000;
    struct barrier_key_status key;
    struct barrier_rotation r;

    TRY(barrier_key_status(b, &key, err));
    TRY(barrier_rotation(b, &r, err));
    if (!r.enabled)
        return 0;
    if (key.encryptions > r.max_operations)
        return 1;
    int64_t age_ns;
    if (__builtin_sub_overflow(now_ns, key.installed_ns, &age_ns))
        return 0; /* installed at an unknown time */
    if (r.interval_ns > 0 && age_ns > r.interval_ns)
        return 1;
    /* A key of before counts were kept: nobody knows how much it encrypted. */
    return key.encryptions == 0 && age_ns > year_ns;
}

int barrier_rotate_if_due(struct barrier *b, int64_t now_ns, struct err *err)
{
    uint32_t term;
    int now = due(b, now_ns, err);

    TRY(now);
    if (now == 0)
        return store_count(b, err);
    TRY(barrier_rotate(b, now_ns, &term, err));
    return 1;
}

/* What the other nodes of an HA store need. */

static struct str upgrade_key(char room[64], uint32_t term)
{
    int n = snprintf(room, 64, "core/upgrade/%" PRIu32, term);

    return str_mem(room, (size_t)n);
}

int barrier_put_upgrade(struct barrier *b, uint32_t term, struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    AUTO(buf_free) struct buf sealed = { 0 };
    char room[64];
    struct str key = upgrade_key(room, term - 1);

    {
        AUTO(leave) const struct keyring *k = enter(b, err);
        if (k == NULL)
            return -1;
        if (keyring_active(k).term != term)
            return 0; /* rotated again: that one is followed by its own upgrade */
        keyring_print_key(k, &text);
        TRY(buf_check(&text, err));
        TRY(keyring_seal_before(k, key, buf_str(&text), &sealed, err));
    }
    return storage_put(b->under, key, buf_str(&sealed), err);
}

int barrier_delete_upgrade(struct barrier *b, uint32_t term, struct err *err)
{
    char room[64];

    TRY(check_open(b, err));
    return storage_delete(b->under, upgrade_key(room, term - 1), err);
}

/* Read ${key}, opened by ${k}. 1, 0, -1. */
static int get_with(struct barrier *b, const struct keyring *k, struct str key, struct buf *out,
                    struct err *err)
{
    AUTO(buf_free) struct buf sealed = { 0 };
    int found = storage_get(b->under, key, &sealed, err);

    if (found <= 0)
        return found;
    TRY(keyring_open(k, key, buf_str(&sealed), out, err));
    return 1;
}

/* Each upgrade entry leads one term further. */
static int follow_upgrades(struct barrier *b, struct keyring **k, struct err *err)
{
    for (;;) {
        AUTO(buf_free) struct buf text = { 0 };
        AUTO(drop_ring) struct keyring *new = NULL;
        char room[64];
        uint32_t term = keyring_active(*k).term;
        int found = get_with(b, *k, upgrade_key(room, term), &text, err);

        if (found <= 0)
            return found;
        TRY(keyring_with_key(*k, buf_str(&text), &new, err));
        if (keyring_active(new).term <= term)
            return err_set(err, ERR_CORRUPT, "barrier: the upgrade of term %" PRIu32
                                             " leads nowhere", term);
        struct keyring *old = *k;
        *k = new;
        new = old;
    }
}

/*
 * The ring as it is stored now.  Its root key is mostly the one that ${k} knows; after a rekey the
 * new one lies under the newest key, which ${k} must have: by an upgrade, when it was rotated too.
 */
static int reload(struct barrier *b, const struct keyring *k, struct keyring **out,
                  struct err *err)
{
    AUTO(buf_free) struct buf text = { 0 };
    AUTO(secret_free) struct secret root = { 0 };
    struct err why = { 0 };

    if (load(b, keyring_root_key(k), out, &why) == 0)
        return 0;
    if (why.code != ERR_DENIED)
        return err_set(err, why.code, "%s", why.msg);
    int found = get_with(b, k, master_key, &text, err);
    TRY(found);
    if (found == 0)
        return err_set(err, ERR_DENIED, "%s", why.msg);
    TRY(keyring_parse_root_key(buf_str(&text), &root, err));
    return load(b, secret_str(&root), out, err);
}

int barrier_follow(struct barrier *b, struct err *err)
{
    AUTO(change_end) struct change c = { 0 };
    AUTO(drop_ring) struct keyring *way = NULL;

    TRY(change_begin(b, &c, err));
    TRY(keyring_copy(c.now, &way, err));
    TRY(follow_upgrades(b, &way, err));
    TRY(reload(b, way, &c.next, err));
    struct keyring_key was = keyring_active(c.now), is = keyring_active(c.next);
    bool new = is.term != was.term ||
               !secret_eq(keyring_root_key(c.now), keyring_root_key(c.next));
    TRY(change_swap(b, &c, err)); /* settings and counts may be new as well */
    if (is.term != was.term)
        atomic_store(&b->settled, count_all(b));
    return new ? 1 : 0;
}

/* Looking. */

int barrier_check_root_key(struct barrier *b, struct str root_key, struct err *err)
{
    {
        AUTO(leave) const struct keyring *k = enter(b, NULL);
        if (k != NULL)
            return secret_eq(keyring_root_key(k), root_key)
                       ? 0
                       : err_set(err, ERR_DENIED, "Unseal failed, invalid key");
    }
    AUTO(drop_ring) struct keyring *stored = NULL;
    return load(b, root_key, &stored, err);
}

int barrier_root_key(struct barrier *b, struct secret *out, struct err *err)
{
    AUTO(leave) const struct keyring *k = enter(b, err);

    return k == NULL ? -1 : secret_set(out, keyring_root_key(k), err);
}

int barrier_key_status(struct barrier *b, struct barrier_key_status *out, struct err *err)
{
    AUTO(leave) const struct keyring *k = enter(b, err);

    if (k == NULL)
        return -1;
    struct keyring_key key = keyring_active(k);
    *out = (struct barrier_key_status){
        .term = key.term,
        .installed_ns = key.installed_ns,
        .encryptions = (int64_t)(key.encryptions + unsettled(b)),
    };
    return 0;
}

int barrier_rotation(struct barrier *b, struct barrier_rotation *out, struct err *err)
{
    AUTO(leave) const struct keyring *k = enter(b, err);

    if (k == NULL)
        return -1;
    struct keyring_rotation r = keyring_rotation(k);
    *out = (struct barrier_rotation){ r.enabled, r.max_operations, r.interval_ns };
    return 0;
}

int barrier_encrypt(struct barrier *b, struct str aad, struct str plain, struct buf *out,
                    struct err *err)
{
    AUTO(leave) const struct keyring *k = enter(b, err);

    if (k == NULL)
        return -1;
    TRY(keyring_seal(k, aad, plain, out, err));
    count(b, 1);
    return 0;
}

int barrier_decrypt(struct barrier *b, struct str aad, struct str sealed, struct buf *out,
                    struct err *err)
{
    AUTO(leave) const struct keyring *k = enter(b, err);

    return k == NULL ? -1 : keyring_open(k, aad, sealed, out, err);
}

bool barrier_is_plain_key(struct str key)
{
    static const struct str plain[] = {
        STR_INIT("core/seal-config"),         STR_INIT("core/recovery-config"),
        STR_INIT("core/hsm/barrier-unseal-keys"), STR_INIT("core/recovery-key"),
        STR_INIT("core/unseal-keys-backup"),  STR_INIT("core/recovery-keys-backup"),
        STR_INIT("core/lock"),                STR_INIT("sys/uiconfig_plaintext"),
    };

    for (size_t i = 0; i < ARRAY_LEN(plain); i++)
        if (str_eq(key, plain[i]))
            return true;
    return false;
}
