/* Kv2/state: what a mount of the versioned key/value engine holds while it is open. */
#include "engines/kv2/state.h"

#include <stdlib.h>

#include "base/epoch.h"

static const char upgrading_text[] =
    "Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief "
    "period and will resume service shortly.";
static const char waiting_text[] =
    "Waiting for the primary to upgrade from non-versioned to versioned data. This backend will be "
    "unavailable for a brief period and will resume service when the primary is finished.";

/* Names that were replaced; they live until the mount closes, as a reader may be in them. */
struct former {
    struct former *next;
    struct kv2_names *names;
};

struct str kv2_state_key(const struct kv2 *k, struct arena *a, const char *name)
{
    return arena_cat(a, k->prefix, str_of(name));
}

/* ---- names ---- */

static int load_texts(struct kv2 *k, struct buf *policy, struct buf *salt, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();

    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    int found = storage_get(k->storage, kv2_state_key(k, a, "policy/metadata"), policy, err);
    if (found <= 0)
        return found;
    return storage_get(k->storage, kv2_state_key(k, a, "salt"), salt, err);
}

/* Publish ${made}, or what another thread published meanwhile, which is the same. */
static struct kv2_names *publish(struct kv2 *k, struct kv2_names *old, struct kv2_names *made)
{
    struct former *former = malloc(sizeof *former);

    if (former == NULL) {
        kv2_names_free(made);
        return NULL;
    }
    pthread_mutex_lock(&k->mu);
    struct kv2_names *now = atomic_load(&k->names);
    if (now == old) {
        *former = (struct former){ k->former, old };
        k->former = former;
        atomic_store(&k->names, made);
        now = made;
        made = NULL;
        former = NULL;
    }
    pthread_mutex_unlock(&k->mu);
    kv2_names_free(made);
    free(former);
    return now;
}

static int load_names(struct kv2 *k, struct kv2_names **out, struct err *err)
{
    AUTO(buf_free) struct buf policy = { 0 }, salt = { 0 };
    struct kv2_names *old = atomic_load(&k->names), *made;

    atomic_store(&k->names_stale, false);
    int found = load_texts(k, &policy, &salt, err);
    if (found <= 0) {
        atomic_store(&k->names_stale, true);
        return found;
    }
    if (old != NULL && kv2_names_same(old, buf_str(&policy), buf_str(&salt))) {
        *out = old;
        return 1;
    }
    TRY(kv2_names_new(buf_str(&policy), buf_str(&salt), k->prefix, &made, err));
    *out = publish(k, old, made);
    return *out != NULL ? 1 : err_set(err, ERR_NOMEM, "out of memory");
}

int kv2_state_names(struct kv2 *k, struct kv2_names **out, struct err *err)
{
    *out = atomic_load(&k->names);
    if (*out != NULL && !atomic_load_explicit(&k->names_stale, memory_order_relaxed))
        return 1;
    return load_names(k, out, err);
}

/* ---- settings ---- */

void kv2_state_set_config(struct kv2 *k, const struct kv2_config *config)
{
    struct kv2_config *copy = config == NULL ? NULL : malloc(sizeof *copy);

    if (copy != NULL)
        *copy = *config;
    struct kv2_config *old = atomic_exchange(&k->config, copy);
    if (old != NULL)
        epoch_retire(old, free);
}

static int load_config(struct kv2 *k, struct kv2_config *out, struct err *err)
{
    AUTO(arena_drop) struct arena *a = arena_new();
    AUTO(buf_free) struct buf stored = { 0 };

    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    int found = storage_get(k->storage, kv2_state_key(k, a, "config"), &stored, err);
    TRY(found);
    return kv2_config_decode(buf_str(&stored), out, err);
}

int kv2_state_config(struct kv2 *k, struct kv2_config *out, struct err *err)
{
    epoch_enter();
    const struct kv2_config *known = atomic_load(&k->config);
    if (known != NULL)
        *out = *known;
    epoch_leave();
    if (known != NULL)
        return 0;
    TRY(load_config(k, out, err));
    /* What was read may be old by now: only an unchanged store's is remembered. */
    struct kv2_config *none = NULL, *copy = malloc(sizeof *copy);
    if (copy != NULL) {
        *copy = *out;
        if (!atomic_compare_exchange_strong(&k->config, &none, copy))
            free(copy);
    }
    return 0;
}

/* ---- life ---- */

void kv2_state_free(struct kv2 *k)
{
    kv2_names_free(atomic_load(&k->names));
    while (k->former != NULL) {
        struct former *next = k->former->next;
        kv2_names_free(k->former->names);
        free(k->former);
        k->former = next;
    }
    free(atomic_load(&k->config));
    keylock_free(k->locks);
    free((char *)k->prefix.p);
    pthread_mutex_destroy(&k->mu);
    pthread_mutex_destroy(&k->upgrade_mu);
    free(k);
}

static bool set_prefix(struct kv2 *k, struct str uuid)
{
    char *prefix = malloc(uuid.n + 1);

    if (prefix == NULL)
        return false;
    memcpy(prefix, uuid.p, uuid.n);
    prefix[uuid.n] = '/';
    k->prefix = (struct str){ prefix, uuid.n + 1 };
    return true;
}

int kv2_state_new(const struct engine_ctx *ctx, struct kv2 **out, struct err *err)
{
    if (ctx->backend_uuid.n == 0)
        return err_set(err, ERR_INTERNAL,
                       "could not initialize versioned K/V Store, no UUID was provided");
    struct kv2 *k = calloc(1, sizeof *k);
    if (k == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    k->storage = ctx->storage;
    k->sys = ctx->sys;
    pthread_mutex_init(&k->mu, NULL);
    pthread_mutex_init(&k->upgrade_mu, NULL);
    k->locks = keylock_new();
    if (k->locks == NULL || !set_prefix(k, ctx->backend_uuid)) {
        kv2_state_free(k);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    *out = k;
    return 0;
}

void kv2_state_forget(struct kv2 *k, struct str name)
{
    if (str_is(name, "config"))
        kv2_state_set_config(k, NULL);
    else if (str_is(name, "salt") || str_is(name, "policy/metadata"))
        atomic_store(&k->names_stale, true);
}

int kv2_state_enter(struct request *req, struct kv2 **k, struct kv2_names **names)
{
    *k = req->backend;
    enum kv2_phase phase = (enum kv2_phase)atomic_load(&(*k)->phase);
    if (phase != KV2_READY)
        return err_set(&req->err, ERR_BAD_REQUEST, "%s",
                       phase == KV2_WAITING ? waiting_text : upgrading_text);
    int found = kv2_state_names(*k, names, &req->err);
    if (found == 0)
        return err_set(&req->err, ERR_INTERNAL, "kv: the mount's key policy is not there yet");
    return found < 0 ? -1 : 0;
}
