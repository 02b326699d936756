/* Kv2/policy: the stored key policy ("policy/metadata") whose keys encrypt the names. */
#ifndef ENGINES_KV2_POLICY_H
#define ENGINES_KV2_POLICY_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/secret.h"

/* One version of the key. */
struct kv2_policy_key {
    uint32_t version;
    struct secret key; /* 32 bytes */
};

/* Immutable after parsing; owned by whoever declared it, starts as { 0 }. */
struct kv2_policy {
    struct kv2_policy_key *keys;
    size_t n;
    uint32_t latest; /* the version that encrypts */
};

/*
 * Read the JSON of a keysutil policy.  -1: ERR_CORRUPT also for a policy of a kind that names are
 * never encrypted with (it must be aes256-gcm96, derived by HKDF, convergent version 3).
 */
int kv2_policy_parse(struct str json, struct kv2_policy *out, struct err *err) MUST_USE;
void kv2_policy_free(struct kv2_policy *p);

/* NULL when there is no such version. */
const struct kv2_policy_key *kv2_policy_key(const struct kv2_policy *p, uint32_t version);

/* The texts of a new policy with one random key, and of its archive. */
int kv2_policy_make(struct arena *a, struct str storage_prefix, int64_t now_ns, struct buf *policy,
                    struct buf *archive, struct err *err) MUST_USE;

#endif
