/* Kv2/state: what a mount of the versioned key/value engine holds while it is open. */
#ifndef ENGINES_KV2_STATE_H
#define ENGINES_KV2_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/keylock.h"
#include "engines/kv2/meta.h"
#include "engines/kv2/names.h"
#include "logical/engine.h"

enum kv2_phase {
    KV2_READY,
    KV2_UPGRADING, /* the secrets of a mount that was version 1 are being moved */
    KV2_WAITING,   /* another node has to do that first */
};

/* Any thread. */
struct kv2 {
    struct storage *storage;  /* borrowed */
    const struct sysview *sys;
    struct str prefix;        /* "<backend uuid>/", owned */
    struct keylock *locks;    /* by a secret's name; "" for the settings */
    _Atomic(struct kv2_names *) names;   /* NULL: not loaded */
    atomic_bool names_stale;             /* somebody else wrote them */
    _Atomic(struct kv2_config *) config; /* NULL: not loaded; readers under an epoch */
    atomic_int phase;                    /* enum kv2_phase */
    pthread_mutex_t mu;
    struct former *former;    /* under mu: names replaced, which a reader may still hold */
    pthread_mutex_t upgrade_mu; /* held by who moves secrets */
    pthread_t upgrader;
    bool has_upgrader;
    atomic_bool closing;
};

/* Nothing is loaded yet. -1: ERR_INTERNAL without a backend uuid, ERR_NOMEM. */
int kv2_state_new(const struct engine_ctx *ctx, struct kv2 **out, struct err *err) MUST_USE;
/* No request may be left in it. */
void kv2_state_free(struct kv2 *k);
/* Somebody else changed the entry ${name} below the mount's uuid. */
void kv2_state_forget(struct kv2 *k, struct str name);

/* Storage key "<backend uuid>/${name}" in ${a}; empty when out of memory. */
struct str kv2_state_key(const struct kv2 *k, struct arena *a, const char *name);

/* The names, loaded when need be. 1, 0 when the store has none yet, -1. */
int kv2_state_names(struct kv2 *k, struct kv2_names **out, struct err *err) MUST_USE;

int kv2_state_config(struct kv2 *k, struct kv2_config *out, struct err *err) MUST_USE;
/* Remember (or with NULL forget) the settings after they were stored. */
void kv2_state_set_config(struct kv2 *k, const struct kv2_config *config);

/*
 * What each handler begins with: the mount's state and names, or -1 with the text that tells of an
 * upgrade under way (ERR_BAD_REQUEST).
 */
int kv2_state_enter(struct request *req, struct kv2 **k, struct kv2_names **names) MUST_USE;

#endif
