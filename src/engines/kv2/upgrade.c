/* Kv2/upgrade: sets a mount up, and moves the secrets of one that was version 1. */
#include "engines/kv2/upgrade.h"

#include "base/random.h"
#include "codec/protobuf.h"
#include "engines/kv2/policy.h"

/* Of one batch, whichever is reached first. */
enum { BATCH_KEYS = 500, BATCH_BYTES = 4 << 20, OPS_PER_KEY = 3 };

/* UpgradeInfo: storage-layout.md, section 7. */
enum { INFO_STARTED = 1, INFO_DONE = 2 };

static const struct log lg = { "secrets.kv" };

/* ---- the marker ---- */

static int upgrade_done(struct kv2 *k, struct arena *a, int64_t *started_ns, bool *done,
                        struct err *err)
{
    AUTO(buf_free) struct buf stored = { 0 };
    struct protobuf_field f;
    int found = storage_get(k->storage, kv2_state_key(k, a, "upgrading"), &stored, err);

    TRY(found);
    *done = false;
    *started_ns = clock_now_ns(k->sys->clock);
    struct str rest = buf_str(&stored);
    while ((found = protobuf_next(&rest, &f, err)) > 0) {
        if (protobuf_is(&f, INFO_STARTED, PROTOBUF_BYTES))
            TRY(protobuf_timestamp(f.bytes, started_ns, err));
        else if (protobuf_is(&f, INFO_DONE, PROTOBUF_VARINT))
            *done = f.value != 0;
    }
    return found;
}

static void marker(int64_t started_ns, bool done, struct buf *out)
{
    protobuf_add_timestamp(out, INFO_STARTED, started_ns);
    protobuf_put_bool(out, INFO_DONE, done);
}

static int mark_done(struct kv2 *k, struct arena *a, int64_t started_ns, struct err *err)
{
    AUTO(buf_free) struct buf info = { 0 };

    marker(started_ns, true, &info);
    TRY(buf_check(&info, err));
    TRY(storage_put(k->storage, kv2_state_key(k, a, "upgrading"), buf_str(&info), err));
    atomic_store(&k->phase, KV2_READY);
    return 0;
}

/* ---- a new mount's key policy and salt ---- */

static int set_up(struct kv2 *k, struct arena *a, int64_t now_ns, struct err *err)
{
    AUTO(buf_free) struct buf policy = { 0 }, archive = { 0 }, info = { 0 }, salt = { 0 };
    struct str uuid = str_head(k->prefix, k->prefix.n - 1);
    char new_salt[37];

    /* A policy or a salt that is there stays, whatever became of the other one. */
    int has_salt = storage_get(k->storage, kv2_state_key(k, a, "salt"), &salt, err);
    TRY(has_salt);
    AUTO(buf_free) struct buf old = { 0 };
    int has_policy = storage_get(k->storage, kv2_state_key(k, a, "policy/metadata"), &old, err);
    TRY(has_policy);
    random_uuid(new_salt);
    TRY(kv2_policy_make(a, uuid, now_ns, &policy, &archive, err));
    marker(now_ns, false, &info);
    TRY(buf_check(&info, err));
    const struct storage_op all[] = {
        { STORAGE_PUT, kv2_state_key(k, a, "upgrading"), buf_str(&info) },
        { STORAGE_PUT, kv2_state_key(k, a, "salt"), has_salt ? buf_str(&salt) : str_of(new_salt) },
        { STORAGE_PUT, kv2_state_key(k, a, "policy/metadata"), buf_str(&policy) },
        { STORAGE_PUT, kv2_state_key(k, a, "archive/metadata"), buf_str(&archive) },
    };
    TRY(arena_check(a, err));
    return storage_commit(k->storage, all, ARRAY_LEN(all) - (has_policy ? 2 : 0), err);
}

/* ---- a batch of secrets ---- */

struct collect {
    struct kv2 *k;
    struct arena *a;
    struct strs keys;
    struct str folder; /* in which a walk is */
    struct err *err;
    int failed;
};

static int collect_below(void *ctx, struct str name)
{
    struct collect *c = ctx;

    strs_add(c->a, &c->keys, arena_cat(c->a, c->folder, name));
    return c->keys.n == BATCH_KEYS;
}

/* The mount's own folder holds what is moved already. */
static int collect_top(void *ctx, struct str name)
{
    struct collect *c = ctx;

    if (str_eq(name, c->k->prefix))
        return 0;
    if (str_ends(name, STR("/"))) {
        c->folder = arena_dup(c->a, name);
        c->failed = storage_walk(c->k->storage, c->folder, collect_below, c, c->err);
        c->folder = STR("");
        return c->failed < 0 || c->keys.n == BATCH_KEYS;
    }
    return collect_below(c, name);
}

struct move {
    struct kv2 *k;
    struct kv2_names *names;
    struct arena *a;
    struct storage_op *ops;
    size_t n, bytes;
};

static int encoded(struct arena *a, const struct buf *b, struct str *out, struct err *err)
{
    TRY(buf_check(b, err));
    *out = arena_dup(a, buf_str(b));
    return arena_check(a, err);
}

/* The secret becomes its own version 1. */
static int add_moved(struct move *m, struct str key, struct str value, struct err *err)
{
    AUTO(buf_free) struct buf bytes = { 0 };
    struct str meta_key, version_key, meta_bytes, record_bytes;
    struct kv2_meta meta = { .key = key, .created_ns = KV2_NEVER, .updated_ns = KV2_NEVER };
    struct kv2_record record = { value, clock_now_ns(m->k->sys->clock), KV2_NEVER };
    struct kv2_version *cut;
    size_t n_cut;

    TRY(kv2_names_metadata(m->names, m->a, key, &meta_key, err));
    TRY(kv2_names_version(m->names, m->a, key, 1, &version_key, err));
    TRY(kv2_meta_add_version(m->a, &meta, record.created_ns, KV2_NEVER, 1, &cut, &n_cut, err));
    kv2_record_encode(&record, &bytes);
    TRY(encoded(m->a, &bytes, &record_bytes, err));
    buf_clear(&bytes);
    kv2_meta_encode(&meta, &bytes);
    TRY(encoded(m->a, &bytes, &meta_bytes, err));
    m->ops[m->n++] = (struct storage_op){ STORAGE_PUT, version_key, record_bytes };
    m->ops[m->n++] = (struct storage_op){ STORAGE_PUT, meta_key, meta_bytes };
    m->ops[m->n++] = (struct storage_op){ STORAGE_DELETE, key, { NULL, 0 } };
    m->bytes += record_bytes.n + meta_bytes.n;
    return 0;
}

/* 1: all of them; 0: as many as a batch takes. */
static int move_keys(struct kv2 *k, struct kv2_names *names, struct arena *a,
                     const struct strs *keys, struct err *err)
{
    struct move m = { k, names, a, arena_array(a, keys->n * OPS_PER_KEY, sizeof *m.ops), 0, 0 };

    TRY(arena_check(a, err));
    size_t i = 0;
    for (; i < keys->n && m.bytes < BATCH_BYTES; i++) {
        AUTO(buf_free) struct buf value = { 0 };
        int found = storage_get(k->storage, keys->v[i], &value, err);
        TRY(found);
        if (found == 1)
            TRY(add_moved(&m, keys->v[i], buf_str(&value), err));
    }
    if (m.n == 0)
        return err_set(err, ERR_CORRUPT, "kv: listed keys are not there");
    TRY(storage_commit(k->storage, m.ops, m.n, err));
    return i == keys->n;
}

/* 1: there is perhaps more; 0: nothing was left. */
static int move_batch(struct kv2 *k, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct collect c = { .k = k, .a = a, .folder = STR(""), .err = err };
    struct kv2_names *names;

    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    TRY(storage_list(k->storage, STR(""), STR(""), collect_top, &c, err));
    TRY(c.failed);
    TRY(arena_check(a, err));
    if (c.keys.n == 0)
        return 0;
    int found = kv2_state_names(k, &names, err);
    TRY(found);
    if (found == 0)
        return err_set(err, ERR_INTERNAL, "kv: the mount's key policy is not there");
    int all = move_keys(k, names, a, &c.keys, err);
    TRY(all);
    return all == 0 || c.keys.n == BATCH_KEYS;
}

/* ---- the whole ---- */

static int move_rest(struct kv2 *k, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    int64_t started_ns;
    bool done;

    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    for (;;) {
        if (atomic_load(&k->closing))
            return 0;
        int more = move_batch(k, err);
        TRY(more);
        if (more == 0)
            break;
    }
    TRY(upgrade_done(k, a, &started_ns, &done, err));
    TRY(mark_done(k, a, started_ns, err));
    LOG(&lg, INFO, "upgrading keys finished");
    return 0;
}

static int run_locked(struct kv2 *k, struct err *err)
{
    if (pthread_mutex_trylock(&k->upgrade_mu) != 0)
        return 0; /* somebody is at it */
    int done = atomic_load(&k->phase) == KV2_UPGRADING ? move_rest(k, err) : 0;
    pthread_mutex_unlock(&k->upgrade_mu);
    return done;
}

static void *upgrader_main(void *arg)
{
    struct err err = { 0 };

    if (run_locked(arg, &err) < 0)
        LOG(&lg, ERROR, "upgrading resulted in error, to be tried again: err=%s", err.msg);
    return NULL;
}

int kv2_upgrade_tick(struct kv2 *k, struct err *err)
{
    return atomic_load(&k->phase) == KV2_UPGRADING ? run_locked(k, err) : 0;
}

static bool not_ours_to_write(const struct err *err)
{
    return err->code == ERR_READ_ONLY || err->code == ERR_STANDBY;
}

static int begin(struct kv2 *k, struct arena *a, int64_t started_ns, struct err *err)
{
    struct kv2_names *names;
    int found = kv2_state_names(k, &names, err);

    TRY(found);
    if (found == 0)
        TRY(set_up(k, a, started_ns, err));
    int more = move_batch(k, err);
    if (more <= 0)
        return more < 0 ? -1 : mark_done(k, a, started_ns, err);
    if (pthread_create(&k->upgrader, NULL, upgrader_main, k) != 0)
        return err_set(err, ERR_INTERNAL, "kv: no thread for the upgrade");
    k->has_upgrader = true;
    return 0;
}

/* Vault makes the salt at the first write only: a mount that was never used has none. */
static int complete(struct kv2 *k, struct arena *a, struct err *err)
{
    int64_t now_ns = clock_now_ns(k->sys->clock);

    if (k->sys->read_only(k->sys))
        return 0;
    if (set_up(k, a, now_ns, err) == 0)
        return mark_done(k, a, now_ns, err);
    if (!not_ours_to_write(err))
        return -1;
    *err = (struct err){ 0 };
    return 0;
}

static int open_done(struct kv2 *k, struct arena *a, struct err *err)
{
    struct kv2_names *names;
    int found = kv2_state_names(k, &names, err);

    TRY(found);
    return found == 1 ? 0 : complete(k, a, err);
}

int kv2_upgrade_open(struct kv2 *k, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    int64_t started_ns;
    bool done;

    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    TRY(upgrade_done(k, a, &started_ns, &done, err));
    if (done)
        return open_done(k, a, err);
    if (k->sys->read_only(k->sys)) {
        atomic_store(&k->phase, KV2_WAITING);
        return 0;
    }
    atomic_store(&k->phase, KV2_UPGRADING);
    if (begin(k, a, started_ns, err) == 0)
        return 0;
    if (!not_ours_to_write(err))
        return -1;
    *err = (struct err){ 0 };
    atomic_store(&k->phase, KV2_WAITING);
    return 0;
}

void kv2_upgrade_close(struct kv2 *k)
{
    atomic_store(&k->closing, true);
    if (k->has_upgrader)
        pthread_join(k->upgrader, NULL);
}

void kv2_upgrade_look_again(struct kv2 *k)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    struct err err = { 0 };
    int64_t started_ns;
    bool done = false;

    if (a == NULL || atomic_load(&k->phase) != KV2_WAITING)
        return;
    if (upgrade_done(k, a, &started_ns, &done, &err) < 0)
        LOG(&lg, ERROR, "upgrading resulted in error: err=%s", err.msg);
    else if (done)
        atomic_store(&k->phase, KV2_READY);
}
